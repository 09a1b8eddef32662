//! Unsubscribe: an endpoint gets nothing more.

use api::sns::{UnsubscribeInput, UnsubscribeOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Caller, Demand, Operation, Refusal, Secret};

use super::{Context, Decision, Notice, Reply};
use crate::rules::arns;
use crate::state::State;

/// Unsubscribe.
#[derive(Clone, Debug)]
pub struct Unsubscribe {
    /// Which.
    pub arn: String,
    /// Who asks.
    pub caller: Caller,
    /// The URL under which the client reached this server, for the link in the farewell.
    pub base: String,
}

impl Operation<State> for Unsubscribe {
    type Input = UnsubscribeInput;
    type Output = UnsubscribeOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    /// Reads the request. It need not be signed: the link to it stands in every message.
    fn prepare(input: UnsubscribeInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let arn = arns::subscription(input.subscription_arn.as_deref())?;
        Ok(Unsubscribe { arn, caller: asker.caller.clone(), base: asker.base.to_owned() })
    }

    /// Ends it; one that is not there has ended already (facts/sns.md § 2). Where somebody else than the owner ends it, the
    /// endpoint is told how to undo that. A queue could not be told: its subscription only its owner or the topic's can end
    /// (AWS's API reference, Unsubscribe).
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(subscription) = state.subscription_by_arn(&self.arn) else {
            return Decision::answer(Reply::Done);
        };
        let declared = &subscription.declared;
        let topic_account = state.topic_of(declared.topic).map(|topic| &topic.key().account);
        let is_owner = self.caller.signed
            && (self.caller.account == declared.owner || Some(&self.caller.account) == topic_account);
        let wants_owner = declared.protocol == "sqs"
            || declared.confirmed.is_some_and(|confirmed| confirmed.authenticate_on_unsubscribe);
        if !is_owner && wants_owner {
            return Refusal::new(
                "AuthorizationErrorException",
                "Unsubscribe requires an authenticated request of the owner of the topic or the subscription",
            )
            .into();
        }
        let is_web = matches!(declared.protocol.as_str(), "http" | "https");
        let told = is_web && !is_owner && subscription.is_confirmed();
        let notices =
            if told { vec![Notice::Farewell(Box::new(declared.clone()), &self.base)] } else { Vec::new() };
        super::telling(state.end_of(subscription, told.then_some(context.setting.now)), notices, Reply::Done)
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<UnsubscribeOutput, Malformed> {
        reply.done()
    }
}
