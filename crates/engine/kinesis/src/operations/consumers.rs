//! RegisterStreamConsumer, DeregisterStreamConsumer, DescribeStreamConsumer and ListStreamConsumers (facts/kinesis.md §§ 5, 16).

use api::kinesis::{
    ConsumerDescription, DeregisterStreamConsumerInput, DeregisterStreamConsumerOutput,
    DescribeStreamConsumerInput, DescribeStreamConsumerOutput, ListStreamConsumersInput,
    ListStreamConsumersOutput, RegisterStreamConsumerInput, RegisterStreamConsumerOutput, Response,
};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Caller, Demand, Operation, Refusal};
use resources::Faults;
use resources::pages::{Page, key_of};
use resources::tags::Tags;

use super::{
    Context, Decision, Fact, Materials, Reply, Setting, answer, answered, consumer_shown, decided, permitted,
};
use crate::ids::consumer_of_arn;
use crate::records::{ConsumerDeclared, Record, StreamDeclared};
use crate::rules::{checking, permissions};
use crate::state::State;
use crate::{ConsumerKey, StreamKey, limits, refusals};

/// The model's pattern of a consumer's ARN.
pub(super) const CONSUMER_ARN: &str =
    "^(arn):aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer\\/[a-zA-Z0-9_.-]+:[0-9]+";

/// RegisterStreamConsumer.
#[derive(Clone, Debug)]
pub struct RegisterStreamConsumer {
    stream: StreamKey,
    caller: Caller,
    name: String,
    tags: Tags,
}

impl Operation<State> for RegisterStreamConsumer {
    type Input = RegisterStreamConsumerInput;
    type Output = RegisterStreamConsumerOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: RegisterStreamConsumerInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let name = checking::required_name(input.consumer_name.as_ref(), "consumerName", &mut faults);
        faults.required(input.stream_arn.as_deref(), "streamARN");
        let stream = checking::stream(None, input.stream_arn.as_ref(), asker, faults)?;
        let tags = checking::tags(input.tags.as_ref())?;
        checking::check_tag_count(&tags)?;
        Ok(RegisterStreamConsumer { stream, caller: asker.caller.clone(), name, tags })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.register(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<RegisterStreamConsumerOutput, Malformed> {
        answered!(reply, RegisterStreamConsumer)
    }
}

impl RegisterStreamConsumer {
    fn register<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let stream = permitted(state, &self.stream, &self.caller, "RegisterStreamConsumer", setting)?;
        let key = ConsumerKey { stream: stream.id, name: self.name.clone() };
        if state.consumers.contains(&key) {
            // The text is not recorded of AWS.
            return Err(refusals::in_use(format_args!(
                "Consumer {} under stream {} already exists for account {}.",
                self.name, self.stream.name, self.stream.account
            )));
        }
        let count = state.consumers_of(stream.id).count();
        if setting.limits.quotas && count >= limits::CONSUMERS {
            return Err(refusals::limit_exceeded(format_args!(
                "Stream {} under account {} has reached the limit of {} consumers.",
                self.stream.name,
                self.stream.account,
                limits::CONSUMERS
            )));
        }
        let consumer = ConsumerDeclared {
            id: setting.numbers.draw(),
            key,
            created: setting.now,
            policy: None,
            tags: self.tags.clone(),
        };
        // It can be subscribed with at once; AWS says that it is being made, and clients wait until it is.
        let shown = consumer_shown(&consumer, &self.stream, "CREATING");
        let output = RegisterStreamConsumerOutput { consumer: Some(shown) };
        let reply = Reply::Answer(Box::new(Response::RegisterStreamConsumer(output)));
        Ok(Decision::done(vec![Record::ConsumerDeclared(Box::new(consumer)).into()], reply))
    }
}

/// How a request names a consumer.
#[derive(Clone, Debug)]
pub struct Named {
    stream: StreamKey,
    name: String,
    second: Option<u64>,
}

impl Named {
    /// A consumer's ARN, or the ARN of its stream and its name.
    fn of(
        arn: Option<&api::Text>,
        stream: Option<&api::Text>,
        name: Option<&api::Text>,
        asker: &Asker<'_>,
    ) -> Result<Named, Refusal> {
        let mut faults = Faults::default();
        if let Some(arn) = arn {
            let parsed = arn.parse::<Arn>().ok().and_then(|arn| consumer_of_arn(&arn));
            faults.pattern(arn, "consumerARN", CONSUMER_ARN, parsed.is_some());
            faults.refusal()?;
            let (stream, name, second) =
                parsed.ok_or_else(|| refusals::invalid("ConsumerARN is invalid."))?;
            return Ok(Named { stream, name, second: Some(second) });
        }
        let (Some(_), Some(name)) = (stream, name) else {
            return Err(refusals::invalid(
                "Either ConsumerARN, or StreamARN and ConsumerName must be given.",
            ));
        };
        checking::check_name(name, "consumerName", &mut faults);
        let stream = checking::stream(None, stream, asker, faults)?;
        Ok(Named { stream, name: name.to_string(), second: None })
    }

    fn find<'s>(
        &self,
        state: &'s State,
        caller: &Caller,
        action: &str,
        setting: &Setting<'_>,
    ) -> Result<(&'s StreamDeclared, &'s ConsumerDeclared), Refusal> {
        let missing = || refusals::consumer_missing(&self.name, &self.stream.account);
        let stream = state.stream(&self.stream);
        let key = stream.map(|stream| ConsumerKey { stream: stream.id, name: self.name.clone() });
        let consumer = key.and_then(|key| state.consumers.get(&key));
        let consumer = consumer.filter(|it| self.second.is_none_or(|second| it.created.seconds() == second));
        let policy = consumer.and_then(|it| it.policy.as_deref()).map(resources::policy::Policy::compile);
        let arn = || {
            let created = consumer.map_or(kernel::Time(0), |consumer| consumer.created);
            crate::ids::consumer_arn(&self.stream, &self.name, created)
        };
        if setting.limits.policies {
            permissions::check(caller, &self.stream.account, arn, policy.as_ref(), action)?;
        }
        match (stream, consumer) {
            (None, _) if self.second.is_none() => Err(refusals::stream_missing(&self.stream)),
            (Some(stream), Some(consumer)) => Ok((stream, consumer)),
            _ => Err(missing()),
        }
    }
}

/// DeregisterStreamConsumer.
#[derive(Clone, Debug)]
pub struct DeregisterStreamConsumer(Named, Caller);

impl Operation<State> for DeregisterStreamConsumer {
    type Input = DeregisterStreamConsumerInput;
    type Output = DeregisterStreamConsumerOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Purge;

    fn prepare(input: DeregisterStreamConsumerInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let (stream, name) = (input.stream_arn.as_ref(), input.consumer_name.as_ref());
        let named = Named::of(input.consumer_arn.as_ref(), stream, name, asker)?;
        Ok(DeregisterStreamConsumer(named, asker.caller.clone()))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.0.find(state, &self.1, "DeregisterStreamConsumer", &context.setting).map(
            |(_, consumer)| {
                let deleted = state.consumers.deletion(&consumer.key).map(Record::ConsumerDeleted);
                Decision::done(deleted.into_iter().map(Fact::from).collect(), Reply::Done)
            },
        ))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DeregisterStreamConsumerOutput, Malformed> {
        reply.done()
    }
}

/// DescribeStreamConsumer.
#[derive(Clone, Debug)]
pub struct DescribeStreamConsumer(Named, Caller);

impl Operation<State> for DescribeStreamConsumer {
    type Input = DescribeStreamConsumerInput;
    type Output = DescribeStreamConsumerOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeStreamConsumerInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let (stream, name) = (input.stream_arn.as_ref(), input.consumer_name.as_ref());
        let named = Named::of(input.consumer_arn.as_ref(), stream, name, asker)?;
        Ok(DescribeStreamConsumer(named, asker.caller.clone()))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.0.find(state, &self.1, "DescribeStreamConsumer", &context.setting).map(
            |(stream, consumer)| {
                let shown = consumer_shown(consumer, &stream.key, "ACTIVE");
                answer(Response::DescribeStreamConsumer(DescribeStreamConsumerOutput {
                    consumer_description: Some(ConsumerDescription {
                        consumer_name: shown.consumer_name,
                        consumer_arn: shown.consumer_arn,
                        consumer_status: shown.consumer_status,
                        consumer_creation_timestamp: shown.consumer_creation_timestamp,
                        stream_arn: super::text(stream.key.arn()),
                    }),
                }))
            },
        ))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DescribeStreamConsumerOutput, Malformed> {
        answered!(reply, DescribeStreamConsumer)
    }
}

/// ListStreamConsumers.
#[derive(Clone, Debug)]
pub struct ListStreamConsumers {
    stream: StreamKey,
    caller: Caller,
    created: Option<u64>,
    page: Page,
}

impl Operation<State> for ListStreamConsumers {
    type Input = ListStreamConsumersInput;
    type Output = ListStreamConsumersOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListStreamConsumersInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        checking::range(input.max_results, "maxResults", (1, 10_000), &mut faults);
        faults.required(input.stream_arn.as_deref(), "streamARN");
        let stream = checking::stream(None, input.stream_arn.as_ref(), asker, faults)?;
        let after =
            key_of(input.next_token.as_deref()).map_err(|_| refusals::invalid("NextToken is invalid."))?;
        let page = Page { after, most: input.max_results.unwrap_or(100).unsigned_abs() as usize };
        let created = input.stream_creation_timestamp.map(|given| checking::moment(given).seconds());
        Ok(ListStreamConsumers { stream, caller: asker.caller.clone(), created, page })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let stream =
            match permitted(state, &self.stream, &self.caller, "ListStreamConsumers", &context.setting) {
                Ok(stream) => stream,
                Err(refusal) => return refusal.into(),
            };
        if self.created.is_some_and(|created| created != stream.created.seconds()) {
            return refusals::stream_missing(&self.stream).into();
        }
        let after = self.page.after.as_deref();
        let rest = state.consumers_of(stream.id).filter(|it| after.is_none_or(|after| *it.key.name > *after));
        let listed = self.page.fill(rest.map(|it| (it.key.name.as_str(), it)));
        let shown = listed.items.iter().map(|it| consumer_shown(it, &self.stream, "ACTIVE"));
        answer(Response::ListStreamConsumers(ListStreamConsumersOutput {
            consumers: Some(shown.collect()),
            next_token: listed.next_token.map(Into::into),
        }))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ListStreamConsumersOutput, Malformed> {
        answered!(reply, ListStreamConsumers)
    }
}
