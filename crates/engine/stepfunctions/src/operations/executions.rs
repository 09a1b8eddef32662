//! DescribeExecution, ListExecutions and StopExecution.

use std::ops::Bound;

use api::stepfunctions::{
    CloudWatchEventsExecutionDataDetails, DescribeExecutionInput, DescribeExecutionOutput, ExecutionListItem,
    ListExecutionsInput, ListExecutionsOutput, StopExecutionInput, StopExecutionOutput,
};
use bytes::Bytes;
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Time};
use resources::Faults;
use states_language::Failure;

use super::common::{ExecutionRead, ExecutionShown, arn_of, decided, parts, shown};
use super::{Context, Decision, Materials, Reply};
use crate::data;
use crate::executions::Execution;
use crate::history::Field;
use crate::ids::Named;
use crate::machines::Machine;
use crate::records::{STATUSES, Status};
use crate::redrives::redrive_status;
use crate::rules::pages::{self, Page};
use crate::state::State;
use crate::steps::aborted;
use crate::{ExecutionId, MachineKey, refusals};

/// An execution that a request names.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The ARN as it was sent.
    pub arn: String,
    /// The state machine.
    pub key: MachineKey,
    /// The execution's name.
    pub name: String,
}

impl Asked {
    pub(super) fn read(given: Option<&str>, mut faults: Faults) -> Result<Self, Refusal> {
        let arn = arn_of(given, "executionArn", &mut faults);
        faults.refusal()?;
        let (key, name) = Named::execution(&arn)?;
        Ok(Asked { arn, key, name })
    }

    pub(super) fn find<'s>(&self, state: &'s State) -> Result<(ExecutionId, &'s Execution), Refusal> {
        self.find_with_machine(state).map(|(_, id, execution)| (id, execution))
    }

    pub(super) fn find_with_machine<'s>(
        &self,
        state: &'s State,
    ) -> Result<(&'s Machine, ExecutionId, &'s Execution), Refusal> {
        let known = state.machine(&self.key).and_then(|machine| {
            let (id, execution) = state.execution(machine.declared.id, &self.name)?;
            Some((machine, id, execution))
        });
        known.ok_or_else(|| refusals::execution_missing(&self.arn))
    }
}

/// An execution as lists show it.
pub(super) fn show(key: &MachineKey, execution: &Execution) -> ExecutionShown {
    let origin = execution.origin.as_deref();
    ExecutionShown {
        arn: execution.arn(key),
        machine_arn: key.arn(),
        name: execution.shown_name().to_owned(),
        status: execution.status,
        started: execution.started,
        stopped: (!execution.is_open()).then_some(execution.stopped),
        version: origin
            .filter(|origin| origin.version > 0)
            .map(|origin| key.qualified_arn(&origin.version.to_string())),
        alias: origin.and_then(|origin| origin.alias.as_deref()).map(|alias| key.qualified_arn(alias)),
        trace: origin.and_then(|origin| origin.trace.clone()),
        redrives: execution.redrive_count(),
        redriven: execution.redriven(),
    }
}

impl ExecutionRead {
    /// An execution with its records.
    pub(super) fn of(machine: &Machine, execution: &Execution, now: Time) -> Self {
        let first = execution.records.get(0).map(|record| record.1);
        let last = execution.records.last().filter(|_| !execution.is_open());
        ExecutionRead {
            shown: show(&machine.declared.key, execution),
            records: first.into_iter().chain(last).collect(),
            unredrivable: execution.unredrivable(machine, now),
        }
    }
}

/// The input of an execution, from its first record.
pub(super) fn input_of(materials: &Materials<'_>) -> Result<Option<String>, Malformed> {
    let (events, _) = parts(materials.records.first().ok_or(Malformed)?)?;
    let started = events.into_iter().next().ok_or(Malformed)?.fields;
    Ok(started.into_iter().find(|field| field.0 == Field::Input).map(|field| field.1))
}

/// How an execution has ended, from its last record: its output, or its failure.
pub(super) fn end_of(
    status: Status,
    materials: &Materials<'_>,
) -> Result<Option<Result<String, Failure>>, Malformed> {
    let Some(last) = materials.records.get(1) else { return Ok(None) };
    end_of_record(status, last).map(Some)
}

/// The same, from that record alone.
pub(crate) fn end_of_record(
    status: Status,
    last: &(Bytes, Bytes),
) -> Result<Result<String, Failure>, Malformed> {
    let (_, end) = parts(last)?;
    Ok(match status {
        Status::Succeeded => Ok(std::str::from_utf8(end).map_err(|_| Malformed)?.to_owned()),
        _ => Err(data::decode_failure(end)?),
    })
}

/// DescribeExecution.
#[derive(Clone, Debug)]
pub struct DescribeExecution(pub Asked);

impl Operation<State> for DescribeExecution {
    type Input = DescribeExecutionInput;
    type Output = DescribeExecutionOutput;
    /// Whether input and output are told.
    type Plan = bool;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeExecutionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(Self::prepare_with_plan(input, asker)?.0)
    }

    fn prepare_with_plan(input: DescribeExecutionInput, _: &Asker<'_>) -> Result<(Self, bool), Refusal> {
        let mut faults = Faults::default();
        let included = input.included_data.as_deref().unwrap_or("ALL_DATA");
        faults.one_of(included, "includedData", &["ALL_DATA", "METADATA_ONLY"]);
        Ok((DescribeExecution(Asked::read(input.execution_arn.as_deref(), faults)?), included == "ALL_DATA"))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let now = context.setting.now;
        decided(self.0.find_with_machine(state).map(|(machine, _, execution)| {
            Decision::answer(Reply::Execution(Box::new(ExecutionRead::of(machine, execution, now))))
        }))
    }

    fn present(
        reply: Reply,
        with_data: &bool,
        materials: &Materials<'_>,
    ) -> Result<DescribeExecutionOutput, Malformed> {
        let Reply::Execution(read) = reply else { return Err(Malformed) };
        let ExecutionShown {
            arn,
            machine_arn,
            name,
            status,
            started,
            stopped,
            trace,
            version,
            alias,
            redrives,
            redriven,
        } = read.shown;
        let input = input_of(materials)?;
        let included = || CloudWatchEventsExecutionDataDetails { included: Some(true) };
        let mut shown_execution = DescribeExecutionOutput {
            execution_arn: Some(arn.into()),
            state_machine_version_arn: version.map(Into::into),
            state_machine_alias_arn: alias.map(Into::into),
            state_machine_arn: Some(machine_arn.into()),
            name: Some(name.into()),
            status: Some(status.as_str().into()),
            start_date: shown(started),
            stop_date: stopped.and_then(shown),
            input: input.filter(|_| *with_data).map(Into::into),
            input_details: with_data.then(included),
            trace_header: trace.map(Into::into),
            redrive_count: redrives.try_into().ok(),
            redrive_date: redriven.and_then(shown),
            redrive_status: Some(redrive_status(read.unredrivable).into()),
            redrive_status_reason: read.unredrivable.map(Into::into),
            ..DescribeExecutionOutput::default()
        };
        match end_of(status, materials)?.filter(|_| *with_data) {
            Some(Ok(output)) => {
                shown_execution.output = Some(output.into());
                shown_execution.output_details = Some(included());
            }
            Some(Err(failure)) => {
                shown_execution.error = failure.error.map(Into::into);
                shown_execution.cause = failure.cause.map(Into::into);
            }
            None => {}
        }
        Ok(shown_execution)
    }
}

/// ListExecutions.
#[derive(Clone, Debug)]
pub struct ListExecutions {
    /// The ARN as it was sent.
    pub arn: String,
    /// The state machine.
    pub key: MachineKey,
    /// Which version or alias.
    pub qualifier: Option<String>,
    /// How they stand.
    pub status: Option<Status>,
    /// Whether they were redriven.
    pub redriven: Option<bool>,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListExecutions {
    type Input = ListExecutionsInput;
    type Output = ListExecutionsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListExecutionsInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let arn = arn_of(input.state_machine_arn.as_deref(), "stateMachineArn", &mut faults);
        let filter = input.status_filter.as_deref();
        let names = STATUSES.map(Status::as_str);
        if let Some(filter) = filter.filter(|filter| *filter != "PENDING_REDRIVE") {
            faults.one_of(filter, "statusFilter", &names);
        }
        let redriven = input.redrive_filter.as_deref();
        if let Some(filter) = redriven {
            faults.one_of(filter, "redriveFilter", &["REDRIVEN", "NOT_REDRIVEN"]);
        }
        let redriven = redriven.map(|filter| filter == "REDRIVEN");
        let page = pages::page(input.next_token.as_deref(), input.max_results, faults)?;
        let (key, qualifier) = Named::machine(&arn)?;
        let status = STATUSES.into_iter().find(|status| Some(status.as_str()) == filter);
        Ok(ListExecutions { arn, key, qualifier, status, redriven, page })
    }

    /// Tells them, the latest first: without a filter, and those that run, by when they were started, others by when they ended.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let machine = state.machine(&self.key).filter(|_| self.qualifier.is_none());
        let Some(machine) = machine else { return refusals::machine_missing(&self.arn).into() };
        if machine.declared.is_express {
            return refusals::type_unsupported().into();
        }
        let id = machine.declared.id;
        let shown = |id: ExecutionId| {
            let execution = state.executions.get(&id)?;
            let wanted = self.redriven.is_none_or(|redriven| redriven == (execution.redrive_count() > 0));
            wanted.then(|| show(&self.key, execution))
        };
        let listed = match self.status {
            None => {
                let before = match self.page.after_number() {
                    Ok(before) => before.map(ExecutionId),
                    Err(_) => return refusals::invalid_page().into(),
                };
                let end = before.map_or(Bound::Included((id, ExecutionId(u64::MAX))), |before| {
                    Bound::Excluded((id, before))
                });
                let theirs = state.by_machine.range((Bound::Included((id, ExecutionId(0))), end)).rev();
                self.page.fill_some(theirs.map(|entry| (entry.1.0.to_string(), shown(entry.1))), LOOKED_AT)
            }
            Some(status) => {
                let Some(before) = self.page.after.as_deref().map_or(Some(LAST), key_of) else {
                    return refusals::invalid_page().into();
                };
                let range = (id, status, Time(0), ExecutionId(0))..(id, status, before.0, before.1);
                let theirs = state.by_status.range(range).rev();
                let keyed = theirs.map(|&(_, _, time, execution)| {
                    (format!("{} {}", time.0, execution.0), shown(execution))
                });
                self.page.fill_some(keyed, LOOKED_AT)
            }
        };
        Decision::answer(Reply::Executions(listed))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ListExecutionsOutput, Malformed> {
        let Reply::Executions(listed) = reply else { return Err(Malformed) };
        let item = |execution: ExecutionShown| ExecutionListItem {
            execution_arn: Some(execution.arn.into()),
            state_machine_arn: Some(execution.machine_arn.into()),
            name: Some(execution.name.into()),
            status: Some(execution.status.as_str().into()),
            start_date: shown(execution.started),
            stop_date: execution.stopped.and_then(shown),
            state_machine_version_arn: execution.version.map(Into::into),
            state_machine_alias_arn: execution.alias.map(Into::into),
            redrive_count: execution.redrives.try_into().ok(),
            redrive_date: execution.redriven.and_then(shown),
            ..ExecutionListItem::default()
        };
        Ok(ListExecutionsOutput {
            next_token: listed.next_token.map(Into::into),
            executions: Some(listed.items.into_iter().map(item).collect()),
        })
    }
}

/// Executions that one page looks at, at the most: of a filter that few pass, a page is short.
const LOOKED_AT: usize = 10_000;

/// Behind all keys of a list by status.
const LAST: (Time, ExecutionId) = (Time(u64::MAX), ExecutionId(u64::MAX));

/// A key of a list by status.
fn key_of(text: &str) -> Option<(Time, ExecutionId)> {
    let (time, execution) = text.split_once(' ')?;
    Some((Time(time.parse().ok()?), ExecutionId(execution.parse().ok()?)))
}

/// StopExecution.
#[derive(Clone, Debug)]
pub struct StopExecution {
    /// Which.
    pub asked: Asked,
    /// `error` and `cause`.
    pub failure: Failure,
}

impl Operation<State> for StopExecution {
    type Input = StopExecutionInput;
    type Output = StopExecutionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: StopExecutionInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        for (text, path, most) in [(&input.error, "error", 256), (&input.cause, "cause", 32_768)] {
            if let Some(text) = text {
                faults.length(text, path, 0, most);
            }
        }
        let (error, cause) = (input.error.map(String::from), input.cause.map(String::from));
        let asked = Asked::read(input.execution_arn.as_deref(), faults)?;
        Ok(StopExecution { asked, failure: Failure { error, cause, location: None } })
    }

    /// One that has ended stays as it is: the answer is its stop date.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.asked.find(state).map(|(id, execution)| {
            if !execution.is_open() {
                return Decision::answer(Reply::Changed(execution.stopped, None));
            }
            let now = context.setting.now;
            let fact = aborted(id, execution, &self.failure, now);
            Decision::done(vec![fact], Reply::Changed(now, None))
        }))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<StopExecutionOutput, Malformed> {
        let Reply::Changed(at, _) = reply else { return Err(Malformed) };
        Ok(StopExecutionOutput { stop_date: shown(at) })
    }
}
