//! Signs messages, so that receivers can verify the sender; keeps the key, and provides the certificate.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::rand_core::UnwrapErr;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::{DecodePem, EncodePem};

use crate::certificate;

/// The file in the data directory with the key and its certificate.
pub const KEY_FILE: &str = "sns-signing-key.pem";

/// Number of cached signatures: a message has the same signature in all of a topic's queues.
const CACHED: usize = 4096;

const KEY_BITS: usize = 2048;

/// SNS's two signature versions (a topic's `SignatureVersion`). Both are RSASSA-PKCS1-v1_5.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SignatureVersion {
    /// `1`: over SHA-1.
    V1,
    /// `2`: over SHA-256.
    V2,
}

impl SignatureVersion {
    /// Returns the text in attributes and envelopes.
    pub fn as_str(self) -> &'static str {
        match self {
            SignatureVersion::V1 => "1",
            SignatureVersion::V2 => "2",
        }
    }
}

/// Signs texts. The key is created when it is first needed, which takes a moment: see [`Notary::prepare`].
pub struct Notary {
    /// The file of the key; `None`: in memory.
    path: Option<PathBuf>,
    seal: OnceLock<Seal>,
    /// Locked while the key is created, so that it is created once.
    making: Mutex<()>,
    cache: Mutex<Cache>,
}

/// The certificate of the key, as receivers download it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublishedCertificate {
    /// The last part of its URL's path: `SimpleNotificationService-`, 32 hexadecimal digits, `.pem`.
    pub file_name: String,
    /// The certificate, in PEM.
    pub pem: String,
}

/// Why nothing can be signed.
#[derive(Debug)]
pub enum NotaryError {
    /// The file cannot be read or written.
    File(PathBuf, io::Error),
    /// The file is damaged.
    Malformed(PathBuf, String),
    /// The machine provides no random bytes, or the key does not work.
    Key(String),
}

impl fmt::Display for NotaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotaryError::File(path, error) => {
                write!(f, "the key that signs messages, {}: {error}", path.display())
            }
            NotaryError::Malformed(path, error) => write!(
                f,
                "{} does not hold a key and its certificate ({error}). Put back the file as it was, or remove it: then \
                 a new key is made, and receivers fetch its certificate",
                path.display()
            ),
            NotaryError::Key(error) => write!(f, "the key that signs messages: {error}"),
        }
    }
}

impl std::error::Error for NotaryError {}

impl Notary {
    /// Creates a notary that keeps its key in a directory, or in memory. Reads an existing key, but creates
    /// none.
    pub fn open(directory: Option<&Path>) -> Result<Notary, NotaryError> {
        let notary = Notary {
            path: directory.map(|directory| directory.join(KEY_FILE)),
            seal: OnceLock::new(),
            making: Mutex::default(),
            cache: Mutex::default(),
        };
        if let Some(path) = &notary.path
            && let Some(seal) = Seal::read(path)?
        {
            // The lock was created above.
            let _ = notary.seal.set(seal);
        }
        Ok(notary)
    }

    /// Creates the key, if there is none. This takes tens to hundreds of milliseconds of CPU time. So call it
    /// on a separate thread as soon as the first signature is expected.
    pub fn prepare(&self) -> Result<(), NotaryError> {
        self.seal().map(drop)
    }

    /// Signs a text. Returns the signature in base64. The same text always has the same signature.
    pub fn sign(&self, version: SignatureVersion, text: &str) -> Result<String, NotaryError> {
        let seal = self.seal()?;
        let digest = Hash::of(version, text);
        if let Some(signature) = self.cache().get(&digest) {
            return Ok(STANDARD.encode(signature));
        }
        let signature = seal.sign(&digest)?;
        let text = STANDARD.encode(&signature);
        self.cache().put(digest, signature);
        Ok(text)
    }

    /// Returns the signature of a text, if it is cached.
    pub fn signed_before(&self, version: SignatureVersion, text: &str) -> Option<String> {
        self.cache().get(&Hash::of(version, text)).map(|signature| STANDARD.encode(signature))
    }

    /// Returns the certificate, if there is a key.
    pub fn made_certificate(&self) -> Option<&PublishedCertificate> {
        Some(&self.seal.get()?.certificate)
    }

    /// Returns the certificate for verifying signatures. Creates the key if there is none.
    pub fn certificate(&self) -> Result<&PublishedCertificate, NotaryError> {
        Ok(&self.seal()?.certificate)
    }

    /// Returns the key, for TLS with the certificate.
    pub(crate) fn key_pem(&self) -> Result<impl std::ops::Deref<Target = String>, NotaryError> {
        let pem = self.seal()?.key.to_pkcs8_pem(LineEnding::LF);
        pem.map_err(|error| NotaryError::Key(error.to_string()))
    }

    fn seal(&self) -> Result<&Seal, NotaryError> {
        if let Some(seal) = self.seal.get() {
            return Ok(seal);
        }
        // The data under this lock is always valid, also after a panic.
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seal) = self.seal.get() {
            return Ok(seal);
        }
        let (seal, file) = Seal::make()?;
        if let Some(path) = &self.path {
            write(path, &file).map_err(|error| NotaryError::File(path.clone(), error))?;
        }
        Ok(self.seal.get_or_init(|| seal))
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key and its certificate.
struct Seal {
    key: RsaPrivateKey,
    certificate: PublishedCertificate,
}

impl Seal {
    /// Creates a key. Returns it with the content of its file.
    fn make() -> Result<(Seal, String), NotaryError> {
        let failed = |error: &dyn fmt::Display| NotaryError::Key(error.to_string());
        // Checked first, because the generator below panics without random bytes.
        getrandom::fill(&mut [0; 1]).map_err(|error| failed(&error))?;
        let mut random = UnwrapErr(getrandom::SysRng);
        let key = RsaPrivateKey::new(&mut random, KEY_BITS).map_err(|error| failed(&error))?;
        let certificate = certificate::of(&key).map_err(|error| failed(&error))?;
        let seal = Seal::of(key, &certificate).map_err(|error| failed(&error))?;
        let key = seal.key.to_pkcs8_pem(LineEnding::LF).map_err(|error| failed(&error))?;
        let file = format!("{}{}", key.as_str(), seal.certificate.pem);
        Ok((seal, file))
    }

    fn of(key: RsaPrivateKey, certificate: &Certificate) -> x509_cert::builder::Result<Seal> {
        let file_name = certificate::file_name(certificate)?;
        let pem = certificate.to_pem(LineEnding::LF)?;
        Ok(Seal { key, certificate: PublishedCertificate { file_name, pem } })
    }

    /// Reads the key from its file, if the file exists.
    fn read(path: &Path) -> Result<Option<Seal>, NotaryError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(NotaryError::File(path.to_owned(), error)),
        };
        let malformed = |error: &dyn fmt::Display| NotaryError::Malformed(path.to_owned(), error.to_string());
        let begin =
            text.find("-----BEGIN CERTIFICATE").ok_or_else(|| malformed(&"there is no certificate"))?;
        let (key, certificate) = text.split_at(begin);
        let key = RsaPrivateKey::from_pkcs8_pem(key).map_err(|error| malformed(&error))?;
        let certificate = Certificate::from_pem(certificate).map_err(|error| malformed(&error))?;
        let seal = Seal::of(key, &certificate).map_err(|error| malformed(&error))?;
        Ok(Some(seal))
    }

    fn sign(&self, hash: &Hash) -> Result<Vec<u8>, NotaryError> {
        let signed = match hash {
            Hash::Sha1(digest) => self.key.sign(Pkcs1v15Sign::new::<Sha1>(), digest),
            Hash::Sha256(digest) => self.key.sign(Pkcs1v15Sign::new::<Sha256>(), digest),
        };
        signed.map_err(|error| NotaryError::Key(error.to_string()))
    }
}

/// The signed form of a text.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Hash {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

impl Hash {
    fn of(version: SignatureVersion, text: &str) -> Hash {
        match version {
            SignatureVersion::V1 => Hash::Sha1(Sha1::digest(text).into()),
            SignatureVersion::V2 => Hash::Sha256(Sha256::digest(text).into()),
        }
    }
}

/// The newest signatures.
#[derive(Default)]
struct Cache {
    signatures: HashMap<Hash, Vec<u8>>,
    order: VecDeque<Hash>,
}

impl Cache {
    fn get(&self, hash: &Hash) -> Option<&[u8]> {
        self.signatures.get(hash).map(Vec::as_slice)
    }

    fn put(&mut self, hash: Hash, signature: Vec<u8>) {
        // Two threads may have signed the same text at the same time.
        if self.signatures.insert(hash.clone(), signature).is_some() {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > CACHED
            && let Some(oldest) = self.order.pop_front()
        {
            self.signatures.remove(&oldest);
        }
    }
}

/// Writes a file that only its owner may read, completely or not at all.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("pem.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The name must be durable, too.
    if let Some(directory) = path.parent() {
        fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::RsaPublicKey;
    use rsa::pkcs8::DecodePublicKey;
    use x509_cert::der::Encode;

    fn public_key(notary: &Notary) -> RsaPublicKey {
        let certificate = Certificate::from_pem(&notary.certificate().unwrap().pem).unwrap();
        let key = certificate.tbs_certificate().subject_public_key_info().to_der().unwrap();
        RsaPublicKey::from_public_key_der(&key).unwrap()
    }

    #[test]
    fn signatures_of_both_versions_can_be_verified_with_the_certificate() {
        let notary = Notary::open(None).unwrap();
        let key = public_key(&notary);
        for text in ["", "Message\nhello\n", "ünïcödé"] {
            let v1 = STANDARD.decode(notary.sign(SignatureVersion::V1, text).unwrap()).unwrap();
            key.verify(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(text), &v1).unwrap();
            let v2 = STANDARD.decode(notary.sign(SignatureVersion::V2, text).unwrap()).unwrap();
            key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(text), &v2).unwrap();
            assert_eq!(STANDARD.encode(v2), notary.sign(SignatureVersion::V2, text).unwrap());
        }
    }
}
