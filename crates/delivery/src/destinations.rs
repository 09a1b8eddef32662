//! Requests to API destinations: authorized, sent, and answered.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::https::{Https, NoAnswer, Target};
use crate::parcel::{Cause, HttpRequest, Outcome, TokenRequest};
use crate::tokens::Tokens;

/// Sends requests to API destinations.
pub(crate) struct Destinations {
    https: Https,
    tokens: Tokens,
}

/// What is waited for of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Bytes of its body, at the most.
    pub bytes: usize,
    /// For how long, unless as long as for other requests to API destinations.
    pub time: Option<Duration>,
}

/// Why there is no answer to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotFetched {
    /// Its body is longer than so many bytes.
    TooLong(usize),
    /// For this reason. Contains no password.
    Failed(String),
}

/// Why there is no answer, with or without a request.
enum Trouble {
    NoAnswer(NoAnswer),
    /// The request could not be made, or not be authorized.
    NotSent(Outcome),
}

impl From<NoAnswer> for Trouble {
    fn from(error: NoAnswer) -> Trouble {
        Trouble::NoAnswer(error)
    }
}

impl From<Outcome> for Trouble {
    fn from(outcome: Outcome) -> Trouble {
        Trouble::NotSent(outcome)
    }
}

impl From<Trouble> for Outcome {
    fn from(trouble: Trouble) -> Outcome {
        match trouble {
            Trouble::NoAnswer(error) => error.into(),
            Trouble::NotSent(outcome) => outcome,
        }
    }
}

/// What the receiver says of another attempt.
enum RetryAfter {
    /// It says nothing.
    Unsaid,
    /// Not for so long.
    Later(Duration),
    /// Never.
    Never,
}

impl Destinations {
    /// Creates a sender without tokens.
    pub fn new(https: Https) -> Destinations {
        Destinations { https, tokens: Tokens::default() }
    }

    /// Fetches a token, which is kept for requests.
    ///
    /// # Errors
    /// Why there is no token.
    pub async fn authorize(&self, request: &TokenRequest) -> Result<(), String> {
        match self.tokens.get(request, &self.https, None).await {
            Ok(_) => Ok(()),
            Err(Outcome::Failed { reason, .. }) => Err(reason),
            Err(Outcome::Delivered { .. }) => Err("there is no token".into()),
        }
    }

    /// Makes one attempt.
    pub async fn send(&self, request: &HttpRequest) -> Outcome {
        match self.answer(request, None).await {
            Ok(answer) => outcome(&answer),
            Err(trouble) => trouble.into(),
        }
    }

    /// Sends a request, and returns its answer, whatever the status.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn fetch(
        &self,
        request: &HttpRequest,
        patience: Patience,
    ) -> Result<Response<Bytes>, NotFetched> {
        self.answer(request, Some(patience)).await.map_err(|trouble| match trouble {
            Trouble::NoAnswer(NoAnswer::TooLong(most)) => NotFetched::TooLong(most),
            trouble => match trouble.into() {
                Outcome::Failed { reason, .. } => NotFetched::Failed(reason),
                Outcome::Delivered { .. } => NotFetched::Failed("there is no answer".into()),
            },
        })
    }

    /// Sends a request. A token that the receiver does not take is replaced once. The body is read if there is a `patience`.
    async fn answer(
        &self,
        request: &HttpRequest,
        patience: Option<Patience>,
    ) -> Result<Response<Bytes>, Trouble> {
        let mut target = Target::of_request(&request.request).map_err(Outcome::refused)?;
        let Some(token) = &request.token else { return Ok(self.ask(&target, patience).await?) };
        let mut refused = None;
        loop {
            let authorization = self.tokens.get(token, &self.https, refused.as_ref()).await?;
            target = target.with_secret(AUTHORIZATION, &authorization);
            let answer = self.ask(&target, patience).await?;
            if !is_unauthorized(answer.status()) || refused.is_some() {
                return Ok(answer);
            }
            refused = Some(authorization);
        }
    }

    async fn ask(&self, target: &Target, patience: Option<Patience>) -> Result<Response<Bytes>, NoAnswer> {
        match patience {
            None => Ok(self.https.ask(target).await?.map(|()| Bytes::new())),
            Some(Patience { bytes, time: None }) => self.https.fetch(target, bytes).await,
            Some(Patience { bytes, time: Some(time) }) => self.https.fetch_within(target, bytes, time).await,
        }
    }
}

/// The statuses at which EventBridge refreshes a token (user guide, "API destinations").
fn is_unauthorized(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
}

/// The meaning of an answer. EventBridge tries again after 401, 407, 409, 429 and 5xx, and follows no redirects (user guide, "API
/// destinations").
fn outcome<B>(answer: &Response<B>) -> Outcome {
    let status = answer.status();
    if status.is_success() {
        return Outcome::Delivered { status: Some(status.as_u16()) };
    }
    let may_help = is_unauthorized(status)
        || matches!(status, StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS)
        || status.is_server_error();
    let said = retry_after(answer.headers(), SystemTime::now());
    let permanent = !may_help || matches!(said, RetryAfter::Never);
    let mut outcome = Outcome::answered(permanent, status);
    if let (Outcome::Failed { retry_after, cause, .. }, RetryAfter::Later(later)) = (&mut outcome, said) {
        debug_assert!(*cause != Cause::Other, "there was an answer");
        *retry_after = Some(later);
    }
    outcome
}

/// Reads `Retry-After`: seconds, of which AWS takes a negative number as "never"; or a date (RFC 9110 § 10.2.3).
fn retry_after(headers: &HeaderMap<HeaderValue>, now: SystemTime) -> RetryAfter {
    let Some(text) = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()) else {
        return RetryAfter::Unsaid;
    };
    match (text.trim().parse::<i64>(), httpdate::parse_http_date(text.trim())) {
        (Ok(seconds), _) => match u64::try_from(seconds) {
            Ok(seconds) => RetryAfter::Later(Duration::from_secs(seconds)),
            Err(_) => RetryAfter::Never,
        },
        (_, Ok(date)) => RetryAfter::Later(date.duration_since(now).unwrap_or_default()),
        _ => RetryAfter::Unsaid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, after: Option<&str>) -> Outcome {
        let mut answer = Response::builder().status(status);
        if let Some(after) = after {
            answer = answer.header(RETRY_AFTER, after);
        }
        outcome(&answer.body(()).unwrap())
    }

    #[test]
    fn some_statuses_are_tried_again() {
        // facts/eventbridge.md § 8
        for (status, permanent) in [
            (200, None),
            (204, None),
            (301, Some(true)),
            (400, Some(true)),
            (401, Some(false)),
            (404, Some(true)),
            (407, Some(false)),
            (408, Some(true)),
            (409, Some(false)),
            (429, Some(false)),
            (500, Some(false)),
            (503, Some(false)),
        ] {
            let got = match answer(status, None) {
                Outcome::Delivered { .. } => None,
                Outcome::Failed { permanent, .. } => Some(permanent),
            };
            assert_eq!(got, permanent, "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_a_negative_number_ends_the_attempts() {
        // facts/eventbridge.md § 8
        let said = |after: &str| match answer(503, Some(after)) {
            Outcome::Failed { permanent, retry_after, .. } => (permanent, retry_after),
            delivered => panic!("{delivered:?}"),
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(said("120"), (false, seconds(120)));
        assert_eq!(said("0"), (false, seconds(0)));
        assert_eq!(said("-1"), (true, None));
        assert_eq!(said("soon"), (false, None));
        assert_eq!(said("Thu, 01 Jan 1970 00:00:00 GMT"), (false, seconds(0)));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_700);
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(matches!(retry_after(&headers, now), RetryAfter::Later(later) if later.as_secs() == 77));
    }
}
