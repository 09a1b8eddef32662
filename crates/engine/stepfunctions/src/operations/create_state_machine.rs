//! CreateStateMachine and UpdateStateMachine.

use api::stepfunctions::{
    CreateStateMachineInput, CreateStateMachineOutput, LoggingConfiguration, UpdateStateMachineInput,
    UpdateStateMachineOutput,
};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Refusal};
use resources::Faults;
use resources::tags::Tags;
use serde_json::{Value, json};

use super::common::{arn_of, decided, revision, shown, tags_of};
use super::versions::description_of;
use super::{Context, Decision, Fact, Materials, Reply, Setting};
use crate::ids::Named;
use crate::records::{DefinitionDeclared, MachineDeclared, Record, VersionPublished};
use crate::rules::{definitions, names};
use crate::state::State;
use crate::{DefinitionId, MachineId, MachineKey, limits, refusals};

/// CreateStateMachine.
#[derive(Clone, Debug)]
pub struct CreateStateMachine {
    /// Which.
    pub key: MachineKey,
    /// The text of its definition, which has been checked.
    pub definition: String,
    /// Its role.
    pub role: String,
    /// Whether its type is `EXPRESS`.
    pub is_express: bool,
    /// `loggingConfiguration`.
    pub logging: Option<String>,
    /// `tracingConfiguration.enabled`.
    pub is_traced: bool,
    /// Its tags.
    pub tags: Tags,
    /// Whether a version is published, and its description.
    pub publish: Option<Option<String>>,
}

impl Operation<State> for CreateStateMachine {
    type Input = CreateStateMachineInput;
    type Output = CreateStateMachineOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateStateMachineInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let name = faults.required(input.name.as_deref(), "name").to_owned();
        if input.name.is_some() {
            faults.length(&name, "name", 1, names::MOST);
        }
        let definition = definitions::of_request(input.definition.as_deref(), &mut faults);
        let role = arn_of(input.role_arn.as_deref(), "roleArn", &mut faults);
        let kind = input.r#type.as_deref().unwrap_or("STANDARD");
        faults.one_of(kind, "type", &["STANDARD", "EXPRESS"]);
        faults.refusal()?;
        names::check(&name)?;
        check_role(&role)?;
        let publish = publish_of(input.publish, input.version_description)?;
        let is_express = kind == "EXPRESS";
        definitions::check(&definition, is_express)?;
        let (account, region) = (asker.caller.account.clone(), asker.caller.region.clone());
        Ok(CreateStateMachine {
            key: MachineKey { account, region, name },
            definition,
            role,
            is_express,
            logging: logging_of(input.logging_configuration.as_ref())?,
            is_traced: input.tracing_configuration.and_then(|tracing| tracing.enabled) == Some(true),
            tags: tags_of(input.tags)?,
            publish,
        })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.create(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<CreateStateMachineOutput, Malformed> {
        let (arn, created, version) = match reply {
            Reply::Made(arn, created) => (arn, created, None),
            Reply::MadeWith(arn, created, version) => (arn, created, Some(version)),
            _ => return Err(Malformed),
        };
        Ok(CreateStateMachineOutput {
            state_machine_arn: Some(arn.into()),
            creation_date: shown(created),
            state_machine_version_arn: version.map(Into::into),
        })
    }
}

impl CreateStateMachine {
    /// The role and the tags do not decide whether it is the same (facts/stepfunctions.md § 2).
    fn create<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let arn = self.key.arn();
        if let Some(known) = state.machine(&self.key) {
            let known = &known.declared;
            if known.is_deleting {
                return Err(refusals::machine_deleting(&arn));
            }
            let text = state.definitions.get(&known.definition).map(|definition| &*definition.text);
            let is_same = text == Some(&*self.definition)
                && (known.is_express, &known.logging, known.is_traced)
                    == (self.is_express, &self.logging, self.is_traced);
            if !is_same {
                return Err(refusals::machine_exists(&arn));
            }
            let last = state.versions.of(known.id).next_back().filter(|_| self.publish.is_some());
            return Ok(Decision::answer(match last {
                Some(last) => {
                    let version = self.key.qualified_arn(&last.number.to_string());
                    Reply::MadeWith(arn, known.created, version)
                }
                None => Reply::Made(arn, known.created),
            }));
        }
        check_memory(state, &self.definition)?;
        let id = MachineId(setting.numbers.draw());
        let definition = DefinitionId(setting.numbers.draw());
        let declared = MachineDeclared {
            id,
            key: self.key.clone(),
            is_express: self.is_express,
            role: self.role.clone(),
            definition,
            revision: 0,
            last_version: u64::from(self.publish.is_some()),
            created: setting.now,
            updated: setting.now,
            logging: self.logging.clone(),
            is_traced: self.is_traced,
            tags: self.tags.clone(),
            is_deleting: false,
        };
        let published = self.publish.clone().map(|description| published(&declared, description));
        let mut facts = declaration(declared, Some((&self.definition, self.is_express)));
        let reply = match published {
            Some(version) => {
                let version_arn = self.key.qualified_arn(&version.number.to_string());
                facts.push(Record::VersionPublished(version).into());
                Reply::MadeWith(arn, setting.now, version_arn)
            }
            None => Reply::Made(arn, setting.now),
        };
        Ok(Decision::done(facts, reply))
    }
}

/// The version of a state machine that is published with it.
fn published(declared: &MachineDeclared, description: Option<String>) -> VersionPublished {
    VersionPublished {
        machine: declared.id,
        number: declared.last_version,
        definition: declared.definition,
        role: declared.role.clone(),
        revision: declared.revision,
        description,
        created: declared.updated,
    }
}

/// `publish` and `versionDescription` (facts/stepfunctions.md § 2).
fn publish_of(
    publish: Option<bool>,
    description: Option<api::Text>,
) -> Result<Option<Option<String>>, Refusal> {
    let mut faults = Faults::default();
    let description = description_of(description, "versionDescription", &mut faults);
    faults.refusal()?;
    match (publish == Some(true), description) {
        (true, description) => Ok(Some(description)),
        (false, None) => Ok(None),
        (false, Some(_)) => {
            Err(refusals::invalid("Version description can only be set when publish is true"))
        }
    }
}

/// The facts of a state machine, with the text of its definition if that is new. The definition is known before its number is used.
fn declaration<'a>(declared: MachineDeclared, text: Option<(&str, bool)>) -> Vec<Fact<'a>> {
    let id = declared.definition;
    let definition = text.map(|(text, is_express)| {
        Record::DefinitionDeclared(DefinitionDeclared { id, is_express, text: text.to_owned() })
    });
    let machine = Record::MachineDeclared(Box::new(declared));
    definition.into_iter().chain([machine]).map(Fact::from).collect()
}

/// UpdateStateMachine.
#[derive(Clone, Debug)]
pub struct UpdateStateMachine {
    /// The ARN as it was sent.
    pub arn: String,
    /// Which.
    pub key: MachineKey,
    /// The text of a new definition, which has been checked for a standard state machine.
    pub definition: Option<String>,
    /// A new role.
    pub role: Option<String>,
    /// Another `loggingConfiguration`.
    pub logging: Option<String>,
    /// Another `tracingConfiguration.enabled`.
    pub is_traced: Option<bool>,
    /// Whether a version is published, and its description.
    pub publish: Option<Option<String>>,
}

impl Operation<State> for UpdateStateMachine {
    type Input = UpdateStateMachineInput;
    type Output = UpdateStateMachineOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateStateMachineInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let arn = arn_of(input.state_machine_arn.as_deref(), "stateMachineArn", &mut faults);
        let definition = input
            .definition
            .as_deref()
            .map(|definition| definitions::of_request(Some(definition), &mut faults));
        faults.refusal()?;
        let (key, qualifier) = Named::machine(&arn)?;
        if qualifier.is_some() {
            return Err(refusals::machine_missing(&arn));
        }
        let is_traced = input.tracing_configuration.map(|tracing| tracing.enabled == Some(true));
        let changes_nothing = definition.is_none()
            && input.role_arn.is_none()
            && input.logging_configuration.is_none()
            && is_traced.is_none();
        if changes_nothing {
            return Err(refusals::nothing_to_update());
        }
        let publish = publish_of(input.publish, input.version_description)?;
        let role = input.role_arn.map(String::from);
        role.as_deref().map_or(Ok(()), check_role)?;
        // What an express state machine cannot have besides is known when it is known which one it is.
        definition.as_deref().map_or(Ok(()), |text| definitions::check(text, false))?;
        let logging = logging_of(input.logging_configuration.as_ref())?;
        Ok(UpdateStateMachine { arn, key, definition, role, logging, is_traced, publish })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.update(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<UpdateStateMachineOutput, Malformed> {
        let (at, revision, version) = match reply {
            Reply::Changed(at, revision) => (at, revision, None),
            Reply::ChangedWith(at, revision, version) => (at, revision, Some(version)),
            _ => return Err(Malformed),
        };
        Ok(UpdateStateMachineOutput {
            update_date: shown(at),
            revision_id: revision.map(Into::into),
            state_machine_version_arn: version.map(Into::into),
        })
    }
}

impl UpdateStateMachine {
    fn update<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let known = state.machine(&self.key).ok_or_else(|| refusals::machine_missing(&self.arn))?;
        let before = &known.declared;
        if before.is_deleting {
            return Err(refusals::machine_deleting(&self.arn));
        }
        if let Some(text) = self.definition.as_deref() {
            check_memory(state, text)?;
            if before.is_express {
                definitions::check(text, true)?;
            }
        }
        let definition = match self.definition {
            Some(_) => DefinitionId(setting.numbers.draw()),
            None => before.definition,
        };
        let declared = MachineDeclared {
            definition,
            role: self.role.clone().unwrap_or_else(|| before.role.clone()),
            logging: self.logging.clone().or_else(|| before.logging.clone()),
            is_traced: self.is_traced.unwrap_or(before.is_traced),
            revision: setting.numbers.draw(),
            updated: setting.now,
            last_version: before.last_version + u64::from(self.publish.is_some()),
            ..before.clone()
        };
        let shown = crate::machines::Machine { declared: declared.clone(), ..known.clone() };
        let revision = revision(&shown, setting.secret);
        let text = self.definition.as_deref().map(|text| (text, before.is_express));
        let published = self.publish.clone().map(|description| published(&declared, description));
        let mut facts = declaration(declared, text);
        let reply = match published {
            Some(version) => {
                let version_arn = self.key.qualified_arn(&version.number.to_string());
                facts.push(Record::VersionPublished(version).into());
                Reply::ChangedWith(setting.now, revision, version_arn)
            }
            None => Reply::Changed(setting.now, revision),
        };
        Ok(Decision::done(facts, reply))
    }
}

/// Definitions are kept in memory.
fn check_memory(state: &State, definition: &str) -> Result<(), Refusal> {
    match state.definition_bytes + definition.len() > limits::DEFINITIONS_BYTES {
        true => Err(refusals::too_many_machines()),
        false => Ok(()),
    }
}

fn check_role(role: &str) -> Result<(), Refusal> {
    let is_arn = role.parse::<Arn>().is_ok();
    if is_arn { Ok(()) } else { Err(refusals::invalid_arn(&format!("Invalid ARN prefix: {role}"))) }
}

/// `loggingConfiguration` as it is remembered; none if nothing is logged. Nothing is logged here.
fn logging_of(given: Option<&LoggingConfiguration>) -> Result<Option<String>, Refusal> {
    let Some(given) = given else { return Ok(None) };
    let level = given.level.as_deref().unwrap_or("OFF");
    let mut faults = Faults::default();
    faults.one_of(level, "loggingConfiguration.level", &["ALL", "ERROR", "FATAL", "OFF"]);
    faults.refusal()?;
    let destinations = given.destinations.iter().flatten();
    let groups = destinations
        .filter_map(|destination| destination.cloud_watch_logs_log_group.as_ref()?.log_group_arn.as_deref());
    let groups: Vec<Value> = groups.map(Value::from).collect();
    if level != "OFF" && groups.is_empty() {
        let text = "Invalid Logging Configuration: Must specify exactly one Log Destination.";
        return Err(Refusal::new("InvalidLoggingConfiguration", text));
    }
    let includes = given.include_execution_data == Some(true);
    Ok(Some(json!({"level": level, "includes": includes, "groups": groups}).to_string()))
}
