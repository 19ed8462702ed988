//! TLS: whom to trust, and what is wrong where that is nobody.

use std::io;

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error};

use crate::os;

/// What names the file of those that are to be trusted instead of the system's.
const FILE: &str = "SSL_CERT_FILE";

/// Returns the authorities that the system trusts, or those in the file that SSL_CERT_FILE names.
///
/// # Errors
///
/// Of the kind `InvalidInput`, where there is none: asking again does not help.
pub(super) fn authorities() -> io::Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        return Ok(found.certs);
    }
    let text = match os::first_variable(&[FILE]) {
        Some((_, path)) => {
            let why = found.errors.first().map(|err| match &err.kind {
                rustls_native_certs::ErrorKind::Io { inner, .. } => format!(": {}", inner.kind()),
                _ => String::new(),
            });
            let why = why.unwrap_or_default();
            format!("there is no certificate in `{path}`, which {FILE} names{why}")
        }
        None => "the system has no certificates to trust: install ca-certificates".to_owned(),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Says what a fault of TLS means to who typed the address, whose scheme without TLS is named.
pub(super) fn explain(fault: &Error, plain: &str) -> String {
    let other = match fault {
        Error::InvalidMessage(_) => return format!("what answers speaks no TLS ({plain}?)"),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            return format!(
                "nobody who is trusted vouches for its certificate: set {FILE} to the file of its authority"
            );
        }
        Error::InvalidCertificate(CertificateError::Other(other)) => other.to_string(),
        _ => String::new(),
    };
    match other.contains("CaUsedAsEndEntity") {
        true => {
            "its certificate is one of an authority (openssl: -addext basicConstraints=critical,CA:FALSE)".to_owned()
        }
        false => fault.to_string(),
    }
}
