//! What is remembered of all streams, and `apply`, the only function that changes what the log says.

use std::collections::{BTreeMap, VecDeque};

use archives::Archives;
use collections::Entry;
use kernel::{Extent, Ledger, Retention, Seq, Series, Time};
use resources::Declarations;
use resources::policy::Policy;
use schedules::Timetable;

use crate::ids::AccountKey;
use crate::records::{
    AccountDeclared, ConsumerDeclared, Record, RecordsPut, ShardDeclared, StreamDeclared, StreamDeleted,
};
use crate::subscriptions::Subscriptions;
use crate::{ShardKey, StreamKey, limits};

/// All streams.
#[derive(Debug, Default)]
pub struct State {
    pub(crate) streams: Declarations<StreamDeclared>,
    pub(crate) shards: Declarations<ShardDeclared>,
    pub(crate) consumers: Declarations<ConsumerDeclared>,
    pub(crate) accounts: Declarations<AccountDeclared>,
    /// What shards owe to the store for retained data.
    pub(crate) owed: Archives,
    /// What follows from the declarations of streams and shards, by the numbers of streams.
    live: BTreeMap<u64, Live>,
    /// The newest record of each shard.
    tips: BTreeMap<Series, Tip>,
    /// When closed shards are forgotten.
    pub(crate) ends: Timetable<ShardKey>,

    // What follows is not in the log.
    is_reading: bool,
    /// Streams that are gone, whose shards and consumers are not yet.
    leaving: VecDeque<u64>,
    pub(crate) subscriptions: Subscriptions,
}

/// What follows from the declarations of a stream and its shards.
#[derive(Debug, Default)]
pub(crate) struct Live {
    key: Option<StreamKey>,
    retention: Option<Retention>,
    /// Its open shards, by the first of their hash keys.
    pub(crate) open: BTreeMap<u128, Open>,
    /// The text of its policy, compiled.
    pub(crate) policy: Option<(String, Policy)>,
}

/// An open shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Open {
    pub(crate) end: u128,
    pub(crate) number: u32,
    pub(crate) series: Series,
}

/// The newest record of a shard, and what came in the second in which it came.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Tip {
    /// The shard's number in its stream.
    pub(crate) number: u32,
    pub(crate) last: u64,
    pub(crate) second: u64,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
}

/// Shards and consumers of a stream that is gone that are forgotten in one decision.
const FORGOTTEN_AT_ONCE: usize = 100;

impl Live {
    /// A shard is not open any more. A child that begins at the same hash key may have been read before, since cleaning has written the
    /// end of its parent again behind it.
    fn close(&mut self, shard: &ShardDeclared) {
        if self.open.get(&shard.range.start).is_some_and(|open| open.series == shard.series()) {
            self.open.remove(&shard.range.start);
        }
    }

    /// The open shard to which a hash key belongs.
    pub(crate) fn shard_of(&self, hash: u128) -> Option<Open> {
        self.open.range(..=hash).next_back().map(|(_, open)| *open).filter(|open| hash <= open.end)
    }
}

impl State {
    /// The stream of this name.
    pub fn stream(&self, key: &StreamKey) -> Option<&StreamDeclared> {
        self.streams.get(key)
    }

    /// All streams, by key.
    pub fn streams(&self) -> impl Iterator<Item = &StreamDeclared> {
        self.streams.iter()
    }

    /// The streams of an account in a region, by name, from a name on.
    pub(crate) fn streams_of(&self, first: StreamKey) -> impl Iterator<Item = &StreamDeclared> {
        let (account, region) = (first.account.clone(), first.region.clone());
        self.streams.range(first..).take_while(move |it| it.key.account == account && it.key.region == region)
    }

    /// What follows from the declarations of a stream.
    pub(crate) fn live(&self, id: u64) -> Option<&Live> {
        self.live.get(&id)
    }

    /// The compiled policy of a stream.
    pub(crate) fn policy(&self, id: u64) -> Option<&Policy> {
        self.live(id)?.policy.as_ref().map(|(_, policy)| policy)
    }

    /// The shards of a stream from a number on, in the order of their numbers.
    pub fn shards_of(&self, stream: u64, from: u32) -> impl DoubleEndedIterator<Item = &ShardDeclared> {
        self.shards.range(ShardKey { stream, number: from }..=ShardKey { stream, number: u32::MAX })
    }

    /// A shard of a stream.
    pub fn shard(&self, stream: u64, number: u32) -> Option<&ShardDeclared> {
        self.shards.get(&ShardKey { stream, number })
    }

    /// The shard of a stream that has this series.
    pub(crate) fn shard_of_series(&self, stream: u64, series: Series) -> Option<&ShardDeclared> {
        let number = self.tips.get(&series)?.number;
        self.shard(stream, number).filter(|shard| shard.series() == series)
    }

    /// How many open shards a stream has.
    pub fn open_shards(&self, stream: u64) -> usize {
        self.live(stream).map_or(0, |live| live.open.len())
    }

    /// How many records of the log a stream owes to the store for retained data.
    pub fn owed_by(&self, stream: &StreamDeclared) -> u64 {
        let owed = self.shards_of(stream.id, 0).filter_map(|shard| self.owed.owed(shard.series()));
        owed.map(collections::Owed::len).sum()
    }

    /// The consumers of a stream, by name.
    pub(crate) fn consumers_of(&self, stream: u64) -> impl Iterator<Item = &ConsumerDeclared> {
        let first = crate::ConsumerKey { stream, name: String::new() };
        self.consumers.range(first..).take_while(move |it| it.key.stream == stream)
    }

    /// The number of the newest record of a shard; the shard's own if it has had none that is known.
    pub(crate) fn last(&self, shard: &ShardDeclared) -> u64 {
        self.tips.get(&shard.series()).map_or(shard.id, |tip| tip.last.max(shard.id))
    }

    /// The newest record of a shard, and what came with it.
    pub(crate) fn tip(&self, series: Series) -> Tip {
        self.tips.get(&series).copied().unwrap_or_default()
    }

    /// The settings of an account.
    pub(crate) fn account(&self, key: &AccountKey) -> Option<&AccountDeclared> {
        self.accounts.get(key)
    }

    /// Whether there is room in memory for so many shards more.
    pub(crate) fn has_room_for_shards(&self, count: usize) -> bool {
        self.tips.len() + count <= limits::ALL_SHARDS
    }

    /// Applies a record that lies at `at`.
    pub fn apply(&mut self, record: &Record, at: Extent, ledger: &mut Ledger) {
        match record {
            Record::StreamDeclared(record) => self.stream_declared(record, at, ledger),
            Record::StreamDeleted(record) => self.stream_deleted(record, at, ledger),
            Record::ShardDeclared(record) => self.shard_declared(record, at, ledger),
            Record::ShardDeleted(record) => {
                if let Some(gone) = self.shards.delete(record, at, ledger) {
                    self.shard_gone(&gone);
                }
            }
            Record::ConsumerDeclared(record) => drop(self.consumers.declare(record, at, ledger)),
            Record::ConsumerDeleted(record) => {
                if let Some(gone) = self.consumers.delete(record, at, ledger) {
                    self.subscriptions.consumer_gone(gone.id);
                }
            }
            Record::AccountDeclared(record) => drop(self.accounts.declare(record, at, ledger)),
            Record::AccountDeleted(record) => drop(self.accounts.delete(record, at, ledger)),
            Record::RecordsPut(record) => self.records_put(record, at, ledger),
        }
    }

    fn stream_declared(&mut self, record: &StreamDeclared, at: Extent, ledger: &mut Ledger) {
        let before = self.streams.declare(record, at, ledger);
        if let Some(before) = before.filter(|before| before.id != record.id) {
            self.leave(before.id);
        }
        let live = self.live.entry(record.id).or_default();
        live.key = Some(record.key.clone());
        if live.policy.as_ref().map(|(text, _)| text) != record.policy.as_ref() {
            live.policy = record.policy.as_ref().map(|text| (text.clone(), Policy::compile(text)));
        }
        let retention = record.retention();
        let before = live.retention.replace(retention);
        if before == Some(retention) {
            return;
        }
        let before = before.unwrap_or(retention);
        let shards: Vec<ShardDeclared> = self.shards_of(record.id, 0).cloned().collect();
        for shard in shards {
            self.owed.declare(shard.series(), retention, !self.is_reading);
            if let Some(closed) = shard.closed {
                self.ends.clear(before.passes(closed.at), shard.key);
                self.ends.set(retention.passes(closed.at), shard.key);
            }
        }
    }

    fn stream_deleted(&mut self, record: &StreamDeleted, at: Extent, ledger: &mut Ledger) {
        if self.streams.delete(record, at, ledger).is_some() {
            self.leave(record.id);
        }
    }

    /// A stream is gone. Its shards and consumers go one after the other.
    fn leave(&mut self, id: u64) {
        self.live.remove(&id);
        self.leaving.push_back(id);
    }

    fn shard_declared(&mut self, record: &ShardDeclared, at: Extent, ledger: &mut Ledger) {
        let series = record.series();
        let before = self.shards.declare(record, at, ledger);
        if let Some(before) = before.filter(|before| before.id != record.id) {
            self.shard_gone(&before);
        }
        // A stream that is declared behind its shards sets it.
        let known = self.live.get(&record.key.stream).and_then(|live| live.retention);
        let retention = known.unwrap_or(Retention::seconds(u64::from(limits::LEAST_HOURS) * 3600));
        self.owed.declare(series, retention, !self.is_reading);
        self.tips.entry(series).or_default().number = record.key.number;
        let live = self.live.entry(record.key.stream).or_default();
        match record.closed {
            None => {
                let open = Open { end: record.range.end, number: record.key.number, series };
                live.open.insert(record.range.start, open);
            }
            Some(closed) => {
                live.close(record);
                if known.is_some() {
                    self.ends.set(retention.passes(closed.at), record.key);
                }
                self.subscriptions.wake(series);
            }
        }
    }

    /// What follows from a shard that is gone.
    fn shard_gone(&mut self, shard: &ShardDeclared) {
        let series = shard.series();
        let live = self.live.get_mut(&shard.key.stream);
        if let (Some(closed), Some(retention)) = (shard.closed, live.as_ref().and_then(|live| live.retention))
        {
            self.ends.clear(retention.passes(closed.at), shard.key);
        }
        if let Some(live) = live {
            live.close(shard);
        }
        self.owed.end(series, !self.is_reading);
        self.tips.remove(&series);
        self.subscriptions.wake(series);
    }

    fn records_put(&mut self, record: &RecordsPut, at: Extent, ledger: &mut Ledger) {
        let last = record.last();
        let entry = Entry { seq: Seq(last), extent: at, sent: record.at, tag: tag_of(record) };
        let is_new = self.owed.put(record.series, entry, ledger);
        let Some(tip) = self.tips.get_mut(&record.series) else { return };
        if last <= tip.last {
            return;
        }
        tip.last = last;
        if is_new {
            let second = record.at.seconds();
            if tip.second != second {
                (tip.second, tip.bytes, tip.records) = (second, 0, 0);
            }
            tip.bytes += u64::from(at.len);
            tip.records += u64::from(record.count);
        }
        self.subscriptions.wake(record.series);
    }

    /// The store has the records of a shard up to a number.
    pub(crate) fn kept(&mut self, series: Series, through: Option<u64>, ledger: &mut Ledger) {
        self.owed.kept(series, through, ledger);
        if let (Some(through), Some(tip)) = (through, self.tips.get_mut(&series)) {
            tip.last = tip.last.max(through);
        }
    }

    /// A log is about to be read.
    pub(crate) fn replaying(&mut self) {
        self.is_reading = true;
    }

    /// A log has been read whole.
    pub(crate) fn replayed(&mut self) {
        self.is_reading = false;
        self.owed.rule_all();
        // A crash may have come between the deletion of a stream and that of its last shard.
        let strays: Vec<u64> =
            self.live.iter().filter(|(_, live)| live.key.is_none()).map(|(&id, _)| id).collect();
        strays.into_iter().for_each(|id| self.leave(id));
        let of_nobody = |id: u64| !self.live.contains_key(&id) && !self.leaving.contains(&id);
        let mut strays: Vec<u64> =
            self.consumers.iter().map(|it| it.key.stream).filter(|&id| of_nobody(id)).collect();
        strays.dedup();
        self.leaving.extend(strays);
    }

    /// Whether something is to be forgotten: what belongs to streams that are gone, or a closed shard whose records have passed.
    pub(crate) fn has_leavers(&self, now: Time) -> bool {
        !self.leaving.is_empty() || self.ends.is_behind(now)
    }

    /// The next facts about what is to be forgotten.
    pub(crate) fn next_leavers(&mut self) -> Option<Vec<Record>> {
        while let Some(key) = self.ends.take() {
            if let Some(deleted) = self.shards.deletion(&key) {
                return Some(vec![Record::ShardDeleted(deleted)]);
            }
        }
        while let Some(&id) = self.leaving.front() {
            let shards = self.shards_of(id, 0).filter_map(|it| self.shards.deletion(&it.key));
            let consumers = self.consumers_of(id).filter_map(|it| self.consumers.deletion(&it.key));
            let all = shards.map(Record::ShardDeleted).chain(consumers.map(Record::ConsumerDeleted));
            let some: Vec<Record> = all.take(FORGOTTEN_AT_ONCE).collect();
            if some.len() < FORGOTTEN_AT_ONCE {
                self.leaving.pop_front();
            }
            if !some.is_empty() {
                return Some(some);
            }
        }
        None
    }

    /// The facts after which nothing is left.
    pub fn reset(&self) -> Vec<Record> {
        let streams = self.streams.deletions().map(Record::StreamDeleted);
        let shards = self.shards.deletions().map(Record::ShardDeleted);
        let consumers = self.consumers.deletions().map(Record::ConsumerDeleted);
        let accounts = self.accounts.deletions().map(Record::AccountDeleted);
        streams.chain(shards).chain(consumers).chain(accounts).collect()
    }
}

/// What the lane of what is owed knows of a chunk besides its place: how many records it has, and whether it is a part of one.
fn tag_of(record: &RecordsPut) -> u32 {
    record.count.saturating_sub(1).saturating_mul(2) | u32::from(record.part.is_some())
}

/// The number of records in a chunk, and whether it is a part of one.
pub(crate) fn records_of_tag(tag: u32) -> (usize, bool) {
    (tag as usize / 2 + 1, tag & 1 == 1)
}
