//! Which variables states read and assign.

use std::collections::{BTreeMap, BTreeSet};

use super::reader::Reader;
use super::{Flow, Items, Kind, PathField, RuleCondition, State, StateMachine, Until};
use crate::template::Template;

impl StateMachine {
    /// The variables that each state reads, in order: `variableReferences` of DescribeStateMachine. States that read none are left out.
    pub fn variable_references(&self) -> BTreeMap<String, Vec<String>> {
        let mut references = BTreeMap::new();
        let mut flows = vec![&self.flow];
        while let Some(flow) = flows.pop() {
            for state in flow.states.values() {
                let read: BTreeSet<_> = state.reads().into_iter().collect();
                if !read.is_empty() {
                    references.insert(state.name.clone(), read.into_iter().map(str::to_owned).collect());
                }
                flows.extend(state.flows());
            }
        }
        references
    }
}

impl Flow {
    /// Notes variables that are assigned although a scope around has them (facts/stepfunctions.md § 4).
    pub(super) fn check_variables(&self, place: &str, outer: &BTreeSet<&str>, reader: &mut Reader<'_>) {
        let mut all = outer.clone();
        for (name, state) in &self.states {
            for (template, field) in state.assigns() {
                let Template::Object(members) = template else { continue };
                for (variable, _) in members {
                    if outer.contains(variable.as_str()) {
                        let message = format!("Variable '{variable}' is already assigned in an outer scope");
                        reader.schema(&format!("{place}/States/{name}/{field}"), message);
                    }
                    all.insert(variable);
                }
            }
        }
        for (name, state) in &self.states {
            let place = format!("{place}/States/{name}");
            match &state.kind {
                Kind::Parallel(parallel) => {
                    for (at, branch) in parallel.branches.iter().enumerate() {
                        branch.check_variables(&format!("{place}/Branches[{at}]"), &all, reader);
                    }
                }
                Kind::Map(map) => {
                    // The children of a distributed Map are executions of their own: they see no outer variables.
                    let none = BTreeSet::new();
                    let outer = if map.distributed.is_some() { &none } else { &all };
                    map.processor.check_variables(&format!("{place}/ItemProcessor"), outer, reader);
                }
                _ => {}
            }
        }
    }
}

impl State {
    /// The flows within the state.
    fn flows(&self) -> Vec<&Flow> {
        match &self.kind {
            Kind::Parallel(parallel) => parallel.branches.iter().collect(),
            Kind::Map(map) => vec![&map.processor],
            _ => Vec::new(),
        }
    }

    /// Every `Assign` of the state, with its field.
    fn assigns(&self) -> Vec<(&Template, String)> {
        let own = self.assign.iter().map(|assign| (assign, "Assign".to_owned()));
        let caught = self
            .catch
            .iter()
            .enumerate()
            .filter_map(|(at, catcher)| Some((catcher.assign.as_ref()?, format!("Catch[{at}]/Assign"))));
        let mut assigns: Vec<_> = own.chain(caught).collect();
        if let Kind::Choice(choice) = &self.kind {
            assigns.extend(
                choice
                    .rules
                    .iter()
                    .enumerate()
                    .filter_map(|(at, rule)| Some((rule.assign.as_ref()?, format!("Choices[{at}]/Assign")))),
            );
        }
        assigns
    }

    fn reads(&self) -> Vec<&str> {
        let mut read = Vec::new();
        for path in [&self.input_path, &self.output_path] {
            if let PathField::Path(path) = path {
                read.extend(path.variable());
            }
        }
        let mut templates: Vec<_> = self.assigns().into_iter().map(|(template, _)| template).collect();
        templates.extend(&self.output);
        templates.extend(self.catch.iter().filter_map(|catcher| catcher.output.as_ref()));
        match &self.kind {
            Kind::Pass(pass) => templates.extend(&pass.parameters),
            Kind::Task(task) => {
                let fields = [
                    &task.parameters,
                    &task.result_selector,
                    &task.timeout,
                    &task.heartbeat,
                    &task.credentials,
                ];
                templates.extend(fields.into_iter().flatten());
            }
            Kind::Choice(choice) => {
                for rule in &choice.rules {
                    templates.extend(&rule.output);
                    match &rule.condition {
                        RuleCondition::Paths(condition) => condition.variables(&mut read),
                        RuleCondition::Expression(expression) => read.extend(expression.variables()),
                        RuleCondition::Constant(_) => {}
                    }
                }
            }
            Kind::Wait(wait) => match &wait.until {
                Until::Seconds(template) | Until::Timestamp(template) => templates.push(template),
            },
            Kind::Succeed => {}
            Kind::Fail(fail) => templates.extend([&fail.error, &fail.cause].into_iter().flatten()),
            Kind::Parallel(parallel) => {
                templates.extend([&parallel.parameters, &parallel.result_selector].into_iter().flatten());
            }
            Kind::Map(map) => {
                templates.extend(
                    [&map.item_selector, &map.max_concurrency, &map.result_selector].into_iter().flatten(),
                );
                match &map.items {
                    Items::Path(path) => read.extend(path.variable()),
                    Items::Template(template) => templates.push(template),
                    Items::Input => {}
                }
                if let Some(distributed) = &map.distributed {
                    templates.extend(
                        [&distributed.tolerated_count, &distributed.tolerated_percentage]
                            .into_iter()
                            .flatten(),
                    );
                    let reader = distributed
                        .item_reader
                        .iter()
                        .flat_map(|reader| [&reader.parameters, &reader.max_items]);
                    let batcher = distributed
                        .item_batcher
                        .iter()
                        .flat_map(|b| [&b.batch_input, &b.max_items, &b.max_bytes]);
                    let writer = distributed.result_writer.iter().map(|writer| &writer.parameters);
                    templates.extend(reader.chain(batcher).chain(writer).flatten());
                }
            }
        }
        templates.into_iter().for_each(|template| template.variables(&mut read));
        read
    }
}
