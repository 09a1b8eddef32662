//! From the API's shapes to commands, and from replies to the API's shapes.

use api::sns::{Operation, Request, Response};
use kernel::{Caller, Refusal};

use super::*;

/// What has to be remembered of a request until it is answered.
#[derive(Clone, Debug)]
pub struct Plan {
    operation: Operation,
}

/// Prepares a request: checks what needs no state, does what costs by the byte.
///
/// `base` is the URL under which the client reached this server, `trace` the request's trace header.
pub fn prepare(
    request: Request,
    caller: &Caller,
    base: &str,
    trace: Option<&ByteString>,
) -> Result<(Command, Plan), Refusal> {
    let (operation, command) = match request {
        Request::CreateTopic(input) => (
            Operation::CreateTopic,
            Command::CreateTopic(create_topic::CreateTopic::prepare(&input, caller)?),
        ),
        Request::DeleteTopic(input) => {
            (Operation::DeleteTopic, Command::DeleteTopic(delete_topic::DeleteTopic::prepare(&input)?))
        }
        Request::Subscribe(input) => {
            (Operation::Subscribe, Command::Subscribe(subscribe::Subscribe::prepare(&input, caller, base)?))
        }
        Request::ConfirmSubscription(input) => (
            Operation::ConfirmSubscription,
            Command::ConfirmSubscription(confirm_subscription::ConfirmSubscription::prepare(&input, caller)?),
        ),
        Request::Unsubscribe(input) => (
            Operation::Unsubscribe,
            Command::Unsubscribe(unsubscribe::Unsubscribe::prepare(&input, caller, base)?),
        ),
        Request::GetSubscriptionAttributes(input) => (
            Operation::GetSubscriptionAttributes,
            Command::GetSubscriptionAttributes(
                get_subscription_attributes::GetSubscriptionAttributes::prepare(&input)?,
            ),
        ),
        Request::SetSubscriptionAttributes(input) => (
            Operation::SetSubscriptionAttributes,
            Command::SetSubscriptionAttributes(
                set_subscription_attributes::SetSubscriptionAttributes::prepare(&input)?,
            ),
        ),
        Request::Publish(input) => {
            (Operation::Publish, Command::Publish(publish::Publish::prepare(input, caller, base, trace)?))
        }
        Request::PublishBatch(input) => (
            Operation::PublishBatch,
            Command::PublishBatch(publish_batch::PublishBatch::prepare(input, caller, base, trace)?),
        ),
        _ => return Err(Refusal::new("InvalidAction", "not supported yet")),
    };
    Ok((command, Plan { operation }))
}

/// Turns a reply into the answer.
pub fn present(reply: Reply, plan: &Plan, secret: &Secret) -> Option<Response> {
    use api::sns::*;
    Some(match (plan.operation, reply) {
        (Operation::CreateTopic, Reply::Topic(arn)) => {
            Response::CreateTopic(CreateTopicOutput { topic_arn: Some(arn.into()) })
        }
        (Operation::DeleteTopic, Reply::Done) => Response::DeleteTopic(DeleteTopicOutput {}),
        (Operation::Subscribe, Reply::Subscription(arn)) => {
            Response::Subscribe(subscribe::Subscribe::present(arn))
        }
        (Operation::ConfirmSubscription, Reply::Subscription(arn)) => {
            Response::ConfirmSubscription(confirm_subscription::ConfirmSubscription::present(arn))
        }
        (Operation::Unsubscribe, Reply::Done) => Response::Unsubscribe(UnsubscribeOutput {}),
        (Operation::GetSubscriptionAttributes, Reply::Attributes(attributes)) => {
            Response::GetSubscriptionAttributes(
                get_subscription_attributes::GetSubscriptionAttributes::present(attributes),
            )
        }
        (Operation::SetSubscriptionAttributes, Reply::Done) => {
            Response::SetSubscriptionAttributes(SetSubscriptionAttributesOutput {})
        }
        (Operation::Publish, Reply::Published(published)) => {
            Response::Publish(publish::Publish::present(published, secret))
        }
        (Operation::PublishBatch, Reply::PublishedBatch(published)) => {
            Response::PublishBatch(publish_batch::PublishBatch::present(published, secret))
        }
        _ => return None,
    })
}
