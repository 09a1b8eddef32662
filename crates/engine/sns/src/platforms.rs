//! Applications on mobile platforms and their endpoints, and text messages: what is remembered of them.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Arn, Extent, Ledger};
use resources::Standing;

use crate::records::{
    PlatformApplicationDeclared, PlatformApplicationDeleted, PlatformEndpointDeclared,
    PlatformEndpointDeleted, TextMessagingDeclared,
};
use crate::rules::telephones;
use crate::{ApplicationId, ApplicationKey, EndpointId};

/// An application.
#[derive(Clone, Debug)]
pub struct PlatformApplication {
    /// What the log says of it.
    pub declared: PlatformApplicationDeclared,
    pub(crate) standing: Standing,
}

/// An application on somebody's device.
#[derive(Clone, Debug)]
pub struct PlatformEndpoint {
    /// What the log says of it.
    pub declared: PlatformEndpointDeclared,
    pub(crate) standing: Standing,
}

impl PlatformApplication {
    /// Its ARN.
    pub fn arn(&self) -> String {
        self.declared.key.arn()
    }

    /// Whether messages can go to its endpoints.
    pub fn is_enabled(&self) -> bool {
        is_enabled(&self.declared.attributes)
    }
}

impl PlatformEndpoint {
    /// Its ARN.
    pub fn arn(&self) -> String {
        self.declared.application_key.endpoint_arn(&self.declared.uuid)
    }

    /// What the platform calls the device.
    pub fn token(&self) -> &str {
        self.declared.attributes.get("Token").map_or("", String::as_str)
    }

    /// Whether messages can go to it.
    pub fn is_enabled(&self) -> bool {
        is_enabled(&self.declared.attributes)
    }
}

fn is_enabled(attributes: &BTreeMap<String, String>) -> bool {
    attributes.get("Enabled").is_none_or(|enabled| enabled.eq_ignore_ascii_case("true"))
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Platforms {
    pub(crate) applications: BTreeMap<ApplicationId, PlatformApplication>,
    pub(crate) names: BTreeMap<ApplicationKey, ApplicationId>,
    pub(crate) endpoints: BTreeMap<EndpointId, PlatformEndpoint>,
    uuids: BTreeMap<String, EndpointId>,
    /// Endpoints by their applications.
    pub(crate) members: BTreeSet<(ApplicationId, EndpointId)>,
    tokens: BTreeMap<(ApplicationId, String), EndpointId>,
    pub(crate) texting: BTreeMap<(String, String), (TextMessagingDeclared, Standing)>,
}

impl Platforms {
    /// The application that a name denotes.
    pub fn application(&self, key: &ApplicationKey) -> Option<&PlatformApplication> {
        self.applications.get(self.names.get(key)?)
    }

    /// The application of an endpoint.
    pub fn application_of(&self, endpoint: &PlatformEndpoint) -> Option<&PlatformApplication> {
        self.applications.get(&endpoint.declared.application)
    }

    /// The endpoint whose ARN this is.
    pub fn endpoint(&self, arn: &str) -> Option<&PlatformEndpoint> {
        let resource = arn.parse::<Arn>().ok()?.resource;
        let (_, uuid) = resource.rsplit_once('/')?;
        let endpoint = self.endpoints.get(self.uuids.get(uuid)?)?;
        (endpoint.arn() == arn).then_some(endpoint)
    }

    /// The endpoint of an application for this device.
    pub fn endpoint_of_token(&self, application: ApplicationId, token: &str) -> Option<&PlatformEndpoint> {
        self.endpoints.get(self.tokens.get(&(application, token.to_owned()))?)
    }

    /// How an account sends text messages in a region.
    pub fn texting(&self, account: &str, region: &str) -> TextMessagingDeclared {
        let known = self.texting.get(&(account.to_owned(), region.to_owned()));
        known.map(|(declared, _)| declared.clone()).unwrap_or_else(|| TextMessagingDeclared {
            account: account.to_owned(),
            region: region.to_owned(),
            ..TextMessagingDeclared::default()
        })
    }

    /// Whether a text message of an account gets to a telephone: not if its owner has opted out, and from the sandbox only if it
    /// was verified (AWS's documentation of both; publishers are not told, facts/sns.md is silent).
    pub fn reaches(&self, account: &str, region: &str, number: &str, sandbox: bool) -> bool {
        let known = self.texting.get(&(account.to_owned(), region.to_owned()));
        let Some((texting, _)) = known else { return !sandbox };
        let number = telephones::plain(number);
        let verified = || texting.sandbox.get(&number).is_some_and(|known| known.verified);
        !texting.opted_out.contains_key(&number) && (!sandbox || verified())
    }

    pub(crate) fn application_declared(
        &mut self,
        record: &PlatformApplicationDeclared,
        at: Extent,
        ledger: &mut Ledger,
    ) {
        let before = self.applications.remove(&record.id).map(|application| application.standing);
        self.names.insert(record.key.clone(), record.id);
        let standing = Standing::declared(at, before, ledger);
        self.applications.insert(record.id, PlatformApplication { declared: record.clone(), standing });
    }

    pub(crate) fn application_deleted(
        &mut self,
        record: &PlatformApplicationDeleted,
        at: Extent,
        ledger: &mut Ledger,
    ) {
        record.declared_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
        let members: Vec<EndpointId> = self.members_of(record.id).collect();
        for id in members {
            self.forget_endpoint(id, ledger);
        }
        let Some(application) = self.applications.remove(&record.id) else { return };
        application.standing.end(ledger);
        if self.names.get(&application.declared.key) == Some(&record.id) {
            self.names.remove(&application.declared.key);
        }
    }

    pub(crate) fn endpoint_declared(
        &mut self,
        record: &PlatformEndpointDeclared,
        at: Extent,
        ledger: &mut Ledger,
    ) {
        let before = self.take_endpoint(record.id).map(|endpoint| endpoint.standing);
        let standing = Standing::declared(at, before, ledger);
        let endpoint = PlatformEndpoint { declared: record.clone(), standing };
        self.uuids.insert(record.uuid.clone(), record.id);
        self.members.insert((record.application, record.id));
        self.tokens.insert((record.application, endpoint.token().to_owned()), record.id);
        self.endpoints.insert(record.id, endpoint);
    }

    pub(crate) fn endpoint_deleted(
        &mut self,
        record: &PlatformEndpointDeleted,
        at: Extent,
        ledger: &mut Ledger,
    ) {
        record.declared_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
        self.forget_endpoint(record.id, ledger);
    }

    fn forget_endpoint(&mut self, id: EndpointId, ledger: &mut Ledger) {
        if let Some(endpoint) = self.take_endpoint(id) {
            endpoint.standing.end(ledger);
        }
    }

    fn take_endpoint(&mut self, id: EndpointId) -> Option<PlatformEndpoint> {
        let endpoint = self.endpoints.remove(&id)?;
        let application = endpoint.declared.application;
        self.uuids.remove(&endpoint.declared.uuid);
        self.members.remove(&(application, id));
        let key = (application, endpoint.token().to_owned());
        if self.tokens.get(&key) == Some(&id) {
            self.tokens.remove(&key);
        }
        Some(endpoint)
    }

    pub(crate) fn texting_declared(
        &mut self,
        record: &TextMessagingDeclared,
        at: Extent,
        ledger: &mut Ledger,
    ) {
        let key = (record.account.clone(), record.region.clone());
        let before = self.texting.remove(&key).map(|(_, standing)| standing);
        let standing = Standing::declared(at, before, ledger);
        self.texting.insert(key, (record.clone(), standing));
    }

    /// The endpoints of an application, oldest first.
    pub(crate) fn members_of(&self, id: ApplicationId) -> impl Iterator<Item = EndpointId> + '_ {
        let all = (id, EndpointId(0))..=(id, EndpointId(u64::MAX));
        self.members.range(all).map(|&(_, endpoint)| endpoint)
    }

    /// The deletion of an application with its endpoints.
    pub(crate) fn deletion_of(&self, application: &PlatformApplication) -> PlatformApplicationDeleted {
        let id = application.declared.id;
        let mut declared_in: BTreeSet<u32> = application.standing.declared_in().collect();
        for endpoint in self.members_of(id).filter_map(|id| self.endpoints.get(&id)) {
            declared_in.extend(endpoint.standing.declared_in());
        }
        PlatformApplicationDeleted { id, declared_in: declared_in.into_iter().collect() }
    }
}
