//! Tokens that authorize requests: fetched when they are needed, kept until they expire or are refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use serde_json::Value;
use tokio::time::Instant;

use crate::https::{Https, Target};
use crate::parcel::{Cause, Outcome, TokenRequest};

/// Tokens that are kept. If there are more owners, those that nobody is using are fetched again.
const KEPT: usize = 1024;
/// Bytes of an answer with a token at the most.
const ANSWER_BYTES: usize = 64 * 1024;
/// A token is replaced if it expires within this time.
const MARGIN: Duration = Duration::from_secs(60);

/// The tokens of all owners.
#[derive(Default)]
pub(crate) struct Tokens {
    owners: Mutex<HashMap<u64, Arc<Place>>>,
}

/// The place of an owner's token. Whoever fetches it holds the lock, so that it is fetched once.
type Place = tokio::sync::Mutex<Latest>;

/// What came of the latest fetch.
#[derive(Default)]
enum Latest {
    #[default]
    Nothing,
    Token(Token),
    /// It failed, at this moment and with these credentials.
    Failure {
        at: Instant,
        version: u64,
        outcome: Outcome,
    },
}

struct Token {
    version: u64,
    /// The value of `Authorization`.
    value: HeaderValue,
    expires: Option<Instant>,
}

impl Token {
    fn holds(&self, version: u64, refused: Option<&HeaderValue>) -> bool {
        self.version == version
            && refused != Some(&self.value)
            && self.expires.is_none_or(|expires| expires > Instant::now() + MARGIN)
    }
}

impl Tokens {
    /// The value of `Authorization`. A token that a receiver has `refused` is replaced.
    ///
    /// # Errors
    /// What the attempt that needs it comes to.
    pub async fn get(
        &self,
        request: &TokenRequest,
        https: &Https,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Outcome> {
        let place = self.place(request.owner);
        let asked = Instant::now();
        let mut latest = place.lock().await;
        match &*latest {
            Latest::Token(token) if token.holds(request.version, refused) => return Ok(token.value.clone()),
            // Whoever has waited for a fetch shares its failure: an endpoint that hangs must not be waited for by one after the other.
            Latest::Failure { at, version, outcome } if *version == request.version && *at > asked => {
                return Err(outcome.clone());
            }
            _ => {}
        }
        match fetch(request, https).await {
            Ok(token) => {
                let value = token.value.clone();
                *latest = Latest::Token(token);
                Ok(value)
            }
            Err(outcome) => {
                let (at, version) = (Instant::now(), request.version);
                *latest = Latest::Failure { at, version, outcome: outcome.clone() };
                Err(outcome)
            }
        }
    }

    fn place(&self, owner: u64) -> Arc<Place> {
        // The map is valid at any time.
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.len() >= KEPT && !owners.contains_key(&owner) {
            owners.retain(|_, place| Arc::strong_count(place) > 1);
        }
        owners.entry(owner).or_default().clone()
    }
}

async fn fetch(request: &TokenRequest, https: &Https) -> Result<Token, Outcome> {
    let target = Target::of_request(&request.request).map_err(Outcome::refused)?;
    let answer = https.fetch(&target, ANSWER_BYTES).await.map_err(|error| {
        let outcome = Outcome::from(error);
        of_endpoint(outcome)
    })?;
    if !answer.status().is_success() {
        return Err(of_endpoint(Outcome::answered(false, answer.status())));
    }
    // RFC 6749 § 5.1
    let unusable =
        || Outcome::failed(false, Cause::Answered, "the authorization endpoint's answer has no token");
    let answer: Value = serde_json::from_slice(answer.body()).map_err(|_| unusable())?;
    let token = answer["access_token"].as_str().filter(|token| !token.is_empty()).ok_or_else(unusable)?;
    let scheme = match answer["token_type"].as_str() {
        None => "Bearer",
        Some(scheme) if scheme.eq_ignore_ascii_case("bearer") => "Bearer",
        Some(scheme) => scheme,
    };
    let mut value = HeaderValue::from_str(&format!("{scheme} {token}")).map_err(|_| unusable())?;
    value.set_sensitive(true);
    // Some send it as a text.
    let seconds = answer["expires_in"].as_u64().or_else(|| answer["expires_in"].as_str()?.parse().ok());
    let expires = seconds.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
    Ok(Token { version: request.version, value, expires })
}

/// A failure that is the authorization endpoint's, not the destination's.
fn of_endpoint(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed { permanent, reason, cause, retry_after, .. } => Outcome::Failed {
            permanent,
            status: None,
            reason: format!("no token: {reason}"),
            cause,
            retry_after,
        },
        delivered => delivered,
    }
}
