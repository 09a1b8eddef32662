//! Tables of what states do (facts/stepfunctions.md § 4, 5, 7, 15, 17, 18, 21).

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Departure, Reaction, Step};
use crate::definition::{State, StateMachine, Target, Transition};
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
        StateMachine::parse(&text, &Target { express: false, recognizes: &|_| true });
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

/// Whether a comparison holds for an input.
fn holds(rule: Value, input: &Value) -> Result<bool, String> {
    let mut rule = rule;
    rule["Next"] = json!("Y");
    let definition = json!({"Type": "Choice", "Choices": [rule]});
    match output(definition, input) {
        Ok(_) => Ok(true),
        Err(failure) if failure.name() == "States.NoChoiceMatched" => Ok(false),
        Err(failure) => Err(text(&failure)),
    }
}

#[test]
fn every_comparison_has_its_table() {
    let input = json!({
        "one": 1, "two": 2.0, "text": "b", "upper": "B", "yes": true, "no": false, "nothing": null, "list": [1],
        "early": "2016-03-14T01:59:00Z", "late": "2016-03-14T03:59:00+01:00", "date": "2016-03-14"
    });
    for (operator, of, value, expected) in [
        ("BooleanEquals", "yes", json!(true), true),
        ("BooleanEquals", "no", json!(true), false),
        ("BooleanEquals", "text", json!(true), false),
        ("BooleanEqualsPath", "yes", json!("$.yes"), true),
        ("BooleanEqualsPath", "yes", json!("$.one"), false),
        ("NumericEquals", "one", json!(1.0), true),
        ("NumericEquals", "text", json!(1), false),
        ("NumericEqualsPath", "two", json!("$limit"), true),
        ("NumericLessThan", "one", json!(2), true),
        ("NumericLessThan", "one", json!(1), false),
        ("NumericLessThanPath", "one", json!("$.two"), true),
        ("NumericGreaterThan", "two", json!(1), true),
        ("NumericGreaterThanPath", "one", json!("$.two"), false),
        ("NumericLessThanEquals", "one", json!(1), true),
        ("NumericLessThanEqualsPath", "two", json!("$.one"), false),
        ("NumericGreaterThanEquals", "one", json!(1), true),
        ("NumericGreaterThanEqualsPath", "one", json!("$.text"), false),
        ("StringEquals", "text", json!("b"), true),
        ("StringEquals", "text", json!("B"), false),
        ("StringEquals", "one", json!("1"), false),
        ("StringEqualsPath", "text", json!("$.text"), true),
        ("StringLessThan", "upper", json!("b"), true),
        ("StringLessThanPath", "text", json!("$.upper"), false),
        ("StringGreaterThan", "text", json!("a"), true),
        ("StringGreaterThanPath", "text", json!("$.upper"), true),
        ("StringLessThanEquals", "text", json!("b"), true),
        ("StringLessThanEqualsPath", "text", json!("$.upper"), false),
        ("StringGreaterThanEquals", "text", json!("c"), false),
        ("StringGreaterThanEqualsPath", "text", json!("$.text"), true),
        ("StringMatches", "date", json!("2016-*-14"), true),
        ("StringMatches", "date", json!("2016-\\*"), false),
        ("StringMatches", "one", json!("*"), false),
        ("TimestampEquals", "early", json!("2016-03-14T02:59:00+01:00"), true),
        ("TimestampEquals", "date", json!("2016-03-14T00:00:00Z"), false),
        ("TimestampEqualsPath", "early", json!("$.late"), false),
        ("TimestampLessThan", "early", json!("2016-03-14T01:59:00.001Z"), true),
        ("TimestampLessThanPath", "early", json!("$.late"), true),
        ("TimestampGreaterThan", "late", json!("2016-03-14T01:59:00Z"), true),
        ("TimestampGreaterThanPath", "early", json!("$.late"), false),
        ("TimestampLessThanEquals", "early", json!("2016-03-14T01:59:00Z"), true),
        ("TimestampLessThanEqualsPath", "early", json!("$.date"), false),
        ("TimestampGreaterThanEquals", "early", json!("2016-03-14T01:59:00Z"), true),
        ("TimestampGreaterThanEqualsPath", "late", json!("$.early"), true),
        ("IsPresent", "nothing", json!(true), true),
        ("IsPresent", "missing", json!(true), false),
        ("IsPresent", "missing", json!(false), true),
        ("IsPresent", "missing.deep", json!(true), false),
        ("IsPresent", "list[0]", json!(true), true),
        ("IsPresent", "list[1]", json!(true), false),
        ("IsNull", "nothing", json!(true), true),
        ("IsNull", "one", json!(false), true),
        ("IsNumeric", "one", json!(true), true),
        ("IsNumeric", "text", json!(true), false),
        ("IsString", "text", json!(true), true),
        ("IsString", "yes", json!(false), true),
        ("IsBoolean", "no", json!(true), true),
        ("IsBoolean", "nothing", json!(true), false),
        ("IsTimestamp", "late", json!(true), true),
        ("IsTimestamp", "date", json!(true), false),
    ] {
        let rule = json!({"Variable": format!("$.{of}"), operator: value});
        assert_eq!(holds(rule.clone(), &input), Ok(expected), "{rule}");
        assert_eq!(holds(json!({"Not": rule}), &input), Ok(!expected), "{operator}");
    }
    let invalid =
        "States.Runtime: Invalid path '$.x': The choice state's condition path references an invalid value.";
    for rule in [
        json!({"Variable": "$.x", "IsNull": true}),
        json!({"Variable": "$.x", "StringEquals": ""}),
        json!({"Variable": "$.text", "StringEqualsPath": "$.x"}),
    ] {
        assert_eq!(holds(rule, &input), Err(invalid.to_owned()));
    }
    // What decides the result ends the evaluation: the missing path is not read.
    let present = json!({"Variable": "$.x", "IsPresent": true});
    let equal = json!({"Variable": "$.x", "NumericEquals": 1});
    assert_eq!(holds(json!({"And": [present, equal]}), &input), Ok(false));
    assert_eq!(holds(json!({"Or": [{"Not": present}, equal]}), &input), Ok(true));
}

#[test]
fn choices_lead_on_with_what_they_make() {
    let choice = json!({"Type": "Choice", "QueryLanguage": "JSONata", "Choices": [
        {"Condition": "{% $states.input.n > 10 %}", "Next": "Y", "Output": "big", "Assign": {"a": 1}},
        {"Condition": "{% $states.input.n > 5 %}", "Next": "Y"},
        {"Condition": "{% $states.input.n %}", "Next": "Y"}],
        "Default": "Y", "Output": "default", "Assign": {"a": 2}});
    assert_eq!(output(choice.clone(), &json!({"n": 11})), Ok((json!("big"), json!({"a": 1}))));
    assert_eq!(output(choice.clone(), &json!({"n": 6})), Ok((json!({"n": 6}), json!({}))));
    assert_eq!(
        output(choice.clone(), &json!({"n": false})).unwrap_err().name(),
        "States.QueryEvaluationError"
    );
    let failure = output(choice, &json!({"n": 0})).unwrap_err();
    assert_eq!(
        text(&failure),
        "States.QueryEvaluationError: The JSONata expression '$states.input.n' specified for the field 'Choices[2]/Condition' returned an unexpected result type. Expected 'boolean', but was 'number' for value: 0"
    );
    let choice = json!({"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Next": "Y", "Assign": {"m.$": "$.n"}}], "Default": "Y", "Assign": {"m": 0}, "OutputPath": "$.n"});
    assert_eq!(output(choice.clone(), &json!({"n": 1})), Ok((json!(1), json!({"m": 1}))));
    assert_eq!(output(choice, &json!({"n": 2})), Ok((json!(2), json!({"m": 0}))));
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
fn retries_wait_as_aws_computes() {
    let delays = |retrier: Value, jitter: f64, count: u64| {
        let mut retrier = retrier;
        retrier["ErrorEquals"] = json!(["States.ALL"]);
        let state = state(task(json!({"Retry": [retrier]})));
        let failure = Failure::new("Boom", "");
        in_scope(&json!({}), |scope| {
            (0..count)
                .map(|retried| match state.recover(&failure, &[retried], jitter, scope).unwrap() {
                    Reaction::Retry { delay_millis, retrier: 0 } => Some(delay_millis),
                    _ => None,
                })
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(delays(json!({}), 0.5, 4), [Some(1000), Some(2000), Some(4000), None]);
    assert_eq!(
        delays(json!({"IntervalSeconds": 3, "BackoffRate": 1.5}), 1.0, 3),
        [Some(3000), Some(4500), Some(6750)]
    );
    assert_eq!(
        delays(json!({"IntervalSeconds": 3, "BackoffRate": 1.5, "MaxDelaySeconds": 4}), 1.0, 3),
        [Some(3000), Some(4000), Some(4000)]
    );
    assert_eq!(delays(json!({"JitterStrategy": "FULL"}), 0.25, 3), [Some(250), Some(500), Some(1000)]);
    assert_eq!(delays(json!({"MaxAttempts": 0}), 1.0, 1), [None]);
    let far = json!({"MaxAttempts": 99_999_999, "IntervalSeconds": 99_999_999, "BackoffRate": 1e300});
    assert_eq!(delays(far, 1.0, 3), [Some(31_622_400_000); 3]);
}

#[test]
fn failures_are_matched_by_name() {
    let reaction = |errors: Value, failure: &Failure| {
        let fields = json!({"Retry": [{"ErrorEquals": ["Other"]}, {"ErrorEquals": errors, "MaxAttempts": 1}], "Catch": [{"ErrorEquals": errors, "Next": "Y"}]});
        let mut definition = task(fields);
        definition.as_object_mut().unwrap().remove("End");
        definition["Next"] = json!("Y");
        let state = state(definition);
        in_scope(&json!({}), |scope| {
            let first = state.recover(failure, &[], 0.0, scope).unwrap();
            let second = state.recover(failure, &[0, 1], 0.0, scope).unwrap();
            (
                matches!(first, Reaction::Retry { retrier: 1, .. }),
                matches!(second, Reaction::Caught { catcher: 0, .. }),
            )
        })
    };
    for (error, name, expected) in [
        ("States.ALL", "Boom", true),
        ("States.ALL", "States.Timeout", true),
        ("States.ALL", "States.QueryEvaluationError", true),
        ("States.ALL", "States.Runtime", false),
        ("States.ALL", "States.DataLimitExceeded", false),
        ("States.DataLimitExceeded", "States.DataLimitExceeded", true),
        ("States.TaskFailed", "Boom", true),
        ("States.TaskFailed", "States.Timeout", false),
        ("States.Timeout", "States.HeartbeatTimeout", true),
        ("States.HeartbeatTimeout", "States.HeartbeatTimeout", true),
        ("States.HeartbeatTimeout", "States.Timeout", false),
        ("Boom", "Boom", true),
        ("Boom", "boom", false),
    ] {
        assert_eq!(reaction(json!([error]), &Failure::new(name, "")), (expected, expected), "{error} {name}");
    }
    let nameless = Failure { error: None, cause: None, location: None };
    assert_eq!(reaction(json!(["States.ALL"]), &nameless), (true, true));
}

#[test]
fn catchers_lead_on_with_the_error() {
    let caught = |fields: Value, catcher: Value, failure: &Failure| {
        let mut definition = task(fields);
        definition.as_object_mut().unwrap().remove("End");
        definition["Next"] = json!("Y");
        let mut catcher = catcher;
        catcher["ErrorEquals"] = json!(["States.ALL"]);
        catcher["Next"] = json!("Y");
        definition["Catch"] = json!([catcher]);
        let state = state(definition);
        in_scope(&json!({"a": {"b": 1}}), |scope| match state.recover(failure, &[], 0.0, scope).unwrap() {
            Reaction::Caught { departure, .. } => {
                assert_eq!(departure.to, Transition::Next("Y".into()));
                (departure.output, Value::from_iter(departure.assigned))
            }
            reaction => panic!("{reaction:?}"),
        })
    };
    let failure = Failure::new("Boom", "it burst");
    let error = json!({"Error": "Boom", "Cause": "it burst"});
    assert_eq!(caught(json!({}), json!({}), &failure), (error.clone(), json!({})));
    // The error is put into the raw input, whatever `InputPath` selects.
    assert_eq!(
        caught(
            json!({"InputPath": "$.a"}),
            json!({"ResultPath": "$.error", "Assign": {"e.$": "$.Error"}}),
            &failure
        ),
        (json!({"a": {"b": 1}, "error": error}), json!({"e": "Boom"}))
    );
    assert_eq!(caught(json!({"QueryLanguage": "JSONata"}), json!({}), &failure), (error.clone(), json!({})));
    assert_eq!(
        caught(
            json!({"QueryLanguage": "JSONata"}),
            json!({"Output": "{% $states.errorOutput.Cause & $states.input.a.b %}", "Assign": {"e": "{% $states.errorOutput %}"}}),
            &failure
        ),
        (json!("it burst1"), json!({"e": error}))
    );
    let nameless = Failure { error: None, cause: None, location: None };
    assert_eq!(caught(json!({}), json!({}), &nameless).0, json!({"Error": null, "Cause": null}));
}

#[test]
fn maps_iterate_over_their_items() {
    let map = |fields: Value, distributed: bool| {
        let mut map = json!({"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}});
        if distributed {
            map["ItemProcessor"]["ProcessorConfig"] =
                json!({"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"});
        }
        map.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        state(map)
    };
    let items = |fields: Value, distributed: bool, input: Value| {
        let state = map(fields, distributed);
        in_scope(&input, |scope| match state.enter(scope) {
            Ok(Step::Iterate(iterations)) => Ok((iterations.items, iterations.max_concurrency)),
            Ok(step) => panic!("{step:?}"),
            Err(failure) => Err(text(&failure)),
        })
    };
    let jsonata = |mut fields: Value| {
        fields["QueryLanguage"] = json!("JSONata");
        fields
    };
    assert_eq!(
        items(json!({"ItemsPath": "$.l", "MaxConcurrency": 3}), false, json!({"l": [1]})),
        Ok((Some(json!([1])), 3))
    );
    assert_eq!(items(json!({}), false, json!([1, 2])), Ok((Some(json!([1, 2])), 0)));
    assert_eq!(
        items(json!({"ItemsPath": "$.o", "MaxConcurrencyPath": "$v"}), true, json!({"o": {"a": 1}})),
        Ok((Some(json!({"a": 1})), 5))
    );
    assert_eq!(
        items(jsonata(json!({"Items": "{% $states.input.l[$ > 1] %}"})), false, json!({"l": [1, 2, 3]})),
        Ok((Some(json!([2, 3])), 0))
    );
    assert_eq!(
        items(jsonata(json!({"Items": [1, "{% $v %}"]})), false, json!({})),
        Ok((Some(json!([1, 5])), 0))
    );
    for (fields, input, expected) in [
        (
            json!({"ItemsPath": "$.l"}),
            json!({}),
            "States.ReferencePathConflict: Unable to apply step \"l\" to input {}",
        ),
        (
            json!({"ItemsPath": "$.l"}),
            json!({"l": {}}),
            "States.Runtime: Reference path \"$.l\" must point to array.",
        ),
        (
            jsonata(json!({})),
            json!(null),
            "States.QueryEvaluationError: Map state input must be an array but was: null",
        ),
        (
            jsonata(json!({"Items": "{% 1 %}"})),
            json!([]),
            "States.QueryEvaluationError: The JSONata expression '1' specified for the field 'Items' returned an unexpected result type. Expected 'array', but was 'number' for value: 1",
        ),
        (
            json!({"MaxConcurrencyPath": "$.m"}),
            json!({"m": "x"}),
            "States.Runtime: The MaxConcurrencyPath field refers to value \"x\" which is not a valid integer: $.m",
        ),
    ] {
        assert_eq!(items(fields.clone(), false, input), Err(expected.to_owned()), "{fields}");
    }
    let selector = map(json!({"ItemSelector": {"id.$": "$$.Map.Item.Value.id", "n.$": "$.n"}}), false);
    in_scope(&json!({"n": 1}), |scope| {
        assert_eq!(selector.iteration_input(&json!({"id": 7}), scope), Ok(json!({"id": 7, "n": 1})))
    });
    let plain = map(json!({}), false);
    in_scope(&json!([]), |scope| assert_eq!(plain.iteration_input(&json!("item"), scope), Ok(json!("item"))));
}

#[test]
fn distributed_maps_say_how_they_run() {
    let definition = json!({"Type": "Map", "End": true, "Label": "L",
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}},
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "MaxItemsPath": "$.max"}, "Parameters": {"Bucket": "b", "Key.$": "$.key"}},
        "ItemBatcher": {"MaxItemsPerBatch": 10, "MaxInputBytesPerBatchPath": "$.bytes", "BatchInput": {"k.$": "$.key"}},
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "p"}, "WriterConfig": {"OutputType": "JSONL"}},
        "ToleratedFailurePercentagePath": "$.percent", "ToleratedFailureCount": 5, "MaxConcurrency": 100});
    let state = state(definition);
    let enter = |input: Value| {
        in_scope(&input, |scope| match state.enter(scope) {
            Ok(Step::Iterate(iterations)) => Ok(format!("{iterations:?}")),
            Ok(step) => panic!("{step:?}"),
            Err(failure) => Err(text(&failure)),
        })
    };
    let good = json!({"key": "k", "max": 7, "bytes": 1000, "percent": 12.5});
    let told = enter(good.clone()).unwrap();
    for part in [
        "max_items: 7",
        "max_items: Some(10)",
        "max_bytes: Some(1000)",
        "count: Some(5), percentage: Some(12.5)",
        "items: None",
        "max_concurrency: 100",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let with = |name: &str, value: Value| {
        let mut input = good.clone();
        input[name] = value;
        enter(input).unwrap_err()
    };
    assert_eq!(
        with("max", json!("1.5")),
        "States.Runtime: The MaxItemsPath field refers to value \"1.5\" which is not a valid integer: $.max"
    );
    assert_eq!(
        with("percent", json!(101)),
        "States.Runtime: ToleratedFailurePercentage must be between 0 and 100."
    );
    let tolerance = |count, percentage| super::Tolerance { count, percentage };
    for (tolerance, failed, total, exceeded) in [
        (tolerance(None, None), 0, 10, false),
        (tolerance(None, None), 1, 10, true),
        (tolerance(Some(2), None), 2, 10, false),
        (tolerance(Some(2), None), 3, 10, true),
        (tolerance(None, Some(20.0)), 2, 10, false),
        (tolerance(None, Some(20.0)), 3, 10, true),
        (tolerance(Some(5), Some(20.0)), 3, 10, true),
        (tolerance(None, Some(100.0)), 10, 10, false),
    ] {
        assert_eq!(tolerance.is_exceeded(failed, total), exceeded, "{tolerance:?} {failed}");
    }
}

#[test]
fn parallel_states_hand_their_input_to_branches() {
    let branch = |name: &str| json!({"StartAt": name, "States": {name: {"Type": "Pass", "End": true}}});
    let state = state(
        json!({"Type": "Parallel", "Branches": [branch("A"), branch("B")], "Parameters": {"n.$": "$.a"}, "ResultPath": "$.r", "End": true}),
    );
    in_scope(&json!({"a": 1}), |scope| {
        assert_eq!(state.enter(scope), Ok(Step::Branches(json!({"n": 1}))));
        let departure = state.finish(json!([1, 2]), scope).unwrap();
        assert_eq!(
            departure,
            Departure {
                to: Transition::End,
                output: json!({"a": 1, "r": [1, 2]}),
                assigned: Default::default()
            }
        );
    });
}

#[test]
fn variables_are_referred_to_and_not_shadowed() {
    let parse = |definition: Value| {
        StateMachine::parse(&definition.to_string(), &Target { express: false, recognizes: &|_| true })
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
