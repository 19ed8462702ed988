//! TLS: whom to trust, and what is wrong where that is nobody.

use std::fs;
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
    let refused = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
    // Others may come from a directory; who names a file means that one too.
    if let Some((_, path)) = os::first_variable(&[FILE]) {
        let names = |why: &str| refused(format!("`{path}`, which {FILE} names: {why}"));
        let is_file = fs::metadata(&path)
            .map_err(|err| names(&err.to_string()))?
            .is_file();
        let of_file =
            || rustls_native_certs::load_certs_from_paths(Some(path.as_ref()), None).certs;
        // A pipe would be waited for.
        if !is_file || of_file().is_empty() {
            return Err(names("there is no certificate in it"));
        }
    }
    match rustls_native_certs::load_native_certs().certs {
        none if none.is_empty() => Err(refused(
            "the system has no certificates to trust: install ca-certificates".to_owned(),
        )),
        certs => Ok(certs),
    }
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
            format!(
                "its certificate is one of an authority, and no server's, if {FILE} names it or not (openssl \
                 makes another with -addext basicConstraints=critical,CA:FALSE)"
            )
        }
        false => fault.to_string(),
    }
}
