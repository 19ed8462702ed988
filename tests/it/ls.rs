//! Tests of kv ls.
