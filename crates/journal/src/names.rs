//! What the files of a data directory are called.

/// The version of the directory, its number, and which segments were dropped.
pub const MANIFEST: &str = "MANIFEST";
/// The manifest's next text, before it takes the manifest's name.
pub const MANIFEST_NEXT: &str = "MANIFEST.next";

/// The file of a segment.
pub fn segment(number: u32) -> String {
    format!("{number:08}.log")
}

/// The file of a segment's index.
pub fn index(number: u32) -> String {
    format!("{number:08}.idx")
}

/// An index that is being written.
pub fn index_next(number: u32) -> String {
    format!("{number:08}.idx.next")
}

/// The number of the segment whose file this is.
pub fn parse_segment(name: &str) -> Option<u32> {
    parse(name, ".log")
}

/// The number of the segment whose index this is.
pub fn parse_index(name: &str) -> Option<u32> {
    parse(name, ".idx")
}

/// The number of the segment whose unfinished index this is.
pub fn parse_index_next(name: &str) -> Option<u32> {
    parse(name, ".idx.next")
}

fn parse(name: &str, ending: &str) -> Option<u32> {
    let digits = name.strip_suffix(ending)?;
    let number: u32 = digits.parse().ok()?;
    (number > 0 && format!("{number:08}") == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        assert_eq!(parse_segment(&segment(1)), Some(1));
        assert_eq!(parse_segment(&segment(123_456_789)), Some(123_456_789));
        assert_eq!(parse_index(&index(7)), Some(7));
        for other in
            ["1.log", "+0000001.log", "00000000.log", "00000001.idx", "00000001.log.next", "MANIFEST"]
        {
            assert_eq!(parse_segment(other), None, "{other}");
        }
    }
}
