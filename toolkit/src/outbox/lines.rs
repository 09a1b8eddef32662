//! The relay's view of the table: for each destination the waiting messages, in order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::publisher::Prepared;

/// A row of the table.
#[derive(Debug)]
pub(super) struct Entry {
    pub id: i64,
    pub message: Arc<Prepared>,
    pub attempts: i64,
    pub due_ms: i64,
}

/// The messages that wait for one destination.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: BTreeMap<i64, Entry>,
    /// Size of the waiting messages.
    bytes: usize,
    /// The messages that are being published.
    under_way: Vec<i64>,
    /// Rows after this id did not fit into memory; they are in the table only.
    behind: Option<i64>,
}

/// Maximum size of the messages of a line, in addition to their number.
const ROOM_BYTES: usize = 64 << 20;

impl Line {
    fn put(&mut self, entry: Entry) {
        self.bytes += entry.message.size();
        if let Some(same) = self.waiting.insert(entry.id, entry) {
            self.bytes -= same.message.size();
        }
    }

    fn take(&mut self, id: i64) -> Option<Entry> {
        let entry = self.waiting.remove(&id)?;
        self.bytes -= entry.message.size();
        Some(entry)
    }
}

/// All destinations to which the relay publishes.
#[derive(Debug)]
pub(super) struct Lines {
    /// Every visible row up to this id has been read: it is in memory, behind the memory's limit, or gone.
    pub seen: i64,
    lines: HashMap<String, Line>,
    /// Maximum number of messages of a line.
    room: usize,
}

impl Lines {
    pub fn new<'a>(destinations: impl Iterator<Item = &'a String>, room: usize) -> Lines {
        Lines { seen: 0, lines: destinations.map(|name| (name.clone(), Line::default())).collect(), room }
    }

    /// Adds a row that was not seen before. Rows of destinations without a publisher, and rows that do not
    /// fit, stay in the table; then `entry` is not called.
    pub fn add<E>(
        &mut self,
        destination: &str,
        id: i64,
        entry: impl FnOnce() -> Result<Entry, E>,
    ) -> Result<(), E> {
        self.seen = self.seen.max(id);
        let Some(line) = self.lines.get_mut(destination) else { return Ok(()) };
        if line.behind.is_some_and(|last| last < id) {
            return Ok(());
        }
        if line.waiting.len() >= self.room || line.bytes >= ROOM_BYTES {
            // If it was seen late, younger rows leave memory with it.
            let younger: Vec<i64> = line.waiting.range(id..).map(|(id, _)| *id).collect();
            younger.into_iter().for_each(|id| drop(line.take(id)));
            line.behind = Some(id - 1);
            return Ok(());
        }
        line.put(entry()?);
        Ok(())
    }

    /// Returns the messages to publish next: up to `most` for each line without a publish in progress. A
    /// message that waits for its next attempt holds back those behind it in its group, and no others.
    pub fn start(&mut self, most: usize, now_ms: i64) -> Vec<(String, Vec<Entry>)> {
        let mut all = Vec::new();
        for (destination, line) in self.lines.iter_mut().filter(|(_, line)| line.under_way.is_empty()) {
            let mut held_back = HashSet::new();
            let may_go = line.waiting.values().filter(|entry| {
                let group = entry.message.group.as_deref();
                let in_line = group.is_some_and(|group| held_back.contains(group));
                if in_line || entry.due_ms > now_ms {
                    held_back.extend(group);
                    return false;
                }
                true
            });
            let ids: Vec<i64> = may_go.take(most).map(|entry| entry.id).collect();
            if ids.is_empty() {
                continue;
            }
            let entries = ids.iter().filter_map(|id| line.take(*id)).collect();
            line.under_way = ids;
            all.push((destination.clone(), entries));
        }
        all
    }

    /// Ends the publish of this line; these messages wait again.
    pub fn finish(&mut self, destination: &str, again: impl IntoIterator<Item = Entry>) {
        if let Some(line) = self.lines.get_mut(destination) {
            line.under_way.clear();
            again.into_iter().for_each(|entry| line.put(entry));
        }
    }

    /// Returns whether at least this many messages wait for this destination.
    pub fn has(&self, destination: &str, count: usize) -> bool {
        self.lines.get(destination).is_some_and(|line| line.waiting.len() >= count)
    }

    /// Returns the lines with room for rows that are in the table only, and the id after which those begin.
    pub fn with_room(&self) -> Vec<(String, i64)> {
        let half_empty = |line: &Line| line.waiting.len() <= self.room / 2 && line.bytes <= ROOM_BYTES / 2;
        let lines = self.lines.iter().filter(|(_, line)| half_empty(line));
        lines.filter_map(|(name, line)| Some((name.clone(), line.behind?))).collect()
    }

    /// Adds rows of a line from the table, of which this many were requested.
    pub fn fill(&mut self, destination: &str, asked: usize, rows: Vec<Entry>) {
        if let Some(line) = self.lines.get_mut(destination) {
            line.behind = rows.last().map(|last| last.id).filter(|_| rows.len() >= asked);
            for entry in rows {
                if !line.under_way.contains(&entry.id) {
                    line.put(entry);
                }
            }
        }
    }

    /// Returns the lines of which all seen rows are in memory, and their ids.
    pub fn complete(&self) -> (Vec<&str>, Vec<i64>) {
        let complete = || self.lines.iter().filter(|(_, line)| line.behind.is_none());
        let ids = complete().flat_map(|(_, line)| line.waiting.keys().chain(&line.under_way));
        (complete().map(|(name, _)| name.as_str()).collect(), ids.copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: i64, group: &str, due_ms: i64) -> Entry {
        let message = Prepared {
            id: id.to_string(),
            message_type: "t".into(),
            body: String::new(),
            attributes: Default::default(),
            group: Some(group.into()),
            deduplication_id: None,
            delay_seconds: None,
        };
        Entry { id, message: Arc::new(message), attempts: 0, due_ms }
    }

    impl Lines {
        fn put(&mut self, destination: &str, entry: Entry) {
            let id = entry.id;
            self.add::<()>(destination, id, || Ok(entry)).unwrap();
        }
    }

    fn lines(room: usize) -> Lines {
        Lines::new([&"q".to_owned()].into_iter(), room)
    }

    fn started(lines: &mut Lines, most: usize) -> Vec<i64> {
        let all = lines.start(most, 100);
        all.into_iter().flat_map(|(_, entries)| entries).map(|entry| entry.id).collect()
    }

    #[test]
    fn what_waits_holds_back_its_group_and_nobody_else() {
        let mut lines = lines(100);
        for (id, group, due) in [(1, "a", 500), (2, "b", 0), (3, "a", 0), (4, "c", 0), (5, "b", 0)] {
            lines.put("q", entry(id, group, due));
        }
        lines.put("nobody's", entry(6, "a", 0));
        assert_eq!(started(&mut lines, 2), [2, 4]);
        assert_eq!(started(&mut lines, 2), [0; 0], "one at a time");
        lines.finish("q", [entry(2, "b", 500)]);
        assert_eq!(started(&mut lines, 9), [0; 0], "what failed holds back those behind it");
        assert_eq!(lines.seen, 6);
    }

    #[test]
    fn what_there_is_no_room_for_comes_in_its_turn() {
        let mut lines = lines(4);
        for id in 1..=9 {
            lines.put("q", entry(id, "g", 0));
        }
        assert_eq!(lines.complete().0, [""; 0]);
        assert_eq!(started(&mut lines, 2), [1, 2]);
        lines.finish("q", []);
        assert_eq!(lines.with_room(), [("q".to_owned(), 4)]);
        lines.fill("q", 2, vec![entry(5, "g", 0), entry(6, "g", 0)]);
        assert_eq!(started(&mut lines, 9), [3, 4, 5, 6]);
        lines.finish("q", []);
        assert_eq!(lines.with_room(), [("q".to_owned(), 6)]);
        lines.fill("q", 4, vec![entry(7, "g", 0), entry(8, "g", 0), entry(9, "g", 0)]);
        assert_eq!(started(&mut lines, 9), [7, 8, 9]);
        assert_eq!(lines.complete(), (vec!["q"], vec![7, 8, 9]));
    }

    #[test]
    fn what_is_seen_late_goes_before_what_is_younger() {
        let mut lines = lines(3);
        for id in [2, 5, 7, 3, 9] {
            lines.put("q", entry(id, "g", 0));
        }
        // Row 3 did not fit: it and all younger rows are in the table only.
        assert_eq!(started(&mut lines, 9), [2]);
        lines.finish("q", []);
        assert_eq!(lines.with_room(), [("q".to_owned(), 2)]);
    }
}
