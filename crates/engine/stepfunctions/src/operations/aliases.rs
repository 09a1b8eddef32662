//! Aliases of state machines: names that lead to one version, or to two of them by weight (facts/stepfunctions.md § 8).

use api::stepfunctions::{
    CreateStateMachineAliasInput, CreateStateMachineAliasOutput, DeleteStateMachineAliasInput,
    DeleteStateMachineAliasOutput, DescribeStateMachineAliasInput, DescribeStateMachineAliasOutput,
    ListStateMachineAliasesInput, ListStateMachineAliasesOutput, RoutingConfigurationListItem,
    StateMachineAliasListItem, UpdateStateMachineAliasInput, UpdateStateMachineAliasOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;

use super::common::{decided, shown};
use super::versions::{description_of, qualified, unqualified};
use super::{Context, Decision, Materials, Reply, Setting};
use crate::ids::Named;
use crate::records::{AliasDeclared, Record};
use crate::rules::names;
use crate::rules::pages::{self, Page};
use crate::state::State;
use crate::{MachineId, MachineKey, refusals};

/// Where an alias leads: versions of one state machine with their weights.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routing {
    /// The state machine.
    pub key: MachineKey,
    /// The versions.
    pub routes: Vec<(u64, u32)>,
}

/// Reads `routingConfiguration`.
fn routing_of(given: &[RoutingConfigurationListItem]) -> Result<Routing, Refusal> {
    let arns: Vec<&str> =
        given.iter().map(|route| route.state_machine_version_arn.as_deref().unwrap_or("")).collect();
    let told = || format!("[{}]", arns.join(", "));
    let version = |arn: &str| match Named::machine(arn) {
        Ok((key, Some(number))) => number.parse::<u64>().ok().map(|number| (key, number)),
        _ => None,
    };
    let versions: Option<Vec<(MachineKey, u64)>> = arns.iter().map(|arn| version(arn)).collect();
    let versions =
        versions.filter(|versions| !versions.is_empty() && versions.len() <= 2).ok_or_else(|| {
            refusals::invalid(format!(
                "Routing configuration must contain state machine version ARNs. Received: {}",
                told()
            ))
        })?;
    let (key, first) = versions[0].clone();
    if versions.iter().any(|version| version.0 != key) {
        let text = format!(
            "Routing configuration must contain versions of the same state machine. Received: {}",
            told()
        );
        return Err(refusals::invalid(text));
    }
    if versions.iter().skip(1).any(|version| version.1 == first) {
        let text = format!(
            "Routing configuration must contain distinct state machine version ARNs. Received: {}",
            told()
        );
        return Err(refusals::invalid(text));
    }
    let weights: Vec<i64> = given.iter().map(|route| route.weight.unwrap_or(0).into()).collect();
    if weights.iter().sum::<i64>() != 100 || weights.iter().any(|weight| !(0..=100).contains(weight)) {
        return Err(refusals::invalid(format!(
            "Sum of routing configuration weights must equal 100. Received: {weights:?}"
        )));
    }
    let weights = weights.into_iter().map(|weight| u32::try_from(weight).unwrap_or(0));
    Ok(Routing { key, routes: versions.into_iter().map(|version| version.1).zip(weights).collect() })
}

impl Routing {
    /// The state machine, if all of the versions are there.
    fn find(&self, state: &State) -> Result<MachineId, Refusal> {
        let machine = state.machine(&self.key).map(|machine| machine.declared.id);
        let machine = machine.ok_or_else(refusals::resource_missing)?;
        let are_there = self.routes.iter().all(|route| state.versions.version(machine, route.0).is_some());
        if are_there { Ok(machine) } else { Err(refusals::resource_missing()) }
    }
}

/// CreateStateMachineAlias.
#[derive(Clone, Debug)]
pub struct CreateStateMachineAlias {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// Where it leads.
    pub routing: Routing,
}

impl Operation<State> for CreateStateMachineAlias {
    type Input = CreateStateMachineAliasInput;
    type Output = CreateStateMachineAliasOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateStateMachineAliasInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let name = faults.required(input.name.as_deref(), "name").to_owned();
        if input.name.is_some() {
            faults.length(&name, "name", 1, names::MOST);
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            let fits = name.chars().all(is_plain) && !name.bytes().all(|byte| byte.is_ascii_digit());
            faults.pattern(&name, "name", "^(?=.*[a-zA-Z_\\-\\.])[a-zA-Z0-9_\\-\\.]+$", fits);
        }
        let description = description_of(input.description, "description", &mut faults);
        if input.routing_configuration.is_none() {
            faults.missing("routingConfiguration");
        }
        faults.refusal()?;
        let routing = routing_of(&input.routing_configuration.unwrap_or_default())?;
        Ok(CreateStateMachineAlias { name, description, routing })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.create(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<CreateStateMachineAliasOutput, Malformed> {
        let Reply::Made(arn, created) = reply else { return Err(Malformed) };
        Ok(CreateStateMachineAliasOutput {
            state_machine_alias_arn: Some(arn.into()),
            creation_date: shown(created),
        })
    }
}

impl CreateStateMachineAlias {
    fn create<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let machine = self.routing.find(state)?;
        let arn = self.routing.key.qualified_arn(&self.name);
        if let Some(known) = state.versions.alias(machine, &self.name) {
            let is_same = (&known.routing, &known.description) == (&self.routing.routes, &self.description);
            return match is_same {
                true => Ok(Decision::answer(Reply::Made(arn, known.created))),
                false => Err(refusals::conflict(
                    "Failed to create alias because an alias with the same name and a different routing configuration already exists.",
                )),
            };
        }
        let declared = AliasDeclared {
            machine,
            name: self.name.clone(),
            description: self.description.clone(),
            routing: self.routing.routes.clone(),
            created: setting.now,
            updated: setting.now,
        };
        Ok(Decision::done(vec![Record::AliasDeclared(declared).into()], Reply::Made(arn, setting.now)))
    }
}

/// An alias that a request names.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Of which state machine.
    pub key: MachineKey,
    /// Its name.
    pub name: String,
}

impl Asked {
    fn read(given: Option<&str>, faults: Faults) -> Result<Self, Refusal> {
        let (key, name) = qualified(given, "stateMachineAliasArn", faults)?;
        Ok(Asked { key, name })
    }

    fn find<'s>(&self, state: &'s State) -> Result<&'s AliasDeclared, Refusal> {
        let machine = state.machine(&self.key).map(|machine| machine.declared.id);
        let known = machine.and_then(|machine| state.versions.alias(machine, &self.name));
        known.ok_or_else(refusals::resource_missing)
    }
}

/// DescribeStateMachineAlias.
#[derive(Clone, Debug)]
pub struct DescribeStateMachineAlias(pub Asked);

impl Operation<State> for DescribeStateMachineAlias {
    type Input = DescribeStateMachineAliasInput;
    type Output = DescribeStateMachineAliasOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeStateMachineAliasInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Asked::read(input.state_machine_alias_arn.as_deref(), Faults::default())
            .map(DescribeStateMachineAlias)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(
            self.0
                .find(state)
                .map(|known| Decision::answer(Reply::Alias(self.0.key.clone(), Box::new(known.clone())))),
        )
    }

    fn present(
        reply: Reply,
        _: &(),
        _: &Materials<'_>,
    ) -> Result<DescribeStateMachineAliasOutput, Malformed> {
        let Reply::Alias(key, alias) = reply else { return Err(Malformed) };
        let route = |&(version, weight): &(u64, u32)| RoutingConfigurationListItem {
            state_machine_version_arn: Some(key.qualified_arn(&version.to_string()).into()),
            weight: i32::try_from(weight).ok(),
        };
        Ok(DescribeStateMachineAliasOutput {
            state_machine_alias_arn: Some(key.qualified_arn(&alias.name).into()),
            routing_configuration: Some(alias.routing.iter().map(route).collect()),
            name: Some(alias.name.into()),
            description: alias.description.map(Into::into),
            creation_date: shown(alias.created),
            update_date: shown(alias.updated),
        })
    }
}

/// UpdateStateMachineAlias.
#[derive(Clone, Debug)]
pub struct UpdateStateMachineAlias {
    /// Which.
    pub asked: Asked,
    /// Another description.
    pub description: Option<String>,
    /// Where it leads from now on.
    pub routing: Option<Routing>,
}

impl Operation<State> for UpdateStateMachineAlias {
    type Input = UpdateStateMachineAliasInput;
    type Output = UpdateStateMachineAliasOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateStateMachineAliasInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let description = description_of(input.description, "description", &mut faults);
        let asked = Asked::read(input.state_machine_alias_arn.as_deref(), faults)?;
        let routing = input.routing_configuration.as_deref().map(routing_of).transpose()?;
        if description.is_none() && routing.is_none() {
            return Err(refusals::invalid(
                "Either the description or the routing configuration must be specified",
            ));
        }
        Ok(UpdateStateMachineAlias { asked, description, routing })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.update(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<UpdateStateMachineAliasOutput, Malformed> {
        let Reply::Changed(at, _) = reply else { return Err(Malformed) };
        Ok(UpdateStateMachineAliasOutput { update_date: shown(at) })
    }
}

impl UpdateStateMachineAlias {
    fn update<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let known = self.asked.find(state)?;
        if let Some(routing) = &self.routing
            && routing.find(state)? != known.machine
        {
            return Err(refusals::invalid(
                "Routing configuration must contain versions of the alias's state machine.",
            ));
        }
        let declared = AliasDeclared {
            description: self.description.clone().or_else(|| known.description.clone()),
            routing: self.routing.as_ref().map_or_else(|| known.routing.clone(), |to| to.routes.clone()),
            updated: setting.now,
            ..known.clone()
        };
        Ok(Decision::done(vec![Record::AliasDeclared(declared).into()], Reply::Changed(setting.now, None)))
    }
}

/// DeleteStateMachineAlias.
#[derive(Clone, Debug)]
pub struct DeleteStateMachineAlias(pub Asked);

impl Operation<State> for DeleteStateMachineAlias {
    type Input = DeleteStateMachineAliasInput;
    type Output = DeleteStateMachineAliasOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteStateMachineAliasInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Asked::read(input.state_machine_alias_arn.as_deref(), Faults::default()).map(DeleteStateMachineAlias)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.0.find(state).map(|known| {
            let deletion = state.versions.alias_deletion(known.machine, &known.name);
            Decision::done(vec![Record::AliasDeleted(deletion).into()], Reply::Done)
        }))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DeleteStateMachineAliasOutput, Malformed> {
        reply.done()
    }
}

/// ListStateMachineAliases.
#[derive(Clone, Debug)]
pub struct ListStateMachineAliases {
    /// The ARN as it was sent.
    pub arn: String,
    /// Of which state machine.
    pub key: MachineKey,
    /// Only those that lead to this version.
    pub version: Option<u64>,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListStateMachineAliases {
    type Input = ListStateMachineAliasesInput;
    type Output = ListStateMachineAliasesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListStateMachineAliasesInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let page = pages::page(input.next_token.as_deref(), input.max_results, Faults::default())?;
        let given = input.state_machine_arn.as_deref();
        if let Ok((key, Some(qualifier))) = given.map_or(Err(()), |arn| Named::machine(arn).map_err(|_| ())) {
            let arn = given.unwrap_or_default().to_owned();
            let version = qualifier.parse().map_err(|_| refusals::machine_missing(&arn))?;
            return Ok(ListStateMachineAliases { arn, key, version: Some(version), page });
        }
        let (arn, key) = unqualified(given, Faults::default())?;
        Ok(ListStateMachineAliases { arn, key, version: None, page })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(machine) = state.machine(&self.key) else {
            return refusals::machine_missing(&self.arn).into();
        };
        let theirs = state.versions.aliases_of(machine.declared.id);
        let theirs = theirs
            .filter(|alias| self.page.after.as_ref().is_none_or(|after| alias.name > *after))
            .filter(|alias| {
                self.version.is_none_or(|version| alias.routing.iter().any(|route| route.0 == version))
            });
        let item = |alias: &AliasDeclared| {
            (alias.name.clone(), (self.key.qualified_arn(&alias.name), alias.created))
        };
        Decision::answer(Reply::Arns(self.page.fill(theirs.map(item))))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<ListStateMachineAliasesOutput, Malformed> {
        let Reply::Arns(listed) = reply else { return Err(Malformed) };
        let items = listed.items.into_iter().map(|(arn, created)| StateMachineAliasListItem {
            state_machine_alias_arn: Some(arn.into()),
            creation_date: shown(created),
        });
        Ok(ListStateMachineAliasesOutput {
            state_machine_aliases: Some(items.collect()),
            next_token: listed.next_token.map(Into::into),
        })
    }
}
