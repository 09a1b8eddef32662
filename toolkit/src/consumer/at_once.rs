//! Starts the handling of messages: in the poller's own task if it ends at once, otherwise in a task of its
//! own.
//!
//! A task costs more than a small handler: its allocation, a wake-up of another thread, and fetching the
//! result. So each job starts here, and becomes a task when it has to wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio_util::sync::ReusableBoxFuture;
use tokio_util::task::TaskTracker;

/// If the jobs of a receive have taken this long together, the rest become tasks at once: they compute or
/// block, and other threads may be idle.
const ENOUGH: Duration = Duration::from_micros(200);

/// Starts jobs.
pub(super) struct AtOnce {
    tasks: TaskTracker,
    /// The allocation of the last job that ended at once, for reuse.
    spare: Option<ReusableBoxFuture<'static, ()>>,
}

impl AtOnce {
    /// Tracks the jobs that become tasks.
    pub fn new(tasks: TaskTracker) -> AtOnce {
        AtOnce { tasks, spare: None }
    }

    /// Starts these jobs. When this returns, each has ended or is a task.
    pub fn begin<J>(&mut self, jobs: impl Iterator<Item = J>, context: &mut Context<'_>)
    where
        J: Future<Output = ()> + Send + 'static,
    {
        let begun = Instant::now();
        let mut enough = false;
        for (number, job) in jobs.enumerate() {
            // The clock is read before the second, the third, the fifth and the ninth job.
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
                // As when a task panics: its messages come again.
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
            // One by one, so that a slow machine does not turn them into tasks.
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
