//! Sagas: done or undone, in the right order, wherever their process dies.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use toolkit::Backoff;
use toolkit::saga::{SagaSettings, SagaStatus, SagaStep, Sagas, StepContext, StepError};
use toolkit::sql::Database;

use crate::databases::{postgres, sqlite};

/// What the outside world saw, and where it pulls the plug.
#[derive(Default)]
struct World {
    seen: Mutex<Vec<String>>,
    done: Mutex<HashSet<String>>,
    /// After so many happenings the process hangs until it is killed.
    dies_after: Mutex<Option<usize>>,
    hangs: Notify,
}

struct Step {
    name: &'static str,
    refuses: bool,
    world: Arc<World>,
}

impl Step {
    async fn happen(&self, what: &str) {
        let happened = {
            let mut seen = self.world.seen.lock().unwrap();
            seen.push(format!("{what} {}", self.name));
            seen.len()
        };
        if *self.world.dies_after.lock().unwrap() == Some(happened) {
            self.world.hangs.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl SagaStep<Vec<String>> for Step {
    fn name(&self) -> &str {
        self.name
    }

    async fn act(&self, context: &StepContext<'_>, data: &mut Vec<String>) -> Result<(), StepError> {
        if self.refuses {
            self.happen("refuse").await;
            return Err(StepError::Fail("no".to_owned()));
        }
        // By its key, a repetition is known as one.
        self.world.done.lock().unwrap().insert(context.key.to_owned());
        self.happen("do").await;
        data.push(self.name.to_owned());
        Ok(())
    }

    async fn undo(&self, context: &StepContext<'_>, data: &mut Vec<String>) -> Result<(), StepError> {
        self.world.done.lock().unwrap().remove(context.key);
        self.happen("undo").await;
        data.retain(|name| name != self.name);
        match context.failures {
            0 if self.name == "b" => Err(StepError::Retry("not yet".to_owned())),
            _ => Ok(()),
        }
    }
}

fn sagas<D: Database>(database: &D, world: &Arc<World>, refuses: bool) -> Sagas<D, Vec<String>> {
    let step = |name, refuses| Step { name, refuses, world: world.clone() };
    let millisecond = Duration::from_millis(1);
    // A process that dies is taken for dead after 100 ms.
    let settings = SagaSettings {
        attempts: 3,
        backoff: Backoff::new(millisecond, millisecond),
        lease: 100 * millisecond,
    };
    Sagas::new(database, "orders")
        .settings(settings)
        .step(step("a", false))
        .step(step("b", false))
        .step(step("c", refuses))
}

/// Runs one saga whose process dies after the `dies_after`-th happening, and lets others resume it.
async fn ends_well<D: Database>(database: &D, id: &str, refuses: bool, dies_after: usize) -> bool {
    let world = Arc::new(World { dies_after: Mutex::new(Some(dies_after)), ..World::default() });
    let first = sagas(database, &world, refuses);
    assert!(first.begin(id, &Vec::new()).await.unwrap());
    assert!(!first.begin(id, &Vec::new()).await.unwrap());
    let died = tokio::select! {
        end = first.run(id) => { end.unwrap(); false }
        // It is killed, by being dropped where it stands.
        () = world.hangs.notified() => true,
    };
    drop(first);
    *world.dies_after.lock().unwrap() = None;
    let second = sagas(database, &world, refuses);
    while second.resume(10).await.unwrap() == 0 && died {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let state = second.state(id).await.unwrap().unwrap();
    let seen = world.seen.lock().unwrap().join(", ");
    let done = world.done.lock().unwrap().len();
    if refuses {
        assert_eq!((state.status, done), (SagaStatus::Undone, 0), "{seen}");
        assert_eq!((state.data.len(), state.done.len()), (0, 0), "{seen}");
        assert_eq!(state.last_error.as_deref(), Some("c: no"));
        // Last first: nothing of an earlier step is undone before the later one is.
        let undone: Vec<&str> = seen.split(", ").filter_map(|what| what.strip_prefix("undo ")).collect();
        assert!(undone.iter().rev().is_sorted(), "{seen}");
        assert_eq!(undone.iter().collect::<HashSet<_>>().len(), 3, "{seen}");
    } else {
        assert_eq!((state.status, done), (SagaStatus::Done, 3), "{seen}");
        assert_eq!(state.done, ["a", "b", "c"]);
        assert!(!seen.contains("undo"), "{seen}");
    }
    died
}

async fn every_death_ends_well<D: Database>(database: D) {
    let nobody = Arc::new(World::default());
    sagas(&database, &nobody, false).migrate().await.unwrap();
    for refuses in [false, true] {
        let mut deaths = 0;
        // do a, do b, (do or refuse) c, undo c, undo b twice, undo a; beyond the last, nobody dies.
        for dies_after in 1..=8 {
            deaths += u32::from(
                ends_well(&database, &format!("s-{refuses}-{dies_after}"), refuses, dies_after).await,
            );
        }
        assert_eq!(deaths, if refuses { 7 } else { 3 });
    }
}

#[tokio::test]
async fn a_saga_is_done_or_undone_wherever_its_process_dies() {
    let (_folder, pool) = sqlite().await;
    every_death_ends_well(pool).await;
    if let Some((_server, pool)) = postgres().await {
        every_death_ends_well(pool).await;
    }
}

#[tokio::test]
async fn a_saga_is_run_by_one_at_a_time() {
    let (_folder, pool) = sqlite().await;
    let world = Arc::new(World::default());
    let sagas = sagas(&pool, &world, false);
    sagas.migrate().await.unwrap();
    sagas.begin("s", &Vec::new()).await.unwrap();
    let (one, two, three) = tokio::join!(sagas.run("s"), sagas.run("s"), sagas.run("s"));
    let ended = [one, two, three].into_iter().filter(|end| end.as_ref().unwrap().is_some()).count();
    assert!(ended >= 1);
    assert_eq!(*world.seen.lock().unwrap(), ["do a", "do b", "do c"]);
}

/// Does what its saga's data say.
struct Moody;

#[async_trait]
impl SagaStep<String> for Moody {
    fn name(&self) -> &str {
        "moody"
    }

    async fn act(&self, context: &StepContext<'_>, mood: &mut String) -> Result<(), StepError> {
        match mood.as_str() {
            "stubborn" => Err(StepError::Fail("no".to_owned())),
            "nervous" if context.failures == 0 => {
                mood.clear();
                panic!("as it was told");
            }
            _ => Ok(()),
        }
    }

    async fn undo(&self, _: &StepContext<'_>, _: &mut String) -> Result<(), StepError> {
        Err(StepError::Retry("not today".to_owned()))
    }
}

#[tokio::test]
async fn one_saga_that_cannot_go_on_holds_up_no_other() {
    let (_folder, pool) = sqlite().await;
    let millisecond = Duration::from_millis(1);
    let settings = SagaSettings {
        attempts: 3,
        backoff: Backoff::new(millisecond, 100 * millisecond),
        ..SagaSettings::default()
    };
    let sagas = Sagas::new(&pool, "moods").settings(settings).step(Moody);
    sagas.migrate().await.unwrap();
    // In the order in which they are resumed.
    for (id, mood) in [("1", "stubborn"), ("2", "of another program"), ("3", "nervous"), ("4", "calm")] {
        sagas.begin(id, &mood.to_owned()).await.unwrap();
    }
    sqlx::query("UPDATE toolkit_sagas SET data = '17' WHERE id = '2'").execute(&pool).await.unwrap();

    let resumed = tokio::time::timeout(Duration::from_secs(60), sagas.resume(10)).await;
    let foreign = resumed.expect("an undo that fails must not keep the others waiting").unwrap_err();
    assert!(foreign.to_string().contains("cannot be read"), "{foreign}");
    let state = async |id| sagas.state(id).await.unwrap().unwrap();
    assert_eq!(state("1").await.status, SagaStatus::Undoing);
    for (id, mood) in [("3", "nervous"), ("4", "calm")] {
        // What the panic had begun to change is as it was.
        assert_eq!((state(id).await.status, state(id).await.data), (SagaStatus::Done, mood.to_owned()));
    }
    // It rests, and is then taken up again.
    assert_eq!(sagas.resume(10).await.unwrap(), 0);
    tokio::time::sleep(200 * millisecond).await;
    let works = Sagas::new(&pool, "moods").settings(settings).step(Undoable);
    assert_eq!(works.resume(1).await.unwrap(), 1);
    assert_eq!(state("1").await.status, SagaStatus::Undone);

    // Those that have ended are forgotten when they are old enough; 2 has not.
    assert_eq!(sagas.forget(Duration::from_secs(3_600)).await.unwrap(), 0);
    assert_eq!(sagas.forget(Duration::ZERO).await.unwrap(), 3);
    let left: Vec<String> =
        sqlx::query_scalar("SELECT id FROM toolkit_sagas").fetch_all(&pool).await.unwrap();
    assert_eq!(left, ["2"]);
}

/// [`Moody`], mended.
struct Undoable;

#[async_trait]
impl SagaStep<String> for Undoable {
    fn name(&self) -> &str {
        "moody"
    }
    async fn act(&self, _: &StepContext<'_>, _: &mut String) -> Result<(), StepError> {
        Ok(())
    }
    async fn undo(&self, _: &StepContext<'_>, _: &mut String) -> Result<(), StepError> {
        Ok(())
    }
}
