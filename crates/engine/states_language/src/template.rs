//! Values of a definition that are made from data: payload templates of JSONPath, and values with JSONata expressions in them.

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::intrinsic::Call;
use crate::jsonata::Expression;
use crate::jsonpath::{NoResult, Path};
use crate::scope::Scope;

/// A value that may depend on data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Template {
    Literal(Value),
    Array(Vec<Template>),
    Object(Vec<(String, Template)>),
    Path(Path),
    Call(Call),
    Expression(Expression),
}

impl Template {
    /// The value. `field` is where the template stands in its state, for errors: `Arguments`.
    pub(crate) fn evaluate(&self, field: &str, scope: &Scope<'_>) -> Result<Value, Failure> {
        self.at(&mut field.to_owned(), scope)
    }

    fn at(&self, field: &mut String, scope: &Scope<'_>) -> Result<Value, Failure> {
        scope.work.take(1)?;
        let length = field.len();
        Ok(match self {
            Template::Literal(value) => {
                scope.work.copy(value)?;
                value.clone()
            }
            Template::Array(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    *field += &format!("[{at}]");
                    values.push(item.at(field, scope)?);
                    field.truncate(length);
                }
                Value::Array(values)
            }
            Template::Object(members) => {
                let mut values = Map::with_capacity(members.len());
                for (name, member) in members {
                    *field += "/";
                    *field += name;
                    values.insert(name.clone(), member.at(field, scope)?);
                    field.truncate(length);
                }
                Value::Object(values)
            }
            Template::Path(path) => path.evaluate(scope).map_err(|none| missing(none, path, field, scope))?,
            Template::Call(call) => call.evaluate(scope)?,
            Template::Expression(expression) => expression.evaluate(field, scope)?,
        })
    }

    /// Adds the variables that the template reads.
    pub(crate) fn variables<'a>(&'a self, into: &mut Vec<&'a str>) {
        match self {
            Template::Literal(_) => {}
            Template::Array(items) => items.iter().for_each(|item| item.variables(into)),
            Template::Object(members) => members.iter().for_each(|(_, member)| member.variables(into)),
            Template::Path(path) => into.extend(path.variable()),
            Template::Call(call) => call.variables(into),
            Template::Expression(expression) => into.extend(expression.variables()),
        }
    }
}

/// The failure of a path in a template. AWS names the member by its name in the definition, with `.$`, and a field by its own.
fn missing(none: NoResult, path: &Path, field: &str, scope: &Scope<'_>) -> Failure {
    if !matches!(none, NoResult::Missing(_)) {
        return none.into();
    }
    let name = match field.rsplit_once('/') {
        Some((_, member)) => format!("{member}.$"),
        None => field.to_owned(),
    };
    Failure::runtime(format!(
        "The JSONPath '{}' specified for the field '{name}' could not be found in the input '{}'",
        path.as_str(),
        scope.input
    ))
}
