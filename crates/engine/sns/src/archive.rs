//! What FIFO topics keep (facts/sns.md § 10).
//!
//! An archive is a series of the store for retained data ([`archives::Archives`]).

use collections::{Entry, Owed};
use kernel::{Extent, Ledger, ParcelSent, Retention, Seq, Series, Time, iso8601};

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

impl State {
    /// A message was published, or lies here now: its topic keeps it if it has an archive.
    pub(crate) fn archive(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger) {
        if parcel.archived_millis == 0 {
            return;
        }
        let id = TopicId(parcel.source);
        let Some(keeping) = self.topics.get(&id).and_then(|topic| topic.archive) else { return };
        if !keeping.keeps(Seq(parcel.number), parcel.at, self.reading_until.unwrap_or(parcel.at)) {
            return;
        }
        let entry = Entry { seq: Seq(parcel.number), extent: at, sent: parcel.at, tag: 0 };
        self.archives.put(keeping.series, entry, ledger);
        self.wake_replays(id);
    }

    /// Whether a message is owed to its topic's archive, with its record at `at`.
    pub fn is_owed(&self, parcel: &ParcelSent<'_>, at: Extent) -> bool {
        let archive = self.topics.get(&TopicId(parcel.source)).and_then(|topic| topic.archive);
        archive.is_some_and(|keeping| self.archives.is_owed(keeping.series, Seq(parcel.number), at))
    }

    /// How many messages of a topic's archive the store does not have yet.
    pub fn owed_by(&self, topic: &Topic) -> u64 {
        let owed = topic.archive.and_then(|keeping| self.archives.owed(keeping.series));
        owed.map_or(0, Owed::len)
    }

    /// A topic has been declared: it has an archive from now on, or another, or none.
    pub(crate) fn archive_declared(&mut self, id: TopicId) {
        let is_live = self.reading_until.is_none();
        let Some(topic) = self.topics.get_mut(&id) else { return };
        let keeping = Keeping::of(&topic.declared);
        let old = std::mem::replace(&mut topic.archive, keeping);
        if let Some(keeping) = keeping {
            self.archives.declare(keeping.series, keeping.retention(), is_live);
        }
        self.archive_ended(old.filter(|old| keeping.is_none_or(|keeping| keeping.series != old.series)));
    }

    /// An archive is given up: what it has kept goes.
    pub(crate) fn archive_ended(&mut self, archive: Option<Keeping>) {
        if let Some(keeping) = archive {
            self.archives.end(keeping.series, self.reading_until.is_none());
        }
    }
}
