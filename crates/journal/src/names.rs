//! The names of the files in a data directory.

/// The version of the directory, the log's random number, and the dropped segments.
pub const MANIFEST: &str = "MANIFEST";
/// The next text of the manifest, until it is renamed to the manifest's name.
pub const MANIFEST_NEXT: &str = "MANIFEST.next";

/// Returns the name of a segment's file.
pub fn segment(number: u32) -> String {
    format!("{number:08}.log")
}

/// Returns the name of a segment's index file.
pub fn index(number: u32) -> String {
    format!("{number:08}.idx")
}

/// Returns the name of an index file that is being written.
pub fn index_next(number: u32) -> String {
    format!("{number:08}.idx.next")
}

/// Returns the number of the segment whose file has this name.
pub fn parse_segment(name: &str) -> Option<u32> {
    parse(name, ".log")
}

/// Returns the number of the segment whose index has this name.
pub fn parse_index(name: &str) -> Option<u32> {
    parse(name, ".idx")
}

/// Returns the number of the segment whose unfinished index has this name.
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
