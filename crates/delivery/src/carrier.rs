//! One attempt: the parcel goes to whoever takes its kind.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::gateway::Gateway;
use crate::guard::Guard;
use crate::https::Https;
use crate::outbox::{self, Outbox};
use crate::parcel::{Outcome, Parcel, Payload};
use crate::smtp::Smtp;
use crate::sockets::Sockets;
use crate::trust::Trust;

/// Sockets, unless the carrier is told otherwise.
const SOCKETS: usize = 1024;

/// What a carrier is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which addresses subscribers' URLs may lead to. What the operator configures (gateways, the SMTP server) is not
    /// looked at.
    pub guard: Guard,
    /// How long an attempt over HTTP may take. SNS waits for 15 seconds (developer guide, "Message delivery retries").
    pub timeout: Duration,
    /// A PEM file with certificates to trust besides the machine's.
    pub ca_file: Option<PathBuf>,
    /// The server that takes e-mail: `smtp://user:password@host:port`, or `smtps://…`. With `smtp:` TLS is used if the
    /// server offers it, and insisted on if there is a password or `?tls=required`; `?tls=none` does without.
    pub smtp: Option<String>,
    /// The address that e-mail comes from.
    pub mail_from: String,
    /// A URL that takes text messages.
    pub sms_gateway: Option<String>,
    /// A URL that takes mobile push notifications.
    pub push_gateway: Option<String>,
    /// A URL that takes calls of functions.
    pub lambda_gateway: Option<String>,
    /// A URL that takes records for delivery streams.
    pub firehose_gateway: Option<String>,
    /// Sockets to endpoints and gateways that may be open at once, with those that are kept for the next request. Attempts
    /// beyond that wait for one.
    pub sockets: usize,
    /// How many parcels the outbox keeps.
    pub outbox_parcels: usize,
    /// Of how many bytes together.
    pub outbox_bytes: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            guard: Guard::Off,
            timeout: Duration::from_secs(15),
            ca_file: None,
            smtp: None,
            mail_from: "no-reply@sns.amazonaws.com".into(),
            sms_gateway: None,
            push_gateway: None,
            lambda_gateway: None,
            firehose_gateway: None,
            sockets: SOCKETS,
            outbox_parcels: outbox::PARCELS,
            outbox_bytes: outbox::BYTES,
        }
    }
}

/// A setting that cannot be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SettingsError {
    /// The file of certificates.
    CaFile(String),
    /// The SMTP server or the address that e-mail comes from.
    Mail(String),
    /// A gateway: which, and why.
    Gateway(&'static str, String),
}

impl std::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SettingsError::CaFile(reason) | SettingsError::Mail(reason) => f.write_str(reason),
            SettingsError::Gateway(which, reason) => {
                write!(f, "the {which} gateway cannot be used: {reason}")
            }
        }
    }
}

impl std::error::Error for SettingsError {}

/// Hands over parcels; what nobody was configured for goes to the outbox. Needs a tokio runtime, with I/O and time, that
/// outlives each attempt.
pub struct Carrier {
    endpoints: Https,
    smtp: Option<Smtp>,
    sms: Option<Gateway>,
    push: Option<Gateway>,
    lambda: Option<Gateway>,
    firehose: Option<Gateway>,
    outbox: Arc<Outbox>,
}

impl Carrier {
    /// A carrier. Makes no connection and reads nothing but the file of certificates that it is told of.
    pub fn new(settings: Settings) -> Result<Carrier, SettingsError> {
        let trust = Arc::new(Trust::new(settings.ca_file.as_ref()).map_err(SettingsError::CaFile)?);
        let smtp = settings.smtp.map(|server| Smtp::new(&server, &settings.mail_from, trust.clone()));
        let sockets = Sockets::new(settings.sockets);
        let gateways = Arc::new(Https::new(Guard::Off, settings.timeout, trust.clone(), sockets.clone()));
        let gateway = |which: &'static str, url: Option<String>| {
            let gateway = url.map(|url| Gateway::new(&url, gateways.clone()));
            gateway.transpose().map_err(|reason| SettingsError::Gateway(which, reason))
        };
        Ok(Carrier {
            endpoints: Https::new(settings.guard, settings.timeout, trust, sockets),
            smtp: smtp.transpose().map_err(SettingsError::Mail)?,
            sms: gateway("SMS", settings.sms_gateway)?,
            push: gateway("push", settings.push_gateway)?,
            lambda: gateway("Lambda", settings.lambda_gateway)?,
            firehose: gateway("Firehose", settings.firehose_gateway)?,
            outbox: Arc::new(Outbox::new(settings.outbox_parcels, settings.outbox_bytes)),
        })
    }

    /// Where parcels go that nobody was configured for.
    pub fn outbox(&self) -> Arc<Outbox> {
        self.outbox.clone()
    }

    /// Makes one attempt. Dropping the future abandons it, in whatever state it is.
    pub async fn carry(&self, parcel: &Parcel) -> Outcome {
        let gateway = match &parcel.payload {
            Payload::Http(post) => return self.endpoints.post(post).await,
            Payload::Email(email) => match &self.smtp {
                Some(smtp) => return smtp.send(email, &parcel.origin).await,
                None => &None,
            },
            Payload::Sms(_) => &self.sms,
            Payload::Push(_) => &self.push,
            Payload::Function(_) => &self.lambda,
            Payload::Stream(_) => &self.firehose,
        };
        match gateway {
            Some(gateway) => gateway.send(parcel).await,
            None => {
                self.outbox.put(parcel);
                Outcome::Delivered { status: None }
            }
        }
    }
}
