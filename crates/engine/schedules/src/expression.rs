//! A schedule expression of any kind.

use jiff::civil::DateTime;
use kernel::Time;

use crate::{Cron, Zone};

/// The two services that read schedule expressions. They differ in what they accept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// `ScheduleExpression` of EventBridge's PutRule: no `at()`, and the unit of a rate is singular only for 1.
    Rule,
    /// `ScheduleExpression` of EventBridge Scheduler.
    Scheduler,
}

/// The text is no schedule expression. Each service has its own refusal for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invalid;

/// A schedule expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expression {
    /// Once, at this time of the zone's clocks.
    At(DateTime),
    /// Every so many milliseconds.
    Rate(u64),
    /// Whenever the zone's clocks show a minute that the fields name.
    Cron(Box<Cron>),
}

const MINUTE: u64 = 60_000;

impl Expression {
    /// Reads an expression. Blanks around it or inside the parentheses are not accepted (facts/eventbridge.md § 16).
    pub fn parse(text: &str, dialect: Dialect) -> Result<Expression, Invalid> {
        let (kind, rest) = text.split_once('(').ok_or(Invalid)?;
        let inner = rest.strip_suffix(')').ok_or(Invalid)?;
        match (kind, dialect) {
            ("rate", _) => rate(inner, dialect).map(Expression::Rate),
            ("cron", _) => Cron::parse(inner).map(|cron| Expression::Cron(Box::new(cron))),
            ("at", Dialect::Scheduler) => at(inner).map(Expression::At),
            _ => Err(Invalid),
        }
    }

    /// When it runs for the first time after `after`, in a zone; nothing if it does not run again. `origin` is when a rate
    /// begins: it runs then, and at whole multiples of its period later.
    ///
    /// Where clocks go forward, a cron's times that do not exist are skipped, and `at` runs later by as much as the clocks
    /// moved; where they go back, times that exist twice run once, the first time (AWS's documentation of schedule types,
    /// "Daylight savings time").
    pub fn next(&self, after: Time, origin: Time, zone: &Zone) -> Option<Time> {
        match self {
            Expression::At(civil) => zone.moment_at_or_after(*civil).filter(|&at| at > after),
            Expression::Rate(_) if after < origin => Some(origin),
            Expression::Rate(period) => {
                let periods = (after - origin) / period + 1;
                periods.checked_mul(*period).and_then(|millis| origin.0.checked_add(millis)).map(Time)
            }
            Expression::Cron(cron) => cron.next(after, zone),
        }
    }

    /// Whether it runs more than once.
    pub fn recurs(&self) -> bool {
        !matches!(self, Expression::At(_))
    }
}

/// `5 minutes`, in milliseconds. The unit is in lower case. Rules want it in the singular for 1 and in the plural for all else;
/// of Scheduler that is not recorded, and its documentation has only the plural: both are accepted.
fn rate(text: &str, dialect: Dialect) -> Result<u64, Invalid> {
    let (value, unit) = text.split_once(' ').ok_or(Invalid)?;
    let value = Some(value).filter(|value| value.bytes().all(|byte| byte.is_ascii_digit())).ok_or(Invalid)?;
    // AWS reads a number of 32 bits; what is longer has no meaning as a period either.
    let value: u64 = value.parse::<i32>().ok().and_then(|value| value.try_into().ok()).ok_or(Invalid)?;
    let (singular, minutes) = match unit.strip_suffix('s').unwrap_or(unit) {
        "minute" => ("minute", 1),
        "hour" => ("hour", 60),
        "day" => ("day", 24 * 60),
        _ => return Err(Invalid),
    };
    let agrees = dialect == Dialect::Scheduler || (unit == singular) == (value == 1);
    if value == 0 || !agrees {
        return Err(Invalid);
    }
    Ok(value * minutes * MINUTE)
}

/// `2026-12-24T18:00:00`, nothing more and nothing less.
fn at(text: &str) -> Result<DateTime, Invalid> {
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let fits = text.len() == shape.len()
        && text.bytes().zip(shape).all(|(byte, &form)| match form {
            b'd' => byte.is_ascii_digit(),
            form => byte == form,
        });
    if !fits {
        return Err(Invalid);
    }
    let field = |at: usize| text[at..at + 2].parse::<i8>().map_err(|_| Invalid);
    let year = text[..4].parse().map_err(|_| Invalid)?;
    DateTime::new(year, field(5)?, field(8)?, field(11)?, field(14)?, field(17)?, 0).map_err(|_| Invalid)
}
