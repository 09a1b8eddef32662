//! DescribePipe and ListPipes: what pipes do and in which state they are.

use std::ops::Bound;

use api::pipes::{DescribePipeInput, DescribePipeOutput, ListPipesInput, ListPipesOutput, Pipe};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;

use super::{Context, Decision, Reply, decided, known, shown, text};
use crate::PipeKey;
use crate::records::PipeDeclared;
use crate::rules::checking;
use crate::rules::pages::{self, Page};
use crate::state::State;

/// DescribePipe.
#[derive(Clone, Debug)]
pub struct DescribePipe(PipeKey);

impl Operation<State> for DescribePipe {
    type Input = DescribePipeInput;
    type Output = DescribePipeOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribePipeInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let key = checking::named(input.name.as_ref(), asker, &mut faults);
        faults.refusal().map(|()| DescribePipe(key))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(known(state, &self.0).map(|known| Decision::answer(Reply::Pipe(Box::new(known.clone())))))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DescribePipeOutput, Malformed> {
        let pipe = reply.pipe()?;
        let definition = &*pipe.definition;
        Ok(DescribePipeOutput {
            arn: text(pipe.key.arn()),
            description: definition.description.clone().map(Into::into),
            desired_state: text(pipe.desired()),
            current_state: text(pipe.state.name()),
            state_reason: None,
            source: text(&*definition.source),
            source_parameters: Some(definition.shown_source()),
            enrichment: definition.enrichment.clone().map(Into::into),
            enrichment_parameters: definition.shown_enrichment(),
            target: text(&*definition.target),
            target_parameters: definition.shown_target(),
            role_arn: text(&*definition.role),
            creation_time: shown(pipe.created),
            last_modified_time: shown(pipe.modified),
            log_configuration: definition.shown_log(),
            kms_key_identifier: definition.kms_key.clone().map(Into::into),
            name: text(pipe.key.name),
            tags: super::tags(pipe.tags),
        })
    }
}

/// ListPipes.
#[derive(Clone, Debug)]
pub struct ListPipes {
    /// Of whom and where; the name is how the names begin.
    prefix: PipeKey,
    desired: Option<String>,
    current: Option<String>,
    source: String,
    target: String,
    page: Page,
}

/// Pipes that a request looks at, at the most. A page of a list of few among many is short, and has a token.
const LOOKED_AT: usize = 10_000;

impl Operation<State> for ListPipes {
    type Input = ListPipesInput;
    type Output = ListPipesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListPipesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        if let Some(prefix) = &input.name_prefix {
            checking::check_name(prefix, "namePrefix", &mut faults);
        }
        checking::desired(input.desired_state.as_ref(), &mut faults);
        if let Some(current) = &input.current_state {
            faults.one_of(current, "currentState", STATES);
        }
        let owned = |text: Option<api::Text>| text.as_deref().unwrap_or_default().to_owned();
        for (prefix, path) in [(&input.source_prefix, "sourcePrefix"), (&input.target_prefix, "targetPrefix")]
        {
            if let Some(prefix) = prefix {
                faults.length(prefix, path, 1, 1600);
            }
        }
        let page = pages::page(input.next_token.as_deref(), input.limit, faults)?;
        let (account, region) = (asker.caller.account.clone(), asker.caller.region.clone());
        Ok(ListPipes {
            prefix: PipeKey { account, region, name: owned(input.name_prefix) },
            desired: input.desired_state.as_deref().map(str::to_owned),
            current: input.current_state.as_deref().map(str::to_owned),
            source: owned(input.source_prefix),
            target: owned(input.target_prefix),
            page,
        })
    }

    /// Tells them, by name.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let prefix = &self.prefix;
        let from = match self.page.after.as_deref().filter(|after| *after >= &*prefix.name) {
            Some(after) => Bound::Excluded(PipeKey { name: after.to_owned(), ..prefix.clone() }),
            None => Bound::Included(prefix.clone()),
        };
        let theirs = state.pipes.range((from, Bound::Unbounded)).take_while(|it| {
            (&it.key.account, &it.key.region) == (&prefix.account, &prefix.region)
                && it.key.name.starts_with(&*prefix.name)
        });
        let fits = |pipe: &&PipeDeclared| {
            self.desired.as_deref().is_none_or(|desired| pipe.desired() == desired)
                && self.current.as_deref().is_none_or(|current| pipe.state.name() == current)
                && pipe.definition.source.starts_with(&*self.source)
                && pipe.definition.target.starts_with(&*self.target)
        };
        let some = theirs.map(|pipe| (&*pipe.key.name, Some(pipe).filter(fits).cloned()));
        Decision::answer(Reply::Pipes(self.page.fill_some(some, LOOKED_AT)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<ListPipesOutput, Malformed> {
        let Reply::Pipes(listed) = reply else { return Err(Malformed) };
        let summary = |pipe: PipeDeclared| Pipe {
            arn: text(pipe.key.arn()),
            desired_state: text(pipe.desired()),
            current_state: text(pipe.state.name()),
            state_reason: None,
            creation_time: shown(pipe.created),
            last_modified_time: shown(pipe.modified),
            source: text(&*pipe.definition.source),
            target: text(&*pipe.definition.target),
            enrichment: pipe.definition.enrichment.clone().map(Into::into),
            name: text(pipe.key.name),
        };
        Ok(ListPipesOutput {
            pipes: Some(listed.items.into_iter().map(summary).collect()),
            next_token: listed.next_token.map(Into::into),
        })
    }
}

/// All states that AWS's model knows.
const STATES: &[&str] = &[
    "RUNNING",
    "STOPPED",
    "CREATING",
    "UPDATING",
    "DELETING",
    "STARTING",
    "STOPPING",
    "CREATE_FAILED",
    "UPDATE_FAILED",
    "START_FAILED",
    "STOP_FAILED",
    "DELETE_FAILED",
    "CREATE_ROLLBACK_FAILED",
    "DELETE_ROLLBACK_FAILED",
    "UPDATE_ROLLBACK_FAILED",
];
