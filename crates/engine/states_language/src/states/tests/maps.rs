//! What Map and Parallel states hand on.

use serde_json::{Value, json};

use super::super::{Departure, Step, Tolerance};
use super::{in_scope, state, text};
use crate::definition::Transition;

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
    let tolerance = |count, percentage| Tolerance { count, percentage };
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
