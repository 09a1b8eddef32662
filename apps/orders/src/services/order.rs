//! Takes orders in, and leads each to one of its ends: completed, cancelled with everything undone, or rejected.
//!
//! ```text
//!              reserved                 paid                      shipped
//!   reserving ──────────▶ charging ───────────────▶ fulfilling ───────────▶ completed
//!       │                     │ failed                  │ short, undeliverable
//!       │ not in stock        ▼ (release)               ▼ (return, refund)
//!       └───────────────▶ cancelled ◀─────────────── refunding
//! ```
//!
//! Orders on account go from `reserving` to `fulfilling` at once, and from there to `cancelled` without a refund.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use toolkit::consumer::{BatchHandler, BatchOutcome, Delivery, gather};
use toolkit::inbox::sql::{AfterCommit, SqlInbox, TransactionalBatchHandler, batches_in_transaction};
use toolkit::sql::{Database, StoreError, from_json};
use toolkit::{Consumer, Envelope};

use super::workflow::{self, Follow, Starter, execution_name};
use crate::model::{Event, Happening, Item, Order, Payment, PaymentCommand, StockCommand, StockWork, now_ms};
use crate::services::{
    BATCH, Desk, Error, LINGER, Mail, Place, RunningService, Surroundings, Tables, consuming, remembering,
    rows, running,
};

const TABLES: Tables = tables![
    "CREATE TABLE IF NOT EXISTS orders (
        id TEXT PRIMARY KEY,
        customer TEXT NOT NULL,
        route TEXT NOT NULL,
        card TEXT,
        country TEXT NOT NULL,
        cents BIGINT NOT NULL,
        items TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        submitted_ms BIGINT NOT NULL,
        accepted_ms BIGINT NOT NULL,
        ended_ms BIGINT
    )"
];

/// Starts the service.
///
/// # Errors
/// When its database or its queues cannot be reached.
pub async fn start<D: Database>(around: &Surroundings, database: D) -> Result<RunningService, Error> {
    TABLES.make(&database).await?;
    let orders = SqlInbox::new(&database, "orders");
    orders.migrate().await?;
    let events = SqlInbox::new(&database, "order-events");
    let mut desk = Desk::new("order-service", &around.clients, &database).await?;
    let (places, settings) = (&around.places, consuming(&around.settings, 2));
    let ways = Ways {
        inventory: desk.queue(&places.inventory),
        payments: desk.queue(&places.payments),
        status: desk.channel(&places.order_status),
        money: desk.channel(&places.payment_notifications),
    };
    let desk = Arc::new(desk);
    let relay = desk.relay();
    let mut consumers = Vec::new();
    let (starter, worker) = match &around.workflow_role {
        Some(role) => {
            workflow::TABLES.make(&database).await?;
            let (starter, worker) = workflow::start(around, role).await?;
            (Some(starter), Some(worker))
        }
        None => (None, None),
    };
    let leads = starter.is_none();
    let intake = Intake { desk: desk.clone(), ways, starter };
    let intake = batches_in_transaction(orders, remembering(), intake);
    // One for all three queues: one transaction for what they bring at the same time.
    let intake = Arc::new(gather(BATCH, intake).linger(LINGER));
    for queue in [&places.orders, &places.priority_orders, &places.large_orders] {
        let intake = intake.clone();
        let handler = move |batch: Vec<Delivery<Order>>| {
            let intake = intake.clone();
            async move { intake.handle_batch(batch).await }
        };
        let consumer = Consumer::new(&around.clients, queue).settings(settings);
        consumers.push(consumer.start_batches(handler).await?);
    }
    let settings = consuming(&around.settings, 4);
    let consumer = Consumer::new(&around.clients, &places.order_events).settings(settings);
    consumers.push(match leads {
        true => {
            let lead = batches_in_transaction(events, remembering(), Lead { desk, ways });
            consumer.start_batches(gather(BATCH, lead).linger(LINGER)).await?
        }
        false => {
            let follow = Follow { desk, ways, clients: around.clients.clone() };
            let follow = batches_in_transaction(events, remembering(), follow);
            consumer.start_batches(gather(BATCH, follow).linger(LINGER)).await?
        }
    });
    Ok(RunningService { worker, ..running(consumers, Some(relay)) })
}

#[derive(Clone, Copy)]
pub struct Ways {
    pub inventory: Place,
    pub payments: Place,
    pub status: Place,
    pub money: Place,
}

/// Where an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its stock is being reserved.
    Reserving,
    /// Its card is being charged.
    Charging,
    /// It is paid, or will be by invoice; it is taken out of stock and shipped.
    Fulfilling,
    /// It cannot be fulfilled; the money is on its way back.
    Refunding,
    /// Shipped and paid.
    Completed,
    /// Everything is undone.
    Cancelled,
    /// It was never valid.
    Rejected,
}

impl State {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Reserving => "reserving",
            State::Charging => "charging",
            State::Fulfilling => "fulfilling",
            State::Refunding => "refunding",
            State::Completed => "completed",
            State::Cancelled => "cancelled",
            State::Rejected => "rejected",
        }
    }

    fn read(text: &str) -> Result<State, StoreError> {
        let all = [
            State::Reserving,
            State::Charging,
            State::Fulfilling,
            State::Refunding,
            State::Completed,
            State::Cancelled,
            State::Rejected,
        ];
        let found = all.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| StoreError::Shape(format!("an order cannot be \"{text}\"")))
    }

    fn is_end(self) -> bool {
        matches!(self, State::Completed | State::Cancelled | State::Rejected)
    }
}

/// Takes orders in.
struct Intake<D> {
    desk: Arc<Desk<D>>,
    ways: Ways,
    /// What leads orders on, if it is not this service.
    starter: Option<Starter>,
}

impl<D: Database> TransactionalBatchHandler<Order, D> for Intake<D> {
    async fn handle_batch(
        &self,
        transaction: &mut D::Connection,
        batch: &[Delivery<Order>],
        after: &mut AfterCommit,
    ) -> Result<BatchOutcome, StoreError> {
        #[derive(Serialize)]
        struct Row<'a> {
            id: &'a str,
            customer: &'a str,
            route: &'a str,
            card: Option<&'a str>,
            country: &'a str,
            cents: i64,
            // Text within text, as the column holds it.
            items: String,
            state: &'a str,
            reason: Option<String>,
            submitted: i64,
            ended: Option<i64>,
        }
        let now = now_ms();
        let mut outcome = BatchOutcome::done();
        let mut orders: HashMap<&str, (&Delivery<Order>, Row<'_>)> = HashMap::new();
        for delivery in batch {
            let order = delivery.data();
            if order.order_id.is_empty() {
                // Nobody could ask for it or be told of it.
                let nameless = toolkit::consumer::Outcome::give_up("the order has no orderId");
                outcome = outcome.failed(&delivery.message_id, nameless);
                continue;
            }
            let wrong = match &self.starter {
                None => order.validate(),
                // The workflow validates the rest.
                Some(_) => execution_name(&order.order_id).map(drop).map_err(str::to_owned),
            };
            let (state, reason) = match wrong {
                Ok(()) => (State::Reserving, None),
                Err(wrong) => (State::Rejected, Some(wrong)),
            };
            let row = Row {
                id: &order.order_id,
                customer: &order.customer_id,
                route: order.route().as_str(),
                card: match &order.payment {
                    Payment::Card(card) => Some(card),
                    Payment::Account => None,
                },
                country: &order.country,
                cents: order.total_amount,
                items: serde_json::to_string(&order.items)?,
                state: state.as_str(),
                reason,
                submitted: order.submitted_ms,
                ended: state.is_end().then_some(now),
            };
            orders.entry(&order.order_id).or_insert((delivery, row));
        }
        let sql = from_json!(
            D,
            "INSERT INTO orders
                (id, customer, route, card, country, cents, items, state, reason, submitted_ms, accepted_ms, ended_ms)
             SELECT value ->> 'id', value ->> 'customer', value ->> 'route', value ->> 'card', value ->> 'country',
                    CAST(value ->> 'cents' AS BIGINT), value ->> 'items', value ->> 'state', value ->> 'reason',
                    CAST(value ->> 'submitted' AS BIGINT), $2, CAST(value ->> 'ended' AS BIGINT) FROM ",
            " WHERE TRUE ON CONFLICT (id) DO NOTHING RETURNING id"
        );
        let new = rows(&orders.values().map(|(_, row)| row).collect::<Vec<_>>())?;
        let new = D::query(transaction, sql, &[(&new).into(), now.into()]).await?;
        let (mut mail, mut starts) = (self.desk.mail(), Vec::new());
        // An order that was sent again under another message id is not new, and nothing follows.
        for row in &new {
            let Some((delivery, row)) = orders.get(row.text(0)?) else { continue };
            let (order, cause) = (delivery.data(), Some(&delivery.envelope));
            let who = (order.order_id.as_str(), order.customer_id.as_str());
            if let Some(reason) = &row.reason {
                mail.event(self.ways.status, Happening::Rejected, who, Some(reason.clone()), cause).await?;
                continue;
            }
            if let Some(starter) = &self.starter {
                starts.push(begin(starter, order));
                continue;
            }
            let created = Event {
                happening: Happening::Created,
                order_id: order.order_id.clone(),
                customer_id: order.customer_id.clone(),
                detail: None,
                total_cents: Some(order.total_amount),
                due: None,
            };
            mail.tell(self.ways.status, created, cause).await?;
            let items = Lines { order: who, country: &order.country, items: &order.items };
            items.send(&mut mail, self.ways.inventory, StockWork::Reserve, cause).await?;
        }
        // Before the commit: a crash repeats it, and an order's execution is started once.
        try_join_all(starts).await?;
        mail.write(transaction, after).await?;
        Ok(outcome)
    }
}

/// Starts the workflow of an order.
async fn begin(starter: &Starter, order: &Order) -> Result<(), StoreError> {
    let name = execution_name(&order.order_id).map_err(|wrong| StoreError::Shape(wrong.to_owned()))?;
    let started = starter.start(&name, order).await;
    started.map(drop).map_err(|error| StoreError::Shape(error.to_string()))
}

/// An order's lines, for the inventory.
pub struct Lines<'a> {
    pub order: (&'a str, &'a str),
    pub country: &'a str,
    pub items: &'a [Item],
}

impl Lines<'_> {
    /// One command a line, each in the group of its product.
    ///
    /// # Errors
    /// When one could never be sent.
    pub async fn send<D: Database, C>(
        &self,
        mail: &mut Mail<'_, D>,
        to: Place,
        work: StockWork,
        cause: Option<&Envelope<C>>,
    ) -> Result<(), StoreError> {
        let lines = i64::try_from(self.items.len()).unwrap_or(i64::MAX);
        for (line, item) in (0..).zip(self.items) {
            let (order_id, customer_id) = self.order;
            let command = StockCommand {
                work,
                order_id: order_id.to_owned(),
                customer_id: customer_id.to_owned(),
                country: self.country.to_owned(),
                line,
                lines,
                product_id: item.product_id.clone(),
                quantity: item.quantity,
            };
            let id = format!("{order_id}:{work:?}:{line}");
            mail.add(to, id, command, Some(&item.product_id), cause).await?;
        }
        Ok(())
    }
}

/// Leads orders on, as events come.
struct Lead<D> {
    desk: Arc<Desk<D>>,
    ways: Ways,
}

/// An order as it is while a batch is handled.
pub struct Leading {
    pub customer: String,
    pub card: Option<String>,
    pub country: String,
    pub cents: i64,
    pub items: Vec<Item>,
    was: State,
    pub state: State,
    pub reason: Option<String>,
}

impl<D: Database> TransactionalBatchHandler<Event, D> for Lead<D> {
    async fn handle_batch(
        &self,
        transaction: &mut D::Connection,
        batch: &[Delivery<Event>],
        after: &mut AfterCommit,
    ) -> Result<BatchOutcome, StoreError> {
        let mut orders = load::<D>(transaction, batch).await?;
        let mut mail = self.desk.mail();
        let mut outcome = BatchOutcome::done();
        for delivery in batch {
            match orders.get_mut(&delivery.data().order_id) {
                Some(order) => self.lead(order, delivery, &mut mail).await?,
                None => {
                    let unknown = toolkit::consumer::Outcome::give_up("there is no such order");
                    outcome = outcome.failed(&delivery.message_id, unknown);
                }
            }
        }
        save::<D>(transaction, &orders).await?;
        mail.write(transaction, after).await?;
        Ok(outcome)
    }
}

impl<D: Database> Lead<D> {
    /// One step, if the order is where this event can lead it on; else it has been led on already.
    async fn lead(
        &self,
        order: &mut Leading,
        delivery: &Delivery<Event>,
        mail: &mut Mail<'_, D>,
    ) -> Result<(), StoreError> {
        let (event, cause) = (delivery.data(), Some(&delivery.envelope));
        let id = event.order_id.as_str();
        let customer = order.customer.clone();
        let who = (id, customer.as_str());
        let ways = self.ways;
        let next = match (order.state, event.happening) {
            (State::Reserving, Happening::StockReserved) => match order.card.clone() {
                Some(card) => {
                    let charge = payment(order, who, card, false);
                    mail.add(ways.payments, format!("{id}:charge"), charge, None, cause).await?;
                    State::Charging
                }
                None => {
                    mail.event(ways.money, Happening::PaymentInvoiced, who, None, cause).await?;
                    order.lines(who).send(mail, ways.inventory, StockWork::Commit, cause).await?;
                    State::Fulfilling
                }
            },
            (State::Reserving, Happening::StockRejected) => State::Cancelled,
            (State::Charging, Happening::PaymentSucceeded) => {
                order.lines(who).send(mail, ways.inventory, StockWork::Commit, cause).await?;
                State::Fulfilling
            }
            (State::Charging, Happening::PaymentFailed) => {
                order.lines(who).send(mail, ways.inventory, StockWork::Release, cause).await?;
                State::Cancelled
            }
            (State::Fulfilling, Happening::Shipped) => State::Completed,
            (State::Fulfilling, Happening::StockShort | Happening::Undeliverable) => {
                if event.happening == Happening::Undeliverable {
                    order.lines(who).send(mail, ways.inventory, StockWork::Return, cause).await?;
                }
                match order.card.clone() {
                    Some(card) => {
                        let refund = payment(order, who, card, true);
                        mail.add(ways.payments, format!("{id}:refund"), refund, None, cause).await?;
                        State::Refunding
                    }
                    None => State::Cancelled,
                }
            }
            (State::Refunding, Happening::PaymentRefunded) => State::Cancelled,
            _ => return Ok(()),
        };
        if matches!(next, State::Cancelled | State::Refunding) && order.reason.is_none() {
            order.reason = Some(event.detail.clone().unwrap_or_else(|| event.happening.as_str().to_owned()));
        }
        order.state = next;
        match next {
            State::Completed => mail.event(ways.status, Happening::Completed, who, None, cause).await,
            State::Cancelled => {
                mail.event(ways.status, Happening::Cancelled, who, order.reason.clone(), cause).await
            }
            _ => Ok(()),
        }
    }
}

impl Leading {
    fn lines<'a>(&'a self, order: (&'a str, &'a str)) -> Lines<'a> {
        Lines { order, country: &self.country, items: &self.items }
    }
}

/// What the payment service is to do for an order.
pub fn payment(order: &Leading, (id, customer): (&str, &str), card: String, refund: bool) -> PaymentCommand {
    PaymentCommand {
        refund,
        order_id: id.to_owned(),
        customer_id: customer.to_owned(),
        cents: order.cents,
        card,
    }
}

#[derive(Serialize, Deserialize)]
struct Id<'a> {
    id: &'a str,
}

/// The orders of a batch.
pub async fn load<D: Database>(
    transaction: &mut D::Connection,
    batch: &[Delivery<Event>],
) -> Result<HashMap<String, Leading>, StoreError> {
    let sql = from_json!(
        D,
        "SELECT id, customer, card, country, cents, items, state, reason FROM orders
         WHERE id IN (SELECT value ->> 'id' FROM ",
        ")"
    );
    let ids = batch.iter().map(|delivery| Id { id: &delivery.data().order_id });
    let found = D::query(transaction, sql, &[(&rows(&ids.collect::<Vec<_>>())?).into()]).await?;
    let mut orders = HashMap::new();
    for row in &found {
        let state = State::read(row.text(6)?)?;
        let order = Leading {
            customer: row.text(1)?.to_owned(),
            card: row.maybe_text(2)?.map(str::to_owned),
            country: row.text(3)?.to_owned(),
            cents: row.int(4)?,
            items: serde_json::from_str(row.text(5)?)?,
            was: state,
            state,
            reason: row.maybe_text(7)?.map(str::to_owned),
        };
        orders.insert(row.text(0)?.to_owned(), order);
    }
    Ok(orders)
}

/// Writes what has changed, if nobody else has changed it since it was read.
pub async fn save<D: Database>(
    transaction: &mut D::Connection,
    orders: &HashMap<String, Leading>,
) -> Result<(), StoreError> {
    #[derive(Serialize)]
    struct Row<'a> {
        id: &'a str,
        was: &'a str,
        state: &'a str,
        reason: Option<&'a str>,
        ended: Option<i64>,
    }
    let now = now_ms();
    let changed = orders.iter().filter(|(_, order)| order.state != order.was).map(|(id, order)| Row {
        id,
        was: order.was.as_str(),
        state: order.state.as_str(),
        reason: order.reason.as_deref(),
        ended: order.state.is_end().then_some(now),
    });
    let mut changed: Vec<Row<'_>> = changed.collect();
    if changed.is_empty() {
        return Ok(());
    }
    // In one order for all, or two transactions could wait for each other.
    changed.sort_unstable_by_key(|row| row.id);
    let sql = from_json!(
        D,
        "UPDATE orders SET state = n.state, reason = n.reason, ended_ms = n.ended FROM
            (SELECT value ->> 'id' AS id, value ->> 'was' AS was, value ->> 'state' AS state, value ->> 'reason' AS reason,
                    CAST(value ->> 'ended' AS BIGINT) AS ended FROM ",
        ") AS n WHERE orders.id = n.id AND orders.state = n.was"
    );
    let written = D::execute(transaction, sql, &[(&rows(&changed)?).into()]).await?;
    if written == changed.len() as u64 {
        return Ok(());
    }
    Err(StoreError::Shape("an order was led on by somebody else at the same time".to_owned()))
}
