//! CreateArchive, UpdateArchive, DescribeArchive, DeleteArchive and ListArchives: what a bus keeps for replays.

use api::eventbridge::{
    Archive, CreateArchiveInput, CreateArchiveOutput, DeleteArchiveInput, DeleteArchiveOutput,
    DescribeArchiveInput, DescribeArchiveOutput, ListArchivesInput, ListArchivesOutput, UpdateArchiveInput,
    UpdateArchiveOutput,
};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Refusal, uuid_text};

use super::{Context, Decision, Reply, Setting, check_bus, decided, owned, shown, timestamp};
use crate::connections::belonging_to;
use crate::records::{ArchiveDeclared, DeclaredTarget, Record, RuleDeclared};
use crate::rules::archives::{MANAGED_BY, rule_name, rule_pattern, target};
use crate::rules::constraints::{ARCHIVE_NAME, ARN, Constraints, text};
use crate::rules::pages::{self, Page};
use crate::rules::pattern;
use crate::state::State;
use crate::{ArchiveId, BusKey, ResourceKey, RuleId, RuleKey, refusals};

/// AWS's model: `ArchiveState`.
const STATES: [&str; 6] = ["ENABLED", "DISABLED", "CREATING", "UPDATING", "CREATE_FAILED", "UPDATE_FAILED"];

/// An archive, and how many events and bytes it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchiveShown {
    /// What was said of it.
    pub declared: ArchiveDeclared,
    /// `EventCount`.
    pub events: u64,
    /// `SizeBytes`.
    pub bytes: u64,
}

impl ArchiveShown {
    fn of(state: &State, declared: &ArchiveDeclared, setting: &Setting<'_>) -> Self {
        let (events, bytes) = state.archiving.size(declared, setting.now);
        ArchiveShown { declared: declared.clone(), events, bytes }
    }
}

/// What is said of an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    description: Option<String>,
    pattern: Option<String>,
    kms_key: Option<String>,
    retention_days: Option<u32>,
}

impl Said {
    /// Checks what is said, together with what was checked before.
    fn of(input: &UpdateArchiveInput, constraints: &mut Constraints) -> Result<Said, Refusal> {
        constraints
            .text("description", input.description.as_ref(), text(512))
            .text("eventPattern", input.event_pattern.as_ref(), text(4096))
            .between("retentionDays", input.retention_days, 0, i32::MAX)
            .text("kmsKeyIdentifier", input.kms_key_identifier.as_ref(), text(2048))
            .check()?;
        let given = input.event_pattern.as_ref().filter(|pattern| !pattern.is_empty());
        if let Some(text) = given {
            pattern::parse(text)?;
        }
        Ok(Said {
            description: owned(input.description.as_ref()),
            pattern: owned(given),
            kms_key: owned(input.kms_key_identifier.as_ref()),
            retention_days: input.retention_days.and_then(|days| days.try_into().ok()),
        })
    }

    /// What is said takes the place of what was so.
    fn apply(&self, to: &mut ArchiveDeclared) {
        for (said, so) in [
            (&self.description, &mut to.description),
            (&self.pattern, &mut to.pattern),
            (&self.kms_key, &mut to.kms_key),
        ] {
            if said.is_some() {
                so.clone_from(said);
            }
        }
        to.retention_days = self.retention_days.unwrap_or(to.retention_days);
    }
}

/// Which archive a request means.
fn key(name: Option<&api::Text>, asker: &Asker<'_>) -> Result<ResourceKey, Refusal> {
    Constraints::default().required_text("archiveName", name, ARCHIVE_NAME).check()?;
    Ok(ResourceKey::of(name.map(|name| &**name), asker.caller))
}

/// The archive of a name.
///
/// Errors: there is none.
fn find<'s>(state: &'s State, key: &ResourceKey) -> Result<&'s ArchiveDeclared, Refusal> {
    state.archiving.declared.get(key).ok_or_else(|| refusals::archive_missing(&key.name))
}

/// The rule through which an archive gets events, as it is to be.
fn rule_of(archive: &ArchiveDeclared, target_number: u64) -> RuleDeclared {
    RuleDeclared {
        id: archive.rule,
        key: RuleKey { bus: archive.bus.clone(), name: rule_name(&archive.key.name) },
        pattern: Some(rule_pattern(archive.pattern.as_deref())),
        schedule: None,
        timing: None,
        state: "ENABLED".to_owned(),
        description: None,
        role_arn: None,
        managed_by: Some(MANAGED_BY.to_owned()),
        created_by: archive.key.account.clone(),
        tags: Default::default(),
        targets: vec![DeclaredTarget { number: target_number, shape: target(archive) }],
    }
}

/// An archive as it is from now on, with its rule, and an answer that tells of it.
///
/// Errors: the rule's name is taken by a rule that somebody else has made.
fn declared<'a>(
    mut archive: ArchiveDeclared,
    state: &State,
    setting: &Setting<'_>,
) -> Result<Decision<'a>, Refusal> {
    let rule = rule_of(&archive, 0).key;
    let known = state.rule(&rule);
    let number = match known {
        Some(rule) if rule.declared.managed_by.is_some() && rule.id() == archive.rule => {
            rule.targets.first().map(|target| target.number)
        }
        Some(rule) => {
            return Err(refusals::exists(format_args!("Rule {} already exists.", rule.declared.key.name)));
        }
        None => None,
    };
    if known.is_none() {
        archive.rule = RuleId(setting.numbers.draw());
    }
    archive.disabled = None;
    let rule = rule_of(&archive, number.unwrap_or_else(|| setting.numbers.draw()));
    let reply = Reply::Archive(Box::new(ArchiveShown::of(state, &archive, setting)));
    if known.is_some_and(|known| known.declared == rule) && state.archiving.get(archive.id) == Some(&archive)
    {
        return Ok(Decision::answer(reply));
    }
    let records =
        vec![Record::ArchiveDeclared(Box::new(archive)).into(), Record::RuleDeclared(Box::new(rule)).into()];
    Ok(Decision::done(records, reply))
}

/// `State`.
fn state_of(archive: &ArchiveDeclared) -> Option<api::Text> {
    Some(if archive.disabled.is_some() { "DISABLED" } else { "ENABLED" }.into())
}

/// CreateArchive.
#[derive(Clone, Debug)]
pub struct CreateArchive {
    /// Which.
    pub key: ResourceKey,
    /// The bus whose events it keeps.
    pub bus: BusKey,
    /// What is said of it.
    pub said: Said,
}

impl Operation<State> for CreateArchive {
    type Input = CreateArchiveInput;
    type Output = CreateArchiveOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateArchiveInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut constraints = Constraints::default();
        constraints.required_text("archiveName", input.archive_name.as_ref(), ARCHIVE_NAME).required_text(
            "eventSourceArn",
            input.event_source_arn.as_ref(),
            ARN,
        );
        let key = ResourceKey::of(input.archive_name.as_deref(), asker.caller);
        let bus = input.event_source_arn.as_ref().and_then(|arn| arn.parse::<Arn>().ok());
        let bus = bus.as_ref().and_then(BusKey::from_arn);
        let said = UpdateArchiveInput {
            archive_name: None,
            description: input.description,
            event_pattern: input.event_pattern,
            retention_days: input.retention_days,
            kms_key_identifier: input.kms_key_identifier,
        };
        let said = Said::of(&said, &mut constraints)?;
        // By what AWS says of the bus of a replay (facts/eventbridge.md § 7).
        let bus =
            bus.ok_or_else(|| refusals::parameter("EventSourceArn", "Must contain an event bus ARN."))?;
        Ok(CreateArchive { key, bus, said })
    }

    /// Makes it and its rule, unless there is one of the name.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.try_decide(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<CreateArchiveOutput, Malformed> {
        let Reply::Archive(archive) = reply else { return Err(Malformed) };
        let archive = archive.declared;
        Ok(CreateArchiveOutput {
            archive_arn: Some(archive.arn().into()),
            state: state_of(&archive),
            state_reason: None,
            creation_time: timestamp(archive.created),
        })
    }
}

impl CreateArchive {
    fn try_decide<'a>(&'a self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        check_bus(state, &self.bus)?;
        if state.archiving.declared.get(&self.key).is_some() {
            return Err(refusals::exists(format_args!("Archive {} already exists.", self.key.name)));
        }
        let id = ArchiveId(setting.numbers.draw());
        let mut archive = ArchiveDeclared {
            id,
            key: self.key.clone(),
            bus: self.bus.clone(),
            rule: RuleId(0),
            unique: uuid_text(setting.secret.derive("archive", id.0)),
            description: None,
            pattern: None,
            kms_key: None,
            retention_days: 0,
            disabled: None,
            created: setting.now,
        };
        self.said.apply(&mut archive);
        declared(archive, state, setting)
    }
}

/// UpdateArchive.
#[derive(Clone, Debug)]
pub struct UpdateArchive {
    /// Which.
    pub key: ResourceKey,
    /// What is said of it.
    pub said: Said,
}

impl Operation<State> for UpdateArchive {
    type Input = UpdateArchiveInput;
    type Output = UpdateArchiveOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateArchiveInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut constraints = Constraints::default();
        constraints.required_text("archiveName", input.archive_name.as_ref(), ARCHIVE_NAME);
        let said = Said::of(&input, &mut constraints)?;
        let given = [&input.description, &input.event_pattern, &input.kms_key_identifier];
        if given.iter().all(|text| text.is_none()) && input.retention_days.is_none() {
            let text = "At least one of EventPattern, RetentionDays or Description must be provided.";
            return Err(refusals::invalid(text));
        }
        Ok(UpdateArchive { key: ResourceKey::of(input.archive_name.as_deref(), asker.caller), said })
    }

    /// Changes what is said; the rest stays. An archive whose rule was taken from it gets another, and keeps events again.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let changed = find(state, &self.key).and_then(|found| {
            let mut archive = found.clone();
            self.said.apply(&mut archive);
            check_bus(state, &archive.bus)?;
            declared(archive, state, &context.setting)
        });
        decided(changed)
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<UpdateArchiveOutput, Malformed> {
        let Reply::Archive(archive) = reply else { return Err(Malformed) };
        let archive = archive.declared;
        Ok(UpdateArchiveOutput {
            archive_arn: Some(archive.arn().into()),
            state: state_of(&archive),
            state_reason: None,
            creation_time: timestamp(archive.created),
        })
    }
}

/// DescribeArchive.
#[derive(Clone, Debug)]
pub struct DescribeArchive {
    /// Which.
    pub key: ResourceKey,
}

impl Operation<State> for DescribeArchive {
    type Input = DescribeArchiveInput;
    type Output = DescribeArchiveOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeArchiveInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DescribeArchive { key: key(input.archive_name.as_ref(), asker)? })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(find(state, &self.key).map(|found| {
            Decision::answer(Reply::Archive(Box::new(ArchiveShown::of(state, found, &context.setting))))
        }))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<DescribeArchiveOutput, Malformed> {
        let Reply::Archive(archive) = reply else { return Err(Malformed) };
        let ArchiveShown { declared, events, bytes } = *archive;
        Ok(DescribeArchiveOutput {
            archive_arn: Some(declared.arn().into()),
            state: state_of(&declared),
            archive_name: Some(declared.key.name.into()),
            event_source_arn: Some(declared.bus.arn().to_string().into()),
            description: shown(declared.description),
            event_pattern: shown(declared.pattern),
            state_reason: shown(declared.disabled),
            kms_key_identifier: shown(declared.kms_key),
            retention_days: i32::try_from(declared.retention_days).ok(),
            size_bytes: i64::try_from(bytes).ok(),
            event_count: i64::try_from(events).ok(),
            creation_time: timestamp(declared.created),
        })
    }
}

/// DeleteArchive.
#[derive(Clone, Debug)]
pub struct DeleteArchive {
    /// Which.
    pub key: ResourceKey,
}

impl Operation<State> for DeleteArchive {
    type Input = DeleteArchiveInput;
    type Output = DeleteArchiveOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Purge;

    fn prepare(input: DeleteArchiveInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DeleteArchive { key: key(input.archive_name.as_ref(), asker)? })
    }

    /// Deletes it, what it keeps, and its rule. Its replays fail.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(find(state, &self.key).map(|archive| {
            let deleted = state.archiving.declared.deletion(&self.key).map(Record::ArchiveDeleted);
            let rule = state.rule_of(archive.rule).map(|rule| Record::RuleDeleted(rule.deletion()));
            Decision::done(deleted.into_iter().chain(rule).map(Into::into).collect(), Reply::Done)
        }))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<DeleteArchiveOutput, Malformed> {
        reply.done()
    }
}

/// ListArchives.
#[derive(Clone, Debug)]
pub struct ListArchives {
    /// Whose; the name is empty.
    pub owner: ResourceKey,
    /// What their names begin with.
    pub prefix: String,
    /// The ARN of the bus whose events they keep, if that matters.
    pub source: Option<String>,
    /// In which state they are, if that matters.
    pub state: Option<String>,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListArchives {
    type Input = ListArchivesInput;
    type Output = ListArchivesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListArchivesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default()
            .text("namePrefix", input.name_prefix.as_ref(), ARCHIVE_NAME)
            .text("eventSourceArn", input.event_source_arn.as_ref(), ARN)
            .one_of("state", input.state.as_ref(), &STATES)
            .check()?;
        let filters = [&input.name_prefix, &input.event_source_arn, &input.state];
        if filters.iter().filter(|filter| filter.is_some()).count() > 1 {
            return Err(refusals::one_filter("ListArchives"));
        }
        Ok(ListArchives {
            owner: ResourceKey::of(None, asker.caller),
            prefix: input.name_prefix.as_deref().unwrap_or_default().to_owned(),
            source: owned(input.event_source_arn.as_ref()),
            state: owned(input.state.as_ref()),
            page: pages::page(input.next_token.as_ref(), input.limit)?,
        })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let all =
            belonging_to(&state.archiving.declared, &self.owner, &self.prefix, self.page.after.as_ref());
        let wanted = |it: &&ArchiveDeclared| {
            self.source.as_ref().is_none_or(|source| *source == it.bus.arn().to_string())
                && self.state.as_deref().is_none_or(|state| state_of(it).as_deref() == Some(state))
        };
        let all = all.filter(wanted);
        let all = all.map(|it| (&it.key.name, ArchiveShown::of(state, it, &context.setting)));
        Decision::answer(Reply::Archives(self.page.fill(all)))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<ListArchivesOutput, Malformed> {
        let Reply::Archives(listed) = reply else { return Err(Malformed) };
        let item = |ArchiveShown { declared, events, bytes }| Archive {
            state: state_of(&declared),
            archive_name: Some(declared.key.name.into()),
            event_source_arn: Some(declared.bus.arn().to_string().into()),
            state_reason: shown(declared.disabled),
            retention_days: i32::try_from(declared.retention_days).ok(),
            size_bytes: i64::try_from(bytes).ok(),
            event_count: i64::try_from(events).ok(),
            creation_time: timestamp(declared.created),
        };
        Ok(ListArchivesOutput {
            archives: Some(listed.items.into_iter().map(item).collect()),
            next_token: shown(listed.next_token),
        })
    }
}
