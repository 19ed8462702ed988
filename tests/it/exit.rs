//! Tests of kv exit.
