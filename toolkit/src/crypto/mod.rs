//! Bodies that only the right readers can read, and that show who wrote them.
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

/// Something that a security log wants to hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEvent {
    /// What happened.
    pub action: AuditAction,
    /// With which key.
    pub key_id: String,
    /// Why, where it was refused.
    pub refused: Option<String>,
}

/// What was done with a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuditAction {
    /// A body was sealed.
    Encrypt,
    /// A body was opened.
    Decrypt,
    /// A body was signed.
    Sign,
    /// A signature was checked.
    Verify,
}

/// Where audit events go.
pub type AuditHook = Arc<dyn Fn(&AuditEvent) + Send + Sync>;

/// Events go to `tracing`, under the target `audit`, and to the hook, if there is one.
fn audit(hook: Option<&AuditHook>, action: AuditAction, key_id: &str, refused: Option<String>) {
    match &refused {
        None => tracing::debug!(target: "audit", ?action, key_id, "key used"),
        Some(why) => tracing::warn!(target: "audit", ?action, key_id, why, "refused"),
    }
    if let Some(hook) = hook {
        hook(&AuditEvent { action, key_id: key_id.to_owned(), refused });
    }
}
