//! What leaves the building: one parcel handed over, once, by one protocol.
//!
//! A [`Carrier`] makes one attempt and says how it ended. When to try again, and how often, is decided and logged by the
//! engine. A [`Notary`] signs what is sent, so that receivers can tell who sent it.

mod parcel;
pub use parcel::{
    Attribute, Confirmation, Email, EmailFormat, Function, HttpPost, Message, MessageKind, Origin, Outcome,
    Parcel, Payload, Push, Sms, Stream,
};

mod carrier;
pub use carrier::{Carrier, Settings, SettingsError};

mod guard;
pub use guard::Guard;

mod https;

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
