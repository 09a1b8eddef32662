//! GetItem: one item by its key.

use api::Text;
use api::dynamodb::{GetItemInput, GetItemOutput};
use items::expression::Projection;
use items::value::Item;
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;

use super::{Context, Decision, Reply, decided, shown_part};
use crate::capacity::{self, Mode, Units};
use crate::contents::Held;
use crate::refusals::of_fault;
use crate::rules::checking::{item, mode, shown, table};
use crate::rules::definition::KeyFault;
use crate::state::State;
use crate::write::Unmade;
use crate::{TableKey, refusals};

/// An item that is read.
#[derive(Clone, Debug)]
pub struct Read {
    /// The table.
    pub table: TableKey,
    /// The key.
    pub key: Vec<u8>,
}

impl Read {
    /// The item, if there is one.
    ///
    /// Errors: there is no such table, or its key is another.
    pub fn find<'s>(&self, state: &'s State) -> Result<Option<&'s Held>, Unmade> {
        let found = state.table(&self.table);
        let (table, contents) = found.ok_or_else(|| Unmade::Refused(refusals::resource_missing()))?;
        let key = table.definition.key_of(Item(&self.key)).map_err(|fault| match fault {
            KeyFault::Mismatch(refusal) => Unmade::Mismatch(refusal),
            KeyFault::Empty(refusal) | KeyFault::TooLong(refusal) => Unmade::Refused(refusal),
        })?;
        Ok(contents.get(&key))
    }
}

/// GetItem.
#[derive(Clone, Debug)]
pub struct GetItem {
    read: Read,
    is_consistent: bool,
}

/// What is shown of the item.
#[derive(Clone, Debug, Default)]
pub struct Shows {
    table: Text,
    projection: Option<Projection>,
    capacity: Mode,
}

impl Operation<State> for GetItem {
    type Input = GetItemInput;
    type Output = GetItemOutput;
    type Plan = Shows;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetItemInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    fn prepare_with_plan(input: GetItemInput, asker: &Asker<'_>) -> Result<(Self, Shows), Refusal> {
        let mut faults = Faults::default();
        let table = table(input.table_name.as_ref(), asker, &mut faults)?;
        if input.key.is_none() {
            faults.missing("key");
        }
        let capacity = mode(input.return_consumed_capacity.as_ref(), &mut faults);
        faults.refusal()?;
        let projection = shown(
            input.projection_expression.as_ref(),
            input.expression_attribute_names.as_ref(),
            input.attributes_to_get.as_ref(),
        )?;
        let key = item(&input.key.unwrap_or_default()).map_err(|fault| of_fault(&fault, false))?;
        let is_consistent = input.consistent_read.unwrap_or_default();
        let plan = Shows { table: input.table_name.unwrap_or_default(), projection, capacity };
        Ok((GetItem { read: Read { table, key }, is_consistent }, plan))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.read.find(state).map_err(|unmade| unmade.refusal(false)).map(|held| {
            let size = held.map_or(0, Held::size);
            let units = Units::of_table(capacity::read(size, self.is_consistent));
            Decision::answer(Reply::Item(held.cloned(), units))
        }))
    }

    fn present(reply: Reply, plan: &Shows, _: &()) -> Result<GetItemOutput, Malformed> {
        let Reply::Item(held, units) = reply else { return Err(Malformed) };
        let item = held.map(|held| shown_part(&held, plan.projection.as_ref()));
        Ok(GetItemOutput { item, consumed_capacity: units.shown(&plan.table, plan.capacity, None) })
    }
}
