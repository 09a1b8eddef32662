//! Parallel and Map states: other flows run for them (facts/stepfunctions.md § 5, 18).

use serde_json::Value;
use states_language::{Failure, Iterations, Kind, State, names};

use super::Seen;
use super::progress::{Next, Progress};
use crate::data::{Data, Item, Phase};
use crate::history::{Field, Type};
use crate::limits::CONCURRENCY;
use crate::machines::state_of;
use crate::records::{After, Again, Branching, InState};

impl Progress {
    /// The branches of a Parallel state begin.
    pub(super) fn branch(&mut self, state: &State, input: Value, execution: &Seen<'_>) -> Next {
        let Kind::Parallel(parallel) = &state.kind else { return self.no_branches(state, execution) };
        let total = u32::try_from(parallel.branches.len()).unwrap_or(u32::MAX);
        self.last = self.written.push(Type::ParallelStateStarted, self.last, []);
        let branching =
            Branching { first: self.next_flow, total, limit: total, event: self.last, is_map: false };
        self.branches(input, branching)
    }

    /// The iterations of a Map state begin: as many as may run side by side.
    pub(super) fn iterate(
        &mut self,
        state: &State,
        iterations: Iterations<'_>,
        execution: &Seen<'_>,
    ) -> Next {
        let items = match (&state.kind, iterations.items) {
            (Kind::Map(map), Some(Value::Array(items))) if map.distributed.is_none() => items,
            _ => return self.no_branches(state, execution),
        };
        let total = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let length = total.to_string();
        self.last = self.written.push(Type::MapStateStarted, self.last, [(Field::Length, Some(&*length))]);
        let most = u32::try_from(iterations.max_concurrency).unwrap_or(u32::MAX);
        let limit = if most == 0 { CONCURRENCY } else { most.min(CONCURRENCY) };
        let event = self.written.next();
        for index in 0..limit.min(total) {
            self.write_iteration(Type::MapIterationStarted, self.last, &state.name, index);
        }
        let branching = Branching { first: self.next_flow, total, limit, event, is_map: true };
        self.branches(Value::Array(items), branching)
    }

    fn branches(&mut self, items: Value, branching: Branching) -> Next {
        self.data.phase = Phase::Branches;
        self.data.branches = Some(items);
        self.stops(After::Branches(branching))
    }

    /// What only a distributed Map has is not served.
    fn no_branches(&mut self, state: &State, execution: &Seen<'_>) -> Next {
        self.last = self.written.push(Type::MapStateStarted, self.last, [(Field::Length, Some("0"))]);
        self.data.phase = Phase::Branches;
        let failure = Failure::new(names::RUNTIME, "Map states of the mode DISTRIBUTED are not served here.");
        self.recover(state, &failure, execution)
    }

    fn write_iteration(&mut self, kind: Type, previous: u32, map: &str, index: u32) -> u32 {
        let index = index.to_string();
        self.written.push(kind, previous, [(Field::Name, Some(map)), (Field::Index, Some(&*index))])
    }

    /// The flow begins to run for another one. Until here it has the data of that one.
    pub(super) fn begin_branch(&mut self, execution: &Seen<'_>) -> Next {
        let definition = self.definition.clone();
        let state = state_of(&definition.flow, &self.data.state);
        let (Some(state), Some((_, index, _))) = (state, execution.place_of(self.flow)) else {
            return self.stops(After::Goes);
        };
        let branches = self.data.branches.take().unwrap_or_default();
        let variables = self.data.variables.clone();
        let mut data = match &state.kind {
            Kind::Map(map) => {
                let value = branches.get(index as usize).cloned().unwrap_or_default();
                let item = Item { index, value };
                let context = self.about.context(&self.data, Some(&item), None);
                let input = state.iteration_input(&item.value, &self.scope(&context));
                match input {
                    Ok(input) => Data::new(&map.processor.start_at, input, variables, Some(item)),
                    Err(failure) => {
                        let failure = failure.in_state(&state.name, self.data.entered.into());
                        self.data.runs_for = Some(state.name.clone());
                        return self.fails(&failure, Again::Kept, execution);
                    }
                }
            }
            Kind::Parallel(parallel) => {
                let start_at = parallel.branches.get(index as usize).map(|branch| &*branch.start_at);
                Data::new(start_at.unwrap_or_default(), branches, variables, self.data.item.clone())
            }
            _ => return self.stops(After::Goes),
        };
        data.runs_for = Some(state.name.clone());
        self.data = data;
        Next::On
    }

    /// The flow has run for another one, and has come to its end. The next iteration comes from the same event as the end of this one.
    pub(super) fn branch_succeeds(&mut self, execution: &Seen<'_>) -> After {
        let Some((_, index, branches)) = execution.place_of(self.flow) else { return After::Ended(None) };
        if !branches.branching.is_map {
            return After::Ended(None);
        }
        let map = self.data.runs_for.clone().unwrap_or_default();
        let inner = self.last;
        self.last = self.write_iteration(Type::MapIterationSucceeded, inner, &map, index);
        let next = branches.begun;
        let begins = next < branches.branching.total;
        After::Ended(begins.then(|| self.write_iteration(Type::MapIterationStarted, inner, &map, next)))
    }

    /// The flow has run for another one, and fails: the flows beside it are given up.
    pub(super) fn branch_fails(&mut self, execution: &Seen<'_>) {
        let Some((parent, index, branches)) = execution.place_of(self.flow) else { return };
        let (is_map, first) = (branches.branching.is_map, branches.branching.first);
        let map = self.data.runs_for.clone().unwrap_or_default();
        if is_map {
            self.write_iteration(Type::MapIterationFailed, self.last, &map, index);
        }
        let mut parents = vec![parent];
        while let Some(of) = parents.pop() {
            let theirs: Vec<u32> = execution.children_of(of).filter(|&number| number != self.flow).collect();
            for number in theirs {
                let state = execution.flow(number).map_or(InState::Other, |flow| flow.state);
                let aborted = match state {
                    InState::Other => None,
                    InState::Task => Some(Type::TaskStateAborted),
                    InState::Wait => Some(Type::WaitStateAborted),
                    InState::Parallel => Some(Type::ParallelStateAborted),
                    InState::Map => Some(Type::MapStateAborted),
                };
                aborted.into_iter().for_each(|kind| {
                    self.written.push(kind, self.last, []);
                });
                if is_map && of == parent {
                    let index = number.saturating_sub(first);
                    self.write_iteration(Type::MapIterationAborted, self.last, &map, index);
                }
                parents.push(number);
            }
        }
    }

    /// All flows that ran for this one have ended. What the state's own end comes from is the last of them.
    pub(super) fn branches_succeeded(&mut self, state: &State) {
        let kind = match state.kind {
            Kind::Map(_) => Type::MapStateSucceeded,
            _ => Type::ParallelStateSucceeded,
        };
        self.written.push(kind, self.last, []);
    }

    /// All flows that ran for this one have ended, and their outputs are too long: what the state's end would say of them, without them.
    pub(super) fn outputs_too_long(&mut self, execution: &Seen<'_>) -> Next {
        let definition = self.definition.clone();
        let Some(state) = state_of(&definition.flow, &self.data.state) else { return Next::On };
        self.branches_succeeded(state);
        self.data.phase = Phase::TriesAgain;
        let text = format!(
            "The state/task '{}' returned a result with a size exceeding the maximum number of bytes service limit.",
            state.name
        );
        self.failed_here(state, Failure::new(names::DATA_LIMIT_EXCEEDED, text), execution)
    }

    /// A flow that ran for this one has failed, and the state is not tried again.
    pub(super) fn branches_failed(&mut self, state: &State) {
        if self.data.phase == Phase::Branches {
            let kind = match state.kind {
                Kind::Map(_) => Type::MapStateFailed,
                _ => Type::ParallelStateFailed,
            };
            self.last = self.written.push(kind, self.last, []);
        }
    }
}
