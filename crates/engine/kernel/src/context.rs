//! What a decision may depend on besides the state and the command, and where it puts what it hands to targets.

use std::borrow::Cow;

use crate::parcel::{Offer, Taken};
use crate::{Demand, Numbers, ParcelSent, Secret, Time};

/// The circumstances of a decision. `L` are the service's limits.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a, L> {
    /// The moment.
    pub now: Time,
    /// The limits in force.
    pub limits: &'a L,
    /// What identifiers are derived from.
    pub secret: &'a Secret,
    /// The request that is decided, so that it can be answered later; zero if there is none.
    pub ticket: u64,
    /// Draws the numbers of new things.
    pub numbers: &'a Numbers,
    /// What the disk has room for.
    pub room: Demand,
}

/// All services that can be handed something by ARN. The ARN's service decides which one is asked.
pub trait Targets {
    /// What the target says. The offer only looks; the target has its copy once the record is applied.
    fn offer(&self, offer: &Offer<'_>) -> Taken;
}

/// The setting of a decision, the targets that it can reach, and the bodies that it hands to them.
pub struct Context<'a, 'm, L> {
    /// The circumstances.
    pub setting: Setting<'m, L>,
    /// The other services, as targets.
    pub targets: &'m dyn Targets,
    handed: &'m mut Handed<'a>,
}

impl<'a, 'm, L> Context<'a, 'm, L> {
    /// A context that collects in `handed` what is handed over.
    pub fn new(setting: Setting<'m, L>, targets: &'m dyn Targets, handed: &'m mut Handed<'a>) -> Self {
        Context { setting, targets, handed }
    }

    /// Hands a payload to the takers that the parcel names, in the same group of the log as the decision's facts, and after them.
    pub fn hand(&mut self, parcel: ParcelSent<'a>, payload: impl Into<Cow<'a, [u8]>>) {
        self.handed.0.push((parcel, payload.into()));
    }
}

/// Parcels of one decision with their payloads. Needs no heap while it is empty.
#[derive(Debug, Default)]
pub struct Handed<'a>(pub Vec<(ParcelSent<'a>, Cow<'a, [u8]>)>);
