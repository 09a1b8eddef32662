//! Checks that transitions lead to states, that states can be reached, and that a flow can end.

use std::collections::BTreeSet;

use super::diagnostics::{Code, Severity};
use super::reader::Reader;
use super::{Flow, Kind, State, Transition};

impl Flow {
    /// Notes what is wrong with the transitions of this flow and of the flows within it, in AWS's order (recorded:
    /// github.com/floci-io/floci/pull/2786): missing targets, then a missing end or states that cannot be reached.
    pub(super) fn check_transitions(&self, place: &str, reader: &mut Reader<'_>) {
        let mut missing = |target: &str, place: String| {
            if !self.states.contains_key(target) {
                let message = format!("Missing 'Next' target: {target}");
                reader.error(Code::MissingTransitionTarget, &place, message);
            }
        };
        missing(&self.start_at, format!("{place}/StartAt"));
        for (name, state) in &self.states {
            for (target, field) in state.targets() {
                missing(target, format!("{place}/States/{name}/{field}"));
            }
        }
        if self.states.values().any(State::ends) {
            self.check_reach(place, reader);
        } else {
            let message = "Workflow has no terminal state".to_owned();
            reader.push(Severity::Error, Code::MissingEndState, None, message);
        }
        for (name, state) in &self.states {
            let place = format!("{place}/States/{name}");
            match &state.kind {
                Kind::Parallel(parallel) => {
                    for (at, branch) in parallel.branches.iter().enumerate() {
                        branch.check_transitions(&format!("{place}/Branches[{at}]"), reader);
                    }
                }
                Kind::Map(map) => map.processor.check_transitions(&format!("{place}/ItemProcessor"), reader),
                _ => {}
            }
        }
    }

    fn check_reach(&self, place: &str, reader: &mut Reader<'_>) {
        let mut reached = BTreeSet::new();
        let mut rest = vec![self.start_at.as_str()];
        while let Some(name) = rest.pop() {
            if let Some(state) = self.states.get(name)
                && reached.insert(name)
            {
                rest.extend(state.targets().iter().map(|(target, _)| *target));
            }
        }
        for name in self.states.keys().filter(|name| !reached.contains(name.as_str())) {
            let message = format!("State \"{name}\" is not reachable.");
            reader.error(Code::MissingTransitionTarget, &format!("{place}/States/{name}"), message);
        }
    }
}

impl State {
    fn ends(&self) -> bool {
        self.transition == Some(Transition::End) || matches!(self.kind, Kind::Fail(_))
    }

    /// The states to which this one can lead, each with the field that says so.
    fn targets(&self) -> Vec<(&str, String)> {
        let mut targets = Vec::new();
        if let Some(Transition::Next(next)) = &self.transition {
            targets.push((next.as_str(), "Next".to_owned()));
        }
        if let Kind::Choice(choice) = &self.kind {
            for (at, rule) in choice.rules.iter().enumerate() {
                targets.push((rule.next.as_str(), format!("Choices[{at}]/Next")));
            }
            targets.extend(choice.default.as_deref().map(|default| (default, "Default".to_owned())));
        }
        for (at, catcher) in self.catch.iter().enumerate() {
            targets.push((catcher.next.as_str(), format!("Catch[{at}]/Next")));
        }
        targets
    }
}
