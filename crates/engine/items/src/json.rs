//! Values on the wire: `{"S":"text"}`, read into their form in bytes and written from it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json_text::{Parts, compact, quote};

use crate::Fault;
use crate::number::Number;
use crate::value::{
    Item, LEVELS, Type, Value, content_of, put, put_bool, put_null, put_number, put_set, put_text,
};

/// Reads a value from JSON. Errors: AWS's texts (facts/dynamodb.md § 1, § 6).
pub fn read(json: &str) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    read_into(&mut out, &compact(json), 0)?;
    Ok(out)
}

/// Reads an item or a key: values by name.
pub fn read_item<'v>(entries: impl IntoIterator<Item = (&'v str, &'v str)>) -> Result<Vec<u8>, Fault> {
    let mut read = BTreeMap::new();
    for (name, json) in entries {
        if name.is_empty() {
            return Err(Fault::invalid("Empty attribute name"));
        }
        read.insert(name, self::read(json)?);
    }
    Ok(content_of(read.iter().map(|(name, value)| (*name, &value[..]))))
}

/// `depth`: maps and lists around the value.
fn read_into(out: &mut Vec<u8>, json: &str, depth: usize) -> Result<(), Fault> {
    if !json.starts_with('{') {
        return Err(unexpected(json, "AttributeValue"));
    }
    // A member that is null counts as absent.
    let mut members = Parts::of(json).filter(|(_, value)| *value != "null");
    let Some((name, value)) = members.find(|(name, _)| kind(name).is_some()) else {
        return Err(Fault::invalid(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ));
    };
    if members.any(|(name, _)| kind(name).is_some()) {
        return Err(Fault::invalid(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
        ));
    }
    // The names above are all there are.
    let kind = kind(name).unwrap_or(Type::Null);
    match kind {
        Type::S => put_text(out, &string(value)?),
        Type::N => put_number(out, &Number::parse(&string(value)?)?),
        Type::B => put(out, Type::B, &binary(value)?),
        Type::Bool => put_bool(out, truth(value)?),
        Type::Null => {
            if !truth(value)? {
                return Err(Fault::invalid(
                    "One or more parameter values were invalid: Null attribute value types must have the value of true",
                ));
            }
            put_null(out);
        }
        Type::Ss | Type::Ns | Type::Bs => read_set(out, kind, value)?,
        Type::M | Type::L => {
            if depth == LEVELS {
                return Err(Fault::invalid(
                    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit",
                ));
            }
            if value.starts_with('{') != (kind == Type::M) || !value.starts_with(['{', '[']) {
                return Err(unexpected(value, "collection"));
            }
            let content = match kind {
                Type::M => read_map(value, depth)?,
                _ => {
                    let mut content = Vec::new();
                    for (_, item) in Parts::of(value).filter(|(_, item)| *item != "null") {
                        read_into(&mut content, item, depth + 1)?;
                    }
                    content
                }
            };
            put(out, kind, &content);
        }
    }
    Ok(())
}

fn read_map(json: &str, depth: usize) -> Result<Vec<u8>, Fault> {
    let mut entries = BTreeMap::new();
    for (name, json) in Parts::of(json).filter(|(_, value)| *value != "null") {
        let mut value = Vec::new();
        read_into(&mut value, json, depth + 1)?;
        entries.insert(string(name)?, value);
    }
    Ok(content_of(entries.iter().map(|(name, value)| (&**name, &value[..]))))
}

fn read_set(out: &mut Vec<u8>, kind: Type, json: &str) -> Result<(), Fault> {
    if !json.starts_with('[') {
        return Err(unexpected(json, "collection"));
    }
    let mut members = Vec::new();
    for (_, member) in Parts::of(json).filter(|(_, member)| *member != "null") {
        members.push(match kind {
            Type::Ss => string(member)?.into_owned().into_bytes(),
            Type::Bs => binary(member)?,
            _ => {
                let mut bytes = Vec::new();
                Number::parse(&string(member)?)?.encode(&mut bytes);
                bytes
            }
        });
    }
    // Two blanks: AWS's own text (facts/dynamodb.md § 6).
    if members.is_empty() {
        let what = match kind {
            Type::Ss => "An string set  may not be empty",
            Type::Ns => "An number set  may not be empty",
            _ => "Binary sets should not be empty",
        };
        return Err(Fault::invalid(format!("One or more parameter values were invalid: {what}")));
    }
    let given = members.clone();
    members.sort_unstable();
    if let Some(at) = members.windows(2).position(|pair| pair[0] == pair[1]) {
        return Err(repeated(kind, &members[..at + 2], &given));
    }
    put_set(out, kind, members.iter().map(Vec::as_slice));
    Ok(())
}

/// A set has a member twice. `sorted` ends with the repetition.
fn repeated(kind: Type, sorted: &[Vec<u8>], given: &[Vec<u8>]) -> Fault {
    let text = match kind {
        Type::Ss => {
            let members: Vec<String> =
                sorted.iter().map(|member| format!("\"{}\"", String::from_utf8_lossy(member))).collect();
            format!("Input collection [{}] contains duplicates.", members.join(", "))
        }
        Type::Bs => {
            let members: Vec<String> =
                given.iter().map(|member| format!("\"{}\"", STANDARD.encode(member))).collect();
            format!("Input collection [{}]of type BS contains duplicates.", members.join(","))
        }
        _ => "Input collection contains duplicates.".to_owned(),
    };
    Fault::invalid(format!("One or more parameter values were invalid: {text}"))
}

fn kind(name: &str) -> Option<Type> {
    Type::from_name(name.strip_prefix('"')?.strip_suffix('"')?)
}

fn string(json: &str) -> Result<Cow<'_, str>, Fault> {
    match json.strip_prefix('"').and_then(|json| json.strip_suffix('"')) {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        Some(_) => serde_json::from_str::<String>(json)
            .map(Cow::Owned)
            .map_err(|_| Fault::Serialization(Cow::Borrowed(""))),
        None => Err(unexpected(json, "String")),
    }
}

fn binary(json: &str) -> Result<Vec<u8>, Fault> {
    let text = string(json)?;
    if !text.len().is_multiple_of(4) {
        let length = text.len();
        return Err(Fault::Serialization(
            format!("Base64 encoded length is expected a multiple of 4 bytes but found: {length}").into(),
        ));
    }
    STANDARD.decode(&*text).map_err(|_| Fault::Serialization(Cow::Borrowed("Invalid Base64 character")))
}

fn truth(json: &str) -> Result<bool, Fault> {
    match json {
        "true" => Ok(true),
        "false" => Ok(false),
        // Texts are converted (facts/dynamodb.md § 1).
        _ if json.starts_with('"') => {
            let text = string(json)?.to_ascii_lowercase();
            match &*text {
                "true" | "yes" | "1" => Ok(true),
                "false" | "no" | "0" => Ok(false),
                _ => Err(unexpected(json, "Boolean")),
            }
        }
        _ => Err(unexpected(json, "Boolean")),
    }
}

/// A value of another kind stands where one was expected.
fn unexpected(json: &str, expected: &str) -> Fault {
    let came = match json.as_bytes().first() {
        Some(b'{' | b'[') if expected == "collection" => "",
        Some(b'{') => {
            return Fault::Serialization("Start of structure or map found where not expected".into());
        }
        Some(b'[') => return Fault::Serialization("Unexpected field type".into()),
        Some(b't') => "TRUE_VALUE",
        Some(b'f') => "FALSE_VALUE",
        Some(b'"') => "STRING_VALUE",
        _ if json.contains(['.', 'e', 'E']) => "DECIMAL_VALUE",
        _ => "NUMBER_VALUE",
    };
    Fault::Serialization(match expected {
        "collection" if came == "STRING_VALUE" => {
            "Unrecognized collection type class java.lang.String".into()
        }
        "collection" | "AttributeValue" => "Unexpected field type".into(),
        _ => format!("{came} cannot be converted to {expected}").into(),
    })
}

/// Appends a value as JSON.
pub fn write(out: &mut String, value: Value<'_>) {
    let kind = value.kind();
    out.extend(["{\"", kind.name(), "\":"]);
    match kind {
        Type::S => quote(out, value.text()),
        Type::N => quote(out, &value.number().text()),
        Type::B => quote(out, &STANDARD.encode(value.content())),
        Type::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        Type::Null => out.push_str("true"),
        Type::Ss | Type::Ns | Type::Bs => {
            out.push('[');
            for (at, member) in value.members().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                match kind {
                    Type::Ss => quote(out, std::str::from_utf8(member).unwrap_or_default()),
                    Type::Bs => quote(out, &STANDARD.encode(member)),
                    _ => quote(out, &Number::decode(member).text()),
                }
            }
            out.push(']');
        }
        Type::L => {
            out.push('[');
            for (at, item) in value.items().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write(out, item);
            }
            out.push(']');
        }
        Type::M => write_item(out, Item(value.content())),
    }
    out.push('}');
}

/// Appends an item as JSON.
pub fn write_item(out: &mut String, item: Item<'_>) {
    out.push('{');
    for (at, (name, value)) in item.entries().enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        quote(out, name);
        out.push(':');
        write(out, value);
    }
    out.push('}');
}

/// A value as JSON.
pub fn text_of(value: Value<'_>) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

/// An item as JSON.
pub fn text_of_item(item: Item<'_>) -> String {
    let mut out = String::new();
    write_item(&mut out, item);
    out
}
