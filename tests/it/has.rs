//! Tests of kv has.
