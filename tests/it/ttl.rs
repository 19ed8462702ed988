//! Tests of kv ttl.
