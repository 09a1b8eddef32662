//! Which texts AWS accepts and refuses (facts/eventbridge.md § 16), and when expressions run.

use kernel::{Time, iso8601};
use schedules::Dialect::{Rule, Scheduler};
use schedules::{Expression, Zone};

#[test]
fn rules_and_scheduler_accept_and_refuse_what_aws_does() {
    // facts/eventbridge.md § 16, recorded from AWS
    for text in [
        "cron(0 2 ? * SAT *)",
        "cron(5,35 14 * * ? *)",
        "cron(15 10 ? * 6L 2002-2005)",
        "cron(0 2 ? * SAT#3 *)",
        "cron(* * ? * SAT#3 *)",
        "cron(0/5 5 ? JAN 1-5 2022)",
        "cron(0 8 1 * ? *)",
        "cron(0/15 * * * ? *)",
        "cron(0/30 20-23 ? * MON-FRI *)",
        "cron(0-15/1 8-8 ? * 2,3,4,5,6,7 *)",
        "cron(30-30 13-13 ? * 2,4,6 *)",
        "cron(1-31/30 1-1 ? * 1,7 *)",
        "cron(*/15 * * * ? *)",
        "cron(0-59/10 0-23/2 ? * * *)",
        "rate(1 minute)",
        "rate(5 minutes)",
        "rate(1 hour)",
        "rate(12 hours)",
        "rate(1 day)",
        "rate(7 days)",
    ] {
        for dialect in [Rule, Scheduler] {
            assert!(Expression::parse(text, dialect).is_ok(), "{text} {dialect:?}");
        }
    }
    assert!(Expression::parse("at(2022-12-31T23:59:59)", Scheduler).is_ok());
    for text in [
        "cron(0 1 * * * *)",
        "cron(7 20 * * NOT *)",
        "cron(INVALID)",
        "cron(0 dummy ? * MON-FRI *)",
        "cron(71 8 1 * ? *)",
        "cron()",
        "at(2021-12-31T23:59:59Z)",
        "at(2021-12-31)",
        "rate(10 seconds)",
        "rate(10 years)",
        "rate()",
        "rate(10)",
        "rate(10 minutess)",
        "rate(foo minutes)",
        "rate(0 minutes)",
        "rate(-10 minutes)",
        "rate(10 MINUTES)",
        "rate( 10 minutes )",
        " rate(10 minutes)",
        "rate(10 minutes) ",
    ] {
        for dialect in [Rule, Scheduler] {
            assert!(Expression::parse(text, dialect).is_err(), "{text} {dialect:?}");
        }
    }
    for text in [
        "rate(1 minutes)",
        "rate(1 hours)",
        "rate(1 days)",
        "rate(10 minute)",
        "rate(10 hour)",
        "rate(10 day)",
        "at(2022-12-31T23:59:59)",
    ] {
        assert!(Expression::parse(text, Rule).is_err(), "{text}");
    }
}

#[test]
fn fields_have_their_ranges_and_only_days_have_letters() {
    // AWS's documentation of cron expressions: the table of fields and their wildcards
    for text in [
        "cron(0 0 L * ? *)",
        "cron(0 0 LW * ? *)",
        "cron(0 0 15W * ? *)",
        "cron(0 0 ? * L *)",
        "cron(0 0 ? * 2#1 *)",
        "cron(0 0 ? * SAT-TUE *)",
        "cron(00 08 ? * mon *)",
        "cron(0  0 1 1 ? 1970-2199)",
    ] {
        assert!(Expression::parse(text, Scheduler).is_ok(), "{text}");
    }
    for text in [
        "cron(60 0 1 * ? *)",
        "cron(0 24 1 * ? *)",
        "cron(0 0 0 * ? *)",
        "cron(0 0 32 * ? *)",
        "cron(0 0 1 0 ? *)",
        "cron(0 0 1 13 ? *)",
        "cron(0 0 ? * 0 *)",
        "cron(0 0 ? * 8 *)",
        "cron(0 0 1 * ? 1969)",
        "cron(0 0 1 * ? 2200)",
        "cron(0 0 1 * ? 2030-2020)",
        "cron(0/0 0 1 * ? *)",
        "cron(0/60 0 1 * ? *)",
        "cron(0/ 0 1 * ? *)",
        "cron(, 0 1 * ? *)",
        "cron(-5 0 1 * ? *)",
        "cron(5- 0 1 * ? *)",
        "cron(1-2-3 0 1 * ? *)",
        "cron(? 0 1 * ? *)",
        "cron(0 0 ? * ? *)",
        "cron(0 0 L,1 * ? *)",
        "cron(0 0 W * ? *)",
        "cron(0 0 1,15W * ? *)",
        "cron(0 0 ? * 2#6 *)",
        "cron(0 0 ? * 2#0 *)",
        "cron(0 0 ? * 2#1,3#2 *)",
        "cron(0 0 ? * #1 *)",
        "cron(0 0 1 * ?)",
        "cron(0 0 1 * ? * *)",
        "cron( 0 0 1 * ? *)",
        "cron(0 0 1 * ? * )",
        "CRON(0 0 1 * ? *)",
        "cron(0 0 1 * ? *",
        "cron",
        "",
        "at(2022-02-30T00:00:00)",
        "at(2022-12-31T24:00:00)",
        "at(2022-12-31T23:59:60)",
        "at(2022-12-31 23:59:59)",
        "at(+022-12-31T23:59:59)",
        "at( 2022-12-31T23:59:59)",
        "rate(99999999999 days)",
        "rate(+5 minutes)",
        "rate(5  minutes)",
    ] {
        assert!(Expression::parse(text, Scheduler).is_err(), "{text}");
    }
}

/// The first moments at which an expression runs after another.
fn runs(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let expression = Expression::parse(text, Scheduler).unwrap();
    let zone = Zone::named(zone).unwrap();
    let origin = moment(after);
    let next = |at: &Time| expression.next(*at, origin, &zone);
    let moments = std::iter::successors(next(&origin), next).take(count);
    moments.map(|at| iso8601::write(at.0 as i64)).collect()
}

fn moment(text: &str) -> Time {
    Time(iso8601::read(text).unwrap() as u64)
}

#[test]
fn expressions_run_when_their_fields_say() {
    for (text, after, expected) in [
        // AWS's documentation of cron expressions, the table of examples
        (
            "cron(15 10 * * ? *)",
            "2026-01-01T10:15:00Z",
            &["2026-01-02T10:15:00Z", "2026-01-03T10:15:00Z"][..],
        ),
        (
            "cron(0 18 ? * MON-FRI *)",
            "2026-01-02T18:00:00Z",
            &["2026-01-05T18:00:00Z", "2026-01-06T18:00:00Z"],
        ),
        ("cron(0 8 1 * ? *)", "2026-01-01T08:00:00Z", &["2026-02-01T08:00:00Z"]),
        ("cron(0/15 * * * ? *)", "2026-01-01T00:07:30Z", &["2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"]),
        ("cron(5/20 3 * * ? *)", "2026-01-01T03:44:59Z", &["2026-01-01T03:45:00Z", "2026-01-02T03:05:00Z"]),
        // Of 2026, the last Friday of January is the 30th, and the third Saturday of January the 17th.
        (
            "cron(15 10 ? * 6L 2026)",
            "2026-01-01T00:00:00Z",
            &["2026-01-30T10:15:00Z", "2026-02-27T10:15:00Z"],
        ),
        ("cron(0 2 ? * SAT#3 *)", "2026-01-01T00:00:00Z", &["2026-01-17T02:00:00Z", "2026-02-21T02:00:00Z"]),
        ("cron(0 0 ? * L *)", "2026-01-01T00:00:00Z", &["2026-01-03T00:00:00Z", "2026-01-10T00:00:00Z"]),
        (
            "cron(0 0 ? * 6-2 *)",
            "2026-01-01T00:00:00Z",
            &[
                "2026-01-02T00:00:00Z",
                "2026-01-03T00:00:00Z",
                "2026-01-04T00:00:00Z",
                "2026-01-05T00:00:00Z",
                "2026-01-09T00:00:00Z",
            ],
        ),
        ("cron(0 0 L * ? *)", "2028-01-31T00:00:00Z", &["2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"]),
        // 2026-08-01 is a Saturday, 2026-02-28 as well, 2026-05-31 a Sunday.
        ("cron(0 0 1W 8 ? *)", "2026-01-01T00:00:00Z", &["2026-08-03T00:00:00Z", "2027-08-02T00:00:00Z"]),
        ("cron(0 0 28W 2 ? *)", "2026-01-01T00:00:00Z", &["2026-02-27T00:00:00Z", "2027-02-26T00:00:00Z"]),
        ("cron(0 0 31W * ? *)", "2026-05-01T00:00:00Z", &["2026-05-29T00:00:00Z", "2026-07-31T00:00:00Z"]),
        ("cron(0 0 LW 5 ? *)", "2026-01-01T00:00:00Z", &["2026-05-29T00:00:00Z", "2027-05-31T00:00:00Z"]),
        ("cron(0 0 29 2 ? *)", "2096-03-01T00:00:00Z", &["2104-02-29T00:00:00Z"]),
        ("cron(15 10 ? * 6L 2002-2005)", "2026-01-01T00:00:00Z", &[]),
        ("cron(0 0 30 2 ? *)", "2026-01-01T00:00:00Z", &[]),
        ("cron(59 23 31 12 ? 2199)", "2026-01-01T00:00:00Z", &["2199-12-31T23:59:00Z"]),
        ("at(2026-03-01T12:30:45)", "2026-01-01T00:00:00Z", &["2026-03-01T12:30:45Z"]),
        ("at(2026-03-01T12:30:45)", "2026-03-01T12:30:45Z", &[]),
        ("at(1950-03-01T12:30:45)", "1970-01-01T00:00:00Z", &[]),
        (
            "rate(5 minutes)",
            "2026-01-01T00:00:01.5Z",
            &["2026-01-01T00:05:01.500Z", "2026-01-01T00:10:01.500Z"],
        ),
        ("rate(1 day)", "2026-01-01T00:00:00Z", &["2026-01-02T00:00:00Z"]),
    ] {
        assert_eq!(runs(text, "UTC", after, expected.len().max(1)), expected, "{text} after {after}");
    }
}

#[test]
fn a_rate_begins_at_its_origin_and_keeps_its_beat() {
    let rate = Expression::parse("rate(1 hour)", Rule).unwrap();
    let next = |after| rate.next(Time(after), Time(10_000), &Zone::UTC);
    assert_eq!(next(0), Some(Time(10_000)));
    assert_eq!(next(9_999), Some(Time(10_000)));
    assert_eq!(next(10_000), Some(Time(3_610_000)));
    assert_eq!(next(3_609_999), Some(Time(3_610_000)));
    assert_eq!(next(3_610_000 * 100), Some(Time(10_000 + 3_600_000 * 101)));
    assert_eq!(next(u64::MAX), None);
    let cron = Expression::parse("cron(* * * * ? *)", Rule).unwrap();
    assert_eq!(cron.next(Time(u64::MAX), Time(0), &Zone::UTC), None);
}

#[test]
fn daylight_saving_skips_times_that_are_not_there_and_runs_once_what_is_there_twice() {
    // AWS's documentation of schedule types, "Daylight savings time". Berlin's clocks went from 02:00 to 03:00 on 2026-03-29 at
    // 01:00 UTC, and from 03:00 to 02:00 on 2026-10-25 at 01:00 UTC.
    for (text, after, expected) in [
        ("cron(30 2 * * ? *)", "2026-03-27T12:00:00Z", &["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"][..]),
        ("cron(0 3 * * ? *)", "2026-03-28T12:00:00Z", &["2026-03-29T01:00:00Z"]),
        ("cron(0/30 * * * ? *)", "2026-03-29T00:30:00Z", &["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]),
        ("cron(30 2 * * ? *)", "2026-10-24T12:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
        ("cron(30 2 * * ? *)", "2026-10-25T01:10:00Z", &["2026-10-26T01:30:00Z"]),
        ("cron(0/30 * * * ? *)", "2026-10-25T00:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"]),
        ("at(2026-03-29T02:30:00)", "2026-01-01T00:00:00Z", &["2026-03-29T01:30:00Z"]),
        ("at(2026-10-25T02:30:00)", "2026-01-01T00:00:00Z", &["2026-10-25T00:30:00Z"]),
        // A rate counts hours, not the clock.
        ("rate(1 day)", "2026-03-28T12:00:00Z", &["2026-03-29T12:00:00Z", "2026-03-30T12:00:00Z"]),
    ] {
        assert_eq!(runs(text, "Europe/Berlin", after, expected.len()), expected, "{text} after {after}");
    }
    // Lord Howe's clocks move by half an hour; Apia left out 2011-12-30.
    assert_eq!(
        runs("cron(15 2 * * ? *)", "Australia/Lord_Howe", "2026-10-02T20:00:00Z", 2),
        ["2026-10-04T15:15:00Z", "2026-10-05T15:15:00Z"]
    );
    assert_eq!(
        runs("cron(0 12 * * ? *)", "Pacific/Apia", "2011-12-29T00:00:00Z", 2),
        ["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z"]
    );
}

#[test]
fn zones_have_their_names_in_exact_letters() {
    for name in ["UTC", "Etc/UTC", "GMT", "Europe/Berlin", "America/Argentina/Buenos_Aires", "US/Eastern"] {
        assert!(Zone::named(name).is_some(), "{name}");
    }
    for name in [
        "",
        "utc",
        "europe/berlin",
        "Europe/Bielefeld",
        "+02:00",
        "UTC+2",
        "../etc/passwd",
        "Local",
        "Etc/Unknown",
    ] {
        assert!(Zone::named(name).is_none(), "{name}");
    }
}
