//! A simulated payment gateway: an outside company with its own ledger, that fails, stalls and loses answers, and that takes an
//! idempotency key so that a repeated charge is one charge.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use toolkit::sql::{Database, StoreError, from_json};

use crate::model::now_ms;
use crate::services::{Tables, rows};

/// How well it works. Shares are of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Behaviour {
    /// Calls that fail before anything happens.
    pub failing: f64,
    /// Calls that hang for [`stall`](Self::stall), and then do what was asked.
    pub stalling: f64,
    /// Calls that do what was asked, and whose answer is lost.
    pub losing: f64,
    /// How long it hangs.
    pub stall: Duration,
    /// The shortest and longest time of a call in which nothing goes wrong.
    pub latency: (Duration, Duration),
}

impl Default for Behaviour {
    fn default() -> Behaviour {
        Behaviour {
            failing: 0.01,
            stalling: 0.002,
            losing: 0.005,
            stall: Duration::from_secs(20),
            latency: (Duration::from_millis(10), Duration::from_millis(40)),
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// The idempotency key: for one key, one thing happens, whatever is asked how often.
    pub key: String,
    /// What for.
    pub order_id: String,
    /// How much.
    pub cents: i64,
    /// From which card: those that begin with `declined` have no money.
    pub card: String,
    /// What is to be done.
    #[serde(skip)]
    pub wish: Wish,
}

/// What is to be done under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Take the money.
    Charge,
    /// Never take the money under this key, if it has not been taken.
    Void,
    /// Give back what was taken under this key.
    Refund,
}

/// What stands under a key in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The money was taken.
    Charged,
    /// The card has no money.
    Declined,
    /// It was never taken, and will not be.
    Void,
    /// It was taken, and given back.
    Refunded,
}

/// No answer, which says nothing about what has happened.
#[derive(Clone, Copy, Debug)]
pub struct NoAnswer;

const TABLES: Tables = tables![
    "CREATE TABLE IF NOT EXISTS ledger (
        payment_key TEXT PRIMARY KEY,
        order_id TEXT NOT NULL,
        cents BIGINT NOT NULL,
        standing TEXT NOT NULL,
        at_ms BIGINT NOT NULL
    )"
];

/// The gateway, as its customers see it.
#[derive(Clone, Debug)]
pub struct Gateway {
    behaviour: Behaviour,
    clerk: mpsc::Sender<(Call, oneshot::Sender<Standing>)>,
}

impl Gateway {
    /// With its ledger in this database.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open<D: Database>(database: D, behaviour: Behaviour) -> Result<Gateway, StoreError> {
        TABLES.make(&database).await?;
        let (clerk, calls) = mpsc::channel(1_000);
        tokio::spawn(keep_ledger(database, calls));
        Ok(Gateway { behaviour, clerk })
    }

    /// One call over the network.
    ///
    /// # Errors
    /// When the answer does not come, for whatever reason; what was asked may have happened or may still happen.
    pub async fn call(&self, call: Call) -> Result<Standing, NoAnswer> {
        let fate = fastrand::f64();
        let Behaviour { failing, stalling, losing, stall, latency } = self.behaviour;
        let spread = latency.1.saturating_sub(latency.0);
        tokio::time::sleep(latency.0 + spread.mul_f64(fastrand::f64())).await;
        if fate < failing {
            return Err(NoAnswer);
        }
        let stalls = fate < failing + stalling;
        let clerk = self.clerk.clone();
        // In a task of its own: the other side's impatience does not stop the gateway.
        let work = tokio::spawn(async move {
            if stalls {
                tokio::time::sleep(stall).await;
            }
            let (answer, answered) = oneshot::channel();
            clerk.send((call, answer)).await.map_err(|_| NoAnswer)?;
            answered.await.map_err(|_| NoAnswer)
        });
        let standing = work.await.map_err(|_| NoAnswer)??;
        if !stalls && fate < failing + stalling + losing { Err(NoAnswer) } else { Ok(standing) }
    }
}

/// The most calls of a transaction, and how long the first of them waits for the others.
const MOST: usize = 500;
const COMPANY: Duration = Duration::from_millis(20);

/// Does what is asked, many calls in a transaction. Ends with the last gateway's handle.
async fn keep_ledger<D: Database>(database: D, mut calls: mpsc::Receiver<(Call, oneshot::Sender<Standing>)>) {
    let mut waiting = Vec::new();
    while calls.recv_many(&mut waiting, MOST).await > 0 {
        tokio::time::sleep(COMPANY).await;
        while waiting.len() < MOST
            && let Ok(call) = calls.try_recv()
        {
            waiting.push(call);
        }
        let (asked, answers): (Vec<Call>, Vec<_>) = waiting.drain(..).unzip();
        match settle(&database, &asked).await {
            Ok(standings) => {
                for (answer, standing) in answers.into_iter().zip(standings) {
                    // Who no longer waits has lost patience.
                    let _ = answer.send(standing);
                }
            }
            Err(error) => eprintln!("gateway: its ledger: {error}"),
        }
    }
}

async fn settle<D: Database>(database: &D, calls: &[Call]) -> Result<Vec<Standing>, StoreError> {
    #[derive(Serialize)]
    struct Row<'a> {
        #[serde(flatten)]
        call: &'a Call,
        standing: &'a str,
    }
    let mut entries = Vec::new();
    let mut refunds = Vec::new();
    for call in calls {
        let standing = match call.wish {
            Wish::Charge if call.card.starts_with("declined") => "declined",
            Wish::Charge => "charged",
            Wish::Void => "void",
            Wish::Refund => {
                refunds.push(Row { call, standing: "refunded" });
                // What was never charged cannot be given back, and must not be charged later either.
                "void"
            }
        };
        entries.push(Row { call, standing });
    }
    let mut transaction = database.begin().await?;
    // The first entry of a key stays.
    let sql = from_json!(
        D,
        "INSERT INTO ledger (payment_key, order_id, cents, standing, at_ms)
         SELECT value ->> 'key', value ->> 'order_id', CAST(value ->> 'cents' AS BIGINT), value ->> 'standing', $2 FROM ",
        " WHERE TRUE ON CONFLICT (payment_key) DO NOTHING"
    );
    let entries = rows(&entries)?;
    D::execute(&mut transaction, sql, &[(&entries).into(), now_ms().into()]).await?;
    if !refunds.is_empty() {
        let sql = from_json!(
            D,
            "UPDATE ledger SET standing = 'refunded'
             WHERE standing = 'charged' AND payment_key IN (SELECT value ->> 'key' FROM ",
            ")"
        );
        D::execute(&mut transaction, sql, &[(&rows(&refunds)?).into()]).await?;
    }
    let sql = from_json!(
        D,
        "SELECT payment_key, standing FROM ledger WHERE payment_key IN (SELECT value ->> 'key' FROM ",
        ")"
    );
    let found = D::query(&mut transaction, sql, &[(&entries).into()]).await?;
    D::commit(transaction).await?;
    let mut standings = std::collections::HashMap::new();
    for row in &found {
        let standing = match row.text(1)? {
            "charged" => Standing::Charged,
            "declined" => Standing::Declined,
            "refunded" => Standing::Refunded,
            _ => Standing::Void,
        };
        standings.insert(row.text(0)?.to_owned(), standing);
    }
    let missing = || StoreError::Shape("an entry that was just made is missing".to_owned());
    calls.iter().map(|call| standings.get(&call.key).copied().ok_or_else(missing)).collect()
}
