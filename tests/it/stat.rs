//! Tests of kv stat.
