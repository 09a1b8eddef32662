//! Keeps the stock: reserves all lines of an order or none, takes out what is paid, gives back what is not wanted. Stock is never
//! negative; the database itself refuses it.
//!
//! Commands come in order for each product. Each batch is one transaction, that reads what it needs, changes it in memory, and writes
//! it back. These transactions take turns, since whether an order is reserved depends on all of its lines, which may come to different
//! processes at the same time. (That nobody has changed a product in between is checked besides, by its version.)

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use toolkit::consumer::{BatchOutcome, Delivery, Outcome, gather};
use toolkit::inbox::sql::{AfterCommit, SqlInbox, TransactionalBatchHandler, batches_in_transaction};
use toolkit::sql::{Database, StoreError, from_json, migrate, take_turns};
use toolkit::{Consumer, Envelope};

use crate::model::{Happening, ShipCommand, StockCommand, StockWork, now_ms};
use crate::services::{
    BATCH, Desk, Error, LINGER, Mail, Place, RunningService, Surroundings, Tables, consuming, remembering,
    rows, running,
};

const TABLES: Tables = tables![
    "CREATE TABLE IF NOT EXISTS stock (
        product TEXT PRIMARY KEY,
        initial BIGINT NOT NULL,
        on_hand BIGINT NOT NULL CHECK (on_hand >= 0),
        reserved BIGINT NOT NULL CHECK (reserved >= 0),
        version BIGINT NOT NULL,
        CHECK (reserved <= on_hand)
    )",
    "CREATE TABLE IF NOT EXISTS reservations (
        order_id TEXT PRIMARY KEY,
        line_count BIGINT NOT NULL,
        state TEXT NOT NULL,
        expires_ms BIGINT NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS reservation_lines (
        order_id TEXT NOT NULL,
        line BIGINT NOT NULL,
        product TEXT NOT NULL,
        quantity BIGINT NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (order_id, line)
    )",
    // One row an update: what the load generator measures.
    "CREATE TABLE IF NOT EXISTS updates (
        order_id TEXT NOT NULL,
        line BIGINT NOT NULL,
        work TEXT NOT NULL,
        asked_ms BIGINT NOT NULL,
        done_ms BIGINT NOT NULL,
        PRIMARY KEY (order_id, line, work)
    )",
];

/// Those that may expire.
const INDEXES: &[&str] = &[
    "CREATE INDEX IF NOT EXISTS reservations_open ON reservations (expires_ms) WHERE state IN ('open', 'held')",
];

/// Of so small a share of its first stock, people are told.
const LOW: i64 = 10;
/// How often it is looked for reservations that have run out.
const SWEEP: Duration = Duration::from_secs(2);

/// The name of a product, and of one of those that there are few of.
pub fn product(number: u32) -> String {
    format!("product-{number:05}")
}
/// A product of which there are few.
pub fn rare(number: u32) -> String {
    format!("rare-{number:03}")
}
/// How many rare products there are.
pub const RARE: u32 = 20;
/// How many there are of each.
const RARE_STOCK: i64 = 3;

/// Starts the service.
///
/// # Errors
/// When its database or its queue cannot be reached.
pub async fn start<D: Database>(around: &Surroundings, database: D) -> Result<RunningService, Error> {
    TABLES.make(&database).await?;
    migrate(&database, INDEXES).await?;
    stock_up(&database, around.settings.products, around.settings.stock).await?;
    let inbox = SqlInbox::new(&database, "inventory");
    inbox.migrate().await?;
    let mut desk = Desk::new("inventory-service", &around.clients, &database).await?;
    let ways = Ways {
        shipping: desk.queue(&around.places.shipping),
        status: desk.channel(&around.places.order_status),
        alerts: desk.channel(&around.places.inventory_alerts),
    };
    let desk = Arc::new(desk);
    let relay = desk.relay();
    let inventory = Inventory { desk, ways, reservation: around.settings.reservation };
    let handler = gather(BATCH, batches_in_transaction(inbox, remembering(), inventory)).linger(LINGER);
    let consumer =
        Consumer::new(&around.clients, &around.places.inventory).settings(consuming(&around.settings, 4));
    let running = running(vec![consumer.start_batches(handler).await?], Some(relay));
    let stop = running.stop.clone();
    tokio::spawn(async move {
        let sweeps = async {
            loop {
                tokio::time::sleep(SWEEP).await;
                if let Err(error) = sweep(&database).await {
                    eprintln!("inventory: reservations that have run out: {error}");
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = sweeps => {}
        }
    });
    Ok(running)
}

/// Fills an empty shop.
async fn stock_up<D: Database>(database: &D, products: u32, stock: i64) -> Result<(), StoreError> {
    #[derive(Serialize)]
    struct Row {
        product: String,
        count: i64,
    }
    let usual = (0..products).map(|number| Row { product: product(number), count: stock });
    let few = (0..RARE).map(|number| Row { product: rare(number), count: RARE_STOCK });
    let sql = from_json!(
        D,
        "INSERT INTO stock (product, initial, on_hand, reserved, version)
         SELECT value ->> 'product', CAST(value ->> 'count' AS BIGINT), CAST(value ->> 'count' AS BIGINT), 0, 0 FROM ",
        " WHERE TRUE ON CONFLICT (product) DO NOTHING"
    );
    database.execute_alone(sql, &[(&rows(&usual.chain(few).collect::<Vec<_>>())?).into()]).await?;
    Ok(())
}

struct Ways {
    shipping: Place,
    status: Place,
    alerts: Place,
}

struct Inventory<D> {
    desk: Arc<Desk<D>>,
    ways: Ways,
    reservation: Duration,
}

impl<D: Database> TransactionalBatchHandler<StockCommand, D> for Inventory<D> {
    async fn handle_batch(
        &self,
        transaction: &mut D::Connection,
        batch: &[Delivery<StockCommand>],
        after: &mut AfterCommit,
    ) -> Result<BatchOutcome, StoreError> {
        #[derive(Serialize)]
        struct Update<'a> {
            order: &'a str,
            line: i64,
            work: StockWork,
            asked: i64,
        }
        let orders = batch.iter().map(|delivery| delivery.data().order_id.as_str());
        let products = batch.iter().map(|delivery| delivery.data().product_id.as_str());
        let mut shelf = Shelf::load::<D>(transaction, orders.collect(), products.collect()).await?;
        let (mut mail, mut outcome) = (self.desk.mail(), BatchOutcome::done());
        let mut right = Vec::new();
        for delivery in batch {
            let command = delivery.data();
            if let Err(wrong) = command.validate() {
                outcome = outcome.failed(&delivery.message_id, Outcome::give_up(wrong));
                continue;
            }
            right.push(delivery);
            let news =
                shelf.apply(command, now_ms() + i64::try_from(self.reservation.as_millis()).unwrap_or(0));
            for one in news {
                self.tell(one, command, &delivery.envelope, &mut mail).await?;
            }
        }
        shelf.save::<D>(transaction).await?;
        let updates = right.iter().map(|delivery| Update {
            order: &delivery.data().order_id,
            line: delivery.data().line,
            work: delivery.data().work,
            asked: delivery.envelope.timestamp.as_millisecond(),
        });
        let sql = from_json!(
            D,
            "INSERT INTO updates (order_id, line, work, asked_ms, done_ms)
             SELECT value ->> 'order', CAST(value ->> 'line' AS BIGINT), value ->> 'work',
                    CAST(value ->> 'asked' AS BIGINT), $2 FROM ",
            " WHERE TRUE ON CONFLICT (order_id, line, work) DO NOTHING"
        );
        let updates = rows(&updates.collect::<Vec<_>>())?;
        D::execute(transaction, sql, &[(&updates).into(), now_ms().into()]).await?;
        mail.write(transaction, after).await?;
        Ok(outcome)
    }
}

impl<D: Database> Inventory<D> {
    async fn tell(
        &self,
        news: News,
        command: &StockCommand,
        cause: &Envelope<StockCommand>,
        mail: &mut Mail<'_, D>,
    ) -> Result<(), StoreError> {
        let who = (command.order_id.as_str(), command.customer_id.as_str());
        let (to, happening, detail) = match news {
            News::Reserved => (self.ways.status, Happening::StockReserved, None),
            News::Refused(product) => {
                (self.ways.status, Happening::StockRejected, Some(format!("{product} is not in stock")))
            }
            News::Short => {
                (self.ways.status, Happening::StockShort, Some("its reservation had run out".to_owned()))
            }
            News::Low(product) => (self.ways.alerts, Happening::InventoryLow, Some(product)),
            News::TakenOut => {
                let ship = ShipCommand {
                    order_id: command.order_id.clone(),
                    customer_id: command.customer_id.clone(),
                    country: command.country.clone(),
                };
                let id = format!("{}:ship", command.order_id);
                return mail.add(self.ways.shipping, id, ship, None, Some(cause)).await;
            }
        };
        mail.event(to, happening, who, detail, Some(cause)).await
    }
}

/// What is to be told.
#[derive(Debug, PartialEq)]
enum News {
    /// All lines of the order are reserved.
    Reserved,
    /// This product is not there, and nothing is reserved.
    Refused(String),
    /// All lines are taken out.
    TakenOut,
    /// The reservation had run out, and others have bought it.
    Short,
    /// There is little left of it.
    Low(String),
}

/// What a batch works on.
#[derive(Default)]
struct Shelf {
    stock: BTreeMap<String, Stock>,
    reservations: BTreeMap<String, Reservation>,
}

struct Stock {
    initial: i64,
    on_hand: i64,
    reserved: i64,
    version: i64,
    changed: bool,
}

struct Reservation {
    state: String,
    line_count: i64,
    expires_ms: i64,
    lines: BTreeMap<i64, Line>,
    changed: bool,
}

#[derive(Clone)]
struct Line {
    product: String,
    quantity: i64,
    state: &'static str,
    changed: bool,
}

/// A line's states, as they are stored.
const LINES: [&str; 7] = ["held", "refused", "released", "expired", "sold", "short", "returned"];

impl Stock {
    fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

impl Shelf {
    /// Does one command; gives what is to be told.
    fn apply(&mut self, command: &StockCommand, expires_ms: i64) -> Vec<News> {
        let mut news = Vec::new();
        let reservation = self.reservations.entry(command.order_id.clone()).or_insert_with(|| Reservation {
            state: "open".to_owned(),
            line_count: command.lines,
            expires_ms,
            lines: BTreeMap::new(),
            changed: true,
        });
        match command.work {
            StockWork::Reserve => {
                if reservation.lines.contains_key(&command.line) {
                    return news;
                }
                let stock = self.stock.get_mut(&command.product_id);
                let there = stock.filter(|stock| stock.available() >= command.quantity);
                let state = match there {
                    Some(stock) if reservation.state == "open" => {
                        stock.reserved += command.quantity;
                        stock.changed = true;
                        let low = (stock.initial / LOW).max(1);
                        if stock.available() < low && stock.available() + command.quantity >= low {
                            news.push(News::Low(command.product_id.clone()));
                        }
                        "held"
                    }
                    _ => "refused",
                };
                let (product, quantity) = (command.product_id.clone(), command.quantity);
                reservation.lines.insert(command.line, Line { product, quantity, state, changed: true });
                let held = reservation.lines.values().filter(|line| line.state == "held").count();
                if state == "refused" && reservation.state != "refused" {
                    // All or nothing: what is held already is let go.
                    move_lines(reservation, &mut self.stock, "held", "released");
                    reservation.set("refused");
                    news.push(News::Refused(command.product_id.clone()));
                } else if reservation.state == "open" && held as i64 == reservation.line_count {
                    reservation.set("held");
                    news.push(News::Reserved);
                }
            }
            StockWork::Commit => {
                let Some(line) = reservation.lines.get_mut(&command.line) else { return news };
                let Some(stock) = self.stock.get_mut(&line.product) else { return news };
                let state = match line.state {
                    "held" => {
                        stock.reserved -= line.quantity;
                        stock.on_hand -= line.quantity;
                        "sold"
                    }
                    // The reservation has run out; perhaps it is still there.
                    "expired" if stock.available() >= line.quantity => {
                        stock.on_hand -= line.quantity;
                        "sold"
                    }
                    "expired" => "short",
                    _ => return news,
                };
                stock.changed = true;
                (line.state, line.changed) = (state, true);
                let count =
                    |wanted| reservation.lines.values().filter(|line| line.state == wanted).count() as i64;
                let (sold, short) = (count("sold"), count("short"));
                if sold == reservation.line_count {
                    reservation.set("sold");
                    news.push(News::TakenOut);
                } else if sold + short == reservation.line_count {
                    move_lines(reservation, &mut self.stock, "sold", "returned");
                    reservation.set("short");
                    news.push(News::Short);
                }
            }
            StockWork::Release => {
                move_lines(reservation, &mut self.stock, "held", "released");
                reservation.set("released");
            }
            StockWork::Return => {
                move_lines(reservation, &mut self.stock, "sold", "returned");
                reservation.set("returned");
            }
        }
        news
    }
}

/// Lets all lines of a state go into another one, and gives their stock back.
fn move_lines(
    reservation: &mut Reservation,
    stock: &mut BTreeMap<String, Stock>,
    from: &str,
    to: &'static str,
) {
    for line in reservation.lines.values_mut().filter(|line| line.state == from) {
        if let Some(stock) = stock.get_mut(&line.product) {
            match from {
                "held" => stock.reserved -= line.quantity,
                _ => stock.on_hand += line.quantity,
            }
            stock.changed = true;
        }
        (line.state, line.changed) = (to, true);
    }
}

impl Reservation {
    fn set(&mut self, state: &str) {
        if self.state != state {
            self.state = state.to_owned();
            self.changed = true;
        }
    }
}

#[derive(Serialize)]
struct Name<'a> {
    n: &'a str,
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<String, StoreError> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    rows(&names.into_iter().map(|n| Name { n }).collect::<Vec<_>>())
}

impl Shelf {
    async fn load<D: Database>(
        transaction: &mut D::Connection,
        orders: Vec<&str>,
        products: Vec<&str>,
    ) -> Result<Shelf, StoreError> {
        take_turns::<D>(transaction, "shelf").await?;
        let mut shelf = Shelf::default();
        let orders = names(orders)?;
        let sql = from_json!(
            D,
            "SELECT order_id, line_count, state, expires_ms FROM reservations
             WHERE order_id IN (SELECT value ->> 'n' FROM ",
            ")"
        );
        for row in D::query(transaction, sql, &[(&orders).into()]).await? {
            let reservation = Reservation {
                state: row.text(2)?.to_owned(),
                line_count: row.int(1)?,
                expires_ms: row.int(3)?,
                lines: BTreeMap::new(),
                changed: false,
            };
            shelf.reservations.insert(row.text(0)?.to_owned(), reservation);
        }
        let sql = from_json!(
            D,
            "SELECT order_id, line, product, quantity, state FROM reservation_lines
             WHERE order_id IN (SELECT value ->> 'n' FROM ",
            ")"
        );
        for row in D::query(transaction, sql, &[(&orders).into()]).await? {
            let state = row.text(4)?;
            let state = LINES.into_iter().find(|known| *known == state);
            let state = state.ok_or_else(|| StoreError::Shape("a line in an unknown state".to_owned()))?;
            let line =
                Line { product: row.text(2)?.to_owned(), quantity: row.int(3)?, state, changed: false };
            if let Some(reservation) = shelf.reservations.get_mut(row.text(0)?) {
                reservation.lines.insert(row.int(1)?, line);
            }
        }
        // Other lines of these orders may have to be let go, too.
        let others =
            shelf.reservations.values().flat_map(|one| one.lines.values()).map(|line| line.product.as_str());
        let products = names(products.into_iter().chain(others))?;
        let sql = from_json!(
            D,
            "SELECT product, initial, on_hand, reserved, version FROM stock
             WHERE product IN (SELECT value ->> 'n' FROM ",
            ")"
        );
        for row in D::query(transaction, sql, &[(&products).into()]).await? {
            let stock = Stock {
                initial: row.int(1)?,
                on_hand: row.int(2)?,
                reserved: row.int(3)?,
                version: row.int(4)?,
                changed: false,
            };
            shelf.stock.insert(row.text(0)?.to_owned(), stock);
        }
        Ok(shelf)
    }

    /// Writes what has changed.
    async fn save<D: Database>(&self, transaction: &mut D::Connection) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct StockRow<'a> {
            n: &'a str,
            hand: i64,
            res: i64,
            ver: i64,
        }
        #[derive(Serialize)]
        struct ReservationRow<'a> {
            id: &'a str,
            count: i64,
            state: &'a str,
            expires: i64,
        }
        #[derive(Serialize)]
        struct LineRow<'a> {
            id: &'a str,
            line: i64,
            product: &'a str,
            quantity: i64,
            state: &'a str,
        }
        let stock = self.stock.iter().filter(|(_, stock)| stock.changed).map(|(n, stock)| StockRow {
            n,
            hand: stock.on_hand,
            res: stock.reserved,
            ver: stock.version,
        });
        let stock: Vec<StockRow<'_>> = stock.collect();
        if !stock.is_empty() {
            let sql = from_json!(
                D,
                "UPDATE stock SET on_hand = n.hand, reserved = n.res, version = version + 1 FROM
                    (SELECT value ->> 'n' AS n, CAST(value ->> 'hand' AS BIGINT) AS hand,
                            CAST(value ->> 'res' AS BIGINT) AS res, CAST(value ->> 'ver' AS BIGINT) AS ver FROM ",
                ") AS n WHERE stock.product = n.n AND stock.version = n.ver"
            );
            if D::execute(transaction, sql, &[(&rows(&stock)?).into()]).await? != stock.len() as u64 {
                return Err(StoreError::Shape("somebody else changed the stock at the same time".to_owned()));
            }
        }
        let changed = self.reservations.iter().filter(|(_, one)| one.changed);
        let reservations = changed.map(|(id, one)| ReservationRow {
            id,
            count: one.line_count,
            state: &one.state,
            expires: one.expires_ms,
        });
        let sql = from_json!(
            D,
            "INSERT INTO reservations (order_id, line_count, state, expires_ms)
             SELECT value ->> 'id', CAST(value ->> 'count' AS BIGINT), value ->> 'state',
                    CAST(value ->> 'expires' AS BIGINT) FROM ",
            " WHERE TRUE ON CONFLICT (order_id) DO UPDATE SET state = excluded.state"
        );
        D::execute(transaction, sql, &[(&rows(&reservations.collect::<Vec<_>>())?).into()]).await?;
        let lines = self.reservations.iter().flat_map(|(id, one)| {
            one.lines.iter().filter(|(_, line)| line.changed).map(move |(number, line)| LineRow {
                id,
                line: *number,
                product: &line.product,
                quantity: line.quantity,
                state: line.state,
            })
        });
        let sql = from_json!(
            D,
            "INSERT INTO reservation_lines (order_id, line, product, quantity, state)
             SELECT value ->> 'id', CAST(value ->> 'line' AS BIGINT), value ->> 'product',
                    CAST(value ->> 'quantity' AS BIGINT), value ->> 'state' FROM ",
            " WHERE TRUE ON CONFLICT (order_id, line) DO UPDATE SET state = excluded.state"
        );
        D::execute(transaction, sql, &[(&rows(&lines.collect::<Vec<_>>())?).into()]).await?;
        Ok(())
    }
}

/// Lets reservations go that have run out. Their orders hear of it only if they are paid and the stock is gone by then.
async fn sweep<D: Database>(database: &D) -> Result<(), StoreError> {
    let sql =
        "SELECT order_id FROM reservations WHERE state IN ('open', 'held') AND expires_ms < $1 LIMIT 500";
    if database.read(sql, &[now_ms().into()]).await?.is_empty() {
        return Ok(());
    }
    let mut transaction = database.begin().await?;
    take_turns::<D>(&mut transaction, "shelf").await?;
    let due = D::query(&mut transaction, sql, &[now_ms().into()]).await?;
    let due: Vec<&str> = due.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    let mut shelf = Shelf::load::<D>(&mut transaction, due, Vec::new()).await?;
    for reservation in shelf.reservations.values_mut() {
        move_lines(reservation, &mut shelf.stock, "held", "expired");
        reservation.set("expired");
    }
    shelf.save::<D>(&mut transaction).await?;
    D::commit(transaction).await
}
