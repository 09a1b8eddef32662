//! How facts come into the log: the records of one decision as one group, each made true once its place is known.

use journal::Overlong;
use kernel::gather::FACT_BYTES;
use kernel::service::Record;
use kernel::{Extent, Fact, Following, Refusal, Service};

use crate::house::{Has, House};
use crate::machine::Machine;

/// Which group of the log records belong to. A crash leaves all of a group or nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grouping {
    /// They begin a group, with room for so many bytes that extend it.
    Begins(usize),
    /// They extend the group that was recorded last.
    Extends,
}

impl Grouping {
    /// A group that nothing extends.
    pub(crate) const ALONE: Grouping = Grouping::Begins(0);
}

impl<H: House> Machine<H> {
    /// How much room to leave for the extension of a group: what it takes, but no large part of a small segment.
    pub(crate) fn group_room(&self, bytes: usize) -> usize {
        bytes.min(self.appender.segment_bytes() as usize / 8)
    }

    /// Records the facts of one decision in one group and then applies them.
    ///
    /// Errors: the head of the first is longer than `most`, or all are longer than a group may be, or an extension has no room
    /// in its segment. Then nothing is recorded. Only a declaration has a long head, since its attributes are what a client
    /// says, and a request declares one thing.
    pub(crate) fn commit<S: Service>(
        &mut self,
        facts: &[Fact<'_, S::Record<'_>>],
        most: usize,
        grouping: Grouping,
    ) -> Result<(), Overlong>
    where
        H: Has<S>,
    {
        if let [fact] = facts {
            let class = class_of(fact.record.is_configuration());
            let extent = self.record(class, most, grouping, |head| fact.record.encode(head), &fact.tail)?;
            self.house.of_mut().apply(&fact.record, extent, &mut self.ledger);
        } else if !facts.is_empty() {
            let fill = |group: &mut journal::Group<'_>| {
                let records = facts.iter().map(|fact| {
                    let encode = |head: &mut Vec<u8>| fact.record.encode(head);
                    (class_of(fact.record.is_configuration()), encode, &fact.tail[..])
                });
                push_all(group, most, records)
            };
            let extents = match grouping {
                Grouping::Begins(room) => self.appender.group(room, fill)?,
                Grouping::Extends => self.appender.extend_group(fill)?,
            };
            for (fact, &extent) in facts.iter().zip(extents) {
                self.ledger.open(extent.place.segment());
                self.house.of_mut().apply(&fact.record, extent, &mut self.ledger);
            }
        }
        Ok(())
    }

    /// Records facts that no request asked for, as a group if they are no longer than one may be. (What expires or is purged
    /// together can be longer. Then each record is sound without the others.)
    pub(crate) fn note<S: Service>(&mut self, facts: &[Fact<'_, S::Record<'_>>])
    where
        H: Has<S>,
    {
        self.note_with_room::<S>(facts, 0);
    }

    /// The same, with room in the group for so many bytes that extend it.
    pub(crate) fn note_with_room<S: Service>(&mut self, facts: &[Fact<'_, S::Record<'_>>], room: usize)
    where
        H: Has<S>,
    {
        if self.commit::<S>(facts, usize::MAX, Grouping::Begins(room)).is_ok() {
            return;
        }
        for fact in facts.chunks(1) {
            let noted = self.commit::<S>(fact, usize::MAX, Grouping::ALONE);
            debug_assert!(noted.is_ok(), "{noted:?}");
        }
    }

    /// Records a fact with which a target answers an offer, and applies it. Has the group no room for it, it begins one of its own.
    pub(crate) fn commit_following(&mut self, fact: &Following, grouping: Grouping) {
        let class = class_of(fact.is_configuration);
        let encode = |out: &mut Vec<u8>| out.extend_from_slice(&fact.head);
        let mut recorded = self.record(class, usize::MAX, grouping, encode, &fact.tail);
        if recorded.is_err() && grouping != Grouping::ALONE {
            recorded = self.record(class, usize::MAX, Grouping::ALONE, encode, &fact.tail);
        }
        debug_assert!(recorded.is_ok(), "{recorded:?}");
        let Ok(at) = recorded else { return };
        let applied = self.house.apply(&fact.head, at, &mut self.ledger);
        debug_assert!(applied.is_ok(), "a service answers with a record that is nobody's");
    }

    /// Adds a record to the log.
    pub(crate) fn record(
        &mut self,
        class: journal::Class,
        most: usize,
        grouping: Grouping,
        head: impl FnOnce(&mut Vec<u8>),
        tail: &[u8],
    ) -> Result<Extent, Overlong> {
        let mut bytes = 0;
        let head = measured(head, &mut bytes);
        let extent = match grouping {
            Grouping::ALONE => self.appender.try_push(class, most, head, tail)?,
            Grouping::Begins(room) => {
                first(self.appender.group(room, |group| group.push(class, most, head, tail))?)
            }
            Grouping::Extends => {
                first(self.appender.extend_group(|group| group.push(class, most, head, tail))?)
            }
        };
        assert_divided(class, bytes);
        self.ledger.open(extent.place.segment());
        Ok(extent)
    }

    /// Adds a record of the machine's own kinds to the log. It is short.
    pub(crate) fn record_own(
        &mut self,
        class: journal::Class,
        head: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Extent> {
        let recorded = self.record(class, usize::MAX, Grouping::ALONE, head, &[]);
        debug_assert!(recorded.is_ok(), "{recorded:?}");
        recorded.ok()
    }
}

/// Pushes the records of one decision. The head of the first may have `most` bytes.
fn push_all<'r>(
    group: &mut journal::Group<'_>,
    mut most: usize,
    records: impl Iterator<Item = (journal::Class, impl FnOnce(&mut Vec<u8>), &'r [u8])>,
) -> Result<(), Overlong> {
    for (class, head, tail) in records {
        let mut bytes = 0;
        group.push(class, most, measured(head, &mut bytes), tail)?;
        assert_divided(class, bytes);
        most = usize::MAX;
    }
    Ok(())
}

/// The same head, which stores its length in `bytes`.
fn measured(head: impl FnOnce(&mut Vec<u8>), bytes: &mut usize) -> impl FnOnce(&mut Vec<u8>) {
    |out| {
        let before = out.len();
        head(out);
        *bytes = out.len() - before;
    }
}

/// Checks in debug builds that a fact which gathers many things was divided into records of a bounded size. A single fact, such as an
/// item of a table, is bounded by its service and may be longer.
fn assert_divided(class: journal::Class, bytes: usize) {
    debug_assert!(
        class == journal::Class::Configuration || bytes <= FACT_BYTES,
        "a record of the flow has a head of {bytes} bytes: what gathers must be divided"
    );
}

/// Where the only record of a group lies.
fn first(extents: &[Extent]) -> Extent {
    extents.first().copied().unwrap_or_default()
}

/// In which of the two passes over a log a record is read.
fn class_of(is_configuration: bool) -> journal::Class {
    if is_configuration { journal::Class::Configuration } else { journal::Class::Flow }
}

/// What a client hears that asks for more than a record can hold.
pub(crate) fn too_long(shape: &'static str, overlong: Overlong) -> Refusal {
    let text = format!(
        "With this change the resource's attributes, tags and policies take {} bytes together; {FACT_BYTES} are the most that a \
         resource can have.",
        overlong.bytes
    );
    Refusal::new(shape, text)
}
