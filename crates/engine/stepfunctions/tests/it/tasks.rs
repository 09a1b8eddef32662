//! Tasks that somebody ends later: by their tokens, and those of activities.

use api::stepfunctions::{
    CreateActivityInput, DeleteActivityInput, GetActivityTaskInput, Request, Response, SendTaskFailureInput,
    SendTaskHeartbeatInput, SendTaskSuccessInput,
};
use kernel::{Called, Refusal};
use serde_json::{Value, json};

use crate::world::{Answer, Memory, World};

const ACTIVITY: &str = "arn:aws:states:us-east-1:000000000000:activity:a";

fn both(story: impl Fn(World)) {
    story(World::new(Memory::Warm));
    story(World::new(Memory::Cold));
}

fn succeed(world: &mut World, token: &str, output: &str) -> Result<Response, Refusal> {
    let input = SendTaskSuccessInput {
        task_token: Some(token.to_owned().into()),
        output: Some(output.to_owned().into()),
    };
    world.ask(Request::SendTaskSuccess(input))
}

fn beat(world: &mut World, token: &str) -> Result<Response, Refusal> {
    world
        .ask(Request::SendTaskHeartbeat(SendTaskHeartbeatInput { task_token: Some(token.to_owned().into()) }))
}

/// A task that waits for its token, which it sends to a queue.
fn callback(more: Value) -> Value {
    let mut task = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"MessageBody.$": "$$.Task.Token"}, "End": true,
        "Catch": [{"ErrorEquals": ["Other"], "Next": "C"}]});
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"StartAt": "T", "States": {"T": task, "C": {"Type": "Pass", "End": true}}})
}

fn token(world: &World) -> String {
    let request: Value = serde_json::from_str(&world.calls.last().unwrap().input).unwrap();
    request["MessageBody"].as_str().unwrap().to_owned()
}

fn statuses(world: &World) -> Vec<&str> {
    world.told.iter().map(|detail| detail["status"].as_str().unwrap()).collect()
}

fn sent() -> Answer {
    Box::new(|_, _| Called::Answered(json!({"MessageId": "m"}).to_string()))
}

#[test]
fn a_task_waits_for_its_token() {
    both(|mut world| {
        world.answer = sent();
        let execution = world.run(&callback(json!({})), &json!({}));
        world.advance(86_400_000);
        let token = token(&world);
        world.restart();
        assert_eq!(succeed(&mut world, "made up", "{}").unwrap_err().shape, "InvalidToken");
        assert_eq!(succeed(&mut world, &token, "no JSON").unwrap_err().shape, "InvalidOutput");
        succeed(&mut world, &token, r#"{"done": [1]}"#).unwrap();
        assert_eq!(succeed(&mut world, &token, "{}").unwrap_err().shape, "TaskTimedOut");
        world.restart();
        world.clean();
        world.catch_up();
        assert_eq!(world.end(&execution), ("SUCCEEDED".to_owned(), json!({"done": [1]})));
        // A restart tells nothing again.
        assert_eq!(statuses(&world), ["RUNNING", "SUCCEEDED"]);
        // What is not at hand is left out.
        let (output, details) = (&world.told[1]["output"], &world.told[1]["outputDetails"]["included"]);
        assert_eq!(*output == json!(r#"{"done":[1]}"#), *details == json!(true));
        assert!(details.is_boolean());
        // facts/stepfunctions.md § 18
        assert_eq!(
            world.graph(&execution),
            [
                "ExecutionStarted 1<0",
                "TaskStateEntered 2<0",
                "TaskScheduled 3<2",
                "TaskStarted 4<3",
                "TaskSubmitted 5<4",
                "TaskSucceeded 6<5",
                "TaskStateExited 7<6",
                "ExecutionSucceeded 8<7",
            ]
        );
    });
}

#[test]
fn a_task_that_is_failed_without_a_reason_is_caught_so() {
    both(|mut world| {
        world.answer = sent();
        let catch = json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "C"}]});
        let execution = world.run(&callback(catch), &json!({}));
        world.catch_up();
        let input = SendTaskFailureInput {
            task_token: Some(token(&world).into()),
            ..SendTaskFailureInput::default()
        };
        world.ask(Request::SendTaskFailure(input)).unwrap();
        world.catch_up();
        // facts/stepfunctions.md § 18
        assert_eq!(world.end(&execution), ("SUCCEEDED".to_owned(), json!({"Error": null, "Cause": null})));
    });
}

#[test]
fn a_task_that_is_silent_for_too_long_is_timed_out() {
    both(|mut world| {
        world.answer = sent();
        let execution = world.run(&callback(json!({"HeartbeatSeconds": 10})), &json!({}));
        world.advance(9_000);
        let token = token(&world);
        beat(&mut world, &token).unwrap();
        world.restart();
        world.clean();
        world.advance(9_000);
        beat(&mut world, &token).unwrap();
        world.restart();
        world.advance(9_999);
        assert_eq!(world.end(&execution).0, "RUNNING");
        world.advance(1);
        assert_eq!(world.end(&execution), ("FAILED".to_owned(), json!(["States.Timeout", null])));
        assert_eq!(beat(&mut world, &token).unwrap_err().shape, "TaskTimedOut");
        assert_eq!(world.graph(&execution)[5..], ["TaskTimedOut 6<5", "ExecutionFailed 7<6"]);
    });
}

#[test]
fn a_timeout_and_a_missed_heartbeat_are_told_apart_by_catchers() {
    for (limits, name) in [
        (json!({"TimeoutSeconds": 20, "HeartbeatSeconds": 5}), "States.HeartbeatTimeout"),
        (json!({"TimeoutSeconds": 20}), "States.Timeout"),
    ] {
        let mut world = World::new(Memory::Warm);
        world.answer = sent();
        let mut more = limits;
        more["Catch"] = json!([{"ErrorEquals": [name], "Next": "C"}]);
        let execution = world.run(&callback(more), &json!({}));
        world.advance(20_000);
        assert_eq!(world.end(&execution).0, "SUCCEEDED", "{name}");
    }
}

fn worker(more: Value) -> Value {
    let mut task = json!({"Type": "Task", "Resource": ACTIVITY, "End": true});
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"StartAt": "T", "States": {"T": task}})
}

fn create(world: &mut World) {
    let input = CreateActivityInput { name: Some("a".into()), ..CreateActivityInput::default() };
    world.ask(Request::CreateActivity(input)).unwrap();
}

fn poll(world: &mut World) -> Result<Response, Refusal> {
    world.ask(Request::GetActivityTask(GetActivityTaskInput {
        activity_arn: Some(ACTIVITY.into()),
        worker_name: Some("w".into()),
    }))
}

#[test]
fn a_worker_gets_a_task_that_waits() {
    both(|mut world| {
        create(&mut world);
        let execution =
            world.run(&worker(json!({"TimeoutSeconds": 100, "HeartbeatSeconds": 5})), &json!({"n": 1}));
        // Its times count from when a worker has taken it.
        world.advance(1_000_000);
        world.restart();
        let Ok(Response::GetActivityTask(task)) = poll(&mut world) else { panic!("no task") };
        assert_eq!(task.input.as_deref(), Some(r#"{"n":1}"#));
        let token = task.task_token.unwrap().to_string();
        world.restart();
        world.clean();
        world.advance(4_000);
        beat(&mut world, &token).unwrap();
        world.advance(4_000);
        succeed(&mut world, &token, "7").unwrap();
        world.catch_up();
        assert_eq!(world.end(&execution), ("SUCCEEDED".to_owned(), json!(7)));
        assert_eq!(
            world.graph(&execution)[1..],
            [
                "TaskStateEntered 2<0",
                "ActivityScheduled 3<2",
                "ActivityStarted 4<3",
                "ActivitySucceeded 5<4",
                "TaskStateExited 6<5",
                "ExecutionSucceeded 7<6",
            ]
        );
    });
}

#[test]
fn a_worker_waits_for_a_task_for_a_minute() {
    both(|mut world| {
        create(&mut world);
        assert_eq!(poll(&mut world).unwrap_err().shape, "Waits");
        world.advance(59_999);
        assert!(world.answers.is_empty());
        world.advance(1);
        let (_, answer) = world.answers.remove(0);
        assert_eq!(world.task(answer.unwrap()), None);
        assert_eq!(poll(&mut world).unwrap_err().shape, "Waits");
        world.run(&worker(json!({})), &json!("in"));
        world.catch_up();
        let (_, answer) = world.answers.remove(0);
        let (token, input) = world.task(answer.unwrap()).unwrap();
        assert_eq!(input, json!("in"));
        succeed(&mut world, &token, "{}").unwrap();
        world.advance(100_000);
        assert!(world.answers.is_empty());
    });
}

#[test]
fn an_activity_that_does_not_exist_fails_its_state() {
    // facts/stepfunctions.md § 17, 18
    let mut world = World::new(Memory::Warm);
    create(&mut world);
    let delete = DeleteActivityInput { activity_arn: Some(ACTIVITY.into()) };
    world.ask(Request::DeleteActivity(delete)).unwrap();
    assert_eq!(poll(&mut world).unwrap_err().shape, "ActivityDoesNotExist");
    let execution = world.run(&worker(json!({})), &json!({}));
    world.catch_up();
    let cause = format!("The activity {ACTIVITY} does not exist.");
    assert_eq!(world.end(&execution), ("FAILED".to_owned(), json!(["States.Runtime", cause])));
    assert_eq!(
        world.graph(&execution),
        ["ExecutionStarted 1<0", "TaskStateEntered 2<0", "ExecutionFailed 3<2"]
    );
    world.restart();
    world.reset();
}
