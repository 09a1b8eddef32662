//! What a relay knows of the table: for each destination the messages that wait, in order.

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
    /// Of those that wait.
    bytes: usize,
    /// Those that are being published.
    under_way: Vec<i64>,
    /// There was no room for those after this id; they stand in the table only.
    behind: Option<i64>,
}

/// The most that the messages of a line may have, besides their number.
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

/// All destinations that the relay publishes to.
#[derive(Debug)]
pub(super) struct Lines {
    /// Up to this id every row that was visible has been read: it is here, behind, or gone.
    pub seen: i64,
    lines: HashMap<String, Line>,
    /// The most messages of a line.
    room: usize,
}

impl Lines {
    pub fn new<'a>(destinations: impl Iterator<Item = &'a String>, room: usize) -> Lines {
        Lines { seen: 0, lines: destinations.map(|name| (name.clone(), Line::default())).collect(), room }
    }

    /// Takes a row in that was not seen before. Those of destinations that nobody publishes to wait in the table, and so do those for
    /// which there is no room; then the message is not asked for.
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
            // Where it was seen late, those that are younger go behind with it.
            let younger: Vec<i64> = line.waiting.range(id..).map(|(id, _)| *id).collect();
            younger.into_iter().for_each(|id| drop(line.take(id)));
            line.behind = Some(id - 1);
            return Ok(());
        }
        line.put(entry()?);
        Ok(())
    }

    /// What is to be published next: for each line of which nothing is under way, up to `most` messages. One that waits for its
    /// next attempt holds back those behind it in its group, and nobody else.
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

    /// Nothing of this line is under way any more; these wait again.
    pub fn finish(&mut self, destination: &str, again: impl IntoIterator<Item = Entry>) {
        if let Some(line) = self.lines.get_mut(destination) {
            line.under_way.clear();
            again.into_iter().for_each(|entry| line.put(entry));
        }
    }

    /// Whether so many messages wait for this destination, or more.
    pub fn has(&self, destination: &str, count: usize) -> bool {
        self.lines.get(destination).is_some_and(|line| line.waiting.len() >= count)
    }

    /// Lines with room again for what stands behind, and after which id that stands.
    pub fn with_room(&self) -> Vec<(String, i64)> {
        let half_empty = |line: &Line| line.waiting.len() <= self.room / 2 && line.bytes <= ROOM_BYTES / 2;
        let lines = self.lines.iter().filter(|(_, line)| half_empty(line));
        lines.filter_map(|(name, line)| Some((name.clone(), line.behind?))).collect()
    }

    /// What stood behind in a line, of which so much was asked for.
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

    /// Lines of which all that was seen is here, and the ids of it.
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
        // 3 found no room: it and all that are younger stand in the table.
        assert_eq!(started(&mut lines, 9), [2]);
        lines.finish("q", []);
        assert_eq!(lines.with_room(), [("q".to_owned(), 2)]);
    }
}
