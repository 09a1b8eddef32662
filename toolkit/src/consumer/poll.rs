//! Asks the queue for messages, as many as there is room for, while the circuit is closed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName as Name;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::breaker::Phase;
use crate::consumer::held::{Held, Received, whole_seconds};
use crate::consumer::raw::Raw;
use crate::consumer::work::{Core, release};
use crate::fault::Fault;
use crate::publisher::BATCH_ENTRIES;

/// Polls until the consumer stops. `start` takes what came, as jobs: what is in one job is handled in order.
pub(super) async fn poll(
    core: Arc<Core>,
    held: Arc<Held>,
    places: Arc<Semaphore>,
    visibility: Duration,
    whole_batches: bool,
    start: impl Fn(Vec<Received>) + Send + Sync,
) {
    let mut failures = 0;
    while !core.stop.is_cancelled() {
        let phase = tokio::select! {
            phase = core.breaker.not_open() => phase,
            () = core.stop.cancelled() => return,
        };
        let wanted = if phase == Phase::HalfOpen { 1 } else { BATCH_ENTRIES };
        let Some(mut room) = take_places(&core, &places, wanted).await else { return };
        let asked = Instant::now();
        // Not broken off when the consumer stops: the answer may be on its way, and its messages would hang until their
        // visibility ends.
        match receive(&core, room.num_permits(), visibility).await {
            Ok(messages) => {
                failures = 0;
                core.tallies.received(messages.len());
                let mut received = Vec::with_capacity(messages.len());
                for raw in messages {
                    match room.split(1) {
                        Some(place) => received.push(held.hold(raw, place, asked)),
                        // Never more than asked for; should it be, visibility brings it back.
                        None => tracing::warn!(
                            queue = core.queue.name(),
                            "the queue gave more than was asked for"
                        ),
                    }
                }
                drop(room);
                if core.stop.is_cancelled() {
                    return release(&core, received, Duration::ZERO).await;
                }
                let came = !received.is_empty();
                let rests = came && !core.settings.linger.is_zero() && received.len() < wanted;
                into_jobs(received, core.queue.is_fifo(), whole_batches).into_iter().for_each(&start);
                if phase == Phase::HalfOpen && came {
                    // See how the trial goes before asking for more. (It may have been unreadable, and say nothing.)
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

/// Places for a whole receive; none when the consumer stops.
///
/// Asking for one message whenever one place is free would cost ten requests for what one can bring. So a poller waits until a
/// tenth message would have its place, but not for places that workers need: those it waits for are prefetch.
async fn take_places(
    core: &Core,
    places: &Arc<Semaphore>,
    wanted: usize,
) -> Option<tokio::sync::OwnedSemaphorePermit> {
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

/// What a receive says.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ask<'a> {
    queue_url: &'a str,
    max_number_of_messages: i32,
    wait_time_seconds: i32,
    visibility_timeout: i32,
    message_attribute_names: [&'static str; 1],
    message_system_attribute_names: [&'a str; 3],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    messages: Option<Vec<Raw>>,
}

/// How long beyond its wait an answer may take before the SDK asks again.
const PATIENCE: Duration = Duration::from_secs(30);

async fn receive(core: &Core, most: usize, visibility: Duration) -> Result<Vec<Raw>, Fault> {
    let names = [Name::ApproximateReceiveCount, Name::SentTimestamp, Name::MessageGroupId];
    let ask = Ask {
        queue_url: &core.queue.url,
        max_number_of_messages: i32::try_from(most).unwrap_or(1),
        wait_time_seconds: whole_seconds(core.settings.wait).min(20),
        visibility_timeout: whole_seconds(visibility),
        message_attribute_names: ["All"],
        message_system_attribute_names: names.each_ref().map(Name::as_str),
    };
    let patience = PATIENCE + core.settings.wait;
    if let Some(answer) = core.direct.call::<Answer>("ReceiveMessage", (&ask, 512), patience).await {
        return Ok(answer.messages.unwrap_or_default());
    }
    let call = core
        .sqs
        .receive_message()
        .queue_url(ask.queue_url)
        .max_number_of_messages(ask.max_number_of_messages)
        .wait_time_seconds(ask.wait_time_seconds)
        .visibility_timeout(ask.visibility_timeout)
        .message_attribute_names("All")
        .set_message_system_attribute_names(Some(names.into()));
    Ok(call.send().await?.messages.unwrap_or_default().into_iter().map(Raw::from).collect())
}

/// On FIFO queues a group's messages stay together, in order.
fn into_jobs(received: Vec<Received>, fifo: bool, whole_batches: bool) -> Vec<Vec<Received>> {
    if received.is_empty() {
        return Vec::new();
    }
    if whole_batches {
        return vec![received];
    }
    if !fifo {
        return received.into_iter().map(|one| vec![one]).collect();
    }
    let mut jobs: Vec<Vec<Received>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for one in received {
        let group = one.raw.group.clone().unwrap_or_default();
        let place = *places.entry(group).or_insert_with(|| {
            jobs.push(Vec::new());
            jobs.len() - 1
        });
        jobs[place].push(one);
    }
    jobs
}
