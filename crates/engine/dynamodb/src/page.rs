//! What a query or a scan looks at: a page of a table or of an index.

use std::ops::Bound;
use std::sync::Arc;

use items::expression::{Comparison, KeyCondition, KeyTest};
use items::keys::{behind, partition, put_beginning, put_part, segment_start};
use items::value::{Item, Type, Value};
use kernel::Refusal;

use crate::contents::{Contents, Held};
use crate::limits::{PAGE_BYTES, PAGE_ITEMS};
use crate::refusals::{invalid, wrong};
use crate::rules::definition::{Definition, Schema};

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// How the table is declared.
    pub definition: Arc<Definition>,
    /// The place of the index among those of the table.
    pub index: Option<usize>,
    /// The items, before filters.
    pub items: Vec<Held>,
    /// Whether the page ended before the range did.
    pub has_more: bool,
}

/// Keys between two bounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    low: Bound<Vec<u8>>,
    high: Bound<Vec<u8>>,
}

impl Range {
    /// Everything that begins with some bytes.
    fn under(beginning: Vec<u8>) -> Range {
        let high = behind(beginning.clone()).map_or(Bound::Unbounded, Bound::Excluded);
        Range { low: Bound::Included(beginning), high }
    }

    /// Of a scan: everything, or a segment of so many.
    pub fn of_scan(segment: Option<(u32, u32)>) -> Range {
        let Some((segment, total)) = segment else {
            return Range { low: Bound::Unbounded, high: Bound::Unbounded };
        };
        let bound = |segment| segment_start(segment, total).map(|hash| hash.to_vec());
        Range {
            low: bound(segment).map_or(Bound::Unbounded, Bound::Included),
            high: bound(segment + 1).map_or(Bound::Unbounded, Bound::Excluded),
        }
    }

    /// Of a query: what the conditions on the key admit. Errors: AWS's texts (facts/dynamodb.md § 6).
    pub fn of_query(
        definition: &Definition,
        schema: &Schema,
        conditions: &[KeyCondition],
    ) -> Result<Range, Refusal> {
        check_names(schema, conditions)?;
        for condition in conditions {
            let kind = definition.kind(&condition.name);
            if kind == Type::N && matches!(condition.test, KeyTest::BeginsWith(_)) {
                return Err(invalid("Query key condition not supported"));
            }
            if !condition.fits(kind) {
                return Err(wrong("Condition parameter type does not match schema type"));
            }
            for value in condition.test.values() {
                check_value(schema, &condition.name, value, &condition.test)?;
            }
        }
        let test = |name: &str| {
            conditions.iter().find(|condition| &*condition.name == name).map(|condition| &condition.test)
        };
        let mut parts = Vec::new();
        for name in &schema.hash {
            match test(name) {
                Some(KeyTest::Is(Comparison::Equal, value)) => parts.push(Value::of(value)),
                Some(_) => return Err(invalid("Query key condition not supported")),
                None => {
                    return Err(invalid(format_args!("Query condition missed key schema element: {name}")));
                }
            }
        }
        let mut beginning = partition(parts);
        let mut found: Option<Range> = None;
        let mut open: Option<&str> = None;
        for name in &schema.range {
            let Some(test) = test(name) else {
                open = open.or(Some(name));
                continue;
            };
            if let Some(open) = open {
                return Err(invalid(format_args!(
                    "RANGE key attributes {open} must have equality conditions specified in the query because a condition is present on key attribute {name}"
                )));
            }
            match test {
                KeyTest::Is(Comparison::Equal, value) => put_part(&mut beginning, Value::of(value)),
                test => {
                    found = Some(Range::within(&beginning, test));
                    open = Some(name);
                }
            }
        }
        Ok(found.unwrap_or_else(|| Range::under(beginning)))
    }

    /// What begins with some bytes, and of which the next part passes a test.
    fn within(beginning: &[u8], test: &KeyTest) -> Range {
        let all = Range::under(beginning.to_vec());
        let with = |value: &[u8]| {
            let mut bytes = beginning.to_vec();
            put_part(&mut bytes, Value::of(value));
            bytes
        };
        let before = |value: &[u8]| Bound::Excluded(with(value));
        let through = |value: &[u8]| behind(with(value)).map_or(Bound::Unbounded, Bound::Excluded);
        let from = |value: &[u8]| Bound::Included(with(value));
        let after = |value: &[u8]| behind(with(value)).map_or(Bound::Unbounded, Bound::Included);
        match test {
            KeyTest::Is(Comparison::Less, value) => Range { high: before(value), ..all },
            KeyTest::Is(Comparison::LessOrEqual, value) => Range { high: through(value), ..all },
            KeyTest::Is(Comparison::Greater, value) => Range { low: after(value), ..all },
            KeyTest::Is(Comparison::GreaterOrEqual, value) => Range { low: from(value), ..all },
            KeyTest::Is(_, value) => Range { low: from(value), high: through(value) },
            KeyTest::Between(low, high) => Range { low: from(low), high: through(high) },
            KeyTest::BeginsWith(value) => {
                let mut bytes = beginning.to_vec();
                put_beginning(&mut bytes, Value::of(value).content());
                Range::under(bytes)
            }
        }
    }

    /// Whether a key lies in the range.
    pub fn has(&self, key: &[u8]) -> bool {
        let is_above = match &self.low {
            Bound::Included(low) => key >= &low[..],
            Bound::Excluded(low) => key > &low[..],
            Bound::Unbounded => true,
        };
        is_above
            && match &self.high {
                Bound::Included(high) => key <= &high[..],
                Bound::Excluded(high) => key < &high[..],
                Bound::Unbounded => true,
            }
    }

    /// The part of the range behind a key, in the direction in which it is read.
    pub fn behind(self, key: Vec<u8>, forward: bool) -> Range {
        match forward {
            true => Range { low: Bound::Excluded(key), ..self },
            false => Range { high: Bound::Excluded(key), ..self },
        }
    }
}

fn check_names(schema: &Schema, conditions: &[KeyCondition]) -> Result<(), Refusal> {
    let count = schema.names().count();
    if conditions.len() > count {
        return Err(invalid(format_args!(
            "The number of query conditions ({}) exceeds the number of key attributes defined in the schema ({count})",
            conditions.len()
        )));
    }
    if conditions.iter().all(|condition| schema.has(&condition.name)) {
        return Ok(());
    }
    let missed = schema.names().find(|name| conditions.iter().all(|condition| &*condition.name != *name));
    Err(invalid(format_args!("Query condition missed key schema element: {}", missed.unwrap_or_default())))
}

/// Values of keys are neither empty nor too long. A sort key may begin with nothing.
fn check_value(schema: &Schema, name: &str, value: Value<'_>, test: &KeyTest) -> Result<(), Refusal> {
    let is_hash = schema.hash.iter().any(|hash| hash == name);
    let content = value.content();
    if content.is_empty() && !matches!(test, KeyTest::BeginsWith(_)) {
        let what = if value.kind() == Type::B { "empty binary" } else { "empty string" };
        return Err(invalid(format_args!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an {what} value. Key: {name}"
        )));
    }
    if is_hash && content.len() > crate::limits::HASH_BYTES {
        return Err(wrong("Size of hashkey has exceeded the maximum size limit of2048 bytes"));
    }
    if !is_hash && content.len() > crate::limits::RANGE_BYTES {
        return Err(wrong("Aggregated size of all range keys has exceeded the size limit of 1024 bytes"));
    }
    Ok(())
}

/// The key at which a page begins, in bytes: of a table, or of an index with the table's key behind it.
pub fn start_key(definition: &Definition, index: Option<usize>, start: Item<'_>) -> Option<Vec<u8>> {
    let index = index.and_then(|at| definition.indexes.get(at));
    let mut names: Vec<&str> = definition.key.names().collect();
    for name in index.iter().flat_map(|index| index.key.names()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let is_fit = start.entries().count() == names.len()
        && names.iter().all(|name| {
            start
                .get(name)
                .is_some_and(|value| value.kind() == definition.kind(name) && !value.content().is_empty())
        });
    if !is_fit {
        return None;
    }
    let key = crate::rules::definition::key_in(&definition.key, start)?;
    match index {
        Some(index) => definition.key_in_index(index, start, &key),
        None => Some(key),
    }
}

/// Reads a page of a range: up to `most` items, and as many as have 1 MB.
pub fn read(
    contents: &Contents,
    index: Option<usize>,
    range: &Range,
    forward: bool,
    most: Option<usize>,
) -> Page {
    let limit = most;
    let most = most.unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS);
    let bounds = (range.low.as_ref().map(|low| &low[..]), range.high.as_ref().map(|high| &high[..]));
    let mut items = Vec::new();
    let mut bytes = 0;
    let mut has_more = false;
    for held in contents.range(index, bounds, forward) {
        if items.len() == most {
            has_more = true;
            break;
        }
        bytes += held.size();
        if bytes > PAGE_BYTES && !items.is_empty() {
            has_more = true;
            break;
        }
        items.push(held.clone());
    }
    // A page that is as long as was asked names its last key, also at the end (facts/dynamodb.md § 10).
    has_more |= limit == Some(items.len());
    Page { definition: contents.definition().clone(), index, items, has_more }
}
