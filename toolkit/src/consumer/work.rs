//! The work on messages between the poll and the delete: wait for a worker, handle, carry out the outcome.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::body::BodyStep;
use crate::breaker::CircuitBreaker;
use crate::consumer::dead::{Category, Graveyard};
use crate::consumer::decode::DecodeError;
use crate::consumer::deletes::Finished;
use crate::consumer::delivery::{BatchHandler, BatchOutcome, Delivery, Handler, Outcome};
use crate::consumer::held::{Received, change_visibility};
use crate::consumer::tallies::Tallies;
use crate::consumer::{ConsumerSettings, decode};
use crate::direct::Direct;
use crate::message::Message;
use crate::publisher::{BATCH_ENTRIES, BodyForm};
use crate::queue::Queue;

/// Data that all tasks of a consumer share.
pub(super) struct Core {
    pub sqs: aws_sdk_sqs::Client,
    /// The calls for receives and deletes.
    pub direct: Arc<Direct>,
    pub queue: Queue,
    pub settings: ConsumerSettings,
    pub form: BodyForm,
    pub steps: Vec<Arc<dyn BodyStep>>,
    pub max_attempts: Option<u32>,
    pub graveyard: Option<Graveyard>,
    pub workers: Semaphore,
    pub breaker: CircuitBreaker,
    pub done: mpsc::UnboundedSender<Finished>,
    pub tallies: Arc<Tallies>,
    /// Cancelled when no new work may start.
    pub stop: CancellationToken,
    /// The same as a flag, because checking the token takes a lock.
    pub stopping: AtomicBool,
    /// Cancelled when running handlers must end, too.
    pub abort: CancellationToken,
}

impl Core {
    /// Forbids new work.
    pub fn begin_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.cancel();
    }
}

/// Data that the jobs of one poller share. (Each job that shared a counter with all pollers would contend for
/// it.)
pub(super) struct Shop<H> {
    pub core: Arc<Core>,
    pub handler: Arc<H>,
}

/// Messages that are handled in order; usually one.
pub(super) struct Job {
    first: Option<Received>,
    rest: Vec<Received>,
}

impl Job {
    pub fn one(received: Received) -> Job {
        Job { first: Some(received), rest: Vec::new() }
    }

    pub fn many(received: Vec<Received>) -> Job {
        Job { first: None, rest: received }
    }

    pub fn push(&mut self, received: Received) {
        self.rest.push(received);
    }
}

impl IntoIterator for Job {
    type Item = Received;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Received>, std::vec::IntoIter<Received>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

/// Handles messages one after the other: on FIFO queues, those of one group.
pub(super) async fn one_by_one<T: Message, H: Handler<T>>(shop: Arc<Shop<H>>, job: Job) {
    let core = &*shop.core;
    let mut rest = job.into_iter();
    while let Some(received) = rest.next() {
        let Some(_worker) = begin(core).await else {
            return release(core, std::iter::once(received).chain(rest), Duration::ZERO).await;
        };
        let settled = match decode::<T>(core, &received).await {
            Err(error) => settle_unreadable(core, received, &error).await,
            Ok(delivery) => match attempt(core, &*shop.handler, delivery).await {
                None => {
                    return release(core, std::iter::once(received).chain(rest), Duration::ZERO).await;
                }
                Some(outcome) => settle(core, received, outcome).await,
            },
        };
        // Later messages of its group must not overtake it.
        if let Settled::Again(after) = settled
            && core.queue.is_fifo()
        {
            return release(core, rest, after).await;
        }
    }
}

/// Handles the messages of one receive together.
pub(super) async fn together<T: Message, H: BatchHandler<T>>(shop: Arc<Shop<H>>, job: Job) {
    let core = &*shop.core;
    let Some(_worker) = begin(core).await else {
        return release(core, job, Duration::ZERO).await;
    };
    let (mut received, mut deliveries) = (Vec::new(), Vec::new());
    // Groups with a message to retry: those behind it must not overtake it.
    let mut held_back: HashMap<String, (Duration, Vec<Received>)> = HashMap::new();
    for one in job {
        let group = one.raw.group().filter(|_| core.queue.is_fifo());
        if let Some((_, behind)) = group.and_then(|group| held_back.get_mut(group)) {
            behind.push(one);
            continue;
        }
        match decode::<T>(core, &one).await {
            Ok(delivery) => {
                received.push(one);
                deliveries.push(delivery);
            }
            Err(error) => {
                let group = group.map(str::to_owned);
                if let (Settled::Again(after), Some(group)) =
                    (settle_unreadable(core, one, &error).await, group)
                {
                    held_back.insert(group, (after, Vec::new()));
                }
            }
        }
    }
    for (after, behind) in held_back.into_values().filter(|(_, behind)| !behind.is_empty()) {
        release(core, behind, after).await;
    }
    if deliveries.is_empty() {
        return;
    }
    let pass = tokio::select! {
        pass = core.breaker.enter() => pass,
        () = core.stop.cancelled() => return release(core, received, Duration::ZERO).await,
    };
    let span = tracing::info_span!("handle_batch", queue = core.queue.name(), messages = deliveries.len());
    // A batch has many traces.
    for delivery in &deliveries {
        let metadata = &delivery.envelope.metadata;
        tracing::debug!(
            parent: &span,
            message_id = %delivery.message_id,
            id = %delivery.envelope.id,
            message_type = %delivery.envelope.message_type,
            receive_count = delivery.receive_count,
            correlation_id = metadata.correlation_id.as_deref(),
            traceparent = metadata.traceparent.as_deref(),
            "in this batch"
        );
    }
    let started = Instant::now();
    let sent_at: Vec<Timestamp> = deliveries.iter().map(|delivery| delivery.sent_at).collect();
    let begun = catch_unwind(AssertUnwindSafe(|| span.in_scope(|| shop.handler.handle_batch(deliveries))));
    let result = match begun {
        Ok(handling) => guard(core, pin!(handling)).instrument(span).await,
        Err(panic) => panicked(core, &*panic),
    };
    let outcome = match result {
        Attempt::Aborted => return release(core, received, Duration::ZERO).await,
        Attempt::Ended(outcome) => outcome,
        Attempt::Failed(reason) => {
            let all = received.iter().map(|one| (one.message_id().to_owned(), Outcome::retry(&reason)));
            BatchOutcome { failures: all.collect() }
        }
    };
    // If others succeed, the failure is the message's own.
    let to_retry =
        outcome.failures.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Retry { .. })).count();
    let again = outcome.failures.iter().filter(|(_, outcome)| outcome.comes_again()).count();
    if to_retry >= received.len() {
        pass.failure()
    } else if again >= received.len() {
        drop(pass)
    } else {
        pass.success()
    }
    core.tallies.circuit(core.breaker.phase() != crate::breaker::Phase::Closed);
    let mut failures = outcome.failures;
    let ended = Instant::now();
    for (one, sent_at) in received.into_iter().zip(sent_at) {
        core.tallies.handled(ended.duration_since(started), from_to(sent_at, ended));
        let place = failures.iter().position(|(id, _)| id == one.message_id());
        let outcome = place.map_or(Outcome::Done, |place| failures.swap_remove(place).1);
        settle(core, one, outcome).await;
    }
    for (id, _) in failures {
        tracing::warn!(message_id = %id, queue = core.queue.name(), "the batch handler returned the id of a message that is not in its batch");
    }
}

async fn decode<T: Message>(core: &Core, received: &Received) -> Result<Delivery<T>, DecodeError> {
    match decode::at_once(&received.raw, core.form, &core.steps) {
        Some(delivery) => Ok(delivery),
        None => Box::pin(decode::decode(&received.raw, core.form, &core.steps)).await,
    }
}

/// Takes a worker's place. Returns `None` when the consumer stops.
async fn begin(core: &Core) -> Option<tokio::sync::SemaphorePermit<'_>> {
    if !core.stopping.load(Ordering::Acquire)
        && let Ok(permit) = core.workers.try_acquire()
    {
        return Some(permit);
    }
    tokio::select! {
        biased;
        () = core.stop.cancelled() => None,
        permit = core.workers.acquire() => permit.ok(),
    }
}

/// Runs the handler once. Returns `None` if it was cancelled.
async fn attempt<T: Message, H: Handler<T>>(
    core: &Core,
    handler: &H,
    delivery: Delivery<T>,
) -> Option<Outcome> {
    let pass = match core.breaker.enter_now() {
        Some(pass) => pass,
        None => tokio::select! {
            pass = core.breaker.enter() => pass,
            () = core.stop.cancelled() => return None,
        },
    };
    let metadata = &delivery.envelope.metadata;
    let span = tracing::info_span!(
        "handle",
        queue = core.queue.name(),
        message_id = %delivery.message_id,
        id = %delivery.envelope.id,
        message_type = %delivery.envelope.message_type,
        receive_count = delivery.receive_count,
        correlation_id = metadata.correlation_id.as_deref(),
        traceparent = metadata.traceparent.as_deref(),
    );
    let (started, sent_at) = (Instant::now(), delivery.sent_at);
    // A closure handler runs up to its first await in this call.
    let begun = catch_unwind(AssertUnwindSafe(|| span.in_scope(|| handler.handle(delivery))));
    let attempt = match begun {
        Ok(handling) => guard(core, pin!(handling)).instrument(span).await,
        Err(panic) => panicked(core, &*panic),
    };
    let outcome = match attempt {
        Attempt::Aborted => return None,
        Attempt::Ended(outcome) => outcome,
        Attempt::Failed(reason) => Outcome::retry(reason),
    };
    let ended = Instant::now();
    core.tallies.handled(ended.duration_since(started), from_to(sent_at, ended));
    match outcome {
        Outcome::Retry { .. } => pass.failure(),
        Outcome::NotYet { .. } => drop(pass),
        Outcome::Done | Outcome::GiveUp { .. } => pass.success(),
    }
    core.tallies.circuit(core.breaker.phase() != crate::breaker::Phase::Closed);
    Some(outcome)
}

/// The end of a handler's run.
enum Attempt<O> {
    Ended(O),
    Failed(String),
    Aborted,
}

/// Runs a handler so that panics, timeouts and the end of the consumer are results like others.
///
/// (The caller pins the handler: an async function would store its argument twice, also in the awaited
/// future.)
async fn guard<O, F: Future<Output = O> + Send>(core: &Core, handler: Pin<&mut F>) -> Attempt<O> {
    let caught = AssertUnwindSafe(handler).catch_unwind();
    let timeout = async {
        match core.settings.handler_timeout {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        result = caught => match result {
            Ok(outcome) => Attempt::Ended(outcome),
            Err(panic) => panicked(core, &*panic),
        },
        () = core.abort.cancelled() => Attempt::Aborted,
        () = timeout => Attempt::Failed("the handler did not finish in time".to_owned()),
    }
}

fn panicked<O>(core: &Core, panic: &(dyn Any + Send)) -> Attempt<O> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(queue = core.queue.name(), panic = text, "a handler panicked");
    Attempt::Failed(format!("the handler panicked: {text}"))
}

enum Settled {
    Gone,
    Again(Duration),
}

async fn settle_unreadable(core: &Core, received: Received, error: &DecodeError) -> Settled {
    if error.retryable() {
        return settle(core, received, Outcome::retry(error)).await;
    }
    Box::pin(bury(core, received, Category::Unreadable, &error.to_string())).await
}

// Rare cases are boxed: otherwise each job would have to reserve memory for them.
async fn settle(core: &Core, received: Received, outcome: Outcome) -> Settled {
    match outcome {
        Outcome::Done => {
            gone(core, received, true);
            Settled::Gone
        }
        Outcome::GiveUp { reason } => Box::pin(bury(core, received, Category::GaveUp, &reason)).await,
        Outcome::Retry { reason, after } => Box::pin(again(core, received, reason, after)).await,
        Outcome::NotYet { reason, after } => Box::pin(again(core, received, reason, Some(after))).await,
    }
}

/// Returns the message to the queue, or makes it a dead letter after too many attempts.
async fn again(core: &Core, received: Received, reason: String, after: Option<Duration>) -> Settled {
    let attempts = received.receive_count();
    if core.max_attempts.is_some_and(|most| attempts >= most) {
        return bury(core, received, Category::AttemptsExhausted, &reason).await;
    }
    let after = after.unwrap_or_else(|| core.settings.backoff.delay(attempts));
    tracing::info!(queue = core.queue.name(), message_id = received.message_id(), attempts, %reason, ?after,
        "to be handled again");
    core.tallies.retried();
    hide(core, vec![received], after).await;
    Settled::Again(after)
}

/// Makes the message a dead letter. If that fails, the message stays in its queue, because losing it would be
/// worse.
async fn bury(core: &Core, received: Received, category: Category, reason: &str) -> Settled {
    let message_id = received.message_id();
    match &core.graveyard {
        Some(graveyard) => {
            if let Err(fault) = graveyard.bury(&received.raw, category, reason).await {
                let after = core.settings.backoff.delay(received.receive_count());
                tracing::error!(queue = core.queue.name(), message_id, reason, %fault, "cannot move the message to the dead-letter queue");
                core.tallies.retried();
                hide(core, vec![received], after).await;
                return Settled::Again(after);
            }
            tracing::warn!(
                queue = core.queue.name(),
                message_id,
                category = category.as_str(),
                reason,
                "dead letter"
            );
        }
        // As configured: dropping it is better than blocking the queue for ever.
        None => tracing::error!(
            queue = core.queue.name(),
            message_id,
            category = category.as_str(),
            reason,
            body = received.raw.body(),
            "dropped, since there is no dead-letter queue"
        ),
    }
    core.tallies.dead_lettered();
    gone(core, received, false);
    Settled::Gone
}

/// Passes a message to the deleter. `steps` are notified only of handled messages, because a dead letter
/// still needs its payload.
fn gone(core: &Core, received: Received, handled: bool) {
    if let Some(finished) = (Finished { received, handled }).with_its_batch() {
        core.tallies.done(usize::from(handled));
        // The deleter outlives all jobs. If it were gone, the message would come again.
        let _ = core.done.send(finished);
    }
}

/// Returns messages without an attempt.
pub(super) async fn release(core: &Core, messages: impl IntoIterator<Item = Received>, after: Duration) {
    let messages: Vec<Received> = messages.into_iter().collect();
    core.tallies.released(messages.len());
    Box::pin(hide(core, messages, after)).await;
}

/// Makes messages visible after this time. If the request fails, they come back when their timeout ends.
async fn hide(core: &Core, messages: Vec<Received>, after: Duration) {
    for batch in messages.chunks(BATCH_ENTRIES) {
        batch.iter().for_each(Received::let_go);
        let receipts: Vec<&str> = batch.iter().map(Received::receipt).collect();
        let after = batch.iter().map(Received::hideable).fold(after, Duration::min);
        for attempt in 1..=3 {
            match change_visibility(&core.sqs, &core.queue.url, &receipts, after).await {
                Ok(results) => {
                    for fault in results.into_iter().filter_map(Result::err) {
                        tracing::warn!(queue = core.queue.name(), %fault, "a message comes back only when its visibility timeout ends");
                    }
                    break;
                }
                Err(fault) if fault.retryable && attempt < 3 => {
                    tokio::time::sleep(core.settings.poll_backoff.delay(attempt)).await;
                }
                Err(fault) => {
                    tracing::warn!(queue = core.queue.name(), %fault, "messages come back later than they should");
                    break;
                }
            }
        }
    }
}

/// Returns the time from then to now, at least zero.
fn from_to(time: Timestamp, moment: Instant) -> Duration {
    Duration::try_from(time_of(moment).duration_since(time)).unwrap_or_default()
}

thread_local! {
    /// A moment with the machine's clock at that time, because reading the clock is not free.
    static CLOCK: Cell<Option<(Instant, Timestamp)>> = const { Cell::new(None) };
}

/// Returns the machine's approximate clock time: changes of the last second may be missing.
fn time_of(moment: Instant) -> Timestamp {
    let fresh = |(read, _): &(Instant, Timestamp)| moment.duration_since(*read) < Duration::from_secs(1);
    let (read, time) = CLOCK.get().filter(fresh).unwrap_or_else(|| {
        let now = (Instant::now(), Timestamp::now());
        CLOCK.set(Some(now));
        now
    });
    time.saturating_add(moment.duration_since(read)).unwrap_or(time)
}
