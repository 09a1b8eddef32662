//! Reference paths: where a result is put (`ResultPath`).

use serde_json::{Map, Value};

use super::{InvalidPath, Path, Root, Step};

/// A path of names and indexes below the input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReferencePath(Path);

/// The path leads through a value that has no such place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RefersNowhere;

impl ReferencePath {
    /// Parses a path of names and indexes below `$`.
    pub(crate) fn parse(text: &str) -> Result<ReferencePath, InvalidPath> {
        let path = Path::parse(text)?;
        if path.root == Root::Input && path.is_reference() {
            Ok(ReferencePath(path))
        } else {
            Err(InvalidPath { position: 0, expected: "a reference path" })
        }
    }

    /// The path as it was written.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Puts a value at the place; makes the objects that are missing on the way.
    pub(crate) fn put(&self, into: Value, value: Value) -> Result<Value, RefersNowhere> {
        let mut root = into;
        let mut place = &mut root;
        // Whether the place did not exist before. An existing null is a value like any other.
        let mut new = false;
        for step in &self.0.steps {
            place = match (step, place) {
                (Step::Names(names), place) => {
                    if new {
                        *place = Value::Object(Map::new());
                    }
                    let members = place.as_object_mut().ok_or(RefersNowhere)?;
                    let name = names.concat();
                    new = !members.contains_key(&name);
                    members.entry(name).or_insert(Value::Null)
                }
                (Step::Indexes(indexes), Value::Array(items)) => {
                    let index = indexes.first().and_then(|&index| usize::try_from(index).ok());
                    index.and_then(|index| items.get_mut(index)).ok_or(RefersNowhere)?
                }
                _ => return Err(RefersNowhere),
            };
        }
        *place = value;
        Ok(root)
    }
}
