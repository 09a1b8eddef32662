//! CreateConnection, UpdateConnection, DescribeConnection, DeauthorizeConnection, DeleteConnection and ListConnections.

use api::eventbridge::{
    Connection, CreateConnectionInput, CreateConnectionOutput, DeauthorizeConnectionInput,
    DeauthorizeConnectionOutput, DeleteConnectionInput, DeleteConnectionOutput, DescribeConnectionInput,
    DescribeConnectionOutput, ListConnectionsInput, ListConnectionsOutput, UpdateConnectionInput,
    UpdateConnectionOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, hex, uuid_text};

use super::{Context, Decision, Reply, Setting, decided, done, owned, shown, timestamp};
use crate::connections::belonging_to;
use crate::records::{ConnectionDeclared, ConnectionState, Record};
use crate::rules::connections::Given;
use crate::rules::constraints::{Constraints, NAME, text};
use crate::rules::credentials::Scheme;
use crate::rules::pages::{self, Page};
use crate::state::State;
use crate::{ConnectionId, ResourceKey, limits, refusals};

/// AWS's model: `ConnectionState`.
const STATES: [&str; 9] = [
    "CREATING",
    "UPDATING",
    "DELETING",
    "AUTHORIZED",
    "DEAUTHORIZED",
    "AUTHORIZING",
    "DEAUTHORIZING",
    "ACTIVE",
    "FAILED_CONNECTIVITY",
];

/// The connection of a name.
///
/// Errors: there is none.
fn find<'s>(state: &'s State, key: &ResourceKey) -> Result<&'s ConnectionDeclared, Refusal> {
    state.connections.get(key).ok_or_else(|| refusals::connection_missing(&key.name))
}

/// Which connection a request means.
fn key(name: Option<&api::Text>, asker: &Asker<'_>) -> Result<ResourceKey, Refusal> {
    Constraints::default().required_text("name", name, NAME).check()?;
    Ok(ResourceKey::of(name.map(|name| &**name), asker.caller))
}

/// A fact and an answer that tells of it.
fn declared<'a>(connection: ConnectionDeclared) -> Decision<'a> {
    let reply = Reply::Connection(Box::new(connection.clone()));
    done(Record::ConnectionDeclared(Box::new(connection)), reply)
}

/// What the credentials of a connection make of it: who has to fetch a token is not authorized yet (facts/eventbridge.md § 8).
fn authorize(connection: &mut ConnectionDeclared, setting: &Setting<'_>) {
    connection.version = setting.numbers.draw();
    connection.reason = None;
    connection.authorized = Some(setting.now);
    connection.state = match connection.scheme {
        Scheme::OAuth => ConnectionState::Authorizing,
        Scheme::Basic | Scheme::ApiKey => ConnectionState::Authorized,
    };
}

/// CreateConnection.
#[derive(Clone, Debug)]
pub struct CreateConnection {
    /// Which.
    pub key: ResourceKey,
    /// `Description`.
    pub description: Option<String>,
    /// `KmsKeyIdentifier`.
    pub kms_key: Option<String>,
    /// `AuthorizationType`.
    pub scheme: Scheme,
    /// `AuthParameters`.
    pub given: Box<Given>,
}

impl Operation<State> for CreateConnection {
    type Input = CreateConnectionInput;
    type Output = CreateConnectionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateConnectionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut constraints = Constraints::default();
        constraints
            .required_text("name", input.name.as_ref(), NAME)
            .text("description", input.description.as_ref(), text(512))
            .text("kmsKeyIdentifier", input.kms_key_identifier.as_ref(), text(2048))
            .required("authorizationType", input.authorization_type.as_ref())
            .one_of("authorizationType", input.authorization_type.as_ref(), &Scheme::NAMES)
            .required("authParameters", input.auth_parameters.as_ref());
        let given = Given::to_create(&input.auth_parameters.unwrap_or_default(), &mut constraints)?;
        if input.invocation_connectivity_parameters.is_some() {
            return Err(refusals::invalid(
                "InvocationConnectivityParameters are not supported by this server.",
            ));
        }
        // The constraints know that it is one.
        let scheme = input.authorization_type.as_deref().and_then(Scheme::from_name);
        let scheme = scheme.ok_or_else(|| refusals::invalid("Parameter AuthorizationType is not valid."))?;
        given.credentials(scheme, None)?;
        Ok(CreateConnection {
            key: ResourceKey::of(input.name.as_deref(), asker.caller),
            description: owned(input.description.as_ref()),
            kms_key: owned(input.kms_key_identifier.as_ref()),
            scheme,
            given: Box::new(given),
        })
    }

    /// Makes it, unless there is one of the name.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.try_decide(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<CreateConnectionOutput, Malformed> {
        let Reply::Connection(connection) = reply else { return Err(Malformed) };
        Ok(CreateConnectionOutput {
            connection_arn: Some(connection.arn().into()),
            connection_state: Some(connection.state.name().into()),
            creation_time: timestamp(connection.created),
            last_modified_time: timestamp(connection.modified),
        })
    }
}

impl CreateConnection {
    fn try_decide<'a>(&'a self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        if state.connections.get(&self.key).is_some() {
            return Err(refusals::exists(format_args!("Connection {} already exists.", self.key.name)));
        }
        let most = limits::CONNECTIONS;
        if setting.limits.quotas
            && belonging_to(&state.connections, &self.key, "", None).take(most).count() == most
        {
            return Err(refusals::too_many());
        }
        let id = ConnectionId(setting.numbers.draw());
        let unique = |what: &str| setting.secret.derive(what, id.0);
        let suffix = hex(&unique("suffix of a connection's secret")[..3]);
        let mut connection = ConnectionDeclared {
            id,
            version: 0,
            key: self.key.clone(),
            unique: uuid_text(unique("connection")),
            secret: format!("{}-{suffix}", uuid_text(unique("connection's secret"))),
            description: self.description.clone(),
            kms_key: self.kms_key.clone(),
            scheme: self.scheme,
            credentials: Some(self.given.credentials(self.scheme, None)?),
            parameters: self.given.parameters.clone(),
            state: ConnectionState::Authorized,
            reason: None,
            created: setting.now,
            modified: setting.now,
            authorized: None,
        };
        authorize(&mut connection, setting);
        Ok(declared(connection))
    }
}

/// UpdateConnection.
#[derive(Clone, Debug)]
pub struct UpdateConnection {
    /// Which.
    pub key: ResourceKey,
    /// `Description`.
    pub description: Option<String>,
    /// `KmsKeyIdentifier`.
    pub kms_key: Option<String>,
    /// `AuthorizationType`.
    pub scheme: Option<Scheme>,
    /// `AuthParameters`.
    pub given: Option<Box<Given>>,
}

impl Operation<State> for UpdateConnection {
    type Input = UpdateConnectionInput;
    type Output = UpdateConnectionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateConnectionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut constraints = Constraints::default();
        constraints
            .required_text("name", input.name.as_ref(), NAME)
            .text("description", input.description.as_ref(), text(512))
            .text("kmsKeyIdentifier", input.kms_key_identifier.as_ref(), text(2048))
            .one_of("authorizationType", input.authorization_type.as_ref(), &Scheme::NAMES);
        let given = match &input.auth_parameters {
            Some(given) => Some(Box::new(Given::to_update(given, &mut constraints)?)),
            None => constraints.check().map(|()| None)?,
        };
        if input.invocation_connectivity_parameters.is_some() {
            return Err(refusals::invalid(
                "InvocationConnectivityParameters are not supported by this server.",
            ));
        }
        Ok(UpdateConnection {
            key: ResourceKey::of(input.name.as_deref(), asker.caller),
            description: owned(input.description.as_ref()),
            kms_key: owned(input.kms_key_identifier.as_ref()),
            scheme: input.authorization_type.as_deref().and_then(Scheme::from_name),
            given,
        })
    }

    /// Changes what is said; the rest stays. With new credentials it is authorized anew.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.try_decide(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<UpdateConnectionOutput, Malformed> {
        let Reply::Connection(connection) = reply else { return Err(Malformed) };
        Ok(UpdateConnectionOutput {
            connection_arn: Some(connection.arn().into()),
            connection_state: Some(connection.state.name().into()),
            creation_time: timestamp(connection.created),
            last_modified_time: timestamp(connection.modified),
            last_authorized_time: connection.authorized.and_then(timestamp),
        })
    }
}

impl UpdateConnection {
    fn try_decide<'a>(&'a self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let mut connection = find(state, &self.key)?.clone();
        let scheme = self.scheme.unwrap_or(connection.scheme);
        let none = Given::default();
        let given = self.given.as_deref().unwrap_or(&none);
        if scheme != connection.scheme || given.has_credentials() {
            connection.credentials = Some(given.credentials(scheme, connection.credentials.as_ref())?);
            connection.scheme = scheme;
            authorize(&mut connection, setting);
        }
        if given.parameters.is_some() {
            connection.parameters.clone_from(&given.parameters);
        }
        if self.description.is_some() {
            connection.description.clone_from(&self.description);
        }
        if self.kms_key.is_some() {
            connection.kms_key.clone_from(&self.kms_key);
        }
        connection.modified = setting.now;
        Ok(declared(connection))
    }
}

/// DescribeConnection.
#[derive(Clone, Debug)]
pub struct DescribeConnection {
    /// Which.
    pub key: ResourceKey,
}

impl Operation<State> for DescribeConnection {
    type Input = DescribeConnectionInput;
    type Output = DescribeConnectionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeConnectionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DescribeConnection { key: key(input.name.as_ref(), asker)? })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let found = find(state, &self.key);
        decided(found.map(|found| Decision::answer(Reply::Connection(Box::new(found.clone())))))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<DescribeConnectionOutput, Malformed> {
        let Reply::Connection(connection) = reply else { return Err(Malformed) };
        let credentials = connection.credentials.as_ref();
        Ok(DescribeConnectionOutput {
            connection_arn: Some(connection.arn().into()),
            connection_state: Some(connection.state.name().into()),
            state_reason: shown(connection.reason.clone()),
            authorization_type: Some(connection.scheme.name().into()),
            secret_arn: credentials.map(|_| connection.secret_arn().into()),
            auth_parameters: credentials.map(|known| known.shown(connection.parameters.as_ref())),
            kms_key_identifier: shown(connection.kms_key),
            description: shown(connection.description),
            name: Some(connection.key.name.into()),
            creation_time: timestamp(connection.created),
            last_modified_time: timestamp(connection.modified),
            last_authorized_time: connection.authorized.and_then(timestamp),
            invocation_connectivity_parameters: None,
        })
    }
}

/// DeauthorizeConnection.
#[derive(Clone, Debug)]
pub struct DeauthorizeConnection {
    /// Which.
    pub key: ResourceKey,
}

impl Operation<State> for DeauthorizeConnection {
    type Input = DeauthorizeConnectionInput;
    type Output = DeauthorizeConnectionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: DeauthorizeConnectionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DeauthorizeConnection { key: key(input.name.as_ref(), asker)? })
    }

    /// Forgets the credentials and all parameters; the connection stays.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(find(state, &self.key).map(|found| {
            declared(ConnectionDeclared {
                version: context.setting.numbers.draw(),
                credentials: None,
                parameters: None,
                state: ConnectionState::Deauthorized,
                reason: None,
                modified: context.setting.now,
                ..found.clone()
            })
        }))
    }

    /// With AWS it takes a moment.
    fn present(reply: Reply, _: &(), (): &()) -> Result<DeauthorizeConnectionOutput, Malformed> {
        let Reply::Connection(connection) = reply else { return Err(Malformed) };
        Ok(DeauthorizeConnectionOutput {
            connection_arn: Some(connection.arn().into()),
            connection_state: Some("DEAUTHORIZING".into()),
            creation_time: timestamp(connection.created),
            last_modified_time: timestamp(connection.modified),
            last_authorized_time: connection.authorized.and_then(timestamp),
        })
    }
}

/// DeleteConnection.
#[derive(Clone, Debug)]
pub struct DeleteConnection {
    /// Which.
    pub key: ResourceKey,
}

impl Operation<State> for DeleteConnection {
    type Input = DeleteConnectionInput;
    type Output = DeleteConnectionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Purge;

    fn prepare(input: DeleteConnectionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DeleteConnection { key: key(input.name.as_ref(), asker)? })
    }

    /// Deletes it. API destinations that use it are inactive from now on.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(find(state, &self.key).map(|found| {
            let reply = Reply::Connection(Box::new(found.clone()));
            let deleted = state.connections.deletion(&self.key);
            let facts = deleted.map(Record::ConnectionDeleted).into_iter().map(Into::into).collect();
            Decision::done(facts, reply)
        }))
    }

    /// With AWS it takes a moment (facts/eventbridge.md § 8).
    fn present(reply: Reply, _: &(), (): &()) -> Result<DeleteConnectionOutput, Malformed> {
        let Reply::Connection(connection) = reply else { return Err(Malformed) };
        Ok(DeleteConnectionOutput {
            connection_arn: Some(connection.arn().into()),
            connection_state: Some("DELETING".into()),
            creation_time: timestamp(connection.created),
            last_modified_time: timestamp(connection.modified),
            last_authorized_time: connection.authorized.and_then(timestamp),
        })
    }
}

/// ListConnections.
#[derive(Clone, Debug)]
pub struct ListConnections {
    /// Whose; the name is empty.
    pub owner: ResourceKey,
    /// What their names begin with.
    pub prefix: String,
    /// In which state they are, if that matters.
    pub state: Option<String>,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListConnections {
    type Input = ListConnectionsInput;
    type Output = ListConnectionsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListConnectionsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default()
            .text("namePrefix", input.name_prefix.as_ref(), NAME)
            .one_of("connectionState", input.connection_state.as_ref(), &STATES)
            .check()?;
        Ok(ListConnections {
            owner: ResourceKey::of(None, asker.caller),
            prefix: input.name_prefix.as_deref().unwrap_or_default().to_owned(),
            state: owned(input.connection_state.as_ref()),
            page: pages::page(input.next_token.as_ref(), input.limit)?,
        })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let all = belonging_to(&state.connections, &self.owner, &self.prefix, self.page.after.as_ref());
        let wanted =
            |it: &&ConnectionDeclared| self.state.as_ref().is_none_or(|state| state == it.state.name());
        let all = all.filter(wanted).map(|it| (it.key.name.clone(), it.clone()));
        Decision::answer(Reply::Connections(self.page.fill(all)))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<ListConnectionsOutput, Malformed> {
        let Reply::Connections(listed) = reply else { return Err(Malformed) };
        let item = |it: ConnectionDeclared| Connection {
            connection_arn: Some(it.arn().into()),
            connection_state: Some(it.state.name().into()),
            state_reason: shown(it.reason),
            authorization_type: Some(it.scheme.name().into()),
            name: Some(it.key.name.into()),
            creation_time: timestamp(it.created),
            last_modified_time: timestamp(it.modified),
            last_authorized_time: it.authorized.and_then(timestamp),
        };
        Ok(ListConnectionsOutput {
            connections: Some(listed.items.into_iter().map(item).collect()),
            next_token: shown(listed.next_token),
        })
    }
}
