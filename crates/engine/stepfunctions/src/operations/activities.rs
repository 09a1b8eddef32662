//! Activities: CreateActivity, DescribeActivity, ListActivities, DeleteActivity and GetActivityTask (facts/stepfunctions.md § 2).

use std::ops::Bound;

use api::stepfunctions::{
    ActivityListItem, CreateActivityInput, CreateActivityOutput, DeleteActivityInput, DeleteActivityOutput,
    DescribeActivityInput, DescribeActivityOutput, GetActivityTaskInput, GetActivityTaskOutput,
    ListActivitiesInput, ListActivitiesOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Fact, Internal, Operation, Outcome, Refusal};
use resources::Faults;
use resources::tags::Tags;

use super::common::{TaskRead, arn_of, decided, parts, shown, tags_of};
use super::{Context, Decision, Materials, Reply, Setting};
use crate::activities::{Activity, Poll};
use crate::history::{Field, Type, Written};
use crate::ids::Named;
use crate::records::{ActivityDeclared, Record, Tail, TaskTaken};
use crate::rules::names;
use crate::rules::pages::{self, Page};
use crate::state::State;
use crate::steps::Task;
use crate::{ActivityId, MachineKey, Waiter, limits, refusals};

/// CreateActivity.
#[derive(Clone, Debug)]
pub struct CreateActivity {
    /// Which.
    pub key: MachineKey,
    /// Its tags.
    pub tags: Tags,
}

impl Operation<State> for CreateActivity {
    type Input = CreateActivityInput;
    type Output = CreateActivityOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateActivityInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let name = faults.required(input.name.as_deref(), "name").to_owned();
        if input.name.is_some() {
            faults.length(&name, "name", 1, names::MOST);
        }
        faults.refusal()?;
        names::check(&name)?;
        let (account, region) = (asker.caller.account.clone(), asker.caller.region.clone());
        Ok(CreateActivity { key: MachineKey { account, region, name }, tags: tags_of(input.tags)? })
    }

    /// One of this name is the same one; its tags stay (API reference of CreateActivity: an idempotent call).
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let arn = self.key.activity_arn();
        if let Some(known) = state.activity(&self.key) {
            return Decision::answer(Reply::Made(arn, known.declared.created));
        }
        let declared = ActivityDeclared {
            id: ActivityId(context.setting.numbers.draw()),
            key: self.key.clone(),
            created: context.setting.now,
            tags: self.tags.clone(),
        };
        let reply = Reply::Made(arn, context.setting.now);
        Decision::done(vec![Record::ActivityDeclared(declared).into()], reply)
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<CreateActivityOutput, Malformed> {
        let Reply::Made(arn, created) = reply else { return Err(Malformed) };
        Ok(CreateActivityOutput { activity_arn: Some(arn.into()), creation_date: shown(created) })
    }
}

/// An activity that a request names.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The ARN as it was sent.
    pub arn: String,
    /// Which.
    pub key: MachineKey,
}

impl Asked {
    fn read(given: Option<&str>, mut faults: Faults) -> Result<Self, Refusal> {
        let arn = arn_of(given, "activityArn", &mut faults);
        faults.refusal()?;
        let key = Named::activity(&arn)?;
        Ok(Asked { arn, key })
    }

    fn find<'s>(&self, state: &'s State) -> Result<&'s Activity, Refusal> {
        state.activity(&self.key).ok_or_else(|| refusals::activity_missing(&self.arn))
    }
}

/// DescribeActivity.
#[derive(Clone, Debug)]
pub struct DescribeActivity(pub Asked);

impl Operation<State> for DescribeActivity {
    type Input = DescribeActivityInput;
    type Output = DescribeActivityOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeActivityInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Asked::read(input.activity_arn.as_deref(), Faults::default()).map(DescribeActivity)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.0.find(state).map(|known| Decision::answer(Reply::Activity(known.declared.clone()))))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DescribeActivityOutput, Malformed> {
        let Reply::Activity(activity) = reply else { return Err(Malformed) };
        Ok(DescribeActivityOutput {
            activity_arn: Some(activity.key.activity_arn().into()),
            creation_date: shown(activity.created),
            name: Some(activity.key.name.into()),
            ..DescribeActivityOutput::default()
        })
    }
}

/// ListActivities.
#[derive(Clone, Debug)]
pub struct ListActivities {
    /// Of whom and where; without a name.
    pub theirs: MachineKey,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListActivities {
    type Input = ListActivitiesInput;
    type Output = ListActivitiesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListActivitiesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let page = pages::page(input.next_token.as_deref(), input.max_results, Faults::default())?;
        let (account, region) = (asker.caller.account.clone(), asker.caller.region.clone());
        Ok(ListActivities { theirs: MachineKey { account, region, name: String::new() }, page })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let theirs = &self.theirs;
        let start = match &self.page.after {
            Some(after) => Bound::Excluded(MachineKey { name: after.clone(), ..theirs.clone() }),
            None => Bound::Included(theirs.clone()),
        };
        let known = state.activities.names.range((start, Bound::Unbounded));
        let known = known
            .take_while(|(key, _)| (&key.account, &key.region) == (&theirs.account, &theirs.region))
            .filter_map(|(key, &id)| Some((key.name.clone(), state.activities.get(id)?.declared.clone())));
        Decision::answer(Reply::Activities(self.page.fill(known)))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ListActivitiesOutput, Malformed> {
        let Reply::Activities(listed) = reply else { return Err(Malformed) };
        let item = |activity: ActivityDeclared| ActivityListItem {
            activity_arn: Some(activity.key.activity_arn().into()),
            creation_date: shown(activity.created),
            name: Some(activity.key.name.into()),
        };
        Ok(ListActivitiesOutput {
            next_token: listed.next_token.map(Into::into),
            activities: Some(listed.items.into_iter().map(item).collect()),
        })
    }
}

/// DeleteActivity.
#[derive(Clone, Debug)]
pub struct DeleteActivity(pub Asked);

impl Operation<State> for DeleteActivity {
    type Input = DeleteActivityInput;
    type Output = DeleteActivityOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteActivityInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Asked::read(input.activity_arn.as_deref(), Faults::default()).map(DeleteActivity)
    }

    /// One that is not there is none either.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let known = state.activity(&self.0.key);
        let facts = known.map(|known| Record::ActivityDeleted(known.deletion()).into());
        Decision::done(facts.into_iter().collect(), Reply::Done)
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DeleteActivityOutput, Malformed> {
        reply.done()
    }
}

/// How long a worker waits for a task, in seconds (facts/stepfunctions.md § 2).
const POLL_SECONDS: u64 = 60;

/// GetActivityTask.
#[derive(Clone, Debug)]
pub struct GetActivityTask {
    /// Which.
    pub asked: Asked,
    /// `workerName`.
    pub worker: Option<String>,
}

impl Operation<State> for GetActivityTask {
    type Input = GetActivityTaskInput;
    type Output = GetActivityTaskOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: GetActivityTaskInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let worker = input.worker_name.map(String::from);
        if let Some(worker) = &worker {
            faults.length(worker, "workerName", 1, names::MOST);
        }
        Ok(GetActivityTask { asked: Asked::read(input.activity_arn.as_deref(), faults)?, worker })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let setting = &context.setting;
        let activity = match self.asked.find(state) {
            Ok(known) => known.declared.id,
            Err(refusal) => return refusal.into(),
        };
        let until = setting.now.plus_seconds(POLL_SECONDS);
        let poll = Poll { ticket: setting.ticket, activity, worker: self.worker.clone(), until };
        if state.activities.first(activity).is_some() {
            return state.hand(&poll, setting);
        }
        if state.activities.polls_of(activity) >= limits::POLLS {
            return Refusal::new(
                "ActivityWorkerLimitExceeded",
                "The activity has too many workers that wait.",
            )
            .into();
        }
        Decision::with(Vec::new(), Outcome::Wait(Waiter::Poll(poll)))
    }

    fn present(reply: Reply, _: &(), materials: &Materials<'_>) -> Result<GetActivityTaskOutput, Malformed> {
        match reply {
            Reply::NoTask => Ok(GetActivityTaskOutput::default()),
            Reply::Task(read) => {
                let (events, _) = parts(materials.records.first().ok_or(Malformed)?)?;
                let scheduled =
                    events.into_iter().find(|event| event.id == read.task.since).ok_or(Malformed)?;
                let input = scheduled.fields.into_iter().find(|field| field.0 == Field::Input);
                Ok(GetActivityTaskOutput {
                    task_token: Some(read.token.into()),
                    input: input.map(|field| field.1.into()),
                })
            }
            _ => Err(Malformed),
        }
    }
}

impl State {
    /// A worker gets the task that has waited for the longest time; or none, if there is none any more.
    pub(crate) fn hand<'a>(&self, poll: &Poll, setting: &Setting<'_>) -> Decision<'a> {
        let task = self.activities.first(poll.activity).and_then(|(execution, flow)| {
            let known = self.executions.get(&execution)?;
            let since = known.waits_since(flow)?;
            Some((known, Task { execution, flow, since }))
        });
        let Some((execution, task)) = task else { return Decision::answer(Reply::NoTask) };
        let mut written = Written::from(execution.next_event);
        let last = execution.flow(task.flow).map_or(0, |flow| flow.last);
        written.push(Type::ActivityStarted, last, [(Field::Worker, poll.worker.as_deref())]);
        let taken = TaskTaken {
            execution: task.execution,
            number: execution.next_record(),
            flow: task.flow,
            time: setting.now,
            tail: Tail {
                first: written.first,
                events: written.count,
                split: u32::try_from(written.bytes.len()).unwrap_or(u32::MAX),
                warm: None,
            },
        };
        let fact = Fact { record: Record::TaskTaken(taken), tail: written.bytes.into() };
        let reply = self.read_task(task, setting);
        Decision::done(vec![fact], reply)
    }

    /// A task that is under way, with the record that has its input.
    fn read_task(&self, task: Task, setting: &Setting<'_>) -> Reply {
        let flow = self.executions.get(&task.execution).and_then(|execution| execution.flow(task.flow));
        let token = task.token(setting.secret);
        match flow {
            Some(flow) => Reply::Task(Box::new(TaskRead { task, token, records: vec![flow.data] })),
            None => Reply::NoTask,
        }
    }
}

/// Finds the record of a task's input that was written forward since a worker was given the task. Only the server itself asks.
#[derive(Clone, Debug)]
pub struct FindTask(pub Task);

impl Internal<State> for FindTask {
    const DEMAND: Demand = Demand::Nothing;

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        match state.waiting_task(&self.0) {
            Some(_) => Decision::answer(state.read_task(self.0, &context.setting)),
            None => Decision::answer(Reply::NoTask),
        }
    }
}
