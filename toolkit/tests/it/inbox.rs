//! Handlers that run once: under simultaneous duplicates, and when their process dies before, between and after.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use toolkit::consumer::{BatchOutcome, ConsumerSettings, Delivery, Outcome, gather};
use toolkit::inbox::sql::{
    AfterCommit, SqlInbox, TransactionalBatchHandler, TransactionalHandler, batches_in_transaction,
    in_transaction,
};
use toolkit::inbox::{Begin, Inbox, InboxSettings, MemoryInbox, once};
use toolkit::publisher::Outgoing;
use toolkit::sql::{Database, StoreError};
use toolkit::{Clients, Consumer, Publisher, Queue, QueueSpec};

use crate::common::{Step, drain, server};
use crate::databases::{postgres, sqlite};

const MINUTE: Duration = Duration::from_secs(60);

async fn keeps_the_contract(inbox: Arc<dyn Inbox>) {
    // Of many who ask at once, one may.
    let asks: Vec<_> = (0..20)
        .map(|_| {
            let inbox = inbox.clone();
            tokio::spawn(async move { inbox.begin("a", MINUTE).await.unwrap() })
        })
        .collect();
    let mut claims = Vec::new();
    for ask in asks {
        match ask.await.unwrap() {
            Begin::Run(claim) => claims.push(claim),
            Begin::Busy(left) => assert!(left <= MINUTE),
            Begin::Done => panic!("nobody did it"),
        }
    }
    assert_eq!(claims.len(), 1);
    // Done is done.
    assert!(inbox.renew("a", &claims[0], MINUTE).await.unwrap());
    assert!(inbox.finish("a", &claims[0], MINUTE).await.unwrap());
    assert_eq!(inbox.begin("a", MINUTE).await.unwrap(), Begin::Done);
    // What was abandoned may be tried at once.
    let Begin::Run(claim) = inbox.begin("b", MINUTE).await.unwrap() else { panic!() };
    inbox.abandon("b", &claim).await.unwrap();
    let Begin::Run(second) = inbox.begin("b", Duration::ZERO).await.unwrap() else { panic!() };
    // A lease that ended passes to the next, and the old holder is told.
    let Begin::Run(third) = inbox.begin("b", MINUTE).await.unwrap() else { panic!() };
    assert!(!inbox.finish("b", &second, MINUTE).await.unwrap());
    assert!(!inbox.renew("b", &second, MINUTE).await.unwrap());
    inbox.abandon("b", &second).await.unwrap();
    assert!(inbox.finish("b", &third, Duration::ZERO).await.unwrap());
    // What need not be kept any more is forgotten.
    assert_eq!(inbox.expire().await.unwrap(), 1);
    assert!(matches!(inbox.begin("b", MINUTE).await.unwrap(), Begin::Run(_)));
    assert_eq!(inbox.begin("a", MINUTE).await.unwrap(), Begin::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn inboxes_keep_their_contract() {
    keeps_the_contract(Arc::new(MemoryInbox::new())).await;
    let (_folder, pool) = sqlite().await;
    let inbox = SqlInbox::new(&pool, "tests");
    inbox.migrate().await.unwrap();
    keeps_the_contract(Arc::new(inbox)).await;
    if let Some((_server, pool)) = postgres().await {
        let inbox = SqlInbox::new(&pool, "tests");
        let (one, two) = tokio::join!(inbox.migrate(), inbox.migrate());
        one.and(two).unwrap();
        keeps_the_contract(Arc::new(inbox)).await;
    }
}

fn settings() -> ConsumerSettings {
    ConsumerSettings {
        wait: Duration::from_secs(1),
        visibility: Some(Duration::from_secs(1)),
        ..ConsumerSettings::default()
    }
}

/// Each of the numbers so many times, each number with one id.
async fn repeated(clients: &Clients, count: u32, times: usize) -> Queue {
    let queue = QueueSpec::new("q").dead_letters("q-dead", 1000).ensure(clients).await.unwrap();
    let publisher = Publisher::queue(clients, &queue);
    let all = (0..times)
        .flat_map(|_| (0..count).map(|number| Outgoing::new(Step { number }).id(number.to_string())));
    for result in publisher.publish_all(all).await.unwrap() {
        result.unwrap();
    }
    queue
}

#[tokio::test]
async fn duplicates_run_the_handler_once() {
    let (_server, clients) = server().await;
    let queue = repeated(&clients, 20, 5).await;
    let runs: Arc<Vec<AtomicU32>> = Arc::new((0..20).map(|_| AtomicU32::new(0)).collect());
    let handler = {
        let runs = runs.clone();
        move |delivery: Delivery<Step>| {
            runs[delivery.data().number as usize].fetch_add(1, Ordering::SeqCst);
            // Long enough for the others to find it at work.
            tokio::time::sleep(Duration::from_millis(3))
        }
    };
    let handler = once(MemoryInbox::new(), InboxSettings::default(), handler);
    let running = Consumer::<Step>::new(&clients, &queue).settings(settings());
    let running = running.start(handler).await.unwrap();
    while running.counts().deleted < 100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.shutdown().await;
    assert!(runs.iter().all(|runs| runs.load(Ordering::SeqCst) == 1));
}

/// Adds the number to an account; dies on demand at its worst moment: after the change, before the commit.
struct Add {
    begun: mpsc::UnboundedSender<u32>,
    hang: bool,
}

macro_rules! add {
    ($database:ty) => {
        impl TransactionalHandler<Step, sqlx::Pool<$database>> for Add {
            async fn handle(
                &self,
                transaction: &mut <sqlx::Pool<$database> as Database>::Connection,
                delivery: &Delivery<Step>,
            ) -> Outcome {
                let sql = "UPDATE account SET total = total + $1";
                sqlx::query(sql).bind(i64::from(delivery.data().number)).execute(transaction).await.unwrap();
                self.begun.send(delivery.data().number).unwrap();
                if self.hang {
                    std::future::pending::<()>().await;
                }
                Outcome::Done
            }
        }
    };
}
add!(sqlx::Sqlite);
add!(sqlx::Postgres);

/// A first consumer dies with its changes not committed; a second one does everything, each once.
async fn changes_happen_once<D: Database>(database: D, connect: impl Fn() -> D)
where
    Add: TransactionalHandler<Step, D>,
{
    let server = toolkit::testing::Server::in_memory().unwrap();
    let clients = server.clients().await;
    database.execute_alone("CREATE TABLE account (total BIGINT)", &[]).await.unwrap();
    database.execute_alone("INSERT INTO account VALUES (0)", &[]).await.unwrap();
    SqlInbox::new(&database, "adder").migrate().await.unwrap();
    let queue = repeated(&clients, 20, 3).await;

    let (begun, mut seen) = mpsc::unbounded_channel();
    let first = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    {
        let (own, endpoint, queue) = (connect(), server.endpoint().to_owned(), queue.clone());
        let handler = Add { begun: begun.clone(), hang: true };
        first.spawn(async move {
            let clients = Clients::local(&endpoint).await;
            let handler = in_transaction(SqlInbox::new(&own, "adder"), InboxSettings::default(), handler);
            let running =
                Consumer::<Step>::new(&clients, &queue).settings(settings()).start(handler).await.unwrap();
            std::future::pending::<()>().await;
            drop(running);
        });
    }
    seen.recv().await.unwrap();
    first.shutdown_background();

    let handler = in_transaction(
        SqlInbox::new(&database, "adder"),
        InboxSettings::default(),
        Add { begun, hang: false },
    );
    let running = Consumer::<Step>::new(&clients, &queue).settings(settings()).start(handler).await.unwrap();
    while running.counts().deleted < 60 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.shutdown().await;
    let mut transaction = database.begin().await.unwrap();
    let rows = D::query(&mut transaction, "SELECT total FROM account", &[]).await.unwrap();
    assert_eq!(rows[0].int(0).unwrap(), (0..20).sum::<i64>());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_transaction_changes_happen_once_whoever_dies() {
    let (folder, pool) = sqlite().await;
    let again = || {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("test.db"));
        sqlx::SqlitePool::connect_lazy_with(options)
    };
    changes_happen_once(pool, again).await;
    if let Some((_server, pool)) = postgres().await {
        let options = (*pool.connect_options()).clone();
        changes_happen_once(pool, move || sqlx::PgPool::connect_lazy_with(options.clone())).await;
    }
}

#[tokio::test]
async fn a_claim_left_by_a_handler_without_a_transaction_is_not_taken_for_its_work() {
    let (_folder, pool) = sqlite().await;
    let inbox = SqlInbox::new(&pool, "adder");
    inbox.migrate().await.unwrap();
    let hour = Duration::from_secs(3600);
    // A process of an older version of the program died at its work.
    for key in ["m", "n"] {
        assert!(matches!(inbox.begin(key, hour).await.unwrap(), Begin::Run(_)));
    }
    let (mut firsts, mut counts) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let mut transaction = Database::begin(&pool).await.unwrap();
        firsts.push(inbox.first_time(&mut transaction, "m", hour).await.unwrap());
        // And so where many are asked for at once.
        counts.push(inbox.first_times(&mut transaction, &["m", "n"], hour).await.unwrap().len());
        transaction.commit().await.unwrap();
    }
    assert_eq!((firsts, counts), (vec![true, false], vec![1, 0]));
}

/// An inbox beside a table of numbers that does not take them all.
async fn all_but_13<D: Database>(database: &D) -> SqlInbox<D> {
    let table = "CREATE TABLE numbers (number BIGINT PRIMARY KEY CHECK (number <> 13))";
    database.execute_alone(table, &[]).await.unwrap();
    let inbox = SqlInbox::new(database, "numbers");
    inbox.migrate().await.unwrap();
    inbox
}

/// Stores numbers in that table.
struct Store;

impl<D: Database> TransactionalBatchHandler<Step, D> for Store {
    async fn handle_batch(
        &self,
        transaction: &mut D::Connection,
        batch: &[Delivery<Step>],
        _: &mut AfterCommit,
    ) -> Result<BatchOutcome, StoreError> {
        for delivery in batch {
            let number = i64::from(delivery.data().number);
            D::execute(transaction, "INSERT INTO numbers VALUES ($1)", &[number.into()]).await?;
        }
        Ok(BatchOutcome::done())
    }
}

async fn one_bad_message_does_not_hold_up_its_batch<D: Database>(database: D) {
    let (_server, clients) = server().await;
    let inbox = all_but_13(&database).await;
    // Each of them twice.
    let queue = repeated(&clients, 20, 2).await;
    QueueSpec::new("q").dead_letters("q-dead", 2).ensure(&clients).await.unwrap();

    let handler = gather(100, batches_in_transaction(inbox, InboxSettings::default(), Store));
    let handler = handler.linger(Duration::from_millis(100));
    let at_once = toolkit::Backoff::new(Duration::ZERO, Duration::ZERO);
    let consumer = Consumer::<Step>::new(&clients, &queue);
    let breaker = toolkit::breaker::BreakerSettings { failures: 100, ..Default::default() };
    let consumer = consumer.settings(ConsumerSettings { backoff: at_once, breaker, ..settings() });
    let running = consumer.start_batches(handler).await.unwrap();
    let graveyard = clients.queue("q-dead").await.unwrap();
    let mut dead = Vec::new();
    while dead.len() < 2 {
        dead.extend(drain(&clients, &graveyard).await.iter().map(|envelope| envelope.data.number));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.shutdown().await;
    assert_eq!(dead, [13, 13]);
    let rows = database.read("SELECT number FROM numbers ORDER BY number", &[]).await.unwrap();
    let numbers: Vec<i64> = rows.iter().map(|row| row.int(0).unwrap()).collect();
    assert_eq!(numbers, (0..20).filter(|number| *number != 13).collect::<Vec<_>>());
    assert!(drain(&clients, &queue).await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_stored_does_not_hold_up_its_batch() {
    let (_folder, pool) = sqlite().await;
    one_bad_message_does_not_hold_up_its_batch(pool).await;
    if let Some((_server, pool)) = postgres().await {
        one_bad_message_does_not_hold_up_its_batch(pool).await;
    }
}

/// Stores numbers, and does not mind what the database says to 13.
struct Careless;

impl<D: Database> TransactionalHandler<Step, D> for Careless {
    async fn handle(&self, transaction: &mut D::Connection, delivery: &Delivery<Step>) -> Outcome {
        let number = i64::from(delivery.data().number);
        let _ = D::execute(transaction, "INSERT INTO numbers VALUES ($1)", &[number.into()]).await;
        if number == 13 {
            let _ = D::execute(transaction, "INSERT INTO numbers VALUES (14)", &[]).await;
        }
        Outcome::Done
    }
}

#[tokio::test]
async fn a_message_whose_transaction_postgresql_undoes_at_its_commit_is_not_done() {
    let Some((_database, pool)) = postgres().await else { return };
    let (_server, clients) = server().await;
    let inbox = all_but_13(&pool).await;
    let queue = QueueSpec::new("q").dead_letters("q-dead", 1).ensure(&clients).await.unwrap();
    Publisher::queue(&clients, &queue).publish_all([Step { number: 12 }, Step { number: 13 }]).await.unwrap();
    let handler = in_transaction(inbox, InboxSettings::default(), Careless);
    let running = Consumer::<Step>::new(&clients, &queue).settings(settings()).start(handler).await.unwrap();
    while running.counts().deleted < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let counts = running.shutdown().await;
    assert_eq!((counts.done, counts.dead_lettered), (1, 1));
    let rows = pool.read("SELECT number FROM numbers", &[]).await.unwrap();
    assert_eq!((rows.len(), rows[0].int(0).unwrap()), (1, 12));
}

/// Stores numbers and keeps their order; 2 is to come again.
struct InOrder;

impl<D: Database> TransactionalBatchHandler<Step, D> for InOrder {
    async fn handle_batch(
        &self,
        transaction: &mut D::Connection,
        batch: &[Delivery<Step>],
        _: &mut AfterCommit,
    ) -> Result<BatchOutcome, StoreError> {
        let mut outcome = BatchOutcome::done();
        for delivery in batch {
            match i64::from(delivery.data().number) {
                2 => outcome = outcome.failed(&delivery.message_id, Outcome::retry("not yet")),
                number => {
                    D::execute(transaction, "INSERT INTO numbers VALUES ($1)", &[number.into()]).await?;
                }
            }
        }
        Ok(outcome)
    }
}

#[tokio::test]
async fn what_comes_again_holds_back_its_group_also_where_its_batch_is_taken_apart() {
    let (_folder, pool) = sqlite().await;
    let (_server, clients) = server().await;
    let inbox = all_but_13(&pool).await;
    let queue = QueueSpec::new("q.fifo").dead_letters("q-dead.fifo", 1000).ensure(&clients).await.unwrap();
    // 13 has the batch taken apart; 2 stands in its first half, and 4, of the same group, in the second.
    let messages = [(1, "a"), (2, "b"), (4, "b"), (13, "c")]
        .map(|(number, group)| Outgoing::new(Step { number }).group(group));
    for result in Publisher::queue(&clients, &queue).publish_all(messages).await.unwrap() {
        result.unwrap();
    }
    let handler = batches_in_transaction(inbox, InboxSettings::default(), InOrder);
    let later = toolkit::Backoff::new(MINUTE, MINUTE);
    let running = Consumer::<Step>::new(&clients, &queue)
        .settings(ConsumerSettings { backoff: later, ..settings() })
        .start_batches(handler)
        .await
        .unwrap();
    while running.counts().retried < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(running.shutdown().await.done, 1);
    let rows = pool.read("SELECT number FROM numbers", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.int(0).unwrap()).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn handlers_have_their_inbox_forget_what_need_not_be_kept() {
    let (_folder, pool) = sqlite().await;
    let (_server, clients) = server().await;
    pool.execute_alone("CREATE TABLE numbers (number BIGINT)", &[]).await.unwrap();
    let inbox = SqlInbox::new(&pool, "numbers");
    inbox.migrate().await.unwrap();
    let mut transaction = Database::begin(&pool).await.unwrap();
    let old: Vec<String> = (0..2_500).map(|number| format!("old-{number}")).collect();
    let old: Vec<&str> = old.iter().map(String::as_str).collect();
    inbox.first_times(&mut transaction, &old, Duration::ZERO).await.unwrap();
    transaction.commit().await.unwrap();
    let queue = repeated(&clients, 1, 1).await;
    let handler = in_transaction(inbox, InboxSettings::default(), Careless);
    let running = Consumer::<Step>::new(&clients, &queue).settings(settings()).start(handler).await.unwrap();
    loop {
        let rows = pool.read("SELECT message_key FROM toolkit_inbox", &[]).await.unwrap();
        if rows.len() == 1 && rows[0].text(0).unwrap() == "0" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.shutdown().await;
}

#[tokio::test]
async fn duplicates_that_wait_for_a_slow_twin_do_not_open_the_circuit() {
    let (_server, clients) = server().await;
    let queue = repeated(&clients, 1, 9).await;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let handler = {
        let gate = gate.clone();
        move |_: Delivery<Step>| {
            let gate = gate.clone();
            async move { gate.acquire().await.unwrap().forget() }
        }
    };
    let impatient = InboxSettings { patience: Duration::ZERO, lease: MINUTE, ..InboxSettings::default() };
    let handler = once(MemoryInbox::new(), impatient, handler);
    let running = Consumer::<Step>::new(&clients, &queue).settings(settings()).start(handler).await.unwrap();
    while running.counts().retried < 8 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(running.circuit(), toolkit::breaker::Phase::Closed);
    gate.add_permits(1);
    running.shutdown().await;
}
