//! The proxy that the environment names for a service behind TLS, as curl(1) reads it.

use std::io;

use ureq::Proxy;

use crate::os;

/// Returns the proxy for a host; `None` where there is none, or not for this one.
///
/// # Errors
///
/// Where the environment names one that cannot be used: nobody who did so wants to go without.
pub(super) fn proxy_for(authority: &str) -> Result<Option<Proxy>, ureq::Error> {
    let Some((name, text)) = named_for(authority) else {
        return Ok(None);
    };
    let is_known =
        !text.contains("://") || text.starts_with("http://") || text.starts_with("https://");
    match Proxy::new(&text) {
        Ok(proxy) if is_known => Ok(Some(proxy)),
        _ => {
            let error = format!("{name} names no proxy that kv can use: it takes http://HOST:PORT");
            Err(io::Error::new(io::ErrorKind::InvalidInput, error).into())
        }
    }
}

/// Returns which variable names the proxy for a host, and what it says.
pub(super) fn named_for(authority: &str) -> Option<(&'static str, String)> {
    let named = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let found = os::first_variable(&named)?;
    let exempt = os::first_variable(&["no_proxy", "NO_PROXY"]);
    let is_exempt = exempt.is_some_and(|(_, hosts)| is_exempt(authority, &hosts));
    (!is_exempt).then_some(found)
}

/// Tells whether a host is among those, or below one of them: names with commas or blanks between, a dot
/// before them or not; `*` is all.
fn is_exempt(authority: &str, hosts: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let names = hosts
        .split([',', ' ', '\t'])
        .filter(|name| !name.is_empty());
    names.map(str::to_ascii_lowercase).any(|name| {
        let name = name.trim_start_matches('.').trim_matches(['[', ']']);
        let below = host.strip_suffix(name);
        name == "*" || below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
    })
}
