//! Pipes of the whole server over a disk that loses what was not synced: each message that was accepted is handed on exactly once, whatever
//! a crash takes back.

use api::pipes::{self as shapes, Request};
use api::sqs as queues;
use kernel::{Asker, Caller};
use machine::{Answer, Command, Input, Options};
use simulator::dice::Dice;
use simulator::test_server::TestServer;

const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";
const SECOND: u64 = 1000;

struct Story {
    server: TestServer,
    dice: Dice,
}

fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
}

fn url(queue: &str) -> Option<api::Text> {
    Some(format!("http://localhost/{ACCOUNT}/{queue}").into())
}

fn text(text: &str) -> Option<api::Text> {
    Some(text.to_owned().into())
}

fn caller() -> Caller {
    Caller { account: ACCOUNT.into(), region: REGION.into(), principal: ACCOUNT.into(), signed: true }
}

fn of_sqs(request: queues::Request) -> Command {
    let caller = caller();
    let asker = Asker { caller: &caller, base: "http://localhost:4566", trace: None };
    Command::Sqs(sqs::operations::prepare(request, &asker).unwrap().0)
}

fn of_pipes(request: Request) -> Command {
    let caller = caller();
    let asker = Asker { caller: &caller, base: "http://localhost:4566", trace: None };
    Command::Pipes(pipes::operations::prepare(request, &asker).unwrap().0)
}

fn send(queue: &str, body: &str, group: Option<&str>) -> Command {
    of_sqs(queues::Request::SendMessage(queues::SendMessageInput {
        queue_url: url(queue),
        message_body: text(body),
        message_group_id: group.and_then(text),
        ..Default::default()
    }))
}

fn pipe(name: &str, source: &str, target: &str) -> shapes::CreatePipeInput {
    shapes::CreatePipeInput {
        name: text(name),
        source: text(&arn(source)),
        target: text(&arn(target)),
        role_arn: text("arn:aws:iam::000000000000:role/r"),
        ..Default::default()
    }
}

fn filtered(pipe: shapes::CreatePipeInput, pattern: &str) -> shapes::CreatePipeInput {
    let filters = Some(vec![shapes::Filter { pattern: text(pattern) }]);
    let filter_criteria = Some(shapes::FilterCriteria { filters });
    let source_parameters = Some(shapes::PipeSourceParameters { filter_criteria, ..Default::default() });
    shapes::CreatePipeInput { source_parameters, ..pipe }
}

impl Story {
    fn new(seed: u64) -> Story {
        let server = TestServer::new(seed, 256 << 10, Options::default());
        Story { server, dice: Dice::from_seed(seed) }
    }

    fn ask(&mut self, command: Command) -> Answer {
        self.server.ask(command)
    }

    fn create_queue(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let attribute = |&(name, value): &(&str, &str)| (name.to_owned().into(), value.to_owned().into());
        let attributes = api::Map(attributes.iter().map(attribute).collect());
        let input = queues::CreateQueueInput {
            queue_name: text(name),
            attributes: Some(attributes).filter(|attributes| !attributes.0.is_empty()),
            ..Default::default()
        };
        self.ask(of_sqs(queues::Request::CreateQueue(input))).unwrap();
    }

    fn create_pipe(&mut self, input: shapes::CreatePipeInput) {
        self.ask(of_pipes(Request::CreatePipe(input))).unwrap();
    }

    /// Lets time pass. What is to be read is read every five seconds.
    fn pass(&mut self, millis: u64) {
        let until = self.server.now + millis;
        while self.server.now < until {
            self.server.now = until.min(self.server.now + 5 * SECOND);
            self.server.pass_time();
            self.server.settle();
        }
    }

    /// Sends a message, and cuts the power somewhere on its way. Returns whether it was accepted for certain.
    fn send_and_crash(&mut self, command: Command) -> bool {
        let mut is_accepted = false;
        self.server.handle(Input::Request { ticket: 1, command });
        for _ in 0..self.dice.below(12) {
            is_accepted |= !self.server.flush().is_empty();
            self.server.write();
            if self.dice.percent(60) {
                self.server.sync();
            }
            if self.dice.percent(60) {
                self.server.server.run_errand(self.server.now).expect("no disk fails");
            }
        }
        self.server.crash();
        is_accepted
    }

    /// How many messages a queue has that can be received, and that are hidden.
    fn counts(&self, name: &str) -> (u64, u64) {
        let mut queues = self.server.server.machine.sqs().queues();
        queues.find(|queue| queue.key.name == name).map_or((0, 0), |queue| (queue.visible, queue.in_flight))
    }

    fn state(&self, name: &str) -> Option<&'static str> {
        let mut pipes = self.server.server.machine.pipes().pipes();
        pipes.find(|pipe| pipe.key.name == name).map(|pipe| pipe.state.name())
    }

    /// Of how many messages the operator was told that a target did not take them.
    fn undelivered(&self) -> usize {
        self.server.server.undelivered.len()
    }
}

#[test]
fn each_accepted_message_is_handed_on_once_whatever_a_crash_takes_back() {
    let mut under_way = 0;
    for seed in 0..9 {
        let mut story = Story::new(seed);
        // A chain of two pipes, the second one with a choice of two queues.
        let fifo = seed % 3 == 0;
        let (first, attributes) = match fifo {
            true => ("a.fifo", &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")][..]),
            false => ("a", &[("VisibilityTimeout", "5")][..]),
        };
        story.create_queue(first, attributes);
        for queue in ["b", "odd", "even"] {
            story.create_queue(queue, &[("VisibilityTimeout", "5")]);
        }
        let template = Some(Box::new(shapes::PipeTargetParameters {
            input_template: text("<$.body>"),
            ..Default::default()
        }));
        story.create_pipe(shapes::CreatePipeInput {
            target_parameters: template.clone(),
            ..pipe("ab", first, "b")
        });
        let even = filtered(pipe("even", "b", "even"), r#"{"body":{"parity":["even"]}}"#);
        // Nobody else draws from b: what does not match is deleted, and told apart by the counts.
        story.create_pipe(even);
        let mut expected = 0;
        for n in 0..30 {
            let parity = if story.dice.percent(60) { "even" } else { "odd" };
            let filling = "x".repeat(story.dice.below(3000) as usize);
            let body = format!("{{\"n\":{n},\"parity\":\"{parity}\",\"filling\":\"{filling}\"}}");
            let group = fifo.then(|| format!("g{}", n % 4));
            let command = send(first, &body, group.as_deref());
            let adds = u64::from(parity == "even");
            if story.dice.percent(60) {
                story.ask(command).unwrap();
                expected += adds;
            } else {
                let is_accepted = story.send_and_crash(command);
                under_way += u64::from(story.counts(first).1 + story.counts("b").1 > 0);
                story.pass(40 * SECOND);
                let (now, _) = story.counts("even");
                let least = expected + if is_accepted { adds } else { 0 };
                assert!((least..=expected + adds).contains(&now), "seed {seed}: {now}, at least {least}");
                expected = now;
            }
            if story.dice.percent(30) {
                let now = story.server.now;
                story.server.server.tidy(now).unwrap();
            }
        }
        story.pass(100 * SECOND);
        assert_eq!((story.counts(first), story.counts("b")), ((0, 0), (0, 0)), "seed {seed}");
        assert_eq!(story.counts("even"), (expected, 0), "seed {seed}");
        story.server.crash();
        assert_eq!(story.counts("even"), (expected, 0), "seed {seed}");
        assert_eq!((story.state("ab"), story.state("even")), (Some("RUNNING"), Some("RUNNING")));
        assert_eq!(story.undelivered(), 0);
    }
    assert!(under_way > 5, "a crash leaves messages hidden: {under_way}");
}

#[test]
fn a_batch_waits_for_its_window_and_no_longer() {
    let mut story = Story::new(1);
    story.create_queue("s", &[]);
    story.create_queue("t", &[]);
    let queue = shapes::PipeSourceSqsQueueParameters {
        batch_size: Some(3),
        maximum_batching_window_in_seconds: Some(60),
    };
    let source_parameters =
        Some(shapes::PipeSourceParameters { sqs_queue_parameters: Some(queue), ..Default::default() });
    // The visibility timeout is longer than the window.
    let attributes = queues::SetQueueAttributesInput {
        queue_url: url("s"),
        attributes: Some(api::Map(vec![("VisibilityTimeout".into(), "600".into())])),
    };
    story.ask(of_sqs(queues::Request::SetQueueAttributes(attributes))).unwrap();
    story.create_pipe(shapes::CreatePipeInput { source_parameters, ..pipe("p", "s", "t") });
    story.ask(send("s", "1", None)).unwrap();
    story.ask(send("s", "2", None)).unwrap();
    story.pass(59 * SECOND);
    assert_eq!((story.counts("s"), story.counts("t")), ((0, 2), (0, 0)));
    story.pass(SECOND);
    assert_eq!((story.counts("s"), story.counts("t")), ((0, 0), (2, 0)));
    for body in ["3", "4", "5", "6"] {
        story.ask(send("s", body, None)).unwrap();
    }
    assert_eq!((story.counts("s"), story.counts("t")), ((0, 1), (5, 0)), "three are enough");
    // What waits is handed on when the pipe stops, and then it stops.
    let stop = shapes::StopPipeInput { name: text("p") };
    story.ask(of_pipes(Request::StopPipe(stop))).unwrap();
    assert_eq!((story.counts("s"), story.counts("t")), ((0, 0), (6, 0)));
    assert_eq!(story.state("p"), Some("STOPPED"));
    story.ask(send("s", "7", None)).unwrap();
    story.pass(100 * SECOND);
    assert_eq!(story.counts("s"), (1, 0));
    let idle = story.server.server.machine.wake_at();
    assert!(idle.is_none_or(|at| at > story.server.now), "nothing is to be done");
}

#[test]
fn a_target_that_does_not_exist_leaves_messages_to_the_redrive_policy() {
    let mut story = Story::new(2);
    story.create_queue("dead", &[]);
    let redrive = format!("{{\"deadLetterTargetArn\":\"{}\",\"maxReceiveCount\":3}}", arn("dead"));
    story.create_queue("s", &[("VisibilityTimeout", "10"), ("RedrivePolicy", &redrive)]);
    story.create_pipe(pipe("p", "s", "none"));
    for n in 0..25 {
        story.ask(send("s", &n.to_string(), None)).unwrap();
    }
    story.pass(5 * SECOND);
    assert_eq!(story.counts("dead").0, 0);
    story.pass(600 * SECOND);
    assert_eq!((story.counts("s"), story.counts("dead")), ((0, 0), (25, 0)));
    assert_eq!(story.undelivered(), 75, "three attempts of each");
    story.create_queue("none", &[]);
    story.ask(send("s", "x", None)).unwrap();
    story.pass(60 * SECOND);
    assert_eq!(story.counts("none"), (1, 0));
}

#[test]
fn a_failure_stops_only_its_own_group_of_a_fifo_queue() {
    let mut story = Story::new(3);
    story.create_queue("s.fifo", &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")]);
    story.create_queue("t", &[]);
    let template = Some(Box::new(shapes::PipeTargetParameters {
        // What is no number is no JSON.
        input_template: text("{\"n\":<$.body.n>}"),
        ..Default::default()
    }));
    story.create_pipe(shapes::CreatePipeInput {
        target_parameters: template,
        desired_state: text("STOPPED"),
        ..pipe("p", "s.fifo", "t")
    });
    // An empty path is an empty text, which is JSON; a message without any is longer than a queue allows.
    let attributes = queues::SetQueueAttributesInput {
        queue_url: url("t"),
        attributes: Some(api::Map(vec![("MaximumMessageSize".into(), "1024".into())])),
    };
    story.ask(of_sqs(queues::Request::SetQueueAttributes(attributes))).unwrap();
    let long = "9".repeat(2000);
    for (group, n) in [("a", "1"), ("a", &*long), ("a", "2"), ("b", "3"), ("a", "4"), ("b", "5")] {
        story.ask(send("s.fifo", &format!("{{\"n\":{n}}}"), Some(group))).unwrap();
    }
    let start = shapes::StartPipeInput { name: text("p") };
    story.ask(of_pipes(Request::StartPipe(start))).unwrap();
    story.pass(300 * SECOND);
    assert_eq!(story.counts("t"), (3, 0), "1, 3 and 5");
    let (waiting, hidden) = story.counts("s.fifo");
    assert_eq!(waiting + hidden, 3, "the long one and what comes behind it");
}

#[test]
fn a_pipe_from_a_queue_to_itself_leaves_time_to_others() {
    let mut story = Story::new(4);
    story.create_queue("s", &[("DelaySeconds", "1")]);
    story.create_queue("t", &[]);
    let template = Some(Box::new(shapes::PipeTargetParameters {
        input_template: text("<$.body>"),
        ..Default::default()
    }));
    story.create_pipe(shapes::CreatePipeInput { target_parameters: template, ..pipe("p", "s", "s") });
    for n in 0..10 {
        story.ask(send("s", &n.to_string(), None)).unwrap();
    }
    for _ in 0..20 {
        story.pass(SECOND);
        story.ask(send("t", "x", None)).unwrap();
    }
    assert_eq!(story.counts("t").0, 20);
    let delete = shapes::DeletePipeInput { name: text("p") };
    story.ask(of_pipes(Request::DeletePipe(delete))).unwrap();
    story.pass(60 * SECOND);
    assert_eq!((story.counts("s"), story.state("p")), ((10, 0), None));
}

#[test]
fn a_backlog_goes_through_in_turns_while_others_are_served() {
    let mut story = Story::new(5);
    story.create_queue("s", &[]);
    story.create_queue("t", &[]);
    for n in 0..2_000 {
        story.server.handle(Input::Request { ticket: 1, command: send("s", &n.to_string(), None) });
    }
    story.server.settle();
    let mut input = pipe("p", "s", "t");
    input.desired_state = text("RUNNING");
    story.server.handle(Input::Request { ticket: 1, command: of_pipes(Request::CreatePipe(input)) });
    story.server.flush();
    assert!(story.counts("t").0 < 2_000, "not all in one turn");
    story.server.settle();
    story.pass(SECOND);
    assert_eq!((story.counts("s"), story.counts("t")), ((0, 0), (2_000, 0)));
}

fn of_sfn(request: api::stepfunctions::Request) -> Command {
    let caller = caller();
    let asker = Asker { caller: &caller, base: "http://localhost:4566", trace: None };
    Command::Stepfunctions(stepfunctions::operations::prepare(request, &asker).unwrap().0)
}

#[test]
fn an_enrichment_under_way_is_waited_for_and_begins_anew_after_a_crash() {
    let mut story = Story::new(6);
    story.create_queue("s", &[("VisibilityTimeout", "60")]);
    story.create_queue("t", &[]);
    let definition = r#"{"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":20,"End":true}}}"#;
    let machine = api::stepfunctions::CreateStateMachineInput {
        name: text("m"),
        definition: text(definition),
        role_arn: text("arn:aws:iam::000000000000:role/r"),
        r#type: text("EXPRESS"),
        ..Default::default()
    };
    story.ask(of_sfn(api::stepfunctions::Request::CreateStateMachine(machine))).unwrap();
    let enrichment = text("arn:aws:states:us-east-1:000000000000:stateMachine:m");
    story.create_pipe(shapes::CreatePipeInput { enrichment, ..pipe("p", "s", "t") });
    for n in 0..3 {
        story.ask(send("s", &n.to_string(), None)).unwrap();
    }
    story.pass(SECOND);
    let stop = shapes::StopPipeInput { name: text("p") };
    story.ask(of_pipes(Request::StopPipe(stop))).unwrap();
    story.pass(15 * SECOND);
    assert_eq!((story.state("p"), story.counts("s"), story.counts("t")), (Some("STOPPING"), (0, 3), (0, 0)));
    story.pass(10 * SECOND);
    assert_eq!((story.state("p"), story.counts("s"), story.counts("t")), (Some("STOPPED"), (0, 0), (3, 0)));
    let start = shapes::StartPipeInput { name: text("p") };
    story.ask(of_pipes(Request::StartPipe(start))).unwrap();
    story.ask(send("s", "3", None)).unwrap();
    story.pass(10 * SECOND);
    story.server.crash();
    story.pass(5 * SECOND);
    assert_eq!(story.counts("t"), (3, 0), "an execution from before the crash is nobody's");
    story.pass(200 * SECOND);
    assert_eq!((story.counts("s"), story.counts("t")), ((0, 0), (4, 0)));
    assert_eq!(story.undelivered(), 0);
    // What is never answered does not hold the messages for ever.
    let delete = shapes::DeletePipeInput { name: text("p") };
    story.ask(send("s", "4", None)).unwrap();
    story.ask(of_pipes(Request::DeletePipe(delete))).unwrap();
    assert_eq!(story.state("p"), Some("DELETING"));
    story.pass(30 * SECOND);
    assert_eq!((story.state("p"), story.counts("t")), (None, (5, 0)));
}
