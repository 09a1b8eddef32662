//! What a Map state iterates over, and how.

use serde_json::Value;

use super::amounts;
use crate::definition::{Items, Kind, Map, QueryLanguage, State};
use crate::failure::{Failure, names};
use crate::jsonata;
use crate::jsonpath::{NoResult, Path};
use crate::scope::Scope;
use crate::template::Template;

/// A Map state's work.
#[derive(Debug, Clone, PartialEq)]
pub struct Iterations<'a> {
    /// An array, or for a distributed Map also an object; none if the items have to be read.
    pub items: Option<Value>,
    /// Where the items have to be read from.
    pub reading: Option<Reading<'a>>,
    /// How many iterations may run side by side; 0 for as many as there are.
    pub max_concurrency: u64,
    /// How many items of a distributed Map may fail.
    pub tolerance: Tolerance,
    /// How items are put together.
    pub batching: Option<Batching>,
    /// Where results are written to.
    pub writing: Option<Writing<'a>>,
}

/// `ItemReader`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading<'a> {
    /// `arn:aws:states:::s3:getObject`, or `arn:aws:states:::s3:listObjectsV2`.
    pub resource: &'a str,
    /// Bucket, key and others.
    pub parameters: Value,
    /// `ReaderConfig` as it was written.
    pub config: &'a serde_json::Map<String, Value>,
    /// How many items are read at most; 0 for all.
    pub max_items: u64,
}

/// `ToleratedFailureCount` and `ToleratedFailurePercentage`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tolerance {
    /// Items that may fail.
    pub count: Option<u64>,
    /// Items of a hundred that may fail.
    pub percentage: Option<f64>,
}

impl Tolerance {
    /// Whether more items have failed than may. Without a tolerance none may.
    pub fn is_exceeded(&self, failed: u64, total: u64) -> bool {
        let by_count = self.count.map(|count| failed > count);
        let by_percentage = self.percentage.map(|most| failed as f64 * 100.0 > most * total as f64);
        match (by_count, by_percentage) {
            (None, None) => failed > 0,
            // The Map fails if either threshold is exceeded (developer guide, "Setting failure thresholds").
            (count, percentage) => count.unwrap_or(false) || percentage.unwrap_or(false),
        }
    }
}

/// `ItemBatcher`.
#[derive(Debug, Clone, PartialEq)]
pub struct Batching {
    /// Items of a batch.
    pub max_items: Option<u64>,
    /// Bytes of a batch.
    pub max_bytes: Option<u64>,
    /// `BatchInput` of each child's input.
    pub batch_input: Option<Value>,
}

/// `ResultWriter`.
#[derive(Debug, Clone, PartialEq)]
pub struct Writing<'a> {
    /// `arn:aws:states:::s3:putObject`; none if results are only transformed.
    pub resource: Option<&'a str>,
    /// Bucket and prefix.
    pub parameters: Option<Value>,
    /// `WriterConfig` as it was written.
    pub config: &'a serde_json::Map<String, Value>,
}

impl Map {
    /// `scope.input` is the input after `InputPath`.
    pub(super) fn iterations<'a>(&'a self, scope: &Scope<'_>) -> Result<Iterations<'a>, Failure> {
        let whole = |template: Option<&Template>, name| {
            template.map(|template| amounts::whole(template, name, scope)).transpose()
        };
        let max_concurrency = whole(self.max_concurrency.as_ref(), "MaxConcurrency")?.unwrap_or(0);
        let mut iterations = Iterations {
            items: None,
            reading: None,
            max_concurrency,
            tolerance: Tolerance::default(),
            batching: None,
            writing: None,
        };
        if let Some(distributed) = &self.distributed {
            let percentage = distributed.tolerated_percentage.as_ref();
            iterations.tolerance = Tolerance {
                count: whole(distributed.tolerated_count.as_ref(), "ToleratedFailureCount")?,
                percentage: percentage
                    .map(|template| amounts::percentage(template, "ToleratedFailurePercentage", scope))
                    .transpose()?,
            };
            if let Some(batcher) = &distributed.item_batcher {
                let batch_input = batcher.batch_input.as_ref();
                iterations.batching = Some(Batching {
                    max_items: whole(batcher.max_items.as_ref(), "MaxItemsPerBatch")?,
                    max_bytes: whole(batcher.max_bytes.as_ref(), "MaxInputBytesPerBatch")?,
                    batch_input: batch_input
                        .map(|template| template.evaluate("ItemBatcher/BatchInput", scope))
                        .transpose()?,
                });
            }
            if let Some(writer) = &distributed.result_writer {
                let parameters = writer.parameters.as_ref();
                iterations.writing = Some(Writing {
                    resource: writer.resource.as_deref(),
                    parameters: parameters
                        .map(|template| template.evaluate("ResultWriter/Arguments", scope))
                        .transpose()?,
                    config: &writer.config,
                });
            }
            if let Some(reader) = &distributed.item_reader {
                let parameters = reader.parameters.as_ref();
                iterations.reading = Some(Reading {
                    resource: &reader.resource,
                    parameters: parameters.map_or(Ok(Value::Null), |template| {
                        template.evaluate("ItemReader/Arguments", scope)
                    })?,
                    config: &reader.config,
                    max_items: whole(reader.max_items.as_ref(), "MaxItems")?.unwrap_or(0),
                });
                return Ok(iterations);
            }
        }
        iterations.items = Some(self.items(scope)?);
        Ok(iterations)
    }

    fn items(&self, scope: &Scope<'_>) -> Result<Value, Failure> {
        let fits = |value: &Value| value.is_array() || (self.distributed.is_some() && value.is_object());
        match &self.items {
            Items::Path(path) => {
                let value = path.evaluate(scope).map_err(|none| unreachable_items(none, path, scope))?;
                match fits(&value) {
                    true => Ok(value),
                    false => Err(Failure::runtime(format!(
                        "Reference path \"{}\" must point to array.",
                        path.as_str()
                    ))),
                }
            }
            Items::Template(template) => match (template.evaluate("Items", scope)?, template) {
                (value, _) if fits(&value) => Ok(value),
                (value, Template::Expression(expression)) => {
                    Err(expression.unexpected("Items", "array", &value))
                }
                (value, _) => Err(no_array(&value)),
            },
            Items::Input if fits(scope.input) => Ok(scope.input.clone()),
            Items::Input => Err(no_array(scope.input)),
        }
    }
}

fn no_array(value: &Value) -> Failure {
    let kind = jsonata::type_of(value);
    Failure::new(names::QUERY_EVALUATION_ERROR, format!("Map state input must be an array but was: {kind}"))
}

/// The failure of `ItemsPath`, as users report it: `Unable to apply step "items" to input {…}`.
fn unreachable_items(none: NoResult, path: &Path, scope: &Scope<'_>) -> Failure {
    match none {
        NoResult::Missing(_) => {
            let step = path.as_str().rsplit(['.', '\'']).find(|step| !step.is_empty() && *step != "]");
            let text =
                format!("Unable to apply step \"{}\" to input {}", step.unwrap_or_default(), scope.input);
            Failure::new(names::REFERENCE_PATH_CONFLICT, text)
        }
        none => none.into(),
    }
}

impl State {
    /// The input of one iteration of a Map state: what `ItemSelector` makes, or the item. `scope.input` is the Map state's input, and the
    /// context object has `Map.Item`. Errors: a selector that fails. For another state the item is the input.
    pub fn iteration_input(&self, item: &Value, scope: &Scope<'_>) -> Result<Value, Failure> {
        let Kind::Map(map) = &self.kind else { return Ok(item.clone()) };
        let Some(selector) = &map.item_selector else { return Ok(item.clone()) };
        let input = match self.query_language {
            QueryLanguage::JsonPath => self.effective_input(scope)?,
            QueryLanguage::Jsonata => scope.input.clone(),
        };
        let selected = selector.evaluate("ItemSelector", &scope.with_input(&input))?;
        self.checked_output(selected)
    }
}
