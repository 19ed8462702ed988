//! Answers that say no, and why.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use hyper::body::Bytes;
use hyper::body::Frame;
use hyper::http::{HeaderName, HeaderValue, StatusCode, header};
use rustix::io::Errno;

use crate::exit::Exit;
use crate::store::{StoreError, error};
use crate::wire::http::answer::{self, Refused};
use crate::wire::text::escape;

/// A request that is not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    code: StatusCode,
    exit: Exit,
    error: String,
    headers: Vec<(HeaderName, &'static str)>,
}

/// What a handler returns.
pub(super) type Answer = Result<Response, Refusal>;

impl Refusal {
    pub(super) fn new(code: StatusCode, exit: Exit, error: impl Into<String>) -> Self {
        Self {
            code,
            exit,
            error: error.into(),
            headers: Vec::new(),
        }
    }

    /// The request makes no sense.
    pub(super) fn usage(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Exit::Usage, error)
    }

    /// There is no such key.
    pub(super) fn absent() -> Self {
        Self::new(StatusCode::NOT_FOUND, Exit::No, "there is no such key")
    }

    /// There is no such namespace.
    pub(super) fn no_namespace() -> Self {
        let code = StatusCode::NOT_FOUND;
        Self::new(code, Exit::No, "there is no such namespace")
    }

    /// The condition does not hold.
    pub(super) fn condition() -> Self {
        let code = StatusCode::PRECONDITION_FAILED;
        Self::new(code, Exit::No, "the condition does not hold")
    }

    /// The namespace cannot be a list.
    pub(super) fn no_list() -> Self {
        Self::usage("the namespaces `default` and `memo` cannot be lists")
    }

    /// The service lets nobody change anything.
    pub(super) fn read_only() -> Self {
        Self::forbidden(answer::READ_ONLY)
    }

    /// The client is not to have this.
    pub(super) fn forbidden(error: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, Exit::Failure, error)
    }

    /// The body has more bytes than a value can have here.
    pub(super) fn too_large(max: u64) -> Self {
        let code = StatusCode::PAYLOAD_TOO_LARGE;
        let error = format!("the body is larger than {max} bytes");
        Self::new(code, Exit::Failure, error)
    }

    /// Too much is going on just now.
    pub(super) fn busy(error: impl Into<String>) -> Self {
        let busy = Self::new(StatusCode::SERVICE_UNAVAILABLE, Exit::Busy, error);
        busy.with(header::RETRY_AFTER, "1")
    }

    /// The store that was served is not at its place.
    pub(super) fn gone() -> Self {
        let code = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(code, Exit::Failure, "the store is gone from its place")
    }

    /// This program is wrong.
    pub(super) fn bug() -> Self {
        let code = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(code, Exit::Failure, "the service has a fault of its own")
    }

    /// What went wrong with the store. Where the store is stays between it and its operator.
    pub(super) fn of(err: &StoreError) -> Self {
        let exit = Exit::of_store(err);
        let text = err.without_place();
        if error::causes(err).any(|cause| cause.downcast_ref().is_some_and(is_out_of)) {
            let error = format!("the service is out of open files: {text}");
            let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, Exit::Failure, error);
            return refusal.with(header::RETRY_AFTER, "1");
        }
        let code = match (exit, err) {
            (Exit::Busy, _) => return Self::busy(text),
            (Exit::Damaged, _) => StatusCode::INTERNAL_SERVER_ERROR,
            (_, StoreError::Unfit { .. }) => StatusCode::CONFLICT,
            (_, StoreError::Io { source, .. }) if is_full(source) => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::new(code, exit, text)
    }

    /// Returns what it says to people.
    pub(super) fn into_error(self) -> String {
        self.error
    }

    /// Returns the body of the answer: a line.
    pub(super) fn body(&self) -> Vec<u8> {
        answer::line(&Refused {
            status: self.exit.row().0,
            error: escape(self.error.as_bytes()),
        })
    }

    /// Returns the whole answer as it is sent to who speaks something else.
    pub(super) fn raw(&self) -> Vec<u8> {
        let body = self.body();
        let head = format!(
            "HTTP/1.1 {}\r\n{}: {}\r\n{}: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            self.code,
            answer::PROTOCOL,
            answer::VERSION,
            answer::STATUS,
            self.exit.row().0,
            body.len()
        );
        [head.as_bytes(), &body].concat()
    }

    /// Adds a header to the answer.
    pub(super) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Tells whether the fault is on this side.
    pub(super) fn is_ours(&self) -> bool {
        self.code.is_server_error() && self.exit != Exit::Busy
    }
}

/// Tells whether it is this process, or the system, that can open no more.
fn is_out_of(err: &io::Error) -> bool {
    let errno = Errno::from_io_error(err);
    errno == Some(Errno::MFILE) || errno == Some(Errno::NFILE)
}

fn is_full(err: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(err.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json((self.code, self.body()));
        for (name, value) in self.headers {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        // An answer to HEAD has no body to tell it.
        let status = HeaderValue::from(u16::from(self.exit.row().0));
        response.headers_mut().insert(answer::STATUS, status);
        response
    }
}

/// Makes an answer of a text that is JSON.
pub(super) fn json(text: impl IntoResponse) -> Response {
    typed("application/json", text)
}

/// Makes an answer whose body is of this type.
pub(super) fn typed(kind: &'static str, body: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// A body that is not sent, of which nobody says how long it would be (RFC 9110, section 8.6): in answer to
/// HEAD, and where nothing was changed.
pub(super) fn without_length() -> Body {
    Body::new(Polled(|_: &mut Context<'_>| Poll::Ready(None)))
}

/// What is asked for the next part of a body.
pub(super) type NextPart = Poll<Option<io::Result<Frame<Bytes>>>>;

/// A body whose parts a function makes.
pub(super) struct Polled<F>(pub(super) F);

impl<F: FnMut(&mut Context<'_>) -> NextPart + Unpin> hyper::body::Body for Polled<F> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> NextPart {
        (self.0)(cx)
    }
}

/// Makes an answer without a body.
pub(super) fn empty(code: StatusCode) -> Response {
    code.into_response()
}
