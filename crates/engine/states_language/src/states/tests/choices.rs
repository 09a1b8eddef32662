//! Every comparison, and what a Choice state makes.

use serde_json::{Value, json};

use super::{output, text};

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
    let unmatched = json!({"Type": "Choice", "Choices": [{"Variable": "$.n", "IsNull": true, "Next": "Y"}]});
    assert_eq!(
        text(&output(unmatched, &json!({"n": 1})).unwrap_err()),
        "States.NoChoiceMatched: Failed to transition out of the state. The state does not point to a next state."
    );
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
