//! Envelope encryption: a data key encrypts each body, and travels with it in wrapped form.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};

use crate::body::{Attributes, BodyError, BodyStep};
use crate::crypto::keys::{DataKey, KeyError, KeyProvider, open, seal};
use crate::crypto::{AuditAction, AuditHook, audit};

/// Encrypts bodies with AES-256-GCM.
///
/// **Guarantee**: without the wrapping key nobody can read a body, or change it undetected. Message
/// attributes stay readable, because filter policies need them. A body that cannot be decrypted becomes a
/// dead letter.
///
/// One data key encrypts up to 1,000 bodies within five minutes, to save calls to a remote provider.
///
/// ```
/// # toolkit::testing::block_on(async {
/// use toolkit::body::{Attributes, BodyStep};
/// use toolkit::crypto::{Encryption, LocalKeys};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("keys.json");
/// LocalKeys::rotate(&path, "2026-11")?;
/// let encryption = Encryption::new(LocalKeys::read(&path)?);
///
/// let sealed = encryption.outgoing("secret".into(), &mut Attributes::new()).await?;
/// assert!(!sealed.contains("secret"));
/// assert_eq!(encryption.incoming(sealed, &Attributes::new()).await?, "secret");
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct Encryption {
    keys: Arc<dyn KeyProvider>,
    audit: Option<AuditHook>,
    random: SystemRandom,
    current: Mutex<Option<InUse>>,
    /// Recently used data keys, by their wrapped form.
    unwrapped: Mutex<HashMap<Vec<u8>, [u8; 32]>>,
}

#[derive(Clone)]
struct InUse {
    key: DataKey,
    since: Instant,
    bodies: u32,
}

/// 2³² bodies under one key would be too many for random nonces; this is far below.
const BODIES_PER_KEY: u32 = 1_000;
const KEY_AGE: Duration = Duration::from_secs(300);
const KEYS_REMEMBERED: usize = 1_000;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sealed {
    encryption: String,
    key_id: String,
    wrapped_key: String,
    sealed: String,
}

const ALGORITHM: &str = "AES-256-GCM";

impl Encryption {
    /// Uses the keys of this provider.
    pub fn new(keys: impl Into<Arc<dyn KeyProvider>>) -> Encryption {
        Encryption {
            keys: keys.into(),
            audit: None,
            random: SystemRandom::new(),
            current: Mutex::new(None),
            unwrapped: Mutex::default(),
        }
    }

    /// Adds a hook that gets an event for every use of a key.
    #[must_use]
    pub fn audit(mut self, hook: impl Fn(&super::AuditEvent) + Send + Sync + 'static) -> Encryption {
        self.audit = Some(Arc::new(hook));
        self
    }

    async fn data_key(&self) -> Result<DataKey, KeyError> {
        {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(in_use) = &mut *current
                && in_use.bodies < BODIES_PER_KEY
                && in_use.since.elapsed() < KEY_AGE
            {
                in_use.bodies += 1;
                return Ok(in_use.key.clone());
            }
        }
        let key = self.keys.new_data_key().await?;
        let in_use = InUse { key: key.clone(), since: Instant::now(), bodies: 1 };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(in_use);
        Ok(key)
    }

    async fn unwrap(&self, key_id: &str, wrapped: Vec<u8>) -> Result<[u8; 32], KeyError> {
        if let Some(plain) = self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner).get(&wrapped) {
            return Ok(*plain);
        }
        let plain = self.keys.unwrap_data_key(key_id, &wrapped).await?;
        let mut unwrapped = self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner);
        if unwrapped.len() >= KEYS_REMEMBERED {
            unwrapped.clear();
        }
        unwrapped.insert(wrapped, plain);
        Ok(plain)
    }

    async fn open(&self, sealed: &Sealed) -> Result<String, KeyError> {
        if sealed.encryption != ALGORITHM {
            return Err(KeyError::permanent(format!("unknown encryption {}", sealed.encryption)));
        }
        let bytes = |text: &str| BASE64.decode(text).map_err(|_| KeyError::permanent("not base64"));
        let plain_key = self.unwrap(&sealed.key_id, bytes(&sealed.wrapped_key)?).await?;
        let plain = open(&cipher(&plain_key)?, sealed.key_id.as_bytes(), &bytes(&sealed.sealed)?)?;
        String::from_utf8(plain).map_err(|_| KeyError::permanent("the body is not text"))
    }
}

fn cipher(plain: &[u8; 32]) -> Result<LessSafeKey, KeyError> {
    let key = UnboundKey::new(&AES_256_GCM, plain).map_err(|_| KeyError::permanent("not a key"))?;
    Ok(LessSafeKey::new(key))
}

#[async_trait]
impl BodyStep for Encryption {
    async fn outgoing(&self, body: String, _: &mut Attributes) -> Result<String, BodyError> {
        let key = self.data_key().await?;
        let sealed = seal(&cipher(&key.plain)?, &self.random, key.key_id.as_bytes(), body.as_bytes())?;
        audit(self.audit.as_ref(), AuditAction::Encrypt, &key.key_id, None);
        let sealed = Sealed {
            encryption: ALGORITHM.to_owned(),
            key_id: key.key_id,
            wrapped_key: BASE64.encode(&key.wrapped),
            sealed: BASE64.encode(sealed),
        };
        serde_json::to_string(&sealed).map_err(|error| BodyError::permanent(error.to_string()))
    }

    async fn incoming(&self, body: String, _: &Attributes) -> Result<String, BodyError> {
        let sealed: Sealed =
            serde_json::from_str(&body).map_err(|_| BodyError::permanent("the body is not encrypted"))?;
        let opened = self.open(&sealed).await;
        let refused = opened.as_ref().err().map(ToString::to_string);
        audit(self.audit.as_ref(), AuditAction::Decrypt, &sealed.key_id, refused);
        Ok(opened?)
    }
}

impl From<KeyError> for BodyError {
    fn from(error: KeyError) -> BodyError {
        BodyError { why: format!("the body's encryption: {error}"), retryable: error.retryable }
    }
}

impl From<Encryption> for Arc<dyn BodyStep> {
    fn from(step: Encryption) -> Arc<dyn BodyStep> {
        Arc::new(step)
    }
}
