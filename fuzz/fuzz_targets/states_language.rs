//! Any text is a definition of a state machine or is refused; one that is read does the same with an input every time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use states_language::{Failure, Random, Reaction, Scope, StateMachine, Step, Target, Transition, Variables, Work};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (definition, input) = text.split_once('\0').unwrap_or((text, "{}"));
    let input: Value = serde_json::from_str(input).unwrap_or(Value::Null);
    let target = Target { express: data.len() % 2 == 0, recognizes: &|_| true, serves: &|_| true };
    let (machine, diagnostics) = StateMachine::parse(definition, &target);
    assert_eq!(machine.is_none(), diagnostics.has_errors());
    let Some(machine) = machine else { return };
    machine.variable_references();
    assert_eq!(run(&machine, input.clone()), run(&machine, input));
});

/// Runs a few states; every task returns the input of its state.
fn run(machine: &StateMachine, mut input: Value) -> String {
    let (mut name, mut told, context) = (machine.flow.start_at.clone(), String::new(), json!({"State": {}}));
    let mut variables = Variables::new();
    for round in 0..20 {
        let Some(state) = machine.flow.states.get(&name) else { break };
        let (random, work) = (Random::new(round), Work::default());
        let scope = Scope::new(&input, &context, &variables, 1_700_000_000_000, &random, &work);
        let left = match state.enter(&scope) {
            Ok(Step::Leave(departure)) => Ok(departure),
            Ok(Step::Fail(failure)) => Err(failure),
            Ok(_) => state.finish(input.clone(), &scope),
            Err(failure) => Err(failure),
        };
        let recovered = left.or_else(|failure: Failure| match state.recover(&failure, &[u64::MAX; 64], 0.5, &scope)? {
            Reaction::Caught { departure, .. } => Ok(departure),
            Reaction::Retry { .. } => Err(failure),
            Reaction::Fails(failure) => Err(failure),
        });
        told += &format!("{recovered:?}");
        let Ok(departure) = recovered else { break };
        variables.extend(departure.assigned);
        let Transition::Next(next) = departure.to else { break };
        (name, input) = (next, departure.output);
    }
    told
}
