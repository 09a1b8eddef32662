//! Series, how long their records are kept, and the classes of segments that follow from that.

pub use kernel::retained::{Retention, Rule, Series};

/// The class of records that are kept for more than 2^11 days, but not for ever.
const LONGEST: u32 = 12;

/// A range of retentions, whose records share segments.
///
/// Class *c* is for more than 2^(c−1) and at most 2^c days.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RetentionClass(u8);

/// The bits of a segment's number that contain the number within its class.
const NUMBER_BITS: u32 = 28;

impl RetentionClass {
    /// For records that are kept for ever.
    pub const FOREVER: RetentionClass = RetentionClass(13);
    /// For rules.
    pub(crate) const RULES: RetentionClass = RetentionClass(15);

    /// The class of segments for records that are kept so long.
    pub fn for_retention(retention: Retention) -> RetentionClass {
        let Some(days) = retention.in_days() else { return RetentionClass::FOREVER };
        RetentionClass((u64::BITS - (days.max(1) - 1).leading_zeros()).min(LONGEST) as u8)
    }

    pub(crate) fn all() -> impl Iterator<Item = RetentionClass> {
        (0..16).map(RetentionClass)
    }

    /// The class of a segment.
    pub(crate) fn of(segment: u32) -> RetentionClass {
        RetentionClass((segment >> NUMBER_BITS) as u8)
    }

    /// The class as one bit of a group's set of classes.
    pub(crate) fn bit(self) -> u16 {
        1 << self.0
    }

    /// The number of this class's segment number `number`; the first is 1.
    pub(crate) fn segment(self, number: u32) -> u32 {
        u32::from(self.0) << NUMBER_BITS | number
    }

    /// The number of a segment within its class.
    pub(crate) fn number_of(segment: u32) -> u32 {
        segment & ((1 << NUMBER_BITS) - 1)
    }

    pub(crate) fn number(self) -> u8 {
        self.0
    }
}

/// The names of the files of a store.
pub(crate) mod names {
    use super::RetentionClass;

    /// Returns the name of a segment's file.
    pub fn segment(segment: u32) -> String {
        name(segment, "seg")
    }

    /// Returns the name of a sealed segment's index.
    pub fn index(segment: u32) -> String {
        name(segment, "spans")
    }

    /// Returns the name of an index that is being written.
    pub fn index_next(segment: u32) -> String {
        name(segment, "spans.next")
    }

    fn name(segment: u32, ending: &str) -> String {
        let (class, number) = (RetentionClass::of(segment).number(), RetentionClass::number_of(segment));
        format!("{class:02}-{number:08}.{ending}")
    }

    /// Returns the segment whose file has this name.
    pub fn parse_segment(name: &str) -> Option<u32> {
        parse(name, "seg")
    }

    /// Returns the segment whose index has this name.
    pub fn parse_index(name: &str) -> Option<u32> {
        parse(name, "spans")
    }

    /// Returns the segment whose unfinished index has this name.
    pub fn parse_index_next(name: &str) -> Option<u32> {
        parse(name, "spans.next")
    }

    fn parse(text: &str, ending: &str) -> Option<u32> {
        let (class, number) = text.strip_suffix(ending)?.strip_suffix('.')?.split_once('-')?;
        let class = RetentionClass::all().nth(class.parse().ok()?)?;
        let number: u32 = number.parse().ok()?;
        let segment = class.segment(RetentionClass::number_of(number));
        (number > 0 && name(segment, ending) == text).then_some(segment)
    }
}

#[cfg(test)]
mod tests {
    use kernel::Time;

    use super::*;

    #[test]
    fn a_class_holds_what_is_kept_for_at_most_twice_as_long() {
        let class = |days| RetentionClass::for_retention(Retention::days(days)).number();
        assert_eq!([1, 2, 3, 4, 5, 365, 3653].map(class), [0, 1, 2, 2, 3, 9, 12]);
        let class = |seconds| RetentionClass::for_retention(Retention::seconds(seconds)).number();
        assert_eq!([1, 86_401, u64::MAX].map(class), [0, 1, 12]);
        assert_eq!(RetentionClass::for_retention(Retention::FOREVER), RetentionClass::FOREVER);
        assert_eq!(Retention::FOREVER.passes(Time(1)), Time(u64::MAX));
        assert_eq!(Retention::days(1).passes(Time(5)), Time(86_400_005));
    }

    #[test]
    fn a_name_has_one_spelling() {
        let segment = RetentionClass(7).segment(12);
        assert_eq!(names::segment(segment), "07-00000012.seg");
        assert_eq!(names::parse_segment("07-00000012.seg"), Some(segment));
        assert_eq!(names::parse_index(&names::index(segment)), Some(segment));
        assert_eq!(names::parse_index_next(&names::index_next(segment)), Some(segment));
        let others = [
            "7-00000012.seg",
            "07-12.seg",
            "16-00000001.seg",
            "07-00000000.seg",
            "07-0000001.spans",
            "MANIFEST",
        ];
        for other in others {
            assert_eq!(names::parse_segment(other), None, "{other}");
        }
    }
}
