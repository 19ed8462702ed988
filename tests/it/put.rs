//! Tests of kv put.
