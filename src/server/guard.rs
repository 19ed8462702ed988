//! Who may come in: whoever knows the token, and no page of another site.

use std::net::{IpAddr, Ipv6Addr};

use hyper::http::{HeaderName, HeaderValue, Request, StatusCode, Version, header};
use sha1::{Digest as _, Sha1};

use crate::exit::Exit;

use super::fields::text;
use super::reply::Refusal;
use super::{App, MAX_HEADER, page};

/// What a browser says of who asks (the Fetch standard and its metadata).
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// The most characters that are shown of what a client has sent.
const MAX_SHOWN: usize = 100;

/// Refuses a request that does not belong here, of a client that has reached this service at an address.
pub(super) fn check<B>(
    app: &App,
    request: &Request<B>,
    reached: Option<IpAddr>,
) -> Result<(), Refusal> {
    let headers = request.headers();
    // The buffer of the connection may grow beyond the bound that it was given.
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    let path = request
        .uri()
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    if sizes.sum::<usize>() + path > MAX_HEADER {
        let code = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let error = format!("the header is larger than {MAX_HEADER} bytes");
        return Err(Refusal::new(code, Exit::Usage, error));
    }
    let coding = text(headers, header::TRANSFER_ENCODING.as_str())?;
    if coding.is_some_and(|coding| !coding.eq_ignore_ascii_case("chunked")) {
        let error = "unsupported `Transfer-Encoding`: use chunked";
        let refusal = Refusal::new(StatusCode::NOT_IMPLEMENTED, Exit::Usage, error);
        return Err(refusal.with(header::CONNECTION, "close"));
    }
    let path = request.uri().path();
    let is_open = path == "/healthz" || page::is_part(path);
    let host = text(headers, header::HOST.as_str())?;
    let authority = request.uri().authority();
    let authority = authority.map(|authority| authority.as_str());
    for name in authority.into_iter().chain(host) {
        if !is_ours(app, name, reached) {
            let shown: String = name.chars().take(MAX_SHOWN).collect();
            return Err(Refusal::forbidden(match name_of(name) {
                Some(name) if name.len() <= MAX_SHOWN => {
                    format!("host `{shown}` is not allowed; start kv serve with --host {name}")
                }
                _ => format!("host `{shown}` is not a name or an address"),
            }));
        }
    }
    // Those who watch over services ask as in HTTP/1.0.
    let is_old = request.version() == Version::HTTP_10;
    if host.is_none() && !(is_old && path == "/healthz") {
        return Err(Refusal::forbidden("the request has no `Host`"));
    }
    if let Some(origin) = text(headers, header::ORIGIN.as_str())? {
        let site = origin.split_once("://");
        if !site.is_some_and(|(scheme, site)| is_same(app, scheme, site, host)) {
            return Err(of_another_site());
        }
    }
    // A browser tells so for what pages do that has no origin, such as to show a picture.
    if let Some(site) = text(headers, SITE.as_str())? {
        let is_link = page::is_part(path) && text(headers, MODE.as_str())? == Some("navigate");
        if !["same-origin", "none"].contains(&site) && !is_link {
            return Err(of_another_site());
        }
    }
    // That it is alive is told to whoever watches over it, and the page asks for the token itself.
    if is_open {
        return Ok(());
    }
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let authorization = given.next().map(HeaderValue::as_bytes);
    if given.next().is_some() {
        return Err(Refusal::usage("`authorization` is given twice"));
    }
    let error = match (&app.config.token, authorization) {
        (Some(_), None) => "the request needs the token: `Authorization: Bearer TOKEN`",
        (Some(token), Some(given)) if !is_token(given, token) => {
            "the token is not that of this service"
        }
        _ => return Ok(()),
    };
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, Exit::Failure, error);
    Err(refusal.with(header::WWW_AUTHENTICATE, "Bearer"))
}

fn of_another_site() -> Refusal {
    Refusal::forbidden("cross-origin request refused")
}

/// Tells whether an origin is that of our page. What stands before us may encrypt, under a name that
/// we were given.
fn is_same(app: &App, scheme: &str, site: &str, host: Option<&str>) -> bool {
    let is_secured = || {
        let name = name_of(site);
        name.is_some_and(|name| is_named(app, name))
    };
    Some(site) == host && (scheme == "http" || (scheme == "https" && is_secured()))
}

/// Returns the name before a port, if there is one, where it is one that `--host` takes.
fn name_of(host: &str) -> Option<&str> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let (name, behind) = match host.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .filter(|(name, _)| name.parse::<Ipv6Addr>().is_ok())?,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    if name.is_empty() || (!host.starts_with('[') && !name.bytes().all(is_of_name)) {
        return None;
    }
    // A sign is none of a port.
    let is_port = |port: &str| port.parse::<u16>().is_ok() && !port.starts_with('+');
    let is_sound = behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port);
    is_sound.then_some(name)
}

fn is_named(app: &App, name: &str) -> bool {
    let mut names = app.config.hosts.iter();
    names.any(|ours| ours.eq_ignore_ascii_case(name))
}

/// Tells whether a host is this service: a page that found out our address under a name of its own
/// comes with that name. The port says nothing, as others may lead here.
fn is_ours(app: &App, host: &str, reached: Option<IpAddr>) -> bool {
    let Some(name) = name_of(host) else {
        return false;
    };
    let is_address =
        reached.is_some_and(|ip| name.parse() == Ok(ip.to_canonical()) || name.parse() == Ok(ip));
    is_address || name.eq_ignore_ascii_case("localhost") || is_named(app, name)
}

/// Tells whether the token was given. Digests are compared, all of each, so that the time tells
/// neither how much was right nor how long it ought to be.
fn is_token(given: &[u8], token: &[u8]) -> bool {
    let Some((scheme, given)) = given.split_at_checked(7) else {
        return false;
    };
    let differs = Sha1::digest(given)
        .iter()
        .zip(Sha1::digest(token))
        .fold(0, |differs, (a, b)| differs | (a ^ b));
    scheme.eq_ignore_ascii_case(b"bearer ") && std::hint::black_box(differs) == 0
}
