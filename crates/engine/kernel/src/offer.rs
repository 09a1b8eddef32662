//! How one service hands something to a resource of another: an offer to an ARN, and what its service says.

use crate::parcel::Form;
use crate::{Arn, Body, Handed};

/// A body that is offered to an ARN.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'o> {
    /// The target.
    pub to: &'o Arn,
    /// What is offered.
    pub body: Body,
    /// The sender's ARN, if the target's policy must allow that it sends.
    pub must_be_allowed: Option<&'o str>,
    /// Bytes of the message with its attributes, without an envelope.
    pub size: usize,
    /// How many message attributes it has.
    pub attributes: usize,
    /// In which form it is to be read.
    pub form: Form,
    /// Whether it could not be delivered elsewhere. A dead letter is taken even if the target has had its deduplication id: that
    /// was another recipient's, and the letter is nowhere else.
    pub is_dead_letter: bool,
}

/// What becomes of an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// The target has it, once the decision is recorded.
    Taken,
    /// The target has taken the same message before: nothing is to be done.
    Duplicate,
    /// The target cannot have it, now or later.
    Refused(&'static str),
}

/// All services that can be handed something by ARN. The ARN's service decides which one is asked.
pub trait Targets {
    /// Offers a body. A target that takes it adds itself to the takers in `handed`.
    fn offer(&self, offer: &Offer<'_>, handed: &mut Handed<'_>) -> Taken;
}

/// No targets: for the tests of one service.
#[derive(Clone, Copy, Debug)]
pub struct NoTargets;

impl Targets for NoTargets {
    fn offer(&self, _: &Offer<'_>, _: &mut Handed<'_>) -> Taken {
        Taken::Refused("there are no targets")
    }
}
