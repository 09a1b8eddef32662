//! Counts, after a day, what became of each message and whether orders, money, tickets and e-mails agree with each other.

use std::collections::BTreeMap;

use toolkit::dead_letters::DeadLetter;
use toolkit::sql::StoreError;

use crate::dead_letters::key;
use crate::events::Money;
use crate::store::Store;

/// What became of the messages of one event type.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kind {
    pub event_type: String,
    pub issued: u64,
    /// At least once.
    pub handled: u64,
    pub retries: u64,
    /// Recognised, and dropped.
    pub duplicates: u64,
    pub requeued: u64,
    /// Not handled, and among the dead letters.
    pub dead: u64,
    /// Not handled, and not among the dead letters.
    pub lost: u64,
    /// Handled more than once.
    pub twice: u64,
}

/// The day's result.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    pub kinds: Vec<Kind>,
    pub total: Kind,
    /// Orders, money, tickets and e-mails, in words.
    pub books: Vec<String>,
    /// What is wrong. Empty after a good day.
    pub faults: Vec<String>,
}

/// How many messages were issued and are neither handled nor, as far as the log knows, dead letters.
pub async fn unfinished(store: &Store) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM (SELECT DISTINCT message_key AS k FROM message_log WHERE status = 'ISSUED')
               WHERE NOT EXISTS (SELECT 1 FROM message_log WHERE message_key = k AND status = 'PROCESSED')
               AND COALESCE((SELECT status FROM message_log WHERE message_key = k AND status IN ('DEAD_LETTER', 'REQUEUED')
                             ORDER BY id DESC LIMIT 1), '') <> 'DEAD_LETTER'";
    Ok(sqlx::query_scalar(sql).fetch_one(&store.pool).await?)
}

/// How many messages are not handled, and dead of something that may have passed.
pub async fn waiting_for_requeue(store: &Store) -> Result<i64, StoreError> {
    let sql =
        "SELECT COUNT(*) FROM (SELECT DISTINCT message_key AS k FROM message_log WHERE status = 'ISSUED')
               WHERE NOT EXISTS (SELECT 1 FROM message_log WHERE message_key = k AND status = 'PROCESSED')
               AND EXISTS (SELECT 1 FROM message_log WHERE message_key = k AND status = 'DEAD_LETTER'
                           AND (detail LIKE 'attempts-exhausted%' OR detail LIKE 'unanswered%'))";
    Ok(sqlx::query_scalar(sql).fetch_one(&store.pool).await?)
}

/// How many messages have been handled.
pub async fn handled(store: &Store) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM message_log WHERE status = 'PROCESSED'";
    Ok(sqlx::query_scalar(sql).fetch_one(&store.pool).await?)
}

/// How long the log is.
pub async fn lines(store: &Store) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM message_log").fetch_one(&store.pool).await?)
}

/// Counts everything. `left`: the letters that lie among the dead now; `hopeless`: the keys of those that belong there.
pub async fn audit(store: &Store, left: &[DeadLetter], hopeless: &[String]) -> Result<Audit, StoreError> {
    let mut audit = Audit::default();
    messages(store, left, hopeless, &mut audit).await?;
    orders(store, &mut audit).await?;
    emails(store, &mut audit).await?;
    let alerts: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alerts").fetch_one(&store.pool).await?;
    audit.books.push(format!("alerts raised: {alerts}"));
    let waiting = store.outbox.waiting().await? + store.outbox.dead(1_000).await?.len() as u64;
    if waiting > 0 {
        audit.faults.push(format!("{waiting} events were never published: they lie in the outbox"));
    }
    Ok(audit)
}

async fn messages(
    store: &Store,
    left: &[DeadLetter],
    hopeless: &[String],
    audit: &mut Audit,
) -> Result<(), StoreError> {
    let sql = "SELECT message_key, event_type, subject, SUM(status = 'PROCESSED'), SUM(status = 'RETRY'), SUM(status = 'DUPLICATE'),
                      SUM(status = 'REQUEUED')
               FROM message_log GROUP BY message_key, event_type HAVING SUM(status = 'ISSUED') > 0 ORDER BY MIN(id)";
    let rows: Vec<(String, String, String, i64, i64, i64, i64)> =
        sqlx::query_as(sql).fetch_all(&store.pool).await?;
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    for (message, event_type, subject, processed, retries, duplicates, requeued) in rows {
        let (among_the_dead, belongs_there) =
            (left.iter().any(|letter| key(letter) == message), hopeless.contains(&message));
        let of = kinds.entry(event_type.clone()).or_default();
        for kind in [of, &mut audit.total] {
            kind.issued += 1;
            kind.handled += u64::from(processed > 0);
            kind.twice += u64::from(processed > 1);
            kind.dead += u64::from(processed == 0 && among_the_dead);
            kind.lost += u64::from(processed == 0 && !among_the_dead);
            for (sum, more) in [
                (&mut kind.retries, retries),
                (&mut kind.duplicates, duplicates),
                (&mut kind.requeued, requeued),
            ] {
                *sum += u64::try_from(more).unwrap_or(0);
            }
        }
        let mut fault =
            |what: &str| audit.faults.push(format!("{event_type} of {subject} ({message}) {what}"));
        match (processed, among_the_dead, belongs_there) {
            (0, false, _) => fault("is lost"),
            (2.., ..) => fault(&format!("was handled {processed} times")),
            (0, true, false) => fault("was left among the dead letters"),
            (1, _, true) => fault("was handled, and nobody should have been able to"),
            _ => {}
        }
    }
    for (event_type, kind) in &mut kinds {
        kind.event_type.clone_from(event_type);
    }
    audit.kinds = kinds.into_values().collect();
    audit.total.event_type = "all".to_owned();
    Ok(())
}

async fn orders(store: &Store, audit: &mut Audit) -> Result<(), StoreError> {
    let sql = "SELECT id, state, seats, amount_cents,
                      (SELECT COUNT(*) FROM tickets WHERE order_id = orders.id),
                      (SELECT COUNT(*) FROM tickets WHERE order_id = orders.id AND state <> 'cancelled'),
                      (SELECT COALESCE(SUM(cents), 0) FROM payments WHERE order_id = orders.id AND kind = 'charge'),
                      (SELECT COALESCE(SUM(cents), 0) FROM payments WHERE order_id = orders.id AND kind = 'refund')
               FROM orders ORDER BY id";
    type Row = (String, String, i64, i64, i64, i64, i64, i64);
    let rows: Vec<Row> = sqlx::query_as(sql).fetch_all(&store.pool).await?;
    let mut states: BTreeMap<String, u64> = BTreeMap::new();
    let (mut charged, mut refunded, mut made, mut good) = (0, 0, 0, 0);
    for (id, state, seats, amount, tickets, valid, charge, refund) in rows {
        *states.entry(state.clone()).or_default() += 1;
        (charged, refunded, made, good) = (charged + charge, refunded + refund, made + tickets, good + valid);
        let should = match state.as_str() {
            "paid" => (charge == amount && refund == 0, tickets == seats && valid == seats),
            "cancelled" => {
                (charge == amount && refund == amount, (tickets == 0 || tickets == seats) && valid == 0)
            }
            _ => (charge == 0 && refund == 0, tickets == 0),
        };
        if !should.0 {
            let (amount, charge, refund) = (Money(amount), Money(charge), Money(refund));
            audit
                .faults
                .push(format!("order {id} ({state}) of {amount}: charged {charge}, paid back {refund}"));
        }
        if !should.1 {
            audit.faults.push(format!(
                "order {id} ({state}) of {seats} seats: {tickets} tickets, {valid} of them good"
            ));
        }
    }
    let states: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    audit.books.push(format!("orders: {}", states.join(", ")));
    let (charged, refunded, kept) = (Money(charged), Money(refunded), Money(charged - refunded));
    audit.books.push(format!("money: {charged} taken, {refunded} paid back, {kept} kept"));
    audit.books.push(format!("tickets: {made} made, {good} of them good"));
    Ok(())
}

/// Nobody is told the same thing twice because of one message, and whoever pays, cancels or is paid back is told once.
async fn emails(store: &Store, audit: &mut Audit) -> Result<(), StoreError> {
    let all: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM emails").fetch_one(&store.pool).await?;
    audit.books.push(format!("e-mails: {all}"));
    let sql = "SELECT recipient, subject, COUNT(*) FROM emails GROUP BY because_of, recipient, subject HAVING COUNT(*) > 1";
    let twice: Vec<(String, String, i64)> = sqlx::query_as(sql).fetch_all(&store.pool).await?;
    for (recipient, subject, times) in twice {
        audit.faults.push(format!("{recipient} was told {times} times: {subject}"));
    }
    let sql = "SELECT event_type, subject FROM message_log l WHERE status = 'PROCESSED' AND detail NOT LIKE '%bounced%'
               AND event_type IN ('PAYMENT_COMPLETED', 'PAYMENT_FAILED', 'ORDER_CONFIRMED', 'ORDER_CANCELLED', 'REFUND_PROCESSED')
               AND NOT EXISTS (SELECT 1 FROM emails WHERE because_of = l.message_key)";
    let untold: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&store.pool).await?;
    for (event_type, order) in untold {
        audit.faults.push(format!("nobody was told of {event_type}, order {order}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{LogLine, Status};

    /// A good little day: one order, paid, ticketed, mailed.
    async fn good_day(folder: &std::path::Path) -> Store {
        let store = Store::open(folder).await.unwrap();
        for status in [Status::Issued, Status::Processed, Status::Duplicate] {
            log(&store, "m-1", "PAYMENT_COMPLETED", status).await;
        }
        for sql in [
            "INSERT INTO orders VALUES ('o-1', 'e-1', 'u-1', 'a@mail.example', 1, 500, 'paid')",
            "INSERT INTO payments VALUES ('o-1', 'charge', 500)",
            "INSERT INTO tickets VALUES ('t-1', 'o-1', 'valid')",
            "INSERT INTO emails VALUES (1, 'm-1', 'a@mail.example', 'Your receipt', 0)",
        ] {
            sqlx::query(sql).execute(&store.pool).await.unwrap();
        }
        store
    }

    async fn log(store: &Store, key: &str, event_type: &str, status: Status) {
        let (key, event_type) = (key.to_owned(), event_type.to_owned());
        let (message_id, subject, detail) = (String::new(), "o-1".to_owned(), String::new());
        store
            .log(&LogLine { key, message_id, event_type, subject, status, attempt: 1, detail })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_good_day_has_no_faults() {
        let folder = tempfile::tempdir().unwrap();
        let store = good_day(folder.path()).await;
        let audit = audit(&store, &[], &[]).await.unwrap();
        assert_eq!(audit.faults, Vec::<String>::new());
        assert_eq!((audit.total.issued, audit.total.handled, audit.total.duplicates), (1, 1, 1));
        assert_eq!(unfinished(&store).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn each_thing_that_can_go_wrong_is_noticed() {
        for (doctored, said) in [
            ("DELETE FROM message_log WHERE status = 'PROCESSED'", "is lost"),
            (
                "INSERT INTO message_log SELECT 9, at_ms, message_key, message_id, event_type, subject, status, 2, detail
                 FROM message_log WHERE status = 'PROCESSED'",
                "handled 2 times",
            ),
            ("INSERT INTO payments VALUES ('o-1', 'charge', 500)", "charged 10.00"),
            ("INSERT INTO payments VALUES ('o-1', 'refund', 500)", "paid back 5.00"),
            ("INSERT INTO tickets VALUES ('t-2', 'o-1', 'valid')", "2 tickets"),
            ("DELETE FROM tickets", "0 tickets"),
            ("UPDATE orders SET state = 'cancelled'", "paid back 0.00"),
            ("INSERT INTO emails VALUES (2, 'm-1', 'a@mail.example', 'Your receipt', 0)", "told 2 times"),
            ("DELETE FROM emails", "nobody was told"),
            ("INSERT INTO toolkit_outbox (destination, message) VALUES ('q', '{}')", "never published"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let store = good_day(folder.path()).await;
            sqlx::query(doctored).execute(&store.pool).await.unwrap();
            let faults = audit(&store, &[], &[]).await.unwrap().faults;
            assert!(faults.iter().any(|fault| fault.contains(said)), "{doctored}: {faults:?}");
        }
    }
}
