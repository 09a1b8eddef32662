//! One attempt: the parcel goes to the protocol that it is for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::guard::Guard;
use crate::https::Https;
use crate::parcel::{Outcome, Parcel, Payload};
use crate::trust::Trust;

/// How long SNS waits for an endpoint's answer (developer guide, "Message delivery retries").
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);

/// What a carrier is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which addresses subscribers' URLs may lead to. What the operator configures (gateways, the SMTP server) is not
    /// looked at.
    pub guard: Guard,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// A PEM file with certificates to trust besides the machine's.
    pub ca_file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { guard: Guard::Off, timeout: TIMEOUT, ca_file: None }
    }
}

/// A setting that cannot be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SettingsError {
    /// The file of certificates.
    CaFile(String),
}

impl std::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SettingsError::CaFile(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for SettingsError {}

/// Hands over parcels. Needs a tokio runtime, with I/O and time, that outlives each attempt.
pub struct Carrier {
    endpoints: Https,
}

impl Carrier {
    /// A carrier. Makes no connection and reads nothing but the file that it is told of.
    pub fn new(settings: Settings) -> Result<Carrier, SettingsError> {
        let trust = Arc::new(Trust::new(settings.ca_file.as_ref()).map_err(SettingsError::CaFile)?);
        Ok(Carrier { endpoints: Https::new(settings.guard, settings.timeout, trust) })
    }

    /// Makes one attempt. Dropping the future abandons it, in whatever state it is.
    pub async fn carry(&self, parcel: Parcel) -> Outcome {
        match parcel.payload {
            Payload::Http(post) => self.endpoints.post(post).await,
            _ => Outcome::refused("not served"),
        }
    }
}
