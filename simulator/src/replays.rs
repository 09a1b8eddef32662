//! Replays of what topics keep: which messages each owes its subscription, and which it has handed on.

use kernel::{Position, Time};

use crate::history::Check;
use crate::publishing::{Publish, Standing};
use crate::topics::SHORTEST_ARCHIVE;

/// A replay that a client has asked for.
#[derive(Debug)]
pub struct Replay {
    /// The number of its subscription.
    pub subscription: u64,
    /// The number that tells it from other replays of the subscription, and its copies from theirs.
    pub began: u64,
    /// It is about what was published from then on.
    pub from: Time,
    /// Until then, if it ends.
    pub to: Option<Time>,
    /// Where the log ended when it had been asked for; nothing if it is on disk.
    asked: Option<Position>,
    /// The server has died since, and it may never have been asked for.
    pub in_doubt: bool,
    /// What it must hand on, if that was published after all.
    owed: Vec<usize>,
    /// What it has handed on, in that order.
    handed: Vec<Handed>,
}

/// Something that a replay has come by.
#[derive(Debug)]
struct Handed {
    publish: usize,
    /// Its number in the archive.
    number: u64,
    /// The message that a queue got; none if the filter did not want it, or there was no queue.
    message: Option<usize>,
    /// Where the log ended then.
    end: Position,
    /// Whether the server that did so still lives.
    of_this_life: bool,
    /// Whether a queue's copy of it is on disk for certain.
    certain: bool,
}

impl Replay {
    /// A replay that was asked for; the log ends at `end` with that.
    pub fn new(subscription: u64, began: u64, (from, to): (Time, Option<Time>), end: Position) -> Self {
        let (owed, handed) = (Vec::new(), Vec::new());
        Replay { subscription, began, from, to, asked: Some(end), in_doubt: false, owed, handed }
    }

    /// Whether what was published at that moment is in its window.
    pub fn covers(&self, at: Time) -> bool {
        self.from <= at && self.to.is_none_or(|to| at <= to)
    }

    /// This is published while the replay goes on, and is to come in its turn.
    pub fn owe(&mut self, publish: usize) {
        self.owed.push(publish);
    }

    /// The server has died; its log was durable up to here, at least.
    pub fn crashed(&mut self, durable: Position) {
        self.in_doubt |= self.asked.take().is_some_and(|asked| asked > durable);
        for handed in self.handed.iter_mut().filter(|handed| handed.of_this_life) {
            handed.of_this_life = false;
            handed.certain = handed.message.is_some() && handed.end <= durable;
        }
    }

    /// It comes by the message of this number. Returns the messages that it handed on in an earlier life, but which no crash has left
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

    /// It has handed this on.
    pub fn hand_on(&mut self, publish: usize, number: u64, message: Option<usize>, end: Position) {
        self.handed.push(Handed { publish, number, message, end, of_this_life: true, certain: false });
    }

    /// Nothing is left to be done of it at this moment.
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

    /// The messages of it that queues got.
    pub fn messages(&self) -> impl Iterator<Item = usize> + '_ {
        self.handed.iter().filter_map(|handed| handed.message)
    }
}

/// Whether something was published for certain, and is in the archive for certain.
fn is_kept(publish: &Publish, now: Time) -> bool {
    publish.standing == Standing::Accepted
        && publish.archived
        && !publish.archive_given_up
        && publish.at + SHORTEST_ARCHIVE > now
}
