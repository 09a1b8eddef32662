//! Where keys come from: a provider makes a key for the data, and wraps it in one that never leaves it.

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

/// Makes data keys and unwraps them. The wrapping keys have ids, so that they can be rotated: the newest wraps, all unwrap.
#[async_trait]
pub trait KeyProvider: Send + Sync + 'static {
    /// A new data key.
    ///
    /// # Errors
    /// When none can be made.
    async fn new_data_key(&self) -> Result<DataKey, KeyError>;

    /// The plain bytes of a wrapped data key.
    ///
    /// # Errors
    /// When that key is unknown, or the wrapping was tampered with.
    async fn unwrap_data_key(&self, key_id: &str, wrapped: &[u8]) -> Result<[u8; 32], KeyError>;
}

/// A key for data, plain and wrapped.
#[derive(Clone)]
pub struct DataKey {
    /// The id of the key that wraps it.
    pub key_id: String,
    /// What may travel.
    pub wrapped: Vec<u8>,
    /// What may not.
    pub plain: [u8; 32],
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// No key.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub struct KeyError {
    /// What went wrong.
    pub why: String,
    /// Whether it may pass.
    pub retryable: bool,
}

impl KeyError {
    /// It will be the same next time.
    pub fn permanent(why: impl Into<String>) -> KeyError {
        KeyError { why: why.into(), retryable: false }
    }
}

/// Keys in a file of this machine:
///
/// ```json
/// { "current": "2026-11", "keys": { "2026-11": "<32 bytes in base64>", "2026-05": "…" } }
/// ```
///
/// A file that is [rotated](Self::rotate), or replaced, is read again by programs that run: by who is to open something with a key that
/// he does not know, at once; by who seals, with his next data key.
pub struct LocalKeys {
    path: PathBuf,
    ring: RwLock<Arc<Ring>>,
    random: SystemRandom,
}

/// What the file says.
struct Ring {
    current: String,
    keys: BTreeMap<String, LessSafeKey>,
    /// The file that said so.
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
        // Before it is read: should it be replaced in between, it is read again.
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

/// What tells one file of this name from the next.
fn version(path: &Path) -> Option<(SystemTime, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

impl LocalKeys {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or is not such a file.
    pub fn read(path: impl AsRef<Path>) -> Result<LocalKeys, KeyError> {
        let path = path.as_ref().to_owned();
        let ring = RwLock::new(Arc::new(Ring::read(&path)?));
        Ok(LocalKeys { path, ring, random: SystemRandom::new() })
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys as the file has them now; as they were, where it cannot be read.
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
                tracing::warn!(%error, "the keys stay as they were");
                known
            }
        }
    }

    /// Adds a new key to the file, which is made if missing, and makes it the current one. Older keys stay, to read what they sealed.
    ///
    /// # Errors
    /// When the file cannot be read or written, or has this key already.
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
        // Beside it first: a crash must not leave half a file, which would lose all keys.
        let beside = path.with_extension("new");
        write_secret(&beside, &text)
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(|error| wrong(error.to_string()))
    }
}

/// A file that only its owner may read.
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

/// Nonce, then ciphertext with its tag.
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

/// Undoes [`seal`].
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
