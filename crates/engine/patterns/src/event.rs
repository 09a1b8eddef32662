//! A parsed message: values with their paths, and with the array elements that contain them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::json::{Malformed, Token, Tokens};
use crate::number;

/// One value of an event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    String(Cow<'a, str>),
    Number {
        text: Cow<'a, str>,
        /// See [`number::comparable`].
        value: Option<f64>,
    },
    True,
    False,
    Null,
}

/// A value, and the innermost array element that contains it and is an object or an array itself.
#[derive(Clone, Debug)]
pub(crate) struct Field<'a> {
    pub value: Value<'a>,
    pub scope: u32,
}

/// An array element that is an object or an array (or, as number 0, the whole event).
///
/// Scopes are numbered in the order of the text, so the scopes inside of one have the numbers from its own up
/// to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// The scope that contains the array.
    pub parent: u32,
    /// The array of the event whose element this is.
    pub array: u32,
    /// The first scope behind this one that is not inside of it.
    pub end: u32,
}

/// The scopes of an array's elements and of everything in them: from `first` up to, not including, `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Array {
    pub first: u32,
    pub end: u32,
}

/// The path of a value: the names from the outermost inwards, split at dots. So `{"a.b": 1}` and `{"a": {"b":
/// 1}}` have the same path, as in AWS.
type Node = u32;
const ROOT: Node = 0;

/// The names that every event of a bus has: they are not copied for each.
const USUAL: [&str; 9] =
    ["version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"];

/// Most events have no more paths and fields than these.
const USUAL_PATHS: usize = 16;

/// So many paths are looked through one by one, which costs less than a tree of them: most events have no more.
const FEW: usize = 32;

/// A message, parsed once, to be compared with any number of patterns.
#[derive(Clone, Debug, Default)]
pub struct Event<'a> {
    /// Each path by its parent and its last name, once there are more than [`FEW`].
    children: BTreeMap<(Node, Cow<'a, str>), Node>,
    /// The parent and the last name of each path.
    parents: Vec<(Node, Cow<'a, str>)>,
    /// The fields, ordered by path, and within one path as in the text.
    fields: Vec<Field<'a>>,
    /// The range in `fields` of each path.
    ranges: Vec<(u32, u32)>,
    scopes: Vec<Scope>,
    arrays: Vec<Array>,
    unmatchable: bool,
}

impl<'a> Event<'a> {
    /// Parses a JSON text: the body of an SNS message (scope `MessageBody`), or an event of EventBridge.
    ///
    /// Numbers keep their spelling. No pattern matches a text that is not a JSON object
    /// ([`is_unmatchable`](Self::is_unmatchable)): SNS counts such bodies as filtered out (facts, SNS § 11).
    pub fn from_json(text: &'a str) -> Event<'a> {
        let mut builder = Builder::new();
        match builder.document(text) {
            Ok(true) => builder.finish(),
            Ok(false) | Err(_) => Event::unmatchable(),
        }
    }

    /// Creates an event from the attributes of an SNS message (scope `MessageAttributes`): name, data type,
    /// string value.
    ///
    /// A `Number` is compared as a number, a `String` as a string, and any element of a `String.Array` (the
    /// text of a JSON array) matches. Custom types (`Number.int`) count as the types that they extend.
    /// `Binary` is ignored. If a `String.Array` is not the text of an array of strings, numbers, `true`,
    /// `false` and `null`, no policy matches: AWS counts such messages as filtered out for invalid
    /// attributes.
    pub fn from_attributes(attributes: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Event<'a> {
        let mut builder = Builder::new();
        for (name, data_type, value) in attributes {
            let node = builder.path(ROOT, Cow::Borrowed(name));
            let (base, custom) = data_type.split_once('.').unwrap_or((data_type, ""));
            match (base, custom) {
                ("String", "Array") => match builder.flat_array(node, value) {
                    Ok(true) => {}
                    Ok(false) | Err(_) => return Event::unmatchable(),
                },
                ("String", _) => builder.add(node, Value::String(Cow::Borrowed(value))),
                ("Number", _) => builder.add(node, number_value(Cow::Borrowed(value))),
                _ => {}
            }
        }
        builder.finish()
    }

    /// Returns the same event with its own copy of the text.
    pub fn into_owned(self) -> Event<'static> {
        let owned = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        let owned_name = |name: Cow<'a, str>| match USUAL.iter().find(|usual| **usual == name) {
            Some(usual) => Cow::Borrowed(*usual),
            None => Cow::Owned(name.into_owned()),
        };
        let field = |field: Field<'a>| Field {
            scope: field.scope,
            value: match field.value {
                Value::String(text) => Value::String(owned(text)),
                Value::Number { text, value } => Value::Number { text: owned(text), value },
                Value::True => Value::True,
                Value::False => Value::False,
                Value::Null => Value::Null,
            },
        };
        Event {
            children: self
                .children
                .into_iter()
                .map(|((node, name), child)| ((node, owned_name(name)), child))
                .collect(),
            parents: self.parents.into_iter().map(|(node, name)| (node, owned_name(name))).collect(),
            fields: self.fields.into_iter().map(field).collect(),
            ranges: self.ranges,
            scopes: self.scopes,
            arrays: self.arrays,
            unmatchable: self.unmatchable,
        }
    }

    /// Returns whether nothing can match, because the body was not a JSON object, or a `String.Array` not an
    /// array.
    pub fn is_unmatchable(&self) -> bool {
        self.unmatchable
    }

    fn unmatchable() -> Event<'a> {
        Event { unmatchable: true, ..Event::default() }
    }

    /// Returns the fields at a path (names joined with dots), in the order of the text.
    pub(crate) fn at(&self, path: &str) -> &[Field<'a>] {
        let mut node = ROOT;
        for name in path.split('.') {
            match self.child(node, name) {
                Some(child) => node = child,
                None => return &[],
            }
        }
        self.at_place(node)
    }

    fn child(&self, node: Node, name: &str) -> Option<Node> {
        if self.parents.len() > FEW {
            return self.children.get(&(node, Cow::Borrowed(name))).copied();
        }
        // The root is nobody's child.
        let found = self.parents.iter().skip(1).position(|(parent, other)| *parent == node && other == name);
        found.map(|place| place as Node + 1)
    }

    fn at_place(&self, node: Node) -> &[Field<'a>] {
        let (from, to) = self.ranges[node as usize];
        &self.fields[from as usize..to as usize]
    }

    /// Returns the number of paths, with or without fields.
    pub(crate) fn place_count(&self) -> usize {
        self.parents.len()
    }

    /// Calls `visit` with every path that has fields and is not longer than `longest`, and with its fields.
    pub(crate) fn each_place(&self, longest: usize, mut visit: impl FnMut(&str, &[Field<'a>])) {
        let mut path = String::new();
        let mut names: Vec<&str> = Vec::new();
        for node in 1..self.parents.len() as Node {
            let fields = self.at_place(node);
            if fields.is_empty() {
                continue;
            }
            names.clear();
            let mut length = 0;
            let mut at = node;
            while at != ROOT && length <= longest {
                let (parent, name) = &self.parents[at as usize];
                names.push(name);
                length += name.len() + 1;
                at = *parent;
            }
            if length > longest + 1 {
                continue;
            }
            path.clear();
            for (depth, name) in names.iter().rev().enumerate() {
                if depth > 0 {
                    path.push('.');
                }
                path.push_str(name);
            }
            visit(&path, fields);
        }
    }

    pub(crate) fn scope(&self, scope: u32) -> Scope {
        self.scopes[scope as usize]
    }

    pub(crate) fn array(&self, array: u32) -> Array {
        self.arrays[array as usize]
    }

    /// Returns whether any value is in an array element that is an object or an array.
    pub(crate) fn has_scopes(&self) -> bool {
        self.scopes.len() > 1
    }
}

fn number_value(text: Cow<'_, str>) -> Value<'_> {
    let value = number::comparable(&text);
    Value::Number { text, value }
}

struct Builder<'a> {
    event: Event<'a>,
    places: Vec<Node>,
}

impl<'a> Builder<'a> {
    fn new() -> Self {
        let mut event = Event::default();
        event.parents.reserve(USUAL_PATHS);
        event.fields.reserve(USUAL_PATHS);
        event.parents.push((ROOT, Cow::Borrowed("")));
        event.scopes.push(Scope { parent: 0, array: u32::MAX, end: u32::MAX });
        Builder { event, places: Vec::with_capacity(USUAL_PATHS) }
    }

    /// Returns whether the text is an object.
    fn document(&mut self, text: &'a str) -> Result<bool, Malformed> {
        let mut tokens = Tokens::new(text);
        if tokens.next()? != Token::ObjectStart {
            return Ok(false);
        }
        self.object(&mut tokens, ROOT, 0)?;
        Ok(tokens.next()? == Token::End)
    }

    // The token reader bounds the depth of this recursion.
    fn object(&mut self, tokens: &mut Tokens<'a>, node: Node, scope: u32) -> Result<(), Malformed> {
        while tokens.next()? == Token::Name {
            let place = self.path(node, tokens.name().clone());
            match tokens.next()? {
                Token::ObjectStart => self.object(tokens, place, scope)?,
                Token::ArrayStart => self.array(tokens, place, scope)?,
                token => self.scalar(tokens, token, place, scope)?,
            }
        }
        Ok(())
    }

    fn array(&mut self, tokens: &mut Tokens<'a>, place: Node, scope: u32) -> Result<(), Malformed> {
        let array = self.event.arrays.len() as u32;
        let first = self.event.scopes.len() as u32;
        self.event.arrays.push(Array { first, end: first });
        loop {
            match tokens.next()? {
                Token::ArrayEnd => break,
                token @ (Token::ObjectStart | Token::ArrayStart) => {
                    let element = self.event.scopes.len() as u32;
                    self.event.scopes.push(Scope { parent: scope, array, end: element + 1 });
                    if token == Token::ObjectStart {
                        self.object(tokens, place, element)?;
                    } else {
                        self.array(tokens, place, element)?;
                    }
                    self.event.scopes[element as usize].end = self.event.scopes.len() as u32;
                }
                token => self.scalar(tokens, token, place, scope)?,
            }
        }
        self.event.arrays[array as usize].end = self.event.scopes.len() as u32;
        Ok(())
    }

    fn scalar(
        &mut self,
        tokens: &mut Tokens<'a>,
        token: Token,
        place: Node,
        scope: u32,
    ) -> Result<(), Malformed> {
        let value = match token {
            Token::String => Value::String(tokens.text()?),
            Token::Number => number_value(tokens.text()?),
            Token::True => Value::True,
            Token::False => Value::False,
            _ => Value::Null,
        };
        self.add_in(place, value, scope);
        Ok(())
    }

    /// Returns whether the text is an array of values that are neither objects nor arrays.
    fn flat_array(&mut self, place: Node, text: &'a str) -> Result<bool, Malformed> {
        let mut tokens = Tokens::new(text);
        if tokens.next()? != Token::ArrayStart {
            return Ok(false);
        }
        loop {
            match tokens.next()? {
                Token::ArrayEnd => return Ok(tokens.next()? == Token::End),
                Token::ObjectStart | Token::ArrayStart => return Ok(false),
                token => self.scalar(&mut tokens, token, place, 0)?,
            }
        }
    }

    fn add(&mut self, place: Node, value: Value<'a>) {
        self.add_in(place, value, 0);
    }

    fn add_in(&mut self, place: Node, value: Value<'a>, scope: u32) {
        self.event.fields.push(Field { value, scope });
        self.places.push(place);
    }

    /// Returns the path of a name below another path; a name with dots counts as several names.
    fn path(&mut self, node: Node, name: Cow<'a, str>) -> Node {
        if !name.as_bytes().contains(&b'.') {
            return self.child(node, name);
        }
        match name {
            Cow::Borrowed(name) => {
                name.split('.').fold(node, |node, name| self.child(node, Cow::Borrowed(name)))
            }
            Cow::Owned(name) => {
                name.split('.').fold(node, |node, name| self.child(node, Cow::Owned(name.to_owned())))
            }
        }
    }

    fn child(&mut self, node: Node, name: Cow<'a, str>) -> Node {
        let event = &mut self.event;
        if let Some(child) = event.child(node, &name) {
            return child;
        }
        event.parents.push((node, name));
        let child = event.parents.len() as Node - 1;
        let new = match event.parents.len() {
            0..=FEW => 0..0,
            // The first of them are looked up in the tree, too, from now on.
            many if many == FEW + 1 => 1..many,
            many => many - 1..many,
        };
        for place in new {
            let (parent, name) = event.parents[place].clone();
            event.children.insert((parent, name), place as Node);
        }
        child
    }

    /// Orders the fields by path.
    fn finish(self) -> Event<'a> {
        let mut event = self.event;
        let mut order: Vec<u32> = (0..event.fields.len() as u32).collect();
        order.sort_by_key(|&field| self.places[field as usize]);
        event.ranges = vec![(0, 0); event.parents.len()];
        for (position, &field) in order.iter().enumerate() {
            let range = &mut event.ranges[self.places[field as usize] as usize];
            if range.0 == range.1 {
                range.0 = position as u32;
            }
            range.1 = position as u32 + 1;
        }
        if !order.is_sorted() {
            let mut fields: Vec<Option<Field<'a>>> = event.fields.into_iter().map(Some).collect();
            event.fields = order.iter().filter_map(|&field| fields[field as usize].take()).collect();
        }
        event
    }
}
