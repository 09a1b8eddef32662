//! Signature Version 4 for the request forms of this module, in one pass, with a signing key that is kept for
//! the day.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_sqs::config::{ConfigBag, Credentials};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use aws_smithy_runtime_api::client::identity::ResolveCachedIdentity;
use aws_smithy_runtime_api::client::runtime_components::GetIdentityResolver;
use sha2::{Digest, Sha256};

use crate::direct::{Protocol, Route, lock};

/// Interval at which the SDK's cache is asked for credentials; the SDK renews them in time.
const CREDENTIALS_FOR: Duration = Duration::from_secs(1);

/// The signing key of a day, or until the credentials change.
#[derive(Clone)]
pub(super) struct Key {
    access_key: String,
    secret: String,
    pub token: Option<String>,
    date: [u8; DATE],
    /// `20261121/eu-west-1/sqs/aws4_request`
    scope: String,
    signing_key: Arc<[u8]>,
    asked: Instant,
}

/// `20261121`
const DATE: usize = 8;
/// `20261121T091604Z`
pub(super) const TIME: usize = 16;

impl Route {
    /// Signature Version 4, for the two forms of requests of this module.
    pub fn authorization(&self, target: &str, body: &[u8], key: &Key, time: &str) -> String {
        let (token_header, token_name) = match &key.token {
            Some(token) => (["x-amz-security-token:", token, "\n"], ";x-amz-security-token"),
            None => ([""; 3], ""),
        };
        let (json_headers, json_names) = match self.protocol {
            Protocol::Json => {
                (["x-amz-target:", target, "\nx-amzn-query-mode:true\n"], ";x-amz-target;x-amzn-query-mode")
            }
            Protocol::Query => ([""; 3], ""),
        };
        let names = ["content-type;host;x-amz-date", token_name, json_names];
        let content_type = self.protocol.content_type();
        let same = ["POST\n", &self.path, "\n\ncontent-type:", content_type, "\nhost:", &self.host];
        let mut canonical = Sha256::new();
        for part in same.iter().chain(&["\nx-amz-date:", time, "\n"]) {
            canonical.update(part);
        }
        for part in token_header.iter().chain(&json_headers).chain(&["\n"]).chain(&names) {
            canonical.update(part);
        }
        canonical.update("\n");
        canonical.update(hex(&Sha256::digest(body)));
        let canonical = hex(&canonical.finalize());
        let canonical = std::str::from_utf8(&canonical).unwrap_or_default();
        let to_sign = ["AWS4-HMAC-SHA256\n", time, "\n", &key.scope, "\n", canonical].concat();
        let signature = calculate_signature(&key.signing_key, to_sign.as_bytes());
        let (begin, signed, end) = ("AWS4-HMAC-SHA256 Credential=", ", SignedHeaders=", ", Signature=");
        [&[begin, &key.access_key, "/", &key.scope, signed][..], &names, &[end, &signature]].concat().concat()
    }

    /// Returns the signing key for now; `time` is `now` as text.
    pub async fn key(&self, now: SystemTime, time: &str) -> Option<Arc<Key>> {
        let date = *time.as_bytes().first_chunk::<DATE>()?;
        let last = self.kept_key().clone();
        let today = last.filter(|key| key.date == date);
        if let Some(key) = &today
            && key.asked.elapsed() < CREDENTIALS_FOR
        {
            return today;
        }
        let resolver = self.components.identity_resolver(AuthSchemeId::new("sigv4"))?;
        let (cache, config) = (self.components.identity_cache(), ConfigBag::base());
        let identity = cache.resolve_cached_identity(resolver, &self.components, &config).await.ok()?;
        let credentials = identity.data::<Credentials>()?;
        let same = today.filter(|key| {
            key.access_key == credentials.access_key_id()
                && key.secret == credentials.secret_access_key()
                && key.token.as_deref() == credentials.session_token()
        });
        let key = same.map(|key| Key { asked: Instant::now(), ..(*key).clone() }).unwrap_or_else(|| {
            let Route { region, service, .. } = self;
            let secret = credentials.secret_access_key();
            Key {
                access_key: credentials.access_key_id().to_owned(),
                secret: secret.to_owned(),
                token: credentials.session_token().map(str::to_owned),
                scope: format!("{}/{region}/{service}/aws4_request", &time[..DATE]),
                signing_key: generate_signing_key(secret, now, region, service).as_ref().into(),
                date,
                asked: Instant::now(),
            }
        });
        let key = Arc::new(key);
        *self.kept_key() = Some(key.clone());
        Some(key)
    }

    pub fn kept_key(&self) -> MutexGuard<'_, Option<Arc<Key>>> {
        lock(&self.key)
    }
}

/// `20261121T091604Z`
pub(super) fn text_of(time: SystemTime) -> Option<[u8; TIME]> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    let time = jiff::tz::Offset::UTC.to_datetime(time);
    let mut text = *b"00000000T000000Z";
    let numbers = [
        (0..4, time.year()),
        (4..6, time.month().into()),
        (6..8, time.day().into()),
        (9..11, time.hour().into()),
        (11..13, time.minute().into()),
        (13..15, time.second().into()),
    ];
    for (digits, number) in numbers {
        let mut rest = u16::try_from(number).ok()?;
        for digit in text[digits].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    Some(text)
}

/// Formats a SHA-256 hash.
fn hex(hash: &[u8]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'0'; 64];
    for (two, byte) in text.chunks_exact_mut(2).zip(hash) {
        two[0] = DIGITS[usize::from(byte >> 4)];
        two[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}
