//! The order's way as a state machine of Step Functions, in the place of the order service's own saga.
//!
//! ```text
//!   Validate ──▶ Pay ──▶ Reserve · Email · Analytics ──▶ Ship ──▶ Complete
//!      │          │                 │ not in stock         │ short, undeliverable (Return)
//!      ▼          ▼                 ▼                      ▼
//!   Reject      Cancel ◀───────── Refund ◀─────────────────┘
//! ```
//!
//! The state machine decides what comes next. A state sends the order service what is due, with a token if its end is waited for; the
//! order service passes it on to the others as ever, and ends the token when the event comes that says how it went. `Validate` is a task
//! of an activity, whose workers the order service has.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::{Value, json};
use toolkit::consumer::{BatchOutcome, Delivery, Outcome};
use toolkit::inbox::sql::{AfterCommit, TransactionalBatchHandler};
use toolkit::sql::{Database, StoreError, from_json};
use toolkit::workflow::{
    Activity, ActivityWorker, RunningWorker, StateMachine, TaskFailure, TaskToken, Workflow,
};
use toolkit::{Clients, Queue, QueueSpec};

use super::order::{Leading, Lines, State, Ways, load, payment, save};
use crate::model::{Due, Event, Happening, Order, StockWork, Work};
use crate::services::{Desk, Error, Mail, Surroundings, Tables, rows};

/// Which task of an order is waited for.
pub const TABLES: Tables = tables![
    "CREATE TABLE IF NOT EXISTS workflow_tasks (
        order_id TEXT PRIMARY KEY,
        work TEXT NOT NULL,
        token TEXT NOT NULL
    )"
];

/// The state machine's name, and the activity's.
const MACHINE: &str = "orders";
const VALIDATION: &str = "order-validation";
/// Each paid or invoiced order is one message here. Nobody handles them: they are there to be looked at, for an hour.
const ANALYTICS: &str = "order-analytics";

/// A worker that is silent for so long is dead.
const SILENCE: u64 = 5;

/// Starts workflows of orders.
pub type Starter = Workflow<Order, Value>;

/// Declares the state machine with what it needs, and begins to validate.
///
/// # Errors
/// When Step Functions cannot be reached, or refuses.
pub async fn start(around: &Surroundings, role: &str) -> Result<(Starter, RunningWorker), Error> {
    let clients = &around.clients;
    let activity = Activity::ensure(clients, VALIDATION).await?;
    let analytics = QueueSpec::new(ANALYTICS).retention(Duration::from_secs(3600)).ensure(clients).await?;
    let definition = definition(&activity, &around.places.order_events, &analytics);
    let machine = StateMachine::ensure(clients, MACHINE, role, &definition).await?;
    let worker = ActivityWorker::new(clients, &activity).name("order-service").workers(8);
    let worker = worker.heartbeat(Duration::from_secs(1)).start(|order: Order| async move {
        order.validate().map_err(|wrong| TaskFailure::new("Invalid", wrong))
    });
    Ok((Workflow::new(clients, &machine), worker))
}

/// The name of an order's execution: its id, with what names cannot have written as `_` and two digits.
///
/// # Errors
/// It is longer than names can be.
pub fn execution_name(order_id: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let letters = order_id.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("_{byte:02x}"),
    });
    let name: String = letters.collect();
    if name.len() <= 80 { Ok(name) } else { Err("orderId is too long for the name of an execution") }
}

/// The state machine.
fn definition(activity: &Activity, order_service: &Queue, analytics: &Queue) -> Value {
    // What is due, for the order service.
    let due = |work: Work, more: Value| {
        let mut due = json!({ "work": work });
        due.as_object_mut()
            .into_iter()
            .for_each(|due| due.extend(more.as_object().cloned().unwrap_or_default()));
        json!({ "QueueUrl": order_service.url, "MessageBody": {
            "id": "{% $uuid() %}", "type": Happening::Due.as_str(), "source": "workflow", "timestamp": "{% $now() %}",
            "data": { "happening": Happening::Due, "orderId": "{% $order.orderId %}",
                "customerId": "{% $order.customerId %}", "due": due } } })
    };
    let send = |work: Work, more: Value| json!({ "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Arguments": due(work, more) });
    let wait = |work: Work| {
        json!({ "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Arguments": due(work, json!({ "token": "{% $states.context.Task.Token %}" })) })
    };
    let because = json!({ "reason": "{% $reason %}" });
    let catch = |error: &str, next: &str| json!([{ "ErrorEquals": [error], "Assign": { "reason": "{% $states.errorOutput.Cause %}" }, "Next": next }]);
    let flow = |name: &str, state: Value| json!({ "StartAt": name, "States": { name: with(state, json!({ "End": true })) } });
    let next = |state: Value, next: &str| with(state, json!({ "Next": next }));
    let by_card = |card: &str, account: &str| {
        json!({ "Type": "Choice", "Default": account,
            "Choices": [{ "Condition": "{% $order.payment.method = 'card' %}", "Next": card }] })
    };
    let silent = json!([{ "ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 1000 }]);
    let validate = json!({ "Type": "Task", "Resource": activity.arn, "HeartbeatSeconds": SILENCE, "Retry": silent,
        "Assign": { "order": "{% $states.input %}" }, "Next": "HowPaid",
        "Catch": [{ "ErrorEquals": ["Invalid"], "Next": "Reject",
            "Assign": { "order": "{% $states.input %}", "reason": "{% $states.errorOutput.Cause %}" } }] });
    let count = json!({ "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage",
        "Arguments": { "QueueUrl": analytics.url, "MessageBody": {
            "orderId": "{% $order.orderId %}", "cents": "{% $order.totalAmount %}", "country": "{% $order.country %}" } } });
    let prepare = json!({ "Type": "Parallel", "Next": "Ship", "Catch": catch("OutOfStock", "WasPaid"), "Branches": [
        flow("Reserve", wait(Work::Reserve)), flow("Email", send(Work::Confirm, json!({}))), flow("Analytics", count)] });
    let unshipped = [catch("StockShort", "WasPaid"), catch("Undeliverable", "Return")];
    let unshipped: Vec<&Value> = unshipped.iter().filter_map(Value::as_array).flatten().collect();
    json!({ "Comment": "Validate, pay, prepare, ship; or undo", "QueryLanguage": "JSONata", "StartAt": "Validate", "States": {
        "Validate": validate,
        "Reject": with(send(Work::Reject, because.clone()), json!({ "End": true })),
        "HowPaid": by_card("Pay", "Invoice"),
        "Pay": with(wait(Work::Charge), json!({ "Next": "Prepare", "Catch": catch("PaymentFailed", "Cancel") })),
        "Invoice": next(send(Work::Invoice, json!({})), "Prepare"),
        "Prepare": prepare,
        "Ship": with(wait(Work::Ship), json!({ "Next": "Complete", "Catch": unshipped })),
        "Complete": with(send(Work::Complete, json!({})), json!({ "End": true })),
        "Return": next(send(Work::Return, json!({})), "WasPaid"),
        "WasPaid": by_card("Refund", "Cancel"),
        "Refund": next(wait(Work::Refund), "Cancel"),
        "Cancel": with(send(Work::Cancel, because), json!({ "End": true })),
    } })
}

/// A state with more fields.
fn with(mut state: Value, more: Value) -> Value {
    if let (Some(state), Some(more)) = (state.as_object_mut(), more.as_object()) {
        state.extend(more.clone());
    }
    state
}

/// Does what the state machine says is due, and tells it what has come of it.
pub struct Follow<D> {
    pub desk: Arc<Desk<D>>,
    pub ways: Ways,
    pub clients: Clients,
}

/// The task of an order that is waited for.
#[derive(Clone, Serialize)]
struct Waiting {
    order: String,
    work: Work,
    token: String,
}

impl<D: Database> TransactionalBatchHandler<Event, D> for Follow<D> {
    async fn handle_batch(
        &self,
        transaction: &mut D::Connection,
        batch: &[Delivery<Event>],
        after: &mut AfterCommit,
    ) -> Result<BatchOutcome, StoreError> {
        let mut orders = load::<D>(transaction, batch).await?;
        let mut tasks = load_tasks::<D>(transaction, batch).await?;
        let (mut mail, mut outcome, mut ends) = (self.desk.mail(), BatchOutcome::done(), Vec::new());
        for delivery in batch {
            let event = delivery.data();
            let Some(order) = orders.get_mut(&event.order_id) else {
                // The execution is started before the order is committed.
                outcome = outcome.failed(&delivery.message_id, Outcome::retry("the order is not there yet"));
                continue;
            };
            match &event.due {
                Some(due) => {
                    self.work(order, delivery, due, &mut mail).await?;
                    if let Some(token) = &due.token {
                        let (order, token) = (event.order_id.clone(), token.clone());
                        tasks.insert(order.clone(), Waiting { order, work: due.work, token });
                    }
                }
                None => {
                    let ended = tasks.get(&event.order_id).zip(end(event));
                    ends.extend(
                        ended
                            .filter(|(task, (work, _))| task.work == *work)
                            .map(|(task, (_, failure))| (TaskToken(task.token.clone()), failure)),
                    );
                }
            }
        }
        save::<D>(transaction, &orders).await?;
        save_tasks::<D>(transaction, batch, &tasks).await?;
        mail.write(transaction, after).await?;
        // Before the commit: a crash repeats it, and the first end counts. What the execution does then waits for the commit, since it
        // comes as a message to the same tables.
        let ends = ends.iter().map(async |(token, failure)| match failure {
            None => token.succeed(&self.clients, &json!({})).await,
            Some(failure) => token.fail(&self.clients, failure).await,
        });
        try_join_all(ends).await.map_err(|fault| StoreError::Shape(fault.to_string()))?;
        Ok(outcome)
    }
}

impl<D: Database> Follow<D> {
    /// Does what is due.
    async fn work(
        &self,
        order: &mut Leading,
        delivery: &Delivery<Event>,
        due: &Due,
        mail: &mut Mail<'_, D>,
    ) -> Result<(), StoreError> {
        let (event, cause) = (delivery.data(), Some(&delivery.envelope));
        let id = event.order_id.as_str();
        let customer = order.customer.clone();
        let (who, ways) = ((id, customer.as_str()), self.ways);
        let (items, country) = (order.items.clone(), order.country.clone());
        let stock = Lines { order: who, country: &country, items: &items };
        match due.work {
            Work::Charge | Work::Refund => {
                let refund = due.work == Work::Refund;
                let card = order.card.clone().unwrap_or_default();
                let (name, state) =
                    if refund { ("refund", State::Refunding) } else { ("charge", State::Charging) };
                mail.add(
                    ways.payments,
                    format!("{id}:{name}"),
                    payment(order, who, card, refund),
                    None,
                    cause,
                )
                .await?;
                order.state = state;
            }
            Work::Invoice => mail.event(ways.money, Happening::PaymentInvoiced, who, None, cause).await?,
            Work::Reserve => {
                stock.send(mail, ways.inventory, StockWork::Reserve, cause).await?;
                order.state = State::Reserving;
            }
            Work::Confirm => {
                let (order_id, customer_id) = (id.to_owned(), customer.clone());
                let total_cents = Some(order.cents);
                let happening = Happening::Created;
                let created =
                    Event { happening, order_id, customer_id, detail: None, total_cents, due: None };
                mail.tell(ways.status, created, cause).await?;
            }
            Work::Ship => {
                stock.send(mail, ways.inventory, StockWork::Commit, cause).await?;
                order.state = State::Fulfilling;
            }
            Work::Return => stock.send(mail, ways.inventory, StockWork::Return, cause).await?,
            Work::Complete => {
                mail.event(ways.status, Happening::Completed, who, None, cause).await?;
                order.state = State::Completed;
            }
            Work::Cancel | Work::Reject => {
                let (happening, state) = match due.work {
                    Work::Reject => (Happening::Rejected, State::Rejected),
                    _ => (Happening::Cancelled, State::Cancelled),
                };
                mail.event(ways.status, happening, who, due.reason.clone(), cause).await?;
                (order.state, order.reason) = (state, due.reason.clone());
            }
        }
        Ok(())
    }
}

/// Which task has ended with this event, and how it has failed if it has.
fn end(event: &Event) -> Option<(Work, Option<TaskFailure>)> {
    let failed = |error: &str| {
        let cause = event.detail.clone().unwrap_or_else(|| event.happening.as_str().to_owned());
        Some(TaskFailure::new(error, cause))
    };
    Some(match event.happening {
        Happening::PaymentSucceeded => (Work::Charge, None),
        Happening::PaymentFailed => (Work::Charge, failed("PaymentFailed")),
        Happening::PaymentRefunded => (Work::Refund, None),
        Happening::StockReserved => (Work::Reserve, None),
        Happening::StockRejected => (Work::Reserve, failed("OutOfStock")),
        Happening::Shipped => (Work::Ship, None),
        Happening::StockShort => (Work::Ship, failed("StockShort")),
        Happening::Undeliverable => (Work::Ship, failed("Undeliverable")),
        _ => return None,
    })
}

async fn load_tasks<D: Database>(
    transaction: &mut D::Connection,
    batch: &[Delivery<Event>],
) -> Result<HashMap<String, Waiting>, StoreError> {
    let sql = from_json!(
        D,
        "SELECT order_id, work, token FROM workflow_tasks WHERE order_id IN (SELECT value ->> 'id' FROM ",
        ")"
    );
    let ids: Vec<Value> = batch.iter().map(|delivery| json!({ "id": delivery.data().order_id })).collect();
    let mut tasks = HashMap::new();
    for row in &D::query(transaction, sql, &[(&rows(&ids)?).into()]).await? {
        let order = row.text(0)?.to_owned();
        let work = serde_json::from_value(row.text(1)?.into())?;
        tasks.insert(order.clone(), Waiting { order, work, token: row.text(2)?.to_owned() });
    }
    Ok(tasks)
}

/// Writes the tasks that are waited for since this batch.
async fn save_tasks<D: Database>(
    transaction: &mut D::Connection,
    batch: &[Delivery<Event>],
    tasks: &HashMap<String, Waiting>,
) -> Result<(), StoreError> {
    let new =
        batch.iter().filter(|delivery| delivery.data().due.as_ref().is_some_and(|due| due.token.is_some()));
    let mut new: Vec<&Waiting> = new.filter_map(|delivery| tasks.get(&delivery.data().order_id)).collect();
    new.sort_unstable_by_key(|task| &task.order);
    new.dedup_by_key(|task| &task.order);
    if new.is_empty() {
        return Ok(());
    }
    let sql = from_json!(
        D,
        "INSERT INTO workflow_tasks (order_id, work, token)
         SELECT value ->> 'order', value ->> 'work', value ->> 'token' FROM ",
        " WHERE TRUE ON CONFLICT (order_id) DO UPDATE SET work = excluded.work, token = excluded.token"
    );
    D::execute(transaction, sql, &[(&rows(&new)?).into()]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_has_an_execution_of_its_own_name() {
        assert_eq!(execution_name("o-1"), Ok("o-1".to_owned()));
        assert_eq!(execution_name("o_1/2"), Ok("o_5f1_2f2".to_owned()));
        assert!(execution_name(&"x".repeat(80)).is_ok() && execution_name(&"/".repeat(27)).is_err());
    }
}
