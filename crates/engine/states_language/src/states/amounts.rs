//! Numbers and texts in fields that may be written, at a path, or given by an expression.

use serde_json::Value;

use crate::failure::Failure;
use crate::jsonpath::{NoResult, Path};
use crate::scope::Scope;
use crate::template::Template;

/// The value at the path of a field such as `SecondsPath`.
pub(super) fn at_path(path: &Path, scope: &Scope<'_>) -> Result<Value, Failure> {
    path.evaluate(scope).map_err(|none: NoResult| none.in_path(path))
}

/// A whole number that is at least 0. `name` is the field without `Path`.
pub(super) fn whole(template: &Template, name: &str, scope: &Scope<'_>) -> Result<u64, Failure> {
    let (value, path) = match template {
        Template::Path(path) => (at_path(path, scope)?, Some(path)),
        template => (template.evaluate(name, scope)?, None),
    };
    let whole = value.as_i64().or_else(|| value.as_f64().filter(|n| n.fract() == 0.0).map(|n| n as i64));
    match (whole, template) {
        (Some(number), _) if number >= 0 => Ok(number.unsigned_abs()),
        (Some(_), _) if name == "Seconds" && path.is_some() => {
            let path = path.map(Path::as_str).unwrap_or_default();
            Err(Failure::runtime(format!(
                "The {name}Path parameter references a negative value: {path} == {value}"
            )))
        }
        (Some(_), _) => Err(Failure::runtime(format!("{name} cannot be negative."))),
        (None, Template::Expression(expression)) => Err(expression.unexpected(name, "integer", &value)),
        (None, _) => {
            let path = path.map(Path::as_str).unwrap_or_default();
            let value = plain(&value);
            Err(Failure::runtime(format!(
                "The {name}Path field refers to value \"{value}\" which is not a valid integer: {path}"
            )))
        }
    }
}

/// A number from 0 to 100.
pub(super) fn percentage(template: &Template, name: &str, scope: &Scope<'_>) -> Result<f64, Failure> {
    let value = match template {
        Template::Path(path) => at_path(path, scope)?,
        template => template.evaluate(name, scope)?,
    };
    match (value.as_f64(), template) {
        (Some(number), _) if (0.0..=100.0).contains(&number) => Ok(number),
        (None, Template::Expression(expression)) => Err(expression.unexpected(name, "number", &value)),
        _ => Err(Failure::runtime(format!("{name} must be between 0 and 100."))),
    }
}

/// A text.
pub(super) fn text(template: &Template, name: &str, scope: &Scope<'_>) -> Result<String, Failure> {
    let field = match template {
        Template::Path(_) | Template::Call(_) => format!("{name}Path"),
        _ => name.to_owned(),
    };
    match (template.evaluate(&field, scope)?, template) {
        (Value::String(text), _) => Ok(text),
        (value, Template::Expression(expression)) => Err(expression.unexpected(name, "string", &value)),
        (value, _) => Err(Failure::runtime(format!(
            "The {field} field refers to a value that is not a string: {value}"
        ))),
    }
}

/// A value without the quotes of a text.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
