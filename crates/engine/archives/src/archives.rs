//! The archives of a service, by their series.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use collections::{Entry, Owed};
use kernel::retained::{Keep, Order, Owed as Owing, Rule};
use kernel::{Extent, Ledger, Rests, Retention, Seq, Series};

/// Records of archives that were given up that are forgotten in one go.
const FORGOTTEN_AT_ONCE: usize = 1000;

/// Rules that are ordered in one go.
const RULES_AT_ONCE: usize = 100;

/// What is owed to archives, and what the store for retained data is to hear of them.
#[derive(Clone, Debug, Default)]
pub struct Archives {
    known: BTreeMap<Series, Archive>,

    // What follows is not in the log.
    /// Archives that owe something that can be ordered to be kept.
    to_keep: BTreeSet<Series>,
    /// What the store is still to hear of archives.
    rules: BTreeMap<Series, Rule>,
    /// What archives that were given up have owed. It is forgotten between requests.
    given_up: VecDeque<Owed>,
}

#[derive(Clone, Debug)]
struct Archive {
    retention: Retention,
    /// What the store does not have yet.
    owed: Owed,
}

impl Archives {
    /// An archive is there from now on, or keeps what it has for another time. `is_live`: not while a log is read. After that,
    /// [`Archives::rule_all`] tells the store.
    pub fn declare(&mut self, series: Series, retention: Retention, is_live: bool) {
        let known = self.known.entry(series);
        let known = known.or_insert_with(|| Archive { retention, owed: Owed::default() });
        if known.retention != retention {
            known.retention = retention;
            if is_live {
                self.rules.insert(series, Rule::Keep(retention));
            }
        }
    }

    /// An archive is given up: what it has kept goes.
    pub fn end(&mut self, series: Series, is_live: bool) {
        let Some(Archive { owed, .. }) = self.known.remove(&series) else { return };
        self.to_keep.remove(&series);
        self.rules.remove(&series);
        if is_live {
            self.rules.insert(series, Rule::Delete);
        }
        self.given_up.push_back(owed);
    }

    /// After a log has been read: the store may not have heard what was said last of how long to keep.
    pub fn rule_all(&mut self) {
        self.rules
            .extend(self.known.iter().map(|(&series, archive)| (series, Rule::Keep(archive.retention))));
    }

    /// A record is owed to an archive, or lies elsewhere now; unless the store has it. Returns whether it was not known before.
    pub fn put(&mut self, series: Series, entry: Entry, ledger: &mut Ledger) -> bool {
        let Some(Archive { owed, .. }) = self.known.get_mut(&series) else { return false };
        let before = owed.len();
        owed.put(entry, ledger);
        if owed.is_ready() {
            self.to_keep.insert(series);
        }
        owed.len() > before
    }

    /// Whether a record is owed to an archive, and lies at `at`.
    pub fn is_owed(&self, series: Series, number: Seq, at: Extent) -> bool {
        self.owed(series).is_some_and(|owed| owed.contains(number, at))
    }

    /// What an archive owes.
    pub fn owed(&self, series: Series) -> Option<&Owed> {
        self.known.get(&series).map(|archive| &archive.owed)
    }

    /// Whether an archive is there.
    pub fn contains(&self, series: Series) -> bool {
        self.known.contains_key(&series)
    }

    /// All archives.
    pub fn series(&self) -> impl Iterator<Item = Series> + '_ {
        self.known.keys().copied()
    }

    /// All that is owed to each archive, as one order.
    pub fn all_owed(&self) -> impl Iterator<Item = Keep> + '_ {
        self.known.iter().map(|(&series, Archive { retention, owed })| {
            let records = owed.iter_from(Seq(0)).map(|Entry { seq, sent: time, extent, .. }| Owing {
                sequence: seq.0,
                time,
                extent,
            });
            Keep { series, retention: *retention, records: records.collect(), more: false }
        })
    }

    /// The order to keep records of an archive has ended: the store has everything up to this number; nothing of what was ordered, if
    /// it is absent.
    pub fn kept(&mut self, series: Series, through: Option<u64>, ledger: &mut Ledger) {
        let Some(Archive { owed, .. }) = self.known.get_mut(&series) else { return };
        owed.kept(through.map(Seq), ledger);
        if owed.is_ready() {
            self.to_keep.insert(series);
        }
    }

    /// What is to be ordered from the store next. Rules rest on what made them, and records on themselves.
    pub fn next_orders(&mut self) -> Option<Vec<(Rests, Order)>> {
        if !self.rules.is_empty() {
            let some = std::iter::from_fn(|| self.rules.pop_first()).take(RULES_AT_ONCE);
            return Some(
                some.map(|(series, rule)| (Rests::OnEverything, Order::Rule(series, rule))).collect(),
            );
        }
        while let Some(series) = self.to_keep.pop_first() {
            let archive = self.known.get_mut(&series);
            let Some(keep) = archive.and_then(|it| it.owed.order(series, it.retention)) else { continue };
            let latest = keep.records.iter().map(|record| record.extent).max_by_key(|extent| extent.place);
            let rests = latest.map_or(Rests::OnEverything, Rests::OnRecord);
            return Some(vec![(rests, Order::Keep(keep))]);
        }
        None
    }

    /// Whether there is something to order.
    pub fn has_orders(&self) -> bool {
        !self.rules.is_empty() || !self.to_keep.is_empty()
    }

    /// Whether archives that were given up have owed something that is not forgotten yet.
    pub fn has_given_up(&self) -> bool {
        !self.given_up.is_empty()
    }

    /// Forgets a little of what archives that were given up have owed. Returns whether there was something.
    pub fn forget(&mut self, ledger: &mut Ledger) -> bool {
        let Some(owed) = self.given_up.front_mut() else { return false };
        if owed.forget(FORGOTTEN_AT_ONCE, ledger) < FORGOTTEN_AT_ONCE {
            self.given_up.pop_front();
        }
        true
    }
}
