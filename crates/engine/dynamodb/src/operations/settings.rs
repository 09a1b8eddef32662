//! What is set of tables and shown of them besides their items: time to live, tags, recovery to a point in time, and short answers that
//! tools ask for.

use std::sync::Arc;

use api::Timestamp;
use api::dynamodb::{
    ContinuousBackupsDescription, DescribeContinuousBackupsInput, DescribeContinuousBackupsOutput,
    DescribeContributorInsightsInput, DescribeContributorInsightsOutput, DescribeEndpointsInput,
    DescribeEndpointsOutput, DescribeKinesisStreamingDestinationInput,
    DescribeKinesisStreamingDestinationOutput, DescribeLimitsInput, DescribeLimitsOutput,
    DescribeTimeToLiveInput, DescribeTimeToLiveOutput, Endpoint, GetResourcePolicyInput,
    GetResourcePolicyOutput, ListTagsOfResourceInput, ListTagsOfResourceOutput,
    PointInTimeRecoveryDescription, Tag, TagResourceInput, TagResourceOutput, TimeToLiveDescription,
    TimeToLiveSpecification, UntagResourceInput, UntagResourceOutput, UpdateContinuousBackupsInput,
    UpdateContinuousBackupsOutput, UpdateTimeToLiveInput, UpdateTimeToLiveOutput,
};
use kernel::codec::Malformed;
use kernel::{Arn, Asker, Demand, Operation, Refusal};
use resources::Faults;
use resources::tags::{Tags, added, removed};

use super::{Context, Decision, Reply, Setting, decided, declared, text};
use crate::TableKey;
use crate::records::TableDeclared;
use crate::refusals::{arn_missing, backups_missing, invalid, table_missing};
use crate::rules::definition::Definition;
use crate::rules::{checking, declaring};
use crate::state::State;

/// Days that recovery reaches back, unless a request says otherwise.
const RECOVERY_DAYS: i32 = 35;

fn named(name: Option<&api::Text>, asker: &Asker<'_>) -> Result<TableKey, Refusal> {
    let mut faults = Faults::default();
    let key = checking::table(name, asker, &mut faults)?;
    faults.refusal().map(|()| key)
}

/// The table that a request names by its ARN.
fn named_by_arn(arn: Option<&api::Text>) -> Result<TableKey, Refusal> {
    let arn = arn.map(|arn| &**arn).unwrap_or_default();
    arn.parse::<Arn>()
        .ok()
        .and_then(|arn| TableKey::from_arn(&arn))
        .ok_or_else(|| invalid(format_args!("Invalid TableArn: Invalid ResourceArn provided as input {arn}")))
}

/// The table with another definition.
fn redefined(table: &TableDeclared, change: impl FnOnce(&mut Definition)) -> TableDeclared {
    let mut definition = Definition::clone(&table.definition);
    change(&mut definition);
    TableDeclared { definition: Arc::new(definition), ..table.clone() }
}

/// A decision that answers with how the table is declared.
fn shown<'a>(table: Result<&TableDeclared, Refusal>) -> Decision<'a> {
    decided(table.map(|table| Decision::answer(Reply::Definition(Box::new(table.clone())))))
}

fn known<'s>(state: &'s State, key: &TableKey) -> Result<&'s TableDeclared, Refusal> {
    state.tables.get(key).ok_or_else(|| table_missing(&key.name))
}

/// UpdateTimeToLive.
#[derive(Clone, Debug)]
pub struct UpdateTimeToLive {
    key: TableKey,
    is_enabled: bool,
    attribute: String,
}

impl Operation<State> for UpdateTimeToLive {
    type Input = UpdateTimeToLiveInput;
    type Output = UpdateTimeToLiveOutput;
    type Plan = TimeToLiveSpecification;

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: UpdateTimeToLiveInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let key = checking::table(input.table_name.as_ref(), asker, &mut faults)?;
        let specification = input.time_to_live_specification.unwrap_or_else(|| {
            faults.missing("timeToLiveSpecification");
            TimeToLiveSpecification::default()
        });
        let attribute = specification.attribute_name.as_deref().unwrap_or_default().to_owned();
        if specification.attribute_name.is_none() {
            faults.missing("timeToLiveSpecification.attributeName");
        } else {
            faults.length(&attribute, "timeToLiveSpecification.attributeName", 1, 255);
        }
        if specification.enabled.is_none() {
            faults.missing("timeToLiveSpecification.enabled");
        }
        faults.refusal()?;
        Ok(UpdateTimeToLive { key, is_enabled: specification.enabled.unwrap_or_default(), attribute })
    }

    fn prepare_with_plan(
        input: UpdateTimeToLiveInput,
        asker: &Asker<'_>,
    ) -> Result<(Self, TimeToLiveSpecification), Refusal> {
        let plan = input.time_to_live_specification.clone().unwrap_or_default();
        Ok((Self::prepare(input, asker)?, plan))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(known(state, &self.key).and_then(|table| {
            let now = table.definition.expires_by.as_deref();
            match (self.is_enabled, now) {
                (true, Some(_)) => return Err(invalid("TimeToLive is already enabled")),
                (false, None) => return Err(invalid("TimeToLive is already disabled")),
                (false, Some(other)) if other != self.attribute => {
                    return Err(invalid(format_args!(
                        "TimeToLive is active on a different AttributeName: current AttributeName is {other}"
                    )));
                }
                _ => {}
            }
            let attribute = self.is_enabled.then(|| self.attribute.clone());
            Ok(declared(redefined(table, |definition| definition.expires_by = attribute), Reply::Done))
        }))
    }

    fn present(
        _: Reply,
        plan: &TimeToLiveSpecification,
        _: &(),
    ) -> Result<UpdateTimeToLiveOutput, Malformed> {
        Ok(UpdateTimeToLiveOutput { time_to_live_specification: Some(plan.clone()) })
    }
}

/// DescribeTimeToLive.
#[derive(Clone, Debug)]
pub struct DescribeTimeToLive(TableKey);

impl Operation<State> for DescribeTimeToLive {
    type Input = DescribeTimeToLiveInput;
    type Output = DescribeTimeToLiveOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeTimeToLiveInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        named(input.table_name.as_ref(), asker).map(DescribeTimeToLive)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        shown(known(state, &self.0))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DescribeTimeToLiveOutput, Malformed> {
        let attribute = reply.definition()?.definition.expires_by.clone();
        let status = if attribute.is_some() { "ENABLED" } else { "DISABLED" };
        let description = TimeToLiveDescription {
            time_to_live_status: text(status),
            attribute_name: attribute.map(Into::into),
        };
        Ok(DescribeTimeToLiveOutput { time_to_live_description: Some(description) })
    }
}

/// The table with other tags.
fn retagged<'a>(
    state: &State,
    key: &TableKey,
    change: impl FnOnce(&Tags) -> Tags,
) -> Result<Decision<'a>, Refusal> {
    let table = state.tables.get(key).ok_or_else(|| arn_missing(&key.arn()))?;
    let tags = change(&table.tags);
    declaring::check_tags(&tags)?;
    Ok(declared(TableDeclared { tags, ..table.clone() }, Reply::Done))
}

/// TagResource.
#[derive(Clone, Debug)]
pub struct TagResource {
    key: TableKey,
    tags: Tags,
}

impl Operation<State> for TagResource {
    type Input = TagResourceInput;
    type Output = TagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: TagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let key = named_by_arn(input.resource_arn.as_ref())?;
        if input.tags.as_ref().is_none_or(Vec::is_empty) {
            return Err(invalid("Atleast one Tag needs to be provided as Input."));
        }
        Ok(TagResource { key, tags: declaring::tags(input.tags.as_ref())? })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(retagged(state, &self.key, |tags| added(tags, &self.tags)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<TagResourceOutput, Malformed> {
        reply.done()
    }
}

/// UntagResource.
#[derive(Clone, Debug)]
pub struct UntagResource {
    key: TableKey,
    keys: Vec<String>,
}

impl Operation<State> for UntagResource {
    type Input = UntagResourceInput;
    type Output = UntagResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: UntagResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let key = named_by_arn(input.resource_arn.as_ref())?;
        let keys: Vec<String> = input.tag_keys.iter().flatten().map(ToString::to_string).collect();
        if keys.is_empty() {
            return Err(invalid("Atleast one Tag Key needs to be provided as Input."));
        }
        Ok(UntagResource { key, keys })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(retagged(state, &self.key, |tags| removed(tags, &self.keys)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<UntagResourceOutput, Malformed> {
        reply.done()
    }
}

/// ListTagsOfResource. A table has so few tags that they are one page.
#[derive(Clone, Debug)]
pub struct ListTagsOfResource(TableKey);

impl Operation<State> for ListTagsOfResource {
    type Input = ListTagsOfResourceInput;
    type Output = ListTagsOfResourceOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListTagsOfResourceInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        named_by_arn(input.resource_arn.as_ref()).map(ListTagsOfResource)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let table = state.tables.get(&self.0).ok_or_else(|| arn_missing(&self.0.arn()));
        decided(table.map(|table| Decision::answer(Reply::Tags(table.tags.clone()))))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<ListTagsOfResourceOutput, Malformed> {
        let Reply::Tags(tags) = reply else { return Err(Malformed) };
        let tags = tags.into_iter().map(|(key, value)| Tag { key: text(key), value: text(value) });
        Ok(ListTagsOfResourceOutput { tags: Some(tags.collect()), next_token: None })
    }
}

/// What is shown of recovery to a point in time. The log is what this server recovers from; nothing is kept for the setting.
fn backups(reply: Reply) -> Result<ContinuousBackupsDescription, Malformed> {
    let Reply::Backups(table, now) = reply else { return Err(Malformed) };
    let recovery = match table.definition.recovery {
        None => PointInTimeRecoveryDescription {
            point_in_time_recovery_status: text("DISABLED"),
            ..PointInTimeRecoveryDescription::default()
        },
        Some((since, days)) => PointInTimeRecoveryDescription {
            point_in_time_recovery_status: text("ENABLED"),
            recovery_period_in_days: Some(days),
            earliest_restorable_date_time: since.try_into().ok().map(Timestamp),
            latest_restorable_date_time: super::shown_time(now),
        },
    };
    Ok(ContinuousBackupsDescription {
        continuous_backups_status: text("ENABLED"),
        point_in_time_recovery_description: Some(recovery),
    })
}

/// DescribeContinuousBackups.
#[derive(Clone, Debug)]
pub struct DescribeContinuousBackups(TableKey);

impl Operation<State> for DescribeContinuousBackups {
    type Input = DescribeContinuousBackupsInput;
    type Output = DescribeContinuousBackupsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeContinuousBackupsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        named(input.table_name.as_ref(), asker).map(DescribeContinuousBackups)
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let table = state.tables.get(&self.0).ok_or_else(|| backups_missing(&self.0.name));
        let now = context.setting.now;
        decided(table.map(|table| Decision::answer(Reply::Backups(Box::new(table.clone()), now))))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DescribeContinuousBackupsOutput, Malformed> {
        let description = backups(reply)?;
        Ok(DescribeContinuousBackupsOutput { continuous_backups_description: Some(description) })
    }
}

/// UpdateContinuousBackups.
#[derive(Clone, Debug)]
pub struct UpdateContinuousBackups {
    key: TableKey,
    days: Option<i32>,
}

impl UpdateContinuousBackups {
    fn update<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let table = state.tables.get(&self.key).ok_or_else(|| backups_missing(&self.key.name))?;
        let since = table.definition.recovery.map_or(setting.now.0, |(since, _)| since);
        let recovery = self.days.map(|days| (since, days));
        let table = redefined(table, |definition| definition.recovery = recovery);
        Ok(declared(table.clone(), Reply::Backups(Box::new(table), setting.now)))
    }
}

impl Operation<State> for UpdateContinuousBackups {
    type Input = UpdateContinuousBackupsInput;
    type Output = UpdateContinuousBackupsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: UpdateContinuousBackupsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let key = checking::table(input.table_name.as_ref(), asker, &mut faults)?;
        let specification = input.point_in_time_recovery_specification.unwrap_or_else(|| {
            faults.missing("pointInTimeRecoverySpecification");
            Default::default()
        });
        if let Some(days) = specification.recovery_period_in_days {
            faults.range(days, "pointInTimeRecoverySpecification.recoveryPeriodInDays", 1, RECOVERY_DAYS);
        }
        faults.refusal()?;
        let days = specification.recovery_period_in_days.unwrap_or(RECOVERY_DAYS);
        let is_enabled = specification.point_in_time_recovery_enabled.unwrap_or_default();
        Ok(UpdateContinuousBackups { key, days: is_enabled.then_some(days) })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.update(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<UpdateContinuousBackupsOutput, Malformed> {
        let description = backups(reply)?;
        Ok(UpdateContinuousBackupsOutput { continuous_backups_description: Some(description) })
    }
}

/// DescribeLimits. Nothing is throttled here; AWS's defaults are shown.
#[derive(Clone, Debug)]
pub struct DescribeLimits;

impl Operation<State> for DescribeLimits {
    type Input = DescribeLimitsInput;
    type Output = DescribeLimitsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(_: DescribeLimitsInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DescribeLimits)
    }

    fn decide<'a>(&'a self, _: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        Decision::answer(Reply::Done)
    }

    fn present(_: Reply, _: &(), _: &()) -> Result<DescribeLimitsOutput, Malformed> {
        Ok(DescribeLimitsOutput {
            account_max_read_capacity_units: Some(80_000),
            account_max_write_capacity_units: Some(80_000),
            table_max_read_capacity_units: Some(40_000),
            table_max_write_capacity_units: Some(40_000),
        })
    }
}

/// DescribeEndpoints: the address under which the client has reached this server.
#[derive(Clone, Debug)]
pub struct DescribeEndpoints;

impl Operation<State> for DescribeEndpoints {
    type Input = DescribeEndpointsInput;
    type Output = DescribeEndpointsOutput;
    type Plan = String;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(_: DescribeEndpointsInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DescribeEndpoints)
    }

    fn prepare_with_plan(_: DescribeEndpointsInput, asker: &Asker<'_>) -> Result<(Self, String), Refusal> {
        let address = asker.base.split_once("://").map_or(asker.base, |(_, address)| address);
        Ok((DescribeEndpoints, address.trim_end_matches('/').to_owned()))
    }

    fn decide<'a>(&'a self, _: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        Decision::answer(Reply::Done)
    }

    fn present(_: Reply, plan: &String, _: &()) -> Result<DescribeEndpointsOutput, Malformed> {
        let endpoint = Endpoint { address: text(plan), cache_period_in_minutes: Some(1440) };
        Ok(DescribeEndpointsOutput { endpoints: Some(vec![endpoint]) })
    }
}

/// DescribeContributorInsights: nobody counts contributors here.
#[derive(Clone, Debug)]
pub struct DescribeContributorInsights(TableKey);

impl Operation<State> for DescribeContributorInsights {
    type Input = DescribeContributorInsightsInput;
    type Output = DescribeContributorInsightsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeContributorInsightsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        named(input.table_name.as_ref(), asker).map(DescribeContributorInsights)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        shown(known(state, &self.0))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DescribeContributorInsightsOutput, Malformed> {
        Ok(DescribeContributorInsightsOutput {
            table_name: text(reply.definition()?.key.name),
            contributor_insights_status: text("DISABLED"),
            ..DescribeContributorInsightsOutput::default()
        })
    }
}

/// DescribeKinesisStreamingDestination: no table has one.
#[derive(Clone, Debug)]
pub struct DescribeKinesisStreamingDestination(TableKey);

impl Operation<State> for DescribeKinesisStreamingDestination {
    type Input = DescribeKinesisStreamingDestinationInput;
    type Output = DescribeKinesisStreamingDestinationOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeKinesisStreamingDestinationInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        named(input.table_name.as_ref(), asker).map(DescribeKinesisStreamingDestination)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        shown(known(state, &self.0))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DescribeKinesisStreamingDestinationOutput, Malformed> {
        Ok(DescribeKinesisStreamingDestinationOutput {
            table_name: text(reply.definition()?.key.name),
            kinesis_data_stream_destinations: Some(Vec::new()),
        })
    }
}

/// GetResourcePolicy: no table has one.
#[derive(Clone, Debug)]
pub struct GetResourcePolicy(TableKey);

impl Operation<State> for GetResourcePolicy {
    type Input = GetResourcePolicyInput;
    type Output = GetResourcePolicyOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetResourcePolicyInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        named_by_arn(input.resource_arn.as_ref()).map(GetResourcePolicy)
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let arn = self.0.arn();
        decided(state.tables.get(&self.0).ok_or_else(|| arn_missing(&arn)).and_then(|_| {
            Err(Refusal::new(
                "PolicyNotFoundException",
                format!("Resource-based policy not found for the provided ResourceArn: {arn}"),
            ))
        }))
    }

    fn present(_: Reply, _: &(), _: &()) -> Result<GetResourcePolicyOutput, Malformed> {
        Err(Malformed)
    }
}
