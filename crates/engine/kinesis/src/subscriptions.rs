//! Subscriptions to shards (facts/kinesis.md §§ 5, 14): who reads on, and who waits for more.
//!
//! None of it is in the log: a subscription ends with the connection, and its client subscribes again from the last record that it has.
//! The server asks with [`ReadOn`](crate::operations::subscribe_to_shard::ReadOn) for what comes next, and waits here while there is nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kernel::{Series, Time};
use schedules::Timetable;

use crate::rules::iterator::Position;
use crate::{StreamKey, limits};

/// How far a subscription has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The subscription's number. Another of the same consumer to the same shard takes over.
    pub number: u64,
    /// The consumer's number.
    pub consumer: u64,
    /// The stream.
    pub stream: StreamKey,
    /// Its number.
    pub id: u64,
    /// The shard's number in the stream.
    pub shard: u32,
    /// The shard's series.
    pub series: Series,
    /// What comes next.
    pub position: Position,
    /// When the subscription ends.
    pub until: Time,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// The latest of each consumer to each shard: its number, and when it began.
    known: BTreeMap<(u64, Series), (u64, Time)>,
    count: u64,
    /// Requests for what comes next, while there is nothing.
    waiting: BTreeMap<u64, (Cursor, Time)>,
    by_series: BTreeMap<Series, BTreeSet<u64>>,
    heartbeats: Timetable<u64>,
    /// Requests that are to be answered.
    ready: BTreeMap<u64, Cursor>,
    /// New subscriptions that are to be answered.
    opened: VecDeque<(u64, Cursor)>,
    is_stopping: bool,
}

/// What is to be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answered {
    Opened(u64, Cursor),
    ReadOn(u64, Cursor),
}

impl Subscriptions {
    /// When the latest subscription of a consumer to a shard began.
    pub(crate) fn began(&self, consumer: u64, series: Series) -> Option<Time> {
        self.known.get(&(consumer, series)).map(|&(_, began)| began)
    }

    /// Whether a subscription is the latest of its consumer to its shard.
    pub(crate) fn is_latest(&self, cursor: &Cursor) -> bool {
        let known = self.known.get(&(cursor.consumer, cursor.series));
        known.is_some_and(|&(number, _)| number == cursor.number)
    }

    /// Whether the server is about to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping
    }

    /// A consumer has subscribed.
    pub(crate) fn open(&mut self, ticket: u64, mut cursor: Cursor, now: Time) {
        self.known.retain(|_, (_, began)| *began + limits::SUBSCRIPTION_MILLIS > now);
        self.count += 1;
        cursor.number = self.count;
        self.known.insert((cursor.consumer, cursor.series), (cursor.number, now));
        // The one before hears that it has been replaced.
        self.wake(cursor.series);
        self.opened.push_back((ticket, cursor));
    }

    /// A subscriber waits for what comes next.
    pub(crate) fn wait(&mut self, ticket: u64, cursor: Cursor, until: Time) {
        self.heartbeats.set(until, ticket);
        self.by_series.entry(cursor.series).or_default().insert(ticket);
        self.waiting.insert(ticket, (cursor, until));
    }

    /// A shard has something new for all that wait for it.
    pub(crate) fn wake(&mut self, series: Series) {
        for ticket in self.by_series.remove(&series).unwrap_or_default() {
            self.release(ticket);
        }
    }

    /// A consumer is gone.
    pub(crate) fn consumer_gone(&mut self, consumer: u64) {
        self.known.retain(|&(of, _), _| of != consumer);
        let theirs = self.waiting.iter().filter(|(_, (cursor, _))| cursor.consumer == consumer);
        let tickets: Vec<u64> = theirs.map(|(&ticket, _)| ticket).collect();
        tickets.into_iter().for_each(|ticket| self.release(ticket));
    }

    fn forget(&mut self, ticket: u64) -> Option<Cursor> {
        let (cursor, until) = self.waiting.remove(&ticket)?;
        self.heartbeats.clear(until, ticket);
        if let Some(tickets) = self.by_series.get_mut(&cursor.series) {
            tickets.remove(&ticket);
            if tickets.is_empty() {
                self.by_series.remove(&cursor.series);
            }
        }
        Some(cursor)
    }

    fn release(&mut self, ticket: u64) {
        if let Some(cursor) = self.forget(ticket) {
            self.ready.insert(ticket, cursor);
        }
    }

    /// The client of a request has gone. Returns whether it waited.
    pub(crate) fn gone(&mut self, ticket: u64) -> bool {
        let opened = self.opened.len();
        self.opened.retain(|(other, _)| *other != ticket);
        let was_ready = self.ready.remove(&ticket).is_some();
        self.forget(ticket).is_some() || was_ready || self.opened.len() < opened
    }

    /// The server is about to stop.
    pub(crate) fn stop(&mut self) {
        self.is_stopping = true;
        let tickets: Vec<u64> = self.waiting.keys().copied().collect();
        tickets.into_iter().for_each(|ticket| self.release(ticket));
    }

    pub(crate) fn advance(&mut self, now: Time, room: &mut usize) {
        self.heartbeats.advance(now, room);
        while let Some(ticket) = self.heartbeats.take() {
            self.release(ticket);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.heartbeats.next()
    }

    /// Whether somebody is to be answered, or will be at `now`.
    pub(crate) fn is_behind(&self, now: Time) -> bool {
        self.owes_answers() || self.heartbeats.falls_due(now)
    }

    pub(crate) fn owes_answers(&self) -> bool {
        !self.ready.is_empty() || !self.opened.is_empty()
    }

    /// Who is to be answered next.
    pub(crate) fn next_answered(&mut self) -> Option<Answered> {
        if let Some((ticket, cursor)) = self.opened.pop_front() {
            return Some(Answered::Opened(ticket, cursor));
        }
        self.ready.pop_first().map(|(ticket, cursor)| Answered::ReadOn(ticket, cursor))
    }
}
