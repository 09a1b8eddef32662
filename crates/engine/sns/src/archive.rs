//! What FIFO topics keep (facts/sns.md § 10).
//!
//! An archive is a series of the store for retained data. The record of a publish is all there is to say: the log owes it to the
//! store, and holds it until the store has it. What the store has is the beginning of the archive, and what is owed is the rest.

use collections::{Entry, Owed};
use kernel::retained::{Keep, Order, Owed as Owing, Rule};
use kernel::{Extent, Ledger, ParcelSent, Rests, Retention, Seq, Series, Time, iso8601};

use crate::TopicId;
use crate::records::TopicDeclared;
use crate::rules::topic_attributes::retention_days;
use crate::state::State;
use crate::topic::Topic;

/// The attribute of a topic with the number of its archive's series; absent if the topic was made with the archive, whose number
/// is then the topic's. Everything in the archive has a higher number. Users do not see it.
pub(crate) const ARCHIVE_SERIES: &str = "ArchiveSeries";

/// The same in logs from before there was a store. Other things can have this number, so it is no series': that of such an archive
/// is the topic's, of which the store has nothing.
pub(crate) const ARCHIVE_BEGAN: &str = "ArchiveBegan";

/// Messages of archives that were given up that are forgotten in one go.
const FORGOTTEN_AT_ONCE: usize = 1000;

/// Rules that are ordered in one go.
const RULES_AT_ONCE: usize = 100;

/// An archive.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    pub(crate) keeping: Keeping,
    /// What the store does not have yet.
    pub(crate) owed: Owed,
}

/// What an archive keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    /// Its series.
    pub(crate) series: Series,
    /// What was published from then on.
    since: Time,
    /// And has this number or a higher one.
    began: Seq,
    /// For so many days.
    days: u64,
}

const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

impl Keeping {
    fn of(topic: &TopicDeclared) -> Option<Keeping> {
        let attribute = |name: &str| topic.attributes.get(name).map(String::as_str);
        let number = |name: &str| attribute(name).and_then(|number| number.parse().ok());
        let since = iso8601::read(attribute("BeginningArchiveTime")?)?;
        let series = number(ARCHIVE_SERIES);
        Some(Keeping {
            series: Series(series.unwrap_or(topic.id.0)),
            since: Time(u64::try_from(since).ok()?),
            began: Seq(series.or_else(|| number(ARCHIVE_BEGAN)).unwrap_or_default()),
            days: retention_days(attribute("ArchivePolicy")?)?,
        })
    }

    /// Whether it keeps at `now` what was published at that moment, with that number.
    pub(crate) fn keeps(&self, number: Seq, at: Time, now: Time) -> bool {
        self.began <= number && self.since <= at && now < at + self.days * DAY_MILLIS
    }

    /// The oldest moment of what it keeps at `now`.
    pub(crate) fn oldest(&self, now: Time) -> Time {
        self.since.max(Time(now.millis().saturating_sub(self.days * DAY_MILLIS)))
    }

    fn retention(&self) -> Retention {
        Retention::seconds(self.days * DAY_MILLIS / 1000)
    }
}

impl Archive {
    /// All that is owed, as one order.
    pub(crate) fn all_owed(&self) -> Keep {
        let record = |entry: Entry| Owing { sequence: entry.seq.0, time: entry.sent, extent: entry.extent };
        let records = self.owed.iter_from(Seq(0)).map(record).collect();
        let Keeping { series, .. } = self.keeping;
        Keep { series, retention: self.keeping.retention(), records, more: false }
    }

    /// The next records that the store is to keep, unless an order is under way.
    pub(crate) fn order(&mut self) -> Option<Keep> {
        self.owed.order(self.keeping.series, self.keeping.retention())
    }
}

impl State {
    /// A message was published, or lies here now: its topic keeps it if it has an archive.
    pub(crate) fn archive(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        if parcel.archived_millis == 0 {
            return;
        }
        let id = TopicId(parcel.source);
        let archive = self.topics.get_mut(&id).and_then(|topic| topic.archive.as_mut());
        let Some(Archive { keeping, owed }) = archive else { return };
        if !keeping.keeps(Seq(parcel.number), parcel.at, self.reading_until.unwrap_or(parcel.at)) {
            return;
        }
        owed.put(Entry { seq: Seq(parcel.number), extent: at, sent: parcel.at, tag: 0 }, ledger);
        if owed.is_ready() {
            self.to_keep.insert(id);
        }
        self.wake_replays(id);
    }

    /// Whether a message is owed to its topic's archive, with its record at `at`.
    pub fn is_owed(&self, parcel: &ParcelSent<'_>, at: Extent) -> bool {
        let topic = self.topics.get(&TopicId(parcel.source));
        let archive = topic.and_then(|topic| topic.archive.as_ref());
        archive.is_some_and(|archive| archive.owed.contains(Seq(parcel.number), at))
    }

    /// A topic has been declared: it has an archive from now on, or another, or none.
    pub(crate) fn archive_declared(&mut self, id: TopicId) {
        let Some(topic) = self.topics.get_mut(&id) else { return };
        let keeping = Keeping::of(&topic.declared);
        if let (Some(archive), Some(keeping)) = (&mut topic.archive, keeping)
            && archive.keeping.series == keeping.series
        {
            if archive.keeping.days != keeping.days && self.reading_until.is_none() {
                self.rules.insert(keeping.series, Rule::Keep(keeping.retention()));
            }
            archive.keeping = keeping;
            return;
        }
        let old = topic.archive.take();
        topic.archive = keeping.map(|keeping| Archive { keeping, owed: Owed::default() });
        self.archives.extend(keeping.map(|keeping| (keeping.series, id)));
        self.archive_ended(old);
    }

    /// An archive is given up: what it has kept goes.
    pub(crate) fn archive_ended(&mut self, archive: Option<Archive>) {
        let Some(Archive { keeping, owed }) = archive else { return };
        self.archives.remove(&keeping.series);
        if self.reading_until.is_none() {
            self.rules.insert(keeping.series, Rule::Delete);
        }
        self.given_up.push_back(owed);
    }

    /// After a log has been read: the store may not have heard what was said last of how long to keep.
    pub(crate) fn rule_all_archives(&mut self) {
        let archives = self.topics.values().filter_map(|topic| topic.archive.as_ref());
        let rules = archives.map(|Archive { keeping, .. }| (keeping.series, Rule::Keep(keeping.retention())));
        self.rules.extend(rules);
    }

    /// Forgets a little of what archives that were given up have owed. Returns whether there was something.
    pub(crate) fn forget_archives(&mut self, ledger: &mut Ledger) -> bool {
        let Some(owed) = self.given_up.front_mut() else { return false };
        if owed.forget(FORGOTTEN_AT_ONCE, ledger) < FORGOTTEN_AT_ONCE {
            self.given_up.pop_front();
        }
        true
    }

    /// What is to be ordered from the store next. Rules rest on what made them, and records on themselves.
    pub(crate) fn next_orders(&mut self) -> Option<Vec<(Rests, Order)>> {
        if !self.rules.is_empty() {
            let some = std::iter::from_fn(|| self.rules.pop_first()).take(RULES_AT_ONCE);
            return Some(
                some.map(|(series, rule)| (Rests::OnEverything, Order::Rule(series, rule))).collect(),
            );
        }
        while let Some(id) = self.to_keep.pop_first() {
            let archive = self.topics.get_mut(&id).and_then(|topic| topic.archive.as_mut());
            let Some(keep) = archive.and_then(Archive::order) else { continue };
            let latest = keep.records.iter().map(|record| record.extent).max_by_key(|extent| extent.place);
            let rests = latest.map_or(Rests::OnEverything, Rests::OnRecord);
            return Some(vec![(rests, Order::Keep(keep))]);
        }
        None
    }

    /// Whether there is something to order.
    pub(crate) fn has_orders(&self) -> bool {
        !self.rules.is_empty() || !self.to_keep.is_empty()
    }

    /// The store has the records of an archive up to this number.
    pub(crate) fn archive_kept(&mut self, series: Series, through: Option<u64>, ledger: &mut Ledger) {
        let Some(&id) = self.archives.get(&series) else { return };
        let archive = self.topics.get_mut(&id).and_then(|topic| topic.archive.as_mut());
        let Some(Archive { owed, .. }) = archive else { return };
        owed.kept(through.map(Seq), ledger);
        if owed.is_ready() {
            self.to_keep.insert(id);
        }
    }
}

impl Topic {
    /// How many messages of its archive the store does not have yet.
    pub fn owed(&self) -> u64 {
        self.archive.as_ref().map_or(0, |archive| archive.owed.len())
    }
}
