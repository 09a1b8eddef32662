//! DescribeStateMachine, ListStateMachines and DeleteStateMachine.

use api::stepfunctions::{
    CloudWatchLogsLogGroup, DeleteStateMachineInput, DeleteStateMachineOutput,
    DescribeStateMachineForExecutionInput, DescribeStateMachineForExecutionOutput, DescribeStateMachineInput,
    DescribeStateMachineOutput, EncryptionConfiguration, ListStateMachinesInput, ListStateMachinesOutput,
    LogDestination, LoggingConfiguration, StateMachineListItem, TracingConfiguration,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;
use serde_json::Value;
use std::ops::Bound;

use super::common::{MachineShown, arn_of, decided, revision, shown};
use super::executions::Asked;
use super::{Context, Decision, Materials, Reply};
use crate::ids::Named;
use crate::records::{MachineDeclared, Record};
use crate::rules::pages::{self, Page};
use crate::state::State;
use crate::{MachineKey, refusals};

/// DescribeStateMachine.
#[derive(Clone, Debug)]
pub struct DescribeStateMachine {
    /// The ARN as it was sent.
    pub arn: String,
    /// Which.
    pub key: MachineKey,
    /// Which version or alias.
    pub qualifier: Option<String>,
}

impl Operation<State> for DescribeStateMachine {
    type Input = DescribeStateMachineInput;
    type Output = DescribeStateMachineOutput;
    /// Whether the definition is told.
    type Plan = bool;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeStateMachineInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(Self::prepare_with_plan(input, asker)?.0)
    }

    fn prepare_with_plan(input: DescribeStateMachineInput, _: &Asker<'_>) -> Result<(Self, bool), Refusal> {
        let mut faults = Faults::default();
        let arn = arn_of(input.state_machine_arn.as_deref(), "stateMachineArn", &mut faults);
        let included = input.included_data.as_deref().unwrap_or("ALL_DATA");
        faults.one_of(included, "includedData", &["ALL_DATA", "METADATA_ONLY"]);
        faults.refusal()?;
        let (key, qualifier) = Named::machine(&arn)?;
        Ok((DescribeStateMachine { arn, key, qualifier }, included == "ALL_DATA"))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let known = state.machine(&self.key);
        let resolved = known.and_then(|known| state.resolve(known, self.qualifier.as_deref(), 0));
        let (Some(known), Some(resolved)) = (known, resolved) else {
            return refusals::machine_missing(&self.arn).into();
        };
        let version = state.versions.version(known.declared.id, resolved.version);
        let definition = state.definitions.get(&resolved.definition);
        let mut declared = known.declared.clone();
        declared.role = resolved.role;
        if let Some(version) = version {
            (declared.created, declared.revision) = (version.created, version.revision);
        }
        let shown = crate::machines::Machine { declared: declared.clone(), ..known.clone() };
        Decision::answer(Reply::Machine(Box::new(MachineShown {
            arn: version.map(|version| self.key.qualified_arn(&version.number.to_string())),
            description: version.and_then(|version| version.description.clone()),
            definition: definition.map(|definition| definition.text.clone()).unwrap_or_default(),
            revision: revision(&shown, context.setting.secret),
            declared,
        })))
    }

    fn present(
        reply: Reply,
        with_definition: &bool,
        _: &Materials<'_>,
    ) -> Result<DescribeStateMachineOutput, Malformed> {
        let Reply::Machine(machine) = reply else { return Err(Malformed) };
        let MachineShown { arn, description, declared, definition, revision } = *machine;
        Ok(DescribeStateMachineOutput {
            state_machine_arn: Some(arn.unwrap_or_else(|| declared.key.arn()).into()),
            status: Some(if declared.is_deleting { "DELETING" } else { "ACTIVE" }.into()),
            definition: with_definition.then(|| (&*definition).into()),
            role_arn: Some(declared.role.as_str().into()),
            r#type: Some(type_of(&declared).into()),
            creation_date: shown(declared.created),
            logging_configuration: Some(logging(declared.logging.as_deref())),
            tracing_configuration: Some(TracingConfiguration { enabled: Some(declared.is_traced) }),
            encryption_configuration: Some(EncryptionConfiguration {
                r#type: Some("AWS_OWNED_KEY".into()),
                ..EncryptionConfiguration::default()
            }),
            revision_id: revision.map(Into::into),
            name: Some(declared.key.name.into()),
            label: None,
            description: description.map(Into::into),
            variable_references: None,
        })
    }
}

fn type_of(machine: &MachineDeclared) -> &'static str {
    if machine.is_express { "EXPRESS" } else { "STANDARD" }
}

/// `loggingConfiguration` as it is shown.
fn logging(remembered: Option<&str>) -> LoggingConfiguration {
    let logging: Value = remembered.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let groups = logging["groups"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let destinations: Vec<LogDestination> = groups
        .map(|group| LogDestination {
            cloud_watch_logs_log_group: Some(CloudWatchLogsLogGroup { log_group_arn: Some(group.into()) }),
        })
        .collect();
    LoggingConfiguration {
        level: Some(logging["level"].as_str().unwrap_or("OFF").into()),
        include_execution_data: Some(logging["includes"].as_bool().unwrap_or(false)),
        destinations: (!destinations.is_empty()).then_some(destinations),
    }
}

/// DescribeStateMachineForExecution.
#[derive(Clone, Debug)]
pub struct DescribeStateMachineForExecution(pub Asked);

impl Operation<State> for DescribeStateMachineForExecution {
    type Input = DescribeStateMachineForExecutionInput;
    type Output = DescribeStateMachineForExecutionOutput;
    /// Whether the definition is told.
    type Plan = bool;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeStateMachineForExecutionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(Self::prepare_with_plan(input, asker)?.0)
    }

    fn prepare_with_plan(
        input: DescribeStateMachineForExecutionInput,
        _: &Asker<'_>,
    ) -> Result<(Self, bool), Refusal> {
        let mut faults = Faults::default();
        let included = input.included_data.as_deref().unwrap_or("ALL_DATA");
        faults.one_of(included, "includedData", &["ALL_DATA", "METADATA_ONLY"]);
        let asked = Asked::read(input.execution_arn.as_deref(), faults)?;
        Ok((DescribeStateMachineForExecution(asked), included == "ALL_DATA"))
    }

    /// Tells the definition with which the execution runs; the rest is that of the state machine as it is now.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.0.find(state).and_then(|(_, execution)| {
            let known = state.machines.get(&execution.machine);
            let known = known.ok_or_else(|| refusals::execution_missing(&self.0.arn))?;
            let definition = state.definitions.get(&execution.definition);
            Ok(Decision::answer(Reply::Machine(Box::new(MachineShown {
                arn: None,
                description: None,
                declared: known.declared.clone(),
                definition: definition.map(|definition| definition.text.clone()).unwrap_or_default(),
                revision: revision(known, context.setting.secret),
            }))))
        }))
    }

    fn present(
        reply: Reply,
        with_definition: &bool,
        _: &Materials<'_>,
    ) -> Result<DescribeStateMachineForExecutionOutput, Malformed> {
        let Reply::Machine(machine) = reply else { return Err(Malformed) };
        let MachineShown { declared, definition, revision, .. } = *machine;
        Ok(DescribeStateMachineForExecutionOutput {
            state_machine_arn: Some(declared.key.arn().into()),
            definition: with_definition.then(|| (&*definition).into()),
            role_arn: Some(declared.role.as_str().into()),
            update_date: shown(declared.updated),
            logging_configuration: Some(logging(declared.logging.as_deref())),
            tracing_configuration: Some(TracingConfiguration { enabled: Some(declared.is_traced) }),
            revision_id: revision.map(Into::into),
            name: Some(declared.key.name.into()),
            ..DescribeStateMachineForExecutionOutput::default()
        })
    }
}

/// ListStateMachines.
#[derive(Clone, Debug)]
pub struct ListStateMachines {
    /// Of whom and where; without a name.
    pub theirs: MachineKey,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListStateMachines {
    type Input = ListStateMachinesInput;
    type Output = ListStateMachinesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListStateMachinesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let page = pages::page(input.next_token.as_deref(), input.max_results, Faults::default())?;
        let (account, region) = (asker.caller.account.clone(), asker.caller.region.clone());
        Ok(ListStateMachines { theirs: MachineKey { account, region, name: String::new() }, page })
    }

    /// Tells them by name. In which order AWS tells them is not documented.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let theirs = &self.theirs;
        let start = match &self.page.after {
            Some(after) => Bound::Excluded(MachineKey { name: after.clone(), ..theirs.clone() }),
            None => Bound::Included(theirs.clone()),
        };
        let known = state.machine_names.range((start, Bound::Unbounded));
        let known = known
            .take_while(|(key, _)| (&key.account, &key.region) == (&theirs.account, &theirs.region))
            .filter_map(|(key, id)| Some((key.name.clone(), state.machines.get(id)?.declared.clone())));
        Decision::answer(Reply::Machines(self.page.fill(known)))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ListStateMachinesOutput, Malformed> {
        let Reply::Machines(listed) = reply else { return Err(Malformed) };
        let item = |machine: MachineDeclared| StateMachineListItem {
            state_machine_arn: Some(machine.key.arn().into()),
            r#type: Some(type_of(&machine).into()),
            creation_date: shown(machine.created),
            name: Some(machine.key.name.into()),
        };
        Ok(ListStateMachinesOutput {
            next_token: listed.next_token.map(Into::into),
            state_machines: Some(listed.items.into_iter().map(item).collect()),
        })
    }
}

/// DeleteStateMachine.
#[derive(Clone, Debug)]
pub struct DeleteStateMachine(pub MachineKey);

impl Operation<State> for DeleteStateMachine {
    type Input = DeleteStateMachineInput;
    type Output = DeleteStateMachineOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteStateMachineInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let arn = arn_of(input.state_machine_arn.as_deref(), "stateMachineArn", &mut faults);
        faults.refusal()?;
        let (key, qualifier) = Named::machine(&arn)?;
        match qualifier {
            None => Ok(DeleteStateMachine(key)),
            Some(_) => Err(refusals::machine_missing(&arn)),
        }
    }

    /// It is `DELETING` until its executions have ended. One that is not there is none either (facts/stepfunctions.md § 2).
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(known) = state.machine(&self.0).filter(|known| !known.declared.is_deleting) else {
            return Decision::answer(Reply::Done);
        };
        let deleting = MachineDeclared { is_deleting: true, ..known.declared.clone() };
        Decision::done(vec![Record::MachineDeclared(Box::new(deleting)).into()], Reply::Done)
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DeleteStateMachineOutput, Malformed> {
        reply.done()
    }
}
