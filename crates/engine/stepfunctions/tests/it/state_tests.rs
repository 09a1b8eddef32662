//! TestState: single states with their inputs and mocks (facts/stepfunctions.md § 9).

use api::stepfunctions::{
    InspectionData, MockErrorOutput, MockInput, Request, Response, TestStateConfiguration, TestStateInput,
    TestStateOutput,
};
use kernel::Refusal;
use serde_json::{Value, json};

use crate::world::{Memory, World};

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

fn wanted(definition: &Value, input: &Value) -> TestStateInput {
    TestStateInput {
        definition: Some(definition.to_string().into()),
        input: Some(input.to_string().into()),
        inspection_level: Some("DEBUG".into()),
        ..TestStateInput::default()
    }
}

fn test(wanted: TestStateInput) -> Result<TestStateOutput, Refusal> {
    match World::new(Memory::Warm).ask(Request::TestState(wanted))? {
        Response::TestState(output) => Ok(output),
        other => panic!("{other:?}"),
    }
}

fn mock(result: &Value) -> MockInput {
    MockInput { result: Some(result.to_string().into()), ..MockInput::default() }
}

fn failing(error: &str) -> MockInput {
    let error_output = MockErrorOutput { error: Some(error.to_owned().into()), cause: Some("c".into()) };
    MockInput { error_output: Some(error_output), ..MockInput::default() }
}

/// Status, output and next state.
fn end(output: &TestStateOutput) -> (&str, Value, Option<&str>) {
    let text = output.output.as_deref().unwrap_or("null");
    (output.status.as_deref().unwrap(), serde_json::from_str(text).unwrap(), output.next_state.as_deref())
}

fn task() -> Value {
    json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "InputPath": "$.in", "Next": "N",
        "Parameters": {"MessageBody.$": "$.text"}, "ResultSelector": {"id.$": "$.MessageId"}, "ResultPath": "$.sent",
        "Retry": [{"ErrorEquals": ["Other"]}, {"ErrorEquals": ["E"], "IntervalSeconds": 3, "MaxAttempts": 2}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C", "ResultPath": "$.error"}]})
}

#[test]
fn a_task_with_a_mock_shows_its_data_from_field_to_field() {
    let input = json!({"in": {"text": "hello"}});
    let wanted = TestStateInput { mock: Some(mock(&json!({"MessageId": "m"}))), ..wanted(&task(), &input) };
    let output = test(wanted.clone()).unwrap();
    let after = json!({"in": {"text": "hello"}, "sent": {"id": "m"}});
    assert_eq!(end(&output), ("SUCCEEDED", after.clone(), Some("N")));
    let InspectionData {
        input: given,
        after_input_path,
        after_parameters,
        result,
        after_result_selector,
        after_result_path,
        error_details,
        ..
    } = *output.inspection_data.unwrap();
    let texts = [given, after_input_path, after_parameters, result, after_result_selector, after_result_path];
    let seen: Vec<Value> =
        texts.iter().map(|text| serde_json::from_str(text.as_ref().unwrap()).unwrap()).collect();
    let expected = [
        input,
        json!({"text": "hello"}),
        json!({"MessageBody": "hello"}),
        json!({"MessageId": "m"}),
        json!({"id": "m"}),
        after,
    ];
    assert_eq!(seen, expected);
    assert!(error_details.is_none());
    let quiet = TestStateInput { inspection_level: None, ..wanted };
    assert!(test(quiet).unwrap().inspection_data.is_none());
}

#[test]
fn a_failure_is_tried_again_caught_or_ends_the_state() {
    let input = json!({"in": {"text": "hello"}});
    let with = |error: &str, retried: Option<i32>| {
        let configuration = retried.map(|count| TestStateConfiguration {
            retrier_retry_count: Some(count),
            ..TestStateConfiguration::default()
        });
        let wanted = TestStateInput {
            mock: Some(failing(error)),
            state_configuration: configuration,
            ..wanted(&task(), &input)
        };
        test(wanted).unwrap()
    };
    for (retried, seconds) in [(None, 3), (Some(1), 6)] {
        let output = with("E", retried);
        assert_eq!((end(&output), output.error.as_deref()), (("RETRIABLE", Value::Null, None), Some("E")));
        let details = output.inspection_data.unwrap().error_details.unwrap();
        assert_eq!((details.retry_index, details.retry_backoff_interval_seconds), (Some(1), Some(seconds)));
    }
    let output = with("E", Some(2));
    let caught = json!({"in": {"text": "hello"}, "error": {"Error": "E", "Cause": "c"}});
    assert_eq!(end(&output), ("CAUGHT_ERROR", caught, Some("C")));
    assert_eq!(output.inspection_data.unwrap().error_details.unwrap().catch_index, Some(0));
    let output = with("States.Runtime", None);
    assert_eq!((end(&output), output.cause.as_deref()), (("FAILED", Value::Null, None), Some("c")));
}

#[test]
fn states_without_tasks_are_tested_as_they_are() {
    let choice = json!({"Type": "Choice", "Default": "D",
        "Choices": [{"Variable": "$.n", "NumericGreaterThan": 3, "Next": "Large"}]});
    assert_eq!(end(&test(wanted(&choice, &json!({"n": 4}))).unwrap()).2, Some("Large"));
    assert_eq!(end(&test(wanted(&choice, &json!({"n": 1}))).unwrap()).2, Some("D"));
    let wait = json!({"Type": "Wait", "Seconds": 1000, "End": true});
    assert_eq!(end(&test(wanted(&wait, &json!(1))).unwrap()), ("SUCCEEDED", json!(1), None));
    let fail = json!({"Type": "Fail", "Error": "E", "Cause": "c"});
    assert_eq!(test(wanted(&fail, &json!({}))).unwrap().error.as_deref(), Some("E"));
    let broken = json!({"Type": "Pass", "InputPath": "$.none", "End": true});
    let output = test(wanted(&broken, &json!({}))).unwrap();
    assert_eq!((end(&output).0, output.error.as_deref()), ("FAILED", Some("States.Runtime")));
    assert_eq!(output.inspection_data.unwrap().after_input_path, None);

    let assigns = json!({"Type": "Pass", "QueryLanguage": "JSONata", "Assign": {"b": "{% $a + 1 %}"},
        "Output": "{% $a & $uuid() %}", "End": true});
    let with_variables =
        TestStateInput { variables: Some(r#"{"a":1}"#.into()), ..wanted(&assigns, &json!({})) };
    let output = test(with_variables).unwrap();
    assert_eq!(output.inspection_data.unwrap().variables.as_deref(), Some(r#"{"a":1,"b":2}"#));
}

#[test]
fn a_state_of_a_state_machine_is_found_by_its_name() {
    let inner = json!({"StartAt": "I", "States": {"I": {"Type": "Pass", "Result": 7, "End": true}}});
    let map = json!({"Type": "Map", "MaxConcurrency": 2, "ItemsPath": "$.list", "ItemProcessor": inner, "End": true});
    let machine = json!({"StartAt": "M", "States": {"M": map}});
    let named = |name: Option<&str>, mock: Option<MockInput>| TestStateInput {
        state_name: name.map(|name| name.to_owned().into()),
        mock,
        ..wanted(&machine, &json!({"list": [1, 2]}))
    };
    assert_eq!(end(&test(named(Some("I"), None)).unwrap()), ("SUCCEEDED", json!(7), None));
    let output = test(named(Some("M"), Some(mock(&json!([1]))))).unwrap();
    assert_eq!(end(&output), ("SUCCEEDED", json!([1]), None));
    let data = output.inspection_data.unwrap();
    assert_eq!((data.after_items_path.as_deref(), data.max_concurrency), (Some("[1,2]"), Some(2)));
    for (name, mock) in
        [(None, None), (Some("none"), None), (Some("M"), None), (Some("M"), Some(mock(&json!(1))))]
    {
        assert_eq!(test(named(name, mock)).unwrap_err().shape, "ValidationException");
    }
}

#[test]
fn mocks_that_do_not_fit_are_refused_in_the_words_of_aws() {
    let refused = |definition: Value, mock: Option<MockInput>, role: Option<&str>| {
        let role_arn = role.map(|role| role.to_owned().into());
        let refusal = test(TestStateInput { mock, role_arn, ..wanted(&definition, &json!({})) }).unwrap_err();
        assert_eq!(refusal.shape, "ValidationException");
        refusal.message.to_string()
    };
    let pass = json!({"Type": "Pass", "End": true});
    assert_eq!(
        refused(pass, Some(mock(&json!(1))), None),
        "State type 'Pass' is not supported when a mock is specified"
    );
    let both = MockInput { error_output: failing("E").error_output, ..mock(&json!(1)) };
    assert_eq!(
        refused(task(), Some(both), None),
        "A test mock should have only one of the following fields: [result, errorOutput]."
    );
    assert_eq!(refused(task(), None, None), "RoleArn must be specified when testing a Task state");
    refused(task(), None, Some(ROLE));
    let branch = json!({"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}});
    let parallel = json!({"Type": "Parallel", "Branches": [branch], "End": true});
    assert_eq!(refused(parallel.clone(), Some(mock(&json!({}))), None), "Mocked result must be an array.");
    assert_eq!(
        refused(parallel, Some(mock(&json!([1, 2]))), None),
        "Mocked result must contain the same number of items as number of Parallel branches."
    );
    for text in ["", "7", "{}", r#"{"Type":"Nothing"}"#] {
        let definition = TestStateInput { definition: Some(text.into()), ..TestStateInput::default() };
        assert!(test(definition).is_err(), "{text}");
    }
}
