//! Which sealed segments hold which series, in memory.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::series::Series;

/// The segments of each series, as runs of consecutive ones. An entry takes 16 bytes, and there may be
/// 10⁷ of them, so the key has no padding.
#[derive(Default, Debug)]
pub struct Directory {
    /// By the run's first segment: the number of segments that follow it.
    runs: BTreeMap<Key, u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    high: u32,
    low: u32,
    segment: u32,
}

impl Key {
    fn new(series: Series, segment: u32) -> Key {
        Key { high: (series.0 >> 32) as u32, low: series.0 as u32, segment }
    }

    fn series(self) -> Series {
        Series(u64::from(self.high) << 32 | u64::from(self.low))
    }
}

impl Directory {
    /// Notes that a segment holds records of a series. Segments of a class come in their order.
    pub fn insert(&mut self, series: Series, segment: u32) {
        let range = Key::new(series, 0)..=Key::new(series, segment);
        if let Some((run, more)) = self.runs.range_mut(range).next_back() {
            let last = run.segment + *more;
            if segment <= last {
                return;
            }
            if segment == last + 1 {
                *more += 1;
                return;
            }
        }
        self.runs.insert(Key::new(series, segment), 0);
    }

    /// Notes that a segment is gone.
    pub fn remove(&mut self, series: Series, segment: u32) {
        let range = Key::new(series, 0)..=Key::new(series, segment);
        let Some((&run, &more)) = self.runs.range(range).next_back() else { return };
        let last = run.segment + more;
        if segment > last {
            return;
        }
        if run.segment == segment {
            self.runs.remove(&run);
        } else {
            self.runs.insert(run, segment - 1 - run.segment);
        }
        if segment < last {
            self.runs.insert(Key::new(series, segment + 1), last - segment - 1);
        }
    }

    /// Returns the runs of a series, by class and then in order.
    pub fn runs(&self, series: Series) -> impl DoubleEndedIterator<Item = RangeInclusive<u32>> {
        self.runs
            .range(Key::new(series, 0)..=Key::new(series, u32::MAX))
            .map(|(run, more)| run.segment..=run.segment + more)
    }

    /// Returns the first series from `from` on.
    pub fn next_series(&self, from: Series) -> Option<Series> {
        self.runs.range(Key::new(from, 0)..).next().map(|(key, _)| key.series())
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
    fn an_entry_of_the_directory_has_no_padding() {
        assert_eq!(size_of::<Key>() + size_of::<u32>(), 16);
    }
}
