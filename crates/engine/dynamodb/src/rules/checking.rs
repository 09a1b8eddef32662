//! What of a request about items is checked before any state is looked at, in AWS's order (facts/dynamodb.md § 5).

use api::dynamodb::{AttributeValueUpdate, Condition as LegacyCondition, ExpectedAttributeValue};
use api::{Json, Map, Text};
use items::expression::{Condition, Projection, Scope, condition, projection};
use items::legacy::{Expectation, joined, put_update, tested};
use items::update::Update;
use items::{Fault, json};
use kernel::{Asker, Refusal};
use resources::Faults;

use crate::TableKey;
use crate::capacity::Mode;
use crate::refusals::{invalid, of_fault, wrong};

/// What AWS's model demands of a table's name: `[a-zA-Z0-9_.-]+`.
pub const NAME_PATTERN: &str = "[a-zA-Z0-9_.-]+";

/// Whether a text is such a name.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// The table of a request about items: a name or an ARN. An empty one is refused alone.
pub fn table(name: Option<&Text>, asker: &Asker<'_>, faults: &mut Faults) -> Result<TableKey, Refusal> {
    let Some(name) = name else {
        faults.missing("tableName");
        return Ok(TableKey::default());
    };
    if name.is_empty() {
        return Err(invalid(
            "1 validation error detected: Value at 'TableName' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ));
    }
    if !name.starts_with("arn:") {
        faults.pattern(name, "tableName", NAME_PATTERN, is_name(name));
    }
    Ok(TableKey::of(name, asker))
}

/// `ReturnConsumedCapacity`.
pub fn mode(text: Option<&Text>, faults: &mut Faults) -> Mode {
    match text.map(|text| &**text) {
        None | Some("NONE") => Mode::None,
        Some("TOTAL") => Mode::Total,
        Some("INDEXES") => Mode::Indexes,
        Some(other) => {
            faults.one_of(other, "returnConsumedCapacity", &["INDEXES", "TOTAL", "NONE"]);
            Mode::None
        }
    }
}

/// `ReturnItemCollectionMetrics`: whether sizes are shown.
pub fn metrics(text: Option<&Text>, faults: &mut Faults) -> bool {
    if let Some(text) = text {
        faults.one_of(text, "returnItemCollectionMetrics", &["SIZE", "NONE"]);
    }
    text.is_some_and(|text| *text == "SIZE")
}

/// `ReturnValuesOnConditionCheckFailure`: whether the item is shown.
pub fn shows_unmet(text: Option<&Text>, faults: &mut Faults) -> bool {
    if let Some(text) = text {
        faults.one_of(text, "returnValuesOnConditionCheckFailure", &["ALL_OLD", "NONE"]);
    }
    text.is_some_and(|text| *text == "ALL_OLD")
}

/// An item or a key as it is in a request, in bytes.
pub fn item(map: &Map<Json>) -> Result<Vec<u8>, Fault> {
    json::read_item(map.0.iter().map(|(name, value)| (&**name, &*value.0)))
}

/// A value in bytes.
pub fn value(value: &Json) -> Result<Vec<u8>, Fault> {
    json::read(&value.0)
}

/// Values in bytes.
pub fn values(list: Option<&Vec<Json>>) -> Result<Option<Vec<Vec<u8>>>, Fault> {
    list.map(|list| list.iter().map(value).collect()).transpose()
}

/// What a request's names and values stand for.
pub fn scope(names: Option<&Map<Text>>, values: Option<&Map<Json>>, wraps: bool) -> Result<Scope, Fault> {
    let names = names.map(|names| names.0.iter().map(|(key, name)| (&**key, &**name)));
    let values = values.map(|values| values.0.iter().map(|(key, value)| (&**key, &*value.0)));
    Scope::read(names, values, wraps)
}

/// Refuses older parameters beside expressions. Both are given with whether they are there, in AWS's order.
pub fn check_mixing(older: &[(&str, bool)], expressions: &[(&str, bool)]) -> Result<(), Fault> {
    let given = |all: &[(&str, bool)]| {
        all.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>()
    };
    let (older, expressions) = (given(older), given(expressions));
    if older.is_empty() || expressions.is_empty() {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {{{}}} Expression parameters: {{{}}}",
        older.join(", "),
        expressions.join(", ")
    )))
}

/// `ConditionalOperator`: whether one condition suffices. It needs at least one.
fn is_or(operator: Option<&Text>, count: Option<usize>, what: &str) -> Result<bool, Fault> {
    match operator {
        Some(_) if count.is_none_or(|count| count == 0) => Err(Fault::invalid(format!(
            "One or more parameter values were invalid: ConditionalOperator cannot be used without {what} or when {what} is empty"
        ))),
        Some(operator) => Ok(*operator == "OR"),
        None => Ok(false),
    }
}

/// `Expected` as a condition.
pub fn expected(
    expected: Option<&Map<ExpectedAttributeValue>>,
    operator: Option<&Text>,
) -> Result<Option<Condition>, Fault> {
    let is_or = is_or(operator, expected.map(|map| map.0.len()), "Expected")?;
    let mut conditions = Vec::new();
    for (name, given) in expected.iter().flat_map(|map| &map.0) {
        let expectation = Expectation {
            name,
            exists: given.exists,
            value: given.value.as_ref().map(value).transpose()?,
            operator: given.comparison_operator.as_deref(),
            list: values(given.attribute_value_list.as_ref())?,
        };
        conditions.push(expectation.condition()?);
    }
    Ok(joined(conditions, is_or))
}

/// `QueryFilter` or `ScanFilter` as a condition.
pub fn filter(
    what: &str,
    filter: Option<&Map<LegacyCondition>>,
    operator: Option<&Text>,
) -> Result<Option<Condition>, Fault> {
    let is_or = is_or(operator, filter.map(|map| map.0.len()), what)?;
    let mut conditions = Vec::new();
    for (name, given) in filter.iter().flat_map(|map| &map.0) {
        let operator = given.comparison_operator.as_deref().unwrap_or_default();
        let list = values(given.attribute_value_list.as_ref())?.unwrap_or_default();
        conditions.push(tested(name, operator, list)?);
    }
    Ok(joined(conditions, is_or))
}

/// `AttributeUpdates` as an update.
pub fn updates(updates: Option<&Map<AttributeValueUpdate>>) -> Result<Option<Update>, Fault> {
    let Some(map) = updates else { return Ok(None) };
    let mut update = Update { is_legacy: true, ..Update::default() };
    for (name, given) in &map.0 {
        let value = given.value.as_ref().map(value).transpose()?;
        put_update(&mut update, name, given.action.as_deref(), value)?;
    }
    Ok(Some(update))
}

/// `AttributesToGet` as a projection.
pub fn attributes(names: Option<&Vec<Text>>) -> Result<Option<Projection>, Refusal> {
    let Some(names) = names else { return Ok(None) };
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            return Err(wrong(format_args!("Duplicate value in attribute name: {name}")));
        }
    }
    Ok(Some(Projection::of(names.iter().map(|name| items::expression::Path::of(name)))))
}

/// An expression that is a condition, if it is given.
pub fn conditional(
    what: &'static str,
    text: Option<&Text>,
    scope: &mut Scope,
) -> Result<Option<Condition>, Fault> {
    text.map(|text| condition(what, text, scope)).transpose()
}

/// A projection, if it is given.
pub fn projected(text: Option<&Text>, scope: &mut Scope) -> Result<Option<Projection>, Fault> {
    text.map(|text| projection(text, scope)).transpose()
}

/// What is shown of an item: by an expression, or by the older parameter.
pub fn shown(
    expression: Option<&Text>,
    names: Option<&Map<Text>>,
    older: Option<&Vec<Text>>,
) -> Result<Option<Projection>, Refusal> {
    let read = || {
        check_mixing(
            &[("AttributesToGet", older.is_some())],
            &[("ProjectionExpression", expression.is_some())],
        )?;
        let mut scope = scope(names, None, false)?;
        let shown = projected(expression, &mut scope)?;
        if expression.is_none() {
            scope.check_needed()?;
        }
        scope.check_used()?;
        Ok(shown)
    };
    match read().map_err(|fault: Fault| of_fault(&fault, false))? {
        Some(shown) => Ok(Some(shown)),
        None => attributes(older),
    }
}
