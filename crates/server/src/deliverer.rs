//! Makes the delivery attempts that the engine requests, and reports their results.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use deliveries::Outcome;
use delivery::Carrier;
use eventbridge::Authorize;
use eventbridge::deliveries::{Cause, End, Way};
use journal::{ReadError, Reader};
use kernel::codec::Malformed;
use kernel::request::{Answer, Request};
use kernel::{Extent, Secret, Undelivered};
use machine::{Event, Input};
use notification::Signer;
use tokio::sync::mpsc;
use tracing::error;

use crate::alarm::{Alarm, sabotage};
use crate::budget::Budget;
use crate::clock::Clock;
use crate::damage::Damages;
use crate::engine::{Handle, Message};
use crate::failures::{Failure, Failures};
use crate::packing::{pack, pack_event, token_request};
use crate::requests::{self, Asker, Turns};
use crate::signing::Signing;

/// Threads for blocking work: disk reads, name lookups, signatures.
const BLOCKING_THREADS: usize = 64;

/// Connections whose first token is being fetched at once.
const AUTHORIZATIONS: usize = 32;

/// An attempt waits for memory without a limit. (A timer does not accept more than this.)
pub const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Makes attempts, on its own thread, which starts with the first attempt.
pub struct Deliverer {
    tools: Arc<Tools>,
    work: Mutex<Option<mpsc::UnboundedSender<Work>>>,
}

/// What a service asks for.
enum Work {
    Attempt(Attempt),
    /// The first token of a connection.
    Authorize(Authorize),
    /// A request whose answer is wanted.
    Request(Asker, Request),
}

/// An attempt that a service asks for.
enum Attempt {
    OfTopic(sns::deliveries::Attempt),
    OfRule(eventbridge::deliveries::Attempt),
}

impl Attempt {
    fn owner(&self) -> Owner {
        match self {
            Attempt::OfTopic(_) => Owner::Topics,
            Attempt::OfRule(_) => Owner::Buses,
        }
    }

    fn number(&self) -> u64 {
        match self {
            Attempt::OfTopic(attempt) => attempt.number,
            Attempt::OfRule(attempt) => attempt.number,
        }
    }

    fn parcel(&self) -> Extent {
        match self {
            Attempt::OfTopic(attempt) => attempt.parcel,
            Attempt::OfRule(attempt) => attempt.parcel,
        }
    }

    /// How often it was tried before.
    fn before(&self) -> u32 {
        match self {
            Attempt::OfTopic(attempt) => attempt.attempts,
            Attempt::OfRule(attempt) => attempt.attempts,
        }
    }

    /// Why the attempt cannot be made, if that is known already.
    fn closed(&self) -> Option<End> {
        match self {
            Attempt::OfRule(eventbridge::deliveries::Attempt {
                way: Way::Closed(outcome, reason), ..
            }) => Some(End::new(*outcome, *reason)),
            _ => None,
        }
    }

    fn pack(
        &self,
        tools: &Tools,
        signer: &dyn Signer,
        head: &[u8],
        tail: &Bytes,
    ) -> Result<delivery::Parcel, Malformed> {
        match self {
            Attempt::OfTopic(attempt) => pack(tools, signer, attempt, head, tail),
            Attempt::OfRule(attempt) => pack_event(tools, attempt, head, tail),
        }
    }
}

/// Who is told of an attempt's end.
#[derive(Clone, Copy)]
enum Owner {
    Topics,
    Buses,
}

impl Owner {
    /// Reports the end of an attempt: how, why, and the parcel unless it arrived.
    fn report(self, engine: &Handle, number: u64, end: End, parcel: Option<(Bytes, Bytes)>) {
        let event = match self {
            Owner::Topics => Event::Sns(sns::Event::Delivered { number, outcome: end.outcome, parcel }),
            Owner::Buses => Event::Eventbridge(eventbridge::Event::Delivered { number, end, parcel }),
        };
        engine.put(Message::Input(Input::Event(event)));
    }
}

/// The parts for making an attempt.
pub struct Tools {
    /// Delivers parcels.
    pub carrier: Carrier,
    /// Reads the records.
    pub reader: Reader,
    /// Computes ids.
    pub secret: Arc<OnceLock<Secret>>,
    /// Signs.
    pub signing: Arc<Signing>,
    /// Stores failures.
    pub failures: Arc<Failures>,
    /// Damage on disk that was found.
    pub damages: Arc<Damages>,
    /// Gets the results.
    pub engine: Handle,
    /// The clock.
    pub clock: Arc<Clock>,
    /// The memory budget of attempts.
    pub budget: Budget,
}

impl Deliverer {
    /// Creates a deliverer without attempts.
    pub fn new(tools: Tools) -> Self {
        Deliverer { tools: Arc::new(tools), work: Mutex::default() }
    }

    /// Stores that somebody does not get a message.
    pub fn undelivered(&self, undelivered: &Undelivered) {
        self.tools.failures.put(&Failure {
            message_id: undelivered.message_id.as_deref().unwrap_or_default(),
            topic_arn: undelivered.published_to.as_deref(),
            subscription_arn: Some(&undelivered.sender_arn),
            protocol: &undelivered.protocol,
            destination: &undelivered.destination,
            delivery: None,
            at: undelivered.at,
            attempt: undelivered.attempts,
            status: None,
            reason: &undelivered.reason,
            is_dead_letter: undelivered.is_dead_letter,
        });
    }

    /// Makes an attempt to deliver a message of a topic. Its result returns as a message to the engine.
    pub fn deliver(&self, attempt: sns::deliveries::Attempt) {
        self.begin(Work::Attempt(Attempt::OfTopic(attempt)));
    }

    /// The same for an event of a rule.
    pub fn deliver_event(&self, attempt: eventbridge::deliveries::Attempt) {
        self.begin(Work::Attempt(Attempt::OfRule(attempt)));
    }

    /// Fetches the first token of a connection. The result returns as a message to the engine.
    pub fn authorize(&self, authorize: Authorize) {
        self.begin(Work::Authorize(authorize));
    }

    /// Sends a request. Its answer returns as a message to the engine.
    pub fn request(&self, asker: Asker, request: Request) {
        self.begin(Work::Request(asker, request));
    }

    fn begin(&self, work: Work) {
        // The data under this lock is always valid, also after a panic.
        let mut thread = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let started = match thread.take() {
            Some(thread) => Ok(thread),
            None => start(self.tools.clone()),
        };
        match started {
            // The thread ends only after its sender is dropped.
            Ok(started) => {
                let _ = started.send(work);
                *thread = Some(started);
            }
            Err(error) => {
                error!("cannot start the delivery thread: {error}");
                let engine = &self.tools.engine;
                match work {
                    Work::Attempt(attempt) => {
                        let end = End::new(Outcome::Failed, error.to_string());
                        attempt.owner().report(engine, attempt.number(), end, None);
                    }
                    Work::Authorize(authorize) => report_token(engine, authorize, Err(error.to_string())),
                    Work::Request(asker, _) => asker.report(engine, Answer::None(error.to_string())),
                }
            }
        }
    }
}

fn start(tools: Arc<Tools>) -> std::io::Result<mpsc::UnboundedSender<Work>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    let (sender, mut all) = mpsc::unbounded_channel::<Work>();
    std::thread::Builder::new().name("deliverer".into()).spawn(move || {
        let _alarm = Alarm::new(&tools.engine, "the deliverer's thread");
        runtime.block_on(async {
            let authorizing = Arc::new(tokio::sync::Semaphore::new(AUTHORIZATIONS));
            let turns = Arc::new(Turns::default());
            while let Some(work) = all.recv().await {
                sabotage::point("deliverer");
                match work {
                    // The engine bounds the number of concurrent attempts.
                    Work::Attempt(attempt) => drop(tokio::spawn(make(tools.clone(), attempt))),
                    Work::Authorize(connection) => {
                        drop(tokio::spawn(authorize(tools.clone(), authorizing.clone(), connection)));
                    }
                    // The services bound the number of their requests.
                    Work::Request(asker, request) => {
                        drop(tokio::spawn(requests::ask(tools.clone(), turns.clone(), asker, request)));
                    }
                }
            }
        });
    })?;
    Ok(sender)
}

/// An attempt in progress. Its result is always reported, even if its task panics. Without a report it would
/// occupy its place among the concurrent attempts for ever.
struct UnderWay {
    engine: Handle,
    owner: Owner,
    number: u64,
    told: bool,
}

impl UnderWay {
    fn ends(self, outcome: Outcome, reason: &str, parcel: Option<(Bytes, Bytes)>) {
        self.ends_so(End::new(outcome, reason), parcel);
    }

    fn ends_so(mut self, end: End, parcel: Option<(Bytes, Bytes)>) {
        self.told = true;
        self.owner.report(&self.engine, self.number, end, parcel);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.told {
            // It panicked: another attempt may succeed, and after the last one the delivery is over.
            self.owner.report(&self.engine, self.number, End::new(Outcome::Failed, ""), None);
        }
    }
}

async fn make(tools: Arc<Tools>, attempt: Attempt) {
    let (number, before, extent) = (attempt.number(), attempt.before(), attempt.parcel());
    let under_way = UnderWay { engine: tools.engine.clone(), owner: attempt.owner(), number, told: false };
    sabotage::point("attempt");
    // Memory for the record, the envelope and the request. The engine bounds how many attempts wait for it.
    let room = tools.budget.take(extent.len as usize * 3, FOR_EVER).await;
    let (head, tail) = match read(&tools.reader, extent).await {
        Ok(record) => record,
        // The record was written forward meanwhile, or the delivery is over.
        Err(ReadError::Gone) => return under_way.ends(Outcome::NotMade, "", None),
        Err(ReadError::Damaged(damage)) => {
            tools.damages.put(&damage);
            return under_way.ends(Outcome::Unreadable, "", None);
        }
        Err(error) => {
            error!("delivery {number} cannot be read: {error}");
            return under_way.ends(Outcome::Failed, "the event cannot be read", None);
        }
    };
    if let Some(end) = attempt.closed() {
        return under_way.ends_so(end, Some((head, tail)));
    }
    let packed = {
        let (with, head, tail) = (tools.clone(), head.clone(), tail.clone());
        let made = move |signer: &dyn Signer| attempt.pack(&with, signer, &head, &tail);
        tools.signing.make(made).await
    };
    let parcel = match packed {
        Some(Ok(parcel)) => parcel,
        // The device was deleted or is disabled; or the record is malformed, which the engine finds, too.
        Some(Err(Malformed)) => {
            return under_way.ends(Outcome::Refused, "the message is malformed", Some((head, tail)));
        }
        None => return under_way.ends(Outcome::Failed, "the message cannot be signed", Some((head, tail))),
    };
    let end = match tools.carrier.carry(&parcel).await {
        delivery::Outcome::Delivered { .. } => End::new(Outcome::Delivered, ""),
        delivery::Outcome::Failed { permanent, status, reason, cause, retry_after } => {
            let (at, attempt) = (tools.clock.now(), before + 1);
            let origin = &parcel.origin;
            tools.failures.put(&Failure {
                message_id: &origin.message_id,
                topic_arn: origin.topic_arn.as_deref(),
                subscription_arn: origin.subscription_arn.as_deref().or(origin.rule_arn.as_deref()),
                protocol: parcel.payload.protocol(),
                destination: parcel.payload.endpoint(),
                delivery: Some(number),
                at,
                attempt,
                status,
                reason: &reason,
                // This is known only after the engine has the result.
                is_dead_letter: false,
            });
            End {
                outcome: if permanent { Outcome::Refused } else { Outcome::Failed },
                reason,
                cause: cause_of(cause),
                retry_after: retry_after.map(|after| after.as_millis().try_into().unwrap_or(u64::MAX)),
            }
        }
    };
    let letter = (end.outcome != Outcome::Delivered).then_some((head, tail));
    drop(room);
    under_way.ends_so(end, letter);
}

fn cause_of(cause: delivery::Cause) -> Cause {
    match cause {
        delivery::Cause::Other => Cause::Unknown,
        delivery::Cause::Answered => Cause::Answered,
        delivery::Cause::Throttled => Cause::Throttled,
        delivery::Cause::TimedOut => Cause::TimedOut,
        delivery::Cause::Unreachable => Cause::Unreachable,
    }
}

/// Fetches the first token of a connection.
async fn authorize(tools: Arc<Tools>, authorizing: Arc<tokio::sync::Semaphore>, connection: Authorize) {
    // The semaphore is never closed.
    let _permit = authorizing.acquire_owned().await;
    let (with, request) = (tools.clone(), token_request(&connection.request));
    // Its result is always reported, even if it panics.
    let fetched = tokio::spawn(async move { with.carrier.authorize(&request).await }).await;
    let result = fetched.unwrap_or_else(|_| Err("the token cannot be fetched".to_owned()));
    report_token(&tools.engine, connection, result);
}

fn report_token(engine: &Handle, authorize: Authorize, result: Result<(), String>) {
    let Authorize { connection, request } = authorize;
    let event = eventbridge::Event::Authorized { connection, version: request.version, result };
    engine.put(Message::Input(Input::Event(Event::Eventbridge(event))));
}

async fn read(reader: &Reader, extent: Extent) -> Result<(Bytes, Bytes), ReadError> {
    let mut records = match reader.try_read_many(&[extent]) {
        Ok(records) => records,
        Err(_) => {
            let reader = reader.clone();
            let read = tokio::task::spawn_blocking(move || reader.read_many(&[extent]));
            read.await.map_err(|_| ReadError::Gone)?
        }
    };
    let record = records.pop().ok_or(ReadError::Gone)??;
    Ok((record.head, record.tail))
}
