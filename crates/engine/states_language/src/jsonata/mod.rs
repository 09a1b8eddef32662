//! JSONata: expressions in `{% %}`, with AWS's functions and without what AWS lacks.

mod analysis;
mod bounds;
mod evaluate;
mod functions;
mod plain;
mod values;

pub(crate) use evaluate::type_of;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jsonata_core::ast::AstNode;
use jsonata_core::parser;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expression {
    source: String,
    tree: AstNode,
    /// The variables that the expression may read, without `$`.
    names: BTreeSet<String>,
    /// Those of them that the expression does not bind itself.
    free: BTreeSet<String>,
    /// The members of `$states` that the expression may read; all if none is named.
    members: Option<BTreeSet<String>>,
    /// Whether the expression is nested deeper than AWS evaluates.
    too_deep: bool,
    /// The value that the expression names, if that is all.
    plain: Option<plain::Plain>,
    /// The functions that the expression calls.
    functions: BTreeSet<String>,
}

/// Why a definition with this expression is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The text is no expression (`INVALID_JSONATA_EXPRESSION`).
    Invalid(String),
    /// Each name reads a context that a state does not have (`UNSUPPORTED_JSONATA_EXPRESSION`).
    Unsupported(Vec<String>),
}

impl Expression {
    /// The expression within `{%` and `%}`; none if the text is not of that form.
    pub(crate) fn within(text: &str) -> Option<&str> {
        Some(text.strip_prefix("{%")?.strip_suffix("%}")?.trim())
    }

    /// Parses an expression.
    pub(crate) fn parse(source: &str) -> Result<Expression, Refusal> {
        let tree =
            parser::parse(source).map_err(|error| Refusal::Invalid(without_code(&error.to_string())))?;
        let found = analysis::analyse(&tree);
        if let Some(operator) = found.newer {
            // The message with which JSONata 2.0.6 refuses an operator that is newer.
            return Err(Refusal::Invalid(format!(
                "The symbol \"{operator}\" cannot be used as a unary operator"
            )));
        }
        if !found.unsupported.is_empty() {
            return Err(Refusal::Unsupported(found.unsupported));
        }
        let mut expression = Expression {
            source: source.to_owned(),
            tree: AstNode::Null,
            free: found.names.difference(&found.bound).cloned().collect(),
            names: found.names,
            members: found.members,
            too_deep: found.depth > evaluate::DEPTH,
            plain: plain::Plain::of(&tree),
            functions: BTreeSet::new(),
        };
        if !expression.too_deep {
            expression.tree = tree;
            bounds::insert(&mut expression.tree, &found.bound);
            expression.functions = analysis::functions(&expression.tree);
        }
        Ok(expression)
    }

    /// The variables of the workflow that the expression reads.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.free.iter().map(String::as_str).filter(|name| *name != "states")
    }
}

/// A message of JSONata without its code in front, as AWS puts it into a diagnostic.
fn without_code(message: &str) -> String {
    let text = match jsonata_core::evaluator::error_code_prefix(message) {
        Some(code) => message[code.len() + 1..].trim_start(),
        None => message,
    };
    if !text.starts_with("Expected ") && !text.starts_with("The symbol ") {
        return text.to_owned();
    }
    // The parser names symbols where JSONata writes them.
    let words = text.split(' ').map(|word| {
        let name = word.trim_end_matches(',');
        let symbol = SYMBOLS.iter().find(|(of, _)| *of == name);
        symbol.map_or(word.to_owned(), |(_, symbol)| format!("\"{symbol}\"{}", &word[name.len()..]))
    });
    words.collect::<Vec<_>>().join(" ")
}

const SYMBOLS: &[(&str, &str)] = &[
    ("LeftParen", "("),
    ("RightParen", ")"),
    ("LeftBracket", "["),
    ("RightBracket", "]"),
    ("LeftBrace", "{"),
    ("RightBrace", "}"),
    ("Comma", ","),
    ("Colon", ":"),
    ("Semicolon", ";"),
    ("Dot", "."),
    ("DotDot", ".."),
    ("Question", "?"),
    ("ColonEqual", ":="),
    ("Equal", "="),
    ("NotEqual", "!="),
    ("LessThan", "<"),
    ("LessThanOrEqual", "<="),
    ("GreaterThan", ">"),
    ("GreaterThanOrEqual", ">="),
    ("Plus", "+"),
    ("Slash", "/"),
    ("Ampersand", "&"),
    ("Pipe", "|"),
    ("Caret", "^"),
    ("Hash", "#"),
    ("At", "@"),
];
