//! Bodies that only the right readers can read, and whose author a reader can verify.
//!
//! ```text
//!   body ─ sign ─▶ body + signature ─ encrypt ─▶ sealed body ──▶ [queue] ──▶ decrypt ─▶ verify ─▶ body
//! ```
//!
//! Add the steps in this order to the publisher and to the consumer: `.step(signing).step(encryption)`.

mod encryption;
mod keys;
#[cfg(feature = "kms")]
mod kms;
mod signing;

pub use encryption::Encryption;
pub use keys::{DataKey, KeyError, KeyProvider, LocalKeys};
#[cfg(feature = "kms")]
pub use kms::KmsKeys;
pub use signing::{SIGNATURE, SIGNATURE_KEY, Signatory, Signing, SigningKeys};

use std::sync::Arc;

/// An event for a security log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEvent {
    /// The operation.
    pub action: AuditAction,
    /// The id of the key.
    pub key_id: String,
    /// The reason, if the operation was refused.
    pub refused: Option<String>,
}

/// An operation with a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuditAction {
    /// A body was encrypted.
    Encrypt,
    /// A body was decrypted.
    Decrypt,
    /// A body was signed.
    Sign,
    /// A signature was verified.
    Verify,
}

/// The destinations of audit events.
pub type AuditHook = Arc<dyn Fn(&AuditEvent) + Send + Sync>;

/// Events go to `tracing`, with the target `audit`, and to the hook, if there is one.
fn audit(hook: Option<&AuditHook>, action: AuditAction, key_id: &str, refused: Option<String>) {
    match &refused {
        None => tracing::debug!(target: "audit", ?action, key_id, "key used"),
        Some(why) => tracing::warn!(target: "audit", ?action, key_id, why, "refused"),
    }
    if let Some(hook) = hook {
        hook(&AuditEvent { action, key_id: key_id.to_owned(), refused });
    }
}
