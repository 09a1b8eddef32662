//! GetSchedule and DeleteSchedule.

use api::scheduler::{
    DeleteScheduleInput, DeleteScheduleOutput, FlexibleTimeWindow, GetScheduleInput, GetScheduleOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::common::{decided, group_of, shown};
use super::{Context, Decision, Reply};
use crate::records::Record;
use crate::rules::faults::{Constrained, Faults};
use crate::schedule::Schedule;
use crate::state::State;
use crate::{GroupKey, ScheduleId, refusals};

/// The name of a schedule, with its group's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// The group.
    pub group: GroupKey,
    /// The name in the group.
    pub name: String,
}

/// GetSchedule.
#[derive(Clone, Debug)]
pub struct GetSchedule(pub Named);

/// DeleteSchedule.
#[derive(Clone, Debug)]
pub struct DeleteSchedule(pub Named);

impl Named {
    fn new(name: Option<&str>, group: Option<&str>, asker: &Asker<'_>, faults: &mut Faults) -> Named {
        let name = faults.required(name, "name").to_owned();
        faults.name(&name, "name");
        Named { group: group_of(group, asker, faults), name }
    }

    /// The schedule. (A group that does not exist has no schedules: AWS speaks of the schedule, as it does of one that is missing.)
    fn find<'s>(&self, state: &'s State) -> Result<(ScheduleId, &'s Schedule), Refusal> {
        let group = state.group(&self.group);
        let found = group.and_then(|group| state.schedule(group.declared.id, &self.name));
        found.ok_or_else(|| refusals::schedule_missing(&self.name))
    }
}

impl Operation<State> for GetSchedule {
    type Input = GetScheduleInput;
    type Output = GetScheduleOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetScheduleInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let named = Named::new(input.name.as_deref(), input.group_name.as_deref(), asker, &mut faults);
        faults.refusal()?;
        Ok(GetSchedule(named))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.0.find(state).map(|(id, schedule)| {
            Decision::answer(Reply::Schedule(self.0.group.clone(), Box::new(schedule.declared(id))))
        }))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<GetScheduleOutput, Malformed> {
        let Reply::Schedule(group, declared) = reply else { return Err(Malformed) };
        let (shared, own) = (declared.shared, declared.own);
        let mode = if shared.window_minutes.is_some() { "FLEXIBLE" } else { "OFF" };
        Ok(GetScheduleOutput {
            arn: Some(group.schedule_arn(&own.name).into()),
            group_name: Some(group.name.into()),
            name: Some(own.name.into()),
            schedule_expression: Some(own.expression.into()),
            start_date: own.start.and_then(shown),
            end_date: own.end.and_then(shown),
            description: own.description.map(Into::into),
            schedule_expression_timezone: Some(shared.zone.into()),
            state: Some(state_text(shared.is_enabled).into()),
            creation_date: shown(own.created),
            last_modification_date: shown(own.modified),
            kms_key_arn: shared.kms_key.map(Into::into),
            target: Some(Box::new(shared.target.shown(own.input))),
            flexible_time_window: Some(FlexibleTimeWindow {
                mode: Some(mode.into()),
                maximum_window_in_minutes: shared.window_minutes.and_then(|minutes| minutes.try_into().ok()),
            }),
            action_after_completion: Some(if shared.is_deleted_after { "DELETE" } else { "NONE" }.into()),
        })
    }
}

/// `State` as answers have it.
pub(super) fn state_text(is_enabled: bool) -> &'static str {
    if is_enabled { "ENABLED" } else { "DISABLED" }
}

impl Operation<State> for DeleteSchedule {
    type Input = DeleteScheduleInput;
    type Output = DeleteScheduleOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteScheduleInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let named = Named::new(input.name.as_deref(), input.group_name.as_deref(), asker, &mut faults);
        faults.client_token(input.client_token.as_deref());
        faults.refusal()?;
        Ok(DeleteSchedule(named))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.0.find(state).map(|(id, _)| {
            let deleted = Record::SchedulesDeleted(state.deletion_of(vec![id]));
            Decision::done(vec![deleted.into()], Reply::Done)
        }))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DeleteScheduleOutput, Malformed> {
        reply.done()
    }
}
