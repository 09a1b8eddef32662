//! Delivers parcels to endpoints outside of the server: one parcel, one attempt, one protocol.
//!
//! A [`Carrier`] makes one attempt and returns its result. The engine decides whether and when to retry, and
//! records that. A [`Notary`] signs messages, so that receivers can verify the sender.

mod parcel;
pub use parcel::{
    Attribute, Cause, Confirmation, Email, EmailFormat, Function, HttpPost, HttpRequest, Message,
    MessageKind, Origin, Outcome, Parcel, Payload, Push, Sms, Stream, Target, TokenRequest, WebRequest,
};

mod carrier;
pub use carrier::{Carrier, Settings, SettingsError};

mod guard;
pub use guard::Guard;

mod destinations;
pub use destinations::{NotFetched, Patience};

mod https;

mod tokens;

mod smtp;

mod gateway;

mod outbox;
pub use outbox::{Outbox, OutboxFilter};

mod dial;

mod sockets;

mod trust;

mod challenge;

mod certificate;

mod counter;
pub use counter::{CERTIFICATE_CONNECTIONS, serve_certificate};

mod notary;
pub use notary::{KEY_FILE, Notary, NotaryError, PublishedCertificate, SignatureVersion};
