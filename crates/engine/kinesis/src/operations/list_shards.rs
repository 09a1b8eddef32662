//! ListShards: the shards of a stream, or those that a filter lets through (facts/kinesis.md § 3).

use api::kinesis::{ListShardsInput, ListShardsOutput};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::codec::{Malformed, Reader, put_u64};
use kernel::{Asker, Caller, Demand, Operation, Refusal, Time};
use resources::{Faults, Key};

use super::{Context, Decision, Materials, Reply, Setting, decided, permitted, shard_shown};
use crate::ids::shard_number;
use crate::records::{ShardDeclared, StreamDeclared};
use crate::rules::checking;
use crate::state::State;
use crate::{StreamKey, limits, refusals};

/// `ShardFilter`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filter {
    /// All shards that are there: `FROM_TRIM_HORIZON`, or no filter.
    All,
    /// Those that were open at the trim horizon.
    AtTrimHorizon,
    /// Those that are open.
    AtLatest,
    /// Those that were open at a moment.
    At(Time),
    /// Those, and all that were made later.
    From(Time),
}

/// ListShards.
#[derive(Clone, Debug)]
pub struct ListShards {
    key: StreamKey,
    caller: Caller,
    filter: Filter,
    /// The shards behind this one.
    after: Option<u32>,
    most: usize,
    /// When the stream was made, in seconds, if the client says so.
    created: Option<u64>,
    /// When the token was made.
    token_made: Option<Time>,
    /// Which stream it is of.
    token_of: Option<u64>,
}

const FILTERS: [&str; 6] =
    ["AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST", "AT_TIMESTAMP", "FROM_TIMESTAMP"];

/// What the token of a list says: the stream, its number, the filter, the shard behind which the list goes on, and when it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    stream: StreamKey,
    id: u64,
    filter: Filter,
    after: u32,
    made: Time,
}

impl Token {
    fn write(&self) -> String {
        let mut out = Vec::new();
        self.stream.encode(&mut out);
        let (kind, time) = match self.filter {
            Filter::All => (0, Time(0)),
            Filter::AtTrimHorizon => (1, Time(0)),
            Filter::AtLatest => (2, Time(0)),
            Filter::At(time) => (3, time),
            Filter::From(time) => (4, time),
        };
        for number in [self.id, kind, time.0, u64::from(self.after), self.made.0] {
            put_u64(&mut out, number);
        }
        STANDARD.encode(out)
    }

    /// Reads what [`Token::write`] wrote.
    pub fn parse(text: &str) -> Option<Token> {
        let bytes = STANDARD.decode(text).ok()?;
        Token::read(&mut Reader::new(&bytes)).ok()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Token, Malformed> {
        let (stream, id) = (StreamKey::decode(reader)?, reader.u64()?);
        let filter = match (reader.u64()?, Time(reader.u64()?)) {
            (0, _) => Filter::All,
            (1, _) => Filter::AtTrimHorizon,
            (2, _) => Filter::AtLatest,
            (3, time) => Filter::At(time),
            (4, time) => Filter::From(time),
            _ => return Err(Malformed),
        };
        Ok(Token { stream, id, filter, after: reader.u32()?, made: Time(reader.u64()?) })
    }
}

impl Operation<State> for ListShards {
    type Input = ListShardsInput;
    type Output = ListShardsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListShardsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        checking::range(input.max_results, "maxResults", (1, 10_000), &mut faults);
        if let Some(id) = &input.exclusive_start_shard_id {
            checking::check_name(id, "exclusiveStartShardId", &mut faults);
        }
        let given = input.shard_filter.as_ref();
        let kind =
            given.map(|it| checking::one_of(it.r#type.as_ref(), "shardFilter.type", &FILTERS, &mut faults));
        let most = input.max_results.unwrap_or(1000).unsigned_abs() as usize;
        let caller = asker.caller.clone();
        if let Some(token) = &input.next_token {
            faults.refusal()?;
            // AWS's model: neither a stream nor where to begin may be given beside a token.
            let is_alone = input.stream_name.is_none()
                && input.exclusive_start_shard_id.is_none()
                && input.stream_creation_timestamp.is_none();
            if !is_alone {
                return Err(refusals::invalid("NextToken and StreamName cannot be provided together."));
            }
            let token = Token::parse(token).ok_or_else(|| refusals::invalid("NextToken is invalid."))?;
            let (made, of) = (Some(token.made), Some(token.id));
            let (key, filter, after) = (token.stream, token.filter, Some(token.after));
            return Ok(ListShards {
                key,
                caller,
                filter,
                after,
                most,
                created: None,
                token_made: made,
                token_of: of,
            });
        }
        let key = checking::stream(input.stream_name.as_ref(), input.stream_arn.as_ref(), asker, faults)?;
        let moment = || {
            let missing = || refusals::invalid("Timestamp must be given with this type of ShardFilter.");
            given.and_then(|it| it.timestamp).map(checking::moment).ok_or_else(missing)
        };
        let mut after = input.exclusive_start_shard_id.as_deref();
        let filter = match kind.unwrap_or("FROM_TRIM_HORIZON") {
            "AFTER_SHARD_ID" => {
                after = given.and_then(|it| it.shard_id.as_deref());
                if after.is_none() {
                    return Err(refusals::invalid("ShardId must be given with this type of ShardFilter."));
                }
                Filter::All
            }
            "AT_TRIM_HORIZON" => Filter::AtTrimHorizon,
            "AT_LATEST" => Filter::AtLatest,
            "AT_TIMESTAMP" => Filter::At(moment()?),
            "FROM_TIMESTAMP" => Filter::From(moment()?),
            _ => Filter::All,
        };
        let after = after.map(|id| shard_number(id).unwrap_or(u32::MAX));
        let created = input.stream_creation_timestamp.map(|given| checking::moment(given).seconds());
        Ok(ListShards { key, caller, filter, after, most, created, token_made: None, token_of: None })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.list(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ListShardsOutput, Malformed> {
        let Reply::Shards(shards, next) = reply else { return Err(Malformed) };
        Ok(ListShardsOutput {
            shards: Some(shards.iter().map(shard_shown).collect()),
            next_token: next.map(Into::into),
        })
    }
}

impl ListShards {
    fn list<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let now = setting.now;
        if self.token_made.is_some_and(|made| made + limits::TOKEN_MILLIS < now) {
            return Err(refusals::token_expired());
        }
        let stream = permitted(state, &self.key, &self.caller, "ListShards", setting)?;
        let is_it = self.created.is_none_or(|created| created == stream.created.seconds());
        if !is_it || self.token_of.is_some_and(|of| of != stream.id) {
            return Err(refusals::stream_missing(&self.key));
        }
        let from = self.after.map_or(0, |after| after.saturating_add(1));
        let mut shards = state
            .shards_of(stream.id, from)
            .filter(|shard| passes(self.filter, stream, shard, now))
            .peekable();
        let listed: Vec<ShardDeclared> = shards.by_ref().take(self.most).cloned().collect();
        let last = listed.last().filter(|_| shards.peek().is_some());
        let token = last.map(|last| {
            let (stream, id) = (stream.key.clone(), stream.id);
            Token { stream, id, filter: self.filter, after: last.key.number, made: now }.write()
        });
        Ok(Decision::answer(Reply::Shards(listed, token)))
    }
}

/// Whether a filter lets a shard through.
fn passes(filter: Filter, stream: &StreamDeclared, shard: &ShardDeclared, now: Time) -> bool {
    let was_open = |at: Time| shard.created <= at && shard.closed.is_none_or(|closed| at < closed.at);
    // A stream that is younger than its retention begins where it was made.
    let from = |at: Time| at.max(stream.horizon(now)).max(stream.created);
    match filter {
        Filter::All => true,
        Filter::AtTrimHorizon => was_open(from(Time(0))),
        Filter::AtLatest => shard.closed.is_none(),
        Filter::At(at) => was_open(from(at).min(now)),
        Filter::From(at) => shard.closed.is_none_or(|closed| from(at).min(now) < closed.at),
    }
}
