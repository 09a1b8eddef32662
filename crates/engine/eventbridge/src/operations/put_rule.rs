//! PutRule: a rule is made, or replaced by what is said now.

use api::eventbridge::{PutRuleInput, PutRuleOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::tags::Tags;

use super::rules::check_managed;
use super::{Context, Decision, Reply, check_bus, decided, done, owned, rule_redeclared};
use crate::records::{Record, RuleDeclared};
use crate::rules::constraints::{ARN, Constraints, NAME, text};
use crate::rules::{names, pattern, tags, timing};
use crate::state::State;
use crate::{RuleId, RuleKey, limits, refusals};

/// PutRule.
#[derive(Clone, Debug)]
pub struct PutRule {
    /// Which.
    pub rule: RuleKey,
    /// What it matches.
    pub pattern: Option<String>,
    /// When it runs.
    pub schedule: Option<String>,
    /// `State`.
    pub state: String,
    /// `Description`.
    pub description: Option<String>,
    /// `RoleArn`.
    pub role_arn: Option<String>,
    /// What a new rule is to be marked with.
    pub tags: Tags,
    /// Who asks.
    pub account: String,
    /// The service that asks, if none of the clients does: the rule is managed by it.
    pub service: Option<String>,
}

/// AWS's model: `RuleState`.
const STATES: [&str; 3] = ["ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"];

impl Operation<State> for PutRule {
    type Input = PutRuleInput;
    type Output = PutRuleOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: PutRuleInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default()
            .required_text("name", input.name.as_ref(), NAME)
            .text("scheduleExpression", input.schedule_expression.as_ref(), text(256))
            .text("eventPattern", input.event_pattern.as_ref(), text(4096))
            .one_of("state", input.state.as_ref(), &STATES)
            .text("description", input.description.as_ref(), text(512))
            .text("roleArn", input.role_arn.as_ref(), ARN)
            .bus("eventBusName", input.event_bus_name.as_ref())
            .check()?;
        let rule = names::rule(input.name.as_ref(), input.event_bus_name.as_deref(), asker.caller);
        let given = |text: Option<api::Text>| text.filter(|text| !text.is_empty());
        let schedule = given(input.schedule_expression);
        let pattern = given(input.event_pattern);
        if schedule.is_some() && !rule.bus.is_default() {
            let text = "ScheduleExpression is supported only on the default event bus.";
            return Err(refusals::invalid(text));
        }
        if schedule.is_none() && pattern.is_none() {
            let text = "Parameter(s) EventPattern or ScheduleExpression must be specified.";
            return Err(refusals::invalid(text));
        }
        schedule.as_deref().map_or(Ok(()), timing::check)?;
        if let Some(pattern) = &pattern {
            pattern::parse(pattern)?;
        }
        Ok(PutRule {
            rule,
            pattern: owned(pattern.as_ref()),
            schedule: owned(schedule.as_ref()),
            state: input.state.as_deref().unwrap_or("ENABLED").to_owned(),
            description: owned(input.description.as_ref()),
            role_arn: owned(input.role_arn.as_ref()),
            tags: tags::check(input.tags.as_deref())?,
            account: asker.caller.account.clone(),
            service: asker.caller.as_service().map(str::to_owned),
        })
    }

    /// Makes it, or replaces what it says. Its targets stay, and so do its tags (facts/eventbridge.md § 2). A schedule that stays as it
    /// is keeps its rhythm.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.try_decide(state, context))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<PutRuleOutput, Malformed> {
        let Reply::Arn(arn) = reply else { return Err(Malformed) };
        Ok(PutRuleOutput { rule_arn: Some(arn.into()) })
    }
}

impl PutRule {
    fn try_decide<'a>(&'a self, state: &State, context: &Context<'a, '_>) -> Result<Decision<'a>, Refusal> {
        check_bus(state, &self.rule.bus)?;
        let reply = Reply::Arn(self.rule.arn().to_string());
        if let Some(rule) = state.rule(&self.rule) {
            check_managed(rule, self.service.as_deref(), false)?;
            return Ok(rule_redeclared(rule, reply, |declared| {
                let was = (declared.is_enabled(), declared.schedule.clone());
                declared.pattern.clone_from(&self.pattern);
                declared.schedule.clone_from(&self.schedule);
                declared.state.clone_from(&self.state);
                if was != (declared.is_enabled(), declared.schedule.clone()) {
                    declared.begin_schedule(context.setting.now);
                }
                declared.description.clone_from(&self.description);
                declared.role_arn.clone_from(&self.role_arn);
            }));
        }
        let rules = state.bus(&self.rule.bus).map_or(0, |bus| bus.rules.len());
        if context.setting.limits.quotas && rules >= limits::RULES {
            return Err(refusals::too_many());
        }
        tags::check_count(&self.tags)?;
        let mut declared = RuleDeclared {
            id: RuleId(context.setting.numbers.draw()),
            key: self.rule.clone(),
            pattern: self.pattern.clone(),
            schedule: self.schedule.clone(),
            timing: None,
            state: self.state.clone(),
            description: self.description.clone(),
            role_arn: self.role_arn.clone(),
            managed_by: self.service.clone(),
            created_by: self.account.clone(),
            tags: self.tags.clone(),
            targets: Vec::new(),
        };
        declared.begin_schedule(context.setting.now);
        Ok(done(Record::RuleDeclared(Box::new(declared)), reply))
    }
}
