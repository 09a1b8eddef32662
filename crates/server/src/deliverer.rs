//! Deliveries that leave the building: each attempt that the engine asks for is made here, and its end is reported.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use delivery::Carrier;
use journal::{ReadError, Reader};
use kernel::codec::Malformed;
use kernel::{Extent, Secret};
use machine::{Event, Input};
use notification::Signer;
use sns::deliveries::{Attempt, Outcome};
use sns::fanout::Refused;
use tokio::sync::mpsc;
use tracing::error;

use crate::alarm::{Alarm, sabotage};
use crate::budget::Budget;
use crate::clock::Clock;
use crate::damage::Damages;
use crate::engine::{Handle, Message};
use crate::failures::{Failure, Failures};
use crate::packing::pack;
use crate::signing::Signing;

/// Threads for what blocks: reads of the disk, names that are looked up, signatures.
const BLOCKING_THREADS: usize = 64;

/// An attempt waits for room as long as it takes. (A timer takes no more.)
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Makes attempts, on a thread of its own that begins with the first one.
pub struct Deliverer {
    tools: Arc<Tools>,
    attempts: Mutex<Option<mpsc::UnboundedSender<Attempt>>>,
}

/// What an attempt is made with.
pub struct Tools {
    /// Hands over parcels.
    pub carrier: Carrier,
    /// Reads what is to be delivered.
    pub reader: Reader,
    /// Makes ids.
    pub secret: Arc<OnceLock<Secret>>,
    /// Signs.
    pub signing: Arc<Signing>,
    /// Remembers what failed.
    pub failures: Arc<Failures>,
    /// Damage on disk that was met.
    pub damages: Arc<Damages>,
    /// Hears how it went.
    pub engine: Handle,
    /// Says when it was.
    pub clock: Arc<Clock>,
    /// The memory that attempts may take.
    pub budget: Budget,
}

impl Deliverer {
    /// Nothing is under way.
    pub fn new(tools: Tools) -> Self {
        Deliverer { tools: Arc::new(tools), attempts: Mutex::default() }
    }

    /// Remembers that somebody did not take a message.
    pub fn refused(&self, refused: &Refused) {
        let tools = &self.tools;
        // Nothing is published before there is a secret.
        let Some(secret) = tools.secret.get() else { return };
        tools.failures.put(&Failure {
            message_id: &notification::message_id(secret, refused.message),
            topic_arn: Some(&refused.topic_arn),
            subscription_arn: Some(&refused.subscription_arn),
            protocol: &refused.protocol,
            destination: &refused.endpoint,
            delivery: None,
            at: refused.at,
            attempt: 1,
            status: None,
            reason: refused.reason,
            is_dead_letter: refused.is_dead_letter,
        });
    }

    /// Makes an attempt. Its end comes back as a message to the engine.
    pub fn deliver(&self, attempt: Attempt) {
        // Nothing under this lock can be left half done.
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let number = attempt.number;
        let thread = match attempts.take() {
            Some(thread) => Ok(thread),
            None => start(self.tools.clone()),
        };
        match thread {
            // The thread ends only with its sender.
            Ok(thread) => {
                let _ = thread.send(attempt);
                *attempts = Some(thread);
            }
            Err(error) => {
                error!("cannot start the delivery thread: {error}");
                report(&self.tools.engine, number, Outcome::Failed, None);
            }
        }
    }
}

fn start(tools: Arc<Tools>) -> std::io::Result<mpsc::UnboundedSender<Attempt>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    let (sender, mut attempts) = mpsc::unbounded_channel::<Attempt>();
    std::thread::Builder::new().name("deliverer".into()).spawn(move || {
        let _alarm = Alarm::new(&tools.engine, "the deliverer's thread");
        runtime.block_on(async {
            // The engine bounds how many are under way.
            while let Some(attempt) = attempts.recv().await {
                sabotage::point("deliverer");
                tokio::spawn(make(tools.clone(), attempt));
            }
        });
    })?;
    Ok(sender)
}

fn report(engine: &Handle, number: u64, outcome: Outcome, parcel: Option<(Bytes, Bytes)>) {
    let delivered = sns::Event::Delivered { number, outcome, parcel };
    engine.put(Message::Input(Input::Event(Event::Sns(delivered))));
}

/// An attempt that is under way: its end is told, whatever becomes of its task. An end that is never told would keep its place
/// among those that may be under way for ever.
struct UnderWay {
    engine: Handle,
    number: u64,
    told: bool,
}

impl UnderWay {
    fn ends(mut self, outcome: Outcome, parcel: Option<(Bytes, Bytes)>) {
        self.told = true;
        report(&self.engine, self.number, outcome, parcel);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.told {
            // It panicked: another attempt may do better, and after the last one it is over.
            report(&self.engine, self.number, Outcome::Failed, None);
        }
    }
}

async fn make(tools: Arc<Tools>, attempt: Attempt) {
    let (number, before) = (attempt.number, attempt.attempts);
    let under_way = UnderWay { engine: tools.engine.clone(), number, told: false };
    sabotage::point("attempt");
    // The record, the envelope that is made of it, and the request. The engine bounds how many wait for room.
    let room = tools.budget.take(attempt.parcel.len as usize * 3, FOR_EVER).await;
    let (head, tail) = match read(&tools.reader, attempt.parcel).await {
        Ok(record) => record,
        // It was written elsewhere meanwhile, or is over.
        Err(ReadError::Gone) => return under_way.ends(Outcome::NotMade, None),
        Err(ReadError::Damaged(damage)) => {
            tools.damages.put(&damage);
            return under_way.ends(Outcome::Unreadable, None);
        }
        Err(error) => {
            error!("delivery {number} cannot be read: {error}");
            return under_way.ends(Outcome::Failed, None);
        }
    };
    let packed = {
        let (with, head, tail) = (tools.clone(), head.clone(), tail.clone());
        let made = move |signer: &dyn Signer| pack(&with, signer, &attempt, &head, &tail);
        tools.signing.make(made).await
    };
    let parcel = match packed {
        Some(Ok(parcel)) => parcel,
        // The device has gone or is disabled; or the record is none, which the engine finds, too.
        Some(Err(Malformed)) => return under_way.ends(Outcome::Refused, Some((head, tail))),
        None => return under_way.ends(Outcome::Failed, Some((head, tail))),
    };
    let outcome = match tools.carrier.carry(&parcel).await {
        delivery::Outcome::Delivered { .. } => Outcome::Delivered,
        delivery::Outcome::Failed { permanent, status, reason } => {
            let (at, attempt) = (tools.clock.now(), before + 1);
            let origin = &parcel.origin;
            tools.failures.put(&Failure {
                message_id: &origin.message_id,
                topic_arn: origin.topic_arn.as_deref(),
                subscription_arn: origin.subscription_arn.as_deref(),
                protocol: parcel.payload.protocol(),
                destination: parcel.payload.endpoint(),
                delivery: Some(number),
                at,
                attempt,
                status,
                reason: &reason,
                // That is known only when the engine has heard of it.
                is_dead_letter: false,
            });
            if permanent { Outcome::Refused } else { Outcome::Failed }
        }
    };
    let letter = (outcome != Outcome::Delivered).then_some((head, tail));
    drop(room);
    under_way.ends(outcome, letter);
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
