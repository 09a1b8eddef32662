//! Publishes, replays and failed deliveries, and the messages that queues may have from them.

use std::collections::BTreeMap;

use collections::dedup::WINDOW_MILLIS;
use kernel::{Position, Time};
use sqs::{QueueId, Seq};

use super::{Check, History, Standing};
use crate::publishing::{self, Publish, Publishing};
use crate::replays::Replay;
use crate::topics::TOPICS;

impl History {
    /// A client requests a publish. The copies and deliveries are added afterwards.
    pub fn publish(&mut self, publish: Publish) {
        self.publishing.publishes.push(publish);
    }

    /// This message, which was just sent, is the copy of a publish for a subscription.
    pub fn copy(&mut self, publish: usize, subscription: u64, message: usize, raw: bool) {
        self.messages[message].publish = Some(publish);
        self.publishing.publishes[publish].copies.push(message);
        self.publishing.copies.insert((publish, subscription), (message, raw));
    }

    /// The publish was refused.
    pub fn publish_refused(&mut self, publish: usize) {
        self.end_publish(publish, publishing::Standing::Refused, Standing::Refused);
    }

    fn end_publish(&mut self, publish: usize, standing: publishing::Standing, of_copies: Standing) {
        let publish = &mut self.publishing.publishes[publish];
        publish.standing = standing;
        for &copy in &publish.copies {
            self.messages[copy].standing = of_copies;
        }
    }

    /// The client got the answer that it was published, with this number.
    pub fn published(&mut self, publish: usize, number: u64) -> Check {
        let all = &self.publishing.publishes;
        let this = &all[publish];
        let mut of_batch = all[..publish].iter().rev().take(10);
        if number < this.next_seq
            || of_batch.any(|other| other.next_seq == this.next_seq && other.number == Some(number))
        {
            let originals: Vec<usize> = (0..publish)
                .filter(|&other| {
                    let other = &all[other];
                    other.topic == this.topic
                        && other.deduplication.is_some()
                        && other.number.is_none_or(|known| known == number)
                        && other.deduplication == this.deduplication
                        && other.next_seq <= number
                        && matches!(
                            other.standing,
                            publishing::Standing::Doubt | publishing::Standing::Accepted
                        )
                        && this.at - other.at < WINDOW_MILLIS
                })
                .collect();
            let known = originals.iter().any(|&original| all[original].number == Some(number));
            self.end_publish(publish, publishing::Standing::Duplicate, Standing::Duplicate);
            return match originals[..] {
                [] => Err(format!("publish {publish} got {number}, which was taken already")),
                // The publish in doubt did happen.
                [original] if !known => {
                    self.publishing.publishes[original].number = Some(number);
                    self.accept_publish(original)
                }
                _ => Ok(()),
            };
        }
        if Seq(number) <= self.highest {
            return Err(format!("publish {publish} got {number} after {:?} was told", self.highest));
        }
        self.highest = Seq(number);
        self.publishing.publishes[publish].number = Some(number);
        self.accept_publish(publish)
    }

    /// A publish happened: all takers have it.
    pub fn accept_publish(&mut self, publish: usize) -> Check {
        let publish = &mut self.publishing.publishes[publish];
        if publish.standing == publishing::Standing::Accepted {
            return Ok(());
        }
        publish.standing = publishing::Standing::Accepted;
        for copy in publish.copies.clone() {
            self.accept(copy)?;
        }
        Ok(())
    }

    /// It exists with this number.
    pub fn publish_seen(&mut self, publish: usize, number: u64) -> Check {
        let known = self.publishing.publishes.get_mut(publish).ok_or("nobody has published it")?;
        if known.number.is_some_and(|told| told != number) {
            return Err(format!("publish {publish} was told to be {:?}, and is {number}", known.number));
        }
        known.number = Some(number);
        self.accept_publish(publish)
    }

    /// A client requests a replay, or repeats the request because the server has died before it recorded the
    /// first.
    pub fn replay_asked(&mut self, replay: Replay) -> Check {
        let key = (replay.subscription, replay.began);
        self.forget_replays(|other| (other.subscription, other.began) == key)?;
        self.publishing.replays.push(replay);
        Ok(())
    }

    /// After a start these are all existing replays, the latest of each subscription. Later ones that were in
    /// doubt are lost.
    pub fn forget_lost_replays(&mut self, known: &BTreeMap<u64, u64>) -> Check {
        let is_lost = |replay: &Replay| {
            let latest = known.get(&replay.subscription);
            replay.in_doubt && latest.is_none_or(|&latest| latest < replay.began)
        };
        self.forget_replays(is_lost)?;
        self.publishing.replays.iter_mut().for_each(|replay| replay.in_doubt = false);
        Ok(())
    }

    fn forget_replays(&mut self, which: impl Fn(&Replay) -> bool) -> Check {
        let lost = self.publishing.replays.extract_if(.., |replay| which(replay));
        let lost: Vec<usize> = lost.flat_map(|replay| replay.messages().collect::<Vec<_>>()).collect();
        lost.into_iter().try_for_each(|message| self.take_back(message))
    }

    /// Returns the replay of a subscription that began with this number.
    pub fn replay(&mut self, subscription: u64, began: u64) -> Option<&mut Replay> {
        let mut all = self.publishing.replays.iter_mut();
        all.find(|replay| replay.subscription == subscription && replay.began == began)
    }

    /// A replay passes a message.
    pub fn replay_comes_by(
        &mut self,
        (subscription, began): (u64, u64),
        publish: usize,
        number: u64,
        now: Time,
    ) -> Check {
        let Publishing { replays, publishes, .. } = &mut self.publishing;
        let mut all = replays.iter_mut();
        let replay = all.find(|replay| replay.subscription == subscription && replay.began == began);
        let lost = replay.ok_or("nobody has asked for it")?.comes_by(publishes, publish, number, now)?;
        lost.into_iter().try_for_each(|message| self.take_back(message))
    }

    /// A message was not written before the server died.
    fn take_back(&mut self, message: usize) -> Check {
        if self.messages[message].standing == Standing::Accepted {
            return Err(format!("message {message} is there, and its replay does not know it"));
        }
        self.refused(message);
        Ok(())
    }

    /// This message, which was just sent, was sent to a queue by a replay. The end of the log is then `end`.
    pub fn replay_copy(
        &mut self,
        (subscription, began): (u64, u64),
        publish: usize,
        message: usize,
        raw: bool,
        end: Position,
    ) {
        self.messages[message].publish = Some(publish);
        self.publishing.replayed.insert((publish, subscription, began), (message, raw));
        self.letters.push((end, message));
    }

    /// When nothing is left to do, checks that a replay has progressed as far as possible.
    pub fn check_replay(&self, subscription: u64, began: u64, now: Time) -> Check {
        let mut all = self.publishing.replays.iter();
        let replay = all.find(|replay| replay.subscription == subscription && replay.began == began);
        replay.ok_or("a replay goes on that nobody has asked for")?.check(&self.publishing.publishes, now)
    }

    /// A delivery was given up at `now`; the end of the log is then `end`. Its dead letter is in a queue.
    pub fn letter(&mut self, delivery: usize, letter: usize, end: Position) {
        let delivery = &mut self.publishing.deliveries[delivery];
        delivery.letter = Some(letter);
        self.letters.push((end, letter));
    }

    /// The log is durable up to here.
    pub fn durable(&mut self, durable: Position) -> Check {
        self.publishing.durable(durable);
        let (there, waiting) =
            std::mem::take(&mut self.letters).into_iter().partition(|&(end, _)| end <= durable);
        self.letters = waiting;
        let there: Vec<(Position, usize)> = there;
        there.into_iter().try_for_each(|(_, letter)| self.accept(letter))
    }

    /// The same letter is written again, because it was lost with the end of its delivery.
    pub fn letter_again(&mut self, letter: usize, queue_id: QueueId, sent: Time) -> Check {
        let message = &mut self.messages[letter];
        if message.standing == Standing::Accepted {
            return Err(format!("message {letter} is a dead letter twice"));
        }
        (message.queue_id, message.sent, message.standing) = (queue_id, sent, Standing::Asked);
        // Later purges did not affect it.
        (message.gone, message.doubtful) = (None, 0);
        Ok(())
    }

    /// A request declared this state of a topic.
    pub fn declare_topic(&mut self, topic: usize, ticket: u64, state: String) {
        self.topics.entry(topic).or_insert_with(|| vec![(0, "none".into())]).push((ticket, state));
    }

    /// The request was answered.
    pub fn declared_topic(&mut self, topic: usize, ticket: u64) {
        if let Some(states) = self.topics.get_mut(&topic)
            && let Some(at) = states.iter().position(|&(other, _)| other == ticket)
        {
            states.drain(..at);
        }
    }

    /// The state of a topic after a start.
    pub fn found_topic(&mut self, topic: usize, state: String) -> Check {
        let states = self.topics.entry(topic).or_insert_with(|| vec![(0, "none".into())]);
        if states.iter().all(|(_, other)| *other != state) {
            let name = TOPICS[topic].name;
            return Err(format!("topic {name} is {state}, which is none of what was asked for: {states:#?}"));
        }
        *states = vec![(0, state)];
        Ok(())
    }
}
