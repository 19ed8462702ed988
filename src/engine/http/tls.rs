//! Whom to trust.

use std::sync::Arc;

use ureq::Error;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::engine::tls::authorities;

/// Trusts what the system trusts, or the file that SSL_CERT_FILE names.
pub(super) fn tls_config() -> Result<TlsConfig, Error> {
    let found = authorities()?;
    let certs: Vec<_> = found
        .iter()
        .map(|cert| Certificate::from_der(cert).to_owned())
        .collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&certs))
        .unversioned_rustls_crypto_provider(provider)
        .build())
}
