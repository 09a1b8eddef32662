//! What the values at one place of events can be, as far as events showed it.

use std::collections::BTreeMap;

use kernel::iso8601;
use serde_json::Value;

/// The kinds of values that were seen at one place. Shapes only grow: one that was merged with another one includes both.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Shape {
    /// `null` was seen.
    pub null: bool,
    /// `true` or `false` was seen.
    pub boolean: bool,
    /// Numbers were seen.
    pub number: Option<Number>,
    /// Texts were seen.
    pub text: Option<Text>,
    /// Lists were seen; this is what their items can be.
    pub list: Option<Box<Shape>>,
    /// Objects were seen, with these properties.
    pub object: Option<BTreeMap<String, Property>>,
}

/// What numbers were seen; what includes more is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Number {
    /// Only whole ones.
    Whole,
    /// Others, too.
    Any,
}

/// What texts were seen; what includes more is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Text {
    /// Only moments, such as `2026-11-30T12:00:00Z`.
    Moment,
    /// Others, too.
    Any,
}

/// A property of objects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Property {
    /// What its values can be.
    pub shape: Shape,
    /// Whether all objects had it.
    pub is_required: bool,
}

impl Shape {
    /// The shape of one value.
    pub fn of(value: &Value) -> Shape {
        let mut shape = Shape::default();
        match value {
            Value::Null => shape.null = true,
            Value::Bool(_) => shape.boolean = true,
            Value::Number(number) => {
                let is_whole = number.is_i64() || number.is_u64();
                shape.number = Some(if is_whole { Number::Whole } else { Number::Any });
            }
            Value::String(text) => {
                shape.text = Some(if is_moment(text) { Text::Moment } else { Text::Any });
            }
            Value::Array(items) => {
                let mut all = Shape::default();
                items.iter().for_each(|item| all.merge(Shape::of(item)));
                shape.list = Some(Box::new(all));
            }
            Value::Object(members) => {
                let property = |(name, value): (&String, &Value)| {
                    (name.clone(), Property { shape: Shape::of(value), is_required: true })
                };
                shape.object = Some(members.iter().map(property).collect());
            }
        }
        shape
    }

    /// Makes this shape include another one. A property that one of them has not is not required.
    pub fn merge(&mut self, other: Shape) {
        self.null |= other.null;
        self.boolean |= other.boolean;
        self.number = self.number.max(other.number);
        self.text = self.text.max(other.text);
        match (&mut self.list, other.list) {
            (Some(items), Some(others)) => items.merge(*others),
            (list, others) => *list = list.take().or(others),
        }
        let Some(mut others) = other.object else { return };
        let Some(properties) = &mut self.object else {
            self.object = Some(others);
            return;
        };
        for (name, property) in properties.iter_mut() {
            match others.remove(name) {
                Some(other) => {
                    property.shape.merge(other.shape);
                    property.is_required &= other.is_required;
                }
                None => property.is_required = false,
            }
        }
        let new =
            others.into_iter().map(|(name, property)| (name, Property { is_required: false, ..property }));
        properties.extend(new);
    }

    /// How many kinds of values and properties it names: its length as a document grows with them.
    pub fn size(&self) -> usize {
        let list = self.list.as_ref().map_or(0, |items| items.size());
        let properties = self.object.iter().flatten().map(|(_, property)| property.shape.size());
        1 + list + properties.sum::<usize>()
    }

    /// Whether merging another one would change nothing.
    pub fn includes(&self, other: &Shape) -> bool {
        let includes_lists = match (&self.list, &other.list) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(items), Some(others)) => items.includes(others),
        };
        let includes_objects = match (&self.object, &other.object) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(properties), Some(others)) => {
                let includes = |(name, other): (&String, &Property)| {
                    let known = properties.get(name);
                    known.is_some_and(|known| {
                        known.shape.includes(&other.shape) && (other.is_required || !known.is_required)
                    })
                };
                let is_there = |(name, property): (&String, &Property)| {
                    !property.is_required || others.contains_key(name)
                };
                others.iter().all(includes) && properties.iter().all(is_there)
            }
        };
        self.null >= other.null
            && self.boolean >= other.boolean
            && self.number >= other.number
            && self.text >= other.text
            && includes_lists
            && includes_objects
    }
}

fn is_moment(text: &str) -> bool {
    text.len() >= "2026-11-30T12:00:00Z".len() && text.as_bytes()[10] == b'T' && iso8601::read(text).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::inference::testing::value;

    fn merged(values: &[Value]) -> Shape {
        let mut shape = Shape::default();
        values.iter().for_each(|value| shape.merge(Shape::of(value)));
        shape
    }

    #[test]
    fn a_shape_says_what_was_seen() {
        let first = json!({"id": 1, "at": "2026-11-30T12:00:00Z", "lines": [{"sku": "a"}, {"sku": "b", "gift": true}]});
        let mut shape = Shape { object: Shape::of(&first).object, ..Shape::default() };
        let properties = shape.object.clone().unwrap();
        assert_eq!(properties["id"].shape.number, Some(Number::Whole));
        assert_eq!(properties["at"].shape.text, Some(Text::Moment));
        let line = properties["lines"].shape.list.clone().unwrap().object.unwrap();
        assert!(line["sku"].is_required && !line["gift"].is_required);

        let second = Shape::of(&json!({"id": 1.5, "at": "soon", "lines": [], "note": null}));
        assert!(!shape.includes(&second));
        shape.merge(second.clone());
        assert!(shape.includes(&second) && shape.includes(&Shape::of(&first)));
        let properties = shape.object.unwrap();
        assert_eq!(properties["id"].shape.number, Some(Number::Any));
        assert_eq!(properties["at"].shape.text, Some(Text::Any));
        assert!(!properties["note"].is_required && properties["lines"].is_required);
    }

    #[test]
    fn a_missing_property_is_a_new_shape_once() {
        let shape = merged(&[json!({"a": 1, "b": 1}), json!({"a": 1})]);
        assert!(!Shape::of(&json!({"a": 1, "b": 1})).includes(&Shape::of(&json!({"a": 1}))));
        assert!(shape.includes(&Shape::of(&json!({"a": 2}))));
        assert!(!shape.includes(&Shape::of(&json!({"b": 2}))));
    }

    proptest! {
        #[test]
        fn shapes_include_exactly_what_merging_does_not_change(values in prop::collection::vec(value(), 1..6), other in value()) {
            let shape = merged(&values);
            for value in &values {
                prop_assert!(shape.includes(&Shape::of(value)));
            }
            let other = Shape::of(&other);
            let mut grown = shape.clone();
            grown.merge(other.clone());
            prop_assert_eq!(shape.includes(&other), grown == shape);
            prop_assert!(grown.includes(&other));
        }
    }
}
