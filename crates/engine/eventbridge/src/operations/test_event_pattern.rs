//! TestEventPattern: whether a pattern matches an event.

use api::eventbridge::{TestEventPatternInput, TestEventPatternOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use patterns::Event;

use super::{Context, Decision, Reply};
use crate::rules::constraints::{Constraints, text};
use crate::rules::pattern;
use crate::state::State;

/// TestEventPattern: answered without the state.
#[derive(Clone, Debug)]
pub struct TestEventPattern {
    /// Whether it matches.
    pub matches: bool,
}

impl Operation<State> for TestEventPattern {
    type Input = TestEventPatternInput;
    type Output = TestEventPatternOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: TestEventPatternInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default()
            .required_text("eventPattern", input.event_pattern.as_ref(), text(4096))
            .required("event", input.event.as_ref())
            .check()?;
        let pattern = pattern::parse(input.event_pattern.as_deref().unwrap_or_default())?;
        let event = input.event.as_deref().unwrap_or_default();
        pattern::check_event(event)?;
        Ok(TestEventPattern { matches: pattern.matches(&Event::from_json(event)) })
    }

    fn decide<'a>(&'a self, _: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        Decision::answer(Reply::Truth(self.matches))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<TestEventPatternOutput, Malformed> {
        let Reply::Truth(result) = reply else { return Err(Malformed) };
        Ok(TestEventPatternOutput { result: Some(result) })
    }
}
