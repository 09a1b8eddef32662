//! DeleteRule, DescribeRule, EnableRule and DisableRule: what is done with one rule.

use api::eventbridge::{
    DeleteRuleInput, DeleteRuleOutput, DescribeRuleInput, DescribeRuleOutput, DisableRuleInput,
    DisableRuleOutput, EnableRuleInput, EnableRuleOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::{Context, Decision, Reply, check_bus, decided, rule_redeclared, shown};
use crate::bus::Rule;
use crate::records::{ArchiveDeclared, Record};
use crate::rules::archives;
use crate::rules::constraints::{Constraints, NAME};
use crate::rules::names;
use crate::state::State;
use crate::{RuleKey, refusals};

/// Which rule a request means.
fn key(name: Option<&api::Text>, bus: Option<&api::Text>, asker: &Asker<'_>) -> Result<RuleKey, Refusal> {
    Constraints::default().required_text("name", name, NAME).bus("eventBusName", bus).check()?;
    Ok(names::rule(name, bus.map(|bus| &**bus), asker.caller))
}

/// The rule that a request means.
///
/// Errors: there is no such bus, or no such rule.
pub(super) fn find<'s>(state: &'s State, key: &RuleKey) -> Result<&'s Rule, Refusal> {
    check_bus(state, &key.bus)?;
    state.rule(key).ok_or_else(|| refusals::rule_missing(key))
}

/// The rule that a request means to change.
///
/// Errors: there is no such bus or rule, or another service than the one that asks manages it.
pub(super) fn find_own<'s>(
    state: &'s State,
    key: &RuleKey,
    service: Option<&str>,
) -> Result<&'s Rule, Refusal> {
    let rule = find(state, key)?;
    check_managed(rule, service, false)?;
    Ok(rule)
}

/// Refuses to change a rule that a service manages, unless it is that service, or that is forced.
pub(super) fn check_managed(rule: &Rule, service: Option<&str>, force: bool) -> Result<(), Refusal> {
    match &rule.declared.managed_by {
        Some(manager) if !force && service != Some(manager) => Err(refusals::managed(&rule.declared.key)),
        _ => Ok(()),
    }
}

/// The archive to which a rule sent events, as it is without the rule: it keeps no more.
pub(super) fn archive_without(state: &State, rule: &Rule) -> Option<Record> {
    let archive = state.archiving.of_rule(rule.id())?;
    let disabled = Some(archives::RULE_TAKEN.to_owned());
    Some(Record::ArchiveDeclared(Box::new(ArchiveDeclared { disabled, ..archive.clone() })))
}

/// DeleteRule.
#[derive(Clone, Debug)]
pub struct DeleteRule {
    /// Which.
    pub rule: RuleKey,
    /// Even if a service manages it.
    pub force: bool,
}

impl Operation<State> for DeleteRule {
    type Input = DeleteRuleInput;
    type Output = DeleteRuleOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Purge;

    fn prepare(input: DeleteRuleInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let rule = key(input.name.as_ref(), input.event_bus_name.as_ref(), asker)?;
        Ok(DeleteRule { rule, force: input.force.unwrap_or_default() })
    }

    /// Deletes it, unless it has targets. That there is none is as good (facts/eventbridge.md § 2).
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        if let Err(refusal) = check_bus(state, &self.rule.bus) {
            return refusal.into();
        }
        match state.rule(&self.rule) {
            None => Decision::answer(Reply::Done),
            Some(rule) => decided(check_managed(rule, None, self.force).and_then(|()| {
                if !rule.declared.targets.is_empty() {
                    return Err(refusals::invalid("Rule can't be deleted since it has targets."));
                }
                let deleted = Record::RuleDeleted(rule.deletion());
                let records = [deleted].into_iter().chain(archive_without(state, rule));
                Ok(Decision::done(records.map(Into::into).collect(), Reply::Done))
            })),
        }
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<DeleteRuleOutput, Malformed> {
        reply.done()
    }
}

/// DescribeRule.
#[derive(Clone, Debug)]
pub struct DescribeRule {
    /// Which.
    pub rule: RuleKey,
}

impl Operation<State> for DescribeRule {
    type Input = DescribeRuleInput;
    type Output = DescribeRuleOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeRuleInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DescribeRule { rule: key(input.name.as_ref(), input.event_bus_name.as_ref(), asker)? })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let rule = find(state, &self.rule);
        decided(rule.map(|rule| Decision::answer(Reply::Rule(Box::new(rule.declared.clone())))))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<DescribeRuleOutput, Malformed> {
        let Reply::Rule(rule) = reply else { return Err(Malformed) };
        Ok(DescribeRuleOutput {
            arn: Some(rule.key.arn().to_string().into()),
            name: Some(rule.key.name.into()),
            event_pattern: shown(rule.pattern),
            schedule_expression: shown(rule.schedule),
            state: Some(rule.state.into()),
            description: shown(rule.description),
            role_arn: shown(rule.role_arn),
            managed_by: shown(rule.managed_by),
            event_bus_name: Some(rule.key.bus.name.into()),
            created_by: Some(rule.created_by.into()),
        })
    }
}

/// EnableRule.
#[derive(Clone, Debug)]
pub struct EnableRule {
    /// Which.
    pub rule: RuleKey,
    /// The service that asks, if none of the clients does.
    pub service: Option<String>,
}

impl Operation<State> for EnableRule {
    type Input = EnableRuleInput;
    type Output = EnableRuleOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: EnableRuleInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let rule = key(input.name.as_ref(), input.event_bus_name.as_ref(), asker)?;
        Ok(EnableRule { rule, service: asker.caller.as_service().map(str::to_owned) })
    }

    /// Enables it. Its schedule begins anew.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        switch(state, (&self.rule, self.service.as_deref()), "ENABLED", context)
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<EnableRuleOutput, Malformed> {
        reply.done()
    }
}

/// DisableRule.
#[derive(Clone, Debug)]
pub struct DisableRule {
    /// Which.
    pub rule: RuleKey,
    /// The service that asks, if none of the clients does.
    pub service: Option<String>,
}

impl Operation<State> for DisableRule {
    type Input = DisableRuleInput;
    type Output = DisableRuleOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: DisableRuleInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let rule = key(input.name.as_ref(), input.event_bus_name.as_ref(), asker)?;
        Ok(DisableRule { rule, service: asker.caller.as_service().map(str::to_owned) })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        switch(state, (&self.rule, self.service.as_deref()), "DISABLED", context)
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<DisableRuleOutput, Malformed> {
        reply.done()
    }
}

fn switch<'a>(
    state: &State,
    (key, service): (&RuleKey, Option<&str>),
    to: &str,
    context: &Context<'a, '_>,
) -> Decision<'a> {
    decided(find_own(state, key, service).map(|rule| {
        // One that is enabled in another manner stays so.
        let is_so = rule.declared.is_enabled() == (to == "ENABLED");
        rule_redeclared(rule, Reply::Done, |declared| {
            if !is_so {
                to.clone_into(&mut declared.state);
                declared.begin_schedule(context.setting.now);
            }
        })
    }))
}
