//! What fails on the way to the service.

use std::io;

use crate::engine::tls::explain;

/// Tells whether nothing of the request can have arrived.
pub(super) fn is_unreachable(err: &ureq::Error) -> bool {
    match err {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Http(_)
        | ureq::Error::Tls(_)
        | ureq::Error::Rustls(_)
        | ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => true,
        // The system's resolver has errors of its own, which the library tells as a text.
        ureq::Error::Io(err) if err.to_string().starts_with("failed to lookup") => true,
        // What TLS has to say against the other side. Only behind a handshake is there a key with which
        // something cannot be decrypted.
        ureq::Error::Io(err) if err.kind() == io::ErrorKind::InvalidData => {
            let tls = err.get_ref().and_then(|err| err.downcast_ref());
            tls.is_some_and(|err| !matches!(err, rustls::Error::DecryptError))
        }
        ureq::Error::Io(err) => matches!(
            err.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::NotFound
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
        ),
        _ => false,
    }
}

pub(super) fn io_error(err: ureq::Error) -> io::Error {
    match err {
        ureq::Error::Io(err) => match err.get_ref().and_then(|err| err.downcast_ref()) {
            Some(fault) => explain_tls(fault),
            None => unwrap(err),
        },
        ureq::Error::Rustls(fault) => explain_tls(&fault),
        ureq::Error::ConnectProxyFailed(code) if code.contains("407") => io::Error::other(
            "the proxy needs a name and a password: http://NAME:PASSWORD@HOST:PORT",
        ),
        ureq::Error::Timeout(_) => io::Error::new(io::ErrorKind::TimedOut, "it does not answer"),
        ureq::Error::HostNotFound => {
            io::Error::new(io::ErrorKind::NotFound, "there is no such host")
        }
        err => io::Error::other(err.to_string()),
    }
}

fn explain_tls(fault: &rustls::Error) -> io::Error {
    let text = explain(fault, "http:// instead of https://");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Takes out what the client has wrapped.
fn unwrap(err: io::Error) -> io::Error {
    match err.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => err,
    }
}

/// Says of a change that was sent, and whose answer did not come, that nobody knows whether it was made.
pub(super) fn uncertain(err: io::Error) -> io::Error {
    let kind = err.kind();
    let err = io_error(err.into());
    io::Error::new(kind, format!("{err}; the change may have been made"))
}
