//! StartReplay, DescribeReplay, ListReplays and CancelReplay: what an archive has goes to its bus again.

use api::Timestamp;
use api::eventbridge::{
    CancelReplayInput, CancelReplayOutput, DescribeReplayInput, DescribeReplayOutput, ListReplaysInput,
    ListReplaysOutput, Replay, ReplayDestination, StartReplayInput, StartReplayOutput,
};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Refusal};

use super::{Context, Decision, Reply, Setting, check_bus, decided, done, owned, shown, timestamp};
use crate::connections::belonging_to;
use crate::records::{Record, ReplayDeclared, Stage};
use crate::rules::constraints::{ARN, Constraints, NAME, text};
use crate::rules::pages::{self, Page};
use crate::state::State;
use crate::{BusKey, ReplayId, ResourceKey, RuleKey, limits, refusals};

/// AWS's model: `ReplayState`.
const STATES: [&str; 6] = ["STARTING", "RUNNING", "CANCELLING", "COMPLETED", "CANCELLED", "FAILED"];

/// A replay, and how far it has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayShown {
    /// What was said of it.
    pub declared: ReplayDeclared,
    /// `State`.
    pub state: &'static str,
    /// `EventLastReplayedTime`, in seconds since 1970.
    pub last: Option<i64>,
}

impl ReplayShown {
    fn of(state: &State, declared: &ReplayDeclared) -> Self {
        let (name, last) = state.replaying.progress(declared);
        ReplayShown { declared: declared.clone(), state: name, last }
    }

    fn last_time(&self) -> Option<Timestamp> {
        self.last.map(|seconds| Timestamp(seconds.saturating_mul(1000)))
    }
}

/// Which replay a request means.
fn key(name: Option<&api::Text>, asker: &Asker<'_>) -> Result<ResourceKey, Refusal> {
    Constraints::default().required_text("replayName", name, NAME).check()?;
    Ok(ResourceKey::of(name.map(|name| &**name), asker.caller))
}

/// The replay of a name.
///
/// Errors: there is none.
fn find<'s>(state: &'s State, key: &ResourceKey) -> Result<&'s ReplayDeclared, Refusal> {
    let missing = || refusals::missing(format_args!("Replay {} does not exist.", key.name));
    state.replaying.declared.get(key).ok_or_else(missing)
}

/// StartReplay.
#[derive(Clone, Debug)]
pub struct StartReplay {
    /// Which.
    pub key: ResourceKey,
    /// `Description`.
    pub description: Option<String>,
    /// The archive.
    pub archive: ResourceKey,
    /// The bus.
    pub bus: BusKey,
    /// The ARNs of the rules that get the events; none: all of the bus.
    pub filters: Vec<String>,
    /// `EventStartTime` and `EventEndTime`, in milliseconds since 1970.
    pub window: (i64, i64),
}

impl Operation<State> for StartReplay {
    type Input = StartReplayInput;
    type Output = StartReplayOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: StartReplayInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let destination = input.destination.as_ref().and_then(|destination| destination.arn.as_ref());
        let mut constraints = Constraints::default();
        constraints
            .required_text("replayName", input.replay_name.as_ref(), NAME)
            .text("description", input.description.as_ref(), text(512))
            .required_text("eventSourceArn", input.event_source_arn.as_ref(), ARN)
            .required("eventStartTime", input.event_start_time.as_ref())
            .required("eventEndTime", input.event_end_time.as_ref())
            .required("destination", input.destination.as_ref());
        if input.destination.is_some() {
            constraints.required_text("destination.arn", destination, ARN);
        }
        let filters = input.destination.as_ref().and_then(|destination| destination.filter_arns.as_ref());
        for (number, filter) in filters.into_iter().flatten().enumerate() {
            let path = format!("destination.filterArns.{}.member", number + 1);
            constraints.text(&path, Some(filter), ARN);
        }
        constraints.check()?;
        let arn = |text: Option<&api::Text>| text.and_then(|text| text.parse::<Arn>().ok());
        let bus = arn(destination).as_ref().and_then(BusKey::from_arn);
        let bus =
            bus.ok_or_else(|| refusals::parameter("Destination.Arn", "Must contain an event bus ARN."))?;
        let archive = arn(input.event_source_arn.as_ref());
        let archive = archive.as_ref().and_then(|arn| ResourceKey::from_plain_arn(arn, "archive"));
        // By what AWS says of the bus.
        let archive =
            archive.ok_or_else(|| refusals::parameter("EventSourceArn", "Must contain an archive ARN."))?;
        let millis = |time: Option<Timestamp>| time.unwrap_or_default().0;
        Ok(StartReplay {
            key: ResourceKey::of(input.replay_name.as_deref(), asker.caller),
            description: owned(input.description.as_ref()),
            archive,
            bus,
            filters: filters.into_iter().flatten().map(ToString::to_string).collect(),
            window: (millis(input.event_start_time), millis(input.event_end_time)),
        })
    }

    /// Begins it. It hands on what was accepted before.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.try_decide(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<StartReplayOutput, Malformed> {
        let Reply::Replay(replay) = reply else { return Err(Malformed) };
        Ok(StartReplayOutput {
            replay_arn: Some(replay.declared.arn().into()),
            state: Some(replay.state.into()),
            state_reason: None,
            replay_start_time: timestamp(replay.declared.started),
        })
    }
}

impl StartReplay {
    /// The errors are AWS's (facts/eventbridge.md § 7).
    fn try_decide<'a>(&'a self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        check_bus(state, &self.bus)?;
        let archive = state.archiving.declared.get(&self.archive).ok_or_else(|| {
            let text = format_args!("Archive {} does not exist.", self.archive.name);
            refusals::parameter("EventSourceArn", text)
        })?;
        if archive.bus != self.bus {
            let text = "Cross event bus replay is not permitted.";
            return Err(refusals::parameter("Destination.Arn", text));
        }
        if self.window.0 >= self.window.1 {
            let text = "EventStartTime must be before EventEndTime.";
            return Err(refusals::parameter("EventEndTime", text));
        }
        for filter in &self.filters {
            let rule = filter.parse::<Arn>().ok().as_ref().and_then(RuleKey::from_arn);
            let rule = rule.filter(|rule| rule.bus == self.bus).ok_or_else(|| {
                // AWS's text is not known.
                refusals::parameter("Destination.FilterArns", "Rules must be on the destination event bus.")
            })?;
            state.rule(&rule).ok_or_else(|| refusals::rule_missing(&rule))?;
        }
        if state.replaying.declared.get(&self.key).is_some() {
            return Err(refusals::exists(format_args!("Replay {} already exists.", self.key.name)));
        }
        if setting.limits.quotas && state.replaying.active_of(&self.key) >= limits::REPLAYS {
            return Err(refusals::too_many());
        }
        let id = ReplayId(setting.numbers.draw());
        let replay = ReplayDeclared {
            id,
            key: self.key.clone(),
            description: self.description.clone(),
            archive: archive.id,
            archive_key: self.archive.clone(),
            bus: self.bus.clone(),
            filters: self.filters.clone(),
            window: self.window,
            came: state.archiving.spread(archive).came(self.window),
            below: id.0,
            stage: Stage::Running,
            reason: None,
            last: None,
            started: setting.now,
            ended: None,
        };
        let reply = Reply::Replay(Box::new(ReplayShown::of(state, &replay)));
        Ok(done(Record::ReplayDeclared(Box::new(replay)), reply))
    }
}

/// DescribeReplay.
#[derive(Clone, Debug)]
pub struct DescribeReplay {
    /// Which.
    pub key: ResourceKey,
}

impl Operation<State> for DescribeReplay {
    type Input = DescribeReplayInput;
    type Output = DescribeReplayOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeReplayInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DescribeReplay { key: key(input.replay_name.as_ref(), asker)? })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(
            find(state, &self.key)
                .map(|found| Decision::answer(Reply::Replay(Box::new(ReplayShown::of(state, found))))),
        )
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<DescribeReplayOutput, Malformed> {
        let Reply::Replay(replay) = reply else { return Err(Malformed) };
        let last = replay.last_time();
        let ReplayShown { declared, state, .. } = *replay;
        let filters: Vec<api::Text> = declared.filters.iter().map(|arn| arn.as_str().into()).collect();
        Ok(DescribeReplayOutput {
            replay_arn: Some(declared.arn().into()),
            replay_name: Some(declared.key.name.into()),
            description: shown(declared.description),
            state: Some(state.into()),
            state_reason: shown(declared.reason),
            event_source_arn: Some(declared.archive_key.plain_arn("archive").into()),
            destination: Some(ReplayDestination {
                arn: Some(declared.bus.arn().to_string().into()),
                filter_arns: (!filters.is_empty()).then_some(filters),
            }),
            event_start_time: Some(Timestamp(declared.window.0)),
            event_end_time: Some(Timestamp(declared.window.1)),
            event_last_replayed_time: last,
            replay_start_time: timestamp(declared.started),
            replay_end_time: declared.ended.and_then(timestamp),
        })
    }
}

/// CancelReplay.
#[derive(Clone, Debug)]
pub struct CancelReplay {
    /// Which.
    pub key: ResourceKey,
}

impl Operation<State> for CancelReplay {
    type Input = CancelReplayInput;
    type Output = CancelReplayOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: CancelReplayInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(CancelReplay { key: key(input.replay_name.as_ref(), asker)? })
    }

    /// It is to end, if it has not (facts/eventbridge.md § 7).
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let cancelled = find(state, &self.key).and_then(|found| {
            if found.stage != Stage::Running {
                let text = format!("Replay {} is not in a valid state for this operation.", self.key.name);
                return Err(Refusal::new("IllegalStatusException", text));
            }
            let declared = ReplayDeclared { stage: Stage::Cancelling, ..found.clone() };
            let reply = Reply::Replay(Box::new(ReplayShown::of(state, &declared)));
            Ok(done(Record::ReplayDeclared(Box::new(declared)), reply))
        });
        decided(cancelled)
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<CancelReplayOutput, Malformed> {
        let Reply::Replay(replay) = reply else { return Err(Malformed) };
        Ok(CancelReplayOutput {
            replay_arn: Some(replay.declared.arn().into()),
            state: Some(replay.state.into()),
            state_reason: None,
        })
    }
}

/// ListReplays.
#[derive(Clone, Debug)]
pub struct ListReplays {
    /// Whose; the name is empty.
    pub owner: ResourceKey,
    /// What their names begin with.
    pub prefix: String,
    /// The ARN of their archive, if that matters.
    pub source: Option<String>,
    /// In which state they are, if that matters.
    pub state: Option<String>,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListReplays {
    type Input = ListReplaysInput;
    type Output = ListReplaysOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListReplaysInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default()
            .text("namePrefix", input.name_prefix.as_ref(), NAME)
            .text("eventSourceArn", input.event_source_arn.as_ref(), ARN)
            .one_of("state", input.state.as_ref(), &STATES)
            .check()?;
        let filters = [&input.name_prefix, &input.event_source_arn, &input.state];
        if filters.iter().filter(|filter| filter.is_some()).count() > 1 {
            return Err(refusals::one_filter("ListReplays"));
        }
        Ok(ListReplays {
            owner: ResourceKey::of(None, asker.caller),
            prefix: input.name_prefix.as_deref().unwrap_or_default().to_owned(),
            source: owned(input.event_source_arn.as_ref()),
            state: owned(input.state.as_ref()),
            page: pages::page(input.next_token.as_ref(), input.limit)?,
        })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let all =
            belonging_to(&state.replaying.declared, &self.owner, &self.prefix, self.page.after.as_ref());
        let all = all.map(|it| (&it.key.name, ReplayShown::of(state, it)));
        let wanted = |(_, it): &(&String, ReplayShown)| {
            self.source.as_ref().is_none_or(|arn| *arn == it.declared.archive_key.plain_arn("archive"))
                && self.state.as_deref().is_none_or(|state| state == it.state)
        };
        Decision::answer(Reply::Replays(self.page.fill(all.filter(wanted))))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<ListReplaysOutput, Malformed> {
        let Reply::Replays(listed) = reply else { return Err(Malformed) };
        let item = |it: ReplayShown| Replay {
            event_last_replayed_time: it.last_time(),
            event_source_arn: Some(it.declared.archive_key.plain_arn("archive").into()),
            replay_name: Some(it.declared.key.name.into()),
            state: Some(it.state.into()),
            state_reason: shown(it.declared.reason),
            event_start_time: Some(Timestamp(it.declared.window.0)),
            event_end_time: Some(Timestamp(it.declared.window.1)),
            replay_start_time: timestamp(it.declared.started),
            replay_end_time: it.declared.ended.and_then(timestamp),
        };
        Ok(ListReplaysOutput {
            replays: Some(listed.items.into_iter().map(item).collect()),
            next_token: shown(listed.next_token),
        })
    }
}
