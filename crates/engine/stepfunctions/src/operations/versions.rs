//! PublishStateMachineVersion, DeleteStateMachineVersion and ListStateMachineVersions (facts/stepfunctions.md § 8).

use api::stepfunctions::{
    DeleteStateMachineVersionInput, DeleteStateMachineVersionOutput, ListStateMachineVersionsInput,
    ListStateMachineVersionsOutput, PublishStateMachineVersionInput, PublishStateMachineVersionOutput,
    StateMachineVersionListItem,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;

use super::common::{arn_of, decided, revision, shown};
use super::{Context, Decision, Materials, Reply, Setting};
use crate::ids::Named;
use crate::machines::Machine;
use crate::records::{MachineDeclared, Record, VersionPublished};
use crate::rules::pages::{self, Page};
use crate::state::State;
use crate::{MachineKey, refusals};

/// PublishStateMachineVersion.
#[derive(Clone, Debug)]
pub struct PublishStateMachineVersion {
    /// The ARN as it was sent.
    pub arn: String,
    /// Of which state machine.
    pub key: MachineKey,
    /// The revision that is expected.
    pub revision: Option<String>,
    /// Its description.
    pub description: Option<String>,
}

impl Operation<State> for PublishStateMachineVersion {
    type Input = PublishStateMachineVersionInput;
    type Output = PublishStateMachineVersionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: PublishStateMachineVersionInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let description = description_of(input.description, "description", &mut faults);
        let (arn, key) = unqualified(input.state_machine_arn.as_deref(), faults)?;
        Ok(PublishStateMachineVersion {
            arn,
            key,
            revision: input.revision_id.map(String::from),
            description,
        })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.publish(state, &context.setting))
    }

    fn present(
        reply: Reply,
        _: &(),
        _: &Materials<'_>,
    ) -> Result<PublishStateMachineVersionOutput, Malformed> {
        let Reply::Made(arn, created) = reply else { return Err(Malformed) };
        Ok(PublishStateMachineVersionOutput {
            state_machine_version_arn: Some(arn.into()),
            creation_date: shown(created),
        })
    }
}

impl PublishStateMachineVersion {
    fn publish<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let machine = state.machine(&self.key).ok_or_else(|| refusals::machine_missing(&self.arn))?;
        if machine.declared.is_deleting {
            return Err(refusals::machine_deleting(&self.arn));
        }
        let current = revision(machine, setting.secret);
        if let Some(wanted) = &self.revision
            && current.as_ref().is_some_and(|current| current != wanted)
        {
            return Err(refusals::conflict(format!(
                "Failed to publish the State Machine version for revision {wanted}. The current State Machine revision is {}.",
                current.unwrap_or_default()
            )));
        }
        let (version, is_new) = state.next_version(machine, self.description.clone(), setting);
        let reply = Reply::Made(self.key.qualified_arn(&version.number.to_string()), version.created);
        let mut facts = Vec::new();
        if is_new {
            let declared = MachineDeclared { last_version: version.number, ..machine.declared.clone() };
            facts.push(Record::MachineDeclared(Box::new(declared)).into());
            facts.push(Record::VersionPublished(version).into());
        }
        Ok(Decision::done(facts, reply))
    }
}

impl State {
    /// The version of a state machine as it is now; and whether it is yet to be published: a revision has one version at the most, whatever
    /// its description.
    pub(crate) fn next_version(
        &self,
        machine: &Machine,
        description: Option<String>,
        setting: &Setting<'_>,
    ) -> (VersionPublished, bool) {
        let declared = &machine.declared;
        let last = self.versions.of(declared.id).next_back();
        if let Some(last) = last.filter(|last| last.revision == declared.revision) {
            return (last.clone(), false);
        }
        let version = VersionPublished {
            machine: declared.id,
            number: declared.last_version + 1,
            definition: declared.definition,
            role: declared.role.clone(),
            revision: declared.revision,
            description,
            created: setting.now,
        };
        (version, true)
    }
}

/// A description of a version or an alias.
pub(super) fn description_of(given: Option<api::Text>, path: &str, faults: &mut Faults) -> Option<String> {
    let description = given.map(String::from);
    if let Some(description) = &description {
        faults.length(description, path, 0, 256);
    }
    description
}

/// The state machine of an ARN without a version or an alias, with the ARN.
pub(super) fn unqualified(given: Option<&str>, mut faults: Faults) -> Result<(String, MachineKey), Refusal> {
    let arn = arn_of(given, "stateMachineArn", &mut faults);
    faults.refusal()?;
    match Named::machine(&arn)? {
        (key, None) => Ok((arn, key)),
        (_, Some(_)) => Err(refusals::machine_missing(&arn)),
    }
}

/// The state machine and the version or the alias of an ARN.
pub(super) fn qualified(
    given: Option<&str>,
    path: &str,
    mut faults: Faults,
) -> Result<(MachineKey, String), Refusal> {
    let arn = arn_of(given, path, &mut faults);
    faults.refusal()?;
    match Named::machine(&arn)? {
        (key, Some(qualifier)) => Ok((key, qualifier)),
        (_, None) => Err(refusals::invalid_arn("Resource type not valid in this context: stateMachine")),
    }
}

/// DeleteStateMachineVersion.
#[derive(Clone, Debug)]
pub struct DeleteStateMachineVersion {
    /// Of which state machine.
    pub key: MachineKey,
    /// Its number.
    pub number: u64,
}

impl Operation<State> for DeleteStateMachineVersion {
    type Input = DeleteStateMachineVersionInput;
    type Output = DeleteStateMachineVersionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteStateMachineVersionInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let arn = input.state_machine_version_arn.as_deref();
        let (key, qualifier) = qualified(arn, "stateMachineVersionArn", Faults::default())?;
        let number = qualifier.parse().map_err(|_| {
            refusals::invalid_arn("Resource type not valid in this context: stateMachineAlias")
        })?;
        Ok(DeleteStateMachineVersion { key, number })
    }

    /// One that is not there is none either. Executions of it go on.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let machine = state.machine(&self.key).map(|machine| machine.declared.id);
        let known = machine.and_then(|machine| state.versions.version(machine, self.number));
        let Some(known) = known else { return Decision::answer(Reply::Done) };
        let aliases = state.versions.aliases_to(known.machine, self.number);
        if !aliases.is_empty() {
            return refusals::conflict(format!(
                "Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: [{}]",
                aliases.join(", ")
            ))
            .into();
        }
        let deletion = state.versions.version_deletion(known.machine, self.number);
        Decision::done(vec![Record::VersionDeleted(deletion).into()], Reply::Done)
    }

    fn present(
        reply: Reply,
        _: &(),
        _: &Materials<'_>,
    ) -> Result<DeleteStateMachineVersionOutput, Malformed> {
        reply.done()
    }
}

/// ListStateMachineVersions.
#[derive(Clone, Debug)]
pub struct ListStateMachineVersions {
    /// The ARN as it was sent.
    pub arn: String,
    /// Of which state machine.
    pub key: MachineKey,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListStateMachineVersions {
    type Input = ListStateMachineVersionsInput;
    type Output = ListStateMachineVersionsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListStateMachineVersionsInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let page = pages::page(input.next_token.as_deref(), input.max_results, Faults::default())?;
        let (arn, key) = unqualified(input.state_machine_arn.as_deref(), Faults::default())?;
        Ok(ListStateMachineVersions { arn, key, page })
    }

    /// Tells them, the latest first (API reference of ListStateMachineVersions).
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(machine) = state.machine(&self.key) else {
            return refusals::machine_missing(&self.arn).into();
        };
        let Ok(before) = self.page.after_number() else { return refusals::invalid_page().into() };
        let theirs = state.versions.of(machine.declared.id).rev();
        let theirs = theirs.filter(|version| before.is_none_or(|before| version.number < before));
        let item = |version: &VersionPublished| {
            let number = version.number.to_string();
            let arn = self.key.qualified_arn(&number);
            (number, (arn, version.created))
        };
        Decision::answer(Reply::Arns(self.page.fill(theirs.map(item))))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ListStateMachineVersionsOutput, Malformed> {
        let Reply::Arns(listed) = reply else { return Err(Malformed) };
        let items = listed.items.into_iter().map(|(arn, created)| StateMachineVersionListItem {
            state_machine_version_arn: Some(arn.into()),
            creation_date: shown(created),
        });
        Ok(ListStateMachineVersionsOutput {
            state_machine_versions: Some(items.collect()),
            next_token: listed.next_token.map(Into::into),
        })
    }
}
