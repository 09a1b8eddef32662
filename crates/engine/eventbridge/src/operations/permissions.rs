//! PutPermission and RemovePermission: a bus's policy gets one more statement, or one less.

use api::eventbridge::{
    PutPermissionInput, PutPermissionOutput, RemovePermissionInput, RemovePermissionOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::{Context, Decision, Reply, bus_changed};
use crate::BusKey;
use crate::rules::constraints::{Constraints, Kind, OWN_BUS_NAME, STATEMENT, text};
use crate::rules::names;
use crate::rules::permissions::{self, Permission};
use crate::state::State;

/// An account, or everybody.
const PRINCIPAL: Kind =
    Kind { least: 1, most: 12, characters: Some((r"(\d{12}|\*)", |c| c.is_ascii_digit() || c == '*')) };

/// PutPermission.
#[derive(Clone, Debug)]
pub struct PutPermission {
    /// To which bus's policy.
    pub bus: BusKey,
    /// What.
    pub permission: Permission,
}

impl Operation<State> for PutPermission {
    type Input = PutPermissionInput;
    type Output = PutPermissionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: PutPermissionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut constraints = Constraints::default();
        constraints.text("eventBusName", input.event_bus_name.as_ref(), OWN_BUS_NAME);
        let bus = names::bus(input.event_bus_name.as_deref(), asker.caller);
        if let Some(policy) = &input.policy {
            constraints.check()?;
            return Ok(PutPermission { bus, permission: permissions::whole(policy)? });
        }
        constraints
            .required_text("action", input.action.as_ref(), text(64))
            .required_text("principal", input.principal.as_ref(), PRINCIPAL)
            .required_text("statementId", input.statement_id.as_ref(), STATEMENT);
        if let Some(condition) = &input.condition {
            constraints
                .required("condition.type", condition.r#type.as_ref())
                .required("condition.key", condition.key.as_ref())
                .required("condition.value", condition.value.as_ref());
        }
        constraints.check()?;
        let text = |text: &Option<api::Text>| text.as_deref().unwrap_or_default().to_owned();
        let (label, principal, action) =
            (text(&input.statement_id), text(&input.principal), text(&input.action));
        let condition = input.condition.as_ref().map(|it| (text(&it.r#type), text(&it.key), text(&it.value)));
        let condition = condition.as_ref().map(|(kind, key, value)| (&**kind, &**key, &**value));
        let statement = permissions::statement(&bus, &label, &principal, &action, condition);
        Ok(PutPermission { bus, permission: Permission::Statement(label, statement) })
    }

    /// Adds it.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        bus_changed(state, &self.bus, &context.setting, |declared| {
            declared.policy = Some(permissions::add(declared.policy.as_deref(), &self.permission)?);
            Ok(())
        })
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<PutPermissionOutput, Malformed> {
        reply.done()
    }
}

/// RemovePermission.
#[derive(Clone, Debug)]
pub struct RemovePermission {
    /// From which bus's policy.
    pub bus: BusKey,
    /// Which statement; none: all.
    pub label: Option<String>,
}

impl Operation<State> for RemovePermission {
    type Input = RemovePermissionInput;
    type Output = RemovePermissionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: RemovePermissionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let all = input.remove_all_permissions == Some(true);
        let mut constraints = Constraints::default();
        constraints.text("eventBusName", input.event_bus_name.as_ref(), OWN_BUS_NAME);
        if !all {
            constraints.required_text("statementId", input.statement_id.as_ref(), STATEMENT);
        }
        constraints.check()?;
        Ok(RemovePermission {
            bus: names::bus(input.event_bus_name.as_deref(), asker.caller),
            label: input.statement_id.filter(|_| !all).map(|label| label.to_string()),
        })
    }

    /// Removes it (facts/eventbridge.md § 2).
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        bus_changed(state, &self.bus, &context.setting, |declared| {
            declared.policy = match &self.label {
                Some(label) => permissions::remove(declared.policy.as_deref(), label)?,
                None => None,
            };
            Ok(())
        })
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<RemovePermissionOutput, Malformed> {
        reply.done()
    }
}
