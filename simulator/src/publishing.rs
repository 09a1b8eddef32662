//! What clients published, who must get it, and what became of each delivery to an endpoint outside.

use std::collections::BTreeMap;

use kernel::{Position, Time};

use crate::history::Check;
use crate::replays::Replay;

/// Whether something was published.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Asked, and not answered.
    Asked,
    /// Asked, and never answered, because the server died.
    Doubt,
    /// The client was told so, or somebody got it.
    Accepted,
    /// It was refused.
    Refused,
    /// It was taken for a duplicate of another.
    Duplicate,
}

/// Something that was published.
#[derive(Debug)]
pub struct Publish {
    /// The number of the topic at that time.
    pub topic: u64,
    /// Its deduplication id.
    pub deduplication: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// The text.
    pub body: String,
    /// The attribute that filters ask for.
    pub k: &'static str,
    /// Whether its topic was to keep it.
    pub archived: bool,
    /// Whether its topic may have given up what it kept since.
    pub archive_given_up: bool,
    /// The machine's time when it was asked for.
    pub at: Time,
    /// The next number that the machine would have given.
    pub next_seq: u64,
    /// Whether it was.
    pub standing: Standing,
    /// The number that it got, if that is known.
    pub number: Option<u64>,
    /// The messages that queues must have of it.
    pub copies: Vec<usize>,
    /// What endpoints must get.
    pub deliveries: Vec<usize>,
}

/// What an endpoint is to get.
#[derive(Debug)]
pub struct Delivery {
    /// What was published.
    pub publish: usize,
    /// The number of the subscription.
    pub subscription: u64,
    /// Retries after the first attempt.
    pub retries: u32,
    /// Its number, once it was seen.
    pub number: Option<u64>,
    /// Where the log ended after each failure of this life.
    failures: Vec<Position>,
    /// Failures of earlier lives that cannot have been forgotten, and all of them.
    certain_failures: u32,
    possible_failures: u32,
    /// It is over, once the log is durable up to here.
    ended: Option<Position>,
    /// Its end is on disk, so that no start may find it again.
    over: bool,
    /// It may be over, since its end may have reached the disk before a crash.
    maybe_over: bool,
    /// Its subscription may be gone.
    pub excused: bool,
    /// The message that is its dead letter.
    pub letter: Option<usize>,
}

/// Everything that was published, and what follows.
#[derive(Debug, Default)]
pub struct Publishing {
    /// By the number that they carry.
    pub publishes: Vec<Publish>,
    /// Deliveries to endpoints outside.
    pub deliveries: Vec<Delivery>,
    /// Which delivery is one publish to one subscription.
    by_subscription: BTreeMap<(usize, u64), usize>,
    /// Which message is one publish for one subscription, and whether it is raw.
    pub copies: BTreeMap<(usize, u64), (usize, bool)>,
    /// What clients have asked to have replayed.
    pub replays: Vec<Replay>,
    /// The same as `copies` of what was replayed, by the number with which the replay began, too.
    pub replayed: BTreeMap<(usize, u64, u64), (usize, bool)>,
}

impl Publishing {
    /// An endpoint is to get something.
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

    /// An attempt is made: the delivery that it belongs to.
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
        // A lost end is lost for good.
        delivery.maybe_over &= delivery.ended.is_some();
        Ok(index)
    }

    /// An attempt has failed and another is to follow.
    pub fn failed(&mut self, index: usize, end: Position) {
        self.deliveries[index].failures.push(end);
    }

    /// A delivery is over.
    pub fn ended(&mut self, index: usize, end: Position) {
        self.deliveries[index].ended = Some(end);
    }

    /// A subscription may be gone.
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

    /// The server has died; its log was durable up to here, at least.
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

    /// What a queue got of a publish for a subscription as its message with this number, and whether it is raw.
    pub fn copy(&self, publish: usize, subscription: u64, seq: u64, replayed: bool) -> Option<(usize, bool)> {
        if !replayed {
            return self.copies.get(&(publish, subscription)).copied();
        }
        let began = self.replays.iter().filter(|replay| replay.subscription == subscription);
        let began = began.map(|replay| replay.began).filter(|&began| began <= seq).max()?;
        self.replayed.get(&(publish, subscription, began)).copied()
    }

    /// Every delivery that must be pending is.
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
