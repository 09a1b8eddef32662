//! PutItem, UpdateItem and DeleteItem: one item is written, if a condition holds of it.

use api::dynamodb::{
    DeleteItemInput, DeleteItemOutput, PutItemInput, PutItemOutput, UpdateItemInput, UpdateItemOutput,
};
use api::{Json, Text};
use items::Fault;
use items::expression::{Projection, Scope};
use items::value::Item;
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;

use super::{Context, Decision, Reply, Written, decided, shown_item};
use crate::capacity::Mode;
use crate::refusals::{invalid, of_fault};
use crate::rules::checking::{
    check_mixing, conditional, expected, item, metrics, mode, scope, shows_unmet, table, updates,
};
use crate::state::State;
use crate::write::{What, Write, check_memory, put};

/// `ReturnValues`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Returns {
    /// Nothing.
    #[default]
    Nothing,
    /// The item before.
    AllOld,
    /// What the update has touched, before.
    UpdatedOld,
    /// The item afterwards.
    AllNew,
    /// What the update has touched, afterwards.
    UpdatedNew,
}

/// What is shown of a write.
#[derive(Clone, Debug, Default)]
pub struct Shows {
    table: Text,
    returns: Returns,
    touched: Projection,
    capacity: Mode,
    metrics: bool,
}

/// The name in AWS's text is one that no operation accepts; the spelling is AWS's (facts/dynamodb.md § 5).
const RETURNS: &str = "Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]";

fn returns(text: Option<&Text>, faults: &mut Faults) -> Returns {
    match text.map(|text| &**text) {
        None | Some("NONE") => Returns::Nothing,
        Some("ALL_OLD") => Returns::AllOld,
        Some("UPDATED_OLD") => Returns::UpdatedOld,
        Some("ALL_NEW") => Returns::AllNew,
        Some("UPDATED_NEW") => Returns::UpdatedNew,
        Some(other) => {
            faults.add(other, "returnValues", RETURNS);
            Returns::Nothing
        }
    }
}

/// A write whose answer shows the item.
#[derive(Clone, Debug)]
pub struct Single {
    write: Write,
    /// Whether the answer shows the item as it is afterwards.
    shows_new: bool,
}

impl Single {
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.tried(state, context).map_err(|unmade| unmade.refusal(self.write.shows_unmet)))
    }

    fn tried<'a>(
        &'a self,
        state: &State,
        context: &Context<'a, '_>,
    ) -> Result<Decision<'a>, crate::write::Unmade> {
        let setting = &context.setting;
        let made = self.write.make(self.write.target(state)?)?;
        check_memory(state, made.growth(), setting).map_err(crate::write::Unmade::Refused)?;
        let written = Written {
            new: made.new.as_deref().filter(|_| self.shows_new).map(<[u8]>::to_vec),
            old: made.old.clone(),
            ..Written::of(&made)
        };
        let facts = made.fact(setting).into_iter().map(kernel::Fact::from).collect();
        Ok(Decision::done(facts, Reply::Written(Box::new(written))))
    }
}

/// What an answer shows of a write: attributes, units and the collection.
fn shown<O>(
    reply: Reply,
    plan: &Shows,
    make: impl FnOnce(
        Option<Json>,
        Option<api::dynamodb::ConsumedCapacity>,
        Option<api::dynamodb::ItemCollectionMetrics>,
    ) -> O,
) -> Result<O, Malformed> {
    let Reply::Written(written) = reply else { return Err(Malformed) };
    let old = written.old.as_ref().map(|held| held.content());
    let touched = |content: Option<&[u8]>| {
        let part = content.map(|content| plan.touched.apply(Item(content)));
        part.filter(|part| !part.is_empty()).map(|part| shown_item(&part))
    };
    let attributes = match plan.returns {
        Returns::Nothing => None,
        Returns::AllOld => old.map(shown_item),
        Returns::AllNew => written.new.as_deref().map(shown_item),
        Returns::UpdatedOld => touched(old),
        Returns::UpdatedNew => touched(written.new.as_deref()),
    };
    let capacity = written.units.shown(&plan.table, plan.capacity, None);
    let metrics = written.collection.filter(|_| plan.metrics).map(|key| super::collection_of(&key));
    Ok(make(attributes, capacity, metrics))
}

/// PutItem.
#[derive(Clone, Debug)]
pub struct PutItem(Single);

impl Operation<State> for PutItem {
    type Input = PutItemInput;
    type Output = PutItemOutput;
    type Plan = Shows;

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: PutItemInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    fn prepare_with_plan(input: PutItemInput, asker: &Asker<'_>) -> Result<(Self, Shows), Refusal> {
        let mut faults = Faults::default();
        let table = table(input.table_name.as_ref(), asker, &mut faults)?;
        if input.item.is_none() {
            faults.missing("item");
        }
        let capacity = mode(input.return_consumed_capacity.as_ref(), &mut faults);
        let returns = returns(input.return_values.as_ref(), &mut faults);
        let metrics = metrics(input.return_item_collection_metrics.as_ref(), &mut faults);
        let shows_unmet = shows_unmet(input.return_values_on_condition_check_failure.as_ref(), &mut faults);
        faults.refusal()?;
        let wrong = |fault: Fault| of_fault(&fault, true);
        let condition = (|| {
            check_mixing(
                &[
                    ("Expected", input.expected.is_some()),
                    ("ConditionalOperator", input.conditional_operator.is_some()),
                ],
                &[("ConditionExpression", input.condition_expression.is_some())],
            )?;
            let scope = scope(
                input.expression_attribute_names.as_ref(),
                input.expression_attribute_values.as_ref(),
                false,
            )?;
            condition_of(
                scope,
                input.condition_expression.as_ref(),
                expected(input.expected.as_ref(), input.conditional_operator.as_ref())?,
            )
        })();
        if !matches!(returns, Returns::Nothing | Returns::AllOld) {
            return Err(invalid("ReturnValues can only be ALL_OLD or NONE"));
        }
        let content = item(&input.item.unwrap_or_default()).map_err(wrong)?;
        let condition = condition.map_err(wrong)?;
        let write = Write { table, what: put(content)?, condition, shows_unmet };
        let plan = Shows {
            table: input.table_name.unwrap_or_default(),
            returns,
            touched: Projection::default(),
            capacity,
            metrics,
        };
        Ok((PutItem(Single { write, shows_new: false }), plan))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.decide(state, context)
    }

    fn present(reply: Reply, plan: &Shows, _: &()) -> Result<PutItemOutput, Malformed> {
        shown(reply, plan, |attributes, consumed_capacity, item_collection_metrics| PutItemOutput {
            attributes,
            consumed_capacity,
            item_collection_metrics,
        })
    }
}

/// The condition of a request without an update, as an expression or of the older parameters.
fn condition_of(
    mut scope: Scope,
    expression: Option<&Text>,
    older: Option<items::expression::Condition>,
) -> Result<Option<items::expression::Condition>, Fault> {
    if expression.is_none() {
        scope.check_needed()?;
    }
    let condition = conditional("ConditionExpression", expression, &mut scope)?;
    scope.check_used()?;
    Ok(condition.or(older))
}

/// DeleteItem.
#[derive(Clone, Debug)]
pub struct DeleteItem(Single);

impl Operation<State> for DeleteItem {
    type Input = DeleteItemInput;
    type Output = DeleteItemOutput;
    type Plan = Shows;

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteItemInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    fn prepare_with_plan(input: DeleteItemInput, asker: &Asker<'_>) -> Result<(Self, Shows), Refusal> {
        let mut faults = Faults::default();
        let table = table(input.table_name.as_ref(), asker, &mut faults)?;
        if input.key.is_none() {
            faults.missing("key");
        }
        let capacity = mode(input.return_consumed_capacity.as_ref(), &mut faults);
        let returns = returns(input.return_values.as_ref(), &mut faults);
        let metrics = metrics(input.return_item_collection_metrics.as_ref(), &mut faults);
        let shows_unmet = shows_unmet(input.return_values_on_condition_check_failure.as_ref(), &mut faults);
        faults.refusal()?;
        if !matches!(returns, Returns::Nothing | Returns::AllOld) {
            return Err(invalid("ReturnValues can only be ALL_OLD or NONE"));
        }
        let read = || {
            check_mixing(
                &[
                    ("Expected", input.expected.is_some()),
                    ("ConditionalOperator", input.conditional_operator.is_some()),
                ],
                &[("ConditionExpression", input.condition_expression.is_some())],
            )?;
            let scope = scope(
                input.expression_attribute_names.as_ref(),
                input.expression_attribute_values.as_ref(),
                false,
            )?;
            let older = expected(input.expected.as_ref(), input.conditional_operator.as_ref())?;
            let condition = condition_of(scope, input.condition_expression.as_ref(), older)?;
            Ok((item(&input.key.clone().unwrap_or_default())?, condition))
        };
        let (key, condition) = read().map_err(|fault: Fault| of_fault(&fault, true))?;
        let write = Write { table, what: What::Delete(key), condition, shows_unmet };
        let plan = Shows {
            table: input.table_name.clone().unwrap_or_default(),
            returns,
            touched: Projection::default(),
            capacity,
            metrics,
        };
        Ok((DeleteItem(Single { write, shows_new: false }), plan))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.decide(state, context)
    }

    fn present(reply: Reply, plan: &Shows, _: &()) -> Result<DeleteItemOutput, Malformed> {
        shown(reply, plan, |attributes, consumed_capacity, item_collection_metrics| DeleteItemOutput {
            attributes,
            consumed_capacity,
            item_collection_metrics,
        })
    }
}

/// UpdateItem.
#[derive(Clone, Debug)]
pub struct UpdateItem(Single);

impl Operation<State> for UpdateItem {
    type Input = UpdateItemInput;
    type Output = UpdateItemOutput;
    type Plan = Shows;

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateItemInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    fn prepare_with_plan(input: UpdateItemInput, asker: &Asker<'_>) -> Result<(Self, Shows), Refusal> {
        let mut faults = Faults::default();
        let table = table(input.table_name.as_ref(), asker, &mut faults)?;
        if input.key.is_none() {
            faults.missing("key");
        }
        let capacity = mode(input.return_consumed_capacity.as_ref(), &mut faults);
        let returns = returns(input.return_values.as_ref(), &mut faults);
        let metrics = metrics(input.return_item_collection_metrics.as_ref(), &mut faults);
        let shows_unmet = shows_unmet(input.return_values_on_condition_check_failure.as_ref(), &mut faults);
        faults.refusal()?;
        let read = || {
            check_mixing(
                &[
                    ("AttributeUpdates", input.attribute_updates.is_some()),
                    ("Expected", input.expected.is_some()),
                    ("ConditionalOperator", input.conditional_operator.is_some()),
                ],
                &[
                    ("UpdateExpression", input.update_expression.is_some()),
                    ("ConditionExpression", input.condition_expression.is_some()),
                ],
            )?;
            let mut scope = scope(
                input.expression_attribute_names.as_ref(),
                input.expression_attribute_values.as_ref(),
                false,
            )?;
            if input.update_expression.is_none() && input.condition_expression.is_none() {
                scope.check_needed()?;
            }
            let update = input.update_expression.as_ref();
            let update = update.map(|text| items::expression::update(text, &mut scope)).transpose()?;
            let condition =
                conditional("ConditionExpression", input.condition_expression.as_ref(), &mut scope)?;
            scope.check_used()?;
            let older = expected(input.expected.as_ref(), input.conditional_operator.as_ref())?;
            let update = match update {
                Some(update) => Some(update),
                None => updates(input.attribute_updates.as_ref())?,
            };
            Ok((item(&input.key.clone().unwrap_or_default())?, update, condition.or(older)))
        };
        let (key, update, condition) = read().map_err(|fault: Fault| of_fault(&fault, true))?;
        let touched = update.as_ref().map(|update| update.touched()).unwrap_or_default();
        let write = Write { table, what: What::Update(key, update.map(Box::new)), condition, shows_unmet };
        let shows_new = matches!(returns, Returns::AllNew | Returns::UpdatedNew);
        let plan = Shows {
            table: input.table_name.clone().unwrap_or_default(),
            returns,
            touched,
            capacity,
            metrics,
        };
        Ok((UpdateItem(Single { write, shows_new }), plan))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.decide(state, context)
    }

    fn present(reply: Reply, plan: &Shows, _: &()) -> Result<UpdateItemOutput, Malformed> {
        shown(reply, plan, |attributes, consumed_capacity, item_collection_metrics| UpdateItemOutput {
            attributes,
            consumed_capacity,
            item_collection_metrics,
        })
    }
}
