//! Events: one of many writers succeeds, snapshots change nothing but the cost, projections resume where they were.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use toolkit::event_store::{Aggregate, AppendError, EventStore, Projection, StoredEvent};
use toolkit::sql::{Database, StoreError};

use crate::databases::{postgres, sqlite};

#[derive(Serialize, Deserialize, Default, Debug, PartialEq)]
struct Sum {
    total: i64,
    events: i64,
}

impl Aggregate for Sum {
    type Event = i64;
    fn apply(&mut self, event: &i64) {
        self.total += event;
        self.events += 1;
    }
}

/// Adds all events into a table, and fails at one of them until told otherwise.
struct Total {
    fails_at: i64,
}

impl<D: Database> Projection<D> for Total {
    fn name(&self) -> &str {
        "total"
    }
    async fn apply(
        &self,
        transaction: &mut D::Connection,
        event: StoredEvent<Json>,
    ) -> Result<(), StoreError> {
        let number = event.event.as_i64().unwrap();
        D::execute(transaction, "UPDATE totals SET total = total + $1", &[number.into()]).await?;
        // After the change, before the commit.
        match number == self.fails_at {
            true => Err(StoreError::Shape("died".to_owned())),
            false => Ok(()),
        }
    }
}

async fn events_add_up<D: Database>(database: D) {
    let store = EventStore::new(&database);
    store.migrate().await.unwrap();
    // Twenty writers, each of whom adds one event to each of five streams, and tries until it succeeds.
    let writers: Vec<_> = (1..=20)
        .map(|number: i64| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut conflicts = 0;
                for stream in 0..5 {
                    let stream = format!("stream-{stream}");
                    loop {
                        let (sum, version) = store.load::<Sum>(&stream).await.unwrap();
                        assert_eq!(sum.events, version);
                        match store.append(&stream, version, &[number]).await {
                            Ok(new) => {
                                assert_eq!(new, version + 1);
                                break;
                            }
                            Err(AppendError::Conflict { .. }) => conflicts += 1,
                            Err(error) => panic!("{error}"),
                        }
                        if version == 10 {
                            store.snapshot(&stream, &sum, version).await.unwrap();
                        }
                    }
                }
                conflicts
            })
        })
        .collect();
    let mut conflicts = 0;
    for writer in writers {
        conflicts += writer.await.unwrap();
    }
    assert!(conflicts > 0, "they were in each other's way");
    for stream in 0..5 {
        let (sum, version) = store.load::<Sum>(&format!("stream-{stream}")).await.unwrap();
        assert_eq!((sum.total, version), (210, 20));
    }
    let refused =
        store.append("stream-0", 20, &[1, 2, 3]).await.and(store.append("stream-0", 20, &[4]).await);
    assert!(matches!(refused, Err(AppendError::Conflict { expected: 20, actual: 23, .. })));

    database.execute_alone("CREATE TABLE totals (total BIGINT)", &[]).await.unwrap();
    database.execute_alone("INSERT INTO totals VALUES (0)", &[]).await.unwrap();
    // It dies in the middle of a turn, again and again; what it had done of that turn is gone.
    for _ in 0..3 {
        while store.project(&Total { fails_at: 13 }, 7).await.is_ok() {}
    }
    let healthy = Total { fails_at: -1 };
    let (mut one, mut two) = (1, 1);
    while one + two > 0 {
        let turns = tokio::join!(store.project(&healthy, 7), store.project(&healthy, 7));
        (one, two) = (turns.0.unwrap(), turns.1.unwrap());
    }
    let mut transaction = database.begin().await.unwrap();
    let rows = D::query(&mut transaction, "SELECT total FROM totals", &[]).await.unwrap();
    assert_eq!(rows[0].int(0).unwrap(), 5 * 210 + 6, "each event counted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_grow_in_order_and_projections_see_each_event_once() {
    let (_folder, pool) = sqlite().await;
    events_add_up(pool).await;
    if let Some((_server, pool)) = postgres().await {
        events_add_up(pool).await;
    }
}
