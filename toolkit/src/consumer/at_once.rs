//! Begins the handling of messages: in the poller's own task where it is over at once, otherwise in tasks of their own.
//!
//! A task costs more than a small handler does: to make, to wake another thread for it, and to fetch what it leaves. So each is tried
//! here, and becomes a task when it has to wait for something.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio_util::sync::ReusableBoxFuture;
use tokio_util::task::TaskTracker;

/// When those of a receive have taken so long together, the rest become tasks at once: they compute, or block, and other threads may
/// be idle.
const ENOUGH: Duration = Duration::from_micros(200);

/// Begins jobs.
pub(super) struct AtOnce {
    tasks: TaskTracker,
    /// The memory of the last job that was over at once, for the next.
    spare: Option<ReusableBoxFuture<'static, ()>>,
}

impl AtOnce {
    /// What becomes a task is tracked here.
    pub fn new(tasks: TaskTracker) -> AtOnce {
        AtOnce { tasks, spare: None }
    }

    /// Begins these. When this returns, each is over or a task.
    pub fn begin<J>(&mut self, jobs: impl Iterator<Item = J>, context: &mut Context<'_>)
    where
        J: Future<Output = ()> + Send + 'static,
    {
        let begun = Instant::now();
        let mut enough = false;
        for (number, job) in jobs.enumerate() {
            // The clock is read before the second, the third, the fifth and the ninth.
            enough = enough || (number.is_power_of_two() && begun.elapsed() > ENOUGH);
            if enough {
                self.tasks.spawn(job);
                continue;
            }
            let mut job = match self.spare.take() {
                Some(mut spare) => {
                    spare.set(job);
                    spare
                }
                None => ReusableBoxFuture::new(job),
            };
            match catch_unwind(AssertUnwindSafe(|| job.poll(context))) {
                Ok(Poll::Ready(())) => self.spare = Some(job),
                Ok(Poll::Pending) => {
                    self.tasks.spawn(job);
                }
                // As it ends a task: what it held comes again.
                Err(_) => tracing::error!("reading a message panicked"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_must_wait_becomes_a_task_and_holds_back_nobody() {
        let tasks = TaskTracker::new();
        let mut at_once = AtOnce::new(tasks.clone());
        let (gate, over) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(AtomicU32::new(0)));
        let jobs = (0..10).map(|number| {
            let (gate, over) = (gate.clone(), over.clone());
            async move {
                assert!(number != 5, "only this job ends by it");
                if number % 2 == 0 {
                    gate.acquire().await.unwrap().forget();
                }
                over.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut jobs = Some(jobs);
        poll_fn(|context| {
            // One by one, so that no slowness of this machine makes tasks of them.
            jobs.take().into_iter().flatten().for_each(|job| at_once.begin(std::iter::once(job), context));
            Poll::Ready(())
        })
        .await;
        assert_eq!((over.load(Ordering::Relaxed), tasks.len()), (4, 5));
        gate.add_permits(5);
        tasks.close();
        tasks.wait().await;
        assert_eq!(over.load(Ordering::Relaxed), 9);
    }

    #[tokio::test]
    async fn after_slow_ones_the_rest_go_to_other_threads() {
        let tasks = TaskTracker::new();
        let mut at_once = AtOnce::new(tasks.clone());
        let slow = |_| async { std::thread::sleep(ENOUGH * 2) };
        poll_fn(|context| {
            at_once.begin((0..3).map(slow), context);
            Poll::Ready(())
        })
        .await;
        assert_eq!(tasks.len(), 2);
    }
}
