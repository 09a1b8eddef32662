//! GetExecutionHistory.

use api::stepfunctions::{GetExecutionHistoryInput, GetExecutionHistoryOutput};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Extent, Operation, Refusal};
use resources::Faults;

use super::common::{HistoryRead, decided, parts};
use super::executions::Asked;
use super::{Context, Decision, Materials, Reply};
use crate::executions::Execution;
use crate::refusals;
use crate::rules::pages;
use crate::state::State;

/// Bytes of records that one page reads, about: a page of long events has fewer.
const PAGE_BYTES: u64 = 4 << 20;

/// GetExecutionHistory.
#[derive(Clone, Debug)]
pub struct GetExecutionHistory {
    /// Of which execution.
    pub asked: Asked,
    /// What comes behind this event; before it, in reverse order.
    pub after: Option<u32>,
    /// Events at the most.
    pub most: u32,
    /// Whether the latest event comes first.
    pub is_reverse: bool,
}

/// How events are shown.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Shows {
    is_reverse: bool,
    with_data: bool,
}

impl Operation<State> for GetExecutionHistory {
    type Input = GetExecutionHistoryInput;
    type Output = GetExecutionHistoryOutput;
    type Plan = Shows;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetExecutionHistoryInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(Self::prepare_with_plan(input, asker)?.0)
    }

    fn prepare_with_plan(input: GetExecutionHistoryInput, _: &Asker<'_>) -> Result<(Self, Shows), Refusal> {
        let page = pages::page(input.next_token.as_deref(), input.max_results, Faults::default())?;
        let asked = Asked::read(input.execution_arn.as_deref(), Faults::default())?;
        let after = page.after_number().map_err(|_| refusals::invalid_page())?;
        let after =
            after.map(|after| u32::try_from(after).map_err(|_| refusals::invalid_page())).transpose()?;
        let is_reverse = input.reverse_order == Some(true);
        let most = u32::try_from(page.most).unwrap_or(u32::MAX);
        let shows = Shows { is_reverse, with_data: input.include_execution_data != Some(false) };
        Ok((GetExecutionHistory { asked, after, most, is_reverse }, shows))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.asked.find(state).map(|(_, execution)| {
            let read = match self.is_reverse {
                false => forward(execution, self.after.unwrap_or(0), self.most),
                true => backward(execution, self.after.unwrap_or(u32::MAX), self.most),
            };
            Decision::answer(Reply::History(read))
        }))
    }

    fn present(
        reply: Reply,
        shows: &Shows,
        materials: &Materials<'_>,
    ) -> Result<GetExecutionHistoryOutput, Malformed> {
        let Reply::History(read) = reply else { return Err(Malformed) };
        let mut events = Vec::new();
        for record in materials.records {
            let (theirs, _) = parts(record)?;
            let theirs = theirs.into_iter().filter(|event| (read.from..=read.to).contains(&event.id));
            events.extend(theirs.map(|event| event.shown(shows.with_data)));
        }
        if shows.is_reverse {
            events.reverse();
        }
        Ok(GetExecutionHistoryOutput { events: Some(events), next_token: read.next_token.map(Into::into) })
    }
}

/// The records with the events behind one.
fn forward(execution: &Execution, after: u32, most: u32) -> HistoryRead {
    let from = after.saturating_add(1);
    let last = execution.next_event - 1;
    let wanted = last.min(after.saturating_add(most));
    let records: Vec<(u32, Extent)> = execution.records.since_event(from).collect();
    let (mut chosen, mut bytes, mut to) = (Vec::new(), 0, after);
    for (index, &(first, at)) in records.iter().enumerate() {
        bytes += u64::from(at.len);
        if first > wanted || (bytes > PAGE_BYTES && to > after) {
            break;
        }
        chosen.push(at);
        to = records.get(index + 1).map_or(last, |next| next.0.saturating_sub(1)).min(wanted);
    }
    HistoryRead { records: chosen, from, to, next_token: (to < last).then(|| token(to)) }
}

/// The records with the events before one.
fn backward(execution: &Execution, before: u32, most: u32) -> HistoryRead {
    let to = before.min(execution.next_event).saturating_sub(1);
    let wanted = to.saturating_sub(most).saturating_add(1);
    let (mut chosen, mut bytes, mut from) = (Vec::new(), 0, to.saturating_add(1));
    for (first, at) in execution.records.iter().rev().filter(|record| record.0 <= to) {
        bytes += u64::from(at.len);
        if from <= wanted || (bytes > PAGE_BYTES && from <= to) {
            break;
        }
        chosen.push(at);
        from = first.max(wanted);
    }
    chosen.reverse();
    HistoryRead { records: chosen, from, to, next_token: (from > 1).then(|| token(from)) }
}

fn token(event: u32) -> String {
    STANDARD.encode(event.to_string())
}
