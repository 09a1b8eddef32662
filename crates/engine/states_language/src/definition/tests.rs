//! Diagnostics that AWS recorded (facts/stepfunctions.md § 6 and 21; issues 2735, 2745, 2968, 3733 of github.com/floci-io/floci;
//! LocalStack's snapshots of ValidateStateMachineDefinition), and definitions of AWS's documentation that are accepted.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Diagnostics, Pattern, Resource, StateMachine, Target};

fn check_as(definition: &str, express: bool) -> (Option<StateMachine>, Diagnostics) {
    let recognizes = |resource: &Resource| !matches!(resource, Resource::Service { service, action, sdk: false, .. } if service == "dynamodb" && action == "query");
    // What is not served is a warning.
    let serves =
        |resource: &Resource| !matches!(resource, Resource::Service { service, .. } if service == "athena");
    StateMachine::parse(definition, &Target { express, recognizes: &recognizes, serves: &serves })
}

/// Each diagnostic as `CODE: message at place`.
fn found(definition: &Value, express: bool) -> Vec<String> {
    let (machine, diagnostics) = check_as(&definition.to_string(), express);
    assert_eq!(machine.is_none(), diagnostics.has_errors());
    let text = |diagnostic: &super::Diagnostic| {
        let place = diagnostic.location.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
        format!("{}: {}{place}", diagnostic.code.as_str(), diagnostic.message)
    };
    diagnostics.as_slice().iter().map(text).collect()
}

fn one_state(state: Value) -> Value {
    json!({"StartAt": "X", "States": {"X": state}})
}

fn two_states(state: Value) -> Value {
    json!({"StartAt": "X", "States": {"X": state, "Y": {"Type": "Succeed"}}})
}

#[test]
fn what_is_wrong_is_told_in_awss_words() {
    let schema = |text: &str| vec![format!("SCHEMA_VALIDATION_FAILED: {text}")];
    let pass = json!({"Type": "Pass", "End": true});
    let task = |resource: &str| json!({"Type": "Task", "Resource": resource, "End": true});
    for (definition, expected) in [
        (json!({}), schema("These fields are required: [States, StartAt] at /")),
        (json!({"States": {"X": pass}}), schema("These fields are required: [StartAt] at /")),
        (json!({"StartAt": "X"}), schema("These fields are required: [States] at /")),
        (json!({"StartAt": "X", "States": {}}), schema("Value cannot be empty at /States")),
        (json!([]), schema("Definition must be a valid JSON object")),
        (
            json!({"StartAt": "X", "States": {"X": pass}, "Coment": ""}),
            schema("Field 'Coment' is not supported at /"),
        ),
        (
            one_state(json!({"Type": "Unknown"})),
            schema(
                "The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /States/X/Type",
            ),
        ),
        (
            one_state(json!({"Type": "Wait", "Timestamp": "2016-12-05 21:29:29Z", "End": true})),
            schema("String does not match RFC3339 timestamp at /States/X/Timestamp"),
        ),
        (
            one_state(json!({"Type": "Pass", "End": true, "TimeoutSeconds": 1})),
            schema("Field 'TimeoutSeconds' is not supported at /States/X"),
        ),
        (
            one_state(json!({"Type": "Pass", "End": true, "Catch": []})),
            schema("Field 'Catch' is not supported at /States/X"),
        ),
        (
            one_state(json!({"Type": "Pass", "End": true, "Parameters": {"p.$": "nonsense"}})),
            schema(
                "The value for the field 'p.$' must be a valid JSONPath or a valid intrinsic function call at /States/X/Parameters",
            ),
        ),
        (
            one_state(
                json!({"Type": "Pass", "End": true, "Parameters": {"a": [{"p.$": "States.Nothing()"}]}}),
            ),
            schema(
                "The value for the field 'p.$' must be a valid JSONPath or a valid intrinsic function call at /States/X/Parameters",
            ),
        ),
        (
            one_state(json!({"Type": "Pass", "End": true, "ResultPath": "$.a[*]"})),
            schema("Value is not a Reference Path at /States/X/ResultPath"),
        ),
        (
            one_state(json!({"Type": "Pass", "End": true, "Output": 1})),
            schema(
                "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage at /States/X",
            ),
        ),
        (
            json!({"QueryLanguage": "JSONata", "StartAt": "X", "States": {"X": {"Type": "Pass", "End": true, "ResultPath": "$.a"}}}),
            schema(
                "The QueryLanguage is set to 'JSONata', but field 'ResultPath' is only supported for the 'JSONPath' QueryLanguage at /States/X",
            ),
        ),
        (
            json!({"QueryLanguage": "JSONata", "StartAt": "X", "States": {"X": {"Type": "Pass", "End": true, "QueryLanguage": "JSONPath"}}}),
            schema(
                "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine at /States/X",
            ),
        ),
        (
            one_state(task("arn:aws:states:::dynamodb:query")),
            schema(
                "The resource provided arn:aws:states:::dynamodb:query is not recognized. The value is not a valid resource ARN, or the resource is not available in this region. at /States/X/Resource",
            ),
        ),
        (
            one_state(task("sendToken")),
            schema(
                "The resource provided sendToken is not recognized. The value is not a valid resource ARN, or the resource is not available in this region. at /States/X/Resource",
            ),
        ),
        (
            one_state(
                json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true, "Credentials": {}}),
            ),
            schema("The field 'RoleArn' is required but was missing at /States/X/Credentials"),
        ),
        (
            two_states(
                json!({"Type": "Choice", "Choices": [{"Variable": "$", "StringMatches": "a"}], "Default": "Y"}),
            ),
            schema("These fields are required: [Next] at /States/X/Choices[0]"),
        ),
        (
            two_states(json!({"Type": "Choice", "Choices": [], "Default": "Y"})),
            schema("Value cannot be empty at /States/X/Choices"),
        ),
        (
            one_state(json!({"Type": "Pass", "Next": "NOPE"})),
            vec![
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: NOPE at /States/X/Next".into(),
                "MISSING_END_STATE: Workflow has no terminal state".into(),
            ],
        ),
        (
            json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}, "C": {"Type": "Pass", "Next": "A"}}}),
            vec!["MISSING_END_STATE: Workflow has no terminal state".into()],
        ),
        (
            json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}, "C": pass}}),
            vec!["MISSING_TRANSITION_TARGET: State \"C\" is not reachable. at /States/C".into()],
        ),
        (
            json!({"StartAt": "N", "States": {"A": pass}}),
            vec![
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: N at /StartAt".into(),
                "MISSING_TRANSITION_TARGET: State \"A\" is not reachable. at /States/A".into(),
            ],
        ),
        (
            two_states(
                json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": true, "Next": "N"}], "Default": "D"}),
            ),
            vec![
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: N at /States/X/Choices[0]/Next".into(),
                "MISSING_TRANSITION_TARGET: Missing 'Next' target: D at /States/X/Default".into(),
                "MISSING_TRANSITION_TARGET: State \"Y\" is not reachable. at /States/Y".into(),
            ],
        ),
    ] {
        assert_eq!(found(&definition, false), expected, "{definition}");
    }
    for text in ["", " ", "null", "7"] {
        let (_, diagnostics) = check_as(text, false);
        let text = diagnostics.to_string();
        assert_eq!(
            text,
            "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: Definition must be a valid JSON object'"
        );
    }
    let (_, diagnostics) = check_as("not a definition", false);
    let [diagnostic] = diagnostics.as_slice() else { panic!("{diagnostics}") };
    assert_eq!(
        diagnostic.location.as_deref(),
        Some("[Source: (String)\"not a definition\"; line: 1, column: 4]")
    );
    assert_eq!(
        diagnostic.message,
        "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: (String)\"not a definition\"; line: 1, column: 4]"
    );
}

#[test]
fn numbers_of_a_map_are_checked_as_aws_does() {
    let map = |field: &str, value: Value| {
        let mut state = json!({"Type": "Map", "End": true, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}});
        state[field] = value;
        found(&one_state(state), false)
    };
    let schema = |text: &str| vec![format!("SCHEMA_VALIDATION_FAILED: {text}")];
    assert_eq!(map("MaxConcurrency", json!(-1)), schema("Minimum value is 0 at /States/X/MaxConcurrency"));
    assert_eq!(
        map("ToleratedFailurePercentage", json!(-0.5)),
        schema("Minimum value is 0.0 at /States/X/ToleratedFailurePercentage")
    );
    assert_eq!(
        map("ToleratedFailurePercentage", json!(101)),
        schema("Maximum value is 100.0 at /States/X/ToleratedFailurePercentage")
    );
    assert_eq!(
        map("ToleratedFailureCountPath", json!("$$.Execution.Input.n[*]")),
        schema("Value is not a Reference Path at /States/X/ToleratedFailureCountPath")
    );
    let reader = json!({"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"MaxItems": 1, "MaxItemsPath": "$.n"}});
    assert_eq!(
        map("ItemReader", reader),
        schema(
            "There should only be one of the following fields: [MaxItems, MaxItemsPath] at /States/X/ItemReader/ReaderConfig"
        )
    );
    let reader =
        json!({"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"MaxItems": 100_000_001}});
    assert_eq!(
        map("ItemReader", reader),
        schema("Maximum value is 100000000 at /States/X/ItemReader/ReaderConfig/MaxItems")
    );
    assert_eq!(map("Label", json!("a".repeat(41))), schema("Maximum length is 40 at /States/X/Label"));
    let inline = json!({"Type": "Map", "End": true, "Label": "a", "ItemProcessor": {"QueryLanguage": "JSONata", "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}});
    assert_eq!(
        found(&one_state(inline), false),
        [
            "SCHEMA_VALIDATION_FAILED: Field 'QueryLanguage' is not supported at /States/X/ItemProcessor",
            "SCHEMA_VALIDATION_FAILED: Field 'Label' is not supported at /States/X",
        ]
    );
}

#[test]
fn expressions_are_checked_where_they_stand() {
    let state = |output: Value| json!({"QueryLanguage": "JSONata", "StartAt": "X", "States": {"X": {"Type": "Pass", "Output": output, "End": true}}});
    assert_eq!(
        found(&state(json!("{% 1 + %}")), false),
        ["INVALID_JSONATA_EXPRESSION: Unexpected end of expression at /States/X/Output"]
    );
    assert_eq!(
        found(&state(json!({"v": ["{% phone %}"]})), false),
        [
            "UNSUPPORTED_JSONATA_EXPRESSION: Reference to 'phone' at the top level is not supported. at /States/X/Output/v[0]"
        ]
    );
    assert_eq!(found(&state(json!(" {% phone %}")), false), [""; 0]);
}

#[test]
fn express_state_machines_have_fewer_tasks() {
    let task = |resource: &str| one_state(json!({"Type": "Task", "Resource": resource, "End": true}));
    for (resource, expected) in [
        (
            "arn:aws:states:::states:startExecution.sync",
            "Express state machine does not support '.sync' service integration at /States/X/Resource",
        ),
        (
            "arn:aws:states:::states:startExecution.sync:2",
            "Express state machine does not support '.sync:2' service integration at /States/X/Resource",
        ),
        (
            "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Express state machine does not support '.waitForTaskToken' service integration  at /States/X/Resource",
        ),
        (
            "arn:aws:states:us-east-1:123456789012:activity:a",
            "Express state machine does not support Activity ARN at /States/X/Resource",
        ),
    ] {
        let expected = format!("SCHEMA_VALIDATION_FAILED: {expected}");
        assert_eq!(found(&task(resource), true), [expected.as_str()], "{resource}");
        assert_eq!(found(&task(resource), false), [""; 0], "{resource}");
        let map = one_state(
            json!({"Type": "Map", "End": true, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
            "StartAt": "T", "States": {"T": {"Type": "Task", "Resource": resource, "End": true}}}}),
        );
        assert_eq!(found(&map, false).len(), 1, "a child of a distributed Map: {resource}");
    }
}

#[test]
fn warnings_do_not_refuse_a_definition() {
    let definition = one_state(
        json!({"Type": "Pass", "Parameters": {"a": "$.b", "c": "States.UUID()", "d": "$5"}, "End": true}),
    );
    let (machine, diagnostics) = check_as(&definition.to_string(), false);
    assert!(machine.is_some());
    let codes: Vec<_> = diagnostics.as_slice().iter().map(|diagnostic| diagnostic.code.as_str()).collect();
    assert_eq!(codes, ["NO_DOLLAR", "NO_DOLLAR", "NO_DOLLAR"]);
    let definition = one_state(json!({"Type": "Pass", "Result": {"a.$": "$.b"}, "End": true}));
    assert!(found(&definition, false)[0].starts_with("PASS_RESULT_IS_STATIC"));
}

#[test]
fn at_most_a_hundred_diagnostics_are_kept() {
    let states: serde_json::Map<_, _> =
        (0..150).map(|n| (format!("S{n}"), json!({"Type": "None"}))).collect();
    let (_, diagnostics) = check_as(&json!({"StartAt": "S0", "States": states}).to_string(), false);
    assert_eq!((diagnostics.as_slice().len(), diagnostics.is_truncated()), (100, true));
}

#[test]
fn names_are_unique_in_the_whole_state_machine() {
    let branch = json!({"StartAt": "X", "States": {"X": {"Type": "Pass", "End": true}}});
    let definition = one_state(json!({"Type": "Parallel", "Branches": [branch], "End": true}));
    assert_eq!(
        found(&definition, false),
        ["DUPLICATE_STATE_NAME: Duplicate State name: X at /States/X/Branches[0]/States/X"]
    );
}

#[test]
fn retriers_and_catchers_are_checked() {
    let task = |field: &str, value: Value| {
        let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "Next": "Y"});
        state[field] = json!([value]);
        found(&two_states(state), false)
    };
    assert_eq!(
        task(
            "Retry",
            json!({"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 0, "BackoffRate": 1.5, "MaxDelaySeconds": 5, "JitterStrategy": "FULL"})
        ),
        [""; 0]
    );
    for (field, value, expected) in [
        (
            "Retry",
            json!({"ErrorEquals": ["States.ALL", "a"]}),
            "States.ALL must appear alone in ErrorEquals, and must be in the last Retrier or Catcher at /States/X/Retry[0]/ErrorEquals",
        ),
        ("Retry", json!({"ErrorEquals": []}), "Value cannot be empty at /States/X/Retry[0]/ErrorEquals"),
        (
            "Retry",
            json!({"ErrorEquals": ["a"], "BackoffRate": 0.5}),
            "Minimum value is 1.0 at /States/X/Retry[0]/BackoffRate",
        ),
        (
            "Retry",
            json!({"ErrorEquals": ["a"], "IntervalSeconds": 0}),
            "Minimum value is 1 at /States/X/Retry[0]/IntervalSeconds",
        ),
        (
            "Retry",
            json!({"ErrorEquals": ["a"], "JitterStrategy": "HALF"}),
            "The field 'JitterStrategy' should have one of these values: [NONE, FULL] at /States/X/Retry[0]/JitterStrategy",
        ),
        ("Catch", json!({"ErrorEquals": ["a"]}), "These fields are required: [Next] at /States/X/Catch[0]"),
        (
            "Catch",
            json!({"ErrorEquals": ["a"], "Next": "Y", "Output": 1}),
            "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' QueryLanguage at /States/X/Catch[0]",
        ),
    ] {
        assert_eq!(task(field, value.clone()), [format!("SCHEMA_VALIDATION_FAILED: {expected}")], "{value}");
    }
}

#[test]
fn resources_are_read() {
    let parse = |arn: &str| Resource::parse(arn);
    let service = |service: &str, action: &str, sdk, pattern| {
        Some(Resource::Service { service: service.into(), action: action.into(), sdk, pattern })
    };
    assert_eq!(
        parse("arn:aws:states:::sqs:sendMessage"),
        service("sqs", "sendMessage", false, Pattern::RequestResponse)
    );
    assert_eq!(
        parse("arn:aws-cn:states:::states:startExecution.sync:2"),
        service("states", "startExecution", false, Pattern::Sync2)
    );
    assert_eq!(
        parse("arn:aws:states:::aws-sdk:sqs:listQueues.waitForTaskToken"),
        service("sqs", "listQueues", true, Pattern::WaitForTaskToken)
    );
    assert_eq!(parse("arn:aws:states:::http:invoke"), Some(Resource::Http));
    let function = "arn:aws:lambda:us-east-1:123456789012:function:f:PROD";
    assert_eq!(parse(function), Some(Resource::Function(function.into())));
    for wrong in [
        "",
        "arn",
        "arn:aws:states:::",
        "arn:aws:states:::sqs",
        "arn:aws:states:::sqs:",
        "arn:aws:states:::aws-sdk:sqs",
        "arn:aws:states:::aws-sdk:sqs:a.sync",
        "arn:aws:s3:::bucket",
        "arn:aws:states:::sqs:send/../x",
    ] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}

/// Any JSON with the names of the language in it.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        Just(json!(1)),
        Just(json!(-1.5)),
        Just(json!("$.a")),
        Just(json!("{% $states.input %}")),
        Just(json!("X")),
        Just(json!("Pass")),
        Just(json!("Map")),
        Just(json!("Choice")),
        Just(json!("Task")),
        Just(json!("Parallel")),
        Just(json!("JSONata")),
        Just(json!("arn:aws:states:::sqs:sendMessage")),
        Just(json!("DISTRIBUTED")),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        let name = prop_oneof![
            Just("Type"),
            Just("StartAt"),
            Just("States"),
            Just("X"),
            Just("Next"),
            Just("End"),
            Just("Branches"),
            Just("ItemProcessor"),
            Just("Choices"),
            Just("And"),
            Just("Not"),
            Just("Variable"),
            Just("IsNull"),
            Just("Retry"),
            Just("Catch"),
            Just("ErrorEquals"),
            Just("Parameters"),
            Just("Arguments"),
            Just("Assign"),
            Just("Output"),
            Just("Resource"),
            Just("ItemReader"),
            Just("ProcessorConfig"),
            Just("Mode"),
            Just("QueryLanguage"),
            Just("Seconds"),
            Just("a.$"),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..8).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    /// No definition makes the reader panic, and a definition without errors is a state machine.
    #[test]
    fn arbitrary_definitions_do_not_panic(mut state in anything(), kind in 0usize..8, whole in any::<bool>()) {
        let kinds = ["Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"];
        if let Value::Object(members) = &mut state && whole {
            members.insert("Type".into(), json!(kinds[kind]));
            members.insert("StartAt".into(), json!("X"));
        }
        for definition in [one_state(state.clone()), state] {
            let (machine, diagnostics) = check_as(&definition.to_string(), whole);
            prop_assert_eq!(machine.is_none(), diagnostics.has_errors());
        }
    }

    #[test]
    fn arbitrary_texts_do_not_panic(text in "\\PC{0,40}") {
        check_as(&text, false);
        Resource::parse(&text);
        Resource::parse(&format!("arn:aws:states:::{text}"));
    }
}

#[test]
fn a_task_that_nobody_does_here_is_a_warning() {
    let task = |resource: &str| json!({"Type": "Task", "Resource": resource, "End": true});
    let warned = found(&one_state(task("arn:aws:states:::athena:stopQueryExecution")), false);
    let text = "RESOURCE_NOT_SERVED: The server does not serve the resource arn:aws:states:::athena:stopQueryExecution. \
                A task of it fails. at /States/X/Resource";
    assert_eq!(warned, [text]);
    assert!(found(&one_state(task("arn:aws:states:::sqs:sendMessage")), false).is_empty());
}
