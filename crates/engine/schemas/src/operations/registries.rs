//! Registries: they are made, shown, listed, changed and deleted.

use std::borrow::Cow;
use std::ops::Bound;

use api::schemas::{
    CreateRegistryInput, CreateRegistryOutput, DeleteRegistryInput, DeleteRegistryOutput,
    DescribeRegistryInput, DescribeRegistryOutput, ListRegistriesInput, ListRegistriesOutput,
    RegistrySummary, UpdateRegistryInput, UpdateRegistryOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::tags::Tags;

use super::tags::check;
use super::{Context, Decision, Reply, Setting, decided, done, text};
use crate::ids::AWS_EVENTS;
use crate::records::{Record, RegistryDeclared};
use crate::rules::names;
use crate::rules::pages::{self, Page};
use crate::state::State;
use crate::{RegistryKey, limits, refusals};

/// A registry in an answer. The shapes have different names and the same members.
macro_rules! shown {
    ($output:ident, $registry:ident) => {
        $output {
            registry_arn: text($registry.key.arn()),
            registry_name: text($registry.key.name),
            description: $registry.description.map(Into::into),
            tags: super::tags($registry.tags),
        }
    };
}

/// A registry, whether it was made or every account has it.
pub(super) fn known<'s>(state: &'s State, key: &RegistryKey) -> Result<Cow<'s, RegistryDeclared>, Refusal> {
    match state.registries.get(key) {
        Some(known) => Ok(Cow::Borrowed(known)),
        None if key.is_of_aws() => Ok(Cow::Owned(of_aws(key))),
        None => Err(refusals::missing("Registry", &key.name)),
    }
}

/// The registry of AWS's own schemas.
fn of_aws(key: &RegistryKey) -> RegistryDeclared {
    RegistryDeclared {
        id: 0,
        key: key.clone(),
        description: Some("Contains AWS service event schemas".to_owned()),
        tags: Tags::new(),
        policy: None,
    }
}

/// A registry that its owner may change: AWS's own one is nobody's, and the one of discoverers is theirs.
pub(super) fn own<'s>(state: &'s State, key: &RegistryKey) -> Result<&'s RegistryDeclared, Refusal> {
    if key.is_of_aws() || key.is_discovered() {
        return Err(refusals::forbidden(format!("The registry {} is managed by AWS.", key.name)));
    }
    state.registries.get(key).ok_or_else(|| refusals::missing("Registry", &key.name))
}

/// CreateRegistry.
#[derive(Clone, Debug)]
pub struct CreateRegistry {
    key: RegistryKey,
    description: Option<String>,
    tags: Tags,
}

impl Operation<State> for CreateRegistry {
    type Input = CreateRegistryInput;
    type Output = CreateRegistryOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateRegistryInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let key = names::registry(input.registry_name.as_ref(), asker)?;
        if key.name.starts_with("aws.") || key.is_discovered() {
            return Err(refusals::forbidden(format!("The name {} is reserved.", key.name)));
        }
        let description = names::description(input.description.as_ref())?;
        Ok(CreateRegistry { key, description, tags: check(input.tags.as_ref())? })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.create(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<CreateRegistryOutput, Malformed> {
        let Reply::Registry(registry) = reply else { return Err(Malformed) };
        Ok(shown!(CreateRegistryOutput, registry))
    }
}

impl CreateRegistry {
    fn create<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        if state.registries.contains(&self.key) {
            return Err(refusals::exists("Registry", &self.key.name));
        }
        if setting.limits.quotas && state.registries_of(&self.key) >= limits::REGISTRIES {
            return Err(refusals::quota_exceeded("registries", limits::REGISTRIES));
        }
        let registry = RegistryDeclared {
            id: setting.numbers.draw(),
            key: self.key.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            policy: None,
        };
        Ok(done(vec![Record::RegistryDeclared(registry.clone())], Reply::Registry(registry)))
    }
}

/// DescribeRegistry.
#[derive(Clone, Debug)]
pub struct DescribeRegistry(RegistryKey);

impl Operation<State> for DescribeRegistry {
    type Input = DescribeRegistryInput;
    type Output = DescribeRegistryOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeRegistryInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        names::registry(input.registry_name.as_ref(), asker).map(DescribeRegistry)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(known(state, &self.0).map(|known| Decision::answer(Reply::Registry(known.into_owned()))))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DescribeRegistryOutput, Malformed> {
        let Reply::Registry(registry) = reply else { return Err(Malformed) };
        Ok(shown!(DescribeRegistryOutput, registry))
    }
}

/// UpdateRegistry.
#[derive(Clone, Debug)]
pub struct UpdateRegistry {
    key: RegistryKey,
    description: Option<String>,
}

impl Operation<State> for UpdateRegistry {
    type Input = UpdateRegistryInput;
    type Output = UpdateRegistryOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateRegistryInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let key = names::registry(input.registry_name.as_ref(), asker)?;
        Ok(UpdateRegistry { key, description: names::description(input.description.as_ref())? })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(own(state, &self.key).map(|known| {
            let description = self.description.clone();
            let registry = RegistryDeclared { description, ..known.clone() };
            done(vec![Record::RegistryDeclared(registry.clone())], Reply::Registry(registry))
        }))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<UpdateRegistryOutput, Malformed> {
        let Reply::Registry(registry) = reply else { return Err(Malformed) };
        Ok(shown!(UpdateRegistryOutput, registry))
    }
}

/// DeleteRegistry.
#[derive(Clone, Debug)]
pub struct DeleteRegistry(RegistryKey);

impl Operation<State> for DeleteRegistry {
    type Input = DeleteRegistryInput;
    type Output = DeleteRegistryOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteRegistryInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        names::registry(input.registry_name.as_ref(), asker).map(DeleteRegistry)
    }

    /// Its schemas must be gone before.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let deleted = own(state, &self.0).and_then(|_| match state.schemas_in(&self.0).next() {
            Some(_) => Err(refusals::bad_request(format!("The registry {} has schemas.", self.0.name))),
            None => Ok(state.registries.deletion(&self.0)),
        });
        decided(
            deleted
                .map(|deleted| done(deleted.into_iter().map(Record::RegistryDeleted).collect(), Reply::Done)),
        )
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DeleteRegistryOutput, Malformed> {
        reply.done()
    }
}

/// ListRegistries.
#[derive(Clone, Debug)]
pub struct ListRegistries {
    /// Of whom and where; the name is how the names begin.
    prefix: RegistryKey,
    /// Whether AWS's own registry is asked for, and others.
    of_aws: bool,
    local: bool,
    page: Page,
}

impl Operation<State> for ListRegistries {
    type Input = ListRegistriesInput;
    type Output = ListRegistriesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListRegistriesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let prefix = names::in_registry(input.registry_name_prefix.as_deref().unwrap_or_default(), asker);
        let (of_aws, local) = match input.scope.as_deref() {
            None | Some("") => (true, true),
            Some(scope) if scope.eq_ignore_ascii_case("aws") => (true, false),
            Some(scope) if scope.eq_ignore_ascii_case("local") => (false, true),
            Some(scope) => {
                return Err(refusals::bad_request(format!("Scope must be LOCAL or AWS, not {scope}.")));
            }
        };
        let page = pages::page(input.next_token.as_deref(), input.limit)?;
        Ok(ListRegistries { prefix, of_aws, local, page })
    }

    /// Tells them, by name.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let prefix = &self.prefix;
        let key = |name: &str| RegistryKey { name: name.to_owned(), ..prefix.clone() };
        let after = self.page.after.as_deref();
        let from = match after.filter(|after| *after >= &*prefix.name) {
            Some(after) => Bound::Excluded(key(after)),
            None => Bound::Included(prefix.clone()),
        };
        let theirs = state.registries.range((from, Bound::Unbounded)).take_while(|it| {
            (&it.key.account, &it.key.region) == (&prefix.account, &prefix.region)
                && it.key.name.starts_with(&*prefix.name)
        });
        // A page and one more, with AWS's own one in its place.
        let most = if self.local { self.page.most + 1 } else { 0 };
        let mut registries: Vec<RegistryDeclared> = theirs.take(most).cloned().collect();
        let is_asked_for = self.of_aws
            && AWS_EVENTS.starts_with(&*prefix.name)
            && after.is_none_or(|after| AWS_EVENTS > after);
        if is_asked_for {
            let at = registries.partition_point(|registry| &*registry.key.name < AWS_EVENTS);
            registries.insert(at, of_aws(&key(AWS_EVENTS)));
        }
        let named = registries.into_iter().map(|registry| (registry.key.name.clone(), registry));
        Decision::answer(Reply::Registries(self.page.fill(named)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<ListRegistriesOutput, Malformed> {
        let Reply::Registries(listed) = reply else { return Err(Malformed) };
        let summary = |registry: RegistryDeclared| RegistrySummary {
            registry_arn: text(registry.key.arn()),
            registry_name: text(registry.key.name),
            tags: super::tags(registry.tags),
        };
        Ok(ListRegistriesOutput {
            next_token: listed.next_token.map(Into::into),
            registries: Some(listed.items.into_iter().map(summary).collect()),
        })
    }
}
