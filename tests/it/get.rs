//! Tests of kv get.
