//! Moments as HTTP's headers have them: `Thu, 01 Jan 2026 00:00:00 GMT`. In numbers they are milliseconds since
//! 1970-01-01T00:00Z.

use kernel::iso8601;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment, without its parts of a second, for which the format has no room.
pub(crate) fn write(millis: i64) -> String {
    // 1970-01-01 was a Thursday.
    let weekday = millis.div_euclid(86_400_000).rem_euclid(7) as usize;
    let text = iso8601::write_exactly(millis);
    let (date, time) = text.split_once('T').unwrap_or_default();
    // From the right: a year before year 0 has a sign.
    let mut parts = date.rsplitn(3, '-');
    let (day, month, year) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let month =
        month.parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1))).unwrap_or(&"");
    let time = time.split('.').next().unwrap_or_default();
    format!("{}, {day} {month} {year} {time} GMT", DAYS[weekday])
}

/// Reads a moment; parts of a second are accepted, as AWS's SDKs may send them.
pub(crate) fn read(text: &str) -> Option<i64> {
    let (weekday, rest) = text.trim().split_once(", ")?;
    let mut parts = rest.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (time, zone) = (parts.next()?, parts.next()?);
    let month = 1 + MONTHS.iter().position(|name| *name == month)?;
    let is_complete = parts.next().is_none() && DAYS.contains(&weekday) && matches!(zone, "GMT" | "UTC");
    // The weekday is not compared with the date: nothing rests on it.
    if is_complete { iso8601::read(&format!("{year}-{month:02}-{day}T{time}Z")) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_written_and_read() {
        for (millis, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_767_225_600_000, "Thu, 01 Jan 2026 00:00:00 GMT"),
            (951_782_400_000, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (-1000, "Wed, 31 Dec 1969 23:59:59 GMT"),
        ] {
            assert_eq!(write(millis), text);
            assert_eq!(read(text), Some(millis), "{text}");
        }
        assert_eq!(read("Sun, 02 Jan 2000 20:34:56.456 GMT"), Some(946_845_296_456));
        for wrong in [
            "",
            "Thu, 01 Jan 1970 00:00:00",
            "Thu, 01 Foo 1970 00:00:00 GMT",
            "Xyz, 01 Jan 1970 00:00:00 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT x",
            "Thu, 01 Jan 1970 00:00:00 +0100",
            "Thu, 32 Jan 1970 00:00:00 GMT",
            "Thu, 01 Jan 1970 99:00:00 GMT",
            "Thursday, 01-Jan-70 00:00:00 GMT",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_second_reads_back(seconds in -62_135_596_800i64..253_402_300_800) {
            prop_assert_eq!(read(&write(seconds * 1000)), Some(seconds * 1000));
        }

        #[test]
        fn any_moment_is_written_and_any_text_is_read_or_refused(
            millis in any::<i64>(), text in ".{0,40}|(Thu, [0-9 ]{0,4}Jan [0-9:. ]{0,20} GMT)",
        ) {
            let _ = (write(millis), read(&text));
        }
    }
}
