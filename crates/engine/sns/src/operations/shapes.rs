//! From the API's shapes to commands, and from replies to the API's shapes.

use api::sns::{Operation, Request, Response};
use kernel::{Caller, Refusal, Secret};

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
        Request::CreatePlatformApplication(input) => (
            Operation::CreatePlatformApplication,
            Command::CreatePlatformApplication(platform_applications::CreatePlatformApplication::prepare(
                &input, caller,
            )?),
        ),
        Request::GetPlatformApplicationAttributes(input) => (
            Operation::GetPlatformApplicationAttributes,
            Command::GetPlatformApplicationAttributes(
                platform_applications::GetPlatformApplicationAttributes::prepare(&input)?,
            ),
        ),
        Request::SetPlatformApplicationAttributes(input) => (
            Operation::SetPlatformApplicationAttributes,
            Command::SetPlatformApplicationAttributes(
                platform_applications::SetPlatformApplicationAttributes::prepare(&input)?,
            ),
        ),
        Request::DeletePlatformApplication(input) => (
            Operation::DeletePlatformApplication,
            Command::DeletePlatformApplication(platform_applications::DeletePlatformApplication::prepare(
                &input,
            )?),
        ),
        Request::ListPlatformApplications(input) => (
            Operation::ListPlatformApplications,
            Command::ListPlatformApplications(platform_applications::ListPlatformApplications::prepare(
                &input, caller,
            )?),
        ),
        Request::CreatePlatformEndpoint(input) => (
            Operation::CreatePlatformEndpoint,
            Command::CreatePlatformEndpoint(platform_endpoints::CreatePlatformEndpoint::prepare(&input)?),
        ),
        Request::GetEndpointAttributes(input) => (
            Operation::GetEndpointAttributes,
            Command::GetEndpointAttributes(platform_endpoints::GetEndpointAttributes::prepare(&input)?),
        ),
        Request::SetEndpointAttributes(input) => (
            Operation::SetEndpointAttributes,
            Command::SetEndpointAttributes(platform_endpoints::SetEndpointAttributes::prepare(&input)?),
        ),
        Request::DeleteEndpoint(input) => (
            Operation::DeleteEndpoint,
            Command::DeleteEndpoint(platform_endpoints::DeleteEndpoint::prepare(&input)?),
        ),
        Request::ListEndpointsByPlatformApplication(input) => (
            Operation::ListEndpointsByPlatformApplication,
            Command::ListEndpoints(platform_endpoints::ListEndpoints::prepare(&input)?),
        ),
        Request::SetSMSAttributes(input) => (
            Operation::SetSMSAttributes,
            Command::SetSMSAttributes(text_messaging::SetSMSAttributes::prepare(&input, caller)?),
        ),
        Request::GetSMSAttributes(input) => (
            Operation::GetSMSAttributes,
            Command::GetSMSAttributes(text_messaging::GetSMSAttributes::prepare(&input, caller)?),
        ),
        Request::CheckIfPhoneNumberIsOptedOut(input) => (
            Operation::CheckIfPhoneNumberIsOptedOut,
            Command::CheckIfPhoneNumberIsOptedOut(text_messaging::CheckIfPhoneNumberIsOptedOut::prepare(
                &input, caller,
            )?),
        ),
        Request::ListPhoneNumbersOptedOut(input) => (
            Operation::ListPhoneNumbersOptedOut,
            Command::ListPhoneNumbersOptedOut(text_messaging::ListPhoneNumbersOptedOut::prepare(
                &input, caller,
            )?),
        ),
        Request::OptInPhoneNumber(input) => (
            Operation::OptInPhoneNumber,
            Command::OptInPhoneNumber(text_messaging::OptInPhoneNumber::prepare(&input, caller)?),
        ),
        Request::ListOriginationNumbers(input) => (
            Operation::ListOriginationNumbers,
            Command::ListOriginationNumbers(text_messaging::ListOriginationNumbers::prepare(&input)?),
        ),
        Request::CreateSMSSandboxPhoneNumber(input) => (
            Operation::CreateSMSSandboxPhoneNumber,
            Command::CreateSMSSandboxPhoneNumber(sms_sandbox::CreateSMSSandboxPhoneNumber::prepare(
                &input, caller, base,
            )?),
        ),
        Request::VerifySMSSandboxPhoneNumber(input) => (
            Operation::VerifySMSSandboxPhoneNumber,
            Command::VerifySMSSandboxPhoneNumber(sms_sandbox::VerifySMSSandboxPhoneNumber::prepare(
                &input, caller,
            )?),
        ),
        Request::DeleteSMSSandboxPhoneNumber(input) => (
            Operation::DeleteSMSSandboxPhoneNumber,
            Command::DeleteSMSSandboxPhoneNumber(sms_sandbox::DeleteSMSSandboxPhoneNumber::prepare(
                &input, caller,
            )?),
        ),
        Request::ListSMSSandboxPhoneNumbers(input) => (
            Operation::ListSMSSandboxPhoneNumbers,
            Command::ListSMSSandboxPhoneNumbers(sms_sandbox::ListSMSSandboxPhoneNumbers::prepare(
                &input, caller,
            )?),
        ),
        Request::GetSMSSandboxAccountStatus(_) => (
            Operation::GetSMSSandboxAccountStatus,
            Command::GetSMSSandboxAccountStatus(sms_sandbox::GetSMSSandboxAccountStatus),
        ),
        Request::Publish(input) => {
            (Operation::Publish, Command::Publish(publish::Publish::prepare(input, caller, base, trace)?))
        }
        Request::PublishBatch(input) => (
            Operation::PublishBatch,
            Command::PublishBatch(publish_batch::PublishBatch::prepare(input, caller, base, trace)?),
        ),
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
        (Operation::CreatePlatformApplication, Reply::Arn(it)) => {
            Response::CreatePlatformApplication(platform_applications::CreatePlatformApplication::present(it))
        }
        (Operation::GetPlatformApplicationAttributes, Reply::Attributes(it)) => {
            Response::GetPlatformApplicationAttributes(
                platform_applications::GetPlatformApplicationAttributes::present(it),
            )
        }
        (Operation::SetPlatformApplicationAttributes, Reply::Done) => {
            Response::SetPlatformApplicationAttributes(SetPlatformApplicationAttributesOutput {})
        }
        (Operation::DeletePlatformApplication, Reply::Done) => {
            Response::DeletePlatformApplication(DeletePlatformApplicationOutput {})
        }
        (Operation::ListPlatformApplications, Reply::Platforms(it)) => {
            Response::ListPlatformApplications(platform_applications::ListPlatformApplications::present(it))
        }
        (Operation::CreatePlatformEndpoint, Reply::Arn(it)) => {
            Response::CreatePlatformEndpoint(platform_endpoints::CreatePlatformEndpoint::present(it))
        }
        (Operation::GetEndpointAttributes, Reply::Attributes(it)) => {
            Response::GetEndpointAttributes(platform_endpoints::GetEndpointAttributes::present(it))
        }
        (Operation::SetEndpointAttributes, Reply::Done) => {
            Response::SetEndpointAttributes(SetEndpointAttributesOutput {})
        }
        (Operation::DeleteEndpoint, Reply::Done) => Response::DeleteEndpoint(DeleteEndpointOutput {}),
        (Operation::ListEndpointsByPlatformApplication, Reply::Platforms(it)) => {
            Response::ListEndpointsByPlatformApplication(platform_endpoints::ListEndpoints::present(it))
        }
        (Operation::SetSMSAttributes, Reply::Done) => Response::SetSMSAttributes(SetSMSAttributesOutput {}),
        (Operation::GetSMSAttributes, Reply::Attributes(it)) => {
            Response::GetSMSAttributes(text_messaging::GetSMSAttributes::present(it))
        }
        (Operation::CheckIfPhoneNumberIsOptedOut, Reply::Truth(it)) => {
            Response::CheckIfPhoneNumberIsOptedOut(text_messaging::CheckIfPhoneNumberIsOptedOut::present(it))
        }
        (Operation::ListPhoneNumbersOptedOut, Reply::Texts(it)) => {
            Response::ListPhoneNumbersOptedOut(text_messaging::ListPhoneNumbersOptedOut::present(it))
        }
        (Operation::OptInPhoneNumber, Reply::Done) => Response::OptInPhoneNumber(OptInPhoneNumberOutput {}),
        (Operation::ListOriginationNumbers, Reply::Texts(it)) => {
            Response::ListOriginationNumbers(text_messaging::ListOriginationNumbers::present(it))
        }
        (Operation::CreateSMSSandboxPhoneNumber, Reply::Done) => {
            Response::CreateSMSSandboxPhoneNumber(CreateSMSSandboxPhoneNumberOutput {})
        }
        (Operation::VerifySMSSandboxPhoneNumber, Reply::Done) => {
            Response::VerifySMSSandboxPhoneNumber(VerifySMSSandboxPhoneNumberOutput {})
        }
        (Operation::DeleteSMSSandboxPhoneNumber, Reply::Done) => {
            Response::DeleteSMSSandboxPhoneNumber(DeleteSMSSandboxPhoneNumberOutput {})
        }
        (Operation::ListSMSSandboxPhoneNumbers, Reply::SandboxNumbers(it)) => {
            Response::ListSMSSandboxPhoneNumbers(sms_sandbox::ListSMSSandboxPhoneNumbers::present(it))
        }
        (Operation::GetSMSSandboxAccountStatus, Reply::Truth(it)) => {
            Response::GetSMSSandboxAccountStatus(sms_sandbox::GetSMSSandboxAccountStatus::present(it))
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
