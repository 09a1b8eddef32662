//! When a schedule runs: its expression in its time zone, between its dates, within its window.

use kernel::codec::{Malformed, Reader, put_u64};
use kernel::{Secret, Time};
use schedules::{Dialect, Expression, Zone};

use crate::ScheduleId;

/// One run of a schedule that is to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// The moment that the schedule names.
    pub scheduled: Time,
    /// When the target is invoked: a little later if the schedule has a flexible window.
    pub due: Time,
}

impl Run {
    pub(crate) fn encode(run: Option<Run>, out: &mut Vec<u8>) {
        // No run is due before the epoch, so zero can mean that there is none.
        put_u64(out, run.map_or(0, |run| run.scheduled.0 + 1));
        if let Some(run) = run {
            put_u64(out, run.due - run.scheduled);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Option<Run>, Malformed> {
        Ok(match reader.u64()?.checked_sub(1) {
            None => None,
            Some(scheduled) => {
                let scheduled = Time(scheduled);
                Some(Run { scheduled, due: scheduled + reader.u64()? })
            }
        })
    }
}

/// What says when a schedule runs.
#[derive(Clone, Copy, Debug)]
pub struct Timing<'a> {
    /// The schedule.
    pub id: ScheduleId,
    /// `ScheduleExpression`.
    pub expression: &'a str,
    /// `ScheduleExpressionTimezone`.
    pub zone: &'a str,
    /// `StartDate`.
    pub start: Option<Time>,
    /// `EndDate`.
    pub end: Option<Time>,
    /// `MaximumWindowInMinutes` of a flexible window.
    pub window_minutes: Option<u32>,
    /// When the schedule was made or changed last: a rate without a start begins then.
    pub since: Time,
    /// What moments within windows are derived from.
    pub secret: &'a Secret,
}

impl Timing<'_> {
    /// The first run at `now` or later. (A rate without a start runs at once: facts/eventbridge.md § 9.)
    pub fn first(&self, now: Time) -> Option<Run> {
        // What comes strictly after the moment before.
        self.next(Time(now.0.checked_sub(1)?))
    }

    /// The run that follows on one of a recurring schedule that happens at `now`. Runs that were missed are left out, apart from
    /// those whose window is still open.
    pub fn following(&self, run: Run, now: Time) -> Option<Run> {
        let open_since = Time(now.0.saturating_sub(self.window_millis()));
        self.next(run.scheduled.max(open_since))
    }

    fn next(&self, after: Time) -> Option<Run> {
        let expression = Expression::parse(self.expression, Dialect::Scheduler).ok()?;
        let zone = Zone::named(self.zone)?;
        let mut after = after;
        // The dates say nothing about `at` (facts/eventbridge.md § 9).
        let (start, end) = if expression.recurs() { (self.start, self.end) } else { (None, None) };
        if let Some(start) = start {
            after = after.max(Time(start.0.saturating_sub(1)));
        }
        let scheduled = expression.next(after, self.start.unwrap_or(self.since), &zone)?;
        let is_over = end.is_some_and(|end| scheduled > end);
        (!is_over).then(|| Run { scheduled, due: scheduled + self.delay(scheduled) })
    }

    /// How far into its window a run begins: another moment for each schedule and each run, the same after a restart.
    fn delay(&self, scheduled: Time) -> u64 {
        let Some(window) = Some(self.window_millis()).filter(|&window| window > 0) else { return 0 };
        let number = self.id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ scheduled.0;
        self.secret.derive_number("flexible window", number) % window
    }

    fn window_millis(&self) -> u64 {
        u64::from(self.window_minutes.unwrap_or(0)) * 60_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_767_225_600_500);
    const MINUTE: u64 = 60_000;

    fn timing(expression: &str) -> Timing<'_> {
        const SECRET: &Secret = &Secret([7; 32]);
        Timing {
            id: ScheduleId(5),
            expression,
            zone: "UTC",
            start: None,
            end: None,
            window_minutes: None,
            since: NOW,
            secret: SECRET,
        }
    }

    fn at(scheduled: Time) -> Option<Run> {
        Some(Run { scheduled, due: scheduled })
    }

    #[test]
    fn a_rate_runs_at_once_or_from_its_start_on_and_to_its_end() {
        // facts/eventbridge.md § 9
        let rate = timing("rate(5 minutes)");
        assert_eq!(rate.first(NOW), at(NOW));
        assert_eq!(rate.following(at(NOW).unwrap(), NOW), at(NOW + 5 * MINUTE));
        assert_eq!(
            rate.following(at(NOW).unwrap(), NOW + 17 * MINUTE),
            at(NOW + 20 * MINUTE),
            "after a rest"
        );
        let later = Timing { start: Some(NOW + MINUTE), end: Some(NOW + 6 * MINUTE), ..rate };
        assert_eq!(later.first(NOW), at(NOW + MINUTE));
        assert_eq!(later.following(at(NOW + MINUTE).unwrap(), NOW + MINUTE), at(NOW + 6 * MINUTE));
        assert_eq!(later.following(at(NOW + 6 * MINUTE).unwrap(), NOW + 6 * MINUTE), None);
        let begun = Timing { start: Some(Time(NOW.0 - 7 * MINUTE)), ..rate };
        assert_eq!(begun.first(NOW), at(NOW + 3 * MINUTE));
    }

    #[test]
    fn dates_say_nothing_about_a_single_run_and_a_past_one_never_comes() {
        // facts/eventbridge.md § 9
        let dates = (Some(NOW + 9_000_000_000), Some(NOW));
        let once = Timing { start: dates.0, end: dates.1, ..timing("at(2026-01-01T00:01:00)") };
        assert_eq!(once.first(NOW), at(Time(1_767_225_660_000)));
        assert_eq!(once.first(Time(1_767_225_660_000)), at(Time(1_767_225_660_000)));
        assert_eq!(once.first(Time(1_767_225_660_001)), None);
        let run = at(Time(1_767_225_660_000)).unwrap();
        assert_eq!(once.following(run, NOW + 5 * MINUTE), None);
    }

    #[test]
    fn a_cron_runs_between_its_dates() {
        let cron = timing("cron(* * * * ? *)");
        assert_eq!(cron.first(Time(1_767_225_600_000)), at(Time(1_767_225_600_000)));
        assert_eq!(cron.first(NOW), at(Time(1_767_225_660_000)));
        let dated =
            Timing { start: Some(Time(1_767_225_720_000)), end: Some(Time(1_767_225_720_000)), ..cron };
        assert_eq!(dated.first(NOW), at(Time(1_767_225_720_000)));
        assert_eq!(dated.following(at(Time(1_767_225_720_000)).unwrap(), NOW), None);
    }

    #[test]
    fn a_flexible_window_spreads_runs_and_none_is_left_out() {
        let flexible = Timing { window_minutes: Some(15), ..timing("rate(5 minutes)") };
        let mut run = flexible.first(NOW).unwrap();
        let mut delays = std::collections::BTreeSet::new();
        for count in 0..100 {
            assert_eq!(run.scheduled, NOW + count * 5 * MINUTE);
            assert!(run.due >= run.scheduled && run.due < run.scheduled + 15 * MINUTE);
            delays.insert(run.due - run.scheduled);
            run = flexible.following(run, run.due).unwrap();
        }
        assert!(delays.len() > 90);
    }

    #[test]
    fn runs_read_back_as_they_were_written() {
        for run in [None, at(Time(0)), Some(Run { scheduled: NOW, due: NOW + 7 })] {
            let mut bytes = Vec::new();
            Run::encode(run, &mut bytes);
            assert_eq!(Run::decode(&mut Reader::new(&bytes)), Ok(run));
        }
    }
}
