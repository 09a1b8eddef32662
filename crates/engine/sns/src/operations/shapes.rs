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
        Request::DeleteTopic(input) => (
            Operation::DeleteTopic,
            Command::DeleteTopic(delete_topic::DeleteTopic::prepare(&input, caller)?),
        ),
        Request::GetTopicAttributes(input) => (
            Operation::GetTopicAttributes,
            Command::GetTopicAttributes(get_topic_attributes::GetTopicAttributes::prepare(&input, caller)?),
        ),
        Request::SetTopicAttributes(input) => (
            Operation::SetTopicAttributes,
            Command::SetTopicAttributes(set_topic_attributes::SetTopicAttributes::prepare(&input, caller)?),
        ),
        Request::ListTopics(input) => {
            (Operation::ListTopics, Command::ListTopics(list_topics::ListTopics::prepare(&input, caller)?))
        }
        Request::TagResource(input) => {
            (Operation::TagResource, Command::TagResource(tags::TagResource::prepare(&input)?))
        }
        Request::UntagResource(input) => {
            (Operation::UntagResource, Command::UntagResource(tags::UntagResource::prepare(&input)?))
        }
        Request::ListTagsForResource(input) => (
            Operation::ListTagsForResource,
            Command::ListTagsForResource(tags::ListTagsForResource::prepare(&input)?),
        ),
        Request::AddPermission(input) => (
            Operation::AddPermission,
            Command::AddPermission(permissions::AddPermission::prepare(&input, caller)?),
        ),
        Request::RemovePermission(input) => (
            Operation::RemovePermission,
            Command::RemovePermission(permissions::RemovePermission::prepare(&input, caller)?),
        ),
        Request::GetDataProtectionPolicy(input) => (
            Operation::GetDataProtectionPolicy,
            Command::GetDataProtectionPolicy(data_protection_policy::GetDataProtectionPolicy::prepare(
                &input, caller,
            )?),
        ),
        Request::PutDataProtectionPolicy(input) => (
            Operation::PutDataProtectionPolicy,
            Command::PutDataProtectionPolicy(data_protection_policy::PutDataProtectionPolicy::prepare(
                &input, caller,
            )?),
        ),
        Request::ListSubscriptions(input) => (
            Operation::ListSubscriptions,
            Command::ListSubscriptions(list_subscriptions::ListSubscriptions::prepare(&input, caller)?),
        ),
        Request::ListSubscriptionsByTopic(input) => (
            Operation::ListSubscriptionsByTopic,
            Command::ListSubscriptions(list_subscriptions::ListSubscriptions::prepare_by_topic(
                &input, caller,
            )?),
        ),
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
            Response::CreateTopic(create_topic::CreateTopic::present(arn))
        }
        (Operation::DeleteTopic, Reply::Done) => Response::DeleteTopic(DeleteTopicOutput {}),
        (Operation::GetTopicAttributes, Reply::Attributes(it)) => {
            Response::GetTopicAttributes(get_topic_attributes::GetTopicAttributes::present(it))
        }
        (Operation::SetTopicAttributes, Reply::Done) => {
            Response::SetTopicAttributes(SetTopicAttributesOutput {})
        }
        (Operation::ListTopics, Reply::Texts(it)) => {
            Response::ListTopics(list_topics::ListTopics::present(it))
        }
        (Operation::TagResource, Reply::Done) => Response::TagResource(TagResourceOutput {}),
        (Operation::UntagResource, Reply::Done) => Response::UntagResource(UntagResourceOutput {}),
        (Operation::ListTagsForResource, Reply::Attributes(it)) => {
            Response::ListTagsForResource(tags::ListTagsForResource::present(it))
        }
        (Operation::AddPermission, Reply::Done) => Response::AddPermission(AddPermissionOutput {}),
        (Operation::RemovePermission, Reply::Done) => Response::RemovePermission(RemovePermissionOutput {}),
        (Operation::GetDataProtectionPolicy, Reply::Policy(it)) => {
            Response::GetDataProtectionPolicy(data_protection_policy::GetDataProtectionPolicy::present(it))
        }
        (Operation::PutDataProtectionPolicy, Reply::Done) => {
            Response::PutDataProtectionPolicy(PutDataProtectionPolicyOutput {})
        }
        (Operation::ListSubscriptions, Reply::Subscriptions(it)) => {
            Response::ListSubscriptions(list_subscriptions::ListSubscriptions::present(it))
        }
        (Operation::ListSubscriptionsByTopic, Reply::Subscriptions(it)) => {
            Response::ListSubscriptionsByTopic(list_subscriptions::ListSubscriptions::present_by_topic(it))
        }
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
