//! CreateApiDestination, UpdateApiDestination, DescribeApiDestination, DeleteApiDestination and ListApiDestinations.

use api::eventbridge::{
    ApiDestination, CreateApiDestinationInput, CreateApiDestinationOutput, DeleteApiDestinationInput,
    DeleteApiDestinationOutput, DescribeApiDestinationInput, DescribeApiDestinationOutput,
    ListApiDestinationsInput, ListApiDestinationsOutput, UpdateApiDestinationInput,
    UpdateApiDestinationOutput,
};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Refusal, uuid_text};

use super::{Context, Decision, Reply, Setting, decided, done, owned, shown, timestamp};
use crate::connections::belonging_to;
use crate::records::{DestinationDeclared, Record};
use crate::rules::constraints::{Constraints, NAME, text};
use crate::rules::endpoints;
use crate::rules::pages::{self, Page};
use crate::state::State;
use crate::{DestinationId, ResourceKey, limits, refusals};

/// In the order in which AWS's refusal lists them (recorded by LocalStack's tests against AWS).
const METHODS: [&str; 7] = ["HEAD", "POST", "PATCH", "DELETE", "PUT", "GET", "OPTIONS"];

/// What is said of an API destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    description: Option<String>,
    connection: Option<String>,
    endpoint: Option<String>,
    method: Option<String>,
    rate: Option<u32>,
}

impl Said {
    /// Checks what is said, together with what was checked before.
    fn of(input: UpdateApiDestinationInput, constraints: &mut Constraints) -> Result<Said, Refusal> {
        constraints
            .text("description", input.description.as_ref(), text(512))
            .connection_arn("connectionArn", input.connection_arn.as_ref())
            .endpoint("invocationEndpoint", input.invocation_endpoint.as_ref())
            .one_of("httpMethod", input.http_method.as_ref(), &METHODS)
            .between("invocationRateLimitPerSecond", input.invocation_rate_limit_per_second, 1, i32::MAX)
            .check()?;
        if let Some(endpoint) = &input.invocation_endpoint {
            endpoints::check("InvocationEndpoint", endpoint)?;
        }
        Ok(Said {
            description: owned(input.description.as_ref()),
            connection: owned(input.connection_arn.as_ref()),
            endpoint: owned(input.invocation_endpoint.as_ref()),
            method: owned(input.http_method.as_ref()),
            rate: input.invocation_rate_limit_per_second.and_then(|rate| rate.try_into().ok()),
        })
    }

    /// What is said takes the place of what was so.
    ///
    /// Errors: the connection does not exist, or the rate is above the quota.
    fn apply(
        &self,
        to: &mut DestinationDeclared,
        state: &State,
        setting: &Setting<'_>,
    ) -> Result<(), Refusal> {
        if let Some(arn) = &self.connection
            && state.connection(arn).is_none()
        {
            let name = arn.parse::<Arn>().ok().and_then(|arn| ResourceKey::from_arn(&arn, "connection"));
            return Err(refusals::connection_missing(&name.map(|(key, _)| key.name).unwrap_or_default()));
        }
        if setting.limits.quotas && self.rate.is_some_and(|rate| rate > limits::RATE) {
            return Err(refusals::too_many());
        }
        for (said, so) in [
            (&self.connection, &mut to.connection),
            (&self.endpoint, &mut to.endpoint),
            (&self.method, &mut to.method),
        ] {
            if let Some(said) = said {
                so.clone_from(said);
            }
        }
        if self.description.is_some() {
            to.description.clone_from(&self.description);
        }
        to.rate = self.rate.unwrap_or(to.rate);
        to.modified = setting.now;
        Ok(())
    }
}

/// The API destination of a name.
///
/// Errors: there is none.
fn find<'s>(state: &'s State, key: &ResourceKey) -> Result<&'s DestinationDeclared, Refusal> {
    state.destinations.get(key).ok_or_else(|| refusals::destination_missing(&key.name))
}

/// Which API destination a request means.
fn key(name: Option<&api::Text>, asker: &Asker<'_>) -> Result<ResourceKey, Refusal> {
    Constraints::default().required_text("name", name, NAME).check()?;
    Ok(ResourceKey::of(name.map(|name| &**name), asker.caller))
}

/// A fact and an answer that tells of it.
fn declared<'a>(destination: DestinationDeclared, state: &State) -> Decision<'a> {
    let is_active = state.is_active(&destination);
    let reply = Reply::Destination(Box::new((destination.clone(), is_active)));
    done(Record::DestinationDeclared(Box::new(destination)), reply)
}

fn state_name(is_active: bool) -> Option<api::Text> {
    Some(if is_active { "ACTIVE" } else { "INACTIVE" }.into())
}

/// CreateApiDestination.
#[derive(Clone, Debug)]
pub struct CreateApiDestination {
    /// Which.
    pub key: ResourceKey,
    /// What is said of it.
    pub said: Said,
}

impl Operation<State> for CreateApiDestination {
    type Input = CreateApiDestinationInput;
    type Output = CreateApiDestinationOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateApiDestinationInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut constraints = Constraints::default();
        constraints
            .required_text("name", input.name.as_ref(), NAME)
            .required("connectionArn", input.connection_arn.as_ref())
            .required("invocationEndpoint", input.invocation_endpoint.as_ref())
            .required("httpMethod", input.http_method.as_ref());
        let key = ResourceKey::of(input.name.as_deref(), asker.caller);
        let said = UpdateApiDestinationInput {
            name: None,
            description: input.description,
            connection_arn: input.connection_arn,
            invocation_endpoint: input.invocation_endpoint,
            http_method: input.http_method,
            invocation_rate_limit_per_second: input.invocation_rate_limit_per_second,
        };
        Ok(CreateApiDestination { key, said: Said::of(said, &mut constraints)? })
    }

    /// Makes it, unless there is one of the name.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.try_decide(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<CreateApiDestinationOutput, Malformed> {
        let Reply::Destination(destination) = reply else { return Err(Malformed) };
        let (destination, is_active) = *destination;
        Ok(CreateApiDestinationOutput {
            api_destination_arn: Some(destination.arn().into()),
            api_destination_state: state_name(is_active),
            creation_time: timestamp(destination.created),
            last_modified_time: timestamp(destination.modified),
        })
    }
}

impl CreateApiDestination {
    fn try_decide<'a>(&'a self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        if state.destinations.get(&self.key).is_some() {
            let text = format_args!("An api-destination '{}' already exists.", self.key.name);
            return Err(refusals::exists(text));
        }
        let most = limits::DESTINATIONS;
        if setting.limits.quotas
            && belonging_to(&state.destinations, &self.key, "", None).take(most).count() == most
        {
            return Err(refusals::too_many());
        }
        let id = DestinationId(setting.numbers.draw());
        let mut destination = DestinationDeclared {
            id,
            key: self.key.clone(),
            unique: uuid_text(setting.secret.derive("api destination", id.0)),
            description: None,
            connection: String::new(),
            endpoint: String::new(),
            method: String::new(),
            rate: limits::RATE,
            created: setting.now,
            modified: setting.now,
        };
        self.said.apply(&mut destination, state, setting)?;
        Ok(declared(destination, state))
    }
}

/// UpdateApiDestination.
#[derive(Clone, Debug)]
pub struct UpdateApiDestination {
    /// Which.
    pub key: ResourceKey,
    /// What is said of it.
    pub said: Said,
}

impl Operation<State> for UpdateApiDestination {
    type Input = UpdateApiDestinationInput;
    type Output = UpdateApiDestinationOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateApiDestinationInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut constraints = Constraints::default();
        constraints.required_text("name", input.name.as_ref(), NAME);
        let key = ResourceKey::of(input.name.as_deref(), asker.caller);
        Ok(UpdateApiDestination { key, said: Said::of(input, &mut constraints)? })
    }

    /// Changes what is said; the rest stays.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let changed = find(state, &self.key).and_then(|found| {
            let mut destination = found.clone();
            self.said.apply(&mut destination, state, &context.setting)?;
            Ok(declared(destination, state))
        });
        decided(changed)
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<UpdateApiDestinationOutput, Malformed> {
        let Reply::Destination(destination) = reply else { return Err(Malformed) };
        let (destination, is_active) = *destination;
        Ok(UpdateApiDestinationOutput {
            api_destination_arn: Some(destination.arn().into()),
            api_destination_state: state_name(is_active),
            creation_time: timestamp(destination.created),
            last_modified_time: timestamp(destination.modified),
        })
    }
}

/// DescribeApiDestination.
#[derive(Clone, Debug)]
pub struct DescribeApiDestination {
    /// Which.
    pub key: ResourceKey,
}

impl Operation<State> for DescribeApiDestination {
    type Input = DescribeApiDestinationInput;
    type Output = DescribeApiDestinationOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeApiDestinationInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DescribeApiDestination { key: key(input.name.as_ref(), asker)? })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(find(state, &self.key).map(|found| {
            let reply = (found.clone(), state.is_active(found));
            Decision::answer(Reply::Destination(Box::new(reply)))
        }))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<DescribeApiDestinationOutput, Malformed> {
        let Reply::Destination(destination) = reply else { return Err(Malformed) };
        let (destination, is_active) = *destination;
        Ok(DescribeApiDestinationOutput {
            api_destination_arn: Some(destination.arn().into()),
            name: Some(destination.key.name.into()),
            description: shown(destination.description),
            api_destination_state: state_name(is_active),
            connection_arn: Some(destination.connection.into()),
            invocation_endpoint: Some(destination.endpoint.into()),
            http_method: Some(destination.method.into()),
            invocation_rate_limit_per_second: i32::try_from(destination.rate).ok(),
            creation_time: timestamp(destination.created),
            last_modified_time: timestamp(destination.modified),
        })
    }
}

/// DeleteApiDestination.
#[derive(Clone, Debug)]
pub struct DeleteApiDestination {
    /// Which.
    pub key: ResourceKey,
}

impl Operation<State> for DeleteApiDestination {
    type Input = DeleteApiDestinationInput;
    type Output = DeleteApiDestinationOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Purge;

    fn prepare(input: DeleteApiDestinationInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DeleteApiDestination { key: key(input.name.as_ref(), asker)? })
    }

    /// Deletes it.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        match state.destinations.deletion(&self.key) {
            Some(deleted) => done(Record::DestinationDeleted(deleted), Reply::Done),
            None => refusals::destination_missing(&self.key.name).into(),
        }
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<DeleteApiDestinationOutput, Malformed> {
        reply.done()
    }
}

/// ListApiDestinations.
#[derive(Clone, Debug)]
pub struct ListApiDestinations {
    /// Whose; the name is empty.
    pub owner: ResourceKey,
    /// What their names begin with.
    pub prefix: String,
    /// Which connection they use, if that matters.
    pub connection: Option<String>,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListApiDestinations {
    type Input = ListApiDestinationsInput;
    type Output = ListApiDestinationsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListApiDestinationsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default()
            .text("namePrefix", input.name_prefix.as_ref(), NAME)
            .connection_arn("connectionArn", input.connection_arn.as_ref())
            .check()?;
        Ok(ListApiDestinations {
            owner: ResourceKey::of(None, asker.caller),
            prefix: input.name_prefix.as_deref().unwrap_or_default().to_owned(),
            connection: owned(input.connection_arn.as_ref()),
            page: pages::page(input.next_token.as_ref(), input.limit)?,
        })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let all = belonging_to(&state.destinations, &self.owner, &self.prefix, self.page.after.as_ref());
        let wanted =
            |it: &&DestinationDeclared| self.connection.as_ref().is_none_or(|arn| *arn == it.connection);
        let all = all.filter(wanted);
        let all = all.map(|it| (it.key.name.clone(), (it.clone(), state.is_active(it))));
        Decision::answer(Reply::Destinations(self.page.fill(all)))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<ListApiDestinationsOutput, Malformed> {
        let Reply::Destinations(listed) = reply else { return Err(Malformed) };
        let item = |(it, is_active): (DestinationDeclared, bool)| ApiDestination {
            api_destination_arn: Some(it.arn().into()),
            name: Some(it.key.name.into()),
            api_destination_state: state_name(is_active),
            connection_arn: Some(it.connection.into()),
            invocation_endpoint: Some(it.endpoint.into()),
            http_method: Some(it.method.into()),
            invocation_rate_limit_per_second: i32::try_from(it.rate).ok(),
            creation_time: timestamp(it.created),
            last_modified_time: timestamp(it.modified),
        };
        Ok(ListApiDestinationsOutput {
            api_destinations: Some(listed.items.into_iter().map(item).collect()),
            next_token: shown(listed.next_token),
        })
    }
}
