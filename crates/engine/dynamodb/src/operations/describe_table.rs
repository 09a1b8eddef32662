//! DescribeTable and ListTables: what is declared, and how much there is of it.

use api::dynamodb::{
    AttributeDefinition, BillingModeSummary, DescribeTableInput, DescribeTableOutput,
    GlobalSecondaryIndexDescription, GlobalSecondaryIndexWarmThroughputDescription, KeySchemaElement,
    ListTablesInput, ListTablesOutput, LocalSecondaryIndexDescription, Projection,
    ProvisionedThroughputDescription, SSEDescription, TableClassSummary, TableDescription,
    TableWarmThroughputDescription,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Time};
use resources::Faults;

use super::{Context, Decision, Reply, Shown, decided, shown_time, text};
use crate::contents::Contents;
use crate::records::TableDeclared;
use crate::refusals::table_missing;
use crate::rules::checking;
use crate::rules::definition::{Definition, Index, Schema, Shows};
use crate::state::State;
use crate::{TableKey, limits};

/// Units that a table on demand is warm for (facts/dynamodb.md § 15).
const WARM: (i64, i64) = (12_000, 4_000);

/// A table with what it contains; a new one contains nothing.
pub(super) fn described(table: &TableDeclared, contents: Option<&Contents>) -> Shown {
    let is_changing = contents.is_some_and(Contents::is_indexing);
    let indexes = 0..table.definition.indexes.len();
    Shown {
        table: Box::new(table.clone()),
        status: if is_changing { "UPDATING" } else { "ACTIVE" },
        measure: contents.map_or((0, 0), Contents::measure),
        indexes: indexes
            .map(|at| contents.map_or((0, 0, true), |contents| contents.measure_index(at)))
            .collect(),
    }
}

/// The number of a table as a UUID, which it keeps.
fn table_id(table: &TableDeclared) -> String {
    let hash = crate::tokens::hash(&[table.key.arn().as_bytes(), &table.id.to_be_bytes()]);
    kernel::uuid_text(hash)
}

/// `ProvisionedThroughput` of an answer.
pub(super) fn throughput((read, write): (i64, i64)) -> Option<ProvisionedThroughputDescription> {
    Some(ProvisionedThroughputDescription {
        number_of_decreases_today: Some(0),
        read_capacity_units: Some(read),
        write_capacity_units: Some(write),
        ..ProvisionedThroughputDescription::default()
    })
}

/// The elements of a key in an answer.
pub(super) fn key_schema(schema: &Schema) -> Option<Vec<KeySchemaElement>> {
    let element =
        |name: &String, kind: &str| KeySchemaElement { attribute_name: text(name), key_type: text(kind) };
    let hash = schema.hash.iter().map(|name| element(name, "HASH"));
    Some(hash.chain(schema.range.iter().map(|name| element(name, "RANGE"))).collect())
}

fn projection(index: &Index) -> Option<Projection> {
    let (kind, names) = match &index.shows {
        Shows::All => ("ALL", None),
        Shows::Keys => ("KEYS_ONLY", None),
        Shows::Some(names) => ("INCLUDE", Some(names.iter().map(|name| name.as_str().into()).collect())),
    };
    Some(Projection { projection_type: text(kind), non_key_attributes: names })
}

/// A table in an answer. `is_whole`: with what only DescribeTable shows.
pub(super) fn shown_table(shown: &Shown, is_whole: bool) -> TableDescription {
    let table = &shown.table;
    let definition: &Definition = &table.definition;
    let arn = table.key.arn();
    let warm_units = definition.warm.unwrap_or(match definition.on_demand_since {
        Some(_) => WARM,
        None => definition.units,
    });
    let shows_warm = is_whole || definition.warm.is_some();
    let warm_status = if is_whole { "ACTIVE" } else { "UPDATING" };
    TableDescription {
        attribute_definitions: Some(attribute_definitions(definition)),
        table_name: text(&table.key.name),
        key_schema: key_schema(&definition.key),
        table_status: text(shown.status),
        creation_date_time: shown_time(table.created),
        provisioned_throughput: throughput(definition.units),
        table_size_bytes: i64::try_from(shown.measure.1).ok(),
        item_count: i64::try_from(shown.measure.0).ok(),
        table_arn: text(&arn),
        table_id: text(table_id(table)),
        billing_mode_summary: definition.on_demand_since.map(|since| BillingModeSummary {
            billing_mode: text("PAY_PER_REQUEST"),
            last_update_to_pay_per_request_date_time: is_whole.then(|| shown_time(Time(since))).flatten(),
        }),
        local_secondary_indexes: local_indexes(shown, &arn),
        global_secondary_indexes: global_indexes(shown, &arn, is_whole),
        sse_description: definition.encryption.as_ref().map(|key| SSEDescription {
            status: text("ENABLED"),
            sse_type: text("KMS"),
            kms_master_key_arn: text(key),
            ..SSEDescription::default()
        }),
        table_class_summary: definition
            .class
            .as_ref()
            .map(|class| TableClassSummary { table_class: text(class), ..TableClassSummary::default() }),
        deletion_protection_enabled: Some(definition.is_protected),
        warm_throughput: shows_warm.then(|| TableWarmThroughputDescription {
            read_units_per_second: Some(warm_units.0),
            write_units_per_second: Some(warm_units.1),
            status: text(warm_status),
        }),
        ..TableDescription::default()
    }
}

fn attribute_definitions(definition: &Definition) -> Vec<AttributeDefinition> {
    let pairs = definition.attributes.iter();
    pairs
        .map(|(name, kind)| AttributeDefinition { attribute_name: text(name), attribute_type: text(kind) })
        .collect()
}

fn local_indexes(shown: &Shown, arn: &str) -> Option<Vec<LocalSecondaryIndexDescription>> {
    let all = shown.table.definition.indexes.iter().zip(&shown.indexes);
    let indexes: Vec<_> = all
        .filter(|(index, _)| !index.is_global)
        .map(|(index, (count, size, _))| LocalSecondaryIndexDescription {
            index_name: text(&index.name),
            key_schema: key_schema(&index.key),
            projection: projection(index),
            index_size_bytes: i64::try_from(*size).ok(),
            item_count: i64::try_from(*count).ok(),
            index_arn: text(format!("{arn}/index/{}", index.name)),
        })
        .collect();
    (!indexes.is_empty()).then_some(indexes)
}

fn global_indexes(shown: &Shown, arn: &str, is_whole: bool) -> Option<Vec<GlobalSecondaryIndexDescription>> {
    let definition = &shown.table.definition;
    let status = |is_complete: bool| match is_complete {
        _ if shown.status == "CREATING" => "CREATING",
        true => "ACTIVE",
        false => "CREATING",
    };
    let warm = |units| if definition.on_demand_since.is_some() { WARM } else { units };
    let all = definition.indexes.iter().zip(&shown.indexes);
    let indexes: Vec<_> = all
        .filter(|(index, _)| index.is_global)
        .map(|(index, (count, size, is_complete))| GlobalSecondaryIndexDescription {
            index_name: text(&index.name),
            key_schema: key_schema(&index.key),
            projection: projection(index),
            index_status: text(status(*is_complete)),
            backfilling: (!is_complete).then_some(true),
            provisioned_throughput: throughput(index.units),
            index_size_bytes: i64::try_from(*size).ok(),
            item_count: i64::try_from(*count).ok(),
            index_arn: text(format!("{arn}/index/{}", index.name)),
            warm_throughput: is_whole.then(|| GlobalSecondaryIndexWarmThroughputDescription {
                read_units_per_second: Some(warm(index.units).0),
                write_units_per_second: Some(warm(index.units).1),
                status: text("ACTIVE"),
            }),
            ..GlobalSecondaryIndexDescription::default()
        })
        .collect();
    (!indexes.is_empty()).then_some(indexes)
}

/// DescribeTable.
#[derive(Clone, Debug)]
pub struct DescribeTable(TableKey);

impl Operation<State> for DescribeTable {
    type Input = DescribeTableInput;
    type Output = DescribeTableOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeTableInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let key = checking::table(input.table_name.as_ref(), asker, &mut faults)?;
        faults.refusal()?;
        Ok(DescribeTable(key))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let found = state.table(&self.0).ok_or_else(|| table_missing(&self.0.name));
        decided(
            found.map(|(table, contents)| Decision::answer(Reply::Table(described(table, Some(contents))))),
        )
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DescribeTableOutput, Malformed> {
        let Reply::Table(shown) = reply else { return Err(Malformed) };
        Ok(DescribeTableOutput { table: Some(Box::new(shown_table(&shown, true))) })
    }
}

/// ListTables.
#[derive(Clone, Debug)]
pub struct ListTables {
    after: TableKey,
    most: usize,
}

impl Operation<State> for ListTables {
    type Input = ListTablesInput;
    type Output = ListTablesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListTablesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let after = input.exclusive_start_table_name.as_deref().unwrap_or_default();
        if !after.is_empty() {
            super::super::rules::declaring::check_name(after, "exclusiveStartTableName", &mut faults);
        }
        if let Some(limit) = input.limit {
            faults.range(limit, "limit", 1, limits::PAGE_OF_TABLES as i32);
        }
        faults.refusal()?;
        let most = input.limit.and_then(|limit| limit.try_into().ok()).unwrap_or(limits::PAGE_OF_TABLES);
        let caller = asker.caller;
        let after = TableKey {
            account: caller.account.clone(),
            region: caller.region.clone(),
            name: after.to_owned(),
        };
        Ok(ListTables { after, most })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let names = state.tables_of(&self.after).map(|table| table.key.name.clone());
        let mut names: Vec<String> =
            names.filter(|name| *name > self.after.name).take(self.most + 1).collect();
        let is_cut = names.len() > self.most;
        names.truncate(self.most);
        let last = names.last().filter(|_| is_cut).cloned();
        Decision::answer(Reply::Tables(names, last))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<ListTablesOutput, Malformed> {
        let Reply::Tables(names, last) = reply else { return Err(Malformed) };
        Ok(ListTablesOutput {
            table_names: Some(names.into_iter().map(Into::into).collect()),
            last_evaluated_table_name: last.map(Into::into),
        })
    }
}
