//! What a target gets: the schedule's `Input` with its context attributes, or the default one.

use kernel::{Time, iso8601};
use serde_json::json;

/// What is known of one invocation.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The schedule's ARN.
    pub schedule_arn: &'a str,
    /// The schedule's account.
    pub account: &'a str,
    /// The schedule's region.
    pub region: &'a str,
    /// The moment that the schedule names, not the one at which it happens.
    pub scheduled: Time,
    /// Sixteen hexadecimal digits.
    pub execution_id: &'a str,
    /// The first attempt is 1.
    pub attempt: u32,
}

impl Invocation<'_> {
    /// The moment that the schedule names, as text: to the second.
    pub fn scheduled_text(&self) -> String {
        iso8601::write((self.scheduled.seconds() * 1000) as i64)
    }

    /// The text of an `Input`, in which each context attribute is replaced by its value (AWS's documentation of Scheduler, "Adding
    /// context attributes").
    pub fn fill(&self, input: &str) -> String {
        const BEGIN: &str = "<aws.scheduler.";
        let mut out = String::with_capacity(input.len() + 64);
        let mut rest = input;
        while let Some(at) = rest.find(BEGIN) {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let name = &from[BEGIN.len()..];
            let value = match name.find('>').map(|end| (&name[..end], end)) {
                Some(("schedule-arn", end)) => Some((self.schedule_arn.to_owned(), end)),
                Some(("scheduled-time", end)) => Some((self.scheduled_text(), end)),
                Some(("execution-id", end)) => Some((self.execution_id.to_owned(), end)),
                Some(("attempt-number", end)) => Some((self.attempt.to_string(), end)),
                _ => None,
            };
            match value {
                Some((value, end)) => {
                    out.push_str(&value);
                    rest = &name[end + 1..];
                }
                // What is no context attribute stands for itself.
                None => {
                    out.push_str(BEGIN);
                    rest = name;
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// The event that an event bus gets: `detail` is JSON. The bus adds id and time. That it names the schedule as its resource is
    /// not recorded of AWS; the event of a schedule without an `Input` does.
    pub fn event(&self, detail_type: &str, source: &str, detail: &str) -> String {
        let text = |value: &str| json!(value).to_string();
        format!(
            "{{\"detail-type\":{},\"source\":{},\"account\":{},\"region\":{},\"resources\":[{}],\"detail\":{detail}}}",
            text(detail_type),
            text(source),
            text(self.account),
            text(self.region),
            text(self.schedule_arn)
        )
    }

    /// What a target gets of a schedule without an `Input` (facts/eventbridge.md § 9). `id` names the event.
    pub fn default_input(&self, id: &str) -> String {
        let text = |value: &str| json!(value).to_string();
        format!(
            "{{\"version\":\"0\",\"id\":{},\"detail-type\":\"Scheduled Event\",\"source\":\"aws.scheduler\",\"account\":{},\
             \"time\":{},\"region\":{},\"resources\":[{}],\"detail\":\"{{}}\"}}",
            text(id),
            text(self.account),
            text(&self.scheduled_text()),
            text(self.region),
            text(self.schedule_arn)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVOCATION: Invocation<'_> = Invocation {
        schedule_arn: "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s",
        account: "000000000000",
        region: "us-east-1",
        scheduled: Time(1_767_225_600_123),
        execution_id: "d32c5acddcf5bb8c",
        attempt: 1,
    };

    #[test]
    fn context_attributes_are_replaced_and_nothing_else_is() {
        // AWS's documentation of Scheduler, "Adding context attributes"
        for (input, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("at <aws.scheduler.scheduled-time>.", "at 2026-01-01T00:00:00Z."),
            ("<aws.scheduler.execution-id>/<aws.scheduler.attempt-number>", "d32c5acddcf5bb8c/1"),
            ("<aws.scheduler.schedule-arn>", "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s"),
            ("<aws.scheduler.nothing><aws.scheduler.", "<aws.scheduler.nothing><aws.scheduler."),
            ("<aws.scheduler.<aws.scheduler.attempt-number>", "<aws.scheduler.1"),
            ("ü<aws.events.rule-arn>ü", "ü<aws.events.rule-arn>ü"),
        ] {
            assert_eq!(INVOCATION.fill(input), expected, "{input}");
        }
    }

    #[test]
    fn a_schedule_without_an_input_sends_an_event() {
        // facts/eventbridge.md § 9
        let expected = "{\"version\":\"0\",\"id\":\"x\",\"detail-type\":\"Scheduled Event\",\"source\":\"aws.scheduler\",\
                        \"account\":\"000000000000\",\"time\":\"2026-01-01T00:00:00Z\",\"region\":\"us-east-1\",\"resources\":\
                        [\"arn:aws:scheduler:us-east-1:000000000000:schedule/default/s\"],\"detail\":\"{}\"}";
        assert_eq!(INVOCATION.default_input("x"), expected);
    }

    #[test]
    fn an_event_bus_gets_the_input_as_the_detail_of_an_event() {
        let event: serde_json::Value =
            serde_json::from_str(&INVOCATION.event("type \"a\"", "source", "{\"b\":[1]}")).unwrap();
        let expected = json!({
            "detail-type": "type \"a\"",
            "source": "source",
            "account": "000000000000",
            "region": "us-east-1",
            "resources": ["arn:aws:scheduler:us-east-1:000000000000:schedule/default/s"],
            "detail": {"b": [1]},
        });
        assert_eq!(event, expected);
    }
}
