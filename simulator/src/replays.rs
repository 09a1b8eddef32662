//! Replays of archives: the messages that each must send to its subscription, and those that it has sent.

use kernel::{Position, Time};

use crate::history::Check;
use crate::publishing::{Publish, Standing};
use crate::topics::SHORTEST_ARCHIVE;

/// A replay that a client has requested.
#[derive(Debug)]
pub struct Replay {
    /// The id of its subscription.
    pub subscription: u64,
    /// The number that distinguishes this replay and its copies from other replays of the subscription.
    pub began: u64,
    /// The beginning of its window.
    pub from: Time,
    /// The end of its window, if it has one.
    pub to: Option<Time>,
    /// The end of the log after the request; `None` if the request is on disk.
    asked: Option<Position>,
    /// The server has died since, so the request may be lost.
    pub in_doubt: bool,
    /// The publishes that it must send, if they were accepted.
    owed: Vec<usize>,
    /// The messages that it has sent, in order.
    handed: Vec<Handed>,
}

/// A message that a replay has passed.
#[derive(Debug)]
struct Handed {
    publish: usize,
    /// Its number in the archive.
    number: u64,
    /// The message that a queue got; `None` if the filter did not match, or there was no queue.
    message: Option<usize>,
    /// The end of the log then.
    end: Position,
    /// Whether the server has not restarted since.
    of_this_life: bool,
    /// Whether a queue's copy of it is certainly on disk.
    certain: bool,
}

impl Replay {
    /// Notes a requested replay; `end` is the end of the log after the request.
    pub fn new(subscription: u64, began: u64, (from, to): (Time, Option<Time>), end: Position) -> Self {
        let (owed, handed) = (Vec::new(), Vec::new());
        Replay { subscription, began, from, to, asked: Some(end), in_doubt: false, owed, handed }
    }

    /// Returns whether a publish at that time is in its window.
    pub fn covers(&self, at: Time) -> bool {
        self.from <= at && self.to.is_none_or(|to| at <= to)
    }

    /// Notes a publish during the replay, which must be sent in its order.
    pub fn owe(&mut self, publish: usize) {
        self.owed.push(publish);
    }

    /// The server has died; its log was durable at least up to here.
    pub fn crashed(&mut self, durable: Position) {
        self.in_doubt |= self.asked.take().is_some_and(|asked| asked > durable);
        for handed in self.handed.iter_mut().filter(|handed| handed.of_this_life) {
            handed.of_this_life = false;
            handed.certain = handed.message.is_some() && handed.end <= durable;
        }
    }

    /// It passes the message with this number. Returns the messages that it sent before a crash and that no
    /// crash has kept, because it has returned to them.
    /// over, since it has come back to them.
    pub fn comes_by(
        &mut self,
        publishes: &[Publish],
        publish: usize,
        number: u64,
        now: Time,
    ) -> Result<Vec<usize>, String> {
        let mut lost = Vec::new();
        while let Some(handed) = self.handed.pop_if(|handed| handed.number >= number) {
            if handed.of_this_life || handed.certain {
                return Err(format!("publish {publish} is replayed after {handed:?}"));
            }
            lost.extend(handed.message);
        }
        let after = self.handed.last().map_or(0, |handed| handed.number);
        let is_passed_over = |&&owed: &&usize| {
            let owed = &publishes[owed];
            is_kept(owed, now) && owed.number.is_some_and(|owed| after < owed && owed < number)
        };
        match self.owed.iter().find(is_passed_over) {
            Some(owed) => {
                Err(format!("publish {publish} is replayed, and {owed} was not, which came before"))
            }
            None => Ok(lost),
        }
    }

    /// It has sent this message.
    pub fn hand_on(&mut self, publish: usize, number: u64, message: Option<usize>, end: Position) {
        self.handed.push(Handed { publish, number, message, end, of_this_life: true, certain: false });
    }

    /// Checks that nothing is left to send at this time.
    pub fn check(&self, publishes: &[Publish], now: Time) -> Check {
        let is_missing = |&&owed: &&usize| {
            is_kept(&publishes[owed], now) && self.handed.iter().all(|handed| handed.publish != owed)
        };
        match self.owed.iter().find(is_missing) {
            Some(owed) => Err(format!(
                "the replay of subscription {} since {} has not come by publish {owed}",
                self.subscription, self.began
            )),
            None => Ok(()),
        }
    }

    /// Returns its messages that queues got.
    pub fn messages(&self) -> impl Iterator<Item = usize> + '_ {
        self.handed.iter().filter_map(|handed| handed.message)
    }
}

/// Whether a publish is certainly accepted, and certainly in the archive.
fn is_kept(publish: &Publish, now: Time) -> bool {
    publish.standing == Standing::Accepted
        && publish.archived
        && !publish.archive_given_up
        && publish.at + SHORTEST_ARCHIVE > now
}
