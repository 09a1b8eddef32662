//! Executions of the whole server over a disk that loses what was not synced: each ends as one that nothing has disturbed, and each of
//! its tasks reaches its queue exactly once.

use std::collections::BTreeMap;

use api::eventbridge::{
    CreateConnectionApiKeyAuthRequestParameters, CreateConnectionAuthRequestParameters, CreateConnectionInput,
};
use api::stepfunctions::{
    CreateStateMachineInput, RedriveExecutionInput, Request, StartExecutionInput, StopExecutionInput,
};
use kernel::request::Answer;
use kernel::{Asker, Caller, Secret, Time};
use machine::{Command, Event, Input, Options};
use serde_json::{Value, json};
use simulator::dice::Dice;
use simulator::disks::Disks;
use simulator::server::{Asked, Server};
use sqs::QueueKey;
use sqs::operations::create_queue;
use stepfunctions::records::Status;

const SECRET: Secret = Secret([7; 32]);
const BEGIN: Time = Time(1_700_000_000_000);
const SECOND: u64 = 1000;
const EXECUTIONS: u64 = 12;
const QUEUE: &str = "http://localhost/000000000000/q";

struct Story {
    disk: Disks,
    log: journal::Options,
    server: Server,
    dice: Dice,
    now: Time,
}

/// The ARN of an execution.
fn arn(n: u64) -> String {
    format!("arn:aws:states:us-east-1:000000000000:execution:m:e{n}")
}

/// A task that sends, so that its message tells which state of which execution has sent it.
fn send(state: &str) -> Value {
    json!({"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sqs:sendMessage", "ResultPath": null,
        "Parameters": {"QueueUrl": QUEUE, "MessageBody.$": format!("States.Format('{state} {{}}', $.n)")}})
}

/// A task that asks a server elsewhere until it is answered well.
fn asks(connection: &str) -> Value {
    json!({"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "ResultPath": null, "TimeoutSeconds": 20,
        "Parameters": {"ApiEndpoint": "https://example.com", "Method": "POST", "RequestBody.$": "$.n",
            "InvocationConfig": {"ConnectionArn": connection}},
        "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 99}]})
}

/// States one behind the other, drawn by lot; with a connection, some ask servers elsewhere. Returns the definition, and how many messages
/// an execution sends.
fn generated(dice: &mut Dice, prefix: &str, depth: u32, connection: Option<&str>) -> (Value, u64) {
    let (mut states, mut sends) = (serde_json::Map::new(), 0);
    let count = 1 + dice.below(4);
    for at in 0..count {
        let name = format!("{prefix}{at}");
        let mut state = match dice.below(if depth == 0 { 4 } else { 6 }) {
            1 if connection.is_some() => asks(connection.unwrap_or_default()),
            0 | 1 => {
                sends += 1;
                send(&name)
            }
            2 => json!({"Type": "Wait", "Seconds": 1 + dice.below(5)}),
            3 => {
                // It fails, is tried again, and goes on.
                let mut task = send(&name);
                task["Parameters"]["QueueUrl"] = json!("http://localhost/000000000000/none");
                task["Retry"] =
                    json!([{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2}]);
                task["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "ResultPath": "$.e", "Next": "?"}]);
                task
            }
            4 => {
                let (inner, inner_sends) = generated(dice, &format!("{name}m"), depth - 1, connection);
                let items = 1 + dice.below(4);
                sends += items * inner_sends;
                json!({"Type": "Map", "ResultPath": null, "MaxConcurrency": dice.below(3), "ItemProcessor": inner,
                    "ItemsPath": format!("$.lists[{}]", items - 1), "ItemSelector": {"n.$": "$.n", "lists.$": "$.lists"}})
            }
            _ => {
                let branches: Vec<(Value, u64)> = (0..2)
                    .map(|branch| generated(dice, &format!("{name}b{branch}"), depth - 1, connection))
                    .collect();
                sends += branches.iter().map(|branch| branch.1).sum::<u64>();
                let branches: Vec<Value> = branches.into_iter().map(|branch| branch.0).collect();
                json!({"Type": "Parallel", "ResultPath": null, "Branches": branches})
            }
        };
        let next = format!("{prefix}{}", at + 1);
        state["Next"] = json!(next);
        if let Some(catch) = state.get_mut("Catch") {
            catch[0]["Next"] = json!(next);
        }
        states.insert(name, state);
    }
    states.insert(format!("{prefix}{count}"), json!({"Type": "Succeed"}));
    (json!({"StartAt": format!("{prefix}0"), "States": states}), sends)
}

fn caller() -> Caller {
    Caller {
        account: "000000000000".into(),
        region: "us-east-1".into(),
        principal: "000000000000".into(),
        signed: true,
    }
}

fn asker(caller: &Caller) -> Asker<'_> {
    Asker { caller, base: "http://localhost:4566", trace: None }
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::from_seed(seed);
        let disk = Disks::new(dice.split().into());
        let log = journal::Options { segment_bytes: 256 << 10, log_id: 1, durable: true, recycled: 0 };
        let (options, mut of_server) = (Options::default(), dice.split());
        let server = Server::start_with(options, &disk, &log, SECRET, BEGIN, None, &mut of_server).unwrap();
        let mut story = Story { disk, log, server, dice, now: BEGIN };
        story.server.settle(BEGIN).unwrap();
        let key = QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: "q".into() };
        let create = create_queue::CreateQueue::new(key, [], []).unwrap();
        story.ask(Command::Sqs(sqs::operations::Command::CreateQueue(create)));
        story
    }

    fn ask(&mut self, command: Command) {
        self.server.machine.handle(self.now, Input::Request { ticket: 1, command });
        let answers = self.server.settle(self.now).unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }

    fn ask_sfn(&mut self, request: Request) {
        let command = Self::prepared(request);
        self.ask(command);
    }

    fn stop(&mut self, n: u64) {
        self.ask_sfn(Request::StopExecution(StopExecutionInput {
            execution_arn: Some(arn(n).into()),
            ..StopExecutionInput::default()
        }));
    }

    /// Redrives an execution, if it can be.
    fn redrive(&mut self, n: u64) {
        let request = Request::RedriveExecution(RedriveExecutionInput {
            execution_arn: Some(arn(n).into()),
            ..RedriveExecutionInput::default()
        });
        let command = Self::prepared(request);
        self.server.machine.handle(self.now, Input::Request { ticket: 1, command });
        self.server.settle(self.now).unwrap();
    }

    fn prepared(request: Request) -> Command {
        let (command, _) = stepfunctions::operations::prepare(request, &asker(&caller())).unwrap();
        Command::Stepfunctions(command)
    }

    /// The power goes when some of what was written is synced, and the server starts again.
    fn crash(&mut self) {
        self.server.flush(self.now);
        for _ in 0..self.dice.below(3) {
            self.server.write(self.now).unwrap();
        }
        if self.dice.percent(30) {
            self.server.sync(self.now).unwrap();
        }
        self.disk.lose_power();
        self.server = Server::start(&self.disk, &self.log, SECRET, self.now, None, &mut self.dice).unwrap();
        self.server.pass_time(self.now);
        self.server.settle(self.now).unwrap();
    }

    /// The ARN of a new connection.
    fn connect(&mut self) -> String {
        let input = CreateConnectionInput {
            name: Some("c".into()),
            authorization_type: Some("API_KEY".into()),
            auth_parameters: Some(CreateConnectionAuthRequestParameters {
                api_key_auth_parameters: Some(CreateConnectionApiKeyAuthRequestParameters {
                    api_key_name: Some("k".into()),
                    api_key_value: Some("v".into()),
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let request = api::eventbridge::Request::CreateConnection(input);
        let (command, _) = eventbridge::operations::prepare(request, &asker(&caller())).unwrap();
        self.ask(Command::Eventbridge(command));
        self.server.machine.eventbridge().connections().next().unwrap().arn()
    }

    /// Servers elsewhere answer some of what they were asked, well or not.
    fn answer(&mut self, often: u64) {
        for _ in 0..self.server.asked.len() {
            let Some(asked) = self.server.asked.pop_front() else { break };
            if !self.dice.percent(often) {
                self.server.asked.push_back(asked);
                continue;
            }
            let Asked::Task(task) = asked else { panic!("{asked:?}") };
            let answered = |status| Answer::Answered {
                status,
                reason: String::new(),
                headers: Vec::new(),
                body: "fine".into(),
            };
            let answer = match self.dice.below(if often == 100 { 1 } else { 3 }) {
                0 => answered(200),
                1 => answered(503),
                _ => Answer::None("lost".into()),
            };
            let event = stepfunctions::Event::Answered(task, answer);
            self.server.machine.handle(self.now, Input::Event(Event::Stepfunctions(event)));
        }
    }

    fn messages(&self) -> u64 {
        self.server.machine.sqs().queues().map(|queue| queue.visible).sum()
    }

    /// How many executions stand how.
    fn statuses(&self) -> BTreeMap<Status, u64> {
        let mut statuses = BTreeMap::new();
        for (_, execution) in self.server.machine.stepfunctions().executions() {
            *statuses.entry(execution.status).or_default() += 1;
        }
        statuses
    }
}

/// By what executions are disturbed besides crashes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disturbed {
    Nothing,
    /// They are stopped and redriven.
    Stops,
    /// Some of their tasks ask servers elsewhere, which answer late, badly or not at all.
    Servers,
}

#[test]
fn each_execution_ends_and_each_task_is_done_once_whatever_a_crash_takes_back() {
    ends_well(Disturbed::Nothing, 0..12);
}

#[test]
fn executions_that_are_stopped_and_redriven_do_each_task_once_all_the_same() {
    ends_well(Disturbed::Stops, 12..16);
}

#[test]
fn executions_that_ask_servers_elsewhere_end_whatever_these_answer() {
    ends_well(Disturbed::Servers, 16..20);
}

fn ends_well(disturbed: Disturbed, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut story = Story::new(seed);
        let connection = (disturbed == Disturbed::Servers).then(|| story.connect());
        let (definition, sends) = generated(&mut story.dice, "S", 2, connection.as_deref());
        story.ask_sfn(Request::CreateStateMachine(CreateStateMachineInput {
            name: Some("m".into()),
            definition: Some(definition.to_string().into()),
            role_arn: Some("arn:aws:iam::000000000000:role/r".into()),
            ..CreateStateMachineInput::default()
        }));
        for n in 0..EXECUTIONS {
            let lists = [json!([0]), json!([0, 1]), json!([0, 1, 2]), json!([0, 1, 2, 3])];
            let input = json!({"n": n, "lists": lists, "filling": "x".repeat(n as usize * 700)});
            story.ask_sfn(Request::StartExecution(StartExecutionInput {
                state_machine_arn: Some("arn:aws:states:us-east-1:000000000000:stateMachine:m".into()),
                name: Some(format!("e{n}").into()),
                input: Some(input.to_string().into()),
                ..StartExecutionInput::default()
            }));
        }
        for _ in 0..80 {
            story.now = story.now + story.dice.below(3 * SECOND);
            story.server.pass_time(story.now);
            if disturbed == Disturbed::Stops {
                let n = story.dice.below(EXECUTIONS);
                if story.dice.percent(30) { story.stop(n) } else { story.redrive(n) }
            }
            story.answer(40);
            if story.dice.percent(40) {
                story.crash();
            } else {
                story.server.settle(story.now).unwrap();
            }
        }
        (0..EXECUTIONS).for_each(|n| story.redrive(n));
        for _ in 0..100 {
            story.now = story.now + 10 * SECOND;
            story.server.pass_time(story.now);
            story.server.settle(story.now).unwrap();
            story.answer(100);
            story.server.settle(story.now).unwrap();
        }
        assert!(story.server.asked.is_empty(), "seed {seed}");
        let expected = BTreeMap::from([(Status::Succeeded, EXECUTIONS)]);
        assert_eq!(story.statuses(), expected, "seed {seed}: {definition}");
        assert_eq!(story.messages(), EXECUTIONS * sends, "seed {seed}: {definition}");
        story.crash();
        assert_eq!((story.statuses(), story.messages()), (expected, EXECUTIONS * sends), "seed {seed}");
    }
}
