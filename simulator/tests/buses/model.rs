//! Random requests about buses, rules and targets, answered as by a small model, over crashes and over the end of segments.

use std::collections::{BTreeMap, BTreeSet};

use api::eventbridge::{self as shapes, Request, Response};
use machine::Options;
use proptest::prelude::*;

use crate::story::{Story, arn, entry, target, text};

const BUSES: [&str; 3] = ["default", "b", "c"];
const RULES: [&str; 2] = ["r", "s"];
const SOURCES: [&str; 2] = ["x", "y"];
const QUEUES: [&str; 2] = ["p", "q"];

#[derive(Clone, Debug)]
enum Step {
    Create(usize),
    Delete(usize),
    Put { bus: usize, rule: usize, source: usize, enabled: bool },
    Drop { bus: usize, rule: usize },
    Switch { bus: usize, rule: usize, on: bool },
    Target { bus: usize, rule: usize, queue: usize, constant: bool },
    Untarget { bus: usize, rule: usize, queue: usize },
    Event { bus: usize, source: usize },
    Crash,
    Age,
}

fn step() -> impl Strategy<Value = Step> {
    let at = || (0..BUSES.len(), 0..RULES.len());
    prop_oneof![
        1 => (0..BUSES.len()).prop_map(Step::Create),
        1 => (0..BUSES.len()).prop_map(Step::Delete),
        4 => (at(), 0..SOURCES.len(), any::<bool>())
            .prop_map(|((bus, rule), source, enabled)| Step::Put { bus, rule, source, enabled }),
        1 => at().prop_map(|(bus, rule)| Step::Drop { bus, rule }),
        1 => (at(), any::<bool>()).prop_map(|((bus, rule), on)| Step::Switch { bus, rule, on }),
        4 => (at(), 0..QUEUES.len(), any::<bool>())
            .prop_map(|((bus, rule), queue, constant)| Step::Target { bus, rule, queue, constant }),
        1 => (at(), 0..QUEUES.len()).prop_map(|((bus, rule), queue)| Step::Untarget { bus, rule, queue }),
        4 => (0..BUSES.len(), 0..SOURCES.len()).prop_map(|(bus, source)| Step::Event { bus, source }),
        1 => Just(Step::Crash),
        1 => Just(Step::Age),
    ]
}

/// A rule: its source, whether it is enabled, and its queues with whether they get a constant.
type Rule = (usize, bool, BTreeMap<usize, bool>);

#[derive(Default)]
struct Model {
    buses: BTreeSet<usize>,
    rules: BTreeMap<(usize, usize), Rule>,
}

impl Model {
    fn has(&self, bus: usize) -> bool {
        bus == 0 || self.buses.contains(&bus)
    }

    /// What is refused, by the beginning of the refusal; nothing is changed then.
    fn apply(&mut self, step: &Step) -> Option<&'static str> {
        const MISSING: Option<&str> = Some("ResourceNotFoundException");
        match *step {
            Step::Create(bus) if self.has(bus) => return Some("ResourceAlreadyExistsException"),
            Step::Create(bus) => drop(self.buses.insert(bus)),
            Step::Delete(0) => return Some("ValidationException"),
            Step::Delete(bus) if self.rules.keys().any(|&(of, _)| of == bus) => {
                return Some("ValidationException");
            }
            Step::Delete(bus) => drop(self.buses.remove(&bus)),
            Step::Put { bus, .. } if !self.has(bus) => return MISSING,
            Step::Put { bus, rule, source, enabled } => {
                let known = self.rules.entry((bus, rule)).or_default();
                (known.0, known.1) = (source, enabled);
            }
            Step::Drop { bus, .. } if !self.has(bus) => return MISSING,
            Step::Drop { bus, rule } => match self.rules.get(&(bus, rule)) {
                Some((.., queues)) if !queues.is_empty() => return Some("ValidationException"),
                _ => drop(self.rules.remove(&(bus, rule))),
            },
            Step::Switch { bus, rule, on } => match self.rules.get_mut(&(bus, rule)) {
                Some(known) => known.1 = on,
                None => return MISSING,
            },
            Step::Target { bus, rule, queue, constant } => match self.rules.get_mut(&(bus, rule)) {
                Some((.., queues)) => drop(queues.insert(queue, constant)),
                None => return MISSING,
            },
            Step::Untarget { bus, rule, queue } => match self.rules.get_mut(&(bus, rule)) {
                Some((.., queues)) => drop(queues.remove(&queue)),
                None => return MISSING,
            },
            Step::Event { .. } | Step::Crash | Step::Age => {}
        }
        None
    }

    /// How often a queue gets an event as it is, and the constant.
    fn gets(&self, bus: usize, source: usize, queue: usize) -> [usize; 2] {
        let matching = self.rules.iter().filter(|&(&(of, _), rule)| of == bus && rule.1 && rule.0 == source);
        let constants: Vec<bool> = matching.filter_map(|(_, rule)| rule.2.get(&queue).copied()).collect();
        [false, true].map(|wanted| constants.iter().filter(|&&constant| constant == wanted).count())
    }
}

fn request(step: &Step) -> Option<Request> {
    let on = |bus: usize| text(BUSES[bus]);
    Some(match *step {
        Step::Create(bus) => {
            Request::CreateEventBus(shapes::CreateEventBusInput { name: on(bus), ..Default::default() })
        }
        Step::Delete(bus) => Request::DeleteEventBus(shapes::DeleteEventBusInput { name: on(bus) }),
        Step::Put { bus, rule, source, enabled } => Request::PutRule(shapes::PutRuleInput {
            name: text(RULES[rule]),
            event_bus_name: on(bus),
            event_pattern: text(format!(r#"{{"source": ["{}"]}}"#, SOURCES[source])),
            state: text(if enabled { "ENABLED" } else { "DISABLED" }),
            ..Default::default()
        }),
        Step::Drop { bus, rule } => Request::DeleteRule(shapes::DeleteRuleInput {
            name: text(RULES[rule]),
            event_bus_name: on(bus),
            force: None,
        }),
        Step::Switch { bus, rule, on: true } => {
            Request::EnableRule(shapes::EnableRuleInput { name: text(RULES[rule]), event_bus_name: on(bus) })
        }
        Step::Switch { bus, rule, on: false } => Request::DisableRule(shapes::DisableRuleInput {
            name: text(RULES[rule]),
            event_bus_name: on(bus),
        }),
        Step::Target { bus, rule, queue, constant } => Request::PutTargets(shapes::PutTargetsInput {
            rule: text(RULES[rule]),
            event_bus_name: on(bus),
            targets: Some(vec![shapes::Target {
                input: constant.then(|| "[]".into()),
                ..target(QUEUES[queue], arn("sqs", QUEUES[queue]))
            }]),
        }),
        Step::Untarget { bus, rule, queue } => Request::RemoveTargets(shapes::RemoveTargetsInput {
            rule: text(RULES[rule]),
            event_bus_name: on(bus),
            ids: Some(vec![QUEUES[queue].into()]),
            force: None,
        }),
        Step::Event { .. } | Step::Crash | Step::Age => return None,
    })
}

/// What the server tells of rules and targets is what the model knows.
fn compare(story: &mut Story, model: &Model) {
    for (bus, name) in BUSES.iter().enumerate() {
        let listed = story.events(Request::ListRules(shapes::ListRulesInput {
            event_bus_name: text(*name),
            ..Default::default()
        }));
        let Ok(Response::ListRules(listed)) = listed else {
            assert!(!model.has(bus), "{listed:?}");
            continue;
        };
        let rules: Vec<_> = listed.rules.unwrap().into_iter().map(|rule| rule.name.unwrap()).collect();
        let known: Vec<_> =
            model.rules.keys().filter(|(of, _)| *of == bus).map(|(_, rule)| RULES[*rule]).collect();
        assert_eq!(rules, known);
        for (&(_, rule), (.., queues)) in model.rules.iter().filter(|((of, _), _)| *of == bus) {
            let listed = story.events(Request::ListTargetsByRule(shapes::ListTargetsByRuleInput {
                rule: text(RULES[rule]),
                event_bus_name: text(*name),
                ..Default::default()
            }));
            let Ok(Response::ListTargetsByRule(listed)) = listed else { panic!("{listed:?}") };
            let targets = listed.targets.unwrap().into_iter();
            let targets: BTreeMap<_, _> =
                targets.map(|target| (target.id.unwrap().to_string(), target.input.is_some())).collect();
            let known: BTreeMap<_, _> =
                queues.iter().map(|(&queue, &constant)| (QUEUES[queue].to_owned(), constant)).collect();
            assert_eq!(targets, known);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn buses_are_as_the_model_says(steps in proptest::collection::vec(step(), 1..40)) {
        let mut story = Story::with_segments_of(4 << 10, Options::default());
        let mut model = Model::default();
        story.fill();
        for queue in QUEUES {
            story.create_queue(queue);
        }
        for step in steps {
            let expected = model.apply(&step);
            match step {
                Step::Crash => story.crash(),
                Step::Age => story.grow_old(20),
                Step::Event { bus, source } => {
                    let event = shapes::PutEventsRequestEntry {
                        event_bus_name: text(BUSES[bus]),
                        ..entry(SOURCES[source], "{}")
                    };
                    story.put(vec![event]);
                    for (queue, name) in QUEUES.iter().enumerate() {
                        let bodies = story.bodies(name);
                        let constants = bodies.iter().filter(|body| *body == "[]").count();
                        prop_assert_eq!([bodies.len() - constants, constants], model.gets(bus, source, queue));
                    }
                }
                ref asked => {
                    let refused = request(asked).and_then(|request| story.events(request).err());
                    prop_assert_eq!(
                        refused.as_deref().and_then(|text| text.split(':').next()),
                        expected,
                        "{:?}", asked
                    );
                }
            }
        }
        story.crash();
        compare(&mut story, &model);
    }
}
