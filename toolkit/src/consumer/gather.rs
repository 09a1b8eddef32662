//! Larger batches than a receive brings: the messages that wait while one batch is handled are the next one.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Turn, oneshot};

use crate::consumer::delivery::{BatchHandler, BatchOutcome, Delivery, Outcome};

/// Hands what several receives brought to `handler` together, up to `most` messages at a time, one batch at a time. Nobody waits
/// for company: a batch is what has come while the one before it was handled. Where a batch costs much and a message in it little (a
/// transaction), throughput grows with the load.
///
/// Give the consumer as many workers as receives may wait: `most / 10` or more.
///
/// (On FIFO queues order holds: the messages of a group are in one receive at a time.)
pub fn gather<T, H>(most: usize, handler: H) -> Gather<T, H> {
    Gather { most: most.max(1), handler, waiting: Mutex::default(), turn: Turn::new(()) }
}

/// A handler of larger batches: see [`gather`].
pub struct Gather<T, H> {
    most: usize,
    handler: H,
    waiting: Mutex<Vec<Waiting<T>>>,
    turn: Turn<()>,
}

struct Waiting<T> {
    batch: Vec<Delivery<T>>,
    answer: oneshot::Sender<BatchOutcome>,
}

impl<T: Send + 'static, H: BatchHandler<T>> BatchHandler<T> for Gather<T, H> {
    async fn handle_batch(&self, batch: Vec<Delivery<T>>) -> BatchOutcome {
        let ids: Arc<[String]> = batch.iter().map(|delivery| delivery.message_id.clone()).collect();
        let (answer, mut answered) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Waiting { batch, answer });
        loop {
            // Whoever has the turn does the work of all who wait; it may be that ours has been done meanwhile.
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

impl<T: Send + 'static, H: BatchHandler<T>> Gather<T, H> {
    async fn work(&self) {
        let taken = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
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
            // Who no longer waits was broken off; its messages come again.
            let _ = answer.send(BatchOutcome { failures: ours });
        }
    }
}

/// The one that had our messages was broken off, or panicked.
fn broken_off(ids: &[String]) -> BatchOutcome {
    let again = ids.iter().map(|id| (id.clone(), Outcome::retry("the batch was broken off")));
    BatchOutcome { failures: again.collect() }
}
