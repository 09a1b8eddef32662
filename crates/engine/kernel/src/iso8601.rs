//! Moments as texts: `2026-01-01T00:00:00Z`. In numbers they are milliseconds since 1970-01-01T00:00Z.
//!
//! The calendar is not `jiff`'s, because answers would change. [`write()`] takes any moment of the server's clock, and jiff's dates end with the
//! year 9999. [`read`] accepts fields of one digit, which jiff refuses, and takes second 60 for the next minute, which jiff takes for
//! second 59. With jiff for the dates of [`read`] alone there would be two calendars.

const DAY: i64 = 86_400_000;

/// A moment in UTC, with milliseconds where there are some.
pub fn write(millis: i64) -> String {
    let mut text = write_exactly(millis);
    if text.ends_with(".000Z") {
        text.truncate(text.len() - ".000Z".len());
        text.push('Z');
    }
    text
}

/// A moment in UTC, without parts of a second.
pub fn write_seconds(millis: i64) -> String {
    write(millis.div_euclid(1000) * 1000)
}

/// A moment in UTC, with milliseconds: `2026-01-01T00:00:00.000Z`.
pub fn write_exactly(millis: i64) -> String {
    let (days, in_day) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    // Without the formatter, which took longer than all else of an event's text.
    let mut text = String::with_capacity(24);
    if !(0..10_000).contains(&year) {
        text = format!("{year:04}");
    } else {
        push_digits(&mut text, year, 1000);
    }
    for (before, value, highest) in [
        ('-', month, 10),
        ('-', day, 10),
        ('T', hour, 10),
        (':', minute, 10),
        (':', second, 10),
        ('.', in_day % 1000, 100),
    ] {
        text.push(before);
        push_digits(&mut text, value, highest);
    }
    text.push('Z');
    text
}

/// Appends the decimal digits of a number that is not negative, from that with the value `highest` down.
fn push_digits(text: &mut String, value: i64, highest: i64) {
    let mut place = highest;
    while place > 0 {
        text.push(char::from(b'0' + (value / place % 10) as u8));
        place /= 10;
    }
}

/// Reads a moment in UTC or with an offset. Finer parts of a second than milliseconds are passed over.
pub fn read(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone = rest.find(['Z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (digits(time.next()?)?, digits(time.next()?)?);
    let (second, fraction) = match time.next()?.split_once('.') {
        Some((second, fraction)) => (digits(second)?, fraction),
        None => return read(&text.replacen(zone, &format!(".0{zone}"), 1)),
    };
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    let offset_minutes = match zone.split_at(1) {
        ("Z", "") => 0,
        (sign, offset) => {
            let (hours, minutes) = offset.split_once(':')?;
            let minutes = digits(hours)? * 60 + digits(minutes)?;
            if sign == "-" { -minutes } else { minutes }
        }
    };
    let days = days_of(year, month, day).filter(|_| hour < 24 && minute < 60 && second < 61)?;
    let minutes = hour * 60 + minute - offset_minutes;
    Some(days * DAY + minutes * 60_000 + second * 1000 + digits(&fraction)?)
}

/// A few digits and nothing else.
fn digits(text: &str) -> Option<i64> {
    let fits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| fits)
}

/// Days since 1970-01-01 of a date in the Gregorian calendar; none if there is no such date.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) {
        return None;
    }
    // Years that begin in March, so that the leap day is the last of its year.
    let shifted = year - i64::from(month <= 2);
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days).filter(|&days| civil(days) == (year, month, day))
}

/// The date of a day since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_written_and_read() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_234_567_890_120, "2009-02-13T23:31:30.120Z"),
        ] {
            assert_eq!(write(millis), text);
            assert_eq!(read(text), Some(millis), "{text}");
        }
        assert_eq!(write_exactly(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(read("2026-01-01T02:00:00.5+02:00"), Some(1_767_225_600_500));
        assert_eq!(read("2026-1-1T0:0:0Z"), read("2026-01-01T00:00:00Z"));
        assert_eq!(read("2025-12-31T23:59:60Z"), read("2026-01-01T00:00:00Z"));
        assert_eq!(write(253_402_300_800_000), "10000-01-01T00:00:00Z");
        for wrong in [
            "",
            "2026-01-01",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+2",
            "2026-01-01T00:00:00.xZ",
            "T",
            "2026-01-01TZ",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_moment_reads_back(millis in -62_135_596_800_000i64..253_402_300_800_000) {
            prop_assert_eq!(read(&write(millis)), Some(millis));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9TZ:.+-]{0,30}|.{0,20}") {
            let _ = read(&text);
        }
    }
}
