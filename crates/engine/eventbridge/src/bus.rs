//! A bus, its rules and their targets, as they are remembered.

use std::collections::BTreeMap;

use api::eventbridge::{HttpParameters, RetryPolicy};
use kernel::{Arn, Extent, Ledger, Time};
use patterns::PatternSet;
use resources::Standing;
use resources::policy::Policy;

use crate::ids::{BusKey, RuleId};
use crate::records::{BusDeclared, DeclaredTarget, RuleDeclared};
use crate::rules::input::Input;
use crate::rules::{pattern, targets};

/// A bus. The default bus is there without a declaration, and so is one whose declaration is still to be read from the log.
#[derive(Clone, Debug, Default)]
pub struct Bus {
    pub(crate) declared: Option<Declared>,
    /// Its rules, by name.
    pub rules: BTreeMap<String, RuleId>,
    /// What its enabled rules want.
    pub(crate) interests: PatternSet<RuleId>,
}

/// What the log says of a bus.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) record: BusDeclared,
    pub(crate) policy: Option<Policy>,
    pub(crate) standing: Standing,
}

impl Bus {
    /// What the log says of it.
    pub fn declared(&self) -> Option<&BusDeclared> {
        self.declared.as_ref().map(|declared| &declared.record)
    }

    /// Whether nothing is known of it.
    pub(crate) fn is_unknown(&self) -> bool {
        self.declared.is_none() && self.rules.is_empty()
    }

    /// Who may do what, if a policy says it.
    pub(crate) fn policy(&self) -> Option<&Policy> {
        self.declared.as_ref()?.policy.as_ref()
    }
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What the log says of it.
    pub declared: RuleDeclared,
    /// Its ARN, as text.
    pub arn: String,
    /// Who gets the events that it matches.
    pub targets: Vec<Target>,
    pub(crate) standing: Standing,
    /// Where it stands when it runs next, if its declaration does not say it.
    pub(crate) fact: Option<Extent>,
}

impl Rule {
    pub(crate) fn new(declared: &RuleDeclared, standing: Standing) -> Self {
        Rule {
            arn: declared.key.arn().to_string(),
            targets: declared.targets.iter().filter_map(Target::new).collect(),
            declared: declared.clone(),
            standing,
            fact: None,
        }
    }

    /// Its number.
    pub fn id(&self) -> RuleId {
        self.declared.id
    }

    /// Whose rule it is.
    pub fn bus(&self) -> &BusKey {
        &self.declared.key.bus
    }

    /// When its schedule lets it run next.
    pub fn next_run(&self) -> Option<Time> {
        self.declared.timing?.next
    }

    /// It is gone.
    pub(crate) fn end(&self, ledger: &mut Ledger) {
        self.standing.end(ledger);
        if let Some(fact) = self.fact {
            ledger.release(fact);
        }
    }

    /// What it matches, if it is enabled. A pattern that an older version took and this one does not understand matches nothing.
    pub(crate) fn matcher(&self) -> Option<patterns::Matcher> {
        let text = self.declared.pattern.as_deref().filter(|_| self.declared.is_enabled())?;
        pattern::parse(text).ok().map(|pattern| pattern.matcher().clone())
    }
}

/// A target, ready to be handed something.
#[derive(Clone, Debug)]
pub struct Target {
    /// The number that deliveries to it name it by.
    pub number: u64,
    /// What it is called in its rule.
    pub id: String,
    /// Who it is.
    pub arn: Arn,
    /// What it is handed of an event.
    pub input: Input,
    /// The group of its messages, if it is a queue.
    pub group: Option<String>,
    /// The path of the partition key in events, if it is a stream and one is given.
    pub partition_key_path: Option<String>,
    /// The queue that gets what cannot be delivered.
    pub dead_letters: Option<Arn>,
    /// How often it is tried.
    pub retry: Option<RetryPolicy>,
    /// What is added to a request, if it is an API destination.
    pub http: Option<Box<HttpParameters>>,
}

impl Target {
    /// A target of a declared rule. What an older version took and this one does not understand gets nothing.
    fn new(declared: &DeclaredTarget) -> Option<Self> {
        let shape = &declared.shape;
        let letters = shape.dead_letter_config.as_ref().and_then(|config| config.arn.as_ref());
        Some(Target {
            number: declared.number,
            id: shape.id.as_deref()?.to_owned(),
            arn: shape.arn.as_deref()?.parse().ok()?,
            input: Input::of(shape).ok()?,
            group: targets::group(shape).map(ToString::to_string),
            partition_key_path: targets::partition_key_path(shape).map(ToString::to_string),
            dead_letters: letters.and_then(|arn| arn.parse().ok()),
            retry: shape.retry_policy.clone(),
            http: shape.http_parameters.clone().map(Into::into),
        })
    }
}
