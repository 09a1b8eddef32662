//! A value in bytes: a tag, and for most types a length and the content. Members of maps are sorted by name, members of sets by value.
//!
//! An item is the content of a map. [`Node`] is a value that is being changed: only what lies on a path is taken apart.

use std::collections::BTreeMap;

use kernel::codec::{Reader, put_bytes, put_u64};

use crate::number::Number;

/// Bytes of an item, names included (facts/dynamodb.md § 3).
pub const ITEM_BYTES: usize = 409_600;

/// Maps and lists around a value (facts/dynamodb.md § 3).
pub const LEVELS: usize = 31;

/// The types of values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Type {
    /// A text.
    S = 1,
    /// A number.
    N,
    /// Bytes.
    B,
    /// Texts.
    Ss,
    /// Numbers.
    Ns,
    /// Several byte strings.
    Bs,
    /// A map.
    M,
    /// A list.
    L,
    /// Nothing.
    Null,
    /// A truth value.
    Bool,
}

impl Type {
    /// As in requests, in the order in which AWS lists them in refusals.
    pub const NAMES: [(&'static str, Type); 10] = [
        ("B", Type::B),
        ("NULL", Type::Null),
        ("SS", Type::Ss),
        ("BOOL", Type::Bool),
        ("L", Type::L),
        ("BS", Type::Bs),
        ("N", Type::N),
        ("NS", Type::Ns),
        ("S", Type::S),
        ("M", Type::M),
    ];

    /// The type of this name.
    pub fn from_name(name: &str) -> Option<Type> {
        Type::NAMES.iter().find(|(other, _)| *other == name).map(|(_, kind)| *kind)
    }

    /// AWS's short name of it.
    pub fn name(self) -> &'static str {
        Type::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// AWS's long name of it, as refusals of updates have it.
    pub fn long_name(self) -> &'static str {
        match self {
            Type::S => "STRING",
            Type::N => "NUMBER",
            Type::B => "BINARY",
            Type::Ss => "STRING_SET",
            Type::Ns => "NUMBER_SET",
            Type::Bs => "BINARY_SET",
            Type::M => "MAP",
            Type::L => "LIST",
            Type::Null => "NULL",
            Type::Bool => "BOOLEAN",
        }
    }

    /// The type of a set's members.
    pub fn member(self) -> Option<Type> {
        match self {
            Type::Ss => Some(Type::S),
            Type::Ns => Some(Type::N),
            Type::Bs => Some(Type::B),
            _ => None,
        }
    }

    /// Whether values of it have an order.
    pub fn is_ordered(self) -> bool {
        matches!(self, Type::S | Type::N | Type::B)
    }
}

/// The tag of `true`; `false` has that of [`Type::Bool`].
const TRUE: u8 = 11;

/// A value that lies in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Value<'a>(&'a [u8]);

impl<'a> Value<'a> {
    /// The value that these bytes are.
    pub fn of(bytes: &'a [u8]) -> Value<'a> {
        Value(bytes)
    }

    /// The bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Its type. Bytes that are no value count as nothing.
    pub fn kind(self) -> Type {
        match self.0.first() {
            Some(1) => Type::S,
            Some(2) => Type::N,
            Some(3) => Type::B,
            Some(4) => Type::Ss,
            Some(5) => Type::Ns,
            Some(6) => Type::Bs,
            Some(7) => Type::M,
            Some(8) => Type::L,
            Some(10 | 11) => Type::Bool,
            _ => Type::Null,
        }
    }

    /// What follows the tag and the length; nothing for truth values.
    pub fn content(self) -> &'a [u8] {
        let mut reader = Reader::new(self.0.get(1..).unwrap_or_default());
        reader.bytes().unwrap_or_default()
    }

    /// A text.
    pub fn text(self) -> &'a str {
        std::str::from_utf8(self.content()).unwrap_or_default()
    }

    /// A number.
    pub fn number(self) -> Number {
        Number::decode(self.content())
    }

    /// Whether it is `true`.
    pub fn is_true(self) -> bool {
        self.0.first() == Some(&TRUE)
    }

    /// The contents of a set's members, in their order.
    pub fn members(self) -> impl Iterator<Item = &'a [u8]> {
        let mut reader = Reader::new(self.content());
        std::iter::from_fn(move || if reader.is_empty() { None } else { reader.bytes().ok() })
    }

    /// The items of a list.
    pub fn items(self) -> impl Iterator<Item = Value<'a>> {
        let mut rest = self.content();
        std::iter::from_fn(move || {
            let (value, behind) = split(rest)?;
            rest = behind;
            Some(value)
        })
    }

    /// The members of a map.
    pub fn entries(self) -> Entries<'a> {
        Entries(self.content())
    }

    /// Bytes that count towards the size of an item.
    pub fn size(self) -> usize {
        match self.kind() {
            Type::S | Type::B => self.content().len(),
            Type::N => self.number().size(),
            Type::Null | Type::Bool => 1,
            Type::Ss | Type::Bs => self.members().map(<[u8]>::len).sum(),
            Type::Ns => self.members().map(|member| Number::decode(member).size()).sum(),
            Type::L => 3 + self.items().map(|item| 1 + item.size()).sum::<usize>(),
            Type::M => 3 + self.entries().map(|(name, value)| 1 + name.len() + value.size()).sum::<usize>(),
        }
    }

    /// Maps and lists around the innermost value, this one included.
    pub fn levels(self) -> usize {
        match self.kind() {
            Type::L => 1 + self.items().map(Value::levels).max().unwrap_or(0),
            Type::M => 1 + self.entries().map(|(_, value)| value.levels()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

/// The first value of some bytes, and what is behind it.
fn split(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let tag = *bytes.first()?;
    let mut reader = Reader::new(&bytes[1..]);
    if tag < Type::Null as u8 {
        reader.bytes().ok()?;
    }
    let len = bytes.len() - reader.rest().len();
    Some((Value(&bytes[..len]), &bytes[len..]))
}

/// The members of a map or of an item, sorted by name.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let mut reader = Reader::new(self.0);
        let name = reader.str().ok()?;
        let (value, rest) = split(reader.rest())?;
        self.0 = rest;
        Some((name, value))
    }
}

/// An item: the content of a map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item<'a>(pub &'a [u8]);

impl<'a> Item<'a> {
    /// Its attributes, sorted by name.
    pub fn entries(self) -> Entries<'a> {
        Entries(self.0)
    }

    /// An attribute.
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        self.entries().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Bytes that count towards the limit of an item.
    pub fn size(self) -> usize {
        self.entries().map(|(name, value)| name.len() + value.size()).sum()
    }
}

/// Appends a value of a type with a length.
pub fn put(out: &mut Vec<u8>, kind: Type, content: &[u8]) {
    out.push(kind as u8);
    put_bytes(out, content);
}

/// Appends a text.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, Type::S, text.as_bytes());
}

/// Appends a number.
pub fn put_number(out: &mut Vec<u8>, number: &Number) {
    let mut content = Vec::with_capacity(24);
    number.encode(&mut content);
    put(out, Type::N, &content);
}

/// Appends a truth value.
pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { TRUE } else { Type::Bool as u8 });
}

/// Appends nothing.
pub fn put_null(out: &mut Vec<u8>) {
    out.push(Type::Null as u8);
}

/// Appends a set of members that are sorted and differ.
pub fn put_set<'m>(out: &mut Vec<u8>, kind: Type, members: impl IntoIterator<Item = &'m [u8]>) {
    let mut content = Vec::new();
    members.into_iter().for_each(|member| put_bytes(&mut content, member));
    put(out, kind, &content);
}

/// The content of a map, or an item.
pub fn content_of<'m>(entries: impl IntoIterator<Item = (&'m str, &'m [u8])>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in entries {
        put_bytes(&mut out, name.as_bytes());
        out.extend_from_slice(value);
    }
    out
}

/// A value that is being changed.
#[derive(Clone, PartialEq, Debug)]
pub enum Node<'a> {
    /// A value as it lies in bytes.
    Plain(Value<'a>),
    /// A new value.
    New(Vec<u8>),
    /// A map that was taken apart.
    Map(BTreeMap<&'a str, Node<'a>>),
    /// A list that was taken apart. What was removed keeps its place until the end; what was set behind the end comes in the order of
    /// its indexes.
    List(Vec<Option<Node<'a>>>, BTreeMap<usize, Node<'a>>),
}

impl<'a> Node<'a> {
    /// An item that is being changed.
    pub fn of_item(item: Item<'a>) -> BTreeMap<&'a str, Node<'a>> {
        item.entries().map(|(name, value)| (name, Node::Plain(value))).collect()
    }

    /// Takes a map or a list apart, so that its members can be changed.
    pub fn open(&mut self) {
        let Node::Plain(value) = *self else { return };
        match value.kind() {
            Type::M => *self = Node::Map(value.entries().map(|(name, it)| (name, Node::Plain(it))).collect()),
            Type::L => {
                *self = Node::List(value.items().map(|it| Some(Node::Plain(it))).collect(), BTreeMap::new());
            }
            _ => {}
        }
    }

    /// Appends the value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Node::Plain(value) => out.extend_from_slice(value.bytes()),
            Node::New(bytes) => out.extend_from_slice(bytes),
            Node::Map(entries) => put(out, Type::M, &encoded(entries)),
            Node::List(items, more) => {
                let mut content = Vec::new();
                items.iter().flatten().chain(more.values()).for_each(|item| item.encode(&mut content));
                put(out, Type::L, &content);
            }
        }
    }
}

/// The content of a map, or an item.
pub fn encoded(entries: &BTreeMap<&str, Node<'_>>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, node) in entries {
        put_u64(&mut out, name.len() as u64);
        out.extend_from_slice(name.as_bytes());
        node.encode(&mut out);
    }
    out
}
