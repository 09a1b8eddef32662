//! When a rule with a schedule runs (facts/eventbridge.md § 5).

use kernel::codec::{Malformed, Reader, put_u64};
use kernel::{Refusal, Time};
use schedules::{Dialect, Expression, Zone};

use crate::refusals;

/// When an enabled rule runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// When the schedule began: a rate counts from then.
    pub since: Time,
    /// The moment of the next run; none after the last one.
    pub next: Option<Time>,
}

/// Checks a schedule expression (facts/eventbridge.md § 16).
pub fn check(expression: &str) -> Result<(), Refusal> {
    Expression::parse(expression, Dialect::Rule)
        .map(drop)
        .map_err(|_| refusals::invalid("Parameter ScheduleExpression is not valid."))
}

impl Timing {
    /// A schedule that begins now. A rate runs for the first time after its first period: AWS's documentation ("Rate expressions
    /// reference") says that it starts when the rule is created.
    pub fn begin(expression: &str, now: Time) -> Timing {
        Timing { since: now, next: None }.after(expression, now)
    }

    /// The same schedule after its run, which happens at `now`. Runs that were missed are left out.
    pub fn following(self, expression: &str, now: Time) -> Timing {
        self.after(expression, self.next.map_or(now, |run| run.max(now)))
    }

    /// An expression that an older version took and this one does not understand never runs.
    fn after(self, expression: &str, after: Time) -> Timing {
        let expression = Expression::parse(expression, Dialect::Rule).ok();
        Timing { next: expression.and_then(|it| it.next(after, self.since, &Zone::UTC)), ..self }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        put_u64(out, self.since.0);
        encode_run(self.next, out);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Timing { since: Time(reader.u64()?), next: decode_run(reader)? })
    }
}

/// Appends the moment of a run. None is due at the epoch, so zero can mean that there is none.
pub(crate) fn encode_run(run: Option<Time>, out: &mut Vec<u8>) {
    put_u64(out, run.map_or(0, |run| run.0));
}

/// Reads what [`encode_run`] wrote.
pub(crate) fn decode_run(reader: &mut Reader<'_>) -> Result<Option<Time>, Malformed> {
    Ok(Some(Time(reader.u64()?)).filter(|run| run.0 > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_767_225_600_500);
    const MINUTE: u64 = 60_000;

    #[test]
    fn a_rate_runs_from_its_beginning_on_and_leaves_out_what_was_missed() {
        let rate = Timing::begin("rate(5 minutes)", NOW);
        assert_eq!(rate.next, Some(NOW + 5 * MINUTE));
        assert_eq!(rate.following("rate(5 minutes)", NOW + 5 * MINUTE).next, Some(NOW + 10 * MINUTE));
        assert_eq!(rate.following("rate(5 minutes)", NOW + 17 * MINUTE).next, Some(NOW + 20 * MINUTE));
    }

    #[test]
    fn a_cron_runs_at_full_minutes_and_perhaps_never() {
        // facts/eventbridge.md § 16
        let cron = Timing::begin("cron(0/15 * * * ? *)", NOW);
        assert_eq!(cron.next, Some(Time(1_767_225_600_000 + 15 * MINUTE)));
        assert_eq!(Timing::begin("cron(15 10 ? * 6L 2002-2005)", NOW).next, None);
        assert_eq!(Timing::begin("rate(1 day)", Time(u64::MAX)).next, None);
    }

    #[test]
    fn only_the_dialect_of_rules_is_taken() {
        // facts/eventbridge.md § 16
        assert!(check("rate(1 minute)").is_ok() && check("cron(0 2 ? * SAT#3 *)").is_ok());
        for wrong in ["at(2022-12-31T23:59:59)", "rate(1 minutes)", " rate(1 minute)", "rate(10 seconds)", ""]
        {
            let refusal = check(wrong).unwrap_err();
            assert_eq!(refusal.message, "Parameter ScheduleExpression is not valid.", "{wrong}");
        }
    }
}
