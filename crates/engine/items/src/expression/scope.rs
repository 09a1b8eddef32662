//! What `#name` and `:value` stand for, and which of them a request uses.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Fault, json};

/// Names and values of a request, shared by its expressions.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    names: BTreeMap<String, Box<str>>,
    values: BTreeMap<String, Vec<u8>>,
    used: BTreeSet<String>,
}

impl Scope {
    /// Reads the two maps of a request. `wraps`: operations that say for which value a text is meant.
    pub fn read<'v>(
        names: Option<impl IntoIterator<Item = (&'v str, &'v str)>>,
        values: Option<impl IntoIterator<Item = (&'v str, &'v str)>>,
        wraps: bool,
    ) -> Result<Scope, Fault> {
        let mut scope = Scope::default();
        if let Some(names) = names {
            for (key, name) in names {
                check_key(key, '#', "ExpressionAttributeNames")?;
                if name.is_empty() {
                    return Err(Fault::invalid("Empty attribute name"));
                }
                scope.names.insert(key.to_owned(), name.into());
            }
            if scope.names.is_empty() {
                return Err(Fault::invalid("ExpressionAttributeNames must not be empty"));
            }
        }
        if let Some(values) = values {
            for (key, value) in values {
                check_key(key, ':', "ExpressionAttributeValues")?;
                let value = json::read(value).map_err(|fault| match fault {
                    Fault::Validation(text) if wraps => Fault::invalid(format!(
                        "ExpressionAttributeValues contains invalid value: {text} for key {key}"
                    )),
                    fault => fault,
                })?;
                scope.values.insert(key.to_owned(), value);
            }
            if scope.values.is_empty() {
                return Err(Fault::invalid("ExpressionAttributeValues must not be empty"));
            }
        }
        Ok(scope)
    }

    /// Refuses names and values of a request without expressions.
    pub fn check_needed(&self) -> Result<(), Fault> {
        for (is_given, what) in [
            (!self.names.is_empty(), "ExpressionAttributeNames"),
            (!self.values.is_empty(), "ExpressionAttributeValues"),
        ] {
            if is_given {
                return Err(Fault::invalid(format!("{what} can only be specified when using expressions")));
            }
        }
        Ok(())
    }

    /// Refuses names and values that no expression has used.
    pub fn check_used(&self) -> Result<(), Fault> {
        for (keys, what) in [
            (self.names.keys().collect::<Vec<_>>(), "ExpressionAttributeNames"),
            (self.values.keys().collect(), "ExpressionAttributeValues"),
        ] {
            let unused: Vec<&str> =
                keys.into_iter().filter(|key| !self.used.contains(*key)).map(String::as_str).collect();
            if !unused.is_empty() {
                return Err(Fault::invalid(format!(
                    "Value provided in {what} unused in expressions: keys: {{{}}}",
                    unused.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// What a name stands for.
    pub(super) fn name(&mut self, key: &str, what: &str) -> Result<Box<str>, Fault> {
        let Some(name) = self.names.get(key) else {
            return Err(Fault::invalid(format!(
                "Invalid {what}: An expression attribute name used in the document path is not defined; attribute name: {key}"
            )));
        };
        self.used.insert(key.to_owned());
        Ok(name.clone())
    }

    /// What a value stands for.
    pub(super) fn value(&mut self, key: &str, what: &str) -> Result<Vec<u8>, Fault> {
        let Some(value) = self.values.get(key) else {
            return Err(Fault::invalid(format!(
                "Invalid {what}: An expression attribute value used in expression is not defined; attribute value: {key}"
            )));
        };
        self.used.insert(key.to_owned());
        Ok(value.clone())
    }
}

fn check_key(key: &str, sign: char, what: &str) -> Result<(), Fault> {
    let is_word = |rest: &str| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match key.strip_prefix(sign).is_some_and(is_word) {
        true => Ok(()),
        false => Err(Fault::invalid(format!("{what} contains invalid key: Syntax error; key: \"{key}\""))),
    }
}
