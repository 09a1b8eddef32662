//! Tables of what states do (facts/stepfunctions.md § 4, 5, 7, 15, 17, 18, 21).

mod choices;
mod maps;
mod recovery;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Departure, Step};
use crate::definition::{State, StateMachine, Target};
use crate::failure::Failure;
use crate::scope::Scope;
use crate::testing::with_scope;

const NOW: i64 = 1_700_000_000_000;

/// The state `X` of a definition in which `Y` is there to lead to.
fn state(definition: Value) -> State {
    let mut states = json!({"X": definition});
    if states.to_string().contains("\"Y\"") {
        states["Y"] = json!({"Type": "Succeed"});
    }
    let text = json!({"StartAt": "X", "States": states}).to_string();
    let (machine, diagnostics) =
        StateMachine::parse(&text, &Target { express: false, recognizes: &|_| true, serves: &|_| true });
    let mut machine = machine.unwrap_or_else(|| panic!("{diagnostics} {text}"));
    machine.flow.states.remove("X").unwrap()
}

fn in_scope<T>(input: &Value, run: impl FnOnce(&Scope<'_>) -> T) -> T {
    let context = json!({"State": {"Name": "X"}, "Map": {"Item": {"Index": 0, "Value": {"id": 7}}}});
    with_scope(input, &context, &json!({"v": 5, "limit": 2}), run)
}

/// The output of a state that leaves at once, and the variables that it assigns.
fn output(definition: Value, input: &Value) -> Result<(Value, Value), Failure> {
    let state = state(definition);
    in_scope(input, |scope| match state.enter(scope)? {
        Step::Leave(departure) => Ok((departure.output, departure.assigned.into_iter().collect())),
        step => panic!("{step:?}"),
    })
}

fn finish(definition: Value, input: &Value, result: Value) -> Result<Departure, Failure> {
    let state = state(definition);
    in_scope(input, |scope| state.finish(result, scope))
}

fn task(fields: Value) -> Value {
    let mut task = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true});
    task.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    task
}

fn text(failure: &Failure) -> String {
    failure.to_string()
}

#[test]
fn pass_states_pass_on_what_their_paths_make() {
    let input = json!({"a": {"b": 1}, "c": [1, 2]});
    let pass = |fields: Value| {
        let mut pass = json!({"Type": "Pass", "End": true});
        pass.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        pass
    };
    for (fields, expected, assigned) in [
        (json!({}), input.clone(), json!({})),
        (json!({"InputPath": "$.a"}), json!({"b": 1}), json!({})),
        (json!({"InputPath": null}), json!({}), json!({})),
        (json!({"OutputPath": null}), json!({}), json!({})),
        (json!({"OutputPath": "$.c[0]"}), json!(1), json!({})),
        (json!({"Result": {"x.$": "$.a"}}), json!({"x.$": "$.a"}), json!({})),
        (json!({"Result": 1, "ResultPath": "$.a.r"}), json!({"a": {"b": 1, "r": 1}, "c": [1, 2]}), json!({})),
        (json!({"Result": 1, "ResultPath": null}), input.clone(), json!({})),
        // The result is put into the raw input, not into what `InputPath` selects.
        (
            json!({"InputPath": "$.a", "ResultPath": "$.copy"}),
            json!({"a": {"b": 1}, "c": [1, 2], "copy": {"b": 1}}),
            json!({}),
        ),
        (
            json!({"InputPath": "$.a", "Parameters": {"n.$": "$.b", "v.$": "$v", "s.$": "$$.State.Name", "l": [{"t.$": "States.Array($.b)"}]}}),
            json!({"n": 1, "v": 5, "s": "X", "l": [{"t": [1]}]}),
            json!({}),
        ),
        (
            json!({"Assign": {"x.$": "$.a.b", "y": "z", "old.$": "$v"}}),
            input.clone(),
            json!({"old": 5, "x": 1, "y": "z"}),
        ),
        (json!({"QueryLanguage": "JSONata"}), input.clone(), json!({})),
        (
            json!({"QueryLanguage": "JSONata", "Output": {"n": ["{% $states.input.a.b + $v %}", "text"]}, "Assign": {"m": "{% $sum($states.input.c) %}"}}),
            json!({"n": [6, "text"]}),
            json!({"m": 3}),
        ),
    ] {
        assert_eq!(output(pass(fields.clone()), &input), Ok((expected, assigned)), "{fields}");
    }
    for (fields, expected) in [
        (
            json!({"InputPath": "$.x.y"}),
            "States.Runtime: Invalid path '$.x.y' : Missing property in path $['x']",
        ),
        (json!({"OutputPath": "$.x"}), "States.Runtime: Invalid path '$.x' : No results for path: $['x']"),
        (
            json!({"InputPath": "$.c", "Parameters": {"y.$": "$.x"}}),
            "States.Runtime: The JSONPath '$.x' specified for the field 'y.$' could not be found in the input '[1,2]'",
        ),
        (
            json!({"QueryLanguage": "JSONata", "Output": {"a": {"b": "{% $states.input.x %}"}}}),
            "States.QueryEvaluationError: The JSONata expression '$states.input.x' specified for the field 'Output/a/b' returned nothing (undefined).",
        ),
        (
            json!({"QueryLanguage": "JSONata", "Assign": {"x": "{% $states.input.x %}"}}),
            "States.QueryEvaluationError: The JSONata expression '$states.input.x' specified for the field 'Assign/x' returned nothing (undefined).",
        ),
        (
            json!({"Result": 1, "ResultPath": "$.a.b.r"}),
            "States.ResultPathMatchFailure: Unable to apply ReferencePath $.a.b.r to input {\"a\":{\"b\":1},\"c\":[1,2]}",
        ),
    ] {
        assert_eq!(text(&output(pass(fields.clone()), &input).unwrap_err()), expected, "{fields}");
    }
}

#[test]
fn failures_of_the_language_name_their_state() {
    let failure =
        Failure::new("States.Runtime", "Invalid path '$.a' : No results for path: $['a']").in_state("X", 2);
    assert_eq!(
        failure.cause.unwrap(),
        "An error occurred while executing the state 'X' (entered at the event id #2). Invalid path '$.a' : No results for path: $['a']"
    );
}

#[test]
fn waits_end_at_their_moment() {
    let until = |fields: Value, input: Value| {
        let mut wait = json!({"Type": "Wait", "End": true});
        wait.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let state = state(wait);
        in_scope(&input, |scope| match state.enter(scope) {
            Ok(Step::Wait(until)) => Ok(until),
            Ok(step) => panic!("{step:?}"),
            Err(failure) => Err(text(&failure)),
        })
    };
    for (fields, input, expected) in [
        (json!({"Seconds": 10}), json!({}), Ok(NOW + 10_000)),
        (json!({"SecondsPath": "$.s"}), json!({"s": 0}), Ok(NOW)),
        (json!({"SecondsPath": "$v"}), json!({}), Ok(NOW + 5_000)),
        (json!({"Timestamp": "2016-03-14T01:59:00Z"}), json!({}), Ok(1_457_920_740_000)),
        (json!({"TimestampPath": "$.t"}), json!({"t": "2023-11-15T00:00:00+00:00"}), Ok(1_700_006_400_000)),
        (
            json!({"QueryLanguage": "JSONata", "Seconds": "{% $states.input.s * 2 %}"}),
            json!({"s": 3}),
            Ok(NOW + 6_000),
        ),
        (
            json!({"SecondsPath": "$.p"}),
            json!({"p": -1}),
            Err("States.Runtime: The SecondsPath parameter references a negative value: $.p == -1"),
        ),
        (
            json!({"SecondsPath": "$.p"}),
            json!({}),
            Err("States.Runtime: Invalid path '$.p' : No results for path: $['p']"),
        ),
        (
            json!({"SecondsPath": "$.p"}),
            json!({"p": 31_622_401}),
            Err("States.Runtime: Wait state delay is too long."),
        ),
        (
            json!({"SecondsPath": "$.p"}),
            json!({"p": i64::MAX}),
            Err("States.Runtime: Wait state delay is too long."),
        ),
        (
            json!({"TimestampPath": "$.t"}),
            json!({"t": "9999-12-31T23:59:59Z"}),
            Err("States.Runtime: Wait state delay is too long."),
        ),
        (
            json!({"TimestampPath": "$.t"}),
            json!({"t": "2016-12-05 21:29:29Z"}),
            Err(
                "States.Runtime: The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: $.t == 2016-12-05 21:29:29Z",
            ),
        ),
        (
            json!({"QueryLanguage": "JSONata", "Timestamp": "{% '2016-12-05 21:29:29Z' %}"}),
            json!({}),
            Err(
                "States.Runtime: The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: 2016-12-05 21:29:29Z",
            ),
        ),
        (
            json!({"QueryLanguage": "JSONata", "Seconds": "{% 'x' %}"}),
            json!({}),
            Err(
                "States.QueryEvaluationError: The JSONata expression ''x'' specified for the field 'Seconds' returned an unexpected result type. Expected 'integer', but was 'string' for value: \"x\"",
            ),
        ),
    ] {
        assert_eq!(until(fields.clone(), input), expected.map_err(str::to_owned), "{fields}");
    }
    let wait = json!({"Type": "Wait", "Seconds": 1, "End": true, "QueryLanguage": "JSONata", "Output": "{% $states.input.a %}"});
    assert_eq!(finish(wait, &json!({"a": 1}), Value::Null).unwrap().output, json!(1));
}

#[test]
fn fail_states_fail_with_what_they_say() {
    let fail = |fields: Value| {
        let mut fail = json!({"Type": "Fail"});
        fail.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let state = state(fail);
        in_scope(&json!({"e": "E", "c": "C"}), |scope| match state.enter(scope) {
            Ok(Step::Fail(failure)) => Ok((failure.error, failure.cause)),
            Ok(step) => panic!("{step:?}"),
            Err(failure) => Err(text(&failure)),
        })
    };
    let both = |error: &str, cause: &str| Ok((Some(error.to_owned()), Some(cause.to_owned())));
    assert_eq!(fail(json!({})), Ok((None, None)));
    assert_eq!(fail(json!({"Error": "A", "CausePath": "$.c"})), both("A", "C"));
    assert_eq!(
        fail(json!({"ErrorPath": "$.e", "CausePath": "States.Format('it {}', $.c)"})),
        both("E", "it C")
    );
    assert_eq!(
        fail(json!({"QueryLanguage": "JSONata", "Error": "{% $states.input.e %}", "Cause": "plain"})),
        both("E", "plain")
    );
    assert_eq!(fail(json!({"ErrorPath": "$.x"})), Err("States.Runtime: The JSONPath '$.x' specified for the field 'ErrorPath' could not be found in the input '{\"e\":\"E\",\"c\":\"C\"}'".to_owned()));
}

#[test]
fn tasks_are_run_and_finished() {
    let definition = task(
        json!({"InputPath": "$.a", "Parameters": {"MessageBody.$": "$.m"}, "TimeoutSecondsPath": "$.t", "HeartbeatSeconds": 2, "Credentials": {"RoleArn.$": "$.r"}}),
    );
    let input = json!({"a": {"m": "hello", "t": 30, "r": "arn:role"}, "k": 1});
    let state = state(definition);
    in_scope(&input, |scope| {
        let Ok(Step::Run(run)) = state.enter(scope) else { panic!() };
        assert_eq!(run.payload, json!({"MessageBody": "hello"}));
        assert_eq!((run.timeout_seconds, run.heartbeat_seconds), (Some(30), Some(2)));
        assert_eq!(run.credentials, Some(json!({"RoleArn": "arn:role"})));
    });
    let result = json!({"MessageId": "1", "Rest": true});
    for (fields, expected, assigned) in [
        (json!({}), result.clone(), json!({})),
        (
            json!({"ResultSelector": {"id.$": "$.MessageId"}, "ResultPath": "$.sent", "Assign": {"id.$": "$.id"}}),
            json!({"a": 1, "sent": {"id": "1"}}),
            json!({"id": "1"}),
        ),
        (json!({"ResultPath": null}), json!({"a": 1}), json!({})),
        (json!({"ResultPath": "$.a", "OutputPath": "$.a.MessageId"}), json!("1"), json!({})),
        (json!({"QueryLanguage": "JSONata"}), result.clone(), json!({})),
        (
            json!({"QueryLanguage": "JSONata", "Output": "{% $states.result.MessageId & $states.input.a %}", "Assign": {"r": "{% $states.result.Rest %}"}}),
            json!("11"),
            json!({"r": true}),
        ),
    ] {
        let departure = finish(task(fields.clone()), &json!({"a": 1}), result.clone()).unwrap();
        assert_eq!(departure.output, expected, "{fields}");
        assert_eq!(Value::from_iter(departure.assigned), assigned, "{fields}");
    }
}

#[test]
fn payloads_have_a_limit_in_bytes() {
    let text_of = |bytes: usize| Value::from("é".repeat((bytes - 2) / 2));
    assert!(finish(task(json!({})), &json!({}), text_of(262_144)).is_ok());
    let failure = finish(task(json!({})), &json!({}), text_of(262_146)).unwrap_err();
    assert_eq!(
        text(&failure),
        "States.DataLimitExceeded: The state/task 'X' returned a result with a size exceeding the maximum number of bytes service limit."
    );
    let doubled = task(json!({"ResultPath": "$.b"}));
    assert_eq!(
        finish(doubled, &json!({"a": text_of(200_000)}), text_of(100_000)).unwrap_err().name(),
        "States.DataLimitExceeded"
    );
    let assign = task(json!({"Assign": {"a.$": "$", "b.$": "$"}, "ResultPath": null}));
    assert_eq!(finish(assign, &json!({}), text_of(200_000)).unwrap_err().name(), "States.DataLimitExceeded");
}

/// A loop that wraps its input in each round ends with an error that the execution can have, not with the process.
#[test]
fn values_have_a_depth_that_can_be_read_again() {
    let wrap = state(json!({"Type": "Pass", "Parameters": {"x.$": "$"}, "End": true}));
    let mut value = json!({});
    for depth in 0.. {
        match in_scope(&value, |scope| wrap.enter(scope)) {
            Ok(Step::Leave(departure)) => value = departure.output,
            Ok(step) => panic!("{step:?}"),
            Err(failure) => {
                assert_eq!(failure.name(), "States.DataLimitExceeded");
                assert!((100..127).contains(&depth), "{depth}");
                break;
            }
        }
        assert_eq!(serde_json::from_str::<Value>(&value.to_string()).unwrap(), value);
    }
}

#[test]
fn variables_are_referred_to_and_not_shadowed() {
    let parse = |definition: Value| {
        StateMachine::parse(
            &definition.to_string(),
            &Target { express: false, recognizes: &|_| true, serves: &|_| true },
        )
    };
    // As recorded in LocalStack's snapshots of DescribeStateMachine.
    let (machine, _) = parse(json!({"StartAt": "Setup", "States": {
        "Setup": {"Type": "Pass", "Assign": {"guess": "g", "answer": "a"}, "Next": "Check"},
        "Check": {"Type": "Choice", "Choices": [{"Variable": "$guess", "StringEqualsPath": "$answer", "Next": "Right"}], "Default": "Wrong"},
        "Wrong": {"Type": "Pass", "Assign": {"guess.$": "$answer"}, "Next": "Check"},
        "Right": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% ($local := $guess; $sum([$local])) %}", "End": true}}}));
    let references: Value = machine
        .unwrap()
        .variable_references()
        .into_iter()
        .map(|(name, read)| (name, Value::from(read)))
        .collect();
    assert_eq!(references, json!({"Check": ["answer", "guess"], "Wrong": ["answer"], "Right": ["guess"]}));
    let inner = |mode: Value| {
        json!({"StartAt": "A", "States": {
        "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "M"},
        "M": {"Type": "Map", "End": true, "ItemProcessor": {"ProcessorConfig": mode, "StartAt": "B", "States": {"B": {"Type": "Pass", "Assign": {"x": 2}, "End": true}}}}}})
    };
    let (machine, diagnostics) = parse(inner(json!({"Mode": "INLINE"})));
    assert!(machine.is_none());
    assert_eq!(
        diagnostics.as_slice()[0].location.as_deref(),
        Some("/States/M/ItemProcessor/States/B/Assign")
    );
    assert!(parse(inner(json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}))).0.is_some());
}

proptest! {
    /// Whatever the input, the result and the failure are: a state does not panic, and does the same again.
    #[test]
    fn states_are_deterministic(
        kind in 0usize..7,
        path in prop_oneof![Just("$"), Just("$.a"), Just("$.a[0]"), Just("$.a.b"), Just("$v")],
        expression in prop_oneof![Just("$states.input"), Just("$states.input.a"), Just("$random()"), Just("$uuid()"), Just("$states.result.b"), Just("1/0")],
        value in prop_oneof![Just(json!(null)), Just(json!({"a": [1]})), Just(json!({"a": {"b": "2024-01-01T00:00:00Z"}})), Just(json!([1, 2])), Just(json!("x")), Just(json!(-1))],
    ) {
        let jsonata = format!("{{% {expression} %}}");
        let flow = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
        let definition = match kind {
            0 => json!({"Type": "Pass", "InputPath": path, "Parameters": {"p.$": path}, "ResultPath": "$.a.r", "End": true}),
            1 => json!({"Type": "Wait", "SecondsPath": path.replace("$.a[0]", "$.b"), "End": true}),
            2 => json!({"Type": "Map", "ItemsPath": path, "ItemProcessor": flow, "ResultSelector": {"r.$": path}, "End": true}),
            3 => json!({"Type": "Choice", "Choices": [{"Variable": path, "NumericGreaterThan": 0, "Next": "Y"}], "Default": "Y"}),
            4 => json!({"Type": "Fail", "QueryLanguage": "JSONata", "Error": jsonata}),
            5 => json!({"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "QueryLanguage": "JSONata", "Arguments": jsonata, "TimeoutSeconds": jsonata, "Output": jsonata, "End": true}),
            _ => json!({"Type": "Map", "QueryLanguage": "JSONata", "Items": jsonata, "ItemProcessor": flow, "Output": jsonata, "End": true}),
        };
        let state = state(definition);
        let run = || in_scope(&value, |scope| {
            let entered = format!("{:?}", state.enter(scope));
            let finished = format!("{:?}", state.finish(value.clone(), scope));
            let recovered = format!("{:?}", state.recover(&Failure::new("Boom", ""), &[], 0.5, scope));
            (entered, finished, recovered)
        });
        prop_assert_eq!(run(), run());
    }
}
