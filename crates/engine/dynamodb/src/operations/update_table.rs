//! UpdateTable: billing, protection, and global indexes, of which one is made or deleted at a time.

use std::sync::Arc;

use api::dynamodb::{GlobalSecondaryIndexUpdate, UpdateTableInput, UpdateTableOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;

use super::describe_table::{described, shown_table};
use super::{Context, Decision, Reply, Setting, decided, declared};
use crate::TableKey;
use crate::contents::Contents;
use crate::records::TableDeclared;
use crate::refusals::{invalid, limit_exceeded, table_missing, wrong};
use crate::rules::definition::Definition;
use crate::rules::{checking, declaring};
use crate::state::State;

/// UpdateTable.
#[derive(Clone, Debug)]
pub struct UpdateTable {
    key: TableKey,
    input: Box<UpdateTableInput>,
}

const ONE_INDEX: &str =
    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table";

impl Operation<State> for UpdateTable {
    type Input = UpdateTableInput;
    type Output = UpdateTableOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateTableInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let key = checking::table(input.table_name.as_ref(), asker, &mut faults)?;
        if let Some(mode) = &input.billing_mode {
            faults.one_of(mode, "billingMode", &["PROVISIONED", "PAY_PER_REQUEST"]);
        }
        declaring::check_units(input.provisioned_throughput.as_ref(), "provisionedThroughput", &mut faults);
        faults.refusal()?;
        declaring::check_stream(input.stream_specification.as_ref())?;
        if input.stream_specification.as_ref().is_some_and(|stream| stream.stream_enabled == Some(false)) {
            return Err(invalid(format_args!("Table has no stream to disable: TableName: {}", key.name)));
        }
        if input.replica_updates.as_ref().is_some_and(|updates| !updates.is_empty()) {
            return Err(invalid("Global tables are not supported by this server"));
        }
        let says_something = input.provisioned_throughput.is_some()
            || input.billing_mode.is_some()
            || input.global_secondary_index_updates.as_ref().is_some_and(|updates| !updates.is_empty())
            || input.sse_specification.is_some()
            || input.deletion_protection_enabled.is_some()
            || input.table_class.is_some()
            || input.warm_throughput.is_some()
            || input.on_demand_throughput.is_some();
        if !says_something {
            return Err(invalid(
                "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required",
            ));
        }
        check_updates(input.global_secondary_index_updates.as_deref().unwrap_or_default())?;
        Ok(UpdateTable { key, input: Box::new(input) })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.update(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<UpdateTableOutput, Malformed> {
        let Reply::Table(shown) = reply else { return Err(Malformed) };
        Ok(UpdateTableOutput { table_description: Some(Box::new(shown_table(&shown, false))) })
    }
}

fn check_updates(updates: &[GlobalSecondaryIndexUpdate]) -> Result<(), Refusal> {
    let mut changes = 0;
    for update in updates {
        let given = [update.create.is_some(), update.update.is_some(), update.delete.is_some()];
        if given.iter().filter(|is_given| **is_given).count() != 1 {
            return Err(wrong(
                "Only one of Create, Update or Delete may be set in a GlobalSecondaryIndexUpdate",
            ));
        }
        changes += usize::from(update.update.is_none());
    }
    if changes > 1 { Err(limit_exceeded(ONE_INDEX)) } else { Ok(()) }
}

impl UpdateTable {
    fn update<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let (table, contents) = state.table(&self.key).ok_or_else(|| table_missing(&self.key.name))?;
        let mut definition = Definition::clone(&table.definition);
        let input = &self.input;
        self.bill(&mut definition, setting)?;
        if let Some(is_protected) = input.deletion_protection_enabled {
            definition.is_protected = is_protected;
        }
        if let Some(class) = &input.table_class {
            definition.class = Some(class.to_string());
        }
        if input.sse_specification.is_some() {
            definition.encryption = declaring::encryption(input.sse_specification.as_ref(), &self.key);
        }
        if let Some(warm) = &input.warm_throughput {
            let units = |given: Option<i64>, otherwise| given.unwrap_or(otherwise);
            definition.warm =
                Some((units(warm.read_units_per_second, 12_000), units(warm.write_units_per_second, 4_000)));
        }
        let mut made = None;
        for update in input.global_secondary_index_updates.iter().flatten() {
            made = self.change_index(update, &mut definition, contents, setting)?.or(made);
        }
        let table = TableDeclared { definition: Arc::new(definition), ..table.clone() };
        Ok(declared(table.clone(), Reply::Table(shown(&table, contents, made.as_deref()))))
    }

    fn bill(&self, definition: &mut Definition, setting: &Setting<'_>) -> Result<(), Refusal> {
        let units = self.input.provisioned_throughput.as_ref();
        let mode = self.input.billing_mode.as_deref();
        if mode.is_none() && units.is_none() {
            return Ok(());
        }
        let is_on_demand = definition.on_demand_since.is_some();
        if mode.is_none() && is_on_demand {
            return declaring::bill(definition, Some("PAY_PER_REQUEST"), units, setting.now);
        }
        let asked = declaring::units(units);
        if !is_on_demand && units.is_some() && asked == definition.units {
            return Err(invalid(format_args!(
                "The provisioned throughput for the table will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for the table: {0}. Requested ReadCapacityUnits: {0}. Current WriteCapacityUnits provisioned for the table: {1}. Requested WriteCapacityUnits: {1}. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
                asked.0, asked.1
            )));
        }
        if mode == Some("PROVISIONED") && !is_on_demand && units.is_none() {
            return Ok(());
        }
        declaring::bill(definition, mode.or(Some("PROVISIONED")), units, setting.now)
    }

    /// Changes an index; the name of one that was made.
    fn change_index(
        &self,
        update: &GlobalSecondaryIndexUpdate,
        definition: &mut Definition,
        contents: &Contents,
        setting: &Setting<'_>,
    ) -> Result<Option<String>, Refusal> {
        if update.update.is_none() && contents.is_indexing() {
            return Err(limit_exceeded(ONE_INDEX));
        }
        let missing = |name: &str| {
            Refusal::new(
                "ResourceNotFoundException",
                format!("Requested resource not found: Index: {name} not found"),
            )
        };
        let name = |name: Option<&api::Text>| name.map(ToString::to_string).unwrap_or_default();
        if let Some(create) = &update.create {
            let name = name(create.index_name.as_ref());
            let mut faults = Faults::default();
            let path = "globalSecondaryIndexUpdates.1.member.create.indexName";
            declaring::check_name(&name, path, &mut faults);
            faults.refusal()?;
            // A type that is known stays.
            for (attribute, kind) in declaring::attributes(self.input.attribute_definitions.as_deref()) {
                definition.attributes.entry(attribute).or_insert(kind);
            }
            declaring::global_index(
                definition,
                &name,
                create.key_schema.as_deref().unwrap_or_default(),
                create.projection.as_ref(),
                create.provisioned_throughput.as_ref(),
            )?;
            if let Some(index) = definition.indexes.last_mut() {
                index.id = setting.numbers.draw();
            }
            declaring::prune(definition);
            return Ok(Some(name));
        }
        if let Some(delete) = &update.delete {
            let name = name(delete.index_name.as_ref());
            let found = definition.index(&name).filter(|(_, index)| index.is_global);
            let (at, _) = found.ok_or_else(|| missing(&name))?;
            definition.indexes.remove(at);
            declaring::prune(definition);
        } else if let Some(update) = &update.update {
            let name = name(update.index_name.as_ref());
            let index = definition.indexes.iter_mut().find(|index| index.is_global && index.name == name);
            let index = index.ok_or_else(|| missing(&name))?;
            index.units = declaring::units(update.provisioned_throughput.as_ref());
        }
        Ok(None)
    }
}

/// The table as it will be, with what it contains now; `made` is the index that is being made.
fn shown(table: &TableDeclared, contents: &Contents, made: Option<&str>) -> super::Shown {
    let before = contents.definition();
    let mut shown = described(table, None);
    shown.status = "UPDATING";
    shown.measure = contents.measure();
    let indexes = table.definition.indexes.iter();
    shown.indexes = indexes
        .map(|index| match before.indexes.iter().position(|known| known.id == index.id) {
            Some(at) => contents.measure_index(at),
            None => (0, 0, made != Some(&*index.name)),
        })
        .collect();
    shown
}
