//! ValidateStateMachineDefinition: what there is to say about a definition (facts/stepfunctions.md § 2).

use api::stepfunctions::{
    ValidateStateMachineDefinitionDiagnostic, ValidateStateMachineDefinitionInput,
    ValidateStateMachineDefinitionOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;
use states_language::{Diagnostics, Severity};

use super::{Context, Decision, Materials, Reply};
use crate::rules::definitions;
use crate::state::State;

/// Diagnostics that are told at the most.
const MOST: i32 = 100;

/// ValidateStateMachineDefinition.
#[derive(Clone, Debug)]
pub struct ValidateStateMachineDefinition {
    /// What was found.
    pub found: Diagnostics,
}

/// Which diagnostics are told.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Told {
    most: usize,
    with_warnings: bool,
}

impl Operation<State> for ValidateStateMachineDefinition {
    type Input = ValidateStateMachineDefinitionInput;
    type Output = ValidateStateMachineDefinitionOutput;
    type Plan = Told;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ValidateStateMachineDefinitionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(Self::prepare_with_plan(input, asker)?.0)
    }

    fn prepare_with_plan(
        input: ValidateStateMachineDefinitionInput,
        _: &Asker<'_>,
    ) -> Result<(Self, Told), Refusal> {
        let mut faults = Faults::default();
        let definition = definitions::of_request(input.definition.as_deref(), &mut faults);
        let kind = input.r#type.as_deref().unwrap_or("STANDARD");
        faults.one_of(kind, "type", &["STANDARD", "EXPRESS"]);
        let severity = input.severity.as_deref().unwrap_or("ERROR");
        faults.one_of(severity, "severity", &["ERROR", "WARNING"]);
        let most = input.max_results.unwrap_or(MOST);
        faults.range(most, "maxResults", 0, MOST);
        faults.refusal()?;
        let (_, found) = definitions::read(&definition, kind == "EXPRESS");
        let most = usize::try_from(if most == 0 { MOST } else { most }).unwrap_or(usize::MAX);
        Ok((ValidateStateMachineDefinition { found }, Told { most, with_warnings: severity == "WARNING" }))
    }

    fn decide<'a>(&'a self, _: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        Decision::answer(Reply::Diagnostics(self.found.clone()))
    }

    fn present(
        reply: Reply,
        told: &Told,
        _: &Materials<'_>,
    ) -> Result<ValidateStateMachineDefinitionOutput, Malformed> {
        let Reply::Diagnostics(found) = reply else { return Err(Malformed) };
        let all = found.as_slice().iter();
        let mut all = all.filter(|found| told.with_warnings || found.severity == Severity::Error);
        let diagnostics =
            all.by_ref().take(told.most).map(|found| ValidateStateMachineDefinitionDiagnostic {
                severity: Some(if found.severity == Severity::Error { "ERROR" } else { "WARNING" }.into()),
                code: Some(found.code.as_str().into()),
                message: Some(found.message.as_str().into()),
                location: found.location.as_deref().map(Into::into),
            });
        Ok(ValidateStateMachineDefinitionOutput {
            result: Some(if found.has_errors() { "FAIL" } else { "OK" }.into()),
            diagnostics: Some(diagnostics.collect()),
            truncated: Some(all.next().is_some() || found.is_truncated()),
        })
    }
}
