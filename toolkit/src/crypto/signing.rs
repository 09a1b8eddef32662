//! Signatures over bodies: HMAC if writer and reader share a secret, Ed25519 if readers must not be able to
//! write.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};

use crate::body::{Attribute, Attributes, BodyError, BodyStep};
use crate::crypto::keys::KeyError;
use crate::crypto::{AuditAction, AuditHook, audit};

/// The message attribute with the signature.
pub const SIGNATURE: &str = "Signature";
/// The message attribute with the id of the key.
pub const SIGNATURE_KEY: &str = "SignatureKey";

/// Signs bodies, and accepts only bodies that are signed with a known key.
///
/// **Guarantee**: a handler gets a body only as a holder of one of the keys wrote it. A signature covers the
/// body, whose envelope contains id, type, source and time. It does not prevent an old message from being
/// sent again: an [inbox](crate::inbox) does.
///
/// ```
/// # toolkit::testing::block_on(async {
/// use toolkit::body::{Attributes, BodyStep};
/// use toolkit::crypto::{Signatory, Signing, SigningKeys};
///
/// let (private, public) = SigningKeys::generate_ed25519()?;
/// let shop = Signing::new(SigningKeys::new().ed25519("shop-1", &public)?).sign_as(Signatory::ed25519("shop-1", &private)?);
/// let readers = Signing::new(SigningKeys::new().ed25519("shop-1", &public)?);
///
/// let mut attributes = Attributes::new();
/// let body = shop.outgoing("pay 5".into(), &mut attributes).await?;
/// assert!(readers.incoming(body, &attributes).await.is_ok());
/// assert!(readers.incoming("pay 500".into(), &attributes).await.is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub struct Signing {
    keys: SigningKeys,
    signatory: Option<Signatory>,
    audit: Option<AuditHook>,
}

/// The keys whose signatures are accepted, by id. Include old keys while messages signed with them are in
/// transit.
#[derive(Default)]
pub struct SigningKeys {
    known: BTreeMap<String, Verifier>,
}

enum Verifier {
    Hmac(hmac::Key),
    Ed25519(Vec<u8>),
}

/// A key that signs.
pub struct Signatory {
    key_id: String,
    signer: Signer,
}

enum Signer {
    Hmac(hmac::Key),
    Ed25519(Box<Ed25519KeyPair>),
}

impl SigningKeys {
    /// Creates an empty set of keys.
    pub fn new() -> SigningKeys {
        SigningKeys::default()
    }

    /// Adds a shared secret for HMAC with SHA-256, of at least 32 bytes.
    ///
    /// # Errors
    /// The secret is shorter.
    pub fn hmac(mut self, key_id: &str, secret: &[u8]) -> Result<SigningKeys, KeyError> {
        self.known.insert(key_id.to_owned(), Verifier::Hmac(hmac_key(secret)?));
        Ok(self)
    }

    /// Adds a public key of 32 bytes.
    ///
    /// # Errors
    /// The key has another length.
    pub fn ed25519(mut self, key_id: &str, public: &[u8]) -> Result<SigningKeys, KeyError> {
        if public.len() != 32 {
            return Err(KeyError::permanent(format!("the public key {key_id} has not 32 bytes")));
        }
        self.known.insert(key_id.to_owned(), Verifier::Ed25519(public.to_vec()));
        Ok(self)
    }

    /// Generates a key pair: the private key (PKCS #8) and the public key.
    ///
    /// # Errors
    /// The system provides no random bytes.
    pub fn generate_ed25519() -> Result<(Vec<u8>, Vec<u8>), KeyError> {
        use ring::signature::KeyPair;
        let failed = |_| KeyError::permanent("the system has no randomness");
        let private = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).map_err(failed)?;
        let pair = Ed25519KeyPair::from_pkcs8(private.as_ref())
            .map_err(|error| KeyError::permanent(format!("the new key: {error}")))?;
        Ok((private.as_ref().to_vec(), pair.public_key().as_ref().to_vec()))
    }
}

fn hmac_key(secret: &[u8]) -> Result<hmac::Key, KeyError> {
    match secret.len() {
        32.. => Ok(hmac::Key::new(hmac::HMAC_SHA256, secret)),
        _ => Err(KeyError::permanent("the secret is shorter than 32 bytes")),
    }
}

impl Signatory {
    /// Uses a shared secret of at least 32 bytes.
    ///
    /// # Errors
    /// The secret is shorter.
    pub fn hmac(key_id: &str, secret: &[u8]) -> Result<Signatory, KeyError> {
        Ok(Signatory { key_id: key_id.to_owned(), signer: Signer::Hmac(hmac_key(secret)?) })
    }

    /// Uses a private key in PKCS #8.
    ///
    /// # Errors
    /// The bytes are not such a key.
    pub fn ed25519(key_id: &str, private: &[u8]) -> Result<Signatory, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(private)
            .map_err(|error| KeyError::permanent(format!("the private key {key_id}: {error}")))?;
        Ok(Signatory { key_id: key_id.to_owned(), signer: Signer::Ed25519(Box::new(pair)) })
    }
}

impl Signing {
    /// Accepts signatures of these keys.
    pub fn new(keys: SigningKeys) -> Signing {
        Signing { keys, signatory: None, audit: None }
    }

    /// Also signs outgoing bodies with this key.
    #[must_use]
    pub fn sign_as(mut self, signatory: Signatory) -> Signing {
        self.signatory = Some(signatory);
        self
    }

    /// Adds a hook that gets an event for every use of a key.
    #[must_use]
    pub fn audit(mut self, hook: impl Fn(&super::AuditEvent) + Send + Sync + 'static) -> Signing {
        self.audit = Some(Arc::new(hook));
        self
    }

    fn verify(&self, key_id: &str, body: &str, signature: &str) -> Result<(), String> {
        let key = self.keys.known.get(key_id).ok_or_else(|| format!("there is no key {key_id}"))?;
        let signature = BASE64.decode(signature).map_err(|_| "the signature is not base64".to_owned())?;
        let valid = match key {
            Verifier::Hmac(key) => hmac::verify(key, body.as_bytes(), &signature).is_ok(),
            Verifier::Ed25519(public) => {
                UnparsedPublicKey::new(&ED25519, public).verify(body.as_bytes(), &signature).is_ok()
            }
        };
        if valid { Ok(()) } else { Err("the signature does not fit the body".to_owned()) }
    }
}

#[async_trait]
impl BodyStep for Signing {
    async fn outgoing(&self, body: String, attributes: &mut Attributes) -> Result<String, BodyError> {
        let Some(Signatory { key_id, signer }) = &self.signatory else {
            return Err(BodyError::permanent("there is no key to sign with"));
        };
        let signature = match signer {
            Signer::Hmac(key) => BASE64.encode(hmac::sign(key, body.as_bytes())),
            Signer::Ed25519(pair) => BASE64.encode(pair.sign(body.as_bytes())),
        };
        attributes.insert(SIGNATURE.to_owned(), Attribute::Text(signature));
        attributes.insert(SIGNATURE_KEY.to_owned(), Attribute::Text(key_id.clone()));
        audit(self.audit.as_ref(), AuditAction::Sign, key_id, None);
        Ok(body)
    }

    async fn incoming(&self, body: String, attributes: &Attributes) -> Result<String, BodyError> {
        let text = |name| attributes.get(name).and_then(Attribute::as_text).unwrap_or_default();
        let key_id = text(SIGNATURE_KEY);
        let verified = self.verify(key_id, &body, text(SIGNATURE));
        audit(self.audit.as_ref(), AuditAction::Verify, key_id, verified.as_ref().err().cloned());
        verified.map_err(BodyError::permanent)?;
        Ok(body)
    }
}

impl From<Signing> for Arc<dyn BodyStep> {
    fn from(step: Signing) -> Arc<dyn BodyStep> {
        Arc::new(step)
    }
}
