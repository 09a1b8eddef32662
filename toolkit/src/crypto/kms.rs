//! Keys that never leave AWS KMS.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;

use crate::crypto::keys::{DataKey, KeyError, KeyProvider};
use crate::fault::Fault;

/// Creates data keys by `GenerateDataKey` and unwraps them by `Decrypt`, with one KMS key. KMS keeps older
/// versions when it rotates the key.
#[derive(Clone, Debug)]
pub struct KmsKeys {
    kms: aws_sdk_kms::Client,
    key: String,
    older: Vec<String>,
}

impl KmsKeys {
    /// Uses the key with this id, ARN or alias.
    pub fn new(config: &aws_config::SdkConfig, key: impl Into<String>) -> KmsKeys {
        KmsKeys { kms: aws_sdk_kms::Client::new(config), key: key.into(), older: Vec::new() }
    }

    /// Adds a key that encrypted messages that may still be in transit.
    #[must_use]
    pub fn older(mut self, key: impl Into<String>) -> KmsKeys {
        self.older.push(key.into());
        self
    }
}

#[async_trait]
impl KeyProvider for KmsKeys {
    async fn new_data_key(&self) -> Result<DataKey, KeyError> {
        let call = self.kms.generate_data_key().key_id(&self.key).key_spec(DataKeySpec::Aes256);
        let made = call.send().await.map_err(Fault::from)?;
        let plain = made.plaintext.map(Blob::into_inner).unwrap_or_default();
        Ok(DataKey {
            key_id: made.key_id.unwrap_or_else(|| self.key.clone()),
            wrapped: made.ciphertext_blob.map(Blob::into_inner).unwrap_or_default(),
            plain: plain.try_into().map_err(|_| KeyError::permanent("KMS gave no key of 32 bytes"))?,
        })
    }

    async fn unwrap_data_key(&self, key_id: &str, wrapped: &[u8]) -> Result<[u8; 32], KeyError> {
        // The message's key id is not used: a message must not select among all keys that this program may
        // use.
        let mut refused =
            KeyError::permanent(format!("none of the known keys sealed this; it names {key_id}"));
        for key in std::iter::once(&self.key).chain(&self.older) {
            match self.kms.decrypt().key_id(key).ciphertext_blob(Blob::new(wrapped)).send().await {
                Ok(opened) => {
                    let plain = opened.plaintext.map(Blob::into_inner).unwrap_or_default();
                    return plain.try_into().map_err(|_| KeyError::permanent("KMS gave no key of 32 bytes"));
                }
                Err(error) => {
                    let fault = Fault::from(error);
                    if fault.code != "IncorrectKeyException" {
                        refused = fault.into();
                    }
                }
            }
        }
        Err(refused)
    }
}

impl From<Fault> for KeyError {
    fn from(fault: Fault) -> KeyError {
        KeyError { why: format!("KMS: {fault}"), retryable: fault.retryable }
    }
}

impl From<KmsKeys> for Arc<dyn KeyProvider> {
    fn from(keys: KmsKeys) -> Arc<dyn KeyProvider> {
        Arc::new(keys)
    }
}
