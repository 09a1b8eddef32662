//! Executions over restarts and cleaning; names; what is forgotten.

use api::stepfunctions::{DeleteStateMachineInput, Request, StopExecutionInput, UpdateStateMachineInput};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Memory, World};

fn waiting() -> Value {
    let inner = json!({"StartAt": "T", "States": {
        "T": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {"MessageBody.$": "$"}, "ResultPath": null, "Next": "W"},
        "W": {"Type": "Wait", "Seconds": 3, "End": true}}});
    let map = json!({"Type": "Map", "MaxConcurrency": 2, "ItemsPath": "$.list", "ItemProcessor": inner, "ResultPath": "$.out", "Next": "L"});
    json!({"StartAt": "M", "States": {
        "M": map,
        "L": {"Type": "Wait", "Seconds": 5, "Next": "S"},
        "S": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {"MessageBody": "done"}, "ResultPath": null, "End": true}}})
}

#[derive(Clone, Debug)]
enum Event {
    Steps(u8),
    Advance(u64),
    Restart,
    Clean,
    Start(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..6u8).prop_map(Event::Steps),
        3 => (1..4_000u64).prop_map(Event::Advance),
        2 => Just(Event::Restart),
        2 => Just(Event::Clean),
        2 => (0..8u8).prop_map(Event::Start),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn every_execution_ends_as_one_that_nothing_has_disturbed(cold in any::<bool>(), events in prop::collection::vec(event(), 1..60)) {
        let mut world = World::new(if cold { Memory::Cold } else { Memory::Warm });
        let machine = world.create("m", &waiting());
        let mut started = Vec::new();
        for event in events {
            match event {
                Event::Steps(count) => (0..count).for_each(|_| { world.step(); }),
                Event::Advance(millis) => world.advance(millis),
                Event::Restart => world.restart(),
                Event::Clean => world.clean(),
                Event::Start(number) => {
                    let name = format!("e{number}");
                    if let Ok(execution) = world.start(&machine, &name, &json!({"list": [1, number, 3]}))
                        && !started.contains(&(number, execution.clone()))
                    {
                        started.push((number, execution));
                    }
                }
            }
        }
        world.restart();
        world.advance(60_000);
        for (number, execution) in &started {
            let (status, output) = world.end(execution);
            prop_assert_eq!(&*status, "SUCCEEDED");
            prop_assert_eq!(output, json!({"list": [1, number, 3], "out": [1, number, 3]}));
            let events = world.history(execution);
            prop_assert!(events.iter().enumerate().all(|(at, event)| event.id == Some(at as i64 + 1)));
        }
        // Each iteration and each end has sent its message once.
        prop_assert_eq!(world.calls.len(), started.len() * 4);
        world.check_replay();
    }
}

#[test]
fn a_name_is_an_execution_of_its_own_for_as_long_as_it_is_remembered() {
    // facts/stepfunctions.md § 6
    let mut world = World::new(Memory::Warm);
    let machine = world
        .create("m", &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 5, "End": true}}}));
    let first = world.start(&machine, "e", &json!({"a": 1})).unwrap();
    assert_eq!(world.start(&machine, "e", &json!({"a": 1})).unwrap(), first);
    assert_eq!(world.start(&machine, "e", &json!({"a": 2})).unwrap_err().shape, "ExecutionAlreadyExists");
    world.advance(5000);
    assert_eq!(world.start(&machine, "e", &json!({"a": 1})).unwrap_err().shape, "ExecutionAlreadyExists");
    world.restart();
    world.advance(90 * 24 * 3_600_000);
    world.start(&machine, "e", &json!({"a": 1})).unwrap();
    world.check_replay();
}

#[test]
fn an_execution_goes_on_with_the_definition_that_it_began_with() {
    let mut world = World::new(Memory::Cold);
    let definition = |n: u32| {
        json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 5, "Next": "P"},
        "P": {"Type": "Pass", "Result": n, "End": true}}})
    };
    let execution = world.run(&definition(1), &json!({}));
    world.advance(1000);
    let update = UpdateStateMachineInput {
        state_machine_arn: Some("arn:aws:states:us-east-1:000000000000:stateMachine:m".into()),
        definition: Some(definition(2).to_string().into()),
        ..UpdateStateMachineInput::default()
    };
    world.ask(Request::UpdateStateMachine(update)).unwrap();
    world.restart();
    assert_eq!(world.state.definitions().count(), 2);
    world.advance(5000);
    assert_eq!(world.end(&execution).1, json!(1));
    // The text stays as long as the execution is remembered.
    world.advance(90 * 24 * 3_600_000);
    assert_eq!((world.state.definitions().count(), world.state.executions().count()), (1, 0));
    world.check_replay();
}

#[test]
fn a_state_machine_that_is_deleted_stays_until_its_executions_have_ended() {
    let mut world = World::new(Memory::Warm);
    let definition = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 5, "End": true}}});
    let machine = world.create("m", &definition);
    for number in 0..100 {
        world.start(&machine, &format!("e{number}"), &json!({})).unwrap();
    }
    world.catch_up();
    let delete = DeleteStateMachineInput { state_machine_arn: Some(machine.clone().into()) };
    world.ask(Request::DeleteStateMachine(delete)).unwrap();
    assert_eq!(world.start(&machine, "late", &json!({})).unwrap_err().shape, "StateMachineDeleting");
    world.restart();
    world.advance(4999);
    assert_eq!(world.state.executions().count(), 100);
    world.advance(1);
    world.catch_up();
    assert_eq!((world.state.executions().count(), world.state.machines().count()), (0, 0));
    assert_eq!(world.state.definitions().count(), 0);
    world.restart();
    while world.segments() > 2 {
        world.clean();
    }
    world.create("m", &definition);
}

#[test]
fn an_execution_that_is_stopped_in_a_wait_has_the_event_that_aws_has() {
    // facts/stepfunctions.md § 18
    let mut world = World::new(Memory::Cold);
    let definition = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 5, "End": true}}});
    let execution = world.run(&definition, &json!({}));
    world.catch_up();
    let stop = StopExecutionInput {
        execution_arn: Some(execution.clone().into()),
        error: Some("E".into()),
        cause: Some("c".into()),
    };
    world.ask(Request::StopExecution(stop)).unwrap();
    world.restart();
    world.advance(10_000);
    assert_eq!(world.end(&execution), ("ABORTED".to_owned(), json!(["E", "c"])));
    assert_eq!(
        world.graph(&execution),
        ["ExecutionStarted 1<0", "WaitStateEntered 2<0", "ExecutionAborted 3<0"]
    );
}

#[test]
fn a_reset_leaves_nothing() {
    let mut world = World::new(Memory::Warm);
    let machine = world.create("m", &waiting());
    for number in 0..5 {
        world.start(&machine, &format!("e{number}"), &json!({"list": [1]})).unwrap();
    }
    world.advance(1000);
    world.reset();
    assert_eq!((world.state.executions().count(), world.state.machines().count()), (0, 0));
    assert_eq!(kernel::Service::next_deadline(&world.state), None::<kernel::Time>);
    world.check_replay();
}

#[test]
fn what_is_due_while_the_disk_is_full_happens_when_there_is_room() {
    for memory in [Memory::Warm, Memory::Cold] {
        let mut world = World::new(memory);
        let execution = world.run(&waiting(), &json!({"list": [1]}));
        world.catch_up();
        let calls = world.calls.len();
        world.room = kernel::Demand::Change;
        world.advance(60_000);
        assert_eq!((world.end(&execution).0.as_str(), world.calls.len()), ("RUNNING", calls));
        world.room = kernel::Demand::Growth;
        world.advance(60_000);
        assert_eq!(world.end(&execution).0, "SUCCEEDED");
    }
}

#[test]
fn data_that_cannot_be_read_are_read_again_later() {
    let mut world = World::new(Memory::Cold);
    let execution = world.run(&waiting(), &json!({"list": [1]}));
    world.is_damaged = true;
    world.advance(60_000);
    assert_eq!(world.end(&execution).0, "RUNNING");
    // Somebody has put back the file.
    world.is_damaged = false;
    world.advance(3_600_000);
    world.advance(60_000);
    assert_eq!(world.end(&execution).0, "SUCCEEDED");
}

#[test]
fn the_largest_of_everything_has_room_in_a_record() {
    for memory in [Memory::Warm, Memory::Cold] {
        let mut world = World::new(memory);
        let long = "\"".repeat(131_000);
        let inner = json!({"StartAt": "I", "States": {"I": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sqs:sendMessage", "End": true}}});
        let map = json!({"Type": "Map", "ItemsPath": "$$.Execution.Input", "ItemSelector": {"v.$": "$$.Map.Item.Value"}, "ItemProcessor": inner, "Next": "P"});
        let definition = json!({"StartAt": "A", "States": {
            "A": {"Type": "Pass", "Assign": {"one.$": "$"}, "Next": "T"},
            "T": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sqs:sendMessage", "Parameters": {"v.$": "$[0]"}, "Next": "M"},
            "M": map,
            "P": {"Type": "Pass", "End": true}}});
        let execution = world.run(&definition, &json!([long]));
        world.is_checked = false;
        world.catch_up();
        let (status, output) = world.end(&execution);
        assert_eq!(status, "SUCCEEDED", "{}", output.to_string().len());
        assert_eq!(output[0]["v"].as_str().map(str::len), Some(131_000));
        world.check_replay();
    }
}

#[test]
fn outputs_that_are_too_long_together_fail_the_map() {
    let mut world = World::new(Memory::Cold);
    let inner = json!({"StartAt": "I", "States": {"I": {"Type": "Pass", "Parameters": {"v.$": "$$.Execution.Input.long"}, "End": true}}});
    let map = json!({"Type": "Map", "ItemsPath": "$.list", "ItemProcessor": inner, "End": true});
    let definition = json!({"StartAt": "M", "States": {"M": map}});
    let input = json!({"long": "x".repeat(100_000), "list": [1, 2, 3]});
    let execution = world.run(&definition, &input);
    world.catch_up();
    assert_eq!(world.end(&execution).1[0], "States.DataLimitExceeded");
}
