//! The next occurrence against a model that is slow and obvious: go on minute by minute until the clocks show a named minute
//! that they have not shown before.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZoneDatabase;
use kernel::Time;
use proptest::prelude::*;
use schedules::{Dialect, Expression, Zone};

const MINUTE: i64 = 60;

/// A field with the values that it names.
#[derive(Clone, Debug)]
struct Field {
    text: String,
    values: BTreeSet<i16>,
}

fn field(first: i16, last: i16) -> impl Strategy<Value = Field> {
    let star = Just(Field { text: "*".into(), values: (first..=last).collect() });
    let list = prop::collection::vec(first..=last, 1..4).prop_map(|values| Field {
        text: values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        values: values.into_iter().collect(),
    });
    let stepped = (first..=last, first..=last, 1..=last.min(20)).prop_map(move |(one, other, step)| {
        let (from, to) = (one.min(other), one.max(other));
        let values = (from..=to).step_by(step as usize).collect();
        Field { text: format!("{from}-{to}/{step}"), values }
    });
    let onward = (first..=last, 1..=last.min(20)).prop_map(move |(from, step)| Field {
        text: format!("{from}/{step}"),
        values: (from..=last).step_by(step as usize).collect(),
    });
    prop_oneof![4 => star, 2 => list, 1 => stepped, 1 => onward]
}

/// The two fields of days, and what they mean.
#[derive(Clone, Debug)]
enum Days {
    OfMonth(Field),
    OfWeek(Field),
    Last,
    Nearest(i16),
    LastOf(i16),
    Nth(i16, i16),
}

impl Days {
    fn text(&self) -> (String, String) {
        let question = || "?".to_owned();
        match self {
            Days::OfMonth(field) => (field.text.clone(), question()),
            Days::OfWeek(field) => (question(), field.text.clone()),
            Days::Last => ("L".to_owned(), question()),
            Days::Nearest(day) => (format!("{day}W"), question()),
            Days::LastOf(weekday) => (question(), format!("{weekday}L")),
            Days::Nth(weekday, nth) => (question(), format!("{weekday}#{nth}")),
        }
    }

    fn contain(&self, civil: DateTime) -> bool {
        let date = civil.date();
        let weekday = |day: i8| -> i16 {
            date.with().day(day).build().unwrap().weekday().to_sunday_one_offset().into()
        };
        let days: Vec<i8> = (1..=date.days_in_month()).collect();
        let is_workday = |day: &&i8| (2..=6).contains(&weekday(**day));
        match self {
            Days::OfMonth(field) => field.values.contains(&date.day().into()),
            Days::OfWeek(field) => field.values.contains(&weekday(date.day())),
            Days::Last => days.last() == Some(&date.day()),
            Days::Nearest(to) => {
                let nearest = days.iter().filter(is_workday).min_by_key(|&&day| (i16::from(day) - to).abs());
                i16::from(date.days_in_month()) >= *to && nearest == Some(&date.day())
            }
            Days::LastOf(wanted) => days.iter().rfind(|&&day| weekday(day) == *wanted) == Some(&date.day()),
            Days::Nth(wanted, nth) => {
                days.iter().filter(|&&day| weekday(day) == *wanted).nth(*nth as usize - 1)
                    == Some(&date.day())
            }
        }
    }
}

fn days() -> impl Strategy<Value = Days> {
    prop_oneof![
        3 => field(1, 31).prop_map(Days::OfMonth),
        3 => field(1, 7).prop_map(Days::OfWeek),
        1 => Just(Days::Last),
        1 => (1..=31i16).prop_map(Days::Nearest),
        1 => (1..=7i16).prop_map(Days::LastOf),
        1 => (1..=7i16, 1..=5i16).prop_map(|(weekday, nth)| Days::Nth(weekday, nth)),
    ]
}

const ZONES: &[&str] =
    &["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia"];

/// Moments near which the clocks of some zone change, and any others.
fn moments() -> impl Strategy<Value = i64> {
    let changes = prop::sample::select(vec![
        1_774_746_000i64, // Berlin, 2026-03-29
        1_792_890_000,    // Berlin, 2026-10-25
        1_772_953_200,    // New York, 2026-03-08
        1_793_512_800,    // New York, 2026-11-01
        1_791_041_400,    // Lord Howe, 2026-10-04
        1_777_017_600,    // Cairo, 2026-04-24
        1_325_239_200,    // Apia, 2011-12-30
    ]);
    prop_oneof![changes.prop_flat_map(|at| at - 90_000..at + 10_000), 0..4_000_000_000i64]
}

/// How far the model looks.
const MINUTES: i64 = 40 * 24 * 60;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_next_occurrence_is_the_first_that_comes_minute_by_minute(
        minutes in field(0, 59),
        hours in field(0, 23),
        days in days(),
        months in field(1, 12),
        zone in prop::sample::select(ZONES),
        after in moments(),
    ) {
        let (day, weekday) = days.text();
        let text = format!("cron({} {} {day} {} {weekday} *)", minutes.text, hours.text, months.text);
        let expression = Expression::parse(&text, Dialect::Rule).unwrap();
        let next = expression.next(Time(after as u64 * 1000), Time(0), &Zone::named(zone).unwrap());
        let clocks = TimeZoneDatabase::bundled().get(zone).unwrap();
        // What the clocks have shown in the last day and a bit is not shown for the first time.
        let first = after - after.rem_euclid(MINUTE) - 25 * 60 * MINUTE;
        let mut shown = BTreeSet::new();
        let expected = (0..MINUTES).map(|minute| first + minute * MINUTE).find(|&at| {
            let civil = clocks.to_datetime(Timestamp::from_second(at).unwrap());
            let is_new = shown.insert(civil);
            is_new
                && at > after
                && minutes.values.contains(&civil.minute().into())
                && hours.values.contains(&civil.hour().into())
                && months.values.contains(&civil.month().into())
                && days.contain(civil)
        });
        match expected {
            Some(at) => prop_assert_eq!(next, Some(Time(at as u64 * 1000)), "{} {}", text, zone),
            None => {
                let horizon = Time((first + MINUTES * MINUTE) as u64 * 1000);
                prop_assert!(next.is_none_or(|next| next >= horizon), "{} {} {:?}", text, zone, next);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(rate|cron|at)?\\(?[0-9A-Z*?/,#LW -]{0,40}\\)?|.{0,40}") {
        for dialect in [Dialect::Rule, Dialect::Scheduler] {
            if let Ok(expression) = Expression::parse(&text, dialect) {
                let next = expression.next(Time(1_700_000_000_000), Time(0), &Zone::UTC);
                prop_assert!(next.is_none_or(|next| next > Time(1_700_000_000_000)));
            }
        }
    }
}
