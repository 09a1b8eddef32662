//! State machines as targets: what a rule or a schedule hands to one is the input of a new execution, which is in the group of the offer.

use bytes::Bytes;
use kernel::{Demand, Offer, Taken, Why};
use notification::Notification;

use crate::ids::Named;
use crate::operations::Context;
use crate::operations::start_execution::StartExecution;
use crate::state::State;

impl State {
    /// Starts an execution of the state machine, or of the version or alias, that is offered something.
    pub(crate) fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_>) -> Taken {
        let arn = offer.to.to_string();
        let Ok((key, qualifier)) = Named::machine(&arn) else {
            return Taken::Refused(Why::Unserved, "only state machines can be handed anything");
        };
        if context.setting.room < Demand::Growth {
            return Taken::Refused(Why::Unfit, "the disk has no room for another execution");
        }
        let payload = Bytes::copy_from_slice(context.payload(offer.body));
        let Ok(stored) = Notification::decode(&payload) else {
            return Taken::Refused(Why::Unfit, "it has no input");
        };
        let trace = stored.trace_header.as_ref().map(ToString::to_string);
        let Ok(start) = StartExecution::of_target((arn, key, qualifier), &stored.message, trace) else {
            return Taken::Refused(Why::Unfit, "the input of an execution is JSON of at most 256 KiB");
        };
        match start.start(self, &context.setting) {
            Ok((Some((_, fact)), _)) => {
                context.record(&fact);
                Taken::Taken
            }
            Ok((None, _)) => Taken::Duplicate,
            Err(refusal) if refusal.shape == "ExecutionLimitExceeded" => {
                Taken::Refused(Why::Unfit, "the account has as many open executions as it can have")
            }
            Err(_) => Taken::Refused(Why::Missing, "State Machine Does Not Exist"),
        }
    }
}
