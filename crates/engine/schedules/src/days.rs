//! Which days of a month a cron expression names: by their number in the month, or by the day of the week.

use jiff::civil::Date;

/// The days that a cron expression runs on: one of its two fields of days, since the other is `?`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Days {
    /// These days of the month, as bits: bit 1 is the first.
    OfMonth(u64),
    /// The last day of the month (`L`).
    Last,
    /// The last of Monday to Friday in the month (`LW`).
    LastWorkday,
    /// The one of Monday to Friday that is nearest to this day, in the same month (`15W`).
    NearestWorkday(i8),
    /// These days of the week, as bits: bit 1 is Sunday, bit 7 is Saturday.
    OfWeek(u64),
    /// The last day of the month that is this day of the week (`6L`).
    LastOfWeek(i8),
    /// The day that is this day of the week for the n-th time in the month (`6#3`).
    NthOfWeek(i8, i8),
}

impl Days {
    /// Whether the day is one of them.
    pub(crate) fn contain(self, date: Date) -> bool {
        let (day, last) = (date.day(), date.days_in_month());
        match self {
            Days::OfMonth(days) => days & 1 << day != 0,
            Days::Last => day == last,
            Days::LastWorkday => day == nearest_workday(date, last),
            // A month that does not have the day has none that is near to it.
            Days::NearestWorkday(to) => to <= last && day == nearest_workday(date, to),
            Days::OfWeek(days) => days & 1 << weekday(date) != 0,
            Days::LastOfWeek(wanted) => weekday(date) == wanted && day + 7 > last,
            Days::NthOfWeek(wanted, nth) => weekday(date) == wanted && (day - 1) / 7 + 1 == nth,
        }
    }
}

/// The day of the week as AWS counts: 1 is Sunday, 7 is Saturday.
fn weekday(date: Date) -> i8 {
    date.weekday().to_sunday_one_offset()
}

/// Of the month of `date`: the day among Monday to Friday that is nearest to `day`, without leaving the month.
fn nearest_workday(date: Date, day: i8) -> i8 {
    const SUNDAY: i8 = 1;
    const SATURDAY: i8 = 7;
    // A day of a month that has it: the weekday follows from that of `date`.
    let on = (weekday(date) - 1 + (day - date.day())).rem_euclid(7) + 1;
    match on {
        SATURDAY if day == 1 => 3,
        SATURDAY => day - 1,
        SUNDAY if day == date.days_in_month() => day - 2,
        SUNDAY => day + 1,
        _ => day,
    }
}
