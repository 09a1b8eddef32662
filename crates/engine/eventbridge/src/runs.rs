//! What happens when a rule's schedule is due: its targets get an event, and the rule waits for its next run. All of that is one
//! group of the log.

use std::borrow::Cow;
use std::sync::Arc;

use kernel::uuid_text;

use crate::ids::RuleId;
use crate::operations::{Context, Decision};
use crate::records::{Record, RuleRan};
use crate::routing::Route;
use crate::rules::entry::Said;
use crate::state::State;

impl State {
    /// A rule runs. A run that is late happens once, and those that were missed besides are left out.
    pub(crate) fn run<'a>(&self, id: RuleId, context: &mut Context<'a, '_>) -> Decision<'a> {
        let nothing = || Decision::silent(Vec::new());
        let Some(rule) = self.rules.get(&id) else { return nothing() };
        let Some((timing, expression)) = rule.declared.timing.zip(rule.declared.schedule.as_ref()) else {
            return nothing();
        };
        let Some(scheduled) = timing.next else { return nothing() };
        let now = context.setting.now;
        let bus = rule.bus();
        // As AWS's documentation shows it ("Creating a rule that runs on a schedule").
        let said = Said {
            detail_type: "Scheduled Event",
            source: "aws.events",
            account: &bus.account,
            region: &bus.region,
            resources: &[&rule.arn],
            detail: "{}",
        };
        let draft = said.draft(Arc::new(bus.clone()), i64::try_from(scheduled.0).ok(), "");
        // The same if a crash takes the run back, so that nobody sees one event as two.
        let event_id = context.setting.secret.derive(&format!("scheduled event {}", scheduled.0), id.0);
        let event = draft.accept(uuid_text(event_id), now);
        let mut route = Route::to_rules(Cow::Owned(draft), Cow::Owned(event), vec![id]);
        while self.go_on(&mut route, context).is_on_its_way {}
        let ran = RuleRan { id, next: timing.following(expression, now).next };
        Decision::silent(vec![Record::RuleRan(ran).into()])
    }
}
