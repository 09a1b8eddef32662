//! Looks into all databases, the gateway's ledger among them, and says whether money, stock and orders fit together.

use std::collections::{HashMap, HashSet};

use toolkit::sql::{Database, Row, StoreError, Value, from_json};

use crate::services::Error;
use crate::store::{Store, Stores, with_database};

/// Read access to all databases.
#[derive(Clone, Debug)]
pub struct Books {
    /// The order service's.
    pub orders: Store,
    /// The inventory service's.
    pub inventory: Store,
    /// The payment service's.
    pub payments: Store,
    /// The gateway's ledger.
    pub gateway: Store,
    /// The shipping service's.
    pub shipping: Store,
    /// The notification service's.
    pub notifications: Store,
}

impl Books {
    /// Opens them. The services must have run once.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub async fn open(stores: &Stores) -> Result<Books, Error> {
        Ok(Books {
            orders: stores.open("order").await?,
            inventory: stores.open("inventory").await?,
            payments: stores.open("payment").await?,
            gateway: stores.open("gateway").await?,
            shipping: stores.open("shipping").await?,
            notifications: stores.open("notification").await?,
        })
    }

    /// How many orders have not come to an end, by state, of those submitted until this time.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open_orders(&self, submitted_until_ms: i64) -> Result<Vec<(String, i64)>, StoreError> {
        let sql = "SELECT state, COUNT(*) FROM orders WHERE ended_ms IS NULL AND submitted_ms <= $1
                   GROUP BY state ORDER BY state";
        let rows = read(&self.orders, sql, &[submitted_until_ms.into()]).await?;
        rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.int(1)?))).collect()
    }

    /// The services in whose outboxes messages wait, and how many.
    ///
    /// # Errors
    /// What a database says.
    pub async fn waiting(&self) -> Result<Vec<(&'static str, i64)>, StoreError> {
        let mut waiting = Vec::new();
        let outboxes = [
            ("order", &self.orders),
            ("inventory", &self.inventory),
            ("payment", &self.payments),
            ("shipping", &self.shipping),
        ];
        for (service, store) in outboxes {
            waiting.push((service, number(store, "SELECT COUNT(*) FROM toolkit_outbox", &[]).await?));
        }
        waiting.retain(|(_, count)| *count > 0);
        Ok(waiting)
    }

    /// How many of the orders that ended in that time have had no notification of it.
    ///
    /// # Errors
    /// What a database says.
    pub async fn untold(&self, from_ms: i64, until_ms: i64) -> Result<usize, StoreError> {
        let (told, ended) = told(self, from_ms, until_ms).await?;
        Ok(ended.saturating_sub(told))
    }
}

/// Runs a query in whichever database it is.
///
/// # Errors
/// What the database says.
pub async fn read(store: &Store, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
    with_database!(store, database => database.read(sql, values).await)
}

/// One number; 0 where there is none.
///
/// # Errors
/// What the database says.
pub async fn number(store: &Store, sql: &'static str, values: &[Value<'_>]) -> Result<i64, StoreError> {
    read(store, sql, values).await?.first().map_or(Ok(0), |row| row.int(0))
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Each rule, how many things it was asked of, and those that break it (the first few).
    pub rules: Vec<Rule>,
    /// How many orders there are by state.
    pub states: Vec<(String, i64)>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What must be so.
    pub name: &'static str,
    /// Of how many it was asked.
    pub asked: usize,
    /// By how many it is broken.
    pub broken: usize,
    /// The first few of those.
    pub examples: Vec<String>,
}

impl Findings {
    /// Whether every rule holds.
    pub fn holds(&self) -> bool {
        self.rules.iter().all(|rule| rule.broken == 0)
    }

    fn rule(&mut self, name: &'static str) -> &mut Rule {
        self.rules.push(Rule { name, asked: 0, broken: 0, examples: Vec::new() });
        let last = self.rules.len() - 1;
        &mut self.rules[last]
    }
}

impl Rule {
    fn ask(&mut self, holds: bool, example: impl FnOnce() -> String) {
        self.asked += 1;
        if !holds {
            self.broken += 1;
            if self.examples.len() < 3 {
                self.examples.push(example());
            }
        }
    }
}

impl std::fmt::Display for Findings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (state, count) in &self.states {
            writeln!(f, "         {count:>7}  orders {state}")?;
        }
        for rule in &self.rules {
            let word = if rule.broken == 0 { "holds" } else { "BROKEN" };
            writeln!(f, "  {word:<6} {:>7}  {}", rule.asked, rule.name)?;
            if rule.broken > 0 {
                writeln!(f, "         {:>7}  break it: {}", rule.broken, rule.examples.join("; "))?;
            }
        }
        Ok(())
    }
}

struct Entry {
    state: String,
    card: bool,
    cents: i64,
    lines: usize,
}

impl Entry {
    /// Nothing of it may be left with anybody.
    fn is_undone(&self) -> bool {
        matches!(self.state.as_str(), "cancelled" | "rejected")
    }

    fn has_ended(&self) -> bool {
        self.state == "completed" || self.is_undone()
    }
}

/// Looks at everything. `submitted`: orders that must be there, since their submission was accepted.
///
/// While orders are under way, rules about ends are asked of those that have ended, and may be broken for the moment in which a
/// cancelled order's stock is on its way back.
///
/// # Errors
/// What a database says.
pub async fn audit(books: &Books, submitted: Option<&[String]>) -> Result<Findings, StoreError> {
    let mut found = Findings::default();
    let mut orders = HashMap::new();
    for row in read(&books.orders, "SELECT id, state, card, cents, items FROM orders", &[]).await? {
        // Rejected orders may hold anything.
        let items: Vec<crate::model::Item> = serde_json::from_str(row.text(4)?)?;
        let entry = Entry {
            state: row.text(1)?.to_owned(),
            card: row.maybe_text(2)?.is_some(),
            cents: row.int(3)?,
            lines: items.len(),
        };
        orders.insert(row.text(0)?.to_owned(), entry);
    }
    let states = "SELECT state, COUNT(*) FROM orders GROUP BY state ORDER BY state";
    for row in read(&books.orders, states, &[]).await? {
        found.states.push((row.text(0)?.to_owned(), row.int(1)?));
    }
    if let Some(submitted) = submitted {
        let rule = found.rule("no order is lost: each accepted submission is stored");
        submitted.iter().for_each(|id| rule.ask(orders.contains_key(id), || id.clone()));
    }
    let rule = found.rule("every order has come to an end");
    for (id, order) in &orders {
        let ended = order.has_ended();
        rule.ask(ended, || format!("{id} is {}", order.state));
    }
    money(books, &orders, &mut found).await?;
    stock(books, &orders, &mut found).await?;
    shipments(books, &orders, &mut found).await?;
    Ok(found)
}

async fn money(
    books: &Books,
    orders: &HashMap<String, Entry>,
    found: &mut Findings,
) -> Result<(), StoreError> {
    let mut ledger: HashMap<String, Vec<(String, i64)>> = HashMap::new();
    for row in read(&books.gateway, "SELECT order_id, standing, cents FROM ledger", &[]).await? {
        ledger.entry(row.text(0)?.to_owned()).or_default().push((row.text(1)?.to_owned(), row.int(2)?));
    }
    let rule = found.rule("no order is charged twice");
    for (id, entries) in &ledger {
        let charges = entries.iter().filter(|(standing, _)| standing == "charged" || standing == "refunded");
        rule.ask(charges.count() <= 1, || id.clone());
    }
    let taken = |id: &str| {
        let entries = ledger.get(id).into_iter().flatten();
        entries.filter(|(standing, _)| standing == "charged").map(|(_, cents)| cents).sum::<i64>()
    };
    let rule = found.rule("completed by card: paid to the cent; on account: not charged");
    for (id, order) in orders.iter().filter(|(_, order)| order.state == "completed") {
        let due = if order.card { order.cents } else { 0 };
        rule.ask(taken(id) == due, || format!("{id}: {} of {due} cents", taken(id)));
    }
    let rule = found.rule("of a cancelled or rejected order no money is kept");
    for (id, _) in orders.iter().filter(|(_, order)| order.is_undone()) {
        rule.ask(taken(id) == 0, || format!("{id}: {} cents", taken(id)));
    }
    let rule = found.rule("the gateway has nothing that no order asked for");
    ledger.keys().for_each(|id| rule.ask(orders.contains_key(id), || id.clone()));
    Ok(())
}

async fn stock(
    books: &Books,
    orders: &HashMap<String, Entry>,
    found: &mut Findings,
) -> Result<(), StoreError> {
    let mut lines: HashMap<String, Vec<String>> = HashMap::new();
    let (mut held, mut sold): (HashMap<String, i64>, HashMap<String, i64>) = Default::default();
    let sql = "SELECT order_id, product, quantity, state FROM reservation_lines";
    for row in read(&books.inventory, sql, &[]).await? {
        let (product, quantity, state) = (row.text(1)?, row.int(2)?, row.text(3)?);
        lines.entry(row.text(0)?.to_owned()).or_default().push(state.to_owned());
        match state {
            "held" => *held.entry(product.to_owned()).or_default() += quantity,
            "sold" => *sold.entry(product.to_owned()).or_default() += quantity,
            _ => {}
        }
    }
    let stock = read(&books.inventory, "SELECT product, initial, on_hand, reserved FROM stock", &[]).await?;
    let rule = found.rule("stock is never negative, nor reserved beyond what there is");
    for row in &stock {
        let (hand, reserved) = (row.int(2)?, row.int(3)?);
        rule.ask(hand >= 0 && reserved >= 0 && reserved <= hand, || format!("{row:?}"));
    }
    let rule = found.rule("stock adds up: was = is + sold; reserved = held by orders");
    for row in &stock {
        let of = |map: &HashMap<String, i64>, product: &str| map.get(product).copied().unwrap_or(0);
        let (product, initial, hand, reserved) = (row.text(0)?, row.int(1)?, row.int(2)?, row.int(3)?);
        let fits = initial == hand + of(&sold, product) && reserved == of(&held, product);
        rule.ask(fits, || {
            format!("{product}: {row:?}, sold {}, held {}", of(&sold, product), of(&held, product))
        });
    }
    let rule = found.rule("of a completed order every line is sold");
    for (id, order) in orders.iter().filter(|(_, order)| order.state == "completed") {
        let sold = lines.get(id).into_iter().flatten().filter(|state| *state == "sold").count();
        rule.ask(sold == order.lines, || format!("{id}: {sold} of {} lines", order.lines));
    }
    let rule = found.rule("a cancelled or rejected order keeps no stock");
    for (id, _) in orders.iter().filter(|(_, order)| order.is_undone()) {
        let kept = lines.get(id).into_iter().flatten().any(|state| state == "sold" || state == "held");
        rule.ask(!kept, || id.clone());
    }
    Ok(())
}

async fn shipments(
    books: &Books,
    orders: &HashMap<String, Entry>,
    found: &mut Findings,
) -> Result<(), StoreError> {
    let shipped =
        read(&books.shipping, "SELECT order_id FROM shipments WHERE tracking IS NOT NULL", &[]).await?;
    let shipped: HashSet<&str> = shipped.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    let rule = found.rule("what is completed is shipped, and nothing else");
    for (id, order) in orders {
        let ended = order.has_ended();
        rule.ask(!ended || shipped.contains(id.as_str()) == (order.state == "completed"), || id.clone());
    }
    Ok(())
}

/// How many of the orders that ended until then have had a notification of their end; and how many there are.
///
/// # Errors
/// What a database says.
pub async fn told(books: &Books, from_ms: i64, until_ms: i64) -> Result<(usize, usize), StoreError> {
    let sql = "SELECT id, state FROM orders WHERE ended_ms BETWEEN $1 AND $2";
    let ended = read(&books.orders, sql, &[from_ms.into(), until_ms.into()]).await?;
    let mut told = 0;
    for some in ended.chunks(5_000) {
        let names = some.iter().map(|row| Ok(format!("{}:order.{}", row.text(0)?, row.text(1)?)));
        let names: Vec<String> = names.collect::<Result<_, StoreError>>()?;
        let names: Vec<_> = names.iter().map(|name| serde_json::json!({ "n": name })).collect();
        let names = serde_json::to_string(&names)?;
        told += with_database!(&books.notifications, database => count_told(database, &names).await?);
    }
    Ok((told, ended.len()))
}

async fn count_told<D: Database>(database: &D, names: &str) -> Result<usize, StoreError> {
    let sql = from_json!(
        D,
        "SELECT COUNT(*) FROM notifications WHERE event_id IN (SELECT value ->> 'n' FROM ",
        ")"
    );
    let rows = database.read(sql, &[names.into()]).await?;
    rows.first().map_or(Ok(0), |row| Ok(usize::try_from(row.int(0)?).unwrap_or(0)))
}
