//! Key providers: a provider creates data keys, and wraps them with a key that never leaves it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

/// Creates data keys and unwraps them. Wrapping keys have ids, so that they can be rotated: the newest wraps,
/// all unwrap.
#[async_trait]
pub trait KeyProvider: Send + Sync + 'static {
    /// Creates a data key.
    ///
    /// # Errors
    /// No key can be created.
    async fn new_data_key(&self) -> Result<DataKey, KeyError>;

    /// Returns the plain bytes of a wrapped data key.
    ///
    /// # Errors
    /// The wrapping key is unknown, or the wrapped key was changed.
    async fn unwrap_data_key(&self, key_id: &str, wrapped: &[u8]) -> Result<[u8; 32], KeyError>;
}

/// A data key, plain and wrapped.
#[derive(Clone)]
pub struct DataKey {
    /// The id of the wrapping key.
    pub key_id: String,
    /// The wrapped key, which may travel with the message.
    pub wrapped: Vec<u8>,
    /// The plain key, which must stay secret.
    pub plain: [u8; 32],
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A key is not available.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub struct KeyError {
    /// Description of the failure.
    pub why: String,
    /// Whether a retry may succeed.
    pub retryable: bool,
}

impl KeyError {
    /// Creates a permanent error.
    pub fn permanent(why: impl Into<String>) -> KeyError {
        KeyError { why: why.into(), retryable: false }
    }
}

/// Keys in a local file:
///
/// ```json
/// { "current": "2026-11", "keys": { "2026-11": "<32 bytes in base64>", "2026-05": "…" } }
/// ```
///
/// Running programs reload a file that was [rotated](Self::rotate) or replaced: a reader at once, if it meets
/// an unknown key id; a writer with its next data key.
pub struct LocalKeys {
    path: PathBuf,
    ring: RwLock<Arc<Ring>>,
    random: SystemRandom,
}

/// The content of the file.
struct Ring {
    current: String,
    keys: BTreeMap<String, LessSafeKey>,
    /// The identity of the file with this content.
    version: Option<(SystemTime, u64)>,
}

#[derive(Serialize, Deserialize)]
struct KeyFile {
    current: String,
    keys: BTreeMap<String, String>,
}

impl Ring {
    fn read(path: &Path) -> Result<Ring, KeyError> {
        let wrong = |why: String| KeyError::permanent(format!("{}: {why}", path.display()));
        // Taken before reading: if the file is replaced in between, it is read again.
        let version = version(path);
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let file: KeyFile = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let mut keys = BTreeMap::new();
        for (id, text) in &file.keys {
            let bytes = BASE64.decode(text).map_err(|_| wrong(format!("key {id} is not base64")))?;
            let key = UnboundKey::new(&AES_256_GCM, &bytes)
                .map_err(|_| wrong(format!("key {id} has not 32 bytes")))?;
            keys.insert(id.clone(), LessSafeKey::new(key));
        }
        if !keys.contains_key(&file.current) {
            return Err(wrong(format!("the current key, {}, is missing", file.current)));
        }
        Ok(Ring { current: file.current, keys, version })
    }
}

/// Identifies one version of the file with this name.
fn version(path: &Path) -> Option<(SystemTime, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

impl LocalKeys {
    /// Reads the file.
    ///
    /// # Errors
    /// The file cannot be read, or is malformed.
    pub fn read(path: impl AsRef<Path>) -> Result<LocalKeys, KeyError> {
        let path = path.as_ref().to_owned();
        let ring = RwLock::new(Arc::new(Ring::read(&path)?));
        Ok(LocalKeys { path, ring, random: SystemRandom::new() })
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the current keys of the file, or the last known ones if it cannot be read.
    fn newest(&self) -> Arc<Ring> {
        let known = self.ring();
        if version(&self.path) == known.version {
            return known;
        }
        match Ring::read(&self.path) {
            Ok(ring) => {
                let ring = Arc::new(ring);
                *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring.clone();
                ring
            }
            Err(error) => {
                tracing::warn!(%error, "the key file cannot be reloaded; the old keys stay in use");
                known
            }
        }
    }

    /// Adds a new key to the file, which is created if missing, and makes it the current key. Older keys
    /// stay, to decrypt what they encrypted.
    ///
    /// # Errors
    /// The file cannot be read or written, or has a key with this id already.
    pub fn rotate(path: impl AsRef<Path>, new_id: &str) -> Result<(), KeyError> {
        let path = path.as_ref();
        let wrong = |why: String| KeyError::permanent(format!("{}: {why}", path.display()));
        let mut file = match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                KeyFile { current: String::new(), keys: BTreeMap::new() }
            }
            Err(error) => return Err(wrong(error.to_string())),
        };
        let mut key = [0; 32];
        SystemRandom::new().fill(&mut key).map_err(|_| wrong("the system has no randomness".to_owned()))?;
        if file.keys.insert(new_id.to_owned(), BASE64.encode(key)).is_some() {
            return Err(wrong(format!("there is a key {new_id} already")));
        }
        new_id.clone_into(&mut file.current);
        let text = serde_json::to_string_pretty(&file).map_err(|error| wrong(error.to_string()))?;
        // Written to another file first: a crash must not leave half a file, which would lose all keys.
        let beside = path.with_extension("new");
        write_secret(&beside, &text)
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(|error| wrong(error.to_string()))
    }
}

/// Creates a file that only its owner may read.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::File::options();
    options.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[async_trait]
impl KeyProvider for LocalKeys {
    async fn new_data_key(&self) -> Result<DataKey, KeyError> {
        let mut plain = [0; 32];
        self.random.fill(&mut plain).map_err(|_| KeyError::permanent("the system has no randomness"))?;
        let Ring { current, keys, .. } = &*self.newest();
        let Some(key) = keys.get(current) else {
            return Err(KeyError::permanent("the current key is missing"));
        };
        let wrapped = seal(key, &self.random, current.as_bytes(), &plain)?;
        Ok(DataKey { key_id: current.clone(), wrapped, plain })
    }

    async fn unwrap_data_key(&self, key_id: &str, wrapped: &[u8]) -> Result<[u8; 32], KeyError> {
        let mut ring = self.ring();
        if !ring.keys.contains_key(key_id) {
            ring = self.newest();
        }
        let key =
            ring.keys.get(key_id).ok_or_else(|| KeyError::permanent(format!("there is no key {key_id}")))?;
        let plain = open(key, key_id.as_bytes(), wrapped)?;
        plain.try_into().map_err(|_| KeyError::permanent("the data key has not 32 bytes"))
    }
}

/// Returns the nonce, then the ciphertext with its tag.
pub(super) fn seal(
    key: &LessSafeKey,
    random: &SystemRandom,
    context: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce).map_err(|_| KeyError::permanent("the system has no randomness"))?;
    let mut sealed = plain.to_vec();
    let nonce_used = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce_used, Aad::from(context), &mut sealed)
        .map_err(|_| KeyError::permanent("too large to seal"))?;
    sealed.splice(0..0, nonce);
    Ok(sealed)
}

/// Reverses [`seal`].
pub(super) fn open(key: &LessSafeKey, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
    let refused = || KeyError::permanent("it was sealed with another key, or has been changed");
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(refused)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| refused())?;
    let mut plain = sealed.to_vec();
    let length = key.open_in_place(nonce, Aad::from(context), &mut plain).map_err(|_| refused())?.len();
    plain.truncate(length);
    Ok(plain)
}

impl From<LocalKeys> for Arc<dyn KeyProvider> {
    fn from(keys: LocalKeys) -> Arc<dyn KeyProvider> {
        Arc::new(keys)
    }
}
