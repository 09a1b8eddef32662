//! Reads the fields of a Choice state.

use serde_json::Value;

use super::reader::{Node, Object, Reader};
use super::{Choice, QueryLanguage, Rule, RuleCondition};
use crate::choice::{COMPARISONS, Comparison, Condition, Kind, Operand, Pattern};
use crate::jsonata::Expression;
use crate::timestamp;

impl Object<'_> {
    pub(super) fn choice(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Choice {
        self.require(&["Choices"], reader);
        let nodes = self.get("Choices").map(|node| reader.items(&node)).unwrap_or_default();
        let rules = nodes.iter().filter_map(|node| reader.rule(node, language)).collect();
        let default = self.get("Default").and_then(|node| reader.text(&node).map(str::to_owned));
        Choice { rules, default }
    }
}

impl Reader<'_> {
    fn rule(&mut self, node: &Node<'_>, language: QueryLanguage) -> Option<Rule> {
        let mut object = self.object(node)?;
        object.check_language(language, self);
        object.get("Comment");
        let condition = match language {
            QueryLanguage::JsonPath => self.condition(&mut object, &["Next"]).map(RuleCondition::Paths),
            QueryLanguage::Jsonata => {
                object.require(&["Condition", "Next"], self);
                object.get("Condition").and_then(|node| self.boolean(&node))
            }
        };
        let next = object.get("Next").and_then(|node| self.text(&node).map(str::to_owned));
        let assign = object.assign(language, self);
        let output = match language {
            QueryLanguage::JsonPath => None,
            QueryLanguage::Jsonata => object.templated("Output", language, self),
        };
        object.close(self);
        Some(Rule { condition: condition?, next: next?, assign, output })
    }

    /// `Condition` of JSONata: an expression, or a truth value.
    fn boolean(&mut self, node: &Node<'_>) -> Option<RuleCondition> {
        match node.value {
            Value::Bool(truth) => Some(RuleCondition::Constant(*truth)),
            Value::String(text) if Expression::within(text).is_some() => {
                let source = Expression::within(text)?;
                self.expression(source, &node.place).map(RuleCondition::Expression)
            }
            _ => {
                self.schema(
                    &node.place,
                    "The value for the field 'Condition' must be a boolean or a JSONata expression",
                );
                None
            }
        }
    }

    /// A comparison, or `And`, `Or`, `Not` of conditions.
    fn condition(&mut self, object: &mut Object<'_>, required: &[&str]) -> Option<Condition> {
        object.require(required, self);
        for (name, join) in [("And", Condition::And as fn(_) -> _), ("Or", Condition::Or)] {
            if let Some(node) = object.get(name) {
                let nodes = self.items(&node);
                let conditions = nodes.iter().map(|node| self.nested(node)).collect::<Vec<_>>();
                return conditions.into_iter().collect::<Option<_>>().map(join);
            }
        }
        if let Some(node) = object.get("Not") {
            return self.nested(&node).map(|condition| Condition::Not(Box::new(condition)));
        }
        self.comparison(object).map(Condition::Compare)
    }

    fn nested(&mut self, node: &Node<'_>) -> Option<Condition> {
        let mut object = self.object(node)?;
        let condition = self.condition(&mut object, &[]);
        object.get("Comment");
        object.close(self);
        condition
    }

    fn comparison(&mut self, object: &mut Object<'_>) -> Option<Comparison> {
        object.require(&["Variable"], self);
        let variable = object.get("Variable").and_then(|node| self.path(&node));
        let mut found = Vec::new();
        for (name, kind) in COMPARISONS {
            found.extend(object.get(name).map(|node| (*kind, node, false)));
            if kind.takes_path() {
                found.extend(object.get(&format!("{name}Path")).map(|node| (*kind, node, true)));
            }
        }
        let [(kind, node, by_path)] = &found[..] else {
            let message = if found.is_empty() {
                "A choice rule must have exactly one comparison operator"
            } else {
                "A choice rule must have only one comparison operator"
            };
            self.schema(&object.place, message);
            return None;
        };
        let operand = if *by_path { self.path(node).map(Operand::Path) } else { self.operand(*kind, node) };
        Some(Comparison { variable: variable?, kind: *kind, operand: operand? })
    }

    /// The value of a comparison, which must be of the comparison's type.
    fn operand(&mut self, kind: Kind, node: &Node<'_>) -> Option<Operand> {
        match kind {
            Kind::Numeric(_) => {
                self.number(node, f64::MIN, f64::MAX)?;
            }
            Kind::String(_) => {
                if !node.value.is_string() {
                    self.expected("String", node);
                }
            }
            Kind::Timestamp(_) => {
                if node.value.as_str().and_then(timestamp::read).is_none() {
                    self.schema(&node.place, "String does not match RFC3339 timestamp");
                }
            }
            Kind::Matches => {
                let pattern = node.value.as_str().and_then(Pattern::parse);
                if pattern.is_none() {
                    self.schema(&node.place, "Value is not a valid pattern");
                }
                return pattern.map(Operand::Pattern);
            }
            _ => {
                self.truth(node)?;
            }
        }
        Some(Operand::Value(node.value.clone()))
    }
}
