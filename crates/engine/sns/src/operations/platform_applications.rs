//! The five operations on applications of mobile platforms.

use std::collections::BTreeMap;
use std::ops::Bound;

use api::sns::{
    CreatePlatformApplicationInput, CreatePlatformApplicationOutput, DeletePlatformApplicationInput,
    GetPlatformApplicationAttributesInput, GetPlatformApplicationAttributesOutput,
    ListPlatformApplicationsInput, ListPlatformApplicationsOutput, SetPlatformApplicationAttributesInput,
};
use kernel::{Caller, Refusal};

use super::{Decision, ListedPlatform, Reply, Setting, to_map};
use crate::platforms::PlatformApplication;
use crate::records::{PlatformApplicationDeclared, Record};
use crate::rules::pages::{self, Listed, Page};
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

impl CreatePlatformApplication {
    /// Reads the request. The credentials are not tried: messages go no further than this server's outbox or webhook.
    pub fn prepare(input: &CreatePlatformApplicationInput, caller: &Caller) -> Result<Self, Refusal> {
        let name = input.name.as_deref().unwrap_or_default().to_owned();
        let platform = input.platform.as_deref().unwrap_or_default().to_owned();
        let attributes = pairs(&input.attributes);
        platforms::check_new(&name, &platform, &attributes)?;
        let (account, region) = (caller.account.clone(), caller.region.clone());
        Ok(CreatePlatformApplication {
            application: ApplicationKey { account, region, platform, name },
            attributes,
        })
    }

    /// Makes it. If it is there, what was given must be as it is.
    pub fn decide(&self, state: &State, setting: &Setting<'_>) -> Decision<'_> {
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
            id: ApplicationId(setting.numbers.draw()),
            key: self.application.clone(),
            attributes,
        };
        super::done(vec![Record::PlatformApplicationDeclared(Box::new(declared))], reply)
    }

    /// The answer.
    pub fn present(arn: String) -> CreatePlatformApplicationOutput {
        CreatePlatformApplicationOutput { platform_application_arn: Some(arn.into()) }
    }
}

/// GetPlatformApplicationAttributes.
#[derive(Clone, Debug)]
pub struct GetPlatformApplicationAttributes {
    /// Of which.
    pub application: ApplicationKey,
}

impl GetPlatformApplicationAttributes {
    /// Reads the request.
    pub fn prepare(input: &GetPlatformApplicationAttributesInput) -> Result<Self, Refusal> {
        let application = platforms::application(input.platform_application_arn.as_deref())?;
        Ok(GetPlatformApplicationAttributes { application })
    }

    /// Tells them, but for the secrets.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        match state.platforms.application(&self.application) {
            Some(application) => Decision::answer(Reply::Attributes(shown(application))),
            None => refusals::application_missing().into(),
        }
    }

    /// The answer.
    pub fn present(attributes: Vec<(String, String)>) -> GetPlatformApplicationAttributesOutput {
        GetPlatformApplicationAttributesOutput { attributes: Some(to_map(attributes)) }
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

impl SetPlatformApplicationAttributes {
    /// Reads the request.
    pub fn prepare(input: &SetPlatformApplicationAttributesInput) -> Result<Self, Refusal> {
        let application = platforms::application(input.platform_application_arn.as_deref())?;
        let attributes = pairs(&input.attributes);
        platforms::check_application(&attributes)?;
        Ok(SetPlatformApplicationAttributes { application, attributes })
    }

    /// Sets them.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        let Some(application) = state.platforms.application(&self.application) else {
            return refusals::application_missing().into();
        };
        let mut declared = application.declared.clone();
        declared.attributes.extend(self.attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
        declared.attributes.retain(|_, value| !value.is_empty());
        super::done(vec![Record::PlatformApplicationDeclared(Box::new(declared))], Reply::Done)
    }
}

/// DeletePlatformApplication.
#[derive(Clone, Debug)]
pub struct DeletePlatformApplication {
    /// Which.
    pub application: ApplicationKey,
}

impl DeletePlatformApplication {
    /// Reads the request.
    pub fn prepare(input: &DeletePlatformApplicationInput) -> Result<Self, Refusal> {
        let application = platforms::application(input.platform_application_arn.as_deref())?;
        Ok(DeletePlatformApplication { application })
    }

    /// Deletes it with its endpoints; one that is not there is gone already.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        let application = state.platforms.application(&self.application);
        let deletion =
            application.map(|known| Record::PlatformApplicationDeleted(state.platforms.deletion_of(known)));
        super::done(deletion.into_iter().collect(), Reply::Done)
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

impl ListPlatformApplications {
    /// Reads the request.
    pub fn prepare(input: &ListPlatformApplicationsInput, caller: &Caller) -> Result<Self, Refusal> {
        let page = pages::page(input.next_token.as_deref())?;
        let after = pages::after_number(&page)?.map(ApplicationId);
        let (account, region) = (caller.account.clone(), caller.region.clone());
        Ok(ListPlatformApplications { account, region, page, after })
    }

    /// Tells of them, oldest first.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
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

    /// The answer.
    pub fn present(listed: Listed<ListedPlatform>) -> ListPlatformApplicationsOutput {
        let item = |listed: ListedPlatform| api::sns::PlatformApplication {
            platform_application_arn: Some(listed.arn.into()),
            attributes: Some(to_map(listed.attributes)),
        };
        ListPlatformApplicationsOutput {
            platform_applications: Some(listed.items.into_iter().map(item).collect()),
            next_token: listed.next_token.map(Into::into),
        }
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
