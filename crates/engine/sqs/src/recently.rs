//! Which queues were deleted a moment ago, whose names cannot be used again at once.

use std::collections::{BTreeMap, BTreeSet};

use collections::work;
use kernel::Time;

use crate::QueueKey;
use crate::limits::DELETED_RECENTLY_MILLIS;

/// Deleted queues, for a minute: only the strict limits look at them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentlyDeleted {
    when: BTreeMap<QueueKey, Time>,
    /// The same, oldest first.
    oldest: BTreeSet<(Time, QueueKey)>,
}

impl RecentlyDeleted {
    /// A queue was deleted.
    pub(crate) fn insert(&mut self, key: QueueKey, at: Time) {
        while let Some((deleted, _)) = self.oldest.first() {
            work::look();
            if at < *deleted + DELETED_RECENTLY_MILLIS {
                break;
            }
            if let Some((_, key)) = self.oldest.pop_first() {
                self.when.remove(&key);
            }
        }
        self.remove(&key);
        self.oldest.insert((at, key.clone()));
        self.when.insert(key, at);
    }

    /// A queue of that name is there again.
    pub(crate) fn remove(&mut self, key: &QueueKey) {
        if let Some(at) = self.when.remove(key) {
            self.oldest.remove(&(at, key.clone()));
        }
    }

    /// When a queue of that name was deleted, if that was a moment ago.
    pub(crate) fn get(&self, key: &QueueKey) -> Option<Time> {
        self.when.get(key).copied()
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = RecentlyDeleted::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> QueueKey {
        QueueKey { account: "0".into(), region: "r".into(), name: number.to_string() }
    }

    #[test]
    fn a_queue_is_remembered_for_a_minute_and_until_it_is_there_again() {
        let mut deleted = RecentlyDeleted::default();
        deleted.insert(key(1), Time(0));
        deleted.insert(key(2), Time(1000));
        deleted.insert(key(1), Time(2000));
        deleted.insert(key(3), Time(61_000));
        let times = |deleted: &RecentlyDeleted| [1, 2, 3].map(|number| deleted.get(&key(number)));
        assert_eq!(times(&deleted), [Some(Time(2000)), None, Some(Time(61_000))]);
        deleted.remove(&key(3));
        assert_eq!(times(&deleted), [Some(Time(2000)), None, None]);
        assert_eq!((deleted.when.len(), deleted.oldest.len()), (1, 1));
    }

    #[test]
    fn remembering_one_more_is_as_much_work_however_many_there_are() {
        let mut deleted = RecentlyDeleted::default();
        let looks = work::looks(|| (0..10_000).for_each(|number| deleted.insert(key(number), Time(number))));
        assert!(looks <= 10_000, "{looks} looks");
        let looks =
            work::looks(|| (0..10_000).for_each(|number| deleted.insert(key(number), Time(number + 70_000))));
        assert!(looks <= 20_000, "{looks} looks");
    }
}
