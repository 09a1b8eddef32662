//! CreateSchedule and UpdateSchedule: a schedule is made, or replaced as a whole.

use api::scheduler::{
    CreateScheduleInput, CreateScheduleOutput, FlexibleTimeWindow, UpdateScheduleInput, UpdateScheduleOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Time};
use schedules::{Dialect, Expression, Zone};

use super::common::{decided, default_group, group_of, time};
use super::{Context, Decision, Reply, Setting};
use crate::records::{Own, Record, ScheduleDeclared, Shared};
use crate::rules::faults::{Constrained, Faults};
use crate::rules::target::Target;
use crate::rules::timing::Timing;
use crate::state::State;
use crate::{GroupId, ScheduleId, limits, refusals};

/// What a schedule is to be.
#[derive(Clone, PartialEq, Debug)]
pub struct Wanted {
    /// What it has in common with others.
    pub shared: Shared,
    /// What it has for itself; the moments are set when it is made.
    pub own: Own,
}

/// CreateSchedule.
#[derive(Clone, Debug)]
pub struct CreateSchedule(pub Box<Wanted>);

/// UpdateSchedule.
#[derive(Clone, Debug)]
pub struct UpdateSchedule(pub Box<Wanted>);

impl Operation<State> for CreateSchedule {
    type Input = CreateScheduleInput;
    type Output = CreateScheduleOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateScheduleInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        wanted(input, asker).map(Box::new).map(CreateSchedule)
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.0.create(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<CreateScheduleOutput, Malformed> {
        Ok(CreateScheduleOutput { schedule_arn: reply.arn()? })
    }
}

impl Operation<State> for UpdateSchedule {
    type Input = UpdateScheduleInput;
    type Output = UpdateScheduleOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateScheduleInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        // The two requests have the same members.
        let input = CreateScheduleInput {
            name: input.name,
            group_name: input.group_name,
            schedule_expression: input.schedule_expression,
            start_date: input.start_date,
            end_date: input.end_date,
            description: input.description,
            schedule_expression_timezone: input.schedule_expression_timezone,
            state: input.state,
            kms_key_arn: input.kms_key_arn,
            target: input.target,
            flexible_time_window: input.flexible_time_window,
            client_token: input.client_token,
            action_after_completion: input.action_after_completion,
        };
        wanted(input, asker).map(Box::new).map(UpdateSchedule)
    }

    /// Replaces it as a whole: what is not given has its default again (facts/eventbridge.md § 9).
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.0.update(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<UpdateScheduleOutput, Malformed> {
        Ok(UpdateScheduleOutput { schedule_arn: reply.arn()? })
    }
}

impl Wanted {
    fn create<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let arn = Reply::Arn(self.shared.group.schedule_arn(&self.own.name));
        self.check_start(setting.now)?;
        let mut facts = Vec::new();
        let group = match state.group(&self.shared.group) {
            Some(group) if group.declared.is_deleting => {
                return Err(refusals::group_deleting(&self.shared.group.name));
            }
            Some(group) => group.declared.id,
            None if self.shared.group.is_default() => {
                let id = GroupId(setting.numbers.draw());
                let declared =
                    crate::records::GroupDeclared { id, ..default_group(&self.shared.group, setting) };
                facts.push(Record::GroupDeclared(declared).into());
                id
            }
            None => return Err(refusals::group_missing(&self.shared.group.name)),
        };
        if let Some((id, known)) = state.schedule(group, &self.own.name) {
            // The same request again: its answer may have been lost.
            let known = known.declared(id);
            let is_same = self.own.token != 0 && self.own.token == known.own.token;
            return match is_same && self.says_the_same(&known) {
                true => Ok(Decision::answer(arn)),
                false => Err(refusals::schedule_exists(&self.own.name)),
            };
        }
        let quota = setting.limits.quotas.then_some(limits::SCHEDULES);
        if quota.is_some_and(|most| {
            state.schedules_of(&self.shared.group.account, &self.shared.group.region) >= most
        }) {
            return Err(refusals::quota_exceeded("schedules", limits::SCHEDULES));
        }
        self.check_memory(state)?;
        let id = ScheduleId(setting.numbers.draw());
        let declared = self.declared(id, group, setting.now, setting);
        facts.push(Record::ScheduleDeclared(Box::new(declared)).into());
        Ok(Decision::done(facts, arn))
    }

    fn update<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let missing = || refusals::schedule_missing(&self.own.name);
        let Some(group) = state.group(&self.shared.group) else {
            return Err(match self.shared.group.is_default() {
                true => missing(),
                false => refusals::group_missing(&self.shared.group.name),
            });
        };
        if group.declared.is_deleting {
            return Err(refusals::group_deleting(&self.shared.group.name));
        }
        let (id, known) = state.schedule(group.declared.id, &self.own.name).ok_or_else(missing)?;
        let known = known.own();
        if self.own.start != known.start {
            self.check_start(setting.now)?;
        }
        self.check_memory(state)?;
        let declared = self.declared(id, group.declared.id, known.created, setting);
        let arn = Reply::Arn(self.shared.group.schedule_arn(&self.own.name));
        Ok(Decision::done(vec![Record::ScheduleDeclared(Box::new(declared)).into()], arn))
    }

    /// The fact that it is so from now on.
    fn declared(
        &self,
        id: ScheduleId,
        group: GroupId,
        created: Time,
        setting: &Setting<'_>,
    ) -> ScheduleDeclared {
        let own = Own { created, modified: setting.now, ..self.own.clone() };
        let timing = Timing {
            id,
            expression: &own.expression,
            zone: &self.shared.zone,
            start: own.start,
            end: own.end,
            window_minutes: self.shared.window_minutes,
            since: setting.now,
            secret: setting.secret,
        };
        let run = if self.shared.is_enabled { timing.first(setting.now) } else { None };
        ScheduleDeclared { id, shared: Shared { group_id: group, ..self.shared.clone() }, own, run }
    }

    fn says_the_same(&self, known: &ScheduleDeclared) -> bool {
        let (created, modified) = (known.own.created, known.own.modified);
        let shared = Shared { group_id: known.shared.group_id, ..self.shared.clone() };
        shared == known.shared && Own { created, modified, ..self.own.clone() } == known.own
    }

    /// What schedules have for themselves is kept in memory, which is bounded.
    fn check_memory(&self, state: &State) -> Result<(), Refusal> {
        let own = self.own.input.as_ref().map_or(0, String::len) + self.own.expression.len();
        match state.bytes() + own <= limits::MEMORY_BYTES {
            true => Ok(()),
            false => Err(refusals::quota_exceeded("bytes of all schedules", limits::MEMORY_BYTES)),
        }
    }

    /// A start that is long past is refused, in words that AWS's users report.
    fn check_start(&self, now: Time) -> Result<(), Refusal> {
        let recurs = !self.own.expression.starts_with("at(");
        match self.own.start {
            Some(start) if recurs && start + limits::START_AGO_MILLIS < now => {
                Err(refusals::invalid("The StartDate you specify cannot be earlier than 5 minutes ago."))
            }
            _ => Ok(()),
        }
    }
}

/// Checks a request: first each member by AWS's model, then what they say together.
fn wanted(input: CreateScheduleInput, asker: &Asker<'_>) -> Result<Wanted, Refusal> {
    let mut faults = Faults::default();
    let name = faults.required(input.name.as_deref(), "name").to_owned();
    faults.name(&name, "name");
    let group = group_of(input.group_name.as_deref(), asker, &mut faults);
    let expression = faults.required(input.schedule_expression.as_deref(), "scheduleExpression").to_owned();
    if input.schedule_expression.is_some() {
        faults.length(&expression, "scheduleExpression", 1, 256);
    }
    let zone = input.schedule_expression_timezone.as_deref().unwrap_or("UTC").to_owned();
    faults.length(&zone, "scheduleExpressionTimezone", 1, 50);
    let description = input.description.map(|text| text.to_string());
    if let Some(description) = &description {
        faults.length(description, "description", 0, 512);
    }
    let state = input.state.as_deref().unwrap_or("ENABLED");
    faults.one_of(state, "state", &["ENABLED", "DISABLED"]);
    let after = input.action_after_completion.as_deref().unwrap_or("NONE");
    faults.one_of(after, "actionAfterCompletion", &["NONE", "DELETE"]);
    let kms_key = input.kms_key_arn.map(|arn| arn.to_string());
    if let Some(arn) = &kms_key {
        faults.length(arn, "kmsKeyArn", 1, 2048);
        let pattern = "arn:aws[a-z-]*:kms:[a-z0-9\\-]+:\\d{12}:(key|alias)\\/[0-9a-zA-Z-_]*";
        let fits = arn.parse::<kernel::Arn>().is_ok_and(|arn| {
            arn.service == "kms" && (arn.resource.starts_with("key/") || arn.resource.starts_with("alias/"))
        });
        faults.pattern(arn, "kmsKeyArn", pattern, fits);
    }
    faults.client_token(input.client_token.as_deref());
    let has_ecs_parameters = input.target.as_ref().is_some_and(|target| target.ecs_parameters.is_some());
    let target = match input.target {
        Some(target) => Some(Target::check(*target, &mut faults)),
        None => {
            faults.missing("target");
            None
        }
    };
    let window = input.flexible_time_window;
    if window.is_none() {
        faults.missing("flexibleTimeWindow");
    }
    let window = window.unwrap_or_default();
    let is_flexible = check_window(&window, &mut faults);
    faults.refusal()?;
    if has_ecs_parameters {
        return Err(refusals::invalid("EcsParameters are not supported by this server."));
    }
    let Some((target, target_input)) = target else { return Err(refusals::invalid("Target is missing.")) };
    if Expression::parse(&expression, Dialect::Scheduler).is_err() {
        // facts/eventbridge.md § 9
        return Err(refusals::invalid(format!("Invalid Schedule Expression {expression}.")));
    }
    if Zone::named(&zone).is_none() {
        // In which words AWS refuses is not recorded.
        return Err(refusals::invalid(format!("Invalid ScheduleExpressionTimezone {zone}.")));
    }
    let (start, end) = (input.start_date.map(time), input.end_date.map(time));
    if start.zip(end).is_some_and(|(start, end)| start >= end) {
        return Err(refusals::invalid("The StartDate you specify must come before the EndDate."));
    }
    let window_minutes = match (is_flexible, window.maximum_window_in_minutes) {
        (true, Some(minutes)) => minutes.try_into().ok(),
        (true, None) => {
            let text =
                "MaximumWindowInMinutes must be specified when the Mode of FlexibleTimeWindow is FLEXIBLE.";
            return Err(refusals::invalid(text));
        }
        (false, Some(_)) => {
            let text =
                "MaximumWindowInMinutes must not be specified when the Mode of FlexibleTimeWindow is OFF.";
            return Err(refusals::invalid(text));
        }
        (false, None) => None,
    };
    target.check_whole(target_input.as_deref())?;
    Ok(Wanted {
        shared: Shared {
            // Known when it is made.
            group_id: GroupId(0),
            group,
            is_enabled: state == "ENABLED",
            is_deleted_after: after == "DELETE",
            zone,
            window_minutes,
            kms_key,
            target,
        },
        own: Own {
            name,
            expression,
            input: target_input,
            description,
            start,
            end,
            created: Time(0),
            modified: Time(0),
            token: input.client_token.as_deref().map_or(0, kernel::token_hash),
        },
    })
}

/// Whether a window is flexible.
fn check_window(window: &FlexibleTimeWindow, faults: &mut Faults) -> bool {
    let mode = faults.required(window.mode.as_deref(), "flexibleTimeWindow.mode");
    if window.mode.is_some() {
        faults.one_of(mode, "flexibleTimeWindow.mode", &["OFF", "FLEXIBLE"]);
    }
    if let Some(minutes) = window.maximum_window_in_minutes {
        faults.range(minutes, "flexibleTimeWindow.maximumWindowInMinutes", 1, 1440);
    }
    mode == "FLEXIBLE"
}
