//! Requests to servers elsewhere, whose answers a service waits for.
//!
//! One service owns credentials, and others name them by ARN: the owner makes the request
//! ([`Service::request`](crate::Service::request)), the service that asked orders it as an effect, and hears the [`Answer`].
//! Nothing of a request is in the log. Who wants the answer asks again after a restart, so a server elsewhere may be asked twice.

use bytes::Bytes;

use crate::Arn;

/// What is to be asked, by whom credentials are not known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asking<'a> {
    /// What holds the credentials, and perhaps the URL.
    pub through: &'a Arn,
    /// Method and URL, if they are not those of `through`.
    pub to: Option<(&'a str, &'a str)>,
    /// What takes the places of `*` in the URL of `through`.
    pub path: &'a [String],
    /// Query parameters by name.
    pub query: &'a [(String, String)],
    /// Headers by name.
    pub headers: &'a [(String, String)],
    /// Headers that nobody can change.
    pub fixed: &'a [(&'static str, String)],
    /// The body: JSON, unless a header says something else.
    pub body: &'a str,
}

/// A request that is ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Such as `POST`.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers by name. What authorizes the request is among them, unless it is a token.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// How the token that authorizes the request is fetched, if it needs one.
    pub token: Option<TokenRequest>,
    /// How often such requests may be sent, if that is limited.
    pub rate: Option<Rate>,
}

/// A request for a token.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The number of the credentials' owner.
    pub connection: u64,
    /// The number of its credentials: a token of others is none of these.
    pub version: u64,
    /// Such as `POST`.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers by name.
    pub headers: Vec<(String, String)>,
    /// The body; empty for GET.
    pub body: String,
}

/// A limit that requests share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Requests with the same key share it.
    pub key: u64,
    /// Requests a second.
    pub per_second: u32,
}

/// What came of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// There is an answer, whatever its status.
    Answered {
        /// Such as 200.
        status: u16,
        /// Such as `OK`; empty if the server says none and the status is not a usual one.
        reason: String,
        /// Headers by name, in lower case, in the order of the answer.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// Its body is longer than so many bytes.
    TooLong(usize),
    /// There is none, for this reason.
    None(String),
}

// A request shows no header and no body, since they may hold secrets.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRequest")
            .field("connection", &self.connection)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
