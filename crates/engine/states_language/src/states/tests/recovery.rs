//! Delays of retries, which names match, and what a catcher makes.

use serde_json::{Value, json};

use super::super::Reaction;
use super::{in_scope, state, task};
use crate::definition::Transition;
use crate::failure::Failure;

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
