//! The five operations on endpoints of mobile platforms: an application on somebody's device.

use std::collections::BTreeMap;
use std::ops::Bound;

use api::sns::{
    CreatePlatformEndpointInput, CreatePlatformEndpointOutput, DeleteEndpointInput, DeleteEndpointOutput,
    GetEndpointAttributesInput, GetEndpointAttributesOutput, ListEndpointsByPlatformApplicationInput,
    ListEndpointsByPlatformApplicationOutput, SetEndpointAttributesInput, SetEndpointAttributesOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::{Context, Decision, ListedPlatform, Reply, to_map};
use crate::ids::endpoint_uuid;
use crate::platforms::PlatformEndpoint;
use crate::records::{PlatformEndpointDeclared, PlatformEndpointDeleted, Record};
use crate::rules::pages::{self, Page};
use crate::rules::{pairs, platforms};
use crate::state::State;
use crate::{ApplicationKey, EndpointId, refusals};

/// CreatePlatformEndpoint.
#[derive(Clone, Debug)]
pub struct CreatePlatformEndpoint {
    /// Of which application.
    pub application: ApplicationKey,
    /// What the platform calls the device.
    pub token: String,
    /// What it is to have, also its user data.
    pub attributes: BTreeMap<String, String>,
}

impl Operation<State> for CreatePlatformEndpoint {
    type Input = CreatePlatformEndpointInput;
    type Output = CreatePlatformEndpointOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreatePlatformEndpointInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let application = platforms::application(input.platform_application_arn.as_deref())?;
        let token = input.token.as_deref().unwrap_or_default().to_owned();
        if token.is_empty() {
            return Err(refusals::invalid("Token Reason: cannot be empty"));
        }
        let mut attributes = pairs(&input.attributes);
        if let Some(data) = &input.custom_user_data {
            attributes.insert("CustomUserData".to_owned(), data.to_string());
        }
        platforms::check_endpoint(&attributes)?;
        Ok(CreatePlatformEndpoint { application, token, attributes })
    }

    /// Makes it. If there is one for the device, what was given must be as it is.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(application) = state.platforms.application(&self.application) else {
            return refusals::application_missing().into();
        };
        let of = application.declared.id;
        if let Some(endpoint) = state.platforms.endpoint_of_token(of, &self.token) {
            let in_force = &endpoint.declared.attributes;
            let same = |(name, value): (&String, &String)| in_force.get(name) == Some(value);
            if self.attributes.iter().all(same) {
                return Decision::answer(Reply::Arn(endpoint.arn()));
            }
            return refusals::invalid(format_args!(
                "Token Reason: Endpoint {} already exists with the same Token, but different attributes.",
                endpoint.arn()
            ))
            .into();
        }
        if !application.is_enabled() {
            return Refusal::new("PlatformApplicationDisabledException", "Platform application is disabled")
                .into();
        }
        let id = EndpointId(context.setting.numbers.draw());
        let uuid = endpoint_uuid(context.setting.secret, id);
        let mut attributes = self.attributes.clone();
        attributes.insert("Token".to_owned(), self.token.clone());
        attributes.entry("Enabled".to_owned()).or_insert_with(|| "true".to_owned());
        let reply = Reply::Arn(self.application.endpoint_arn(&uuid));
        let application_key = self.application.clone();
        let declared = PlatformEndpointDeclared { id, uuid, application: of, application_key, attributes };
        super::done(vec![Record::PlatformEndpointDeclared(Box::new(declared))], reply)
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<CreatePlatformEndpointOutput, Malformed> {
        let Reply::Arn(arn) = reply else { return Err(Malformed) };
        Ok(CreatePlatformEndpointOutput { endpoint_arn: Some(arn.into()) })
    }
}

/// GetEndpointAttributes.
#[derive(Clone, Debug)]
pub struct GetEndpointAttributes {
    /// Of which.
    pub arn: String,
}

impl Operation<State> for GetEndpointAttributes {
    type Input = GetEndpointAttributesInput;
    type Output = GetEndpointAttributesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetEndpointAttributesInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(GetEndpointAttributes { arn: platforms::endpoint(input.endpoint_arn.as_deref())? })
    }

    /// Tells them.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        match state.platforms.endpoint(&self.arn) {
            Some(endpoint) => Decision::answer(Reply::Attributes(shown(endpoint))),
            None => refusals::endpoint_missing().into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<GetEndpointAttributesOutput, Malformed> {
        let Reply::Attributes(attributes) = reply else { return Err(Malformed) };
        Ok(GetEndpointAttributesOutput { attributes: Some(to_map(attributes)) })
    }
}

/// SetEndpointAttributes.
#[derive(Clone, Debug)]
pub struct SetEndpointAttributes {
    /// Of which.
    pub arn: String,
    /// What changes.
    pub attributes: BTreeMap<String, String>,
}

impl Operation<State> for SetEndpointAttributes {
    type Input = SetEndpointAttributesInput;
    type Output = SetEndpointAttributesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: SetEndpointAttributesInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let arn = platforms::endpoint(input.endpoint_arn.as_deref())?;
        let attributes = pairs(&input.attributes);
        platforms::check_some(&attributes)?;
        platforms::check_endpoint(&attributes)?;
        Ok(SetEndpointAttributes { arn, attributes })
    }

    /// Sets them. Another token makes it the endpoint of another device, which must have none yet.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(endpoint) = state.platforms.endpoint(&self.arn) else {
            return refusals::endpoint_missing().into();
        };
        let of = endpoint.declared.application;
        let taken =
            self.attributes.get("Token").and_then(|token| state.platforms.endpoint_of_token(of, token));
        if let Some(other) = taken.filter(|other| other.declared.id != endpoint.declared.id) {
            return refusals::invalid(format_args!(
                "Token Reason: Endpoint {} already exists with the same Token, but different attributes.",
                other.arn()
            ))
            .into();
        }
        let mut declared = endpoint.declared.clone();
        declared.attributes.extend(self.attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
        super::done(vec![Record::PlatformEndpointDeclared(Box::new(declared))], Reply::Done)
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<SetEndpointAttributesOutput, Malformed> {
        reply.done()
    }
}

/// DeleteEndpoint.
#[derive(Clone, Debug)]
pub struct DeleteEndpoint {
    /// Which.
    pub arn: String,
}

impl Operation<State> for DeleteEndpoint {
    type Input = DeleteEndpointInput;
    type Output = DeleteEndpointOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteEndpointInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DeleteEndpoint { arn: platforms::endpoint(input.endpoint_arn.as_deref())? })
    }

    /// Deletes it; one that is not there is gone already. What is subscribed to topics stays so (AWS's documentation).
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let deleted = state.platforms.endpoint(&self.arn).map(|endpoint| {
            Record::PlatformEndpointDeleted(PlatformEndpointDeleted {
                id: endpoint.declared.id,
                declared_in: endpoint.standing.declared_in().collect(),
            })
        });
        super::done(deleted.into_iter().collect(), Reply::Done)
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<DeleteEndpointOutput, Malformed> {
        reply.done()
    }
}

/// ListEndpointsByPlatformApplication.
#[derive(Clone, Debug)]
pub struct ListEndpointsByPlatformApplication {
    /// Of which.
    pub application: ApplicationKey,
    /// Which of them.
    pub page: Page,
    after: Option<EndpointId>,
}

impl Operation<State> for ListEndpointsByPlatformApplication {
    type Input = ListEndpointsByPlatformApplicationInput;
    type Output = ListEndpointsByPlatformApplicationOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListEndpointsByPlatformApplicationInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let application = platforms::application(input.platform_application_arn.as_deref())?;
        let page = pages::page(input.next_token.as_deref())?;
        let after = pages::after_number(&page)?.map(EndpointId);
        Ok(ListEndpointsByPlatformApplication { application, page, after })
    }

    /// Tells of them, oldest first.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(application) = state.platforms.application(&self.application) else {
            return refusals::application_missing().into();
        };
        let of = application.declared.id;
        let start = match self.after {
            Some(after) => Bound::Excluded((of, after)),
            None => Bound::Included((of, EndpointId(0))),
        };
        let members = state.platforms.members.range((start, Bound::Unbounded));
        let members = members.take_while(|(application, _)| *application == of);
        let items = members.filter_map(|(_, id)| {
            let endpoint = state.platforms.endpoints.get(id)?;
            Some((id.0.to_string(), ListedPlatform { arn: endpoint.arn(), attributes: shown(endpoint) }))
        });
        Decision::answer(Reply::Platforms(self.page.fill(items)))
    }

    fn present(
        reply: Reply,
        _: &(),
        _: &Secret,
    ) -> Result<ListEndpointsByPlatformApplicationOutput, Malformed> {
        let Reply::Platforms(listed) = reply else { return Err(Malformed) };
        let item = |listed: ListedPlatform| api::sns::Endpoint {
            endpoint_arn: Some(listed.arn.into()),
            attributes: Some(to_map(listed.attributes)),
        };
        Ok(ListEndpointsByPlatformApplicationOutput {
            endpoints: Some(listed.items.into_iter().map(item).collect()),
            next_token: listed.next_token.map(Into::into),
        })
    }
}

fn shown(endpoint: &PlatformEndpoint) -> Vec<(String, String)> {
    endpoint.declared.attributes.clone().into_iter().collect()
}
