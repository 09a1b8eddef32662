//! The publishes of clients, their takers, and the state of each delivery to an endpoint outside.

use std::collections::BTreeMap;

use kernel::{Position, Time};

use crate::history::Check;
use crate::replays::Replay;

/// Whether a publish was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The request has no answer yet.
    Asked,
    /// The request will get no answer, because the server died.
    Doubt,
    /// It was accepted: the client got the answer, or a taker got the message.
    Accepted,
    /// It was refused.
    Refused,
    /// It was treated as a duplicate of another publish.
    Duplicate,
}

/// A publish.
#[derive(Debug)]
pub struct Publish {
    /// The id of the topic at that time.
    pub topic: u64,
    /// Its deduplication id.
    pub deduplication: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// The text.
    pub body: String,
    /// The attribute that filters match.
    pub k: &'static str,
    /// Whether its topic had an archive for it.
    pub archived: bool,
    /// Whether its topic may have deleted the archived message since.
    pub archive_given_up: bool,
    /// The machine's time of the request.
    pub at: Time,
    /// The next number that the machine would have assigned.
    pub next_seq: u64,
    /// Whether it was accepted.
    pub standing: Standing,
    /// Its assigned number, if that is known.
    pub number: Option<u64>,
    /// The copies that queues must have.
    pub copies: Vec<usize>,
    /// The deliveries that endpoints must get.
    pub deliveries: Vec<usize>,
}

/// A delivery to an endpoint.
#[derive(Debug)]
pub struct Delivery {
    /// The publish.
    pub publish: usize,
    /// The id of the subscription.
    pub subscription: u64,
    /// Number of retries after the first attempt.
    pub retries: u32,
    /// Its number, after it was seen.
    pub number: Option<u64>,
    /// The end of the log after each failure since the start.
    failures: Vec<Position>,
    /// Failures before the start that cannot have been forgotten, and all of them.
    certain_failures: u32,
    possible_failures: u32,
    /// It is over when the log is durable up to here.
    ended: Option<Position>,
    /// Its end is on disk, so no start may find it again.
    over: bool,
    /// It may be over, because its end may have reached the disk before a crash.
    maybe_over: bool,
    /// Its subscription may be deleted.
    pub excused: bool,
    /// The message that is its dead letter.
    pub letter: Option<usize>,
}

/// All publishes, and their takers.
#[derive(Debug, Default)]
pub struct Publishing {
    /// By the number in their attribute.
    pub publishes: Vec<Publish>,
    /// Deliveries to endpoints outside.
    pub deliveries: Vec<Delivery>,
    /// The delivery of a publish to a subscription.
    by_subscription: BTreeMap<(usize, u64), usize>,
    /// The message of a publish for a subscription, and whether it is raw.
    pub copies: BTreeMap<(usize, u64), (usize, bool)>,
    /// The replays that clients have requested.
    pub replays: Vec<Replay>,
    /// As `copies` for replayed messages, also by the number with which the replay began.
    pub replayed: BTreeMap<(usize, u64, u64), (usize, bool)>,
}

impl Publishing {
    /// An endpoint must get a delivery.
    pub fn expect(&mut self, publish: usize, subscription: u64, retries: u32) {
        let index = self.deliveries.len();
        self.deliveries.push(Delivery {
            publish,
            subscription,
            retries,
            number: None,
            failures: Vec::new(),
            certain_failures: 0,
            possible_failures: 0,
            ended: None,
            over: false,
            maybe_over: false,
            excused: false,
            letter: None,
        });
        self.by_subscription.insert((publish, subscription), index);
        self.publishes[publish].deliveries.push(index);
    }

    /// An attempt is made. Returns its delivery.
    pub fn attempted(
        &mut self,
        publish: usize,
        subscription: u64,
        number: u64,
        attempts: u32,
    ) -> Result<usize, String> {
        let Some(&index) = self.by_subscription.get(&(publish, subscription)) else {
            return Err(format!(
                "publish {publish} goes to subscription {subscription}, which did not want it"
            ));
        };
        let delivery = &mut self.deliveries[index];
        let what = |text: String| format!("delivery {number} of publish {publish} to {subscription}: {text}");
        if let Some(known) = delivery.number.replace(number)
            && known != number
        {
            return Err(what(format!("had the number {known}")));
        }
        let standing = self.publishes[publish].standing;
        if matches!(standing, Standing::Refused | Standing::Duplicate) {
            return Err(what(format!("was tried, though its publish was answered with {standing:?}")));
        }
        if delivery.over {
            return Err(what("was tried again after its end was on disk".into()));
        }
        if attempts > delivery.retries {
            return Err(what(format!("is tried once more after {attempts} attempts")));
        }
        let (least, most) = (delivery.certain_failures, delivery.possible_failures);
        let of_this_life = delivery.failures.len() as u32;
        let (least, most) = (least + of_this_life, most + of_this_life);
        if !(least..=most).contains(&attempts) && delivery.ended.is_none() {
            return Err(what(format!("says {attempts} attempts, and there were {least} to {most}")));
        }
        // A lost end is lost permanently.
        delivery.maybe_over &= delivery.ended.is_some();
        Ok(index)
    }

    /// An attempt has failed, and a retry must follow.
    pub fn failed(&mut self, index: usize, end: Position) {
        self.deliveries[index].failures.push(end);
    }

    /// A delivery is over.
    pub fn ended(&mut self, index: usize, end: Position) {
        self.deliveries[index].ended = Some(end);
    }

    /// A subscription may be deleted.
    pub fn excuse(&mut self, subscription: u64) {
        for delivery in self.deliveries.iter_mut().filter(|one| one.subscription == subscription) {
            delivery.excused = true;
        }
    }

    /// The log is durable up to here.
    pub fn durable(&mut self, durable: Position) {
        for delivery in self.deliveries.iter_mut().filter(|one| !one.over) {
            delivery.over = delivery.ended.is_some_and(|end| end <= durable);
        }
    }

    /// The server has died; its log was durable at least up to here.
    pub fn crashed(&mut self, durable: Position) {
        self.durable(durable);
        self.replays.iter_mut().for_each(|replay| replay.crashed(durable));
        for publish in &mut self.publishes {
            if publish.standing == Standing::Asked {
                publish.standing = Standing::Doubt;
            }
        }
        for delivery in self.deliveries.iter_mut().filter(|one| !one.over) {
            delivery.maybe_over |= delivery.ended.take().is_some();
            let certain = delivery.failures.iter().filter(|&&end| end <= durable).count();
            delivery.certain_failures += certain as u32;
            delivery.possible_failures += delivery.failures.len() as u32;
            delivery.failures.clear();
        }
    }

    /// Returns the copy of a publish for a subscription as the message with this number, and whether it is
    /// raw.
    pub fn copy(&self, publish: usize, subscription: u64, seq: u64, replayed: bool) -> Option<(usize, bool)> {
        if !replayed {
            return self.copies.get(&(publish, subscription)).copied();
        }
        let began = self.replays.iter().filter(|replay| replay.subscription == subscription);
        let began = began.map(|replay| replay.began).filter(|&began| began <= seq).max()?;
        self.replayed.get(&(publish, subscription, began)).copied()
    }

    /// Checks that every delivery that must be pending is pending.
    pub fn check(&self, is_pending: impl Fn(u64) -> bool, pending: usize) -> Check {
        let mut least = 0;
        for delivery in &self.deliveries {
            let publish = &self.publishes[delivery.publish];
            let certain = publish.standing == Standing::Accepted
                && delivery.ended.is_none()
                && !(delivery.over || delivery.maybe_over || delivery.excused);
            least += usize::from(certain);
            if certain && delivery.number.is_some_and(|number| !is_pending(number)) {
                return Err(format!("a delivery is forgotten: {delivery:?}"));
            }
            if delivery.over && delivery.number.is_some_and(&is_pending) {
                return Err(format!("a delivery is pending again: {delivery:?}"));
            }
        }
        if pending < least {
            return Err(format!("{pending} deliveries are pending, and {least} must be"));
        }
        Ok(())
    }
}
