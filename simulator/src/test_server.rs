//! A server that a test tells what happens, one thing after the other, and whose power it cuts.

use kernel::{Secret, Time};
use machine::{Answer, Command, Input, Options};

use crate::dice::Dice;
use crate::disks::Disks;
use crate::server::Server;

/// The secret of the server.
pub const SECRET: Secret = Secret([7; 32]);

/// The time at which it starts first.
pub const BEGIN: Time = Time(1_700_000_000_000);

/// A server, its disks and its clock.
pub struct TestServer {
    /// The options with which it starts.
    pub options: Options,
    /// The disks.
    pub disks: Disks,
    /// The format of its log.
    pub log: journal::Options,
    /// The server.
    pub server: Server,
    /// The time.
    pub now: Time,
}

impl TestServer {
    /// Starts a server on new disks. `seed` decides which unsynced writes a crash keeps.
    pub fn new(seed: u64, segment_bytes: u32, options: Options) -> TestServer {
        let disks = Disks::new(Dice::from_seed(seed).split().into());
        TestServer::on(disks, segment_bytes, options, BEGIN)
    }

    /// Starts a server on these disks.
    pub fn on(disks: Disks, segment_bytes: u32, options: Options, now: Time) -> TestServer {
        let log = journal::Options { segment_bytes, log_id: 1, durable: true, recycled: 0 };
        let server = start(&disks, &log, options, now, 1);
        let mut started = TestServer { options, disks, log, server, now };
        started.settle();
        started
    }

    /// Cuts the power, and starts the server again.
    pub fn crash(&mut self) {
        self.crash_without_settling();
        self.settle();
    }

    /// The same; what there is to do after the start is not done yet.
    pub fn crash_without_settling(&mut self) {
        self.disks.lose_power();
        self.server = start(&self.disks, &self.log, self.options, self.now, 2);
    }

    /// Writes and syncs until nothing is left to do. Returns the answers.
    pub fn settle(&mut self) -> Vec<Answer> {
        self.server.settle(self.now).expect("no disk fails")
    }

    /// Hands an input to the machine.
    pub fn handle(&mut self, input: Input) {
        self.server.machine.handle(self.now, input);
    }

    /// Takes the machine's outputs. Returns the answers, with their tickets.
    pub fn flush(&mut self) -> Vec<(u64, Answer)> {
        self.server.flush(self.now)
    }

    /// Writes one batch. Returns whether there was one.
    pub fn write(&mut self) -> bool {
        self.server.write(self.now).expect("no disk fails")
    }

    /// Syncs what was written.
    pub fn sync(&mut self) {
        self.server.sync(self.now).expect("no disk fails");
    }

    /// Lets happen what is due by now.
    pub fn pass_time(&mut self) {
        self.server.pass_time(self.now);
    }

    /// Sends a request, and returns its answer.
    pub fn ask(&mut self, command: Command) -> Answer {
        self.handle(Input::Request { ticket: 1, command });
        let mut answers = self.settle();
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }
}

fn start(disks: &Disks, log: &journal::Options, options: Options, now: Time, seed: u64) -> Server {
    let started = Server::start_with(options, disks, log, SECRET, now, None, &mut Dice::from_seed(seed));
    started.expect("the disks are sound")
}
