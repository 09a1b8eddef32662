//! Makes one attempt to deliver a parcel, by the protocol of its kind.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::destinations::{Destinations, NotFetched, Patience};
use crate::gateway::Gateway;
use crate::guard::Guard;
use crate::https::Https;
use crate::outbox::{self, Outbox};
use crate::parcel::{HttpRequest, Outcome, Parcel, Payload, TokenRequest};
use crate::smtp::Smtp;
use crate::sockets::Sockets;
use crate::trust::Trust;

/// Default limit of sockets.
const SOCKETS: usize = 1024;

/// Settings of a carrier.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The addresses to which subscribers' URLs may lead. Addresses that the operator configures (gateways,
    /// the SMTP server) are not checked.
    pub guard: Guard,
    /// Timeout of an attempt over HTTP. SNS waits for 15 seconds (developer guide, "Message delivery
    /// retries").
    pub timeout: Duration,
    /// Timeout of a request to an API destination. EventBridge waits for 5 seconds (user guide, "API destinations").
    pub destination_timeout: Duration,
    /// A PEM file with certificates to trust in addition to the machine's.
    pub ca_file: Option<PathBuf>,
    /// The SMTP server for e-mail: `smtp://user:password@host:port`, or `smtps://…`. With `smtp:` TLS is used
    /// if the server offers it. It is required if there is a password or `?tls=required`; `?tls=none` turns
    /// it off.
    pub smtp: Option<String>,
    /// The sender address of e-mail.
    pub mail_from: String,
    /// The URL for text messages.
    pub sms_gateway: Option<String>,
    /// The URL for mobile push notifications.
    pub push_gateway: Option<String>,
    /// The URL for calls of functions.
    pub lambda_gateway: Option<String>,
    /// The URL for records of delivery streams.
    pub firehose_gateway: Option<String>,
    /// Maximum number of open sockets to endpoints and gateways, including idle kept connections. Further
    /// attempts wait for one.
    pub sockets: usize,
    /// Maximum number of parcels in the outbox.
    pub outbox_parcels: usize,
    /// Maximum total size of the parcels in the outbox, in bytes.
    pub outbox_bytes: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            guard: Guard::Off,
            timeout: Duration::from_secs(15),
            destination_timeout: Duration::from_secs(5),
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

/// An invalid setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SettingsError {
    /// The file of certificates.
    CaFile(String),
    /// The SMTP server or the sender address of e-mail.
    Mail(String),
    /// A gateway: its name, and the reason.
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

/// Delivers parcels. Parcels of a kind without a configured server go to the outbox. Needs a tokio runtime,
/// with I/O and time, that outlives each attempt.
pub struct Carrier {
    endpoints: Https,
    destinations: Destinations,
    smtp: Option<Smtp>,
    sms: Option<Gateway>,
    push: Option<Gateway>,
    lambda: Option<Gateway>,
    firehose: Option<Gateway>,
    outbox: Arc<Outbox>,
}

impl Carrier {
    /// Creates a carrier. It opens no connection, and reads only the file of certificates.
    pub fn new(settings: Settings) -> Result<Carrier, SettingsError> {
        let trust = Arc::new(Trust::new(settings.ca_file.as_ref()).map_err(SettingsError::CaFile)?);
        let smtp = settings.smtp.map(|server| Smtp::new(&server, &settings.mail_from, trust.clone()));
        let sockets = Sockets::new(settings.sockets);
        let gateways = Arc::new(Https::new(Guard::Off, settings.timeout, trust.clone(), sockets.clone()));
        let gateway = |which: &'static str, url: Option<String>| {
            let gateway = url.map(|url| Gateway::new(&url, gateways.clone()));
            gateway.transpose().map_err(|reason| SettingsError::Gateway(which, reason))
        };
        let destinations =
            Https::new(settings.guard, settings.destination_timeout, trust.clone(), sockets.clone());
        Ok(Carrier {
            endpoints: Https::new(settings.guard, settings.timeout, trust, sockets),
            destinations: Destinations::new(destinations),
            smtp: smtp.transpose().map_err(SettingsError::Mail)?,
            sms: gateway("SMS", settings.sms_gateway)?,
            push: gateway("push", settings.push_gateway)?,
            lambda: gateway("Lambda", settings.lambda_gateway)?,
            firehose: gateway("Firehose", settings.firehose_gateway)?,
            outbox: Arc::new(Outbox::new(settings.outbox_parcels, settings.outbox_bytes)),
        })
    }

    /// Returns the outbox for parcels without a configured server.
    pub fn outbox(&self) -> Arc<Outbox> {
        self.outbox.clone()
    }

    /// Fetches a token, and keeps it for requests. Dropping the future abandons that.
    ///
    /// # Errors
    /// Why there is no token.
    pub async fn authorize(&self, request: &TokenRequest) -> Result<(), String> {
        self.destinations.authorize(request).await
    }

    /// Sends a request, and returns its answer, whatever the status. Dropping the future abandons that.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn fetch(
        &self,
        request: &HttpRequest,
        patience: Patience,
    ) -> Result<http::Response<Bytes>, NotFetched> {
        self.destinations.fetch(request, patience).await
    }

    /// Makes one attempt. Dropping the future abandons the attempt in any state.
    pub async fn carry(&self, parcel: &Parcel) -> Outcome {
        let gateway = match &parcel.payload {
            Payload::Http(post) => return self.endpoints.post(post).await,
            Payload::Request(request) => return self.destinations.send(request).await,
            Payload::Email(email) => match &self.smtp {
                Some(smtp) => return smtp.send(email, &parcel.origin).await,
                None => &None,
            },
            Payload::Sms(_) => &self.sms,
            Payload::Push(_) => &self.push,
            Payload::Function(_) => &self.lambda,
            Payload::Stream(_) => &self.firehose,
            Payload::Target(_) => &None,
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
