//! PutTargets, RemoveTargets and ListTargetsByRule: who gets the events that a rule matches.

use api::eventbridge::{
    ListTargetsByRuleInput, ListTargetsByRuleOutput, PutTargetsInput, PutTargetsOutput, RemoveTargetsInput,
    RemoveTargetsOutput, Target,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::rules::{archive_without, check_managed, find, find_own};
use super::{Context, Decision, Reply, decided, rule_redeclared, shown};
use crate::records::DeclaredTarget;
use crate::rules::constraints::{Constraints, NAME};
use crate::rules::pages::{self, Page};
use crate::rules::{names, targets};
use crate::state::State;
use crate::{RuleKey, limits, refusals};

/// PutTargets.
#[derive(Clone, Debug)]
pub struct PutTargets {
    /// To which rule.
    pub rule: RuleKey,
    /// The targets.
    pub targets: Vec<Target>,
    /// The service that asks, if none of the clients does.
    pub service: Option<String>,
}

impl Operation<State> for PutTargets {
    type Input = PutTargetsInput;
    type Output = PutTargetsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: PutTargetsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut constraints = Constraints::default();
        constraints
            .required_text("rule", input.rule.as_ref(), NAME)
            .bus("eventBusName", input.event_bus_name.as_ref())
            .required("targets", input.targets.as_ref());
        let targets = input.targets.unwrap_or_default();
        targets::check(&targets, &mut constraints)?;
        let rule = names::rule(input.rule.as_ref(), input.event_bus_name.as_deref(), asker.caller);
        Ok(PutTargets { rule, targets, service: asker.caller.as_service().map(str::to_owned) })
    }

    /// Adds them. One of the same id is replaced; what is on its way to it stays, if it has the same ARN.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(find_own(state, &self.rule, self.service.as_deref()).and_then(|rule| {
            let mut all = rule.declared.targets.clone();
            for shape in &self.targets {
                let known = all.iter_mut().find(|known| known.shape.id == shape.id);
                let number = match &known {
                    Some(known) if known.shape.arn == shape.arn => known.number,
                    _ => context.setting.numbers.draw(),
                };
                let target = DeclaredTarget { number, shape: shape.clone() };
                match known {
                    Some(known) => *known = target,
                    None => all.push(target),
                }
            }
            if all.len() > limits::TARGETS {
                return Err(refusals::too_many());
            }
            Ok(rule_redeclared(rule, Reply::NotPut(Vec::new()), |declared| declared.targets = all))
        }))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<PutTargetsOutput, Malformed> {
        let Reply::NotPut(failed) = reply else { return Err(Malformed) };
        Ok(PutTargetsOutput {
            failed_entry_count: i32::try_from(failed.len()).ok(),
            failed_entries: Some(failed),
        })
    }
}

/// RemoveTargets.
#[derive(Clone, Debug)]
pub struct RemoveTargets {
    /// From which rule.
    pub rule: RuleKey,
    /// The targets' ids.
    pub ids: Vec<api::Text>,
    /// Even if a service manages the rule.
    pub force: bool,
}

impl Operation<State> for RemoveTargets {
    type Input = RemoveTargetsInput;
    type Output = RemoveTargetsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: RemoveTargetsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let ids = input.ids.as_deref().unwrap_or_default();
        let mut constraints = Constraints::default();
        constraints
            .required_text("rule", input.rule.as_ref(), NAME)
            .bus("eventBusName", input.event_bus_name.as_ref())
            .required("ids", input.ids.as_ref());
        if input.ids.is_some() {
            constraints.length("ids", ids.len(), (1, 100), || format!("[{}]", ids.join(", ")));
        }
        for (number, id) in ids.iter().enumerate() {
            constraints.text(&format!("ids.{}.member", number + 1), Some(id), NAME);
        }
        constraints.check()?;
        let rule = names::rule(input.rule.as_ref(), input.event_bus_name.as_deref(), asker.caller);
        Ok(RemoveTargets { rule, ids: ids.to_vec(), force: input.force.unwrap_or_default() })
    }

    /// Removes those that are there.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(find(state, &self.rule).and_then(|rule| {
            check_managed(rule, None, self.force)?;
            let goes =
                |target: &DeclaredTarget| target.shape.id.as_ref().is_some_and(|id| self.ids.contains(id));
            let mut decision = rule_redeclared(rule, Reply::NotRemoved(Vec::new()), |declared| {
                declared.targets.retain(|target| !goes(target));
            });
            if !decision.facts.is_empty() {
                decision.facts.extend(archive_without(state, rule).map(Into::into));
            }
            Ok(decision)
        }))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<RemoveTargetsOutput, Malformed> {
        let Reply::NotRemoved(failed) = reply else { return Err(Malformed) };
        Ok(RemoveTargetsOutput {
            failed_entry_count: i32::try_from(failed.len()).ok(),
            failed_entries: Some(failed),
        })
    }
}

/// ListTargetsByRule.
#[derive(Clone, Debug)]
pub struct ListTargetsByRule {
    /// Of which rule.
    pub rule: RuleKey,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListTargetsByRule {
    type Input = ListTargetsByRuleInput;
    type Output = ListTargetsByRuleOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListTargetsByRuleInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default()
            .required_text("rule", input.rule.as_ref(), NAME)
            .bus("eventBusName", input.event_bus_name.as_ref())
            .check()?;
        Ok(ListTargetsByRule {
            rule: names::rule(input.rule.as_ref(), input.event_bus_name.as_deref(), asker.caller),
            page: pages::page(input.next_token.as_ref(), input.limit)?,
        })
    }

    /// Tells them in the order in which they came.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let after = self.page.after_number().ok().flatten().unwrap_or_default();
        decided(find(state, &self.rule).map(|rule| {
            let mut targets: Vec<&DeclaredTarget> = rule.declared.targets.iter().collect();
            targets.sort_unstable_by_key(|target| target.number);
            let targets = targets.into_iter().filter(|target| target.number > after);
            let listed =
                self.page.fill(targets.map(|target| (target.number.to_string(), target.shape.clone())));
            Decision::answer(Reply::Targets(listed))
        }))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<ListTargetsByRuleOutput, Malformed> {
        let Reply::Targets(listed) = reply else { return Err(Malformed) };
        Ok(ListTargetsByRuleOutput { targets: Some(listed.items), next_token: shown(listed.next_token) })
    }
}
