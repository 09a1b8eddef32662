//! Puts counters into an expression, because the evaluator counts neither its steps nor its memory.
//!
//! The counters are calls of host functions whose names no expression can write. A counter stands where work repeats (bodies of functions,
//! steps of paths), and where a value can become much larger than what it is made of (texts).

use std::collections::BTreeSet;

use jsonata_core::ast::{AstNode, BinaryOp, Stage};

/// Takes a step.
pub(super) const STEP: &str = "!step";
/// Takes memory for a value that is about to be written as text, and returns it.
pub(super) const TEXT: &str = "!text";
/// Takes memory for the first argument repeated as often as the second is long, and returns the first.
pub(super) const PRODUCT: &str = "!product";
/// Takes memory and steps for a text of so many characters, and returns the number.
pub(super) const WIDTH: &str = "!width";
/// Takes the steps of a range that ends with the argument, and returns it.
pub(super) const RANGE_END: &str = "!range";
/// Takes the steps of comparing all pairs of the items, and returns them.
pub(super) const PAIRS: &str = "!pairs";

/// Functions that are called under our names even if they are passed on as values, and how many arguments they then get.
const VALUES: &[(&str, usize)] = &[
    ("eval", 1),
    ("hash", 2),
    ("millis", 0),
    ("now", 2),
    ("parse", 1),
    ("partition", 2),
    ("random", 1),
    ("range", 3),
    ("shuffle", 1),
    ("uuid", 0),
    ("distinct", 1),
    ("join", 2),
    ("pad", 3),
    ("replace", 3),
    ("string", 1),
];

/// Inserts the counters. `bound` are the names that the expression binds itself.
pub(super) fn insert(node: &mut AstNode, bound: &BTreeSet<String>) {
    value(node, bound);
    chain(node);
    children(node).into_iter().for_each(|child| insert(child, bound));
    match node {
        AstNode::Lambda { body, .. } => count(body),
        AstNode::FunctionApplication(inner) => count(inner),
        AstNode::Path { steps } => {
            for step in steps.iter_mut().skip(1) {
                match &mut step.node {
                    AstNode::Function { args, .. } => args.iter_mut().take(1).for_each(count_argument),
                    AstNode::Object(pairs) => pairs.iter_mut().take(1).for_each(|(_, value)| count(value)),
                    AstNode::Array(items) | AstNode::ArrayGroup(items) => {
                        items.iter_mut().take(1).for_each(count)
                    }
                    AstNode::Block(items) => items.insert(0, call(STEP, Vec::new())),
                    _ => {}
                }
            }
            for stage in steps.iter_mut().flat_map(|step| &mut step.stages) {
                if let Stage::Filter(filter) = stage
                    && repeats(filter)
                {
                    count(filter);
                }
            }
        }
        AstNode::Sort { terms, .. } => terms.iter_mut().for_each(|(term, _)| count(term)),
        AstNode::ObjectTransform { pattern, .. } => pattern.iter_mut().for_each(|(_, value)| count(value)),
        AstNode::Binary { op: BinaryOp::Concatenate, lhs, rhs } => {
            wrap(TEXT, lhs);
            wrap(TEXT, rhs);
        }
        AstNode::Binary { op: BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::In, lhs, rhs }
            if !is_literal(lhs) && !is_literal(rhs) =>
        {
            wrap(TEXT, lhs);
            wrap(TEXT, rhs);
        }
        AstNode::Binary { op: BinaryOp::Range, rhs, .. } => always(RANGE_END, rhs),
        AstNode::Function { name, args, is_builtin: true } => function(name, args),
        _ => {}
    }
}

/// The counters of functions whose results may be much larger than their arguments.
fn function(name: &str, args: &mut [AstNode]) {
    match (name, args) {
        ("string", [value, ..]) => wrap(TEXT, value),
        ("join", [items, separator]) => {
            product(items, separator);
            wrap(TEXT, items);
        }
        ("join", [items]) => wrap(TEXT, items),
        ("replace", [text, _, replacement, ..]) => match replacement {
            AstNode::Lambda { body, .. } => wrap(TEXT, body),
            replacement => product(text, replacement),
        },
        ("pad", [_, width, ..]) => always(WIDTH, width),
        ("distinct", [items]) => {
            wrap(TEXT, items);
            wrap(PAIRS, items);
        }
        _ => {}
    }
}

/// `a ~> $f(b)` means `$f(a, b)`; written so, one rule serves both.
fn chain(node: &mut AstNode) {
    let AstNode::Binary { op: BinaryOp::ChainPipe, lhs, rhs } = node else { return };
    if let AstNode::Function { args, is_builtin: true, .. } = &mut **rhs
        && !args.contains(&AstNode::Placeholder)
    {
        args.insert(0, std::mem::replace(&mut **lhs, AstNode::Null));
        *node = std::mem::replace(&mut **rhs, AstNode::Null);
    }
}

/// A function that is passed on as a value becomes a function that calls it, so that its counters are called too.
fn value(node: &mut AstNode, bound: &BTreeSet<String>) {
    let AstNode::Variable(name) = node else { return };
    let Some((name, arity)) = VALUES.iter().find(|(of, _)| of == name && !bound.contains(*of)) else {
        return;
    };
    let params: Vec<_> = (0..*arity).map(|at| format!("!{at}")).collect();
    let args = params.iter().cloned().map(AstNode::Variable).collect();
    let body = Box::new(AstNode::Function { name: (*name).to_owned(), args, is_builtin: true });
    *node = AstNode::Lambda { params, body, signature: None, thunk: false };
}

fn is_literal(node: &AstNode) -> bool {
    matches!(node, AstNode::String(_) | AstNode::Number(_) | AstNode::Boolean(_) | AstNode::Null)
}

/// Whether a filter does more than compare names with literals.
fn repeats(node: &AstNode) -> bool {
    let mut rest = vec![node];
    while let Some(node) = rest.pop() {
        match node {
            AstNode::Function { .. } | AstNode::Call { .. } | AstNode::Lambda { .. } => return true,
            AstNode::Path { steps } if steps.len() > 1 => return true,
            _ => rest.extend(super::analysis::children(node)),
        }
    }
    false
}

fn call(name: &str, args: Vec<AstNode>) -> AstNode {
    AstNode::Function { name: name.to_owned(), args, is_builtin: true }
}

/// `(step(); node)`.
fn count(node: &mut AstNode) {
    let inner = std::mem::replace(node, AstNode::Null);
    *node = AstNode::Block(vec![call(STEP, Vec::new()), inner]);
}

/// Counts within an argument, unless the evaluator looks at what kind of argument it is.
fn count_argument(node: &mut AstNode) {
    if !matches!(node, AstNode::Lambda { .. } | AstNode::Placeholder | AstNode::Variable(_))
        && !is_literal(node)
    {
        count(node);
    }
}

fn wrap(function: &str, node: &mut AstNode) {
    if !is_literal(node) {
        always(function, node);
    }
}

fn always(function: &str, node: &mut AstNode) {
    if !matches!(node, AstNode::Placeholder) {
        let inner = std::mem::replace(node, AstNode::Null);
        *node = call(function, vec![inner]);
    }
}

fn product(items: &mut AstNode, times: &AstNode) {
    if !matches!(items, AstNode::Placeholder) && !matches!(times, AstNode::Placeholder) {
        let inner = std::mem::replace(items, AstNode::Null);
        *items = call(PRODUCT, vec![inner, times.clone()]);
    }
}

/// The nodes right below a node, to be changed.
fn children(node: &mut AstNode) -> Vec<&mut AstNode> {
    match node {
        AstNode::Path { steps } => steps
            .iter_mut()
            .flat_map(|step| {
                let filters = step.stages.iter_mut().filter_map(|stage| match stage {
                    Stage::Filter(filter) => Some(&mut **filter),
                    _ => None,
                });
                std::iter::once(&mut step.node).chain(filters)
            })
            .collect(),
        // The left side of a binding is a name, not a value.
        AstNode::Binary { op: BinaryOp::ColonEqual, rhs, .. } => vec![rhs],
        AstNode::Binary { lhs, rhs, .. } => vec![lhs, rhs],
        AstNode::Unary { operand, .. } => vec![operand],
        AstNode::Function { args, .. } => args.iter_mut().collect(),
        AstNode::Call { procedure, args } => std::iter::once(&mut **procedure).chain(args).collect(),
        AstNode::Lambda { body, .. } => vec![body],
        AstNode::Array(items) | AstNode::Block(items) | AstNode::ArrayGroup(items) => {
            items.iter_mut().collect()
        }
        AstNode::Object(pairs) => pairs.iter_mut().flat_map(|(name, value)| [name, value]).collect(),
        AstNode::ObjectTransform { input, pattern } => {
            let pattern = pattern.iter_mut().flat_map(|(name, value)| [name, value]);
            std::iter::once(&mut **input).chain(pattern).collect()
        }
        AstNode::Conditional { condition, then_branch, else_branch } => {
            [condition, then_branch].into_iter().chain(else_branch).map(|node| &mut **node).collect()
        }
        AstNode::FunctionApplication(inner) => vec![inner],
        AstNode::Sort { input, terms } => {
            std::iter::once(&mut **input).chain(terms.iter_mut().map(|(term, _)| term)).collect()
        }
        AstNode::Transform { location, update, delete } => {
            [location, update].into_iter().chain(delete).map(|node| &mut **node).collect()
        }
        _ => Vec::new(),
    }
}
