//! Records of streams: they are read here, from the store for retained data and from the log, and sent.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Response;
use journal::ReadError;
use kernel::Refusal;
use kernel::retained::{From, Limits};
use kinesis::operations::subscribe_to_shard::{ReadOn, event};
use kinesis::operations::{self, Reply as Replied};
use kinesis::reading::{Gathered, Reading};
use kinesis::subscriptions::Cursor;
use machine::{Command, Reply};
use tracing::error;
use wire::Exchange;

use api::kinesis as shapes;
use api::kinesis::SubscribeToShardEventStream as Event;

use crate::budget::Lease;
use crate::lines::{Line, More, PIECE};
use crate::mailbox::ask;
use crate::web::{Desk, PATIENCE, internal, no_room};

/// How often records are looked for again that went elsewhere between the decision and the read.
const ATTEMPTS: usize = 5;

/// Bytes of one page of the store.
const PAGE_BYTES: usize = 1 << 20;

/// Bytes of a record in the longest of the formats in which it is sent, with itself, for each of its bytes.
const AROUND: usize = 3;

/// Memory for a record in parts, which can be as long as a request.
const LONG: usize = AROUND * kinesis::limits::REQUEST_BYTES;

/// A subscription that has begun, and how its client is answered.
#[derive(Clone)]
pub struct Subscribed {
    cursor: Box<Cursor>,
    exchange: Exchange,
}

/// Returns the beginning of a subscription's answer. Events follow it.
pub fn begin(cursor: Box<Cursor>, exchange: &Exchange) -> Response<Bytes> {
    let response = shapes::Response::SubscribeToShard(shapes::SubscribeToShardOutput {});
    let mut answer = exchange.answer(&wire::Response::Kinesis(response));
    answer.extensions_mut().insert(Subscribed { cursor, exchange: exchange.clone() });
    answer
}

/// What became of a read.
enum Read {
    /// The records, and the memory that is reserved for them.
    Done(Box<Gathered>, Option<Lease>),
    /// Something lies elsewhere by now: the decision is asked for again.
    Moved,
    /// There is no memory.
    NoRoom,
}

impl Desk {
    /// Answers a command whose answer has records.
    pub async fn show_records(
        &self,
        command: &operations::Command,
        plan: &operations::Plan,
        exchange: &Exchange,
        line: &Rc<Line>,
    ) -> Response<Bytes> {
        for _ in 0..ATTEMPTS {
            let asked = Command::Kinesis(command.clone());
            let reading = match ask(&self.engine, &self.tickets, asked).await {
                Ok(Reply::Kinesis(Replied::Reading(reading))) => reading,
                Ok(_) => return exchange.refuse(&internal()),
                Err(refusal) => return exchange.refuse(&refusal),
            };
            match self.read_records(&reading, line).await {
                Ok(Read::Done(gathered, lease)) => {
                    let shown = operations::present(Replied::Reading(reading), plan, &Some(&gathered));
                    let Ok(response) = shown else { return exchange.refuse(&internal()) };
                    let mut answer = exchange.answer(&wire::Response::Kinesis(response));
                    if let Some(lease) = lease {
                        answer.extensions_mut().insert(Arc::new(lease));
                    }
                    return answer;
                }
                Ok(Read::Moved) => {}
                Ok(Read::NoRoom) => return no_room(exchange),
                Err(refusal) => return exchange.refuse(&refusal),
            }
        }
        exchange.refuse(&internal())
    }

    /// Reads what a decision wants.
    async fn read_records(&self, reading: &Reading, line: &Rc<Line>) -> Result<Read, Refusal> {
        let mut gathered = Box::new(Gathered::new(reading));
        let in_log: usize = reading.extents.iter().map(|(extent, _)| extent.len as usize * AROUND).sum();
        let in_store = if reading.page.is_some() { PAGE_BYTES * AROUND } else { 0 };
        let mut lease = None;
        if in_log + in_store > PIECE {
            lease = self.budget.take_of(line.share(), in_log + in_store, PATIENCE).await;
            if lease.is_none() {
                return Ok(Read::NoRoom);
            }
        }
        let mut next = reading.page;
        let mut has_jumped = false;
        while let Some(from) = next.take() {
            let page = self.page(reading, from).await?;
            for record in &page.records {
                if gathered.take(reading, &record.head, &record.tail).is_err() {
                    error!("a record of a stream is malformed: {:?} in {:?}", record.place, reading.series);
                    gathered.skip(record.sequence);
                }
            }
            let Some(sequence) = page.next.filter(|_| !gathered.is_full()) else { break };
            if gathered.is_cut() {
                drop(lease.take());
                lease = self.budget.take_of(line.share(), LONG, PATIENCE).await;
                if lease.is_none() {
                    return Ok(Read::NoRoom);
                }
            } else if !gathered.records.is_empty() {
                // The rest comes with the next request.
                return Ok(Read::Done(gathered, lease));
            }
            next = match gathered.is_stale() && !has_jumped {
                true => Some(From::Time(reading.oldest)),
                false => Some(From::Sequence(sequence)),
            };
            has_jumped |= gathered.is_stale();
        }
        if !gathered.is_full() && !reading.extents.is_empty() {
            let read = self.read(reading.needs()).await?;
            for (&(_, last), record) in reading.extents.iter().zip(read) {
                match record {
                    Ok(record) => {
                        if gathered.take(reading, &record.head, &record.tail).is_err() {
                            error!("a record of a stream is malformed: {last} in {:?}", reading.series);
                            gathered.skip(last);
                        }
                    }
                    Err(ReadError::Gone) => return Ok(Read::Moved),
                    Err(ReadError::Damaged(damage)) => {
                        self.damages.put(&damage);
                        gathered.skip(last);
                    }
                    Err(error) => {
                        error!("records of a stream cannot be read: {error}");
                        return Err(internal());
                    }
                }
            }
        }
        gathered.finish(reading);
        Ok(Read::Done(gathered, lease))
    }

    /// Reads a page of the store, not on this thread: others wait for their answers.
    async fn page(&self, reading: &Reading, from: From) -> Result<retained::Page, Refusal> {
        let limits = Limits { records: reading.most, bytes: PAGE_BYTES };
        let (store, series) = (self.retained.clone(), reading.series);
        let read = tokio::task::spawn_blocking(move || store.forwards(series, from, limits)).await;
        match read {
            Ok(Ok(page)) => {
                page.damage.iter().for_each(|damage| self.admin.retained_damages.put(damage));
                Ok(page)
            }
            Ok(Err(error)) => {
                error!("reading the store for retained data: {error}");
                Err(internal())
            }
            Err(_) => Err(internal()),
        }
    }

    /// The events of a subscription. Each is made when the client has taken the one before.
    pub fn events(self: Rc<Self>, subscribed: Subscribed, line: Rc<Line>) -> More {
        More(Box::pin(async move {
            let Subscribed { mut cursor, exchange } = subscribed;
            let (frame, lease, position) = self.next_event(&cursor, &exchange, &line).await?;
            let more = match position {
                Some(position) => {
                    cursor.position = position;
                    self.events(Subscribed { cursor, exchange }, line)
                }
                None => More(Box::pin(std::future::ready(None))),
            };
            Some((frame, lease, more))
        }))
    }

    /// The next event as a frame with its memory, and where the subscription stands behind it; nowhere if it ends. Nothing if it has
    /// ended.
    async fn next_event(
        &self,
        cursor: &Cursor,
        exchange: &Exchange,
        line: &Rc<Line>,
    ) -> Option<(Bytes, Option<Lease>, Option<kinesis::rules::iterator::Position>)> {
        for _ in 0..ATTEMPTS {
            let read_on = operations::Command::ReadOn(ReadOn(Box::new(cursor.clone())));
            let refusal = match ask(&self.engine, &self.tickets, Command::Kinesis(read_on)).await {
                Ok(Reply::Kinesis(Replied::Reading(reading))) => {
                    match self.read_records(&reading, line).await {
                        Ok(Read::Done(gathered, lease)) => {
                            let (event, has_ended, position) = event(&reading, &gathered);
                            let frame = exchange.event(&Event::SubscribeToShardEvent(event)).ok()?;
                            return Some((frame, lease, (!has_ended).then_some(position)));
                        }
                        Ok(Read::Moved) => continue,
                        Ok(Read::NoRoom) => internal(),
                        Err(refusal) => refusal,
                    }
                }
                Ok(Reply::Kinesis(Replied::Ended(Some(refusal)))) => refusal,
                Ok(_) => return None,
                Err(refusal) => refusal,
            };
            return Some((interruption(exchange, &refusal)?, None, None));
        }
        Some((interruption(exchange, &internal())?, None, None))
    }
}

/// A refusal in the midst of events, as an event that the model has.
fn interruption(exchange: &Exchange, refusal: &Refusal) -> Option<Bytes> {
    let message = Some(refusal.message.clone().into_owned().into());
    let event = match refusal.shape {
        "ResourceInUseException" => Event::ResourceInUseException(shapes::ResourceInUseException { message }),
        "ResourceNotFoundException" => {
            Event::ResourceNotFoundException(shapes::ResourceNotFoundException { message })
        }
        _ => Event::InternalFailureException(shapes::InternalFailureException { message }),
    };
    exchange.event(&event).ok()
}
