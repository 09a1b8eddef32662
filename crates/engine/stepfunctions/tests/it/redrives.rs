//! Redrives: executions that have ended badly go on from what has not come to its end (developer guide, "Restarting state machine executions
//! with redrive").

use api::stepfunctions::{
    DeleteStateMachineInput, ListExecutionsInput, RedriveExecutionInput, Request, Response,
    SendTaskHeartbeatInput, SendTaskSuccessInput, StopExecutionInput,
};
use kernel::{Call, Called, Refusal};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Answer, Memory, World};

const DAY: u64 = 24 * 3_600_000;

fn both(story: impl Fn(World)) {
    story(World::new(Memory::Warm));
    story(World::new(Memory::Cold));
}

fn redrive(world: &mut World, execution: &str, token: Option<&str>) -> Result<i64, Refusal> {
    let input = RedriveExecutionInput {
        execution_arn: Some(execution.to_owned().into()),
        client_token: token.map(|token| token.to_owned().into()),
    };
    match world.ask(Request::RedriveExecution(input))? {
        Response::RedriveExecution(output) => Ok(output.redrive_date.unwrap().0),
        other => panic!("{other:?}"),
    }
}

fn stop(world: &mut World, execution: &str) {
    let input = StopExecutionInput {
        execution_arn: Some(execution.to_owned().into()),
        ..StopExecutionInput::default()
    };
    world.ask(Request::StopExecution(input)).unwrap();
}

fn send(body: Value, more: Value) -> Value {
    let mut task = json!({"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sqs:sendMessage"});
    let body = if body.as_str().is_some_and(|body| body.starts_with('$')) {
        json!({"MessageBody.$": body})
    } else {
        json!({"MessageBody": body})
    };
    task["Parameters"] = body;
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

fn body(call: &Call) -> Value {
    serde_json::from_str::<Value>(&call.input).unwrap()["MessageBody"].clone()
}

fn bodies(world: &World) -> Vec<Value> {
    world.calls.iter().map(body).collect()
}

/// Refuses these bodies until so many calls were made; answers the body.
fn refuses(wrong: &'static [&'static str], until: usize) -> Answer {
    Box::new(move |call, before| match body(call) {
        Value::String(text) if wrong.contains(&&*text) && before < until => {
            Called::Refused(Refusal::new("Unlucky", "no luck"))
        }
        body => Called::Answered(body.to_string()),
    })
}

#[test]
fn only_what_has_failed_runs_again() {
    both(|mut world| {
        world.answer = refuses(&["b"], 2);
        let definition = json!({"StartAt": "A", "States": {
            "A": send(json!("a"), json!({"ResultPath": "$.a", "Next": "B"})),
            "B": send(json!("b"), json!({"ResultPath": "$.b", "Next": "C"})),
            "C": {"Type": "Pass", "Parameters": {"all.$": "$", "count.$": "$$.Execution.RedriveCount"}, "End": true}}});
        let execution = world.run(&definition, &json!({"x": 1}));
        world.catch_up();
        assert_eq!(world.end(&execution).0, "FAILED");
        let described = world.describe(&execution);
        assert_eq!(
            (described.redrive_status.as_deref(), described.redrive_count),
            (Some("REDRIVABLE"), Some(0))
        );
        assert_eq!((described.redrive_status_reason, described.redrive_date), (None, None));
        world.restart();
        world.clean();
        world.advance(13 * DAY);
        redrive(&mut world, &execution, None).unwrap();
        let described = world.describe(&execution);
        assert_eq!(
            (described.status.as_deref(), described.stop_date, described.error),
            (Some("RUNNING"), None, None)
        );
        world.catch_up();
        let output = json!({"all": {"x": 1, "a": "a", "b": "b"}, "count": 1});
        assert_eq!(world.end(&execution), ("SUCCEEDED".to_owned(), output));
        assert_eq!(bodies(&world), ["a", "b", "b"]);
        assert_eq!(
            world.graph(&execution)[5..],
            [
                "TaskStateExited 6<5",
                "TaskStateEntered 7<6",
                "TaskScheduled 8<7",
                "TaskStarted 9<8",
                "TaskFailed 10<9",
                "ExecutionFailed 11<10",
                "ExecutionRedriven 12<11",
                "TaskScheduled 13<12",
                "TaskStarted 14<13",
                "TaskSucceeded 15<14",
                "TaskStateExited 16<15",
                "PassStateEntered 17<16",
                "PassStateExited 18<17",
                "ExecutionSucceeded 19<18",
            ]
        );
        let event = world.history(&execution).swap_remove(11);
        assert_eq!(event.execution_redriven_event_details.unwrap().redrive_count, Some(1));
        let described = world.describe(&execution);
        assert_eq!((described.redrive_count, described.redrive_date.is_some()), (Some(1), true));
        let told: Vec<_> =
            world.told.iter().map(|detail| (&detail["status"], &detail["redriveCount"])).collect();
        let expected = json!(["RUNNING", "FAILED", "RUNNING", "SUCCEEDED"]);
        assert!(told.iter().map(|told| told.0).eq(expected.as_array().unwrap()), "{told:?}");
        assert_eq!(*told[3].1, json!(1));
        world.check_replay();
    });
}

#[test]
fn branches_that_succeeded_are_kept_and_the_others_go_on_where_they_were() {
    both(|mut world| {
        world.answer = refuses(&["two"], 2);
        let branch = |start: &str, states: Value| json!({"StartAt": start, "States": states});
        let parallel = json!({"Type": "Parallel", "End": true, "Branches": [
            branch("A", json!({"A": send(json!("one"), json!({"End": true}))})),
            branch("B", json!({
                "B": {"Type": "Wait", "Seconds": 5, "Next": "C"},
                "C": send(json!("two"), json!({"End": true}))})),
            branch("D", json!({
                "D": {"Type": "Pass", "Result": "three", "Next": "E"},
                "E": {"Type": "Wait", "Seconds": 10, "Next": "F"},
                "F": send(json!("$"), json!({"End": true}))})),
        ]});
        let execution = world.run(&json!({"StartAt": "P", "States": {"P": parallel}}), &json!({}));
        world.advance(6000);
        assert_eq!(
            (world.end(&execution).0.as_str(), bodies(&world)),
            ("FAILED", vec![json!("one"), json!("two")])
        );
        let events = world.history(&execution).len();
        world.restart();
        world.clean();
        redrive(&mut world, &execution, None).unwrap();
        world.advance(9_999);
        // The Wait waits for its time again.
        assert_eq!((world.end(&execution).0.as_str(), bodies(&world).len()), ("RUNNING", 3));
        world.restart();
        world.advance(1);
        assert_eq!(world.end(&execution), ("SUCCEEDED".to_owned(), json!(["one", "two", "three"])));
        assert_eq!(bodies(&world), ["one", "two", "two", "three"]);
        let graph = world.graph(&execution);
        let id = events + 1;
        assert_eq!(graph[events], format!("ExecutionRedriven {id}<{events}"));
        assert_eq!(graph[id], format!("TaskScheduled {}<{id}", id + 1));
        world.check_replay();
    });
}

#[test]
fn iterations_that_have_not_begun_begin() {
    both(|mut world| {
        world.answer = refuses(&["2"], 3);
        let inner = json!({"StartAt": "I", "States": {"I": send(json!("$"), json!({"End": true}))}});
        let map = json!({"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": inner, "End": true});
        let execution =
            world.run(&json!({"StartAt": "M", "States": {"M": map}}), &json!(["0", "1", "2", "3"]));
        world.catch_up();
        assert_eq!(world.end(&execution).0, "FAILED");
        world.restart();
        redrive(&mut world, &execution, None).unwrap();
        world.catch_up();
        assert_eq!(world.end(&execution), ("SUCCEEDED".to_owned(), json!(["0", "1", "2", "3"])));
        assert_eq!(bodies(&world), ["0", "1", "2", "2", "3"]);
    });
}

#[test]
fn retries_count_anew_and_what_a_catcher_has_led_away_from_is_not_run_again() {
    both(|mut world| {
        world.answer = refuses(&["in", "end"], 100);
        let branch = json!({"StartAt": "S", "States": {"S": send(json!("in"), json!({"End": true}))}});
        let parallel = json!({"Type": "Parallel", "Branches": [branch], "Next": "E",
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "E"}]});
        let end = send(
            json!("end"),
            json!({"End": true,
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2}]}),
        );
        let execution = world.run(&json!({"StartAt": "P", "States": {"P": parallel, "E": end}}), &json!({}));
        world.advance(60_000);
        assert_eq!(bodies(&world), ["in", "in", "end", "end", "end"]);
        for count in 1..=3 {
            redrive(&mut world, &execution, None).unwrap();
            world.restart();
            world.advance(60_000);
            assert_eq!(bodies(&world).len(), 5 + 3 * count);
            assert_eq!(world.end(&execution).0, "FAILED");
        }
        assert_eq!(world.describe(&execution).redrive_count, Some(3));
        world.check_replay();
    });
}

#[test]
fn a_parallel_that_failed_is_tried_again_as_often_as_ever() {
    both(|mut world| {
        world.answer = refuses(&["in"], 100);
        let branch =
            |body: &str| json!({"StartAt": body, "States": {body: send(json!(body), json!({"End": true}))}});
        let parallel = json!({"Type": "Parallel", "Branches": [branch("ok"), branch("in")], "End": true,
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]});
        let execution = world.run(&json!({"StartAt": "P", "States": {"P": parallel}}), &json!({}));
        world.advance(60_000);
        assert_eq!(bodies(&world), ["ok", "in", "ok", "in"]);
        redrive(&mut world, &execution, None).unwrap();
        world.advance(60_000);
        // The branch that succeeded is kept in the first attempt; a retry is of the whole state.
        assert_eq!(bodies(&world)[4..], ["in", "ok", "in"]);
        assert_eq!(world.end(&execution).0, "FAILED");
    });
}

#[test]
fn a_task_that_waited_for_its_token_gets_another_one() {
    both(|mut world| {
        let task = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"MessageBody.$": "$$.Task.Token"}, "TimeoutSeconds": 100, "End": true});
        let definition = json!({"TimeoutSeconds": 50, "StartAt": "T", "States": {"T": task}});
        let execution = world.run(&definition, &json!({}));
        world.advance(50_000);
        assert_eq!(world.end(&execution).0, "TIMED_OUT");
        redrive(&mut world, &execution, None).unwrap();
        world.restart();
        world.advance(49_999);
        let tokens: Vec<String> =
            bodies(&world).iter().map(|body| body.as_str().unwrap().to_owned()).collect();
        let mut succeed = |token: &str| {
            let input =
                SendTaskSuccessInput { task_token: Some(token.to_owned().into()), output: Some("7".into()) };
            world.ask(Request::SendTaskSuccess(input))
        };
        assert_eq!(succeed(&tokens[0]).unwrap_err().shape, "TaskTimedOut");
        succeed(&tokens[1]).unwrap();
        world.catch_up();
        assert_eq!(world.end(&execution), ("SUCCEEDED".to_owned(), json!(7)));
        assert_eq!((tokens.len(), world.history(&execution).len()), (2, 13));
    });
}

#[test]
fn a_fail_state_fails_again() {
    both(|mut world| {
        let definition = json!({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E"}}});
        let execution = world.run(&definition, &json!({}));
        world.catch_up();
        redrive(&mut world, &execution, None).unwrap();
        world.catch_up();
        assert_eq!(world.end(&execution), ("FAILED".to_owned(), json!(["E", null])));
        assert_eq!(
            world.graph(&execution)[3..],
            ["ExecutionRedriven 4<3", "FailStateEntered 5<4", "ExecutionFailed 6<5"]
        );
    });
}

#[test]
fn outputs_that_were_too_long_are_made_again() {
    both(|mut world| {
        let inner = json!({"StartAt": "I", "States": {"I": send(json!("$"), json!({"End": true}))}});
        let map = json!({"Type": "Map", "ItemProcessor": inner, "ResultPath": null, "End": true});
        world.answer = Box::new(|_, before| {
            Called::Answered(json!("x".repeat(if before < 3 { 100_000 } else { 1 })).to_string())
        });
        let execution = world.run(&json!({"StartAt": "M", "States": {"M": map}}), &json!(["0", "1", "2"]));
        world.catch_up();
        assert_eq!(world.end(&execution).1[0], "States.DataLimitExceeded");
        world.restart();
        redrive(&mut world, &execution, None).unwrap();
        world.catch_up();
        assert_eq!((world.end(&execution).0.as_str(), bodies(&world).len()), ("SUCCEEDED", 6));
    });
}

#[test]
fn a_map_whose_own_end_fails_keeps_its_iterations() {
    both(|mut world| {
        let inner = json!({"StartAt": "I", "States": {"I": send(json!("$"), json!({"End": true}))}});
        let map =
            json!({"Type": "Map", "ItemProcessor": inner, "ResultSelector": {"x.$": "$.none"}, "End": true});
        let execution = world.run(&json!({"StartAt": "M", "States": {"M": map}}), &json!(["0", "1"]));
        world.catch_up();
        redrive(&mut world, &execution, None).unwrap();
        world.restart();
        world.catch_up();
        assert_eq!((world.end(&execution).0.as_str(), bodies(&world).len()), ("FAILED", 2));
        world.check_replay();
    });
}

#[test]
fn who_cannot_be_redriven_is_told_why() {
    both(|mut world| {
        let definition =
            json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 5, "End": true}}});
        let machine = world.create("m", &definition);
        let first = world.start(&machine, "first", &json!({})).unwrap();
        let second = world.start(&machine, "second", &json!({})).unwrap();
        let why = |world: &mut World, execution: &str| {
            let refusal = redrive(world, execution, None).unwrap_err();
            let described = world.describe(execution);
            assert_eq!(refusal.shape, "ExecutionNotRedrivable");
            assert_eq!(described.redrive_status.as_deref(), Some("NOT_REDRIVABLE"));
            assert_eq!(described.redrive_status_reason.as_deref(), Some(&*refusal.message));
            refusal.message.to_string()
        };
        assert_eq!(why(&mut world, &first), "Execution is RUNNING and cannot be redriven");
        world.catch_up();
        stop(&mut world, &first);
        world.advance(5000);
        assert_eq!(why(&mut world, &second), "Execution is SUCCEEDED and cannot be redriven");
        assert_eq!(
            redrive(&mut world, &format!("{first}x"), None).unwrap_err().shape,
            "ExecutionDoesNotExist"
        );
        world.advance(14 * DAY - 5000);
        assert_eq!(world.describe(&first).redrive_status.as_deref(), Some("REDRIVABLE"));
        world.advance(1);
        assert_eq!(why(&mut world, &first), "Execution redrivable period exceeded");

        let third = world.start(&machine, "third", &json!({})).unwrap();
        let fourth = world.start(&machine, "fourth", &json!({})).unwrap();
        world.catch_up();
        stop(&mut world, &third);
        let delete = DeleteStateMachineInput { state_machine_arn: Some(machine.clone().into()) };
        world.ask(Request::DeleteStateMachine(delete)).unwrap();
        assert_eq!(why(&mut world, &third), "State machine is in DELETING status");
        stop(&mut world, &fourth);
        world.catch_up();
        assert_eq!(world.state.executions().count(), 0);
    });
}

#[test]
fn the_same_token_redrives_once() {
    both(|mut world| {
        let definition = json!({"StartAt": "F", "States": {"F": {"Type": "Fail"}}});
        let execution = world.run(&definition, &json!({}));
        world.catch_up();
        let first = redrive(&mut world, &execution, Some("t")).unwrap();
        world.advance(1000);
        world.restart();
        assert_eq!(redrive(&mut world, &execution, Some("t")).unwrap(), first);
        assert_eq!(world.describe(&execution).redrive_count, Some(1));
        // Tokens hold for 15 minutes, and the last ten do.
        world.advance(15 * 60_000 - 1000);
        assert_ne!(redrive(&mut world, &execution, Some("t")).unwrap(), first);
        for number in 0..10 {
            world.advance(1);
            redrive(&mut world, &execution, Some(&number.to_string())).unwrap();
        }
        world.advance(1);
        redrive(&mut world, &execution, Some("t")).unwrap();
        assert_eq!(world.describe(&execution).redrive_count, Some(13));
    });
}

#[test]
fn lists_tell_redriven_executions_apart() {
    let mut world = World::new(Memory::Cold);
    let definition = json!({"StartAt": "F", "States": {"F": {"Type": "Fail"}}});
    let machine = world.create("m", &definition);
    let execution = world.start(&machine, "one", &json!({})).unwrap();
    world.start(&machine, "other", &json!({})).unwrap();
    world.catch_up();
    redrive(&mut world, &execution, None).unwrap();
    world.advance(1000);
    let mut names = |filter: Option<&str>, status: Option<&str>| {
        let input = ListExecutionsInput {
            state_machine_arn: Some(machine.clone().into()),
            redrive_filter: filter.map(|filter| filter.to_owned().into()),
            status_filter: status.map(|status| status.to_owned().into()),
            ..ListExecutionsInput::default()
        };
        let Ok(Response::ListExecutions(output)) = world.ask(Request::ListExecutions(input)) else {
            panic!("no list")
        };
        let items = output.executions.unwrap();
        let text = |item: api::stepfunctions::ExecutionListItem| {
            format!("{} {}", item.name.unwrap(), item.redrive_count.unwrap())
        };
        items.into_iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(names(None, None), ["other 0", "one 1"]);
    assert_eq!(names(Some("REDRIVEN"), None), ["one 1"]);
    assert_eq!(names(Some("REDRIVEN"), Some("FAILED")), ["one 1"]);
    assert_eq!(names(Some("NOT_REDRIVEN"), Some("FAILED")), ["other 0"]);
    assert_eq!(names(None, Some("RUNNING")), Vec::<String>::new());
}

#[test]
fn an_execution_has_no_more_redrives_than_its_history_has_room_for() {
    let mut world = World::new(Memory::Cold);
    world.is_checked = false;
    let definition = json!({"StartAt": "N", "States": {
        "N": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "C"},
        "C": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericLessThan": 6240, "Next": "N"}], "Default": "F"},
        "F": {"Type": "Fail"}}});
    let execution = world.run(&definition, &json!({"n": 0}));
    world.catch_up();
    assert_eq!(world.end(&execution).1, json!([null, null]));
    let refusal = loop {
        match redrive(&mut world, &execution, None) {
            Ok(_) => world.catch_up(),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal.message, "Execution history event limit exceeded");
    let events = world.state.executions().next().unwrap().1.next_event - 1;
    assert!((24_990..=25_000).contains(&events), "{events}");
    world.check_replay();
}

#[test]
fn a_task_of_a_branch_that_was_heard_of_and_is_timed_out_leaves_nothing() {
    let mut world = World::new(Memory::Cold);
    let task = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"MessageBody.$": "$$.Task.Token"}, "HeartbeatSeconds": 10, "End": true});
    let branch = json!({"StartAt": "T", "States": {"T": task}});
    let parallel = json!({"Type": "Parallel", "Branches": [branch], "End": true});
    let execution = world.run(&json!({"StartAt": "P", "States": {"P": parallel}}), &json!({}));
    world.advance(5000);
    let token = bodies(&world)[0].as_str().unwrap().to_owned();
    world.ask(Request::SendTaskHeartbeat(SendTaskHeartbeatInput { task_token: Some(token.into()) })).unwrap();
    world.advance(9_999);
    assert_eq!(world.end(&execution).0, "RUNNING");
    world.advance(1);
    assert_eq!(world.end(&execution).1[0], "States.Timeout");
    world.restart();
    world.clean();
}

#[derive(Clone, Debug)]
enum Event {
    Steps(u8),
    Advance(u64),
    Restart,
    Clean,
    Stop,
    Redrive,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..6u8).prop_map(Event::Steps),
        3 => (1..4_000u64).prop_map(Event::Advance),
        2 => Just(Event::Restart),
        2 => Just(Event::Clean),
        1 => Just(Event::Stop),
        3 => Just(Event::Redrive),
    ]
}

/// A map over a parallel over tasks and waits.
fn nested() -> Value {
    let leaf = |state: &str| {
        let wait = format!("{state}w");
        json!({"StartAt": state, "States": {
        state: send(json!(format!("$.{state}")), json!({"ResultPath": null, "Next": wait})),
        wait: {"Type": "Wait", "Seconds": 2, "End": true}}})
    };
    let parallel =
        json!({"Type": "Parallel", "Branches": [leaf("a"), leaf("b")], "ResultPath": null, "Next": "L"});
    let inner = json!({"StartAt": "P", "States": {"P": parallel, "L": send(json!("$.c"), json!({"ResultPath": null, "End": true}))}});
    let selector = json!({"a.$": "States.Format('a{}', $$.Map.Item.Value)", "b.$": "States.Format('b{}', $$.Map.Item.Value)",
        "c.$": "States.Format('c{}', $$.Map.Item.Value)"});
    let map = json!({"Type": "Map", "MaxConcurrency": 2, "ItemSelector": selector, "ItemProcessor": inner, "End": true});
    json!({"StartAt": "M", "States": {"M": map}})
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn whatever_fails_and_is_stopped_each_task_succeeds_once(
        cold in any::<bool>(), luck in prop::collection::vec(0..4u8, 40), events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new(if cold { Memory::Cold } else { Memory::Warm });
        let drawn = luck.clone();
        let is_lucky = move |before: usize| drawn.get(before).is_none_or(|&luck| luck > 0);
        let lucky = is_lucky.clone();
        world.answer = Box::new(move |call, before| match lucky(before) {
            true => Called::Answered(body(call).to_string()),
            false => Called::Refused(Refusal::new("Unlucky", "")),
        });
        let execution = world.run(&nested(), &json!([1, 2, 3]));
        for event in events {
            match event {
                Event::Steps(count) => (0..count).for_each(|_| { world.step(); }),
                Event::Advance(millis) => world.advance(millis),
                Event::Restart => world.restart(),
                Event::Clean => world.clean(),
                Event::Stop => stop(&mut world, &execution),
                Event::Redrive => { let _ = redrive(&mut world, &execution, None); }
            }
        }
        world.restart();
        for _ in 0..50 {
            world.advance(60_000);
            if world.end(&execution).0 == "SUCCEEDED" {
                break;
            }
            redrive(&mut world, &execution, None).unwrap();
        }
        prop_assert_eq!(world.end(&execution).0, "SUCCEEDED");
        let mut done: Vec<String> =
            world.calls.iter().enumerate().filter(|(at, _)| is_lucky(*at)).map(|(_, call)| body(call).to_string()).collect();
        done.sort();
        let mut all: Vec<String> =
            ["a", "b", "c"].iter().flat_map(|kind| (1..=3).map(move |number| format!("\"{kind}{number}\""))).collect();
        all.sort();
        prop_assert_eq!(done, all);
        let events = world.history(&execution);
        prop_assert!(events.iter().enumerate().all(|(at, event)| event.id == Some(at as i64 + 1)));
        world.check_replay();
    }
}

#[test]
fn the_largest_failure_has_room_in_a_record() {
    both(|mut world| {
        let long = "\"".repeat(131_000);
        let definition = json!({"StartAt": "A", "States": {
            "A": {"Type": "Pass", "Assign": {"one.$": "$"}, "Next": "B"},
            "B": {"Type": "Pass", "Assign": {"two.$": "$"}, "Next": "F"},
            "F": send(json!("$[0]"), json!({"ResultPath": null, "Next": "G"})),
            "G": send(json!("$[0]"), json!({"ResultPath": null, "End": true}))}});
        // The first attempts of both tasks are refused with the longest cause.
        world.answer = Box::new(|_, before| match before {
            0 | 2 => Called::Refused(Refusal::new("Unlucky", "x".repeat(32_768))),
            _ => Called::Answered("{}".to_owned()),
        });
        let execution = world.run(&definition, &json!([long]));
        world.is_checked = false;
        world.catch_up();
        assert_eq!(world.end(&execution).1[0], "Sqs.UnluckyException");
        redrive(&mut world, &execution, None).unwrap();
        world.restart();
        world.catch_up();
        redrive(&mut world, &execution, None).unwrap();
        world.catch_up();
        let (status, output) = world.end(&execution);
        assert_eq!(
            (status.as_str(), world.describe(&execution).redrive_count),
            ("SUCCEEDED", Some(2)),
            "{output}"
        );
        world.check_replay();
    });
}
