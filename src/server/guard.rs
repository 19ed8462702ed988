//! Who may come in: whoever knows the token, and no page of another site.

use axum::http::{HeaderMap, Request, StatusCode, header};
use sha1::{Digest as _, Sha1};

use crate::exit::Exit;

use super::connection::{MAX_HEADER, Reached};
use super::reply::Refusal;
use super::{App, page};

/// Refuses a request that does not belong here.
pub(super) fn check<B>(app: &App, request: &Request<B>) -> Result<(), Refusal> {
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
    let reached = request.extensions().get::<Reached>().copied();
    let host = one(headers, header::HOST)?
        .ok_or_else(|| Refusal::forbidden("the request has no `Host`"))?;
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    for name in authority.into_iter().chain([host]) {
        if !is_ours(app, name, reached) {
            return Err(Refusal::forbidden(
                "this service has no such name: --host gives it one",
            ));
        }
    }
    if let Some(origin) = one(headers, header::ORIGIN)? {
        let site = origin.split_once("://").map(|(_, site)| site);
        if site != Some(host) {
            return Err(Refusal::forbidden(
                "a page of another site has no business here",
            ));
        }
    }
    // That it is alive is told to whoever watches over it, and the page asks for the token itself.
    let path = request.uri().path();
    if path == "/healthz" || page::is_part(path) {
        return Ok(());
    }
    match &app.config.token {
        Some(token) if !knows(headers, token) => {
            let error = "the request needs the token: `Authorization: Bearer TOKEN`";
            let refusal = Refusal::new(StatusCode::UNAUTHORIZED, Exit::Failure, error);
            Err(refusal.with(header::WWW_AUTHENTICATE, "Bearer"))
        }
        _ => Ok(()),
    }
}

/// Returns a header that can stand in a request once.
fn one(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(&name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::usage(format!("`{name}` is given twice")));
    }
    let text = first.map(|value| value.to_str()).transpose();
    text.map_err(|_| Refusal::usage(format!("`{name}` is not text")))
}

/// Tells whether a host is this service: a page that found out our address under a name of its own
/// comes with that name. The port says nothing, as others may lead here.
fn is_ours(app: &App, host: &str, reached: Option<Reached>) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let is_address = reached
        .and_then(|reached| reached.0)
        .is_some_and(|ip| name.parse() == Ok(ip.to_canonical()) || name.parse() == Ok(ip));
    let mut names = app.config.hosts.iter().map(String::as_str);
    is_address
        || name.eq_ignore_ascii_case("localhost")
        || names.any(|ours| ours.eq_ignore_ascii_case(name))
}

/// Tells whether the token was given. Digests are compared, all of each, so that the time tells
/// neither how much was right nor how long it ought to be.
fn knows(headers: &HeaderMap, token: &[u8]) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.as_bytes());
    let Some((scheme, given)) = given.and_then(|given| given.split_at_checked(7)) else {
        return false;
    };
    let differs = Sha1::digest(given)
        .iter()
        .zip(Sha1::digest(token))
        .fold(0, |differs, (a, b)| differs | (a ^ b));
    scheme.eq_ignore_ascii_case(b"bearer ") && std::hint::black_box(differs) == 0
}
