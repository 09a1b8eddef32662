//! How one service hands something to a resource of another: an offer to an ARN, and what its service says.

use crate::parcel::Form;
use crate::request::{Asking, Request};
use crate::{Arn, Body, Handed, Sources};

/// A body that is offered to an ARN.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'o> {
    /// The target.
    pub to: &'o Arn,
    /// What is offered.
    pub body: Body,
    /// The sender, if the target's policy must allow that it sends.
    pub must_be_allowed: Option<Sender<'o>>,
    /// Bytes of the message with its attributes, without an envelope.
    pub size: usize,
    /// How many message attributes it has.
    pub attributes: usize,
    /// In which form it is to be read.
    pub form: Form,
    /// Its deduplication id is made of its content: a target that wants ids from its senders does not take it.
    pub deduplicates_by_content: bool,
    /// Whether it could not be delivered elsewhere. A dead letter is taken even if the target has had its deduplication id: that
    /// was another recipient's, and the letter is nowhere else.
    pub is_dead_letter: bool,
}

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sender<'o> {
    /// Its ARN: `aws:SourceArn` in policies.
    pub arn: &'o str,
    /// The name of its service in policies, such as `sns.amazonaws.com`.
    pub service: &'o str,
}

impl<'o> Sender<'o> {
    /// The sender's account: `aws:SourceAccount` in policies.
    pub fn account(&self) -> &'o str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }
}

/// What becomes of an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// The target has it, once the decision is recorded.
    Taken,
    /// The target has taken the same message before: nothing is to be done.
    Duplicate,
    /// The target cannot have it: of which kind the reason is, and in words.
    Refused(Why, &'static str),
}

/// Kinds of reasons why a target cannot have what it is offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// No service here has such targets.
    Unserved,
    /// There is no such target.
    Missing,
    /// The target's policy does not allow it.
    Forbidden,
    /// The target takes other things than this.
    Unfit,
}

/// All services that can be handed something by ARN. The ARN's service decides which one is asked.
pub trait Targets {
    /// Offers a body. A target that takes it adds itself to the takers in `handed`.
    fn offer(&self, offer: &Offer<'_>, handed: &mut Handed<'_>) -> Taken;

    /// The same services as sources, if anything can be drawn from them.
    fn as_sources(&self) -> Option<&dyn Sources> {
        None
    }

    /// Asks the service of what holds the credentials to make a request ([`Service::request`](crate::Service::request)).
    ///
    /// Errors: why there is none, in words.
    fn request(&self, _asking: &Asking<'_>) -> Result<Request, String> {
        Err("there are no credentials here".to_owned())
    }
}

/// No targets: for the tests of one service.
#[derive(Clone, Copy, Debug)]
pub struct NoTargets;

impl Targets for NoTargets {
    fn offer(&self, _: &Offer<'_>, _: &mut Handed<'_>) -> Taken {
        Taken::Refused(Why::Unserved, "there are no targets")
    }
}
