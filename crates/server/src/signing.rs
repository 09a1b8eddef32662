//! How envelopes are signed here: with the key that the data directory holds.

use std::sync::Arc;

use delivery::Notary;
use notification::{SignatureVersion, Signer};

/// Signs with the server's own key.
pub struct OwnKey(pub Arc<Notary>);

impl Signer for OwnKey {
    fn sign(&self, version: SignatureVersion, text: &str) -> String {
        let version = match version {
            SignatureVersion::One => delivery::SignatureVersion::V1,
            SignatureVersion::Two => delivery::SignatureVersion::V2,
        };
        self.0.sign(version, text).unwrap_or_else(|error| {
            // The message is worth more than its signature: who checks it will refuse it, who does not gets it.
            eprintln!("posthaste: a message goes out unsigned: {error}");
            String::new()
        })
    }

    fn certificate_name(&self) -> String {
        self.0.certificate().map(|certificate| certificate.file_name.clone()).unwrap_or_default()
    }
}
