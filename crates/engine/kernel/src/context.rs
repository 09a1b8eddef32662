//! What a decision may depend on besides the state and the command, and where it puts what it hands to targets.

use std::borrow::Cow;

use crate::request::{Asking, Request};
use crate::service::{Fact, Record};
use crate::{
    Arn, Demand, Drawn, Extent, Numbers, Offer, ParcelSent, Secret, Stored, Taken, Targets, Time,
    Undelivered, Why,
};

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
    /// Whether the log owes the store for retained data as much as it may: what would be owed besides is refused.
    pub store_lags: bool,
}

/// The setting of a decision, the targets that it can reach, and the bodies that it hands to them.
pub struct Context<'a, 'm, L> {
    /// The circumstances.
    pub setting: Setting<'m, L>,
    targets: &'m dyn Targets,
    handed: &'m mut Handed<'a>,
}

impl<'a, 'm, L> Context<'a, 'm, L> {
    /// A context that collects in `handed` what is handed over.
    pub fn new(setting: Setting<'m, L>, targets: &'m dyn Targets, handed: &'m mut Handed<'a>) -> Self {
        Context { setting, targets, handed }
    }

    /// A payload that any number of takers can share. It is recorded in the group of the decision's facts, and after them, if
    /// somebody takes it.
    pub fn body(&mut self, parcel: ParcelSent<'a>, payload: impl Into<Cow<'a, [u8]>>) -> Body {
        self.handed.bodies.push(Handing { parcel, payload: payload.into(), is_kept: false });
        Body(self.handed.bodies.len() - 1)
    }

    /// The body is recorded even if nobody takes it, since its number is told, or since it ends something. Then it has no payload.
    pub fn keep(&mut self, body: Body) {
        self.handed.bodies[body.0].is_kept = true;
    }

    /// The parcel of a body in the making, to which takers add themselves.
    pub fn parcel(&mut self, body: Body) -> &mut ParcelSent<'a> {
        &mut self.handed.bodies[body.0].parcel
    }

    /// What a body carries.
    pub fn payload(&self, body: Body) -> &[u8] {
        &self.handed.bodies[body.0].payload
    }

    /// Records a fact that follows from an offer, for the service that is offered something: a target that keeps no copy of the body.
    /// The fact belongs to the group of the decision, after its bodies, and becomes true with them. So what it says must hold whatever
    /// else the same decision offers.
    pub fn record<'r, R: Record<'r>>(&mut self, fact: &Fact<'_, R>) {
        let mut head = Vec::new();
        fact.record.encode(&mut head);
        let is_configuration = fact.record.is_configuration();
        self.handed.facts.push(Following { is_configuration, head, tail: fact.tail.to_vec() });
    }

    /// Whether a target has answered with a fact: the decision sees it only in its next step.
    pub fn has_followers(&self) -> bool {
        !self.handed.facts.is_empty()
    }

    /// Somebody does not get a message: the operator is told once everything that was decided is durable. Also what a target that was
    /// offered a body says of its own targets comes this way.
    pub fn undelivered(&mut self, undelivered: Undelivered) {
        self.handed.undelivered.push(undelivered);
    }

    /// Offers a body to an ARN of any service.
    pub fn offer(&mut self, offer: &Offer<'_>) -> Taken {
        self.targets.offer(offer, self.handed)
    }

    /// Makes a request to a server elsewhere, with credentials of any service ([`Service::request`](crate::Service::request)).
    ///
    /// Errors: why there is none, in words.
    pub fn request(&self, asking: &Asking<'_>) -> Result<Request, String> {
        self.targets.request(asking)
    }

    /// Draws messages from a source of any service ([`Sources::draw`](crate::Sources::draw)).
    pub fn draw(&mut self, from: &Arn, most: usize) -> Result<Vec<Drawn>, Why> {
        self.targets.as_sources().map_or(Err(Why::Unserved), |sources| sources.draw(from, most, self.handed))
    }

    /// Where the record of a drawn message lies now.
    pub fn place_of(&self, from: &Arn, drawn: Drawn) -> Option<Extent> {
        self.targets.as_sources()?.place_of(from, drawn)
    }

    /// A drawn message as JSON, made of its record.
    pub fn show(&self, from: &Arn, drawn: Drawn, record: &Stored) -> Option<String> {
        self.targets.as_sources()?.show(from, drawn, record)
    }

    /// Drawn messages are gone from their source, in the group of this decision.
    pub fn finish(&mut self, from: &Arn, drawn: &[Drawn]) {
        if let Some(sources) = self.targets.as_sources() {
            sources.finish(from, drawn, self.handed);
        }
    }
}

/// A body in the making. Only the [`Context`] that made it makes sense of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Body(usize);

/// What one decision hands over: bodies, the facts with which targets answer, and who does not get something. Needs no heap while there is
/// nothing.
#[derive(Debug, Default)]
pub struct Handed<'a> {
    bodies: Vec<Handing<'a>>,
    facts: Vec<Following>,
    undelivered: Vec<Undelivered>,
}

/// A fact of a service that was offered something.
#[derive(Debug)]
pub struct Following {
    /// [`Record::is_configuration`].
    pub is_configuration: bool,
    /// What [`Record::encode`] wrote.
    pub head: Vec<u8>,
    /// What is stored with it.
    pub tail: Vec<u8>,
}

/// A body with those who take it.
#[derive(Debug)]
struct Handing<'a> {
    parcel: ParcelSent<'a>,
    payload: Cow<'a, [u8]>,
    is_kept: bool,
}

impl<'a> Handed<'a> {
    /// What is to be recorded: parcels with their payloads.
    pub fn recorded(&self) -> impl Iterator<Item = (&ParcelSent<'a>, &[u8])> {
        self.bodies.iter().filter_map(|handing| {
            let is_needed = handing.parcel.is_needed();
            let payload = if is_needed { &handing.payload[..] } else { &[] };
            (is_needed || handing.is_kept).then_some((&handing.parcel, payload))
        })
    }

    /// What follows from offers, to be recorded after the bodies.
    pub fn following(&self) -> &[Following] {
        &self.facts
    }

    /// Who does not get something.
    pub fn undelivered(self) -> Vec<Undelivered> {
        self.undelivered
    }
}
