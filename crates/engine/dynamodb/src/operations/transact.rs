//! TransactWriteItems and TransactGetItems: all or nothing. A transaction is one decision, so none is ever under way when another request
//! is decided, and what it writes is one group of the log.

use std::collections::BTreeSet;

use api::dynamodb::{
    Get, ItemResponse, TransactGetItemsInput, TransactGetItemsOutput, TransactWriteItem,
    TransactWriteItemsInput, TransactWriteItemsOutput,
};
use api::{Json, Map, Text};
use items::expression::{Projection, Scope};
use items::json::text_of_item;
use json_text::quoted;
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;

use super::get_item::Read;
use super::{Context, Decision, Found, Reply, Setting, Written, collection_of, decided, shown_part};
use crate::capacity::{self, Mode, Units};
use crate::contents::Held;
use crate::limits::TOKEN_MILLIS;
use crate::records::{Record, TokenUsed};
use crate::refusals::{invalid, of_fault};
use crate::rules::checking::{conditional, item, metrics, mode, projected, scope, shows_unmet, table};
use crate::state::State;
use crate::tokens::hash;
use crate::write::{Made, Unmade, What, Write, check_memory};

/// Actions of a transaction (facts/dynamodb.md § 3).
const ACTIONS: usize = 100;

/// Bytes of all items that a transaction writes: they are one group of the log, which has 4 MiB. AWS bounds the request instead.
const WRITTEN_BYTES: usize = 3 << 20;

/// Bytes of all items that a transaction reads (AWS's API reference of TransactGetItems).
const READ_BYTES: usize = 4 << 20;

/// Why an action cancels a transaction.
struct Reason {
    code: &'static str,
    message: String,
    item: Option<Held>,
}

fn cancelled(reasons: &[Option<Reason>]) -> Refusal {
    let codes: Vec<&str> =
        reasons.iter().map(|reason| reason.as_ref().map_or("None", |reason| reason.code)).collect();
    let shown: Vec<String> = reasons
        .iter()
        .map(|reason| match reason {
            None => "{\"Code\":\"None\"}".to_owned(),
            Some(Reason { code, message, item }) => {
                let item = item.as_ref().map(|held| format!("\"Item\":{},", text_of_item(held.item())));
                let item = item.unwrap_or_default();
                format!("{{{item}\"Code\":\"{code}\",\"Message\":{}}}", quoted(message))
            }
        })
        .collect();
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", ")
    );
    Refusal::new("TransactionCanceledException", message)
        .with_details(format!("\"CancellationReasons\":[{}]", shown.join(",")))
}

/// The number of actions is checked before anything of them.
fn check_count(count: Option<usize>) -> Result<(), Refusal> {
    match count {
        None => {
            let mut faults = Faults::default();
            faults.missing("transactItems");
            faults.refusal()
        }
        Some(0) => Err(invalid(
            "1 validation error detected: Value at 'TransactItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
        )),
        Some(count) if count > ACTIONS => Err(invalid(
            "1 validation error detected: Value at 'TransactItems' failed to satisfy constraint: Member must have length less than or equal to 100",
        )),
        Some(_) => Ok(()),
    }
}

/// TransactWriteItems.
#[derive(Clone, Debug)]
pub struct TransactWriteItems {
    writes: Vec<Write>,
    /// Hashes of the token and of the request.
    token: Option<([u8; 16], [u8; 16])>,
}

/// What is shown of a transaction that writes.
#[derive(Clone, Debug, Default)]
pub struct Shows {
    /// The table of each action, as it was named.
    tables: Vec<Text>,
    capacity: Mode,
    metrics: bool,
}

/// The members that the four kinds of actions have in common.
macro_rules! write_of {
    ($action:ident, $asker:ident, $what:expr) => {{
        let mut faults = Faults::default();
        let table = table($action.table_name.as_ref(), $asker, &mut faults)?;
        let shows = shows_unmet($action.return_values_on_condition_check_failure.as_ref(), &mut faults);
        faults.refusal()?;
        let wrong = |fault: items::Fault| of_fault(&fault, false);
        let mut scope = scope(
            $action.expression_attribute_names.as_ref(),
            $action.expression_attribute_values.as_ref(),
            false,
        )
        .map_err(wrong)?;
        let condition = $action.condition_expression.as_ref();
        let condition = conditional("ConditionExpression", condition, &mut scope).map_err(wrong)?;
        let make: fn(&_, &mut Scope) -> Result<What, Refusal> = $what;
        let what = make($action, &mut scope)?;
        scope.check_used().map_err(wrong)?;
        Ok((
            $action.table_name.clone().unwrap_or_default(),
            Write { table, what, condition, shows_unmet: shows },
        ))
    }};
}

fn content(map: Option<&Map<Json>>, name: &str) -> Result<Vec<u8>, Refusal> {
    let Some(map) = map else {
        let mut faults = Faults::default();
        faults.missing(name);
        faults.refusal()?;
        return Ok(Vec::new());
    };
    item(map).map_err(|fault| of_fault(&fault, false))
}

fn action(action: &TransactWriteItem, asker: &Asker<'_>) -> Result<(Text, Write), Refusal> {
    match (&action.condition_check, &action.put, &action.delete, &action.update) {
        (Some(check), None, None, None) => {
            if check.condition_expression.is_none() {
                let mut faults = Faults::default();
                faults.missing("transactItems.1.member.conditionCheck.conditionExpression");
                faults.refusal()?;
            }
            write_of!(check, asker, |check: &api::dynamodb::ConditionCheck, _| {
                content(check.key.as_ref(), "transactItems.1.member.conditionCheck.key").map(What::Check)
            })
        }
        (None, Some(put), None, None) => {
            write_of!(put, asker, |put: &api::dynamodb::Put, _| {
                crate::write::put(content(put.item.as_ref(), "transactItems.1.member.put.item")?)
            })
        }
        (None, None, Some(delete), None) => {
            write_of!(delete, asker, |delete: &api::dynamodb::Delete, _| {
                content(delete.key.as_ref(), "transactItems.1.member.delete.key").map(What::Delete)
            })
        }
        (None, None, None, Some(update)) => {
            write_of!(update, asker, |update: &api::dynamodb::Update, scope: &mut Scope| {
                let key = content(update.key.as_ref(), "transactItems.1.member.update.key")?;
                let expression = update.update_expression.as_deref().unwrap_or_default();
                let parsed = items::expression::update(expression, scope);
                let parsed = parsed.map_err(|fault| of_fault(&fault, false))?;
                Ok(What::Update(key, Some(Box::new(parsed))))
            })
        }
        _ => Err(invalid("TransactItems can only contain one of Check, Put, Update or Delete")),
    }
}

impl Operation<State> for TransactWriteItems {
    type Input = TransactWriteItemsInput;
    type Output = TransactWriteItemsOutput;
    type Plan = Shows;

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: TransactWriteItemsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    fn prepare_with_plan(
        input: TransactWriteItemsInput,
        asker: &Asker<'_>,
    ) -> Result<(Self, Shows), Refusal> {
        check_count(input.transact_items.as_ref().map(Vec::len))?;
        let mut faults = Faults::default();
        let capacity = mode(input.return_consumed_capacity.as_ref(), &mut faults);
        let metrics = metrics(input.return_item_collection_metrics.as_ref(), &mut faults);
        faults.refusal()?;
        let token = input.client_request_token.as_deref();
        if token.is_some_and(|token| !(1..=36).contains(&token.len())) {
            return Err(invalid(
                "1 validation error detected: Value at 'ClientRequestToken' failed to satisfy constraint: Member must have length less than or equal to 36",
            ));
        }
        let items = input.transact_items.as_deref().unwrap_or_default();
        let (mut writes, mut tables) = (Vec::new(), Vec::new());
        for item in items {
            let (table, write) = action(item, asker)?;
            tables.push(table);
            writes.push(write);
        }
        let token = token.map(|token| {
            let caller = asker.caller;
            let token = hash(&[caller.account.as_bytes(), caller.region.as_bytes(), token.as_bytes()]);
            (token, hash(&[format!("{items:?}").as_bytes()]))
        });
        Ok((TransactWriteItems { writes, token }, Shows { tables, capacity, metrics }))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.write(state, &context.setting))
    }

    fn present(reply: Reply, plan: &Shows, _: &()) -> Result<TransactWriteItemsOutput, Malformed> {
        let (written, is_repeated) = match reply {
            Reply::AllWritten(written) => (written, false),
            // It only reads that it was done (facts/dynamodb.md § 12).
            Reply::Repeated => (vec![None; plan.tables.len()], true),
            _ => return Err(Malformed),
        };
        let mut units: Vec<(&Text, Units)> = Vec::new();
        let mut collections: Vec<(Text, Vec<_>)> = Vec::new();
        for (table, written) in plan.tables.iter().zip(written) {
            let taken = match &written {
                Some(written) => written.units.clone().times(2.0),
                None => Units::of_table(2.0),
            };
            match units.iter_mut().find(|(known, _)| *known == table) {
                Some((_, known)) => known.add(&taken),
                None => units.push((table, taken)),
            }
            if let Some(key) = written.and_then(|written| written.collection) {
                match collections.iter_mut().find(|(known, _)| known == table) {
                    Some((_, keys)) => keys.push(collection_of(&key)),
                    None => collections.push((table.clone(), vec![collection_of(&key)])),
                }
            }
        }
        let shown =
            units.iter().filter_map(|(table, units)| units.shown(table, plan.capacity, Some(!is_repeated)));
        Ok(TransactWriteItemsOutput {
            consumed_capacity: (plan.capacity != Mode::None).then(|| shown.collect()),
            item_collection_metrics: (plan.metrics && !collections.is_empty()).then_some(Map(collections)),
        })
    }
}

impl TransactWriteItems {
    fn write<'a>(&'a self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        if let Some((token, request)) = &self.token {
            match state.tokens.get(token, setting.now) {
                Some(used) if used.request == *request => {
                    return Ok(Decision::answer(Reply::Repeated));
                }
                Some(_) => {
                    return Err(Refusal::new(
                        "IdempotentParameterMismatchException",
                        "The request was rejected because it was retried with a different payload but with an idempotent token that was already used.",
                    ));
                }
                None if state.tokens.is_full() => {
                    return Err(Refusal::new(
                        "ThrottlingException",
                        "The server remembers as many tokens of transactions as it can. Try again later.",
                    ));
                }
                None => {}
            }
        }
        let made = self.make(state)?;
        check_memory(state, made.iter().map(Made::growth).sum(), setting)?;
        let (mut facts, mut written) = (Vec::new(), Vec::new());
        for made in made {
            written.push(Some(Written::of(&made)));
            facts.extend(made.fact(setting).map(kernel::Fact::from));
        }
        if let Some((token, request)) = self.token {
            let until = setting.now + TOKEN_MILLIS;
            facts.push(Record::TokenUsed(TokenUsed { token, request, until }).into());
        }
        Ok(Decision::done(facts, Reply::AllWritten(written)))
    }

    /// What all of the writes make, if each of them can be made.
    fn make<'a, 's>(&'a self, state: &'s State) -> Result<Vec<Made<'a, 's>>, Refusal> {
        let (mut targets, mut unfit) = (Vec::new(), Vec::new());
        for write in &self.writes {
            match write.target(state) {
                Ok(target) => {
                    targets.push(Some(target));
                    unfit.push(None);
                }
                Err(Unmade::Mismatch(refusal) | Unmade::Unfit(refusal)) => {
                    targets.push(None);
                    unfit.push(Some(unfit_reason(refusal)));
                }
                Err(other) => return Err(other.refusal(false)),
            }
        }
        let mut seen = BTreeSet::new();
        for target in targets.iter().flatten() {
            if !seen.insert((target.table.id, &target.key)) {
                return Err(invalid("Transaction request cannot include multiple operations on one item"));
            }
        }
        if unfit.iter().any(Option::is_some) {
            return Err(cancelled(&unfit));
        }
        let (mut made, mut unfit, mut unmet, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (write, target) in self.writes.iter().zip(targets.into_iter().flatten()) {
            let (mut is_unfit, mut is_unmet) = (None, None);
            match write.make(target) {
                Ok(one) => {
                    bytes += one.new.as_deref().map_or(0, <[u8]>::len);
                    // What is too much is not made any further: all of it happens in one turn.
                    if bytes > WRITTEN_BYTES {
                        return Err(invalid(format_args!(
                            "The items that a transaction writes have more than {WRITTEN_BYTES} bytes, the limit of this server"
                        )));
                    }
                    made.push(one);
                }
                Err(Unmade::Mismatch(refusal) | Unmade::Unfit(refusal)) => {
                    is_unfit = Some(unfit_reason(refusal));
                }
                Err(Unmade::Unmet(held)) => {
                    is_unmet = Some(Reason {
                        code: "ConditionalCheckFailed",
                        message: "The conditional request failed".to_owned(),
                        item: held.filter(|_| write.shows_unmet),
                    });
                }
                Err(Unmade::Refused(refusal)) => return Err(refusal),
            }
            unfit.push(is_unfit);
            unmet.push(is_unmet);
        }
        // Whatever else is the matter, an item that cannot be so is told of alone.
        for reasons in [unfit, unmet] {
            if reasons.iter().any(Option::is_some) {
                return Err(cancelled(&reasons));
            }
        }
        Ok(made)
    }
}

fn unfit_reason(refusal: Refusal) -> Reason {
    Reason { code: "ValidationError", message: refusal.message.into_owned(), item: None }
}

/// TransactGetItems.
#[derive(Clone, Debug)]
pub struct TransactGetItems(Vec<Read>);

/// What is shown of a transaction that reads.
#[derive(Clone, Debug, Default)]
pub struct Got {
    tables: Vec<(Text, Option<Projection>)>,
    capacity: Mode,
}

fn get(get: &Get, asker: &Asker<'_>) -> Result<(Read, (Text, Option<Projection>)), Refusal> {
    let mut faults = Faults::default();
    let table = table(get.table_name.as_ref(), asker, &mut faults)?;
    faults.refusal()?;
    let read = || {
        let mut scope = scope(get.expression_attribute_names.as_ref(), None, true)?;
        if get.projection_expression.is_none() {
            scope.check_needed()?;
        }
        let projection = projected(get.projection_expression.as_ref(), &mut scope)?;
        scope.check_used()?;
        Ok(projection)
    };
    let projection = read().map_err(|fault: items::Fault| of_fault(&fault, false))?;
    let key = content(get.key.as_ref(), "transactItems.1.member.get.key")?;
    Ok((Read { table, key }, (get.table_name.clone().unwrap_or_default(), projection)))
}

impl Operation<State> for TransactGetItems {
    type Input = TransactGetItemsInput;
    type Output = TransactGetItemsOutput;
    type Plan = Got;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: TransactGetItemsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    fn prepare_with_plan(input: TransactGetItemsInput, asker: &Asker<'_>) -> Result<(Self, Got), Refusal> {
        check_count(input.transact_items.as_ref().map(Vec::len))?;
        let mut faults = Faults::default();
        let capacity = mode(input.return_consumed_capacity.as_ref(), &mut faults);
        faults.refusal()?;
        let (mut reads, mut tables) = (Vec::new(), Vec::new());
        for item in input.transact_items.iter().flatten() {
            let (read, table) = get(item.get.as_ref().unwrap_or(&Get::default()), asker)?;
            reads.push(read);
            tables.push(table);
        }
        Ok((TransactGetItems(reads), Got { tables, capacity }))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.read(state).map(|found| Decision::answer(Reply::Items(found))))
    }

    fn present(reply: Reply, plan: &Got, _: &()) -> Result<TransactGetItemsOutput, Malformed> {
        let Reply::Items(found) = reply else { return Err(Malformed) };
        let mut responses = Vec::new();
        let mut units: Vec<(&Text, Units)> = Vec::new();
        for ((table, projection), found) in plan.tables.iter().zip(found) {
            let (held, taken) = found.ok_or(Malformed)?;
            match units.iter_mut().find(|(known, _)| *known == table) {
                Some((_, known)) => known.add(&taken),
                None => units.push((table, taken)),
            }
            let item = held.map(|held| shown_part(&held, projection.as_ref()));
            responses.push(ItemResponse { item });
        }
        let shown = units.iter().filter_map(|(table, units)| units.shown(table, plan.capacity, Some(false)));
        Ok(TransactGetItemsOutput {
            consumed_capacity: (plan.capacity != Mode::None).then(|| shown.collect()),
            responses: Some(responses),
        })
    }
}

impl TransactGetItems {
    fn read(&self, state: &State) -> Result<Vec<Found>, Refusal> {
        let (mut seen, mut bytes, mut found, mut unfit) = (BTreeSet::new(), 0, Vec::new(), Vec::new());
        for read in &self.0 {
            match read.find(state) {
                Ok(held) => {
                    let size = held.map_or(0, Held::size);
                    bytes += size;
                    let units = Units::of_table(capacity::read(size, true)).times(2.0);
                    found.push(Some((held.cloned(), units)));
                    unfit.push(None);
                }
                Err(Unmade::Mismatch(refusal)) => unfit.push(Some(unfit_reason(refusal))),
                Err(other) => return Err(other.refusal(false)),
            }
            if !seen.insert((&read.table, &read.key)) {
                return Err(invalid("Transaction request cannot include multiple operations on one item"));
            }
        }
        if unfit.iter().any(Option::is_some) {
            return Err(cancelled(&unfit));
        }
        match bytes > READ_BYTES {
            true => Err(invalid("The items that a transaction reads have more than 4 MB")),
            false => Ok(found),
        }
    }
}
