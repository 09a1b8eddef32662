//! What CreateTable and UpdateTable may declare (facts/dynamodb.md § 13, § 15).

use std::collections::BTreeMap;

use api::dynamodb::{
    AttributeDefinition, CreateTableInput, KeySchemaElement, Projection, ProvisionedThroughput,
    SSESpecification, StreamSpecification, Tag,
};
use kernel::{Refusal, Time};
use resources::Faults;
use resources::tags::{Rules, Tags};

use super::checking::{NAME_PATTERN, is_name};
use super::definition::{Definition, Index, Schema, Shows};
use crate::TableKey;
use crate::limits::{GLOBAL_INDEXES, LOCAL_INDEXES, TAGS};
use crate::refusals::{invalid, wrong};

const TAG_RULES: Rules = Rules { most: TAGS, unique: false, values_reserved: false };

/// Tags of a request.
pub fn tags(tags: Option<&Vec<Tag>>) -> Result<Tags, Refusal> {
    let pairs = tags
        .into_iter()
        .flatten()
        .map(|tag| (tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default()));
    let tags = TAG_RULES.check(pairs).map_err(invalid)?;
    check_tags(&tags)?;
    Ok(tags)
}

/// Refuses more tags than a table may have.
pub fn check_tags(tags: &Tags) -> Result<(), Refusal> {
    match TAG_RULES.have_room(tags) {
        true => Ok(()),
        false => Err(invalid(format_args!("Too many tags: a table has up to {TAGS}"))),
    }
}

/// Checks a name of a table or an index against AWS's model.
pub fn check_name(name: &str, path: &str, faults: &mut Faults) {
    faults.pattern(name, path, NAME_PATTERN, is_name(name));
    faults.length(name, path, 3, 255);
}

/// What of a request for a new table does not depend on others. Index numbers are given later.
pub fn created(input: &CreateTableInput, now: Time) -> Result<Definition, Refusal> {
    let mut faults = Faults::default();
    if let Some(name) = input.table_name.as_deref()
        && !name.starts_with("arn:")
    {
        check_name(name, "tableName", &mut faults);
    }
    check_attributes(input.attribute_definitions.as_deref(), &mut faults);
    check_schema(input.key_schema.as_deref(), "keySchema", &mut faults);
    if let Some(mode) = &input.billing_mode {
        faults.one_of(mode, "billingMode", &["PROVISIONED", "PAY_PER_REQUEST"]);
    }
    check_units(input.provisioned_throughput.as_ref(), "provisionedThroughput", &mut faults);
    for (at, index) in input.global_secondary_indexes.iter().flatten().enumerate() {
        let path = format!("globalSecondaryIndexes.{}.member", at + 1);
        check_name(
            index.index_name.as_deref().unwrap_or_default(),
            &format!("{path}.indexName"),
            &mut faults,
        );
        check_schema(index.key_schema.as_deref(), &format!("{path}.keySchema"), &mut faults);
        check_units(
            index.provisioned_throughput.as_ref(),
            &format!("{path}.provisionedThroughput"),
            &mut faults,
        );
    }
    for (at, index) in input.local_secondary_indexes.iter().flatten().enumerate() {
        let path = format!("localSecondaryIndexes.{}.member", at + 1);
        check_name(
            index.index_name.as_deref().unwrap_or_default(),
            &format!("{path}.indexName"),
            &mut faults,
        );
        check_schema(index.key_schema.as_deref(), &format!("{path}.keySchema"), &mut faults);
    }
    faults.refusal()?;
    if input.table_name.is_none() {
        return Err(invalid("The parameter 'TableName' is required but was not present in the request"));
    }
    check_stream(input.stream_specification.as_ref())?;
    let mut definition = Definition {
        attributes: attributes(input.attribute_definitions.as_deref()),
        key: schema(input.key_schema.as_deref().unwrap_or_default(), 1)?,
        is_protected: input.deletion_protection_enabled.unwrap_or_default(),
        class: input.table_class.as_ref().map(ToString::to_string),
        warm: input.warm_throughput.as_ref().map(|warm| {
            (warm.read_units_per_second.unwrap_or(12_000), warm.write_units_per_second.unwrap_or(4_000))
        }),
        ..Definition::default()
    };
    bill(&mut definition, input.billing_mode.as_deref(), input.provisioned_throughput.as_ref(), now)?;
    local_indexes(&mut definition, input)?;
    global_indexes(&mut definition, input)?;
    check_defined(&definition)?;
    Ok(definition)
}

fn check_attributes(attributes: Option<&[AttributeDefinition]>, faults: &mut Faults) {
    for (at, attribute) in attributes.unwrap_or_default().iter().enumerate() {
        let path = format!("attributeDefinitions.{}.member", at + 1);
        match &attribute.attribute_name {
            Some(name) => faults.length(name, &format!("{path}.attributeName"), 1, 255),
            None => faults.missing(&format!("{path}.attributeName")),
        }
        match &attribute.attribute_type {
            Some(kind) => faults.one_of(kind, &format!("{path}.attributeType"), &["B", "N", "S"]),
            None => faults.missing(&format!("{path}.attributeType")),
        }
    }
}

fn check_schema(schema: Option<&[KeySchemaElement]>, path: &str, faults: &mut Faults) {
    for (at, element) in schema.unwrap_or_default().iter().enumerate() {
        let path = format!("{path}.{}.member", at + 1);
        match &element.attribute_name {
            Some(name) => faults.length(name, &format!("{path}.attributeName"), 1, 255),
            None => faults.missing(&format!("{path}.attributeName")),
        }
        match &element.key_type {
            Some(kind) => faults.one_of(kind, &format!("{path}.keyType"), &["HASH", "RANGE"]),
            None => faults.missing(&format!("{path}.keyType")),
        }
    }
}

/// Checks provisioned units against AWS's model.
pub fn check_units(units: Option<&ProvisionedThroughput>, path: &str, faults: &mut Faults) {
    let Some(units) = units else { return };
    for (value, name) in
        [(units.read_capacity_units, "readCapacityUnits"), (units.write_capacity_units, "writeCapacityUnits")]
    {
        match value {
            None => faults.missing(&format!("{path}.{name}")),
            Some(value) if value < 1 => faults.add(
                &value.to_string(),
                &format!("{path}.{name}"),
                "Member must have value greater than or equal to 1",
            ),
            Some(_) => {}
        }
    }
}

/// The types of attributes.
pub fn attributes(definitions: Option<&[AttributeDefinition]>) -> BTreeMap<String, String> {
    let definitions = definitions.unwrap_or_default().iter();
    let pairs = definitions.filter_map(|it| {
        Some((it.attribute_name.as_ref()?.to_string(), it.attribute_type.as_ref()?.to_string()))
    });
    pairs.collect()
}

/// A key of a request: up to `most` attributes of each kind, those of the partition key first.
fn schema(elements: &[KeySchemaElement], most: usize) -> Result<Schema, Refusal> {
    let mut schema = Schema::default();
    for element in elements {
        let name = element.attribute_name.as_ref().map(ToString::to_string).unwrap_or_default();
        if schema.has(&name) {
            return Err(invalid(
                "Both the Hash Key and the Range Key element in the KeySchema have the same name",
            ));
        }
        match element.key_type.as_deref() {
            Some("RANGE") if schema.hash.is_empty() => break,
            Some("RANGE") => schema.range.push(name),
            _ if schema.range.is_empty() => schema.hash.push(name),
            _ => {
                return Err(invalid(
                    "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
                ));
            }
        }
    }
    if schema.hash.is_empty() {
        return Err(invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type"));
    }
    if schema.hash.len() > most || schema.range.len() > most {
        let what =
            if most == 1 { "Too many hash keys specified" } else { "Too many key attributes specified" };
        return Err(invalid(format_args!(
            "Invalid KeySchema: {what}. All Dynamo DB tables must have exactly one hash key"
        )));
    }
    Ok(schema)
}

/// How a table is billed, and with which units. `mode` is `BillingMode`.
pub fn bill(
    definition: &mut Definition,
    mode: Option<&str>,
    units: Option<&ProvisionedThroughput>,
    now: Time,
) -> Result<(), Refusal> {
    if mode == Some("PAY_PER_REQUEST") {
        if units.is_some() {
            return Err(wrong(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
            ));
        }
        definition.on_demand_since = definition.on_demand_since.or(Some(now.0));
        definition.units = (0, 0);
        return Ok(());
    }
    let Some(units) = units else {
        return Err(wrong(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ));
    };
    definition.on_demand_since = None;
    definition.units = self::units(Some(units));
    Ok(())
}

/// Provisioned units; zeros if there are none.
pub fn units(units: Option<&ProvisionedThroughput>) -> (i64, i64) {
    units.map_or((0, 0), |units| {
        (units.read_capacity_units.unwrap_or_default(), units.write_capacity_units.unwrap_or_default())
    })
}

fn local_indexes(definition: &mut Definition, input: &CreateTableInput) -> Result<(), Refusal> {
    let Some(indexes) = &input.local_secondary_indexes else { return Ok(()) };
    if indexes.is_empty() {
        return Err(wrong("List of LocalSecondaryIndexes is empty"));
    }
    if indexes.len() > LOCAL_INDEXES {
        return Err(wrong(format_args!(
            "Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEXES}"
        )));
    }
    if definition.key.range.is_empty() {
        return Err(wrong(
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        ));
    }
    for index in indexes {
        let name = index.index_name.as_deref().unwrap_or_default();
        let key = schema(index.key_schema.as_deref().unwrap_or_default(), 1)?;
        if key.hash != definition.key.hash {
            return Err(wrong(format_args!(
                "Index KeySchema does not have the same leading hash key as table KeySchema for index: {name}. index hash key: {}, table hash key: {}",
                key.hash.join(", "),
                definition.key.hash.join(", ")
            )));
        }
        if key.range.is_empty() {
            return Err(wrong(format_args!("Index KeySchema does not have a range key for index: {name}")));
        }
        add_index(definition, name, false, key, index.projection.as_ref(), (0, 0))?;
    }
    Ok(())
}

fn global_indexes(definition: &mut Definition, input: &CreateTableInput) -> Result<(), Refusal> {
    let Some(indexes) = &input.global_secondary_indexes else { return Ok(()) };
    if indexes.is_empty() {
        return Err(wrong("List of GlobalSecondaryIndexes is empty"));
    }
    for index in indexes {
        global_index(
            definition,
            index.index_name.as_deref().unwrap_or_default(),
            index.key_schema.as_deref().unwrap_or_default(),
            index.projection.as_ref(),
            index.provisioned_throughput.as_ref(),
        )?;
    }
    Ok(())
}

/// Adds a global index.
pub fn global_index(
    definition: &mut Definition,
    name: &str,
    elements: &[KeySchemaElement],
    projection: Option<&Projection>,
    throughput: Option<&ProvisionedThroughput>,
) -> Result<(), Refusal> {
    if definition.indexes.iter().filter(|index| index.is_global).count() >= GLOBAL_INDEXES {
        return Err(wrong(format_args!(
            "GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES}"
        )));
    }
    match (definition.on_demand_since, throughput) {
        (Some(_), Some(_)) => {
            return Err(wrong(format_args!(
                "ProvisionedThroughput should not be specified for index: {name} when BillingMode is PAY_PER_REQUEST"
            )));
        }
        (None, None) => {
            return Err(wrong(format_args!("ProvisionedThroughput must be specified for index: {name}")));
        }
        _ => {}
    }
    let key = schema(elements, 4)?;
    add_index(definition, name, true, key, projection, units(throughput))
}

fn add_index(
    definition: &mut Definition,
    name: &str,
    is_global: bool,
    key: Schema,
    projection: Option<&Projection>,
    units: (i64, i64),
) -> Result<(), Refusal> {
    if definition.index(name).is_some() {
        return Err(wrong(format_args!("Duplicate index name: {name}")));
    }
    let undefined = key.names().any(|name| !definition.attributes.contains_key(name));
    if undefined {
        let keys: Vec<&str> = key.names().collect();
        let defined: Vec<&str> = definition.attributes.keys().map(String::as_str).collect();
        return Err(wrong(format_args!(
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
            keys.join(", "),
            defined.join(", ")
        )));
    }
    let shows = shows(projection)?;
    definition.indexes.push(Index { id: 0, name: name.to_owned(), is_global, key, shows, units });
    Ok(())
}

fn shows(projection: Option<&Projection>) -> Result<Shows, Refusal> {
    let names = projection.and_then(|projection| projection.non_key_attributes.as_ref());
    let names = names.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let kind = projection.and_then(|projection| projection.projection_type.as_deref());
    match (kind, names) {
        (Some("ALL"), None) => Ok(Shows::All),
        (Some("KEYS_ONLY"), None) => Ok(Shows::Keys),
        (Some(kind @ ("ALL" | "KEYS_ONLY")), Some(_)) => {
            Err(wrong(format_args!("ProjectionType is {kind}, but NonKeyAttributes is specified")))
        }
        (Some("INCLUDE"), Some(names)) if !names.is_empty() => {
            if names.len() > 20 {
                return Err(wrong("The number of NonKeyAttributes of an index exceeds the limit of 20"));
            }
            Ok(Shows::Some(names))
        }
        (Some("INCLUDE"), _) => {
            Err(wrong("ProjectionType is INCLUDE, but NonKeyAttributes is not specified"))
        }
        (kind, _) => Err(wrong(format_args!("Unknown ProjectionType: {}", kind.unwrap_or("null")))),
    }
}

/// Attributes are defined if and only if a key has them.
fn check_defined(definition: &Definition) -> Result<(), Refusal> {
    if definition.key.names().any(|name| !definition.attributes.contains_key(name)) {
        return Err(match definition.attributes.is_empty() {
            true => wrong(
                "Some index key attributes are not defined in AttributeDefinitions. Keys: [], AttributeDefinitions: []",
            ),
            false => {
                let keys: Vec<&str> = definition.key.names().collect();
                let defined: Vec<&str> = definition.attributes.keys().map(String::as_str).collect();
                wrong(format_args!(
                    "Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
                    keys.join(", "),
                    defined.join(", ")
                ))
            }
        });
    }
    let used = used(definition);
    if definition.attributes.keys().all(|name| used.contains(&&**name)) {
        return Ok(());
    }
    if definition.indexes.is_empty() {
        return Err(wrong(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
        ));
    }
    let defined: Vec<&str> = definition.attributes.keys().map(String::as_str).collect();
    Err(wrong(format_args!(
        "Some AttributeDefinitions are not used. AttributeDefinitions: [{}], keys used: [{}]",
        defined.join(", "),
        used.join(", ")
    )))
}

/// The attributes that occur in keys.
fn used(definition: &Definition) -> Vec<&str> {
    let mut used: Vec<&str> = Vec::new();
    let keys = definition.indexes.iter().map(|index| &index.key);
    for name in std::iter::once(&definition.key).chain(keys).flat_map(Schema::names) {
        if !used.contains(&name) {
            used.push(name);
        }
    }
    used
}

/// Drops definitions of attributes that no key has any more.
pub fn prune(definition: &mut Definition) {
    let used: Vec<String> = used(definition).into_iter().map(str::to_owned).collect();
    definition.attributes.retain(|name, _| used.contains(name));
}

/// Streams are not served yet.
pub fn check_stream(stream: Option<&StreamSpecification>) -> Result<(), Refusal> {
    match stream.and_then(|stream| stream.stream_enabled) {
        Some(true) => Err(invalid("DynamoDB Streams are not supported by this server")),
        _ => Ok(()),
    }
}

/// The key of an encryption that is enabled. Items are encrypted by nobody; the setting is only shown.
pub fn encryption(sse: Option<&SSESpecification>, key: &TableKey) -> Option<String> {
    let sse = sse.filter(|sse| sse.enabled == Some(true))?;
    let own = || {
        let resource = "key/00000000-0000-0000-0000-000000000000";
        kernel::Arn::new("kms", &key.region, &key.account, resource).to_string()
    };
    Some(sse.kms_master_key_id.as_ref().map_or_else(own, ToString::to_string))
}
