//! ListRules and ListRuleNamesByTarget: the rules of a bus, by name, page by page.

use std::ops::Bound;

use api::eventbridge::{
    ListRuleNamesByTargetInput, ListRuleNamesByTargetOutput, ListRulesInput, ListRulesOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::{Context, Decision, Reply, check_bus, decided, shown};
use crate::BusKey;
use crate::bus::Rule;
use crate::records::RuleDeclared;
use crate::rules::constraints::{ARN, Constraints, NAME};
use crate::rules::names;
use crate::rules::pages::{self, Page};
use crate::state::State;

/// ListRules.
#[derive(Clone, Debug)]
pub struct ListRules {
    /// Whose.
    pub bus: BusKey,
    /// What their names begin with.
    pub prefix: String,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListRules {
    type Input = ListRulesInput;
    type Output = ListRulesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListRulesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default()
            .text("namePrefix", input.name_prefix.as_ref(), NAME)
            .bus("eventBusName", input.event_bus_name.as_ref())
            .check()?;
        Ok(ListRules {
            bus: names::bus(input.event_bus_name.as_deref(), asker.caller),
            prefix: input.name_prefix.as_deref().unwrap_or_default().to_owned(),
            page: pages::page(input.next_token.as_ref(), input.limit)?,
        })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let listed = check_bus(state, &self.bus).map(|()| {
            let rules = rules_of(state, &self.bus, &self.page, &self.prefix);
            let rules = rules.take_while(|rule| rule.declared.key.name.starts_with(&self.prefix));
            self.page.fill(rules.map(|rule| (&rule.declared.key.name, rule.declared.clone())))
        });
        decided(listed.map(|listed| Decision::answer(Reply::Rules(listed))))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<ListRulesOutput, Malformed> {
        let Reply::Rules(listed) = reply else { return Err(Malformed) };
        let rule = |rule: RuleDeclared| api::eventbridge::Rule {
            arn: Some(rule.key.arn().to_string().into()),
            name: Some(rule.key.name.into()),
            event_pattern: shown(rule.pattern),
            state: Some(rule.state.into()),
            description: shown(rule.description),
            schedule_expression: shown(rule.schedule),
            role_arn: shown(rule.role_arn),
            managed_by: shown(rule.managed_by),
            event_bus_name: Some(rule.key.bus.name.into()),
        };
        Ok(ListRulesOutput {
            rules: Some(listed.items.into_iter().map(rule).collect()),
            next_token: shown(listed.next_token),
        })
    }
}

/// ListRuleNamesByTarget.
#[derive(Clone, Debug)]
pub struct ListRuleNamesByTarget {
    /// Whose.
    pub bus: BusKey,
    /// The ARN of the target.
    pub target: String,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListRuleNamesByTarget {
    type Input = ListRuleNamesByTargetInput;
    type Output = ListRuleNamesByTargetOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListRuleNamesByTargetInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default()
            .required_text("targetArn", input.target_arn.as_ref(), ARN)
            .bus("eventBusName", input.event_bus_name.as_ref())
            .check()?;
        Ok(ListRuleNamesByTarget {
            bus: names::bus(input.event_bus_name.as_deref(), asker.caller),
            target: input.target_arn.as_deref().unwrap_or_default().to_owned(),
            page: pages::page(input.next_token.as_ref(), input.limit)?,
        })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let has_target = |rule: &&Rule| {
            let mut arns = rule.declared.targets.iter().filter_map(|target| target.shape.arn.as_deref());
            arns.any(|arn| arn == self.target)
        };
        let listed = check_bus(state, &self.bus).map(|()| {
            let rules = rules_of(state, &self.bus, &self.page, "").filter(has_target);
            self.page.fill(rules.map(|rule| (&rule.declared.key.name, rule.declared.key.name.clone())))
        });
        decided(listed.map(|listed| Decision::answer(Reply::Names(listed))))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<ListRuleNamesByTargetOutput, Malformed> {
        let Reply::Names(listed) = reply else { return Err(Malformed) };
        Ok(ListRuleNamesByTargetOutput {
            rule_names: Some(listed.items.into_iter().map(Into::into).collect()),
            next_token: shown(listed.next_token),
        })
    }
}

/// The rules of a bus that a page begins with, from a name on.
fn rules_of<'s>(
    state: &'s State,
    bus: &BusKey,
    page: &Page,
    from: &str,
) -> impl Iterator<Item = &'s Rule> + use<'s> {
    let from = match &page.after {
        Some(after) if after.as_str() >= from => Bound::Excluded(after.clone()),
        _ => Bound::Included(from.to_owned()),
    };
    let rules = state.bus(bus).map(|bus| bus.rules.range((from, Bound::Unbounded)));
    rules.into_iter().flatten().filter_map(|(_, &id)| state.rule_of(id))
}
