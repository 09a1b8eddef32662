//! Polls the queue for as many messages as there is room for, while the circuit is closed.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName as Name;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::breaker::Phase;
use crate::consumer::at_once::AtOnce;
use crate::consumer::deletes::{Finished, delete_and_receive, delete_at_once};
use crate::consumer::held::{Held, Received, whole_seconds};
use crate::consumer::raw::RawBatch;
use crate::consumer::work::{Core, Job, release};
use crate::direct::{PATIENCE, unless_stopped};
use crate::fault::Fault;
use crate::publisher::BATCH_ENTRIES;

/// Polls until the consumer stops. `run` handles the messages, as jobs: the messages of one job are handled
/// in order.
pub(super) async fn poll<J: Future<Output = ()> + Send + 'static>(
    core: Arc<Core>,
    held: Arc<Held>,
    places: Arc<Semaphore>,
    visibility: Duration,
    whole_batches: bool,
    mut at_once: AtOnce,
    run: impl Fn(Job) -> J + Send + Sync,
) {
    let mut failures = 0;
    // The messages that arrived with the answer to deletes.
    let mut came_along: Option<Came> = None;
    while came_along.is_some() || !core.stop.is_cancelled() {
        let mut phase = Phase::Closed;
        let mut wanted = BATCH_ENTRIES;
        let (answer, room, asked) = match came_along.take() {
            Some(Came { messages, room, asked }) => (Some(messages), room, asked),
            None => {
                phase = match core.breaker.phase() {
                    Phase::Closed => Phase::Closed,
                    _ => tokio::select! {
                        phase = core.breaker.not_open() => phase,
                        () = core.stop.cancelled() => return,
                    },
                };
                if phase == Phase::HalfOpen {
                    wanted = 1;
                }
                let Some(room) = take_places(&core, &places, wanted).await else { return };
                (None, room, Instant::now())
            }
        };
        // Cancelled when the consumer stops. Messages of an answer in transit are returned below; otherwise
        // they would stay hidden until their timeout ends.
        let received = match answer {
            Some(messages) => Ok(messages),
            None => receive(&core, room.num_permits(), visibility).await,
        };
        match received {
            Ok(mut messages) => {
                failures = 0;
                core.tallies.received(messages.len());
                if messages.len() > room.num_permits() {
                    // SQS never returns more than requested. If it did, the message would come back after its
                    // timeout.
                    tracing::warn!(
                        queue = core.queue.name(),
                        "the queue returned more messages than requested"
                    );
                    messages.truncate(room.num_permits());
                }
                let batch = held.hold(messages, room, asked);
                let received = batch.received();
                if core.stop.is_cancelled() {
                    return release(&core, received, Duration::ZERO).await;
                }
                let count = received.len();
                let came = count > 0;
                let rests = came && !core.settings.linger.is_zero() && count < wanted;
                let jobs = into_jobs(received, core.queue.is_fifo(), whole_batches);
                let mut jobs = Some(jobs.map(&run));
                poll_fn(|context| {
                    at_once.begin(jobs.take().into_iter().flatten(), context);
                    Poll::Ready(())
                })
                .await;
                let mut finished = batch.finished();
                drop(batch);
                core.tallies.done(finished.iter().filter(|finished| finished.handled).count());
                if came && finished.len() == count {
                    if phase == Phase::Closed && !rests {
                        came_along = turn(&core, &places, visibility, &mut finished).await;
                    }
                    if !finished.is_empty() {
                        delete_at_once(&core, finished).await;
                    }
                } else {
                    // Later, together with the deletes that remain.
                    for finished in finished {
                        let _ = core.done.send(finished);
                    }
                }
                if phase == Phase::HalfOpen && came && core.breaker.phase() == phase {
                    // See the trial's result before asking for more. (If it was unreadable, it has none.)
                    tokio::select! {
                        () = core.breaker.change() => {}
                        () = core.stop.cancelled() => {}
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    }
                } else if rests {
                    tokio::select! {
                        () = tokio::time::sleep(core.settings.linger) => {}
                        () = core.stop.cancelled() => {}
                    }
                }
            }
            Err(fault) => {
                drop(room);
                failures += 1;
                tracing::warn!(queue = core.queue.name(), %fault, failures, "cannot receive");
                tokio::select! {
                    () = tokio::time::sleep(core.settings.poll_backoff.delay(failures)) => {}
                    () = core.stop.cancelled() => {}
                }
            }
        }
    }
}

/// The messages of a receive, and the places that were taken for them.
struct Came {
    messages: RawBatch,
    room: OwnedSemaphorePermit,
    asked: Instant,
}

/// Deletes finished messages and receives with the same request, if there is room and no reason to wait.
/// Messages that are still finished afterwards must be deleted in another way. Returns `None` if there are no
/// new messages.
async fn turn(
    core: &Core,
    places: &Arc<Semaphore>,
    visibility: Duration,
    finished: &mut Vec<Finished>,
) -> Option<Came> {
    if core.stop.is_cancelled() || core.breaker.phase() != Phase::Closed {
        return None;
    }
    let room = places.clone().try_acquire_many_owned(BATCH_ENTRIES as u32).ok()?;
    let asked = Instant::now();
    let messages = delete_and_receive(core, finished, Wanted::of(room.num_permits(), visibility)).await?;
    (messages.len() > 0).then_some(Came { messages, room, asked })
}

/// Takes places for a whole receive. Returns `None` when the consumer stops.
///
/// One receive per free place would need ten requests for what one can return. So a poller waits for ten
/// places, but it does not hold back places that workers need: it waits only for places of prefetched
/// messages.
async fn take_places(core: &Core, places: &Arc<Semaphore>, wanted: usize) -> Option<OwnedSemaphorePermit> {
    let least = core.settings.prefetch.clamp(1, wanted);
    let mut room = tokio::select! {
        biased;
        () = core.stop.cancelled() => return None,
        room = places.clone().acquire_many_owned(u32::try_from(least).unwrap_or(1)) => room.ok()?,
    };
    let more = (wanted - least).min(places.available_permits());
    if let Ok(more) = places.clone().try_acquire_many_owned(u32::try_from(more).unwrap_or(0)) {
        room.merge(more);
    }
    Some(room)
}

/// The result of a receive.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ask<'a> {
    queue_url: &'a str,
    wait_time_seconds: i32,
    #[serde(flatten)]
    wanted: Wanted,
}

/// The fields of the request.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted {
    max_number_of_messages: i32,
    visibility_timeout: i32,
    message_attribute_names: [&'static str; 1],
    message_system_attribute_names: [&'static str; 3],
}

/// Approximate length of the request.
const ASK_BYTES: usize = 512;

static SYSTEM_NAMES: [Name; 3] = [Name::ApproximateReceiveCount, Name::SentTimestamp, Name::MessageGroupId];

impl Wanted {
    fn of(most: usize, visibility: Duration) -> Wanted {
        Wanted {
            max_number_of_messages: i32::try_from(most).unwrap_or(1),
            visibility_timeout: whole_seconds(visibility),
            message_attribute_names: ["All"],
            message_system_attribute_names: SYSTEM_NAMES.each_ref().map(Name::as_str),
        }
    }
}

async fn receive(core: &Core, most: usize, visibility: Duration) -> Result<RawBatch, Fault> {
    let ask = Ask {
        queue_url: &core.queue.url,
        wait_time_seconds: whole_seconds(core.settings.wait).min(20),
        wanted: Wanted::of(most, visibility),
    };
    let patience = PATIENCE + core.settings.wait;
    let (target, stop) = ("AmazonSQS.ReceiveMessage", &core.stop);
    let asked = core.direct.read_unless_stopped(target, (&ask, ASK_BYTES), patience, stop, RawBatch::read);
    if let Some(messages) = asked.await {
        return Ok(messages);
    }
    if stop.is_cancelled() {
        return Ok(RawBatch::default());
    }
    let call = core
        .sqs
        .receive_message()
        .queue_url(ask.queue_url)
        .max_number_of_messages(ask.wanted.max_number_of_messages)
        .wait_time_seconds(ask.wait_time_seconds)
        .visibility_timeout(ask.wanted.visibility_timeout)
        .message_attribute_names("All")
        .set_message_system_attribute_names(Some(SYSTEM_NAMES.to_vec()));
    match unless_stopped(pin!(call.send()), Some(stop)).await {
        Some(answer) => Ok(answer?.messages.unwrap_or_default().into()),
        None => Ok(RawBatch::default()),
    }
}

/// On FIFO queues a group's messages stay together, in order.
fn into_jobs(
    received: impl Iterator<Item = Received>,
    fifo: bool,
    whole_batches: bool,
) -> impl Iterator<Item = Job> {
    let (mut together, mut singly) = (Vec::new(), None);
    if whole_batches {
        let received: Vec<Received> = received.collect();
        if !received.is_empty() {
            together.push(Job::many(received));
        }
    } else if !fifo {
        singly = Some(received.map(Job::one));
    } else {
        let mut places: HashMap<String, usize> = HashMap::new();
        for one in received {
            let group = one.raw.group().unwrap_or_default().to_owned();
            match places.get(&group) {
                Some(place) => together[*place].push(one),
                None => {
                    places.insert(group, together.len());
                    together.push(Job::one(one));
                }
            }
        }
    }
    singly.into_iter().flatten().chain(together)
}
