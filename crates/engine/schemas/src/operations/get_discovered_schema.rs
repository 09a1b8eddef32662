//! GetDiscoveredSchema: what a discoverer would make of some events, which it does not see.

use api::schemas::{GetDiscoveredSchemaInput, GetDiscoveredSchemaOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use serde_json::Value;

use super::{Context, Decision, Reply, text};
use crate::discovery::subject_of;
use crate::inference::{Shape, Subject, write};
use crate::rules::content;
use crate::state::State;
use crate::{limits, refusals};

/// GetDiscoveredSchema. It needs no state.
#[derive(Clone, Debug)]
pub struct GetDiscoveredSchema;

impl Operation<State> for GetDiscoveredSchema {
    type Input = GetDiscoveredSchemaInput;
    type Output = GetDiscoveredSchemaOutput;
    /// The schema.
    type Plan = String;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetDiscoveredSchemaInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    fn prepare_with_plan(input: GetDiscoveredSchemaInput, _: &Asker<'_>) -> Result<(Self, String), Refusal> {
        let dialect = content::dialect(input.r#type.as_deref())?;
        let events = input.events.unwrap_or_default();
        if !(1..=limits::EVENTS).contains(&events.len()) {
            return Err(refusals::bad_request(format!("There must be 1 to {} events.", limits::EVENTS)));
        }
        let (mut shape, mut subject) = (Shape::default(), None);
        for event in &events {
            if event.chars().count() > limits::CONTENT {
                let text = format!("An event is longer than {} characters.", limits::CONTENT);
                return Err(refusals::bad_request(text));
            }
            let event: Value = serde_json::from_str(event)
                .map_err(|error| refusals::bad_request(format!("An event is no JSON: {error}")))?;
            let (its_subject, detail) = subject_of(&event).unwrap_or((Subject::Value, &event));
            if subject.get_or_insert_with(|| its_subject.clone()) != &its_subject {
                return Err(refusals::bad_request("The events are not of one source and detail type."));
            }
            shape.merge(Shape::of(detail));
        }
        let content = write(dialect, &subject.unwrap_or(Subject::Value), &shape);
        Ok((GetDiscoveredSchema, content))
    }

    fn decide<'a>(&'a self, _: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        Decision::answer(Reply::Done)
    }

    fn present(_: Reply, content: &String, _: &()) -> Result<GetDiscoveredSchemaOutput, Malformed> {
        Ok(GetDiscoveredSchemaOutput { content: text(content.as_str()) })
    }
}
