//! BatchGetItem and BatchWriteItem: many items in one request, each on its own.

use std::collections::BTreeSet;

use api::Map;
use api::dynamodb::{
    BatchGetItemInput, BatchGetItemOutput, BatchWriteItemInput, BatchWriteItemOutput, KeysAndAttributes,
    WriteRequest,
};
use items::expression::Projection;
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;

use super::get_item::Read;
use super::{Context, Decision, Found, Reply, Setting, Written, collection_of, decided, shown_part};
use crate::TableKey;
use crate::capacity::{self, Mode, Units};
use crate::contents::Held;
use crate::limits::{BATCH_GET_BYTES, BATCH_WRITE_BYTES};
use crate::refusals::{invalid, key_mismatch, of_fault};
use crate::rules::checking::{is_name, item, metrics, mode, shown};
use crate::state::State;
use crate::write::{Unmade, What, Write, check_memory, put};

/// Keys of a BatchGetItem, and writes of a BatchWriteItem (facts/dynamodb.md § 3).
const KEYS: usize = 100;
const WRITES: usize = 25;

const REPEATED: &str = "Provided list of item keys contains duplicates";

/// The table of a part of a batch.
fn table_of(name: &str, asker: &Asker<'_>) -> Result<TableKey, Refusal> {
    if !name.starts_with("arn:") && !is_name(name) {
        return Err(invalid(format_args!(
            "1 validation error detected: Value '{name}' at 'requestItems' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]"
        )));
    }
    Ok(TableKey::of(name, asker))
}

/// The parts of a batch by table. Errors: there are none.
fn tables_of<T>(items: Option<Map<T>>) -> Result<Vec<(api::Text, T)>, Refusal> {
    match items.map(|items| items.0).filter(|tables| !tables.is_empty()) {
        Some(tables) => Ok(tables),
        None => Err(invalid(
            "1 validation error detected: Value at 'RequestItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
        )),
    }
}

/// BatchGetItem.
#[derive(Clone, Debug)]
pub struct BatchGetItem(Vec<(Read, bool)>);

/// What is shown of a batch that is read.
#[derive(Clone, Debug, Default)]
pub struct Got {
    /// The tables in their order.
    tables: Vec<(api::Text, KeysAndAttributes, Option<Projection>)>,
    capacity: Mode,
}

impl Operation<State> for BatchGetItem {
    type Input = BatchGetItemInput;
    type Output = BatchGetItemOutput;
    type Plan = Got;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: BatchGetItemInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    fn prepare_with_plan(input: BatchGetItemInput, asker: &Asker<'_>) -> Result<(Self, Got), Refusal> {
        let mut faults = Faults::default();
        let capacity = mode(input.return_consumed_capacity.as_ref(), &mut faults);
        if input.request_items.is_none() {
            faults.missing("requestItems");
        }
        faults.refusal()?;
        let tables = tables_of(input.request_items)?;
        let (mut reads, mut plan) = (Vec::new(), Got { tables: Vec::new(), capacity });
        for (name, keys) in tables {
            let table = table_of(&name, asker)?;
            let list = keys.keys.as_deref().unwrap_or_default();
            if list.is_empty() || list.len() > KEYS {
                let bound =
                    if list.is_empty() { "greater than or equal to 1" } else { "less than or equal to 100" };
                return Err(invalid(format_args!(
                    "1 validation error detected: Value at 'RequestItems.{name}.member.Keys' failed to satisfy constraint: Member must have length {bound}"
                )));
            }
            let projection = shown(
                keys.projection_expression.as_ref(),
                keys.expression_attribute_names.as_ref(),
                keys.attributes_to_get.as_ref(),
            )?;
            for key in list {
                let key = item(key).map_err(|fault| of_fault(&fault, false))?;
                reads.push((Read { table: table.clone(), key }, keys.consistent_read.unwrap_or_default()));
            }
            plan.tables.push((name, keys, projection));
        }
        if reads.len() > KEYS {
            return Err(invalid("Too many items requested for the BatchGetItem call"));
        }
        Ok((BatchGetItem(reads), plan))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.read(state).map(|found| Decision::answer(Reply::Items(found))))
    }

    fn present(reply: Reply, plan: &Got, _: &()) -> Result<BatchGetItemOutput, Malformed> {
        let Reply::Items(found) = reply else { return Err(Malformed) };
        let mut found = found.into_iter();
        let (mut responses, mut unprocessed, mut capacities) = (Vec::new(), Vec::new(), Vec::new());
        for (name, asked, projection) in &plan.tables {
            let (mut items, mut rest, mut units) = (Vec::new(), Vec::new(), Units::default());
            for key in asked.keys.iter().flatten() {
                match found.next().ok_or(Malformed)? {
                    None => rest.push(key.clone()),
                    Some((held, taken)) => {
                        units.add(&taken);
                        items.extend(held.map(|held| shown_part(&held, projection.as_ref())));
                    }
                }
            }
            responses.push((name.clone(), items));
            capacities.extend(units.shown(name, plan.capacity, None));
            if !rest.is_empty() {
                unprocessed.push((name.clone(), KeysAndAttributes { keys: Some(rest), ..asked.clone() }));
            }
        }
        Ok(BatchGetItemOutput {
            responses: Some(Map(responses)),
            unprocessed_keys: Some(Map(unprocessed)),
            consumed_capacity: (plan.capacity != Mode::None).then_some(capacities),
        })
    }
}

impl BatchGetItem {
    fn read(&self, state: &State) -> Result<Vec<Found>, Refusal> {
        let (mut seen, mut bytes, mut found) = (BTreeSet::new(), 0, Vec::new());
        for (read, is_consistent) in &self.0 {
            let held = read.find(state).map_err(|unmade| unmade.refusal(false))?;
            if !seen.insert((&read.table, &read.key)) {
                return Err(invalid(REPEATED));
            }
            let size = held.map_or(0, Held::size);
            bytes += size;
            let units = Units::of_table(capacity::read(size, *is_consistent));
            found.push((bytes <= BATCH_GET_BYTES).then(|| (held.cloned(), units)));
        }
        Ok(found)
    }
}

/// BatchWriteItem.
#[derive(Clone, Debug)]
pub struct BatchWriteItem(Vec<Write>);

/// What is shown of a batch that is written.
#[derive(Clone, Debug, Default)]
pub struct Put {
    /// The tables with their writes, in their order.
    tables: Vec<(api::Text, Vec<WriteRequest>)>,
    capacity: Mode,
    metrics: bool,
}

impl Operation<State> for BatchWriteItem {
    type Input = BatchWriteItemInput;
    type Output = BatchWriteItemOutput;
    type Plan = Put;

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: BatchWriteItemInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    fn prepare_with_plan(input: BatchWriteItemInput, asker: &Asker<'_>) -> Result<(Self, Put), Refusal> {
        let mut faults = Faults::default();
        let capacity = mode(input.return_consumed_capacity.as_ref(), &mut faults);
        let metrics = metrics(input.return_item_collection_metrics.as_ref(), &mut faults);
        if input.request_items.is_none() {
            faults.missing("requestItems");
        }
        faults.refusal()?;
        let tables = tables_of(input.request_items)?;
        let mut writes = Vec::new();
        for (name, requests) in &tables {
            let table = table_of(name, asker)?;
            if requests.is_empty() || requests.len() > WRITES {
                let bound = if requests.is_empty() {
                    "greater than or equal to 1"
                } else {
                    "less than or equal to 25"
                };
                return Err(invalid(format_args!(
                    "1 validation error detected: Value at 'RequestItems.{name}.member' failed to satisfy constraint: Member must have length {bound}"
                )));
            }
            for request in requests {
                writes.push(write_of(request, &table)?);
            }
        }
        if writes.len() > WRITES {
            return Err(invalid("Too many items requested for the BatchWriteItem call"));
        }
        Ok((BatchWriteItem(writes), Put { tables, capacity, metrics }))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.write(state, &context.setting))
    }

    fn present(reply: Reply, plan: &Put, _: &()) -> Result<BatchWriteItemOutput, Malformed> {
        let Reply::AllWritten(written) = reply else { return Err(Malformed) };
        let mut written = written.into_iter();
        let (mut unprocessed, mut capacities, mut collections) = (Vec::new(), Vec::new(), Vec::new());
        for (name, requests) in &plan.tables {
            let (mut rest, mut units, mut keys) = (Vec::new(), Units::default(), Vec::new());
            for request in requests {
                match written.next().ok_or(Malformed)? {
                    None => rest.push(request.clone()),
                    Some(written) => {
                        units.add(&written.units);
                        keys.extend(written.collection.map(|key| collection_of(&key)));
                    }
                }
            }
            capacities.extend(units.shown(name, plan.capacity, None));
            if !rest.is_empty() {
                unprocessed.push((name.clone(), rest));
            }
            if !keys.is_empty() {
                collections.push((name.clone(), keys));
            }
        }
        Ok(BatchWriteItemOutput {
            unprocessed_items: Some(Map(unprocessed)),
            item_collection_metrics: (plan.metrics && !collections.is_empty()).then_some(Map(collections)),
            consumed_capacity: (plan.capacity != Mode::None).then_some(capacities),
        })
    }
}

fn write_of(request: &WriteRequest, table: &TableKey) -> Result<Write, Refusal> {
    let wrong = |fault: items::Fault| of_fault(&fault, false);
    let what = match (&request.put_request, &request.delete_request) {
        (Some(put), None) => self::put(item(put.item.as_ref().unwrap_or(&Map::default())).map_err(wrong)?)?,
        (None, Some(delete)) => {
            What::Delete(item(delete.key.as_ref().unwrap_or(&Map::default())).map_err(wrong)?)
        }
        (None, None) | (Some(_), Some(_)) => {
            return Err(invalid(
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
            ));
        }
    };
    Ok(Write { table: table.clone(), what, condition: None, shows_unmet: false })
}

impl BatchWriteItem {
    fn write<'a>(&'a self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let mut targets = Vec::new();
        let mut seen = BTreeSet::new();
        for write in &self.0 {
            let target = write.target(state).map_err(|unmade| match unmade {
                // An item without its key is told of as a key is (facts/dynamodb.md § 6).
                Unmade::Mismatch(_) => key_mismatch(),
                other => other.refusal(false),
            })?;
            if !seen.insert((target.table.id, target.key.clone())) {
                return Err(invalid(REPEATED));
            }
            targets.push(target);
        }
        let made = self.0.iter().zip(targets).map(|(write, target)| write.make(target));
        let made: Vec<_> = made.collect::<Result<_, _>>().map_err(|unmade: Unmade| unmade.refusal(false))?;
        check_memory(state, made.iter().map(|made| made.growth()).sum(), setting)?;
        let (mut facts, mut written, mut bytes) = (Vec::new(), Vec::new(), 0);
        for made in made {
            bytes += made.new.as_deref().map_or(0, <[u8]>::len);
            if bytes > BATCH_WRITE_BYTES {
                written.push(None);
                continue;
            }
            written.push(Some(Written::of(&made)));
            facts.extend(made.fact(setting).map(kernel::Fact::from));
        }
        Ok(Decision::done(facts, Reply::AllWritten(written)))
    }
}
