//! Publish: a message for all who have subscribed to a topic; or for one endpoint, or one telephone.

use api::sns::{PublishInput, PublishOutput};
use kernel::codec::Malformed;
use kernel::parcel::{Delivery, Form};
use kernel::{Asker, Caller, Demand, Operation, Refusal, Secret};
use notification::Protocol;

use super::text_messaging::Sender;
use super::{Context, Decision, Reply, Setting};
use crate::platforms::{PlatformApplication, PlatformEndpoint};
use crate::rules::arns;
use crate::rules::endpoints::is_telephone_number;
use crate::rules::post::{Post, PostDraft, Surroundings};
use crate::state::State;
use crate::topic::Topic;
use crate::{TopicKey, refusals};

/// Publish.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Where to.
    pub target: Target,
    /// What; or what is wrong with it whatever the topic, of which a mobile endpoint is told only if it can get messages.
    pub post: Result<Post, Refusal>,
}

/// Where a message is published to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// A topic: to all who have subscribed.
    Topic(TopicKey),
    /// The ARN of an application on somebody's device.
    Endpoint(String),
    /// A telephone number, and who sends.
    Telephone(String, Sender),
}

/// A message was published, now or, if it is a duplicate, before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Published {
    /// The number from which its id is made.
    pub number: u64,
    /// Whether it has a sequence number.
    pub fifo: bool,
}

impl Operation<State> for Publish {
    type Input = PublishInput;
    type Output = PublishOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    /// Reads the request; hashes and encodes the message.
    fn prepare(input: PublishInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let target = target(&input, asker.caller)?;
        let (target_arn, endpoint, fifo) = match &target {
            Target::Topic(topic) => (topic.arn().to_string(), None, topic.is_fifo()),
            Target::Endpoint(arn) => (arn.clone(), Some(arn.as_str()), false),
            Target::Telephone(number, _) => (number.clone(), Some(number.as_str()), false),
        };
        let draft = PostDraft {
            message: input.message,
            subject: input.subject,
            structure: input.message_structure,
            attributes: input.message_attributes.map(|map| map.0).unwrap_or_default(),
            group: input.message_group_id,
            deduplication_id: input.message_deduplication_id,
        };
        let around = Surroundings {
            target_arn: &target_arn,
            endpoint,
            fifo,
            base: asker.base,
            trace: asker.trace,
            path: "",
        };
        let post = match draft.check(&around) {
            // What is wrong with a structure shows when it is rendered for its taker: after AWS has looked whether there is one.
            Err(fault) if !fault.of_structure => return Err(fault.refusal),
            checked => checked.map_err(|fault| fault.refusal),
        };
        Ok(Publish { post, target })
    }

    /// Hands the message to those who are to have it.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let endpoint = match &self.target {
            Target::Endpoint(arn) => match state.platforms.endpoint(arn).map(|known| ready(state, known)) {
                None => return endpoint_missing().into(),
                Some(Err(refusal)) => return refusal.into(),
                Some(Ok(id)) => id,
            },
            _ => 0,
        };
        let post = match &self.post {
            Ok(post) => post,
            Err(refusal) => return refusal.clone().into(),
        };
        match &self.target {
            Target::Topic(key) => {
                let Some(topic) = state.topic(key) else { return refusals::topic_missing().into() };
                if let Err(refusal) =
                    check_for(topic, post).and_then(|()| check_archive(topic, &context.setting))
                {
                    return refusal.into();
                }
                let published = state.post(topic, post, context.setting.limits.takers_at_once, context);
                Decision::answer(Reply::Published(published))
            }
            Target::Endpoint(_) => direct(state, Some((post, Protocol::Application, endpoint)), context),
            // A telephone that the message does not reach gets nothing, and the sender is not told.
            Target::Telephone(number, Sender { account, region }) => {
                let sandbox = context.setting.limits.sms_sandbox;
                let is_reached = state.platforms.reaches(account, region, number, sandbox);
                direct(state, is_reached.then_some((post, Protocol::Sms, 0)), context)
            }
        }
    }

    fn present(reply: Reply, _: &(), secret: &Secret) -> Result<PublishOutput, Malformed> {
        let Reply::Published(published) = reply else { return Err(Malformed) };
        Ok(PublishOutput {
            message_id: Some(notification::message_id(secret, published.number).into()),
            sequence_number: published.fifo.then(|| kernel::sequence_number(published.number).into()),
        })
    }
}

/// Hands a message to one taker that has not subscribed, a mobile endpoint by its number; or to nobody.
fn direct<'a>(
    state: &State,
    to: Option<(&'a Post, Protocol, u64)>,
    context: &mut Context<'a, '_>,
) -> Decision<'a> {
    let parcel = state.parcel(0, 0, &context.setting);
    let published = Published { number: parcel.number, fifo: false };
    let body = context.body(parcel, to.map_or(&[][..], |(post, ..)| &post.payload[..]));
    // Its number is told, whoever gets it.
    context.keep(body);
    if let Some((_, protocol, recipient)) = to {
        let form = Form { recipient, raw: true, protocol: protocol as u8, replayed: false };
        let number = context.setting.numbers.draw();
        context.parcel(body).deliveries.push(Delivery { number, form, ..Delivery::default() });
    }
    Decision::answer(Reply::Published(published))
}

/// The number of an endpoint to which messages can go.
fn ready(state: &State, endpoint: &PlatformEndpoint) -> Result<u64, Refusal> {
    if !state.platforms.application_of(endpoint).is_some_and(PlatformApplication::is_enabled) {
        let text = "Platform application is disabled";
        return Err(Refusal::new("PlatformApplicationDisabledException", text));
    }
    if !endpoint.is_enabled() {
        return Err(Refusal::new("EndpointDisabledException", "Endpoint is disabled"));
    }
    Ok(endpoint.declared.id.0)
}

fn target(input: &PublishInput, caller: &Caller) -> Result<Target, Refusal> {
    let (arn, parameter) = match (&input.topic_arn, &input.target_arn, &input.phone_number) {
        (Some(arn), None, None) => (arn, "TopicArn"),
        (None, Some(arn), None) => (arn, "TargetArn"),
        (None, None, Some(number)) => {
            // Who publishes must say the country (E.164).
            if !number.starts_with('+') || !is_telephone_number(number) {
                let text = format!("PhoneNumber Reason: {number} is not valid to publish to");
                return Err(refusals::invalid(text));
            }
            return Ok(Target::Telephone(number.to_string(), Sender::of(caller)));
        }
        _ => return Err(refusals::invalid("TopicArn or TargetArn Reason: no value for required parameter")),
    };
    if parameter == "TargetArn" && arn.contains(":endpoint/") {
        return Ok(Target::Endpoint(arn.to_string()));
    }
    if parameter == "TopicArn" && arn.is_empty() {
        // Where a topic is required, AWS says that there is none; here it need not be given.
        return Err(refusals::invalid("TopicArn Reason: An ARN must have at least 6 elements, not 1"));
    }
    let topic = arns::topic(Some(arn), parameter).map_err(|refusal| match parameter {
        "TargetArn" => endpoint_missing(),
        _ => refusal,
    })?;
    if topic.region != caller.region {
        return Err(refusals::invalid(parameter));
    }
    Ok(Target::Topic(topic))
}

fn endpoint_missing() -> Refusal {
    refusals::invalid("TargetArn Reason: No endpoint found for the target arn specified")
}

/// A message for an archive is refused while too many wait for the store.
pub(super) fn check_archive(topic: &Topic, setting: &Setting<'_>) -> Result<(), Refusal> {
    if !topic.is_archived() || !setting.store_lags {
        return Ok(());
    }
    let text = "The store that keeps archived messages has no room on its disk, or is too slow, and too many messages wait for it. \
                Nothing was published. Free some space and try again.";
    Err(Refusal::new("ServiceUnavailable", text))
}

/// What a topic demands of a message (facts/sns.md § 5).
pub(super) fn check_for(topic: &Topic, post: &Post) -> Result<(), Refusal> {
    if post.size > topic.message_bytes() {
        return Err(refusals::invalid("Message too long"));
    }
    if !topic.is_fifo() {
        return match post.deduplication_id {
            Some(_) => Err(refusals::invalid(
                "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid \
                 for this topic type",
            )),
            None => Ok(()),
        };
    }
    if post.group.is_none() {
        return Err(refusals::invalid("The MessageGroupId parameter is required for FIFO topics"));
    }
    let by_content = topic.attribute("ContentBasedDeduplication").is_some_and(|on| on == "true");
    if post.deduplication_id.is_none() && !by_content {
        return Err(refusals::invalid(
            "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        ));
    }
    Ok(())
}
