//! What executions come to, and their histories.

use kernel::{Called, Refusal};
use serde_json::{Value, json};

use crate::world::{Memory, World};

fn both(story: impl Fn(World)) {
    story(World::new(Memory::Warm));
    story(World::new(Memory::Cold));
}

fn machine(start: &str, states: Value) -> Value {
    json!({"StartAt": start, "States": states})
}

fn send(more: Value) -> Value {
    let mut task = json!({"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sqs:sendMessage"});
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

#[test]
fn states_follow_each_other_with_the_events_that_aws_has() {
    both(|mut world| {
        let definition = machine(
            "A",
            json!({
                "A": {"Type": "Pass", "Result": {"n": 7}, "ResultPath": "$.a", "Next": "B"},
                "B": {"Type": "Choice", "Choices": [{"Variable": "$.a.n", "NumericEquals": 7, "Next": "C"}]},
                "C": {"Type": "Wait", "Seconds": 10, "Next": "D"},
                "D": {"Type": "Succeed"},
            }),
        );
        let execution = world.run(&definition, &json!({"x": 1}));
        world.advance(9_999);
        assert_eq!(world.end(&execution).0, "RUNNING");
        world.advance(1);
        assert_eq!(world.end(&execution), ("SUCCEEDED".to_owned(), json!({"x": 1, "a": {"n": 7}})));
        // facts/stepfunctions.md § 18
        assert_eq!(
            world.graph(&execution),
            [
                "ExecutionStarted 1<0",
                "PassStateEntered 2<0",
                "PassStateExited 3<2",
                "ChoiceStateEntered 4<3",
                "ChoiceStateExited 5<4",
                "WaitStateEntered 6<5",
                "WaitStateExited 7<6",
                "SucceedStateEntered 8<7",
                "SucceedStateExited 9<8",
                "ExecutionSucceeded 10<9",
            ]
        );
    });
}

#[test]
fn a_task_calls_its_service_and_a_refusal_is_retried_and_caught() {
    both(|mut world| {
        world.answer = Box::new(|_, before| match before {
            0..3 => Called::Refused(Refusal::new("QueueDoesNotExist", "none")),
            _ => Called::Answered(json!({"MessageId": "m"}).to_string()),
        });
        let retry = json!([{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 2, "MaxAttempts": 1}]);
        let catch =
            json!([{"ErrorEquals": ["Sqs.QueueDoesNotExistException"], "ResultPath": "$.e", "Next": "B"}]);
        let task =
            json!({"Parameters": {"MessageBody.$": "$.x"}, "Retry": retry, "Catch": catch, "Next": "End"});
        let definition = machine(
            "A",
            json!({"A": send(task), "B": {"Type": "Wait", "SecondsPath": "$.w", "Next": "A2"},
                "A2": send(json!({"Retry": [{"ErrorEquals": ["States.ALL"]}], "ResultPath": "$.sent", "End": true})),
                "End": {"Type": "Fail"}}),
        );
        let execution = world.run(&definition, &json!({"x": "hello", "w": 1}));
        world.advance(2000);
        assert_eq!(world.calls.len(), 2);
        assert_eq!(world.calls[0].input, r#"{"MessageBody":"hello"}"#);
        world.advance(2000);
        let (status, output) = world.end(&execution);
        assert_eq!((&*status, &output["sent"]), ("SUCCEEDED", &json!({"MessageId": "m"})));
        assert_eq!(output["e"]["Error"], "Sqs.QueueDoesNotExistException");
        assert_eq!(
            world.graph(&execution)[1..11],
            [
                "TaskStateEntered 2<0",
                "TaskScheduled 3<2",
                "TaskStarted 4<3",
                "TaskFailed 5<4",
                "TaskScheduled 6<5",
                "TaskStarted 7<6",
                "TaskFailed 8<7",
                "TaskStateExited 9<8",
                "WaitStateEntered 10<9",
                "WaitStateExited 11<10",
            ]
        );
    });
}

#[test]
fn a_state_that_fails_ends_the_execution() {
    both(|mut world| {
        let fail = machine("F", json!({"F": {"Type": "Fail", "Error": "E", "Cause": "c"}}));
        let execution = world.run(&fail, &json!({}));
        world.catch_up();
        assert_eq!(world.end(&execution), ("FAILED".to_owned(), json!(["E", "c"])));
        assert_eq!(
            world.graph(&execution),
            ["ExecutionStarted 1<0", "FailStateEntered 2<0", "ExecutionFailed 3<2"]
        );
        let wrong = json!({"QueryLanguage": "JSONata", "StartAt": "P",
            "States": {"P": {"Type": "Pass", "Output": "{% $states.input.none %}", "End": true}}});
        let other = world.create("other", &wrong);
        let execution = world.start(&other, "e", &json!({})).unwrap();
        world.catch_up();
        assert_eq!(world.end(&execution).1[0], "States.QueryEvaluationError");
        assert_eq!(
            world.graph(&execution),
            ["ExecutionStarted 1<0", "PassStateEntered 2<0", "EvaluationFailed 3<0", "ExecutionFailed 4<3"]
        );
    });
}

#[test]
fn a_map_runs_its_iterations_side_by_side_up_to_its_bound() {
    both(|mut world| {
        let inner = machine(
            "T",
            json!({"T": {"Type": "Wait", "Seconds": 1, "Next": "O"},
            "O": {"Type": "Pass", "Parameters": {"i.$": "$$.Map.Item.Index", "v.$": "$"}, "End": true}}),
        );
        let map = json!({"Type": "Map", "MaxConcurrency": 2, "ItemProcessor": inner, "End": true});
        let execution = world.run(&machine("M", json!({"M": map})), &json!([5, 6, 7]));
        world.advance(1000);
        assert_eq!(world.end(&execution).0, "RUNNING");
        world.advance(1000);
        let expected = json!([{"i": 0, "v": 5}, {"i": 1, "v": 6}, {"i": 2, "v": 7}]);
        assert_eq!(world.end(&execution), ("SUCCEEDED".to_owned(), expected));
        let events = world.graph(&execution);
        assert_eq!(events.iter().filter(|event| event.starts_with("MapIterationSucceeded")).count(), 3);
    });
}

#[test]
fn a_map_of_one_at_a_time_has_the_graph_that_aws_has() {
    both(|mut world| {
        let inner = machine("P", json!({"P": {"Type": "Pass", "End": true}}));
        let map = json!({"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": inner, "Next": "Q"});
        let states = json!({"M": map, "Q": {"Type": "Pass", "End": true}});
        let execution = world.run(&machine("M", states), &json!([1, 2]));
        world.catch_up();
        // facts/stepfunctions.md § 18
        assert_eq!(
            world.graph(&execution)[1..],
            [
                "MapStateEntered 2<0",
                "MapStateStarted 3<2",
                "MapIterationStarted 4<3",
                "PassStateEntered 5<4",
                "PassStateExited 6<5",
                "MapIterationSucceeded 7<6",
                "MapIterationStarted 8<6",
                "PassStateEntered 9<8",
                "PassStateExited 10<9",
                "MapIterationSucceeded 11<10",
                "MapStateSucceeded 12<11",
                "MapStateExited 13<11",
                "PassStateEntered 14<13",
                "PassStateExited 15<14",
                "ExecutionSucceeded 16<15",
            ]
        );
    });
}

#[test]
fn a_branch_that_fails_ends_those_beside_it_and_can_be_caught() {
    both(|mut world| {
        let branches = json!([
            machine("W", json!({"W": {"Type": "Wait", "Seconds": 100, "End": true}})),
            machine(
                "V",
                json!({"V": {"Type": "Wait", "Seconds": 1, "Next": "F"}, "F": {"Type": "Fail", "Error": "E"}})
            ),
        ]);
        let catch = json!([{"ErrorEquals": ["E"], "Next": "C"}]);
        let parallel = json!({"Type": "Parallel", "Branches": branches, "Catch": catch, "End": true});
        let states = json!({"P": parallel, "C": {"Type": "Pass", "End": true}});
        let execution = world.run(&machine("P", states), &json!({}));
        world.advance(1000);
        assert_eq!(world.end(&execution), ("SUCCEEDED".to_owned(), json!({"Error": "E", "Cause": null})));
        assert_eq!(
            world.graph(&execution)[1..12],
            [
                "ParallelStateEntered 2<0",
                "ParallelStateStarted 3<2",
                "WaitStateEntered 4<3",
                "WaitStateEntered 5<3",
                "WaitStateExited 6<5",
                "FailStateEntered 7<6",
                "WaitStateAborted 8<7",
                "ParallelStateFailed 9<7",
                "ParallelStateExited 10<9",
                "PassStateEntered 11<10",
                "PassStateExited 12<11",
            ]
        );
        world.advance(200_000);
    });
}

#[test]
fn branches_can_be_nested_and_see_the_variables_around_them() {
    both(|mut world| {
        let inner = machine(
            "I",
            json!({"I": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $n + $states.input %}", "End": true}}),
        );
        let map = json!({"Type": "Map", "ItemsPath": "$.list", "ItemProcessor": inner, "End": true});
        let branches = json!([
            machine("M1", json!({"M1": map})),
            machine(
                "X",
                json!({"X": {"Type": "Pass", "Parameters": {"n.$": "$n", "id.$": "$$.Execution.Input.id"}, "End": true}})
            )
        ]);
        let states = json!({
            "A": {"Type": "Pass", "Assign": {"n": 10}, "Next": "P"},
            "P": {"Type": "Parallel", "Branches": branches, "End": true},
        });
        let execution = world.run(&machine("A", states), &json!({"list": [1, 2], "id": "e1"}));
        world.catch_up();
        let expected = json!([[11, 12], {"n": 10, "id": "e1"}]);
        assert_eq!(world.end(&execution), ("SUCCEEDED".to_owned(), expected));
    });
}

#[test]
fn an_execution_that_takes_too_long_is_timed_out() {
    both(|mut world| {
        let definition = json!({"StartAt": "W", "TimeoutSeconds": 5,
            "States": {"W": {"Type": "Wait", "Seconds": 10, "End": true}}});
        let execution = world.run(&definition, &json!({}));
        world.advance(20_000);
        assert_eq!(world.end(&execution), ("TIMED_OUT".to_owned(), json!(["States.Timeout", null])));
    });
}

#[test]
fn a_loop_ends_with_the_most_events_that_an_execution_can_have() {
    let mut world = World::new(Memory::Warm);
    let again = json!({"Type": "Choice", "Choices": [{"Variable": "$.end", "IsPresent": true, "Next": "C"}], "Default": "A"});
    let states = json!({"A": {"Type": "Pass", "Next": "B"}, "B": again, "C": {"Type": "Succeed"}});
    let execution = world.run(&machine("A", states), &json!({}));
    // A step is bounded: others have their turn between two of them.
    for _ in 0..10 {
        assert!(world.step());
    }
    let (_, known) = world.state.executions().next().unwrap();
    assert!(known.is_open() && known.next_event <= 10 * 32 + 2, "{}", known.next_event);
    world.is_checked = false;
    world.catch_up();
    let (status, failure) = world.end(&execution);
    assert_eq!((&*status, &failure[0]), ("FAILED", &json!("States.Runtime")));
    let (_, known) = world.state.executions().next().unwrap();
    assert!((24_980..=25_001).contains(&known.next_event), "{}", known.next_event);
    world.check_replay();
}

#[test]
fn no_two_steps_draw_the_same_numbers_whatever_executions_they_are_of() {
    let mut world = World::new(Memory::Warm);
    let step = |next: Value| {
        let mut state = send(json!({"Parameters": {"id.$": "States.UUID()"}, "ResultPath": null}));
        state.as_object_mut().unwrap().extend(next.as_object().unwrap().clone());
        state
    };
    let wait = |next: &str| json!({"Type": "Wait", "Seconds": 1, "Next": next});
    let states = json!({"A": step(json!({"Next": "B"})), "B": wait("C"), "C": step(json!({"Next": "D"})), "D": wait("E"),
        "E": step(json!({"End": true}))});
    let machine = world.create("m", &machine("A", states));
    for number in 0..64 {
        world.start(&machine, &format!("e{number}"), &json!({})).unwrap();
    }
    world.is_checked = false;
    world.advance(10_000);
    let ids: std::collections::BTreeSet<&str> = world.calls.iter().map(|call| &*call.input).collect();
    assert_eq!((ids.len(), world.calls.len()), (3 * 64, 3 * 64));
}
