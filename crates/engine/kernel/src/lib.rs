//! Words that the services share. Nothing here knows a service, a protocol, a clock or a disk.

mod place;
pub use place::{Extent, Place, Position};

mod time;
pub use time::Time;

mod undelivered;
pub use undelivered::Undelivered;

pub mod iso8601;

mod caller;
pub use caller::Caller;

mod arn;
pub use arn::{Arn, ArnMalformed};

mod refusal;
pub use refusal::Refusal;

pub mod codec;

pub mod retained;
pub use retained::{Retention, Series};

mod ledger;
pub use ledger::{Ledger, SegmentUse};

mod deadlines;
pub use deadlines::Deadlines;

mod demand;
pub use demand::Demand;

mod identity;
pub use identity::{Dice, Secret, Seq, hex, sequence_number, token_hash, uuid_text};

pub mod attributes;
pub use attributes::{Attribute, AttributeValue};

pub mod gather;

pub mod remembered;
pub use remembered::{IdsRemembered, RememberedId};

pub mod parcel;
pub use parcel::ParcelSent;

pub mod identified;
pub use identified::ServerIdentified;

mod stored;
pub use stored::Stored;

mod numbers;
pub use numbers::Numbers;

mod offer;
pub use offer::{NoTargets, Offer, Sender, Taken, Targets, Why};

mod source;
pub use source::{Drawn, Sources};

pub mod request;
pub use request::Asking;

mod call;
pub use call::{CALLS, Call, Called};

mod context;
pub use context::{Body, Context, Following, Handed, Setting};

pub mod service;
pub use service::{Decision, Fact, Limits, Outcome, Rests, Service, Survival};

pub mod operation;
pub use operation::{Api, Asker, Internal, Operation};
