//! What handlers say of the bodies they take and give, where no type of theirs says it.

use utoipa::ToSchema;

/// A line of a listing: an entry; or `cursor`, where there is more; or `status` and `error`, where
/// something is damaged; or `end`, where that was asked for. A namespace is a line with `namespace`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its description is used")]
pub(super) struct Listed {
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    size: Option<u64>,
    modified: Option<String>,
    expires: Option<String>,
    etag: Option<String>,
    cursor: Option<String>,
    namespace: Option<String>,
    status: Option<u8>,
    error: Option<String>,
    end: Option<u64>,
}

/// A value as it is: any bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "only its description is used")]
pub(super) struct Raw(Vec<u8>);

/// What can be done to an entry.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its description is used")]
pub(super) enum KeyVerb {
    Put,
    Remove,
    Take,
    Incr,
    Append,
    Expire,
    Wait,
}

/// What can be done to a namespace.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its description is used")]
pub(super) enum NamespaceVerb {
    Push,
    Pop,
    Wait,
    Get,
    Take,
    Put,
    Batch,
    Import,
    Drop,
    Lock,
    Keep,
    Free,
    Holder,
}
