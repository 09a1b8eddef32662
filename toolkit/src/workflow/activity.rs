//! Workers of activities: they ask for tasks, send heartbeats while they work, and say how each task has ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sfn::config::timeout::TimeoutConfig;
use futures_util::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::token::{TaskToken, Told};
use crate::backoff::Backoff;
use crate::clients::Clients;
use crate::fault::Fault;

/// An existing activity.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Activity {
    /// Its ARN, which is the `Resource` of its tasks.
    pub arn: String,
}

impl Activity {
    /// Creates the activity if it is missing. May be repeated.
    ///
    /// # Errors
    /// Those of Step Functions.
    pub async fn ensure(clients: &Clients, name: &str) -> Result<Activity, Fault> {
        Ok(Activity { arn: clients.sfn.create_activity().name(name).send().await?.activity_arn })
    }
}

/// How a task has failed: what retriers and catchers compare, and what people read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{error}: {cause}")]
pub struct TaskFailure {
    /// The name that `ErrorEquals` is compared with.
    pub error: String,
    /// The explanation.
    pub cause: String,
}

impl TaskFailure {
    /// A failure with a name and an explanation.
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> TaskFailure {
        TaskFailure { error: error.into(), cause: cause.into() }
    }
}

/// Does the tasks of an activity. An async closure from the input to a `Result` is a handler.
pub trait TaskHandler<I, O>: Send + Sync + 'static {
    /// Does one task. Its future is dropped if the execution no longer waits for the task.
    fn handle(&self, input: I) -> impl Future<Output = Result<O, TaskFailure>> + Send;
}

impl<I: Send + 'static, O, F, R> TaskHandler<I, O> for F
where
    F: Fn(I) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O, TaskFailure>> + Send,
{
    fn handle(&self, input: I) -> impl Future<Output = Result<O, TaskFailure>> + Send {
        self(input)
    }
}

/// A worker of an activity.
///
/// **Guarantee**: *at least once*. If the worker dies, the task fails with `States.HeartbeatTimeout` or `States.Timeout`, and its `Retry`
/// gives it to another one. So a task needs `HeartbeatSeconds`, longer than [`heartbeat`](Self::heartbeat), or `TimeoutSeconds`.
///
/// ```no_run
/// # async fn example(clients: toolkit::Clients) -> Result<(), toolkit::Fault> {
/// use toolkit::workflow::{Activity, ActivityWorker, TaskFailure};
///
/// let activity = Activity::ensure(&clients, "double").await?;
/// let running = ActivityWorker::new(&clients, &activity)
///     .workers(4)
///     .start(|number: u32| async move {
///         number.checked_mul(2).ok_or_else(|| TaskFailure::new("TooLarge", format!("{number}")))
///     });
/// running.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ActivityWorker {
    clients: Clients,
    activity: Activity,
    name: Option<String>,
    workers: usize,
    heartbeat: Duration,
}

/// GetActivityTask answers after 60 seconds if there is no task.
const POLL: Duration = Duration::from_secs(75);

/// Waits between polls that fail, and between attempts to say how a task has ended.
const WAITS: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
const ATTEMPTS: u32 = 15;

impl ActivityWorker {
    /// A worker with one task at a time and a heartbeat every ten seconds.
    pub fn new(clients: &Clients, activity: &Activity) -> ActivityWorker {
        let (clients, activity) = (clients.clone(), activity.clone());
        ActivityWorker { clients, activity, name: None, workers: 1, heartbeat: Duration::from_secs(10) }
    }

    /// Sets the name that the history shows.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> ActivityWorker {
        self.name = Some(name.into());
        self
    }

    /// Sets how many tasks are worked on side by side. (A quota of AWS: 1,000 polls of an activity.)
    #[must_use]
    pub fn workers(mut self, workers: usize) -> ActivityWorker {
        self.workers = workers.max(1);
        self
    }

    /// Sets how often a heartbeat is sent while a task is worked on.
    #[must_use]
    pub fn heartbeat(mut self, every: Duration) -> ActivityWorker {
        // An interval must not be zero.
        self.heartbeat = every.max(Duration::from_millis(1));
        self
    }

    /// Begins to ask for tasks. An input that is not an `I` fails its task with the error `Input`, a panic with `Panic`.
    pub fn start<I, O, H>(self, handler: H) -> RunningWorker
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + Sync + 'static,
        H: TaskHandler<I, O>,
    {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (worker, handler) = (Arc::new(self), Arc::new(handler));
        for _ in 0..worker.workers {
            let (worker, handler, stop) = (worker.clone(), handler.clone(), stop.clone());
            tasks.spawn(async move { worker.work(&*handler, &stop).await });
        }
        RunningWorker { stop: stop.drop_guard(), tasks }
    }

    async fn work<I, O, H>(&self, handler: &H, stop: &CancellationToken)
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + Sync,
        H: TaskHandler<I, O>,
    {
        let mut failures = 0;
        while let Some(polled) = stop.run_until_cancelled(self.poll()).await {
            match polled {
                Ok(Some((token, input))) => {
                    failures = 0;
                    self.handle(handler, &token, &input).await;
                }
                Ok(None) => failures = 0,
                Err(fault) => {
                    failures += 1;
                    tracing::warn!(activity = self.activity.arn, %fault, "cannot ask for tasks");
                    stop.run_until_cancelled(tokio::time::sleep(WAITS.delay(failures))).await;
                }
            }
        }
    }

    /// Asks for a task.
    async fn poll(&self) -> Result<Option<(TaskToken, String)>, Fault> {
        let patient =
            TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).read_timeout(POLL).build();
        let call = self.clients.sfn.get_activity_task().activity_arn(&self.activity.arn);
        let call = call.set_worker_name(self.name.clone()).customize();
        let settings = aws_sdk_sfn::config::Builder::new().timeout_config(patient);
        let answer = call.config_override(settings).send().await?;
        let token = answer.task_token.filter(|token| !token.is_empty());
        Ok(token.map(|token| (TaskToken(token), answer.input.unwrap_or_default())))
    }

    /// Does a task, and says how it has ended.
    async fn handle<I, O, H>(&self, handler: &H, token: &TaskToken, input: &str)
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send + Sync,
        H: TaskHandler<I, O>,
    {
        let result = match serde_json::from_str::<I>(input) {
            Ok(input) => {
                let work = AssertUnwindSafe(handler.handle(input)).catch_unwind();
                tokio::select! {
                    result = work => result.unwrap_or_else(|_| {
                        Err(TaskFailure::new("Panic", "the worker panicked"))
                    }),
                    () = self.beat(token) => {
                        tracing::info!(activity = self.activity.arn, "a task is not waited for any more");
                        return;
                    }
                }
            }
            Err(error) => Err(TaskFailure::new("Input", error.to_string())),
        };
        for attempt in 1..=ATTEMPTS {
            let told = match &result {
                Ok(output) => token.succeed(&self.clients, output).await,
                Err(failure) => token.fail(&self.clients, failure).await,
            };
            match told {
                Ok(_) => return,
                Err(fault) if fault.retryable && attempt < ATTEMPTS => {
                    tracing::warn!(activity = self.activity.arn, %fault, "cannot say how a task has ended");
                    tokio::time::sleep(WAITS.delay(attempt)).await;
                }
                Err(fault) => {
                    tracing::error!(activity = self.activity.arn, %fault, "nobody knows how a task has ended");
                    return;
                }
            }
        }
    }

    /// Sends heartbeats until the task is not waited for any more.
    async fn beat(&self, token: &TaskToken) {
        let mut beats = tokio::time::interval(self.heartbeat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is at once, and the task has only begun.
        beats.tick().await;
        loop {
            beats.tick().await;
            match token.heartbeat(&self.clients).await {
                Ok(Told::Heard) => {}
                Ok(Told::Over) => return,
                Err(fault) => {
                    tracing::warn!(activity = self.activity.arn, %fault, "a heartbeat was not sent")
                }
            }
        }
    }
}

/// A worker at work. Without [`shutdown`](Self::shutdown) it stops when this value is dropped, in the middle of its tasks.
#[derive(Debug)]
pub struct RunningWorker {
    stop: DropGuard,
    tasks: JoinSet<()>,
}

impl RunningWorker {
    /// Asks for no more tasks, and waits until those that were begun have ended. A task that the server hands out at the same moment
    /// ends by its heartbeat, as one of a dead worker does.
    pub async fn shutdown(mut self) {
        drop(self.stop);
        while self.tasks.join_next().await.is_some() {}
    }
}
