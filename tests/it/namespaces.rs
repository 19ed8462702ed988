//! Tests of kv namespaces.
