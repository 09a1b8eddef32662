//! Which sealed segments hold which series, in memory.

use std::ops::RangeInclusive;

use crate::series::Series;

/// The segments of each series, as runs of consecutive ones.
///
/// There may be 10⁷ runs of 16 bytes, and new series have mostly higher numbers than old ones. So the runs lie
/// in sorted chunks that are filled to the end. A B-tree would leave half of its nodes empty.
#[derive(Default, Debug)]
pub struct Directory {
    /// Sorted, none empty.
    chunks: Vec<Vec<Run>>,
}

/// Consecutive segments of a class that hold records of a series. The fields have no padding between them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Run {
    series: [u32; 2],
    /// The first segment.
    segment: u32,
    /// Number of segments that follow it.
    more: u32,
}

/// Number of runs in a full chunk.
const CHUNK: usize = 256;

impl Run {
    fn new(series: Series, segment: u32) -> Run {
        Run { series: [(series.0 >> 32) as u32, series.0 as u32], segment, more: 0 }
    }

    fn key(&self) -> ([u32; 2], u32) {
        (self.series, self.segment)
    }

    fn series(&self) -> Series {
        Series(u64::from(self.series[0]) << 32 | u64::from(self.series[1]))
    }

    fn last(&self) -> u32 {
        self.segment + self.more
    }
}

impl Directory {
    /// Notes that a segment holds records of a series. Segments of a class come in their order.
    pub fn insert(&mut self, series: Series, segment: u32) {
        let new = Run::new(series, segment);
        if let Some((chunk, at)) = self.at_most(&new) {
            let run = &mut self.chunks[chunk][at];
            if run.series == new.series && segment <= run.last() {
                return;
            }
            if run.series == new.series && segment == run.last() + 1 {
                run.more += 1;
                return;
            }
        }
        self.put(new);
    }

    /// Notes that a segment is gone.
    pub fn remove(&mut self, series: Series, segment: u32) {
        let Some((chunk, at)) = self.at_most(&Run::new(series, segment)) else { return };
        let run = self.chunks[chunk][at];
        if run.series() != series || segment > run.last() {
            return;
        }
        if run.segment == segment {
            self.chunks[chunk].remove(at);
            if self.chunks[chunk].is_empty() {
                self.chunks.remove(chunk);
            }
        } else {
            self.chunks[chunk][at].more = segment - 1 - run.segment;
        }
        if segment < run.last() {
            self.put(Run { more: run.last() - segment - 1, ..Run::new(series, segment + 1) });
        }
    }

    /// Returns the runs of a series, by class and then in order.
    pub fn runs(&self, series: Series) -> impl Iterator<Item = RangeInclusive<u32>> {
        let runs = self.from(Run::new(series, 0)).take_while(move |run| run.series() == series);
        runs.map(|run| run.segment..=run.last())
    }

    /// Returns the first series from `from` on.
    pub fn next_series(&self, from: Series) -> Option<Series> {
        self.from(Run::new(from, 0)).next().map(Run::series)
    }

    /// Returns the runs from this place on.
    fn from(&self, run: Run) -> impl Iterator<Item = &Run> {
        let chunk =
            self.chunks.partition_point(|chunk| chunk.last().is_some_and(|last| last.key() < run.key()));
        let at =
            self.chunks.get(chunk).map_or(0, |chunk| chunk.partition_point(|other| other.key() < run.key()));
        self.chunks[chunk..].iter().flatten().skip(at)
    }

    /// Returns where the last run is that does not begin behind this one.
    fn at_most(&self, run: &Run) -> Option<(usize, usize)> {
        let chunk = self.chunk(run)?;
        let at = self.chunks[chunk].partition_point(|other| other.key() <= run.key());
        Some((chunk, at.checked_sub(1)?))
    }

    /// Returns the last chunk that does not begin behind this run.
    fn chunk(&self, run: &Run) -> Option<usize> {
        let after =
            self.chunks.partition_point(|chunk| chunk.first().is_some_and(|first| first.key() <= run.key()));
        after.checked_sub(1)
    }

    fn put(&mut self, run: Run) {
        let number = self.chunk(&run).unwrap_or(0);
        // The last chunk will be filled, others perhaps.
        let step = if number + 1 >= self.chunks.len() { CHUNK } else { 16 };
        let Some(chunk) = self.chunks.get_mut(number) else {
            return self.chunks.push(vec![run]);
        };
        let at = chunk.partition_point(|other| other.key() < run.key());
        if chunk.len() < CHUNK {
            if chunk.len() == chunk.capacity() {
                // Doubling would leave room that a chunk never uses.
                chunk.reserve_exact(step.min(CHUNK - chunk.len()));
            }
            return self.chunks[number].insert(at, run);
        }
        if at == CHUNK {
            return self.chunks.insert(number + 1, vec![run]);
        }
        let mut half = chunk.split_off(CHUNK / 2);
        chunk.shrink_to(CHUNK / 2 + 16);
        if at < CHUNK / 2 {
            chunk.insert(at, run);
        } else {
            half.insert(at - CHUNK / 2, run);
        }
        self.chunks.insert(number + 1, half);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(directory: &Directory) -> Vec<RangeInclusive<u32>> {
        directory.runs(Series(7)).collect()
    }

    #[test]
    fn consecutive_segments_are_one_run_until_one_goes() {
        let mut directory = Directory::default();
        for segment in [1, 2, 3, 3, 4, 9] {
            directory.insert(Series(7), segment);
            directory.insert(Series(8), segment);
        }
        assert_eq!(runs(&directory), [1..=4, 9..=9]);
        directory.remove(Series(7), 5);
        directory.remove(Series(7), 3);
        assert_eq!(runs(&directory), [1..=2, 4..=4, 9..=9]);
        directory.remove(Series(7), 1);
        directory.remove(Series(7), 9);
        directory.remove(Series(7), 4);
        assert_eq!(runs(&directory), [2..=2]);
        directory.remove(Series(7), 2);
        assert_eq!(runs(&directory), []);
        assert_eq!(directory.next_series(Series(0)), Some(Series(8)));
        assert_eq!(directory.next_series(Series(9)), None);
    }

    #[test]
    fn a_run_takes_sixteen_bytes_and_ascending_ones_fill_their_chunks() {
        assert_eq!(size_of::<Run>(), 16);
        let mut directory = Directory::default();
        (0..10_000).for_each(|series| directory.insert(Series(series), 1));
        let room: usize = directory.chunks.iter().map(Vec::capacity).sum();
        assert!((10_000..10_500).contains(&room), "{room}");
    }

    proptest::proptest! {
        #[test]
        fn a_directory_is_a_set_of_pairs(steps in proptest::collection::vec((0..2000u64, 1..6u32, 0..3), 1..3000)) {
            let mut directory = Directory::default();
            let mut model = std::collections::BTreeSet::new();
            for (series, segment, act) in steps {
                // Segments of a series come in order.
                if act > 0 && model.range((series, 0)..(series + 1, 0)).all(|&(_, other)| other < segment) {
                    directory.insert(Series(series), segment);
                    model.insert((series, segment));
                } else if act == 0 {
                    directory.remove(Series(series), segment);
                    model.remove(&(series, segment));
                }
            }
            let mut found = Vec::new();
            let mut next = directory.next_series(Series(0));
            while let Some(series) = next {
                found.extend(directory.runs(series).flatten().map(|segment| (series.0, segment)));
                next = directory.next_series(Series(series.0 + 1));
            }
            proptest::prop_assert!(found.into_iter().eq(model));
            proptest::prop_assert!(directory.chunks.iter().all(|chunk| (1..=CHUNK).contains(&chunk.len())));
        }
    }
}
