//! SubscribeToShard: records are sent as they arrive, for five minutes (facts/kinesis.md §§ 5, 14).

use api::kinesis::{SubscribeToShardEvent, SubscribeToShardInput, SubscribeToShardOutput};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Caller, Demand, Internal, Operation, Outcome, Refusal};
use resources::Faults;

use super::get_records::{Start, TYPES, children_shown, number_of, records_shown};
use super::{Context, Decision, Materials, Reply, Setting, decided};
use crate::ids::{consumer_of_arn, shard_number};
use crate::reading::{Gathered, Reading};
use crate::rules::iterator::Position;
use crate::rules::{checking, permissions};
use crate::service::Waiter;
use crate::state::State;
use crate::subscriptions::Cursor;
use crate::{ConsumerKey, StreamKey, limits, refusals};

/// SubscribeToShard.
#[derive(Clone, Debug)]
pub struct SubscribeToShard {
    stream: StreamKey,
    name: String,
    second: u64,
    arn: String,
    caller: Caller,
    shard: String,
    start: Start,
    is_dry: bool,
}

impl Operation<State> for SubscribeToShard {
    type Input = SubscribeToShardInput;
    type Output = SubscribeToShardOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: SubscribeToShardInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let arn = faults.required(input.consumer_arn.as_deref(), "consumerARN").to_owned();
        let shard = checking::required_name(input.shard_id.as_ref(), "shardId", &mut faults);
        let parsed = arn.parse::<Arn>().ok().and_then(|arn| consumer_of_arn(&arn));
        if input.consumer_arn.is_some() && parsed.is_none() {
            faults.pattern(&arn, "consumerARN", super::consumers::CONSUMER_ARN, false);
        }
        let position = input.starting_position.unwrap_or_default();
        let kind = checking::one_of(position.r#type.as_ref(), "startingPosition.type", &TYPES, &mut faults);
        faults.refusal()?;
        let (stream, name, second) = parsed.ok_or_else(|| refusals::invalid("ConsumerARN is invalid."))?;
        let start =
            Start::of(kind, position.sequence_number.as_ref(), position.timestamp.map(checking::moment))?;
        let is_dry = input.dry_run.unwrap_or(false);
        Ok(SubscribeToShard { stream, name, second, arn, caller: asker.caller.clone(), shard, start, is_dry })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.subscribe(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<SubscribeToShardOutput, Malformed> {
        match reply {
            Reply::Subscribed(_) => Ok(SubscribeToShardOutput {}),
            _ => Err(Malformed),
        }
    }
}

impl SubscribeToShard {
    fn subscribe<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let owner = &self.stream.account;
        let stream = state.stream(&self.stream);
        let key = stream.map(|stream| ConsumerKey { stream: stream.id, name: self.name.clone() });
        let consumer = key.and_then(|key| state.consumers.get(&key));
        let consumer = consumer.filter(|consumer| consumer.created.seconds() == self.second);
        let policy = consumer.and_then(|it| it.policy.as_deref()).map(resources::policy::Policy::compile);
        if setting.limits.policies {
            permissions::check(
                &self.caller,
                owner,
                || self.arn.clone(),
                policy.as_ref(),
                "SubscribeToShard",
            )?;
        }
        let (Some(stream), Some(consumer)) = (stream, consumer) else {
            return Err(refusals::consumer_missing(&self.name, owner));
        };
        let shard = shard_number(&self.shard).and_then(|number| state.shard(stream.id, number));
        let shard = shard.ok_or_else(|| refusals::shard_missing(&self.shard, &self.stream))?;
        let position = self.start.position(state, &self.stream, shard)?;
        if self.is_dry {
            return Err(refusals::dry_run());
        }
        let now = setting.now;
        let began = state.subscriptions.began(consumer.id, shard.series());
        if began.is_some_and(|began| now < began + limits::TAKE_OVER_MILLIS) {
            // The text is not recorded of AWS.
            return Err(refusals::in_use(format_args!(
                "Another active subscription exists for this consumer: {} on shard {}.",
                self.arn, self.shard
            )));
        }
        let cursor = Cursor {
            number: 0,
            consumer: consumer.id,
            stream: self.stream.clone(),
            id: stream.id,
            shard: shard.key.number,
            series: shard.series(),
            position,
            until: now + limits::SUBSCRIPTION_MILLIS,
        };
        let waiter = Waiter::Opens(setting.ticket, Box::new(cursor), now);
        Ok(Decision::with(Vec::new(), Outcome::Wait(waiter)))
    }
}

/// What comes next in a subscription: asked by the server while the client takes what it is sent. If there is nothing, the request
/// waits, and is answered with an empty reading after a while.
#[derive(Clone, Debug)]
pub struct ReadOn(pub Box<Cursor>);

impl Internal<State> for ReadOn {
    const DEMAND: Demand = Demand::Nothing;

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let setting = &context.setting;
        match state.read_on(&self.0, setting) {
            Ok(reply) => Decision::answer(reply),
            Err(_) => {
                let until = self.0.until.min(setting.now + limits::HEARTBEAT_MILLIS);
                let waiter = Waiter::ReadsOn(setting.ticket, self.0.clone(), until);
                Decision::with(Vec::new(), Outcome::Wait(waiter))
            }
        }
    }
}

impl State {
    /// What comes next in a subscription: its end, or what is to be read. If there is nothing, the reading that brings nothing is the
    /// error.
    pub(crate) fn read_on(&self, cursor: &Cursor, setting: &Setting<'_>) -> Result<Reply, Box<Reading>> {
        let ended = |refusal| Ok(Reply::Ended(refusal));
        let stream = self.stream(&cursor.stream).filter(|stream| stream.id == cursor.id);
        let Some(stream) = stream else {
            return ended(Some(refusals::stream_missing(&cursor.stream)));
        };
        let Some(shard) = self.shard_of_series(cursor.id, cursor.series) else {
            let id = crate::ids::shard_id(cursor.shard);
            return ended(Some(refusals::shard_missing(id, &cursor.stream)));
        };
        if !self.consumers_of(stream.id).any(|consumer| consumer.id == cursor.consumer) {
            let text = "The consumer of this subscription has been deregistered.";
            return ended(Some(Refusal::new("ResourceNotFoundException", text)));
        }
        if !self.subscriptions.is_latest(cursor) {
            // The text is not recorded of AWS.
            let text = "Another subscription of this consumer to this shard has taken over.";
            return ended(Some(refusals::in_use(text)));
        }
        if cursor.until <= setting.now || self.subscriptions.is_stopping() {
            return ended(None);
        }
        let reading = self.reading((stream, shard), cursor.position, limits::READ_RECORDS, setting.now);
        let reading = Box::new(Reading { bytes: EVENT_BYTES, ..reading });
        let is_new = match cursor.position {
            Position::Number(number) => number <= reading.last,
            Position::Time(_) => !reading.is_empty(),
        };
        if is_new || reading.children.is_some() { Ok(Reply::Reading(reading)) } else { Err(reading) }
    }
}

/// Bytes of one event, unless it is one record. AWS pushes two megabytes a second.
const EVENT_BYTES: usize = 1 << 20;

/// The event for what has been read, whether the shard ends with it, and what comes next.
pub fn event(reading: &Reading, gathered: &Gathered) -> (SubscribeToShardEvent, bool, Position) {
    let has_ended = reading.children.is_some() && gathered.is_at_end(reading);
    let continues_after = gathered.next.max(reading.series.0 + 1) - 1;
    let event = SubscribeToShardEvent {
        records: Some(records_shown(reading, gathered)),
        continuation_sequence_number: (!has_ended)
            .then(|| number_of(reading, continues_after).to_string().into()),
        millis_behind_latest: gathered.millis_behind(reading).try_into().ok(),
        child_shards: if has_ended { children_shown(reading) } else { None },
    };
    (event, has_ended, Position::Number(gathered.next))
}
