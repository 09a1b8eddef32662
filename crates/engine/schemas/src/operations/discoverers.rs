//! Discoverers: they are made, shown, listed, changed, started, stopped and deleted. What concerns their rules waits for the bus.

use std::ops::Bound;

use api::Text;
use api::schemas::{
    CreateDiscovererInput, CreateDiscovererOutput, DeleteDiscovererInput, DeleteDiscovererOutput,
    DescribeDiscovererInput, DescribeDiscovererOutput, DiscovererSummary, ListDiscoverersInput,
    ListDiscoverersOutput, StartDiscovererInput, StartDiscovererOutput, StopDiscovererInput,
    StopDiscovererOutput, UpdateDiscovererInput, UpdateDiscovererOutput,
};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Outcome, Refusal};

use super::tags::check;
use super::{Context, Decision, Reply, decided, done, text};
use crate::discovery::Change;
use crate::records::{DiscovererDeclared, Record};
use crate::rules::names;
use crate::rules::pages::{self, Page};
use crate::service::Waiter;
use crate::state::State;
use crate::{DiscovererKey, limits, refusals};

/// A discoverer in an answer. The shapes have different names and the same members.
macro_rules! shown {
    ($output:ident, $discoverer:ident) => {
        $output {
            discoverer_arn: text($discoverer.key.arn()),
            discoverer_id: text($discoverer.key.id),
            source_arn: text($discoverer.source),
            description: $discoverer.description.map(Into::into),
            state: state_text($discoverer.is_started),
            cross_account: Some($discoverer.cross_account),
            tags: super::tags($discoverer.tags),
        }
    };
}

/// The discoverer of the caller that a request names.
fn key(id: Option<&Text>, asker: &Asker<'_>) -> DiscovererKey {
    let (account, region) = (asker.caller.account.clone(), asker.caller.region.clone());
    DiscovererKey { account, region, id: id.map(ToString::to_string).unwrap_or_default() }
}

fn state_text(is_started: bool) -> Option<Text> {
    text(if is_started { "STARTED" } else { "STOPPED" })
}

/// A change that waits for the bus.
fn wait<'a>(change: &Change, state: &State, context: &Context<'a, '_>) -> Decision<'a> {
    match state.check(change) {
        Ok(()) => {
            let waiter = Waiter { ticket: context.setting.ticket, change: change.clone() };
            Decision::with(Vec::new(), Outcome::Wait(waiter))
        }
        Err(refusal) => refusal.into(),
    }
}

/// CreateDiscoverer.
#[derive(Clone, Debug)]
pub struct CreateDiscoverer(Change);

impl Operation<State> for CreateDiscoverer {
    type Input = CreateDiscovererInput;
    type Output = CreateDiscovererOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateDiscovererInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let source = input.source_arn.as_deref().unwrap_or_default();
        let bus = source.parse::<Arn>().ok();
        let own = bus.filter(|bus| bus.account == asker.caller.account && bus.region == asker.caller.region);
        let key = own.and_then(|bus| DiscovererKey::of_bus(&bus)).ok_or_else(|| {
            refusals::bad_request(format!(
                "SourceArn must be the ARN of an event bus of this account and region, not {source}."
            ))
        })?;
        Ok(CreateDiscoverer(Change::Create(DiscovererDeclared {
            id: 0,
            key,
            source: source.to_owned(),
            description: names::description(input.description.as_ref())?,
            // EventBridge User Guide, "Inferring schemas": events of other accounts are looked at unless that is disabled.
            cross_account: input.cross_account.unwrap_or(true),
            is_started: true,
            tags: check(input.tags.as_ref())?,
        })))
    }

    /// It is made once its bus has its rule.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Change::Create(discoverer) = &self.0 else { return Decision::answer(Reply::Done) };
        let limits = context.setting.limits;
        if limits.quotas && state.discoverers_of(&discoverer.key) >= limits::DISCOVERERS {
            return refusals::quota_exceeded("discoverers", limits::DISCOVERERS).into();
        }
        wait(&self.0, state, context)
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<CreateDiscovererOutput, Malformed> {
        let Reply::Discoverer(discoverer) = reply else { return Err(Malformed) };
        Ok(shown!(CreateDiscovererOutput, discoverer))
    }
}

/// DescribeDiscoverer.
#[derive(Clone, Debug)]
pub struct DescribeDiscoverer(DiscovererKey);

impl Operation<State> for DescribeDiscoverer {
    type Input = DescribeDiscovererInput;
    type Output = DescribeDiscovererOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeDiscovererInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DescribeDiscoverer(key(input.discoverer_id.as_ref(), asker)))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        match state.discoverers.get(&self.0) {
            Some(known) => Decision::answer(Reply::Discoverer(known.clone())),
            None => refusals::missing("Discoverer", &self.0.id).into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DescribeDiscovererOutput, Malformed> {
        let Reply::Discoverer(discoverer) = reply else { return Err(Malformed) };
        Ok(shown!(DescribeDiscovererOutput, discoverer))
    }
}

/// UpdateDiscoverer.
#[derive(Clone, Debug)]
pub struct UpdateDiscoverer {
    key: DiscovererKey,
    description: Option<String>,
    cross_account: Option<bool>,
}

impl Operation<State> for UpdateDiscoverer {
    type Input = UpdateDiscovererInput;
    type Output = UpdateDiscovererOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateDiscovererInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(UpdateDiscoverer {
            key: key(input.discoverer_id.as_ref(), asker),
            description: names::description(input.description.as_ref())?,
            cross_account: input.cross_account,
        })
    }

    /// What is not said stays.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let known = state.discoverers.get(&self.key);
        let known = known.ok_or_else(|| refusals::missing("Discoverer", &self.key.id));
        decided(known.map(|known| {
            let discoverer = DiscovererDeclared {
                description: self.description.clone().or_else(|| known.description.clone()),
                cross_account: self.cross_account.unwrap_or(known.cross_account),
                ..known.clone()
            };
            done(vec![Record::DiscovererDeclared(discoverer.clone())], Reply::Discoverer(discoverer))
        }))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<UpdateDiscovererOutput, Malformed> {
        let Reply::Discoverer(discoverer) = reply else { return Err(Malformed) };
        Ok(shown!(UpdateDiscovererOutput, discoverer))
    }
}

/// StartDiscoverer.
#[derive(Clone, Debug)]
pub struct StartDiscoverer(Change);

impl Operation<State> for StartDiscoverer {
    type Input = StartDiscovererInput;
    type Output = StartDiscovererOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: StartDiscovererInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let key = key(input.discoverer_id.as_ref(), asker);
        Ok(StartDiscoverer(Change::Set { key, is_started: true }))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        wait(&self.0, state, context)
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<StartDiscovererOutput, Malformed> {
        let Reply::Discoverer(discoverer) = reply else { return Err(Malformed) };
        let state = state_text(discoverer.is_started);
        Ok(StartDiscovererOutput { discoverer_id: text(discoverer.key.id), state })
    }
}

/// StopDiscoverer.
#[derive(Clone, Debug)]
pub struct StopDiscoverer(Change);

impl Operation<State> for StopDiscoverer {
    type Input = StopDiscovererInput;
    type Output = StopDiscovererOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: StopDiscovererInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let key = key(input.discoverer_id.as_ref(), asker);
        Ok(StopDiscoverer(Change::Set { key, is_started: false }))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        wait(&self.0, state, context)
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<StopDiscovererOutput, Malformed> {
        let Reply::Discoverer(discoverer) = reply else { return Err(Malformed) };
        let state = state_text(discoverer.is_started);
        Ok(StopDiscovererOutput { discoverer_id: text(discoverer.key.id), state })
    }
}

/// DeleteDiscoverer.
#[derive(Clone, Debug)]
pub struct DeleteDiscoverer(Change);

impl Operation<State> for DeleteDiscoverer {
    type Input = DeleteDiscovererInput;
    type Output = DeleteDiscovererOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteDiscovererInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DeleteDiscoverer(Change::Delete(key(input.discoverer_id.as_ref(), asker))))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        wait(&self.0, state, context)
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DeleteDiscovererOutput, Malformed> {
        reply.done()
    }
}

/// ListDiscoverers.
#[derive(Clone, Debug)]
pub struct ListDiscoverers {
    /// Of whom and where; the id is how the ids begin.
    prefix: DiscovererKey,
    source: String,
    page: Page,
}

impl Operation<State> for ListDiscoverers {
    type Input = ListDiscoverersInput;
    type Output = ListDiscoverersOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListDiscoverersInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(ListDiscoverers {
            prefix: key(input.discoverer_id_prefix.as_ref(), asker),
            source: input.source_arn_prefix.as_deref().unwrap_or_default().to_owned(),
            page: pages::page(input.next_token.as_deref(), input.limit)?,
        })
    }

    /// Tells them, by id.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let prefix = &self.prefix;
        let from = match self.page.after.as_deref().filter(|after| *after >= &*prefix.id) {
            Some(after) => Bound::Excluded(DiscovererKey { id: after.to_owned(), ..prefix.clone() }),
            None => Bound::Included(prefix.clone()),
        };
        let theirs = state.discoverers.range((from, Bound::Unbounded)).take_while(|it| {
            (&it.key.account, &it.key.region) == (&prefix.account, &prefix.region)
                && it.key.id.starts_with(&*prefix.id)
        });
        let named =
            theirs.map(|it| (it.key.id.clone(), it.source.starts_with(&self.source).then(|| it.clone())));
        Decision::answer(Reply::Discoverers(self.page.fill_some(named, limits::DISCOVERERS)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<ListDiscoverersOutput, Malformed> {
        let Reply::Discoverers(listed) = reply else { return Err(Malformed) };
        let summary = |discoverer: DiscovererDeclared| DiscovererSummary {
            discoverer_arn: text(discoverer.key.arn()),
            discoverer_id: text(discoverer.key.id),
            source_arn: text(discoverer.source),
            state: state_text(discoverer.is_started),
            cross_account: Some(discoverer.cross_account),
            tags: super::tags(discoverer.tags),
        };
        Ok(ListDiscoverersOutput {
            next_token: listed.next_token.map(Into::into),
            discoverers: Some(listed.items.into_iter().map(summary).collect()),
        })
    }
}
