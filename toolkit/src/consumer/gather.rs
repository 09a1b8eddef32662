//! Larger batches than a receive: the messages that arrive while one batch is handled form the next one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, Notify, oneshot};
use tokio::time::Instant;

use crate::consumer::delivery::{BatchHandler, BatchOutcome, Delivery, Outcome};

/// Passes the messages of several receives to `handler` together, up to `most` at a time, one batch at a
/// time. Messages do not wait for a batch to fill, unless [requested](Gather::linger): a batch is what
/// arrived while the previous one was handled. If a batch has a high fixed cost (such as a transaction), the
/// throughput grows with the load.
///
/// Configure the consumer with as many workers as receives may wait: `most / 10` or more.
///
/// (FIFO queues keep their order: the messages of a group are in one receive at a time.)
pub fn gather<T, H>(most: usize, handler: H) -> Gather<T, H> {
    Gather {
        most: most.max(1),
        linger: Duration::ZERO,
        handler,
        waiting: Mutex::default(),
        full: Notify::new(),
        turn: Turn::new(()),
    }
}

/// A handler of larger batches: see [`gather`].
pub struct Gather<T, H> {
    most: usize,
    linger: Duration,
    handler: H,
    waiting: Mutex<Vec<Waiting<T>>>,
    /// There are enough messages for a full batch.
    full: Notify,
    turn: Turn<()>,
}

struct Waiting<T> {
    since: Instant,
    batch: Vec<Delivery<T>>,
    answer: oneshot::Sender<BatchOutcome>,
}

impl<T: Send + 'static, H: BatchHandler<T>> BatchHandler<T> for Gather<T, H> {
    async fn handle_batch(&self, batch: Vec<Delivery<T>>) -> BatchOutcome {
        let ids: Arc<[String]> = batch.iter().map(|delivery| delivery.message_id.clone()).collect();
        let (answer, mut answered) = oneshot::channel();
        let since = Instant::now();
        let count = {
            let mut waiting = self.waiting();
            waiting.push(Waiting { since, batch, answer });
            messages(&waiting)
        };
        if count >= self.most {
            self.full.notify_one();
        }
        loop {
            // The caller with the turn works for all waiting callers, so this call's messages may be done
            // already.
            let turn = tokio::select! {
                biased;
                outcome = &mut answered => return outcome.unwrap_or_else(|_| broken_off(&ids)),
                turn = self.turn.lock() => turn,
            };
            if let Ok(outcome) = answered.try_recv() {
                return outcome;
            }
            self.work().await;
            drop(turn);
        }
    }
}

impl<T, H> Gather<T, H> {
    /// Lets a batch that is not full wait this long. With a steady flow of messages this makes fewer and
    /// larger batches, and adds this much delay.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Gather<T, H> {
        self.linger = linger;
        self
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when a batch is full, or has waited long enough.
    async fn company(&self) {
        loop {
            let until = {
                let waiting = self.waiting();
                match waiting.first() {
                    Some(first) if messages(&waiting) < self.most => first.since + self.linger,
                    _ => return,
                }
            };
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                // The notification may have been for an earlier batch.
                () = self.full.notified() => {}
            }
        }
    }
}

fn messages<T>(waiting: &[Waiting<T>]) -> usize {
    waiting.iter().map(|one| one.batch.len()).sum()
}

impl<T: Send + 'static, H: BatchHandler<T>> Gather<T, H> {
    async fn work(&self) {
        if !self.linger.is_zero() {
            self.company().await;
        }
        let taken = {
            let mut waiting = self.waiting();
            let mut messages = 0;
            let fits = waiting.iter().take_while(|one| {
                let first = messages == 0;
                messages += one.batch.len();
                first || messages <= self.most
            });
            let fits = fits.count();
            waiting.drain(..fits).collect::<Vec<_>>()
        };
        let (mut batch, mut answers) = (Vec::new(), Vec::new());
        for one in taken {
            let ids: Vec<String> = one.batch.iter().map(|delivery| delivery.message_id.clone()).collect();
            answers.push((ids, one.answer));
            batch.extend(one.batch);
        }
        if batch.is_empty() {
            return;
        }
        let mut failures = self.handler.handle_batch(batch).await.failures;
        for (ids, answer) in answers {
            let (ours, others) = failures.into_iter().partition(|(id, _)| ids.contains(id));
            failures = others;
            // A caller that was cancelled does not wait any more; its messages come again.
            let _ = answer.send(BatchOutcome { failures: ours });
        }
    }
}

/// The caller that handled these messages was cancelled or panicked.
fn broken_off(ids: &[String]) -> BatchOutcome {
    let again = ids.iter().map(|id| (id.clone(), Outcome::retry("the batch was broken off")));
    BatchOutcome { failures: again.collect() }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use tokio::sync::{Semaphore, mpsc};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::consumer::raw::{Raw, RawBatch};
    use crate::envelope::Envelope;
    use crate::message::Message;

    #[derive(serde::Serialize, Deserialize, Debug)]
    struct Step {}

    impl Message for Step {
        const TYPES: &'static [&'static str] = &["step"];
    }

    /// A receive with messages of these ids.
    fn receive(ids: &[&str]) -> Vec<Delivery<Step>> {
        let message = |id: &&str| serde_json::json!({ "MessageId": id, "ReceiptHandle": "r", "Body": "" });
        let messages: Vec<_> = ids.iter().map(message).collect();
        let answer = serde_json::json!({ "Messages": messages }).to_string();
        let batch = Arc::new(RawBatch::read(answer.as_bytes()).unwrap());
        let delivery = |index| {
            let raw = Raw::of(&batch, index);
            Delivery {
                envelope: Envelope::new("tests", Step {}),
                message_id: raw.message_id().to_owned(),
                receive_count: 1,
                sent_at: raw.sent_at(),
                group: None,
                raw,
                wrapped_attributes: None,
            }
        };
        (0..ids.len()).map(delivery).collect()
    }

    /// A gatherer whose handler reports each batch, waits for permission, and fails the messages whose ids
    /// begin with `bad`. It panics if the batch contains `panic`.
    struct Fixture {
        gather: Arc<dyn Fn(Vec<Delivery<Step>>) -> JoinHandle<BatchOutcome>>,
        batches: mpsc::UnboundedReceiver<Vec<String>>,
        leave: Arc<Semaphore>,
    }

    impl Fixture {
        fn new(most: usize) -> Fixture {
            let (told, batches) = mpsc::unbounded_channel();
            let leave = Arc::new(Semaphore::new(0));
            let handler = {
                let leave = leave.clone();
                move |batch: Vec<Delivery<Step>>| {
                    let (told, leave) = (told.clone(), leave.clone());
                    async move {
                        let ids: Vec<String> =
                            batch.into_iter().map(|delivery| delivery.message_id).collect();
                        told.send(ids.clone()).unwrap();
                        leave.acquire().await.unwrap().forget();
                        assert!(!ids.contains(&"panic".to_owned()), "as it was told");
                        let bad = ids.into_iter().filter(|id| id.starts_with("bad"));
                        BatchOutcome { failures: bad.map(|id| (id, Outcome::give_up("bad"))).collect() }
                    }
                }
            };
            let gather = Arc::new(super::gather(most, handler));
            let begin = move |batch| {
                let gather = gather.clone();
                tokio::spawn(async move { gather.handle_batch(batch).await })
            };
            Fixture { gather: Arc::new(begin), batches, leave }
        }

        /// Starts a receive, and runs it as far as possible without others: the tests have one thread.
        async fn begin(&self, ids: &[&str]) -> JoinHandle<BatchOutcome> {
            let task = (self.gather)(receive(ids));
            tokio::task::yield_now().await;
            task
        }
    }

    fn failed(ids: &[&str]) -> BatchOutcome {
        ids.iter().fold(BatchOutcome::done(), |outcome, id| outcome.failed(*id, Outcome::give_up("bad")))
    }

    #[tokio::test]
    async fn what_comes_while_a_batch_is_handled_is_the_next_one_up_to_its_size() {
        let mut fixture = Fixture::new(5);
        let mut tasks = vec![fixture.begin(&["a", "b", "bad-c"]).await];
        for ids in [["d", "bad-e"], ["f", "g"], ["h", "i"], ["bad-j", "k"]] {
            tasks.push(fixture.begin(&ids).await);
        }
        fixture.leave.add_permits(3);
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        // Each caller gets only its own failures.
        let none: &[&str] = &[];
        assert_eq!(outcomes, [&["bad-c"], &["bad-e"], none, none, &["bad-j"]].map(failed));
        let expected = [&["a", "b", "bad-c"][..], &["d", "bad-e", "f", "g"], &["h", "i", "bad-j", "k"]];
        for batch in expected {
            assert_eq!(fixture.batches.try_recv().unwrap(), batch);
        }
        assert!(fixture.batches.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_receive_larger_than_a_batch_goes_whole() {
        let mut fixture = Fixture::new(1);
        fixture.leave.add_permits(1);
        assert_eq!(fixture.begin(&["a", "bad-b"]).await.await.unwrap(), failed(&["bad-b"]));
        assert_eq!(fixture.batches.recv().await.unwrap(), ["a", "bad-b"]);
    }

    #[tokio::test]
    async fn when_the_one_at_work_is_broken_off_or_panics_its_company_comes_again_and_the_rest_go_on() {
        for panics in [false, true] {
            let mut fixture = Fixture::new(2);
            let first = fixture.begin(&["a"]).await;
            let at_work = fixture.begin(&[if panics { "panic" } else { "b" }]).await;
            let company = fixture.begin(&["c"]).await;
            let rest = fixture.begin(&["d"]).await;
            fixture.leave.add_permits(1);
            assert_eq!(first.await.unwrap(), BatchOutcome::done());
            assert_eq!(fixture.batches.recv().await.unwrap(), ["a"]);
            assert_eq!(fixture.batches.recv().await.unwrap().len(), 2);
            if panics {
                fixture.leave.add_permits(1);
            } else {
                at_work.abort();
            }
            assert!(at_work.await.is_err());
            let again = BatchOutcome::done().failed("c", Outcome::retry("the batch was broken off"));
            assert_eq!(company.await.unwrap(), again);
            fixture.leave.add_permits(1);
            assert_eq!(rest.await.unwrap(), BatchOutcome::done());
            assert_eq!(fixture.batches.recv().await.unwrap(), ["d"]);
        }
    }

    #[tokio::test]
    async fn one_who_stops_waiting_leaves_its_messages_out_of_the_outcome_of_others() {
        let mut fixture = Fixture::new(10);
        let first = fixture.begin(&["a"]).await;
        let gone = fixture.begin(&["bad-b"]).await;
        let other = fixture.begin(&["bad-c"]).await;
        gone.abort();
        assert!(gone.await.is_err());
        fixture.leave.add_permits(2);
        assert_eq!(first.await.unwrap(), BatchOutcome::done());
        assert_eq!(other.await.unwrap(), failed(&["bad-c"]));
        assert_eq!(fixture.batches.recv().await.unwrap(), ["a"]);
        // It may be handled anyway: at least once.
        assert_eq!(fixture.batches.recv().await.unwrap(), ["bad-b", "bad-c"]);
    }

    /// Batches with the time at which they were handled.
    type Seen = Arc<Mutex<Vec<(Duration, Vec<String>)>>>;

    fn recorder(begun: Instant) -> (Seen, impl BatchHandler<Step>) {
        let seen = Seen::default();
        let by_handler = seen.clone();
        let handler = move |batch: Vec<Delivery<Step>>| {
            let ids = batch.into_iter().map(|one| one.message_id).collect();
            by_handler.lock().unwrap().push((begun.elapsed(), ids));
            async { BatchOutcome::done().failed("b", Outcome::retry("no")) }
        };
        (seen, handler)
    }

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn what_lingers_is_handled_together_and_each_hears_of_its_own() {
        let (seen, handler) = recorder(Instant::now());
        let gather = gather(10, handler).linger(50 * MILLISECOND);
        let later = async {
            tokio::time::sleep(30 * MILLISECOND).await;
            gather.handle_batch(receive(&["b", "c"])).await
        };
        let (first, second) = tokio::join!(gather.handle_batch(receive(&["a"])), later);
        assert_eq!((first.failures.len(), second.failures[0].0.as_str()), (0, "b"));
        let (at, ids) = seen.lock().unwrap().remove(0);
        assert!(at >= 50 * MILLISECOND && at < 60 * MILLISECOND, "{at:?}");
        assert_eq!((ids, seen.lock().unwrap().len()), (vec!["a".to_owned(), "b".into(), "c".into()], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_full_does_not_linger() {
        let (seen, handler) = recorder(Instant::now());
        let gather = gather(2, handler).linger(3_600_000 * MILLISECOND);
        let later = async {
            tokio::time::sleep(30 * MILLISECOND).await;
            gather.handle_batch(receive(&["b"])).await
        };
        tokio::join!(gather.handle_batch(receive(&["a"])), later);
        let (at, ids) = seen.lock().unwrap().remove(0);
        assert!(at < 60 * MILLISECOND && ids.len() == 2, "{at:?} {ids:?}");
    }
}
