//! Updates of an item: what expressions and the older `AttributeUpdates` ask for, and what becomes of the item.
//!
//! All of an update sees the item as it was (facts/dynamodb.md § 8).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::Fault;
use crate::expression::{Part, Path, Projection};
use crate::value::{Item, Node, Type, Value, encoded, put, put_number, put_set};

const MISSING: &str = "The provided expression refers to an attribute that does not exist in the item";
const WRONG_TYPE: &str = "An operand in the update expression has an incorrect data type";
const WRONG_PATH: &str = "The document path provided in the update expression is invalid for update";
/// The older parameters have their own text.
const WRONG_LEGACY_TYPE: &str = "Type mismatch for attribute to update";

/// The right side of an assignment.
#[derive(Clone, PartialEq, Debug)]
pub enum Term {
    /// What lies at a path.
    Path(Path),
    /// A value of the request.
    Value(Vec<u8>),
    /// What lies at a path, or else another term.
    IfNotExists(Path, Box<Term>),
    /// Two lists as one.
    ListAppend(Box<Term>, Box<Term>),
    /// The sum of two numbers.
    Plus(Box<Term>, Box<Term>),
    /// The difference of two numbers.
    Minus(Box<Term>, Box<Term>),
}

/// What an update does.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Update {
    /// Assignments.
    pub sets: Vec<(Path, Term)>,
    /// What is removed.
    pub removes: Vec<Path>,
    /// Numbers that are added to numbers, and members that are added to sets.
    pub adds: Vec<(Path, Vec<u8>)>,
    /// Members that are taken from sets.
    pub deletes: Vec<(Path, Vec<u8>)>,
    /// Whether it comes from `AttributeUpdates`: lists can be added to lists, and refusals have another text.
    pub is_legacy: bool,
}

impl Update {
    /// Every path that it changes.
    pub fn paths(&self) -> impl Iterator<Item = &Path> + Clone {
        let sets = self.sets.iter().map(|(path, _)| path);
        let others = self.adds.iter().chain(&self.deletes).map(|(path, _)| path);
        sets.chain(&self.removes).chain(others)
    }

    /// Whether it makes an item where there is none: one that only takes something away does not.
    pub fn creates(&self) -> bool {
        let takes = !self.removes.is_empty() || !self.deletes.is_empty();
        !takes || !self.sets.is_empty() || !self.adds.is_empty()
    }

    /// The parts of an item that it changes.
    pub fn touched(&self) -> Projection {
        Projection::of(self.paths().cloned())
    }

    /// The item as it is afterwards. Errors: AWS's texts (facts/dynamodb.md § 6).
    pub fn apply<'a>(&'a self, item: Item<'a>) -> Result<Vec<u8>, Fault> {
        let mut nodes = Node::of_item(item);
        for (path, term) in &self.sets {
            let value = term.value(item)?.into_owned();
            place(&mut nodes, path, value)?;
        }
        for (path, value) in &self.adds {
            let value = self.added(path.find(item), Value::of(value))?;
            place(&mut nodes, path, value)?;
        }
        for (path, value) in &self.deletes {
            let Some(known) = path.find(item) else { continue };
            if known.kind() != Value::of(value).kind() {
                return Err(self.wrong_type());
            }
            let taken: BTreeSet<&[u8]> = Value::of(value).members().collect();
            let rest: Vec<&[u8]> = known.members().filter(|member| !taken.contains(member)).collect();
            if rest.is_empty() {
                remove(&mut nodes, path)?;
            } else {
                let mut out = Vec::new();
                put_set(&mut out, known.kind(), rest);
                place(&mut nodes, path, out)?;
            }
        }
        for path in &self.removes {
            remove(&mut nodes, path)?;
        }
        Ok(encoded(&nodes))
    }

    fn wrong_type(&self) -> Fault {
        Fault::invalid(if self.is_legacy { WRONG_LEGACY_TYPE } else { WRONG_TYPE })
    }

    fn added(&self, known: Option<Value<'_>>, value: Value<'_>) -> Result<Vec<u8>, Fault> {
        let Some(known) = known else { return Ok(value.bytes().to_vec()) };
        if known.kind() != value.kind() {
            return Err(self.wrong_type());
        }
        let mut out = Vec::new();
        match value.kind() {
            Type::N => put_number(&mut out, &known.number().plus(&value.number())?),
            Type::L => put(&mut out, Type::L, &[known.content(), value.content()].concat()),
            kind => {
                let all: BTreeSet<&[u8]> = known.members().chain(value.members()).collect();
                put_set(&mut out, kind, all);
            }
        }
        Ok(out)
    }
}

impl Term {
    fn value<'a>(&'a self, item: Item<'a>) -> Result<Cow<'a, [u8]>, Fault> {
        match self {
            Term::Value(value) => Ok(Cow::Borrowed(value)),
            Term::Path(path) => {
                let found = path.find(item).ok_or_else(|| Fault::invalid(MISSING))?;
                Ok(Cow::Borrowed(found.bytes()))
            }
            Term::IfNotExists(path, other) => match path.find(item) {
                Some(found) => Ok(Cow::Borrowed(found.bytes())),
                None => other.value(item),
            },
            Term::ListAppend(one, other) => {
                let (one, other) = (one.value(item)?, other.value(item)?);
                let (one, other) = (Value::of(&one), Value::of(&other));
                if one.kind() != Type::L || other.kind() != Type::L {
                    return Err(Fault::invalid(WRONG_TYPE));
                }
                let mut out = Vec::new();
                put(&mut out, Type::L, &[one.content(), other.content()].concat());
                Ok(Cow::Owned(out))
            }
            Term::Plus(one, other) | Term::Minus(one, other) => {
                let (one, other) = (one.value(item)?, other.value(item)?);
                let (one, other) = (Value::of(&one), Value::of(&other));
                if one.kind() != Type::N || other.kind() != Type::N {
                    return Err(Fault::invalid(WRONG_TYPE));
                }
                let result = match self {
                    Term::Plus(..) => one.number().plus(&other.number()),
                    _ => one.number().minus(&other.number()),
                }?;
                let mut out = Vec::new();
                put_number(&mut out, &result);
                Ok(Cow::Owned(out))
            }
        }
    }
}

type Nodes<'a> = BTreeMap<&'a str, Node<'a>>;

/// The map or list in which the last part of a path lies, taken apart.
fn parent<'n, 'a>(nodes: &'n mut Nodes<'a>, path: &Path) -> Result<&'n mut Node<'a>, Fault> {
    let wrong = || Fault::invalid(WRONG_PATH);
    let mut at = nodes.get_mut(path.root()).ok_or_else(wrong)?;
    at.open();
    for part in &path.0[1..path.0.len() - 1] {
        at = match (at, part) {
            (Node::Map(entries), Part::Name(name)) => entries.get_mut(&**name).ok_or_else(wrong)?,
            (Node::List(items, _), Part::Index(index)) => {
                items.get_mut(*index).and_then(Option::as_mut).ok_or_else(wrong)?
            }
            _ => return Err(wrong()),
        };
        at.open();
    }
    Ok(at)
}

fn place<'a>(nodes: &mut Nodes<'a>, path: &'a Path, value: Vec<u8>) -> Result<(), Fault> {
    if path.is_root() {
        nodes.insert(path.root(), Node::New(value));
        return Ok(());
    }
    match (parent(nodes, path)?, path.0.last()) {
        (Node::Map(entries), Some(Part::Name(name))) => {
            entries.insert(name, Node::New(value));
        }
        (Node::List(items, more), Some(Part::Index(index))) => match items.get_mut(*index) {
            Some(item) => *item = Some(Node::New(value)),
            None => {
                more.insert(*index, Node::New(value));
            }
        },
        _ => return Err(Fault::invalid(WRONG_PATH)),
    }
    Ok(())
}

/// Removes what lies at a path. Nothing there is no fault, but its parent must be there.
fn remove(nodes: &mut Nodes<'_>, path: &Path) -> Result<(), Fault> {
    if path.is_root() {
        nodes.remove(path.root());
        return Ok(());
    }
    match (parent(nodes, path)?, path.0.last()) {
        (Node::Map(entries), Some(Part::Name(name))) => {
            entries.remove(&**name);
        }
        (Node::List(items, _), Some(Part::Index(index))) => {
            if let Some(item) = items.get_mut(*index) {
                *item = None;
            }
        }
        _ => return Err(Fault::invalid(WRONG_PATH)),
    }
    Ok(())
}
