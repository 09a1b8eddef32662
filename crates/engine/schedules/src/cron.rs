//! `cron(minutes hours day-of-month month day-of-week year)`.

use jiff::civil::{Date, DateTime};
use kernel::Time;

use crate::days::Days;
use crate::{Invalid, Zone};

/// A cron expression. Sets of numbers are bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    months: u64,
    days: Days,
    /// From [`FIRST_YEAR`] on.
    years: [u64; 4],
}

/// The years that can be named (AWS's documentation of cron expressions).
const FIRST_YEAR: i16 = 1970;
const LAST_YEAR: i16 = 2199;

/// What a field can hold, and the names of its values from the first on.
struct Field {
    first: u16,
    last: u16,
    names: &'static [&'static str],
    /// Whether a range may go past the last value and on from the first: `SAT-TUE`.
    wraps: bool,
}

const MINUTES: Field = Field { first: 0, last: 59, names: &[], wraps: true };
const HOURS: Field = Field { first: 0, last: 23, names: &[], wraps: true };
const DAYS_OF_MONTH: Field = Field { first: 1, last: 31, names: &[], wraps: true };
const MONTHS: Field = Field {
    first: 1,
    last: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    wraps: true,
};
const DAYS_OF_WEEK: Field =
    Field { first: 1, last: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], wraps: true };
const YEARS: Field = Field { first: FIRST_YEAR as u16, last: LAST_YEAR as u16, names: &[], wraps: false };

impl Cron {
    /// Reads what stands between the parentheses: six fields with blanks between them, one of the two fields of days a `?`
    /// (facts/eventbridge.md § 5, § 16). Names are read in any case: all that is recorded of AWS is in upper case.
    pub(crate) fn parse(text: &str) -> Result<Cron, Invalid> {
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err(Invalid);
        }
        let mut fields = text.split(' ').filter(|field| !field.is_empty());
        let mut next = || fields.next().ok_or(Invalid);
        let (minutes, hours, day, month, weekday, year) =
            (next()?, next()?, next()?, next()?, next()?, next()?);
        if fields.next().is_some() {
            return Err(Invalid);
        }
        let days = match (day, weekday) {
            ("?", "?") => return Err(Invalid),
            (day, "?") => days_of_month(day)?,
            ("?", weekday) => days_of_week(weekday)?,
            _ => return Err(Invalid),
        };
        let mut years = [0; 4];
        YEARS.read(year, |year| {
            let at = usize::from(year - YEARS.first);
            years[at / 64] |= 1 << (at % 64);
        })?;
        let (minutes, hours, months) = (MINUTES.bits(minutes)?, HOURS.bits(hours)?, MONTHS.bits(month)?);
        Ok(Cron { minutes, hours, months, days, years })
    }

    /// The first moment after `after` at which the zone's clocks show, for the first time, a minute that the fields name.
    pub(crate) fn next(&self, after: Time, zone: &Zone) -> Option<Time> {
        let mut civil = zone.civil(after)?;
        loop {
            civil = self.next_civil(civil)?;
            // Where clocks go back, the minutes that come again have been before `after`.
            if let Some(moment) = zone.moment(civil).filter(|&moment| moment > after) {
                return Some(moment);
            }
        }
    }

    /// The first minute after that of `civil` that the fields name.
    fn next_civil(&self, civil: DateTime) -> Option<DateTime> {
        let (hour, minute) = (civil.hour() as u32, civil.minute() as u32);
        if self.names_day(civil.date()) {
            let minute_later = first_from(self.minutes, minute + 1).filter(|_| self.hours & 1 << hour != 0);
            let in_hour = minute_later.map(|minute| (hour, minute));
            let later = || Some((first_from(self.hours, hour + 1)?, first_from(self.minutes, 0)?));
            if let Some((hour, minute)) = in_hour.or_else(later) {
                return Some(civil.date().at(hour as i8, minute as i8, 0, 0));
            }
        }
        let date = self.next_date(civil.date())?;
        Some(date.at(first_from(self.hours, 0)? as i8, first_from(self.minutes, 0)? as i8, 0, 0))
    }

    /// The first date after this one that the fields name.
    fn next_date(&self, date: Date) -> Option<Date> {
        let mut date = if date.year() < FIRST_YEAR {
            Date::new(FIRST_YEAR, 1, 1).ok()?
        } else {
            date.tomorrow().ok()?
        };
        while date.year() <= LAST_YEAR {
            if !self.names_year(date.year()) {
                date = Date::new(date.year() + 1, 1, 1).ok()?;
            } else if self.months & 1 << date.month() == 0 {
                date = date.last_of_month().tomorrow().ok()?;
            } else if self.days.contain(date) {
                return Some(date);
            } else {
                date = date.tomorrow().ok()?;
            }
        }
        None
    }

    fn names_day(&self, date: Date) -> bool {
        self.names_year(date.year()) && self.months & 1 << date.month() != 0 && self.days.contain(date)
    }

    fn names_year(&self, year: i16) -> bool {
        let at = usize::try_from(year - FIRST_YEAR).ok().filter(|_| year <= LAST_YEAR);
        at.is_some_and(|at| self.years[at / 64] & 1 << (at % 64) != 0)
    }
}

/// The lowest bit that is set, from `from` on.
fn first_from(bits: u64, from: u32) -> Option<u32> {
    let rest = bits.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

fn days_of_month(text: &str) -> Result<Days, Invalid> {
    match text {
        "L" => Ok(Days::Last),
        "LW" => Ok(Days::LastWorkday),
        _ => match text.strip_suffix('W') {
            Some(day) => Ok(Days::NearestWorkday(DAYS_OF_MONTH.value(day)? as i8)),
            None => DAYS_OF_MONTH.bits(text).map(Days::OfMonth),
        },
    }
}

fn days_of_week(text: &str) -> Result<Days, Invalid> {
    if let Some((weekday, nth)) = text.split_once('#') {
        let nth = number(nth).filter(|nth| (1..=5).contains(nth)).ok_or(Invalid)?;
        return Ok(Days::NthOfWeek(DAYS_OF_WEEK.value(weekday)? as i8, nth as i8));
    }
    match text.strip_suffix('L') {
        // The last day of the week is Saturday.
        Some("") => Ok(Days::OfWeek(1 << DAYS_OF_WEEK.last)),
        Some(weekday) => Ok(Days::LastOfWeek(DAYS_OF_WEEK.value(weekday)? as i8)),
        None => DAYS_OF_WEEK.bits(text).map(Days::OfWeek),
    }
}

impl Field {
    /// The values that a field names, as bits.
    fn bits(&self, text: &str) -> Result<u64, Invalid> {
        let mut bits = 0;
        self.read(text, |value| bits |= 1 << value)?;
        Ok(bits)
    }

    /// Tells the values that a field names: a list of `*`, values and ranges, each perhaps with a step.
    fn read(&self, text: &str, mut tell: impl FnMut(u16)) -> Result<(), Invalid> {
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                None => (part, None),
                Some((range, step)) => (range, Some(self.step(step)?)),
            };
            let (from, to) = match (range, range.split_once('-')) {
                ("*", _) => (self.first, self.last),
                (_, Some((from, to))) => (self.value(from)?, self.value(to)?),
                // `5/10`: from 5 to the end.
                (from, None) if step.is_some() => (self.value(from)?, self.last),
                (only, None) => (self.value(only)?, self.value(only)?),
            };
            if to < from && !self.wraps {
                return Err(Invalid);
            }
            let values = self.last - self.first + 1;
            let length = if to < from { to + values - from } else { to - from };
            for ahead in (0..=length).step_by(step.unwrap_or(1).into()) {
                tell((from - self.first + ahead) % values + self.first);
            }
        }
        Ok(())
    }

    /// A step: 1 at the least, and no more than the field's values can be apart.
    fn step(&self, text: &str) -> Result<u16, Invalid> {
        number(text).filter(|step| (1..=self.last).contains(step)).ok_or(Invalid)
    }

    /// A number or a name.
    fn value(&self, text: &str) -> Result<u16, Invalid> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.map(|at| self.first + at as u16);
        named.or_else(|| number(text)).filter(|value| (self.first..=self.last).contains(value)).ok_or(Invalid)
    }
}

/// A few digits and nothing else.
fn number(text: &str) -> Option<u16> {
    let fits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| fits)
}
