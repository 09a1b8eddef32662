//! Moments in definitions and inputs: RFC 3339 with a `T` and an offset.

use kernel::iso8601;

/// Nanoseconds since 1970-01-01T00:00Z; none if the text is no such moment (facts/stepfunctions.md § 17: `2016-12-05 21:29:29Z` is none).
pub(crate) fn read(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    let digits =
        |from: usize, to: usize| bytes.get(from..to).is_some_and(|b| b.iter().all(u8::is_ascii_digit));
    let signs = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let shape = signs.iter().all(|&(at, sign)| bytes.get(at) == Some(&sign))
        && [(0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19)].iter().all(|&(from, to)| digits(from, to));
    if !shape || &text[17..19] > "59" {
        return None;
    }
    let rest = &text[19..];
    let zone = rest.find(['Z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(zone);
    let fraction = match fraction.strip_prefix('.') {
        Some(fraction)
            if (1..=9).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit()) =>
        {
            fraction
        }
        None if fraction.is_empty() => "",
        _ => return None,
    };
    if zone != "Z" {
        let zone = zone.as_bytes();
        let whole =
            zone.len() == 6 && zone[3] == b':' && [1, 2, 4, 5].iter().all(|&at| zone[at].is_ascii_digit());
        if !whole || &zone[1..3] > b"18".as_slice() || &zone[4..6] > b"59".as_slice() {
            return None;
        }
    }
    let seconds = iso8601::read(&format!("{}{zone}", &text[..19]))?;
    let nanoseconds: i128 = format!("{fraction:0<9}").parse().ok()?;
    Some(i128::from(seconds) * 1_000_000 + nanoseconds)
}

/// Milliseconds since 1970-01-01T00:00Z, rounded up: nothing that waits for the moment ends before it.
pub(crate) fn read_millis(text: &str) -> Option<i64> {
    i64::try_from((read(text)? + 999_999).div_euclid(1_000_000)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_need_a_t_and_an_offset() {
        let moment = read("2016-03-14T01:59:00Z");
        assert_eq!(moment, Some(1_457_920_740_000_000_000));
        assert_eq!(read("2016-03-14T03:59:00+02:00"), moment);
        assert_eq!(read("2016-03-13T20:59:00-05:00"), moment);
        assert_eq!(read("2016-03-14T01:59:00.000000001Z"), moment.map(|moment| moment + 1));
        assert_eq!(read_millis("2016-03-14T01:59:00.000000001Z"), Some(1_457_920_740_001));
        for wrong in [
            "2016-12-05 21:29:29Z",
            "2016-03-14T01:59:00",
            "2016-03-14",
            "2016-03-14T01:59Z",
            "2016-02-30T01:59:00Z",
            "2016-03-14T24:59:00Z",
            "2016-03-14T01:59:60Z",
            "2016-03-14T01:59:00.Z",
            "2016-03-14T01:59:00+0200",
            "2016-03-14T01:59:00+02:60",
            "2016-03-14t01:59:00z",
            "2016-03-14T01:59:0éZ",
            "é016-03-14T01:59:00Z",
            "",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
