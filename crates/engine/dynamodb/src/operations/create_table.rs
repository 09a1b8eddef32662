//! CreateTable and DeleteTable.

use std::sync::Arc;

use api::dynamodb::{
    CreateTableInput, CreateTableOutput, DeleteTableInput, DeleteTableOutput, TableDescription,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;
use resources::tags::Tags;

use super::describe_table::{described, shown_table, throughput};
use super::{Context, Decision, Reply, Setting, decided, declared, text};
use crate::records::{Record, TableDeclared};
use crate::refusals::{invalid, limit_exceeded, table_exists, table_missing};
use crate::rules::definition::Definition;
use crate::rules::{checking, declaring};
use crate::state::State;
use crate::{TableKey, limits};

/// CreateTable.
#[derive(Clone, Debug)]
pub struct CreateTable {
    key: TableKey,
    input: Box<CreateTableInput>,
    tags: Tags,
}

impl Operation<State> for CreateTable {
    type Input = CreateTableInput;
    type Output = CreateTableOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateTableInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        declaring::created(&input, kernel::Time(0))?;
        if input.resource_policy.is_some() {
            return Err(invalid("ResourcePolicy is not supported by this server"));
        }
        let tags = declaring::tags(input.tags.as_ref())?;
        let key = TableKey::of(input.table_name.as_deref().unwrap_or_default(), asker);
        Ok(CreateTable { key, input: Box::new(input), tags })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.create(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<CreateTableOutput, Malformed> {
        let Reply::Table(table) = reply else { return Err(Malformed) };
        Ok(CreateTableOutput { table_description: Some(Box::new(shown_table(&table, false))) })
    }
}

impl CreateTable {
    fn create<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        if state.table(&self.key).is_some() {
            return Err(table_exists(&self.key.name));
        }
        let first = TableKey { name: String::new(), ..self.key.clone() };
        if setting.limits.quotas && state.tables_of(&first).count() >= limits::TABLES {
            return Err(limit_exceeded(format_args!(
                "Subscriber limit exceeded: The limit of {} tables is reached",
                limits::TABLES
            )));
        }
        let mut definition = declaring::created(&self.input, setting.now)?;
        definition.encryption = declaring::encryption(self.input.sse_specification.as_ref(), &self.key);
        for index in &mut definition.indexes {
            index.id = setting.numbers.draw();
        }
        let table = TableDeclared {
            id: setting.numbers.draw(),
            key: self.key.clone(),
            definition: Arc::new(definition),
            tags: self.tags.clone(),
            created: setting.now,
        };
        let mut shown = described(&table, None);
        shown.status = "CREATING";
        Ok(declared(table, Reply::Table(shown)))
    }
}

/// DeleteTable.
#[derive(Clone, Debug)]
pub struct DeleteTable(TableKey);

impl Operation<State> for DeleteTable {
    type Input = DeleteTableInput;
    type Output = DeleteTableOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Purge;

    fn prepare(input: DeleteTableInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        let key = checking::table(input.table_name.as_ref(), asker, &mut faults)?;
        faults.refusal()?;
        Ok(DeleteTable(key))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.delete(state))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DeleteTableOutput, Malformed> {
        let Reply::Table(shown) = reply else { return Err(Malformed) };
        let definition: &Definition = &shown.table.definition;
        let whole = shown_table(&shown, false);
        // Less than others show (facts/dynamodb.md § 15).
        let description = TableDescription {
            table_name: whole.table_name,
            table_status: text("DELETING"),
            table_arn: whole.table_arn,
            table_id: whole.table_id,
            provisioned_throughput: throughput(definition.units),
            item_count: whole.item_count,
            table_size_bytes: whole.table_size_bytes,
            deletion_protection_enabled: Some(false),
            billing_mode_summary: whole.billing_mode_summary,
            ..TableDescription::default()
        };
        Ok(DeleteTableOutput { table_description: Some(Box::new(description)) })
    }
}

impl DeleteTable {
    fn delete<'a>(&self, state: &State) -> Result<Decision<'a>, Refusal> {
        let missing = || table_missing(&self.0.name);
        let (table, contents) = state.table(&self.0).ok_or_else(missing)?;
        if table.definition.is_protected {
            return Err(invalid(
                "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
            ));
        }
        let deletion = state.tables.deletion(&self.0).ok_or_else(missing)?;
        let reply = Reply::Table(described(table, Some(contents)));
        Ok(Decision::done(vec![Record::TableDeleted(deletion).into()], reply))
    }
}
