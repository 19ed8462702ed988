//! Whom to trust.

use std::sync::Arc;

use ureq::Error;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Trusts what the system trusts, or the file that SSL_CERT_FILE names.
pub(super) fn tls_config() -> Result<TlsConfig, Error> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let error = "the system has no certificates to trust: install ca-certificates";
        return Err(Error::Tls(error));
    }
    let certs: Vec<_> = found
        .certs
        .iter()
        .map(|cert| Certificate::from_der(cert).to_owned())
        .collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&certs))
        .unversioned_rustls_crypto_provider(provider)
        .build())
}
