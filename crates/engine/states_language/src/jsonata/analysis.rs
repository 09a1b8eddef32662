//! What an expression reads, and whether AWS accepts it.

use std::collections::BTreeSet;

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};

#[derive(Default)]
pub(super) struct Findings {
    /// Names that are read as variables.
    pub(super) names: BTreeSet<String>,
    /// Names that the expression binds itself.
    pub(super) bound: BTreeSet<String>,
    pub(super) members: Option<BTreeSet<String>>,
    /// What is read from a context that a state does not have.
    pub(super) unsupported: Vec<String>,
    /// An operator that JSONata 2.0.6 does not have.
    pub(super) newer: Option<&'static str>,
    pub(super) depth: usize,
}

pub(super) fn analyse(tree: &AstNode) -> Findings {
    let mut findings = Findings { members: Some(BTreeSet::new()), ..Findings::default() };
    let mut rest = vec![(tree, true, 1)];
    while let Some((node, top, depth)) = rest.pop() {
        findings.depth = findings.depth.max(depth);
        findings.note(node, top);
        let mut push = |child, top| rest.push((child, top, depth + 1));
        match node {
            AstNode::Path { steps } => {
                let states = findings.path(steps);
                for (at, step) in steps.iter().enumerate().skip(usize::from(states)) {
                    push(&step.node, top && at == 0);
                    for stage in &step.stages {
                        if let Stage::Filter(filter) = stage {
                            push(filter, false);
                        }
                    }
                }
            }
            AstNode::ObjectTransform { input, pattern } => {
                push(input, top);
                for (name, value) in pattern {
                    push(name, false);
                    push(value, false);
                }
            }
            AstNode::Sort { input, terms } => {
                push(input, top);
                terms.iter().for_each(|(term, _)| push(term, false));
            }
            AstNode::Transform { location, update, delete } => {
                push(location, false);
                push(update, false);
                if let Some(delete) = delete {
                    push(delete, false);
                }
            }
            AstNode::Binary { op: BinaryOp::ColonEqual, rhs, .. } => push(rhs, top),
            _ => children(node).into_iter().for_each(|child| push(child, top)),
        }
    }
    // A path is walked from behind: the names are told in the order of the text.
    findings.unsupported.reverse();
    let mut seen = BTreeSet::new();
    findings.unsupported.retain(|name| seen.insert(name.clone()));
    findings
}

impl Findings {
    fn note(&mut self, node: &AstNode, top: bool) {
        match node {
            AstNode::Name(name) if top => self.unsupported.push(name.clone()),
            AstNode::Variable(name) if name.is_empty() && top => self.unsupported.push("$".to_owned()),
            AstNode::ParentVariable(_) => self.unsupported.push("$$".to_owned()),
            AstNode::Wildcard if top => self.unsupported.push("*".to_owned()),
            AstNode::Descendant if top => self.unsupported.push("**".to_owned()),
            AstNode::Variable(name) => {
                self.names.insert(name.clone());
                if name == "states" {
                    self.members = None;
                }
            }
            AstNode::Lambda { params, .. } => self.bound.extend(params.iter().cloned()),
            AstNode::Binary { op: BinaryOp::ColonEqual, lhs, .. } => {
                if let AstNode::Variable(name) = &**lhs {
                    self.bound.insert(name.clone());
                }
            }
            AstNode::Binary { op: BinaryOp::Coalesce, .. } => self.newer = Some("?"),
            AstNode::Binary { op: BinaryOp::Default, .. } => self.newer = Some(":"),
            _ => {}
        }
    }

    /// Notes what a path binds, and whether it reads one member of `$states` only: `$states.input.total` reads the input.
    fn path(&mut self, steps: &[PathStep]) -> bool {
        for step in steps {
            self.bound.extend(step.focus.iter().chain(&step.index_var).cloned());
            for stage in &step.stages {
                if let Stage::Index(name) = stage {
                    self.bound.insert(name.clone());
                }
            }
        }
        match steps {
            [
                PathStep { node: AstNode::Variable(variable), stages, .. },
                PathStep { node: AstNode::Name(member), .. },
                ..,
            ] if variable == "states" && stages.is_empty() => {
                self.names.insert(variable.clone());
                if let Some(members) = &mut self.members {
                    members.insert(member.clone());
                }
                true
            }
            _ => false,
        }
    }
}

/// The names of the functions that a tree calls.
pub(super) fn functions(tree: &AstNode) -> BTreeSet<String> {
    let mut functions = BTreeSet::new();
    let mut rest = vec![tree];
    while let Some(node) = rest.pop() {
        if let AstNode::Function { name, .. } = node {
            functions.insert(name.clone());
        }
        rest.extend(children(node));
    }
    functions
}

/// The nodes right below a node.
pub(super) fn children(node: &AstNode) -> Vec<&AstNode> {
    match node {
        AstNode::Path { steps } => steps
            .iter()
            .flat_map(|step| {
                let filters = step.stages.iter().filter_map(|stage| match stage {
                    Stage::Filter(filter) => Some(&**filter),
                    _ => None,
                });
                std::iter::once(&step.node).chain(filters)
            })
            .collect(),
        AstNode::Binary { lhs, rhs, .. } => vec![lhs, rhs],
        AstNode::Unary { operand, .. } => vec![operand],
        AstNode::Function { args, .. } => args.iter().collect(),
        AstNode::Call { procedure, args } => std::iter::once(&**procedure).chain(args).collect(),
        AstNode::Lambda { body, .. } => vec![body],
        AstNode::Array(items) | AstNode::Block(items) | AstNode::ArrayGroup(items) => items.iter().collect(),
        AstNode::Object(pairs) => pairs.iter().flat_map(|(name, value)| [name, value]).collect(),
        AstNode::ObjectTransform { input, pattern } => {
            let pattern = pattern.iter().flat_map(|(name, value)| [name, value]);
            std::iter::once(&**input).chain(pattern).collect()
        }
        AstNode::Conditional { condition, then_branch, else_branch } => {
            [condition, then_branch].into_iter().chain(else_branch).map(|node| &**node).collect()
        }
        AstNode::FunctionApplication(inner) => vec![inner],
        AstNode::Sort { input, terms } => {
            std::iter::once(&**input).chain(terms.iter().map(|(term, _)| term)).collect()
        }
        AstNode::Transform { location, update, delete } => {
            [location, update].into_iter().chain(delete).map(|node| &**node).collect()
        }
        _ => Vec::new(),
    }
}
