//! Workflows: one execution a name, tasks ended by tokens, and workers that die, stop and are given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use toolkit::Clients;
use toolkit::workflow::{
    Activity, ActivityWorker, StateMachine, TaskFailure, TaskToken, Told, Workflow, WorkflowError,
};

use crate::common::{queue, receive, server};

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

async fn workflow(clients: &Clients, definition: Value) -> Workflow<Value, Value> {
    Workflow::new(clients, &StateMachine::ensure(clients, "m", ROLE, &definition).await.unwrap())
}

fn one(task: Value) -> Value {
    let caught = task.get("Catch").map(|_| json!({ "Type": "Pass", "End": true }));
    let states = caught.into_iter().map(|state| ("C".to_owned(), state)).chain([("T".to_owned(), task)]);
    json!({ "StartAt": "T", "States": states.collect::<serde_json::Map<_, _>>() })
}

async fn working(clients: &Clients, more: Value) -> (Activity, Workflow<Value, Value>) {
    let activity = Activity::ensure(clients, "a").await.unwrap();
    let mut task = json!({ "Type": "Task", "Resource": activity.arn, "End": true,
        "Catch": [{ "ErrorEquals": ["Unlucky"], "Next": "C" }] });
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let workflow = workflow(clients, one(task)).await;
    (activity, workflow)
}

#[tokio::test]
async fn a_name_and_an_input_are_one_execution() {
    let (_server, clients) = server().await;
    let pass = |result: u32| one(json!({ "Type": "Pass", "Result": result, "End": true }));
    let first = workflow(&clients, pass(1)).await;
    let started = first.start("e", &json!({ "a": 1 })).await.unwrap();
    assert_eq!(started.wait().await.unwrap(), json!(1));
    // Declared again with another definition, and started again: it has ended, and is the same one.
    let again = workflow(&clients, pass(2)).await;
    let same = again.start("e", &json!({ "a": 1 })).await.unwrap();
    assert_eq!((same.arn(), same.wait().await.unwrap()), (started.arn(), json!(1)));
    assert_eq!(again.named("e").arn(), started.arn());
    let other = again.start("e", &json!({ "a": 2 })).await;
    assert!(matches!(other, Err(WorkflowError::Fault(fault)) if fault.code == "ExecutionAlreadyExists"));
    assert_eq!(again.start("f", &Value::Null).await.unwrap().wait().await.unwrap(), json!(2));
}

#[tokio::test]
async fn a_token_ends_its_task_once_and_a_failed_execution_is_redriven() {
    let (_server, clients) = server().await;
    let queue = queue(&clients, "q").await;
    let task = json!({ "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": true,
        "Parameters": { "QueueUrl": queue.url, "MessageBody.$": "$$.Task.Token" } });
    let execution = workflow(&clients, one(task)).await.start("e", &json!({})).await.unwrap();
    assert_eq!(execution.look().await.unwrap(), None);
    let token = async || loop {
        if let Some(message) = receive(&clients, &queue).await.pop() {
            return TaskToken(message.body.unwrap());
        }
    };
    let first = token().await;
    assert_eq!(first.heartbeat(&clients).await.unwrap(), Told::Heard);
    let failure = TaskFailure::new("E".repeat(300), "c");
    assert_eq!(first.fail(&clients, &failure).await.unwrap(), Told::Heard);
    assert_eq!(first.succeed(&clients, &1).await.unwrap(), Told::Over);
    let Err(WorkflowError::Ended { status, error, .. }) = execution.wait().await else {
        panic!("no failure")
    };
    assert_eq!((&*status, error.map(|error| error.len())), ("FAILED", Some(256)));
    execution.redrive().await.unwrap();
    assert_eq!(token().await.succeed(&clients, &json!({ "n": 7 })).await.unwrap(), Told::Heard);
    assert_eq!(execution.wait().await.unwrap(), json!({ "n": 7 }));
    assert_eq!(TaskToken("made up".into()).heartbeat(&clients).await.unwrap_err().code, "InvalidToken");
}

#[tokio::test]
async fn a_worker_does_tasks_and_says_how_they_failed() {
    let (_server, clients) = server().await;
    let (activity, workflow) = working(&clients, json!({})).await;
    let worker =
        ActivityWorker::new(&clients, &activity).name("w").workers(3).start(|number: u32| async move {
            match number {
                13 => Err(TaskFailure::new("Unlucky", "13")),
                14 => panic!("on purpose"),
                number => Ok(number * 2),
            }
        });
    let mut ends = Vec::new();
    for (name, input) in [("a", json!(4)), ("b", json!(13)), ("c", json!(14)), ("d", json!("text"))] {
        let end = workflow.start(name, &input).await.unwrap().wait().await;
        ends.push(match end {
            Ok(output) => output,
            Err(WorkflowError::Ended { error, .. }) => json!(error),
            Err(other) => panic!("{other}"),
        });
    }
    assert_eq!(
        ends,
        [json!(8), json!({ "Error": "Unlucky", "Cause": "13" }), json!("Panic"), json!("Input")]
    );
    worker.shutdown().await;
}

#[tokio::test]
async fn heartbeats_keep_a_long_task_and_another_worker_takes_that_of_a_dead_one() {
    let (_server, clients) = server().await;
    let retry =
        json!([{ "ErrorEquals": ["States.HeartbeatTimeout"], "IntervalSeconds": 1, "MaxAttempts": 9 }]);
    let (activity, workflow) = working(&clients, json!({ "HeartbeatSeconds": 1, "Retry": retry })).await;
    let begun = Arc::new(Notify::new());
    let dies = ActivityWorker::new(&clients, &activity).start({
        let begun = begun.clone();
        move |_: Value| {
            begun.notify_one();
            std::future::pending::<Result<(), TaskFailure>>()
        }
    });
    let execution = workflow.start("e", &json!({})).await.unwrap();
    begun.notified().await;
    drop(dies);
    // Works for longer than a heartbeat may be missing.
    let works = ActivityWorker::new(&clients, &activity).heartbeat(Duration::from_millis(300)).start(
        |_: Value| async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            Ok("done")
        },
    );
    assert_eq!(execution.wait().await.unwrap(), json!("done"));
    works.shutdown().await;
}

#[tokio::test]
async fn a_worker_that_stops_ends_its_task_first_and_leaves_one_that_nobody_waits_for() {
    let (_server, clients) = server().await;
    let (activity, workflow) = working(&clients, json!({})).await;
    let (begun, done) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
    let worker = ActivityWorker::new(&clients, &activity).heartbeat(Duration::from_millis(50)).start({
        let (begun, done) = (begun.clone(), done.clone());
        move |millis: u64| {
            let (begun, done) = (begun.clone(), done.clone());
            async move {
                begun.notify_one();
                tokio::time::sleep(Duration::from_millis(millis)).await;
                done.fetch_add(1, Ordering::SeqCst);
                Ok(millis)
            }
        }
    });
    let given_up = workflow.start("given-up", &json!(600_000)).await.unwrap();
    begun.notified().await;
    given_up.stop("E", "c").await.unwrap();
    // The same worker is free for the next task.
    let execution = workflow.start("e", &json!(300)).await.unwrap();
    begun.notified().await;
    worker.shutdown().await;
    assert_eq!(done.load(Ordering::SeqCst), 1);
    assert_eq!(execution.wait().await.unwrap(), json!(300));
}
