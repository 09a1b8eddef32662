//! Conditions, and whether an item meets them (facts/dynamodb.md § 8).

use std::borrow::Cow;

use super::path::Path;
use crate::number::Number;
use crate::value::{Item, Type, Value, put_number};

/// An operand of a condition.
#[derive(Clone, PartialEq, Debug)]
pub enum Operand {
    /// What lies at a path.
    Path(Path),
    /// A value of the request.
    Value(Vec<u8>),
    /// The size of another.
    Size(Box<Operand>),
}

/// How two operands are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // Each says it.
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A condition.
#[derive(Clone, PartialEq, Debug)]
pub enum Condition {
    /// Both hold.
    And(Box<Condition>, Box<Condition>),
    /// One holds.
    Or(Box<Condition>, Box<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// Two operands are compared.
    Compare(Operand, Comparison, Operand),
    /// The first lies between the others, or is one of them.
    Between(Operand, Operand, Operand),
    /// The first equals one of the others.
    In(Operand, Vec<Operand>),
    /// There is something at a path.
    Exists(Path),
    /// It has this type.
    Is(Operand, Type),
    /// The first begins with the second.
    BeginsWith(Operand, Operand),
    /// The first contains the second: as a part of a text or of bytes, or as a member of a set or a list.
    Contains(Operand, Operand),
}

impl Operand {
    fn value<'i>(&'i self, item: Item<'i>) -> Option<Cow<'i, [u8]>> {
        match self {
            Operand::Path(path) => path.find(item).map(|value| Cow::Borrowed(value.bytes())),
            Operand::Value(value) => Some(Cow::Borrowed(value)),
            Operand::Size(of) => {
                let of = of.value(item)?;
                let size = size(Value::of(&of))?;
                let mut out = Vec::new();
                // A size is far below what a number can be.
                put_number(&mut out, &Number::parse(&size.to_string()).unwrap_or_default());
                Some(Cow::Owned(out))
            }
        }
    }

    /// The path, if it is one.
    fn path(&self) -> Option<&Path> {
        match self {
            Operand::Path(path) => Some(path),
            Operand::Value(_) => None,
            Operand::Size(of) => of.path(),
        }
    }
}

/// What `size` gives; none for values without a size. Whether the size of a text counts bytes or characters is not recorded: here bytes, as
/// in the size of an item.
fn size(value: Value<'_>) -> Option<usize> {
    match value.kind() {
        Type::S | Type::B => Some(value.content().len()),
        Type::Ss | Type::Ns | Type::Bs => Some(value.members().count()),
        Type::L => Some(value.items().count()),
        Type::M => Some(value.entries().count()),
        Type::N | Type::Null | Type::Bool => None,
    }
}

impl Condition {
    /// Whether an item meets the condition.
    pub fn holds(&self, item: Item<'_>) -> bool {
        match self {
            Condition::And(one, other) => one.holds(item) && other.holds(item),
            Condition::Or(one, other) => one.holds(item) || other.holds(item),
            Condition::Not(condition) => !condition.holds(item),
            Condition::Exists(path) => path.find(item).is_some(),
            Condition::Compare(left, comparison, right) => {
                compare(left.value(item).as_deref(), *comparison, right.value(item).as_deref())
            }
            Condition::Between(operand, low, high) => {
                let value = operand.value(item);
                let (low, high) = (low.value(item), high.value(item));
                compare(value.as_deref(), Comparison::GreaterOrEqual, low.as_deref())
                    && compare(value.as_deref(), Comparison::LessOrEqual, high.as_deref())
            }
            Condition::In(operand, others) => {
                let Some(value) = operand.value(item) else { return false };
                others.iter().any(|other| other.value(item).is_some_and(|other| other == value))
            }
            Condition::Is(operand, kind) => {
                operand.value(item).is_some_and(|value| Value::of(&value).kind() == *kind)
            }
            Condition::BeginsWith(operand, beginning) => {
                let (Some(value), Some(beginning)) = (operand.value(item), beginning.value(item)) else {
                    return false;
                };
                let (value, beginning) = (Value::of(&value), Value::of(&beginning));
                value.kind() == beginning.kind()
                    && matches!(value.kind(), Type::S | Type::B)
                    && value.content().starts_with(beginning.content())
            }
            Condition::Contains(operand, part) => {
                let (Some(value), Some(part)) = (operand.value(item), part.value(item)) else {
                    return false;
                };
                contains(Value::of(&value), Value::of(&part))
            }
        }
    }

    /// Calls `each` with every path that occurs.
    pub fn each_path<'c>(&'c self, each: &mut dyn FnMut(&'c Path)) {
        let mut operands = |operands: &[&'c Operand]| {
            operands.iter().filter_map(|operand| operand.path()).for_each(&mut *each);
        };
        match self {
            Condition::And(one, other) | Condition::Or(one, other) => {
                one.each_path(each);
                other.each_path(each);
            }
            Condition::Not(condition) => condition.each_path(each),
            Condition::Exists(path) => each(path),
            Condition::Compare(one, _, other)
            | Condition::BeginsWith(one, other)
            | Condition::Contains(one, other) => operands(&[one, other]),
            Condition::Between(one, low, high) => operands(&[one, low, high]),
            Condition::In(one, others) => {
                operands(&[one]);
                others.iter().for_each(|other| operands(&[other]));
            }
            Condition::Is(one, _) => operands(&[one]),
        }
    }
}

/// Values of different types, and what is missing, are unequal and have no order.
fn compare(left: Option<&[u8]>, comparison: Comparison, right: Option<&[u8]>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return comparison == Comparison::NotEqual };
    match comparison {
        Comparison::Equal => return left == right,
        Comparison::NotEqual => return left != right,
        _ => {}
    }
    let (left, right) = (Value::of(left), Value::of(right));
    if left.kind() != right.kind() || !left.kind().is_ordered() {
        return false;
    }
    let order = left.content().cmp(right.content());
    match comparison {
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        _ => order.is_ge(),
    }
}

fn contains(value: Value<'_>, part: Value<'_>) -> bool {
    match value.kind() {
        Type::S if part.kind() == Type::S => value.text().contains(part.text()),
        Type::B if part.kind() == Type::B => {
            let part = part.content();
            part.is_empty() || value.content().windows(part.len()).any(|window| window == part)
        }
        Type::L => value.items().any(|item| item == part),
        kind if kind.member() == Some(part.kind()) => value.members().any(|member| member == part.content()),
        _ => false,
    }
}
