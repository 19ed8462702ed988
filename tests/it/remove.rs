//! Tests of kv remove.
