//! The outbox: no ghosts, no losses, order in groups; whoever dies.

use std::time::Duration;

use async_trait::async_trait;
use toolkit::outbox::{Outbox, Relay, RelaySettings};
use toolkit::publisher::{Outgoing, Prepared, PublisherSettings, QueueSink, Receipt, Sink};
use toolkit::sql::Database;
use toolkit::{Backoff, Fault, Publisher, QueueSpec};

use crate::common::{Faulty, Step, Trouble, drain, numbers, server};
use crate::databases::{postgres, sqlite};

const MILLISECOND: Duration = Duration::from_millis(1);

fn quick() -> RelaySettings {
    RelaySettings {
        batch: 7,
        linger: Duration::ZERO,
        every: Duration::from_millis(5),
        attempts: 3,
        backoff: Backoff::new(MILLISECOND, MILLISECOND),
        lease: Duration::from_millis(200),
    }
}

fn impatient() -> PublisherSettings {
    PublisherSettings {
        attempts: 1,
        backoff: Backoff::new(MILLISECOND, MILLISECOND),
        ..PublisherSettings::default()
    }
}

async fn add<D: Database>(
    outbox: &Outbox<D>,
    database: &D,
    publisher: &Publisher,
    number: u32,
    commit: bool,
) {
    let mut transaction = database.begin().await.unwrap();
    let message = Outgoing::new(Step { number }).group(format!("g{}", number % 3)).id(number.to_string());
    outbox.add(&mut transaction, publisher, message).await.unwrap();
    if commit {
        D::commit(transaction).await.unwrap();
    }
}

async fn nothing_is_lost_invented_or_overtaken<D: Database>(database: D) {
    let (_server, clients) = server().await;
    let queue = QueueSpec::new("q.fifo").ensure(&clients).await.unwrap();
    let outbox = Outbox::new(&database);
    outbox.migrate().await.unwrap();
    outbox.migrate().await.unwrap();
    let plain = Publisher::queue(&clients, &queue);
    for number in 0..60 {
        // Every fifth transaction is rolled back: a ghost, if it were published.
        add(&outbox, &database, &plain, number, number % 5 != 4).await;
    }
    let bad_connection = || {
        let whim = |request: usize, batch: &[&toolkit::publisher::Prepared]| match request % 4 {
            0 => Trouble::AnswerLost,
            1 => Trouble::Entries(vec![0], false),
            2 => Trouble::Lost,
            _ if batch.len() > 1 => Trouble::Entries(vec![1], false),
            _ => Trouble::None,
        };
        Publisher::to(Faulty::new(&clients, &queue, whim)).settings(impatient())
    };
    let settings = RelaySettings { attempts: 1000, ..quick() };
    // Relays die one after the other, each wherever it happens to be; the last one finishes.
    for life in 1..6 {
        let relay = Relay::new(&outbox).to(bad_connection()).settings(settings).start();
        let two_at_once = Relay::new(&outbox).to(bad_connection()).settings(settings).start();
        tokio::time::sleep(Duration::from_millis(7 * life)).await;
        drop((relay, two_at_once));
    }
    let last = Relay::new(&outbox).to(bad_connection()).settings(settings).start();
    while outbox.waiting().await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    last.shutdown().await;
    let arrived = numbers(&drain(&clients, &queue).await);
    for group in 0..3 {
        let of_group: Vec<u32> = arrived.iter().copied().filter(|number| number % 3 == group).collect();
        let written: Vec<u32> = (0..60).filter(|number| number % 5 != 4 && number % 3 == group).collect();
        assert_eq!(of_group, written, "the queue's deduplication makes repeats one");
    }
}

#[tokio::test]
async fn what_is_committed_is_published_in_order_and_nothing_else_is() {
    let (_folder, pool) = sqlite().await;
    nothing_is_lost_invented_or_overtaken(pool).await;
    if let Some((_server, pool)) = postgres().await {
        nothing_is_lost_invented_or_overtaken(pool).await;
    }
}

async fn all_published<D: Database>(outbox: &Outbox<D>) {
    while outbox.waiting().await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What becomes of a transaction that has written.
#[derive(Clone, Copy)]
enum Fate {
    /// Committed, and handed over.
    Handed,
    /// Committed, and handed over only after the next one.
    Late,
    /// Committed, and left to be found in the table.
    Found,
    /// Committed by another program.
    Foreign,
    /// A ghost, if it were published.
    Undone,
}

async fn handed_over_or_not_it_is_published_in_order<D: Database>(database: D) {
    let (_server, clients) = server().await;
    let queue = QueueSpec::new("q.fifo").ensure(&clients).await.unwrap();
    let (outbox, foreign) = (Outbox::new(&database), Outbox::new(&database));
    outbox.migrate().await.unwrap();
    let plain = Publisher::queue(&clients, &queue);
    let fates =
        [Fate::Handed, Fate::Late, Fate::Handed, Fate::Found, Fate::Handed, Fate::Foreign, Fate::Undone];
    let (mut relay, mut late, mut committed) = (None, Vec::new(), Vec::new());
    for number in 0..300_u32 {
        if number % 70 == 0 {
            // The one before dies, wherever it happens to be.
            drop(relay.replace(Relay::new(&outbox).to(plain.clone()).settings(quick()).start()));
        }
        let fate = fates[number as usize * 3 % fates.len()];
        let writer = if matches!(fate, Fate::Foreign) { &foreign } else { &outbox };
        let step = |number: u32| {
            Outgoing::new(Step { number }).group(format!("g{}", number % 3)).id(number.to_string())
        };
        let mut transaction = database.begin().await.unwrap();
        let mut written = writer.add(&mut transaction, &plain, step(2 * number)).await.unwrap();
        written.and(writer.add(&mut transaction, &plain, step(2 * number + 1)).await.unwrap());
        if matches!(fate, Fate::Undone) {
            continue;
        }
        D::commit(transaction).await.unwrap();
        committed.extend([2 * number, 2 * number + 1]);
        match fate {
            Fate::Handed => {
                outbox.committed(written);
                late.drain(..).for_each(|one| outbox.committed(one));
            }
            Fate::Late => late.push(written),
            _ => {}
        }
        if number % 20 == 0 {
            tokio::time::sleep(MILLISECOND).await;
        }
    }
    all_published(&outbox).await;
    let arrived = numbers(&drain(&clients, &queue).await);
    for group in 0..3 {
        let of_group = |numbers: &[u32]| -> Vec<u32> {
            numbers.iter().copied().filter(|number| number % 3 == group).collect()
        };
        assert_eq!(of_group(&arrived), of_group(&committed), "the queue's deduplication makes repeats one");
    }
}

#[tokio::test]
async fn what_is_handed_over_and_what_is_found_keep_their_order() {
    let (_folder, pool) = sqlite().await;
    handed_over_or_not_it_is_published_in_order(pool).await;
    if let Some((_server, pool)) = postgres().await {
        handed_over_or_not_it_is_published_in_order(pool).await;
    }
}

#[tokio::test]
async fn what_is_handed_over_does_not_wait_for_a_look_into_the_table() {
    let (_folder, pool) = sqlite().await;
    let (_server, clients) = server().await;
    let queue = QueueSpec::new("q.fifo").ensure(&clients).await.unwrap();
    let outbox = Outbox::new(&pool);
    outbox.migrate().await.unwrap();
    let plain = Publisher::queue(&clients, &queue);
    let hour = Duration::from_secs(3600);
    let settings = RelaySettings { every: hour, lease: 4 * hour, ..quick() };
    let relay = Relay::new(&outbox).to(plain.clone()).settings(settings).start();
    for number in 0..3 {
        let mut transaction = pool.begin().await.unwrap();
        let message = Outgoing::new(Step { number }).group("g");
        let written = outbox.add(&mut transaction, &plain, message).await.unwrap();
        transaction.commit().await.unwrap();
        match number {
            2 => outbox.wake(),
            _ => outbox.committed(written),
        }
        all_published(&outbox).await;
    }
    relay.shutdown().await;
    assert_eq!(numbers(&drain(&clients, &queue).await), [0, 1, 2]);
}

#[tokio::test]
async fn what_becomes_visible_after_younger_messages_is_published_too() {
    let Some((_database, pool)) = postgres().await else { return };
    let (_server, clients) = server().await;
    let queue = QueueSpec::new("q.fifo").ensure(&clients).await.unwrap();
    let outbox = Outbox::new(&pool);
    outbox.migrate().await.unwrap();
    let plain = Publisher::queue(&clients, &queue);
    let relay = Relay::new(&outbox).to(plain.clone()).settings(quick()).start();
    let step = |number: u32| Outgoing::new(Step { number }).group("g");
    let mut slow = pool.begin().await.unwrap();
    let early = outbox.add(&mut slow, &plain, step(0)).await.unwrap();
    let mut quick = pool.begin().await.unwrap();
    let written = outbox.add(&mut quick, &plain, step(1)).await.unwrap();
    quick.commit().await.unwrap();
    outbox.committed(written);
    all_published(&outbox).await;
    slow.commit().await.unwrap();
    outbox.committed(early);
    all_published(&outbox).await;
    relay.shutdown().await;
    assert_eq!(numbers(&drain(&clients, &queue).await), [1, 0]);
}

async fn dead_letters_can_be_replayed<D: Database>(database: D) {
    let (_server, clients) = server().await;
    let queue = QueueSpec::new("q.fifo").ensure(&clients).await.unwrap();
    let outbox = Outbox::new(&database);
    outbox.migrate().await.unwrap();
    let plain = Publisher::queue(&clients, &queue);
    for number in 0..6 {
        add(&outbox, &database, &plain, number, true).await;
    }
    let whim = |_: usize, batch: &[&toolkit::publisher::Prepared]| {
        let bad = batch.iter().position(|message| message.id == "3");
        bad.map_or(Trouble::None, |bad| Trouble::Entries(vec![bad], true))
    };
    let refusing = Publisher::to(Faulty::new(&clients, &queue, whim)).settings(impatient());
    let relay = Relay::new(&outbox).to(refusing).settings(quick()).start();
    while outbox.waiting().await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    relay.shutdown().await;
    let mut arrived = numbers(&drain(&clients, &queue).await);
    arrived.sort_unstable();
    assert_eq!(arrived, [0, 1, 2, 4, 5]);
    let dead = outbox.dead(10).await.unwrap();
    assert_eq!((dead.len(), dead[0].message.id.as_str(), dead[0].attempts), (1, "3", 3));
    assert!(dead[0].last_error.contains("InvalidMessageContents"), "{}", dead[0].last_error);

    assert!(outbox.replay(dead[0].id).await.unwrap());
    assert!(!outbox.replay(dead[0].id).await.unwrap());
    let relay = Relay::new(&outbox).to(plain).settings(quick()).start();
    while outbox.waiting().await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    relay.shutdown().await;
    assert_eq!(numbers(&drain(&clients, &queue).await), [3]);
    assert!(outbox.dead(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_refused_too_often_can_be_looked_at_and_replayed() {
    let (_folder, pool) = sqlite().await;
    dead_letters_can_be_replayed(pool).await;
    if let Some((_server, pool)) = postgres().await {
        dead_letters_can_be_replayed(pool).await;
    }
}

/// A queue that takes less than it did when its messages were written.
struct Narrow(QueueSink);

#[async_trait]
impl Sink for Narrow {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn is_fifo(&self) -> bool {
        self.0.is_fifo()
    }
    fn max_bytes(&self) -> usize {
        2_000
    }
    async fn send(&self, batch: &[&Prepared]) -> Result<Vec<Result<Receipt, Fault>>, Fault> {
        self.0.send(batch).await
    }
}

async fn nothing_overtakes_what_cannot_be_sent<D: Database>(database: D) {
    let (_server, clients) = server().await;
    let queue = QueueSpec::new("q.fifo").ensure(&clients).await.unwrap();
    let outbox = Outbox::new(&database);
    outbox.migrate().await.unwrap();
    let plain = Publisher::queue(&clients, &queue);
    // More of one group than a relay reads at a time, all behind one that is too large; and one of another group.
    for number in (0..30).step_by(3).chain([1]) {
        let mut message =
            plain.prepare(Outgoing::new(Step { number }).group(format!("g{}", number % 3))).await.unwrap();
        message.body.extend(std::iter::repeat_n(' ', if number == 0 { 3_000 } else { 0 }));
        let mut transaction = database.begin().await.unwrap();
        outbox.add_prepared(&mut transaction, plain.destination(), message).await.unwrap();
        D::commit(transaction).await.unwrap();
    }
    let hour = Duration::from_secs(3600);
    let settings = RelaySettings { backoff: Backoff::new(hour, hour), ..quick() };
    let narrow = Publisher::to(Narrow(QueueSink { sqs: clients.sqs.clone(), url: queue.url.clone() }));
    let relay = Relay::new(&outbox).to(narrow).settings(settings).start();
    let mut arrived = Vec::new();
    // Those of the other group pass, also after the first round.
    for number in [1, 4] {
        while arrived.last() != Some(&number) {
            arrived.extend(numbers(&drain(&clients, &queue).await));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        add(&outbox, &database, &plain, number + 3, true).await;
    }
    relay.shutdown().await;
    assert!(arrived.starts_with(&[1, 4]) && arrived.iter().all(|number| number % 3 == 1), "{arrived:?}");
    assert!(outbox.waiting().await.unwrap() >= 10);
}

#[tokio::test]
async fn what_cannot_be_sent_holds_back_its_group_and_nobody_else() {
    let (_folder, pool) = sqlite().await;
    nothing_overtakes_what_cannot_be_sent(pool).await;
    if let Some((_server, pool)) = postgres().await {
        nothing_overtakes_what_cannot_be_sent(pool).await;
    }
}

async fn a_row_that_is_no_message<D: Database>(database: D) {
    let (_server, clients) = server().await;
    let queue = QueueSpec::new("q.fifo").ensure(&clients).await.unwrap();
    let outbox = Outbox::new(&database);
    outbox.migrate().await.unwrap();
    let publisher = Publisher::queue(&clients, &queue);
    // More than the relay keeps in memory at a time, so that some are read later.
    for number in 0..400 {
        if number == 1 || number == 390 {
            let sql =
                "INSERT INTO toolkit_outbox (destination, message) VALUES ('q.fifo', 'by another program')";
            database.execute_alone(sql, &[]).await.unwrap();
        }
        add(&outbox, &database, &publisher, number, true).await;
    }
    let relay = Relay::new(&outbox).to(publisher).settings(quick()).start();
    all_published(&outbox).await;
    relay.shutdown().await;
    let arrived = numbers(&drain(&clients, &queue).await);
    assert_eq!(arrived.len(), 400);
    let dead = outbox.dead(10).await.unwrap();
    assert_eq!(dead.len(), 2);
    for one in dead {
        assert!(one.last_error.contains("cannot be read"), "{}", one.last_error);
        assert_eq!((one.destination.as_str(), one.message.body.as_str()), ("q.fifo", "by another program"));
    }
}

#[tokio::test]
async fn a_row_that_is_no_message_does_not_stop_the_others() {
    let (_folder, pool) = sqlite().await;
    a_row_that_is_no_message(pool).await;
    if let Some((_server, pool)) = postgres().await {
        a_row_that_is_no_message(pool).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_write_to_sqlite_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // Without the disk's part in it: this is about turns.
    let options = toolkit::sql::sqlite_options(folder.path().join("shop.db"));
    let options = options.synchronous(sqlx::sqlite::SqliteSynchronous::Normal);
    let pool = sqlx::sqlite::SqlitePoolOptions::new().acquire_timeout(Duration::from_secs(600));
    let pool = pool.connect_with(options).await.unwrap();
    sqlx::query("CREATE TABLE orders (number BIGINT)").execute(&pool).await.unwrap();
    let outbox = Outbox::new(&pool);
    outbox.migrate().await.unwrap();
    let (_server, clients) = server().await;
    let queue = QueueSpec::new("q").ensure(&clients).await.unwrap();
    let publisher = Publisher::queue(&clients, &queue);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..400 {
        let (outbox, publisher) = (outbox.clone(), publisher.clone());
        requests.spawn(async move {
            let mut transaction = outbox.begin().await.unwrap();
            // It decides from what it reads, as business does; so it cannot give up its place in between.
            let count: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM orders").fetch_one(&mut *transaction).await.unwrap();
            let insert = sqlx::query("INSERT INTO orders VALUES ($1)").bind(count);
            insert.execute(&mut *transaction).await.unwrap();
            let step = Step { number: u32::try_from(count).unwrap() };
            outbox.add(&mut transaction, &publisher, step).await.unwrap();
            transaction.commit().await.unwrap();
        });
    }
    while let Some(request) = requests.join_next().await {
        request.unwrap();
    }
    assert_eq!(outbox.waiting().await.unwrap(), 400);
    let different: i64 =
        sqlx::query_scalar("SELECT COUNT(DISTINCT number) FROM orders").fetch_one(&pool).await.unwrap();
    assert_eq!(different, 400);
}

#[tokio::test]
async fn a_sqlite_database_is_put_into_wal_mode() {
    let folder = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("shop.db"));
    let pool = sqlx::SqlitePool::connect_with(options.create_if_missing(true)).await.unwrap();
    Outbox::new(&pool).migrate().await.unwrap();
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&pool).await.unwrap();
    assert_eq!(mode, "wal");
}
