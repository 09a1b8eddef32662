//! A world: its events, step by step, and the checks after each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kernel::Time;

use crate::Bug;
use crate::dice::Dice;
use crate::disks::Disks;
use crate::history::{Deletion, History};
use crate::queues::{self, QUEUES, WITHOUT_TOPICS};
use crate::server::Server;
use crate::topics::{SUBSCRIPTIONS, TOPICS, WITHOUT_ARCHIVES, WITHOUT_REPLAYS};

macro_rules! trace {
    ($world:expr, $($text:tt)*) => {
        if $world.options.trace {
            use std::fmt::Write;
            // Writing to a string cannot fail.
            let _ = writeln!($world.trace, "{:5} {}", $world.step, format_args!($($text)*));
        }
    };
}

mod answers;
mod buses;
mod clients;
mod delivering;
mod end;
mod faults;
pub(crate) mod publishing;
mod replaying;

/// The parameters of a world.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// Number of steps before the end.
    pub steps: u64,
    /// Stop at this step, without the checks of the end.
    pub until: Option<u64>,
    /// Whether to record the events as text.
    pub trace: bool,
    /// The planted fault.
    pub bug: Option<Bug>,
    /// Whether there are topics.
    pub topics: bool,
    /// Whether some topics have archives and replays.
    pub archives: bool,
    /// Whether half of the deletes are combined with a receive.
    pub turns: bool,
    /// Whether many messages of groups with long names collect from time to time, and days pass at once.
    pub crowds: bool,
}

impl Options {
    /// The usual length.
    pub fn new(seed: u64) -> Self {
        Options {
            seed,
            steps: 1500,
            until: None,
            trace: false,
            bug: None,
            topics: false,
            archives: false,
            turns: false,
            crowds: false,
        }
    }
}

/// The summary of a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// The events, if they were recorded.
    pub trace: String,
    /// Number of sends that clients requested.
    pub sends: u64,
    /// Number of messages that clients received.
    pub deliveries: u64,
    /// Number of publishes that clients requested.
    pub publishes: u64,
    /// Number of delivery attempts to endpoints outside.
    pub attempts: u64,
    /// Number of messages and events that replays sent.
    pub replayed: u64,
    /// Number of events that the archive of the bus has kept.
    pub events: u64,
    /// Number of power failures.
    pub crashes: u64,
    /// Number of starts after an orderly stop or a failed disk.
    pub restarts: u64,
    /// Number of dropped segments.
    pub discards: u64,
    /// Number of records that starts cut off.
    pub cuts: u64,
    /// Number of times that the disk was full and the server knew.
    pub full: u64,
}

/// A violation of a rule.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The seed of the world.
    pub seed: u64,
    /// The step.
    pub step: u64,
    /// Description of the violation.
    pub what: String,
    /// The events until then, if they were recorded.
    pub trace: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} step {}: {}", self.seed, self.step, self.what)
    }
}

/// Runs a world from its beginning to its end.
pub fn run(options: &Options) -> Result<Outcome, Violation> {
    let mut world = World::new(options);
    let result = world.run();
    match result {
        Ok(()) => {
            world.outcome.deliveries = world.history.deliveries;
            world.outcome.trace = world.trace;
            Ok(world.outcome)
        }
        Err(what) => Err(Violation { seed: options.seed, step: world.step, what, trace: world.trace }),
    }
}

/// A request without an answer yet.
#[derive(Debug)]
enum Asked {
    Send(Vec<usize>),
    Receive { queue: usize, attempt: bool, visibility: u64 },
    Delete(Vec<Deletion>),
    Turn { deletions: Vec<Deletion>, queue: usize, visibility: u64 },
    Change { number: usize, given: usize, change: u32, until: Time },
    Configure { queue: usize },
    Empty { queue: usize, affected: Vec<usize>, why: &'static str },
    Move,
    Cancel,
    Topic(publishing::AskedTopic),
    Bus(buses::AskedBus),
}

struct World {
    options: Options,
    dice: Dice,
    disks: Disks,
    log: journal::Options,
    server: Option<Server>,
    /// The time of the clock.
    clock: Time,
    /// The machine's time: it never goes back during a run of the server.
    now: Time,
    history: History,
    asked: BTreeMap<u64, (Asked, bool)>,
    next_ticket: u64,
    /// Unanswered batches: a number below those of all messages of the batch, and the messages.
    batches: Vec<(u64, Vec<usize>)>,
    /// The machine's next number when a batch send was requested, by ticket.
    batch_numbers: BTreeMap<u64, u64>,
    /// Recently received messages.
    lately: Vec<usize>,
    /// The handle of the last move task.
    task: Option<String>,
    /// Whether move tasks may be running.
    moving: bool,
    /// Number of existing [`QUEUES`].
    queues: usize,
    /// Number of existing [`TOPICS`].
    topics: usize,
    /// Number of existing [`SUBSCRIPTIONS`].
    subscriptions: usize,
    /// What is known of the archive of the event bus.
    kept: buses::Kept,
    /// Takers that a message gets in one turn.
    takers_at_once: usize,
    /// The windows of replay policies, by their text.
    windows: replaying::Windows,
    /// Delivery attempts without an answer yet.
    trying: Vec<delivering::Trying>,
    /// Attempts whose success may still be reported, although the server that made them has died.
    late: Vec<delivering::Trying>,
    /// Deliveries for which this run of the server got such a report.
    told_late: BTreeSet<u64>,
    full: bool,
    step: u64,
    /// Whether faults have ended.
    calm: bool,
    trace: String,
    outcome: Outcome,
}

type Check = Result<(), String>;

impl World {
    fn new(options: &Options) -> Self {
        let mut dice = Dice::from_seed(options.seed);
        let disks = Disks::new(dice.split().into());
        let log = journal::Options {
            segment_bytes: *dice.pick(&[4 << 10, 8 << 10, 16 << 10]),
            log_id: dice.roll(),
            durable: true,
            recycled: dice.below(6) as usize,
        };
        // In one of four worlds messages are handed on in steps. These take time, in which other things happen less.
        let in_steps = dice.percent(25);
        let takers_at_once = if in_steps { *dice.pick(&[1, 2]) } else { sns::limits::TAKERS_AT_ONCE };
        World {
            options: options.clone(),
            dice,
            disks,
            log,
            server: None,
            clock: Time(1_700_000_000_000),
            now: Time(0),
            history: History::new(takers_at_once < sns::limits::TAKERS_AT_ONCE),
            asked: BTreeMap::new(),
            next_ticket: 1,
            batches: Vec::new(),
            batch_numbers: BTreeMap::new(),
            lately: Vec::new(),
            task: None,
            moving: false,
            queues: match (options.topics, options.archives) {
                (_, true) => QUEUES.len(),
                (true, false) => queues::WITHOUT_ARCHIVES,
                (false, false) => WITHOUT_TOPICS,
            },
            topics: if options.archives { TOPICS.len() } else { WITHOUT_ARCHIVES },
            subscriptions: if options.archives { SUBSCRIPTIONS.len() } else { WITHOUT_REPLAYS },
            kept: buses::Kept::default(),
            windows: replaying::windows(),
            takers_at_once,
            trying: Vec::new(),
            late: Vec::new(),
            told_late: BTreeSet::new(),
            full: false,
            step: 0,
            calm: false,
            trace: String::new(),
            outcome: Outcome::default(),
        }
    }

    fn run(&mut self) -> Check {
        self.start()?;
        for queue in 0..self.queues {
            self.create(queue)?;
        }
        if self.options.topics {
            (0..self.topics).try_for_each(|topic| self.create_topic(topic))?;
            (0..self.subscriptions).try_for_each(|which| self.subscribe(which))?;
        }
        if self.options.archives {
            self.create_archive()?;
        }
        while self.step < self.options.steps {
            if self.options.until == Some(self.step) {
                return Ok(());
            }
            self.step += 1;
            self.one_step()?;
        }
        self.finish()
    }

    fn one_step(&mut self) -> Check {
        match self.dice.below(1000) {
            570..600 if self.options.archives => self.keep_some()?,
            0..600 => self.client()?,
            600..700 => {
                let millis = self.dice.below(300);
                self.pass(millis)?;
            }
            700..780 => self.flush()?,
            780..850 => self.on_disk(|server, now| server.write(now).map(drop))?,
            850..900 => self.on_disk(Server::sync)?,
            900..930 => self.on_disk(Server::tidy)?,
            930..970 => {
                self.errand()?;
            }
            965..975 if self.options.crowds => self.crowd()?,
            970..975 => {
                let millis = *self.dice.pick(&[1_000, 10_000, 30_000, 60_000, 400_000]);
                // Sometimes so long that unconfirmed subscriptions expire.
                let long = self.options.topics && self.dice.percent(4);
                self.pass(if long { 49 * 3_600_000 } else { millis })?;
            }
            975..978 => {
                let millis = self.dice.below(3_600_000);
                self.clock = Time(self.clock.0 - millis);
                trace!(self, "the clock goes back {millis} ms");
            }
            978..982 => {
                let operations = self.dice.below(20);
                trace!(self, "operation {operations} from now will fail");
                // In half of the worlds with a store, it is the store's disk.
                let store = self.options.archives && self.dice.percent(40);
                let disk = if store { &self.disks.retained } else { &self.disks.log };
                disk.fail_in(Some(operations));
            }
            982..986 => self.toggle_full(),
            986..990 => self.restart()?,
            990..994 => self.crash(true)?,
            _ => self.settle()?,
        }
        Ok(())
    }

    fn server(&mut self) -> Result<&mut Server, String> {
        self.server.as_mut().ok_or_else(|| "the server is not running".to_owned())
    }
}
