//! Expressions: conditions and filters, projections, updates and key conditions, with AWS's refusals (facts/dynamodb.md § 6, § 8).

mod reserved;

mod path;
pub use path::{Part, Path, check_overlap, shown};

mod scope;
pub use scope::Scope;

mod tokens;

mod parser;

mod condition;
pub use condition::{Comparison, Condition, Operand};

mod key_condition;
pub use key_condition::{KeyCondition, KeyTest};

mod projection;
pub use projection::Projection;

#[cfg(test)]
mod tests;

use crate::Fault;
use crate::update::Update;
use parser::Parser;

/// Bytes of an expression, as it was written.
const BYTES: usize = 4096;
/// Operators and functions of an expression.
const OPERATORS: usize = 300;
/// Operands of `IN`, the left one included.
const OPERANDS: usize = 100;

/// Reads a condition; `what` is the parameter's name, such as `FilterExpression`.
pub fn condition(what: &'static str, text: &str, scope: &mut Scope) -> Result<Condition, Fault> {
    let mut parser = Parser::new(what, text, scope)?;
    let condition = parser.condition()?;
    parser.end()?;
    Ok(condition)
}

/// Reads a projection.
pub fn projection(text: &str, scope: &mut Scope) -> Result<Projection, Fault> {
    let mut parser = Parser::new("ProjectionExpression", text, scope)?;
    let paths = parser.paths()?;
    parser.end()?;
    check_overlap("ProjectionExpression", paths.iter())?;
    Ok(Projection::of(paths))
}

/// Reads an update.
pub fn update(text: &str, scope: &mut Scope) -> Result<Update, Fault> {
    let mut parser = Parser::new("UpdateExpression", text, scope)?;
    let update = parser.update()?;
    parser.end()?;
    check_overlap("UpdateExpression", update.paths())?;
    Ok(update)
}

/// Reads a key condition: one condition for each attribute of the key that it names.
pub fn key_conditions(text: &str, scope: &mut Scope) -> Result<Vec<KeyCondition>, Fault> {
    key_condition::of(condition(key_condition::NAME, text, scope)?)
}
