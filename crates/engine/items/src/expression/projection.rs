//! Projections: the parts of an item that are shown.

use std::collections::BTreeMap;

use super::path::{Part, Path};
use crate::value::{Item, Type, Value, put};

use kernel::codec::put_bytes;

/// The parts of an item that are shown, as a tree. Without branches all of a value is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Projection {
    names: BTreeMap<Box<str>, Projection>,
    indexes: BTreeMap<usize, Projection>,
}

impl Projection {
    /// The projection on paths that do not overlap.
    pub fn of(paths: impl IntoIterator<Item = Path>) -> Projection {
        let mut root = Projection::default();
        for path in paths {
            let mut at = &mut root;
            for part in path.0 {
                at = match part {
                    Part::Name(name) => at.names.entry(name).or_default(),
                    Part::Index(index) => at.indexes.entry(index).or_default(),
                };
            }
        }
        root
    }

    /// The names of the attributes.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name)
    }

    /// What of an item is shown.
    pub fn apply(&self, item: Item<'_>) -> Vec<u8> {
        self.entries(item.entries())
    }

    fn entries<'v>(&self, entries: impl Iterator<Item = (&'v str, Value<'v>)>) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in entries {
            let mut shown = Vec::new();
            if let Some(below) = self.names.get(name)
                && below.value(value, &mut shown)
            {
                put_bytes(&mut out, name.as_bytes());
                out.extend_from_slice(&shown);
            }
        }
        out
    }

    /// Appends what of a value is shown; says whether anything is.
    fn value(&self, value: Value<'_>, out: &mut Vec<u8>) -> bool {
        if self.names.is_empty() && self.indexes.is_empty() {
            out.extend_from_slice(value.bytes());
            return true;
        }
        let content = match value.kind() {
            Type::M => self.entries(value.entries()),
            Type::L => {
                // Items are packed densely.
                let mut content = Vec::new();
                for (at, item) in value.items().enumerate() {
                    if let Some(below) = self.indexes.get(&at) {
                        below.value(item, &mut content);
                    }
                }
                content
            }
            _ => return false,
        };
        if content.is_empty() {
            return false;
        }
        put(out, value.kind(), &content);
        true
    }
}
