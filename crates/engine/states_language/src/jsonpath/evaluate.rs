//! What a path finds.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::compare::passes;
use super::{Path, Root, Step, is_definite};
use crate::failure::Failure;
use crate::scope::{Exhausted, Scope, Work};

/// Why a path gave nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoResult {
    /// There is no such value. The text is Jayway's.
    Missing(String),
    /// The state's input is null: AWS applies no path to it, not even `$`.
    NullInput,
    /// The evaluation has taken too many steps.
    Exhausted,
}

impl From<Exhausted> for NoResult {
    fn from(_: Exhausted) -> NoResult {
        NoResult::Exhausted
    }
}

/// The failure for what does not depend on the field.
impl From<NoResult> for Failure {
    fn from(none: NoResult) -> Failure {
        match none {
            NoResult::Missing(text) => Failure::runtime(text),
            NoResult::NullInput => {
                Failure::runtime("Unable to apply Path transformation to null or empty input.")
            }
            NoResult::Exhausted => Exhausted.into(),
        }
    }
}

impl NoResult {
    /// The failure of a state whose path this is, in a field that takes a path alone, such as `InputPath`.
    pub(crate) fn in_path(self, path: &Path) -> Failure {
        match self {
            NoResult::Missing(text) => Failure::runtime(format!("Invalid path '{}' : {text}", path.as_str())),
            other => other.into(),
        }
    }
}

impl Path {
    /// What the path denotes: one value, or an array of all values if the path is not definite.
    pub(crate) fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, NoResult> {
        let places = Places { root: scope.input, work: scope.work };
        let start = match &self.root {
            Root::Input if scope.input.is_null() => return Err(NoResult::NullInput),
            Root::Input | Root::Element => scope.input,
            Root::Context => scope.context,
            Root::Variable(name) => match scope.variables.get(name) {
                Some(value) => value,
                None => return Err(NoResult::Missing(format!("No results for path: $['{name}']"))),
            },
        };
        places.result(self, start, OutOfRange::Null)
    }

    /// The value of the path for a rule of a Choice state, where an index outside of an array is no value.
    pub(crate) fn present(&self, scope: &Scope<'_>) -> Result<Option<Value>, Exhausted> {
        let places = Places { root: scope.input, work: scope.work };
        let start = match &self.root {
            Root::Input | Root::Element => Some(scope.input),
            Root::Context => Some(scope.context),
            Root::Variable(name) => scope.variables.get(name),
        };
        match start.map(|start| places.result(self, start, OutOfRange::Missing)) {
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(NoResult::Exhausted)) => Err(Exhausted),
            Some(Err(NoResult::Missing(_) | NoResult::NullInput)) | None => Ok(None),
        }
    }
}

/// What an index outside of an array gives. Jayway's library over Jackson's trees gives null.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OutOfRange {
    Null,
    Missing,
}

/// What filters can reach, and the steps that are left.
pub(super) struct Places<'a> {
    root: &'a Value,
    pub(super) work: &'a Work,
}

type Hits<'v> = Vec<Cow<'v, Value>>;

impl Places<'_> {
    /// The value of a path within a filter; none if there is none.
    pub(super) fn find(&self, path: &Path, element: &Value) -> Result<Option<Value>, Exhausted> {
        let start = if path.root == Root::Element { element } else { self.root };
        match self.result(path, start, OutOfRange::Missing) {
            Ok(Value::Array(items)) if items.is_empty() && !path.is_definite() => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(NoResult::Exhausted) => Err(Exhausted),
            Err(_) => Ok(None),
        }
    }

    fn result(&self, path: &Path, start: &Value, range: OutOfRange) -> Result<Value, NoResult> {
        let mut walk = Walk { places: self, range, definite: true, location: "$".to_owned() };
        let mut hits = vec![Cow::Borrowed(start)];
        let mut steps = path.steps.iter().enumerate();
        while let Some((at, step)) = steps.next() {
            let scanned = *step == Step::Scan;
            let (at, step) = if scanned { steps.next().unwrap_or((at, step)) } else { (at, step) };
            let last = at + 1 == path.steps.len();
            hits = walk.step(hits, step, scanned, last)?;
            walk.definite &= !scanned && is_definite(step, last);
        }
        if walk.definite {
            let Some(hit) = hits.pop() else {
                return Err(NoResult::Missing(format!("No results for path: {}", walk.location)));
            };
            self.work.copy(&hit)?;
            return Ok(hit.into_owned());
        }
        for hit in &hits {
            self.work.copy(hit)?;
        }
        Ok(Value::Array(hits.into_iter().map(Cow::into_owned).collect()))
    }
}

/// One evaluation on its way through the steps.
struct Walk<'p> {
    places: &'p Places<'p>,
    range: OutOfRange,
    /// Whether the steps so far lead to one value. Only then is a missing value an error.
    definite: bool,
    /// The steps so far in Jayway's spelling, for errors; kept only while the path is definite.
    location: String,
}

impl Walk<'_> {
    fn step<'v>(
        &mut self,
        hits: Hits<'v>,
        step: &Step,
        scan: bool,
        last: bool,
    ) -> Result<Hits<'v>, NoResult> {
        let mut found = Vec::new();
        for hit in hits {
            match hit {
                Cow::Borrowed(value) if scan => self.scan(value, step, last, &mut found)?,
                Cow::Borrowed(value) => self.apply(value, step, last, &mut found)?,
                // Only values that a step has made are owned: objects of several names, lengths, and nulls.
                Cow::Owned(value) => {
                    let mut of_owned = Vec::new();
                    if scan {
                        self.scan(&value, step, last, &mut of_owned)?;
                    } else {
                        self.apply(&value, step, last, &mut of_owned)?;
                    }
                    found.extend(of_owned.into_iter().map(|hit| Cow::Owned(hit.into_owned())));
                }
            }
        }
        if self.definite && !scan {
            self.record(step);
        }
        Ok(found)
    }

    fn record(&mut self, step: &Step) {
        match step {
            Step::Names(names) => {
                let names: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
                self.location += &format!("[{}]", names.join(", "));
            }
            Step::Indexes(indexes) => {
                let indexes: Vec<_> = indexes.iter().map(i64::to_string).collect();
                self.location += &format!("[{}]", indexes.join(", "));
            }
            _ => {}
        }
    }

    /// Applies a step to a value and to all values below it, in the order of the text.
    fn scan<'v>(
        &mut self,
        value: &'v Value,
        step: &Step,
        last: bool,
        found: &mut Hits<'v>,
    ) -> Result<(), NoResult> {
        let definite = std::mem::replace(&mut self.definite, false);
        let mut rest = vec![value];
        while let Some(value) = rest.pop() {
            self.places.work.take(1)?;
            let complete = |names: &Vec<String>| {
                value.as_object().is_some_and(|members| names.iter().all(|name| members.contains_key(name)))
            };
            let applies = match step {
                Step::Names(names) => !last || names.len() == 1 || complete(names),
                Step::Filter(filter) => {
                    (value.is_object() || value.is_array()) && passes(filter, value, self.places)?
                }
                _ => true,
            };
            if applies {
                self.apply(value, step, last, found)?;
            }
            match value {
                Value::Array(items) => rest.extend(items.iter().rev()),
                Value::Object(members) => rest.extend(members.values().rev()),
                _ => {}
            }
        }
        self.definite = definite;
        Ok(())
    }

    fn apply<'v>(
        &mut self,
        value: &'v Value,
        step: &Step,
        last: bool,
        found: &mut Hits<'v>,
    ) -> Result<(), NoResult> {
        self.places.work.take(1)?;
        match step {
            Step::Names(names) => self.names(value, names, last, found)?,
            Step::Indexes(indexes) => {
                if let Some(items) = self.array(value, step)? {
                    for &index in indexes {
                        self.index(items, index, found);
                    }
                }
            }
            Step::Slice(from, to) => {
                if let Some(items) = self.array(value, step)? {
                    self.slice(items, *from, *to, found)?;
                }
            }
            Step::Wildcard => {
                match value {
                    Value::Array(items) => found.extend(items.iter().map(Cow::Borrowed)),
                    Value::Object(members) => found.extend(members.values().map(Cow::Borrowed)),
                    _ => {}
                }
                self.places.work.take(found.len())?;
            }
            Step::Filter(filter) => match value {
                Value::Array(items) => {
                    for item in items {
                        if passes(filter, item, self.places)? {
                            found.push(Cow::Borrowed(item));
                        }
                    }
                }
                Value::Object(_) if passes(filter, value, self.places)? => found.push(Cow::Borrowed(value)),
                Value::Object(_) => {}
                _ if self.definite => {
                    return Err(NoResult::Missing(format!(
                        "Filter: [?] can not be applied to primitives. Current context is: {value}"
                    )));
                }
                _ => {}
            },
            Step::Length => found.push(Cow::Owned(match value {
                Value::Array(items) => Value::from(items.len()),
                Value::Object(members) => Value::from(members.len()),
                _ => Value::Null,
            })),
            Step::Unavailable => return Err(NoResult::Missing("Unavailable function.".to_owned())),
            // A scan is applied together with the step behind it; a path cannot end with one.
            Step::Scan => {}
        }
        Ok(())
    }

    fn names<'v>(
        &self,
        value: &'v Value,
        names: &[String],
        last: bool,
        found: &mut Hits<'v>,
    ) -> Result<(), NoResult> {
        let Value::Object(members) = value else {
            if !self.definite {
                return Ok(());
            }
            let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
            return Err(NoResult::Missing(format!(
                "Expected to find an object with property [{}] in path {} but found '{}'. This is not a json \
                 object according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonNodeJsonProvider'.",
                quoted.join(", "),
                self.location,
                java_class(value)
            )));
        };
        if let [name] = names {
            match members.get(name) {
                Some(value) => found.push(Cow::Borrowed(value)),
                None if self.definite && !last => {
                    let location = &self.location;
                    return Err(NoResult::Missing(format!("Missing property in path {location}['{name}']")));
                }
                None => {}
            }
            return Ok(());
        }
        let present = names.iter().filter_map(|name| members.get_key_value(name));
        if last {
            let merged: Map<_, _> = present.map(|(name, value)| (name.clone(), value.clone())).collect();
            let merged = Value::Object(merged);
            self.places.work.copy(&merged)?;
            found.push(Cow::Owned(merged));
        } else {
            found.extend(present.map(|(_, value)| Cow::Borrowed(value)));
        }
        Ok(())
    }

    fn array<'v>(&self, value: &'v Value, step: &Step) -> Result<Option<&'v Vec<Value>>, NoResult> {
        if let Value::Array(items) = value {
            return Ok(Some(items));
        }
        if !self.definite {
            return Ok(None);
        }
        if value.is_null() {
            return Err(NoResult::Missing(format!("The path {} is null", self.location)));
        }
        let step = match step {
            Step::Indexes(indexes) => {
                let indexes: Vec<_> = indexes.iter().map(i64::to_string).collect();
                format!("[{}]", indexes.join(","))
            }
            Step::Slice(from, to) => {
                let bound = |bound: &Option<i64>| bound.map(|n| n.to_string()).unwrap_or_default();
                format!("[{}:{}]", bound(from), bound(to))
            }
            _ => String::new(),
        };
        let text = format!("Filter: {step} can only be applied to arrays. Current context is: {value}");
        Err(NoResult::Missing(text))
    }

    fn index<'v>(&self, items: &'v [Value], index: i64, found: &mut Hits<'v>) {
        let effective = if index < 0 { index + items.len() as i64 } else { index };
        match usize::try_from(effective).ok().and_then(|index| items.get(index)) {
            Some(item) => found.push(Cow::Borrowed(item)),
            None if self.range == OutOfRange::Null => found.push(Cow::Owned(Value::Null)),
            None => {}
        }
    }

    /// The items of a slice, as Jayway's library counts: an end before the start gives nothing, even if it counts from the end.
    fn slice<'v>(
        &self,
        items: &'v [Value],
        from: Option<i64>,
        to: Option<i64>,
        found: &mut Hits<'v>,
    ) -> Result<(), NoResult> {
        let length = items.len() as i64;
        let from_end = |bound: i64| if bound < 0 { bound + length } else { bound };
        let (from, to) = match (from, to) {
            (Some(from), Some(to)) => (from, to.min(length)),
            (Some(from), None) => (from_end(from).max(0), length),
            (None, Some(to)) => (0, from_end(to).min(length)),
            (None, None) => (0, length),
        };
        for index in from.max(-length)..to {
            self.places.work.take(1)?;
            self.index(items, index, found);
        }
        Ok(())
    }
}

/// The class of the value in Jayway's texts.
fn java_class(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "java.lang.Boolean",
        Value::Number(number) if number.is_f64() => "java.lang.Double",
        Value::Number(number) => match number.as_i64() {
            Some(number) if i32::try_from(number).is_ok() => "java.lang.Integer",
            Some(_) => "java.lang.Long",
            None => "java.math.BigInteger",
        },
        Value::String(_) => "java.lang.String",
        Value::Array(_) => "com.fasterxml.jackson.databind.node.ArrayNode",
        Value::Object(_) => "com.fasterxml.jackson.databind.node.ObjectNode",
    }
}
