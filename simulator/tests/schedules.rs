//! Schedules of the whole server over a disk that loses what was not synced: each run reaches its queue exactly once.

use std::collections::BTreeMap;

use api::scheduler::{CreateScheduleInput, FlexibleTimeWindow, Request, Target};
use kernel::{Asker, Caller, Secret, Time};
use machine::{Command, Input, Options};
use simulator::dice::Dice;
use simulator::disks::Disks;
use simulator::server::Server;
use sqs::QueueKey;
use sqs::operations::create_queue;

const SECRET: Secret = Secret([7; 32]);
const BEGIN: Time = Time(1_700_000_000_000);
const MINUTE: u64 = 60_000;
const SCHEDULES: u64 = 6;

struct Story {
    disk: Disks,
    log: journal::Options,
    server: Server,
    dice: Dice,
    now: Time,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::from_seed(seed);
        let disk = Disks::new(dice.split().into());
        let log = journal::Options { segment_bytes: 64 << 10, log_id: 1, durable: true, recycled: 0 };
        let (options, mut of_server) = (Options::default(), dice.split());
        let server = Server::start_with(options, &disk, &log, SECRET, BEGIN, None, &mut of_server).unwrap();
        let mut story = Story { disk, log, server, dice, now: BEGIN };
        story.server.settle(BEGIN).unwrap();
        story
    }

    fn ask(&mut self, command: Command) {
        self.server.machine.handle(self.now, Input::Request { ticket: 1, command });
        let answers = self.server.settle(self.now).unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }

    /// A queue, and a schedule that sends to it every `minutes`.
    fn create(&mut self, number: u64, minutes: u64) {
        let name = format!("q{number}");
        let (account, region) = ("000000000000".to_owned(), "us-east-1".to_owned());
        let key = QueueKey { account: account.clone(), region: region.clone(), name: name.clone() };
        let arn = key.arn().to_string();
        let create = create_queue::CreateQueue::new(key, [], []).unwrap();
        self.ask(Command::Sqs(sqs::operations::Command::CreateQueue(create)));
        let target = Target {
            arn: Some(arn.into()),
            role_arn: Some("arn:aws:iam::000000000000:role/r".into()),
            // So long that segments end between the two records of a run.
            input: Some("x".repeat(1300 * number as usize + 1).into()),
            ..Target::default()
        };
        let input = CreateScheduleInput {
            name: Some(name.into()),
            schedule_expression: Some(format!("rate({minutes} minutes)").into()),
            target: Some(Box::new(target)),
            flexible_time_window: Some(FlexibleTimeWindow {
                mode: Some("OFF".into()),
                maximum_window_in_minutes: None,
            }),
            ..CreateScheduleInput::default()
        };
        let caller = Caller { account, region, principal: "000000000000".into(), signed: true };
        let asker = Asker { caller: &caller, base: "http://localhost:4566", trace: None };
        let (command, _) = scheduler::operations::prepare(Request::CreateSchedule(input), &asker).unwrap();
        self.ask(Command::Scheduler(command));
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

    fn messages(&self) -> BTreeMap<String, u64> {
        self.server.machine.sqs().queues().map(|queue| (queue.key.name.clone(), queue.visible)).collect()
    }
}

#[test]
fn each_run_reaches_its_queue_exactly_once_whatever_a_crash_takes_back() {
    for seed in 0..20 {
        let mut story = Story::new(seed);
        for number in 0..SCHEDULES {
            story.create(number, 2 + number);
        }
        for _ in 0..60 {
            // Less than a period passes between two syncs, so at most one run of a schedule is lost and made again.
            let millis = (1 + story.dice.below(2)) * MINUTE - story.dice.below(MINUTE);
            story.now = story.now + millis;
            story.server.pass_time(story.now);
            if story.dice.percent(40) {
                story.crash();
            } else {
                story.server.settle(story.now).unwrap();
            }
        }
        let expected: BTreeMap<String, u64> = (0..SCHEDULES)
            .map(|number| (format!("q{number}"), (story.now - BEGIN) / ((2 + number) * MINUTE) + 1))
            .collect();
        assert_eq!(story.messages(), expected, "seed {seed}");
        let check = story.messages();
        story.crash();
        assert_eq!(story.messages(), check, "seed {seed}, after another crash");
    }
}
