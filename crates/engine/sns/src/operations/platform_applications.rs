//! The five operations on applications of mobile platforms.

use std::collections::BTreeMap;
use std::ops::Bound;

use api::sns::{
    CreatePlatformApplicationInput, CreatePlatformApplicationOutput, DeletePlatformApplicationInput,
    DeletePlatformApplicationOutput, GetPlatformApplicationAttributesInput,
    GetPlatformApplicationAttributesOutput, ListPlatformApplicationsInput, ListPlatformApplicationsOutput,
    SetPlatformApplicationAttributesInput, SetPlatformApplicationAttributesOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::{Context, Decision, ListedPlatform, Reply, to_map};
use crate::platforms::PlatformApplication;
use crate::records::{PlatformApplicationDeclared, Record};
use crate::rules::pages::{self, Page};
use crate::rules::{pairs, platforms};
use crate::state::State;
use crate::{ApplicationId, ApplicationKey, refusals};

/// CreatePlatformApplication.
#[derive(Clone, Debug)]
pub struct CreatePlatformApplication {
    /// Which.
    pub application: ApplicationKey,
    /// What it is to have.
    pub attributes: BTreeMap<String, String>,
}

impl Operation<State> for CreatePlatformApplication {
    type Input = CreatePlatformApplicationInput;
    type Output = CreatePlatformApplicationOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    /// Reads the request. The credentials are not tried: messages go no further than this server's outbox or webhook.
    fn prepare(input: CreatePlatformApplicationInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let name = input.name.as_deref().unwrap_or_default().to_owned();
        let platform = input.platform.as_deref().unwrap_or_default().to_owned();
        let attributes = pairs(&input.attributes);
        platforms::check_new(&name, &platform, &attributes)?;
        let (account, region) = (asker.caller.account.clone(), asker.caller.region.clone());
        Ok(CreatePlatformApplication {
            application: ApplicationKey { account, region, platform, name },
            attributes,
        })
    }

    /// Makes it. If it is there, what was given must be as it is.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let reply = Reply::Arn(self.application.arn());
        if let Some(application) = state.platforms.application(&self.application) {
            let in_force = &application.declared.attributes;
            if self.attributes.iter().all(|(name, value)| in_force.get(name) == Some(value)) {
                return Decision::answer(reply);
            }
            let text = "Attributes Reason: Platform application already exists with different attributes";
            return refusals::invalid(text).into();
        }
        let mut attributes = self.attributes.clone();
        attributes.entry("Enabled".to_owned()).or_insert_with(|| "true".to_owned());
        let declared = PlatformApplicationDeclared {
            id: ApplicationId(context.setting.numbers.draw()),
            key: self.application.clone(),
            attributes,
        };
        super::done(vec![Record::PlatformApplicationDeclared(Box::new(declared))], reply)
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<CreatePlatformApplicationOutput, Malformed> {
        let Reply::Arn(arn) = reply else { return Err(Malformed) };
        Ok(CreatePlatformApplicationOutput { platform_application_arn: Some(arn.into()) })
    }
}

/// GetPlatformApplicationAttributes.
#[derive(Clone, Debug)]
pub struct GetPlatformApplicationAttributes {
    /// Of which.
    pub application: ApplicationKey,
}

impl Operation<State> for GetPlatformApplicationAttributes {
    type Input = GetPlatformApplicationAttributesInput;
    type Output = GetPlatformApplicationAttributesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetPlatformApplicationAttributesInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let application = platforms::application(input.platform_application_arn.as_deref())?;
        Ok(GetPlatformApplicationAttributes { application })
    }

    /// Tells them, but for the secrets.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        match state.platforms.application(&self.application) {
            Some(application) => Decision::answer(Reply::Attributes(shown(application))),
            None => refusals::application_missing().into(),
        }
    }

    fn present(
        reply: Reply,
        _: &(),
        _: &Secret,
    ) -> Result<GetPlatformApplicationAttributesOutput, Malformed> {
        let Reply::Attributes(attributes) = reply else { return Err(Malformed) };
        Ok(GetPlatformApplicationAttributesOutput { attributes: Some(to_map(attributes)) })
    }
}

/// SetPlatformApplicationAttributes.
#[derive(Clone, Debug)]
pub struct SetPlatformApplicationAttributes {
    /// Of which.
    pub application: ApplicationKey,
    /// What changes; an empty text takes away.
    pub attributes: BTreeMap<String, String>,
}

impl Operation<State> for SetPlatformApplicationAttributes {
    type Input = SetPlatformApplicationAttributesInput;
    type Output = SetPlatformApplicationAttributesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: SetPlatformApplicationAttributesInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let application = platforms::application(input.platform_application_arn.as_deref())?;
        let attributes = pairs(&input.attributes);
        platforms::check_application(&attributes)?;
        Ok(SetPlatformApplicationAttributes { application, attributes })
    }

    /// Sets them.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(application) = state.platforms.application(&self.application) else {
            return refusals::application_missing().into();
        };
        let mut declared = application.declared.clone();
        declared.attributes.extend(self.attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
        declared.attributes.retain(|_, value| !value.is_empty());
        super::done(vec![Record::PlatformApplicationDeclared(Box::new(declared))], Reply::Done)
    }

    fn present(
        reply: Reply,
        _: &(),
        _: &Secret,
    ) -> Result<SetPlatformApplicationAttributesOutput, Malformed> {
        reply.done()
    }
}

/// DeletePlatformApplication.
#[derive(Clone, Debug)]
pub struct DeletePlatformApplication {
    /// Which.
    pub application: ApplicationKey,
}

impl Operation<State> for DeletePlatformApplication {
    type Input = DeletePlatformApplicationInput;
    type Output = DeletePlatformApplicationOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeletePlatformApplicationInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let application = platforms::application(input.platform_application_arn.as_deref())?;
        Ok(DeletePlatformApplication { application })
    }

    /// Deletes it with its endpoints; one that is not there is gone already.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let application = state.platforms.application(&self.application);
        let deletion =
            application.map(|known| Record::PlatformApplicationDeleted(state.platforms.deletion_of(known)));
        super::done(deletion.into_iter().collect(), Reply::Done)
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<DeletePlatformApplicationOutput, Malformed> {
        reply.done()
    }
}

/// ListPlatformApplications.
#[derive(Clone, Debug)]
pub struct ListPlatformApplications {
    /// Whose.
    pub account: String,
    /// Where.
    pub region: String,
    /// Which of them.
    pub page: Page,
    after: Option<ApplicationId>,
}

impl Operation<State> for ListPlatformApplications {
    type Input = ListPlatformApplicationsInput;
    type Output = ListPlatformApplicationsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListPlatformApplicationsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let page = pages::page(input.next_token.as_deref())?;
        let after = pages::after_number(&page)?.map(ApplicationId);
        let (account, region) = (asker.caller.account.clone(), asker.caller.region.clone());
        Ok(ListPlatformApplications { account, region, page, after })
    }

    /// Tells of them, oldest first.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let start = self.after.map_or(Bound::Unbounded, Bound::Excluded);
        let all = state.platforms.applications.range((start, Bound::Unbounded));
        let theirs = all.filter(|(_, application)| {
            let key = &application.declared.key;
            key.account == self.account && key.region == self.region
        });
        let item = |(id, application): (&ApplicationId, &PlatformApplication)| {
            (id.0.to_string(), ListedPlatform { arn: application.arn(), attributes: shown(application) })
        };
        Decision::answer(Reply::Platforms(self.page.fill(theirs.map(item))))
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<ListPlatformApplicationsOutput, Malformed> {
        let Reply::Platforms(listed) = reply else { return Err(Malformed) };
        let item = |listed: ListedPlatform| api::sns::PlatformApplication {
            platform_application_arn: Some(listed.arn.into()),
            attributes: Some(to_map(listed.attributes)),
        };
        Ok(ListPlatformApplicationsOutput {
            platform_applications: Some(listed.items.into_iter().map(item).collect()),
            next_token: listed.next_token.map(Into::into),
        })
    }
}

fn shown(application: &PlatformApplication) -> Vec<(String, String)> {
    let mut shown = application.declared.attributes.clone();
    shown.retain(|name, _| !platforms::SECRETS.contains(&name.as_str()));
    let declared = &application.declared;
    if let Some(method) = platforms::authentication_method(&declared.key.platform, &declared.attributes) {
        shown.insert("AuthenticationMethod".to_owned(), method.to_owned());
    }
    shown.into_iter().collect()
}
