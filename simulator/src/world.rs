//! A world: what happens in it, step by step, and what must hold after each.

use std::collections::BTreeMap;
use std::fmt;

use bytestring::ByteString;
use journal::engines::FaultyDisk;
use kernel::Time;
use machine::{Answer, Command, Input, Reply};
use sqs::QueueId;
use sqs::operations::{self, Receive, Reply as SqsReply};
use sqs::rules::new_message::{AttributeDraft, MessageDraft};

use crate::Bug;
use crate::dice::Dice;
use crate::history::{Deletion, History};
use crate::queues::{self, FAMILIES, QUEUES, WITHOUT_TOPICS};
use crate::server::{ErrandError, Server, StartError};
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

mod publishing;
mod replaying;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What everything is a function of.
    pub seed: u64,
    /// How many steps there are before the end.
    pub steps: u64,
    /// Stop at this step, without the checks of the end.
    pub until: Option<u64>,
    /// Whether to keep what happened as text.
    pub trace: bool,
    /// A fault to be found.
    pub bug: Option<Bug>,
    /// Whether there are topics, too.
    pub topics: bool,
    /// Whether some of them keep what is published, to be replayed.
    pub archives: bool,
}

impl Options {
    /// The usual length.
    pub fn new(seed: u64) -> Self {
        Options { seed, steps: 1500, until: None, trace: false, bug: None, topics: false, archives: false }
    }
}

/// What a run was like.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// What happened, if it was to be kept.
    pub trace: String,
    /// Messages that clients asked to send.
    pub sends: u64,
    /// Messages that clients were given.
    pub deliveries: u64,
    /// Messages that clients asked to publish.
    pub publishes: u64,
    /// Attempts to deliver something to an endpoint outside.
    pub attempts: u64,
    /// Messages that were handed on by replays.
    pub replayed: u64,
    /// Losses of power.
    pub crashes: u64,
    /// Starts of a server that was stopped in order, or whose disk failed.
    pub restarts: u64,
    /// Segments dropped.
    pub discards: u64,
    /// Records that a start cut off.
    pub cuts: u64,
    /// Times that the disk was full and the server knew.
    pub full: u64,
}

/// Something that must not be.
#[derive(Clone, Debug)]
pub struct Violation {
    /// In which world.
    pub seed: u64,
    /// At which step.
    pub step: u64,
    /// What.
    pub what: String,
    /// What happened until then, if it was to be kept.
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

/// A request that was not answered yet.
#[derive(Debug)]
enum Asked {
    Send(Vec<usize>),
    Receive { queue: usize, attempt: bool, visibility: u64 },
    Delete(Vec<Deletion>),
    Change { number: usize, given: usize, change: u32, until: Time },
    Configure { queue: usize },
    Empty { queue: usize, affected: Vec<usize>, why: &'static str },
    Move,
    Cancel,
    Topic(publishing::AskedTopic),
}

struct World {
    options: Options,
    dice: Dice,
    disk: FaultyDisk,
    log: journal::Options,
    server: Option<Server>,
    /// What the clock shows.
    clock: Time,
    /// The machine's time: it never goes back in one life.
    now: Time,
    history: History,
    asked: BTreeMap<u64, (Asked, bool)>,
    next_ticket: u64,
    /// Messages that were given lately.
    lately: Vec<usize>,
    /// The handle of the last move task.
    task: Option<String>,
    /// Whether move tasks may be running.
    moving: bool,
    /// How many of [`QUEUES`] there are.
    queues: usize,
    /// How many of [`TOPICS`] there are.
    topics: usize,
    /// How many of [`SUBSCRIPTIONS`] there are.
    subscriptions: usize,
    /// What replay policies say, by their text.
    windows: replaying::Windows,
    /// Attempts to deliver something that were not answered yet.
    trying: Vec<publishing::Trying>,
    /// Attempts whose success may still be told, though the server that made them has died.
    late: Vec<publishing::Trying>,
    full: bool,
    step: u64,
    /// No faults any more.
    calm: bool,
    trace: String,
    outcome: Outcome,
}

type Check = Result<(), String>;

impl World {
    fn new(options: &Options) -> Self {
        let mut dice = Dice::from_seed(options.seed);
        let disk = FaultyDisk::new(dice.split().into());
        let log = journal::Options {
            segment_bytes: *dice.pick(&[4 << 10, 8 << 10, 16 << 10]),
            log_id: dice.roll(),
            durable: true,
            recycled: dice.below(3) as usize,
        };
        World {
            options: options.clone(),
            dice,
            disk,
            log,
            server: None,
            clock: Time(1_700_000_000_000),
            now: Time(0),
            history: History::default(),
            asked: BTreeMap::new(),
            next_ticket: 1,
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
            windows: replaying::windows(),
            trying: Vec::new(),
            late: Vec::new(),
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
            970..975 => {
                let millis = *self.dice.pick(&[1_000, 10_000, 30_000, 60_000, 400_000]);
                // Now and then so long that subscriptions end which nobody has confirmed.
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
                self.disk.fail_in(Some(operations));
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

    // --- time and disk ---

    fn pass(&mut self, millis: u64) -> Check {
        self.clock = self.clock + millis;
        self.tell_time();
        let now = self.now;
        self.server()?.pass_time(now);
        trace!(self, "it is {}", self.now.0);
        Ok(())
    }

    fn tell_time(&mut self) {
        self.now = self.now.max(self.clock);
        self.history.latest = self.history.latest.max(self.now);
    }

    fn on_disk(&mut self, act: impl FnOnce(&mut Server, Time) -> std::io::Result<()>) -> Check {
        let now = self.now;
        if let Err(error) = act(self.server()?, now) {
            return self.failed(&error.to_string());
        }
        self.flush()
    }

    /// The disk has failed: the server stops and is started again, or the machine goes down with it.
    fn failed(&mut self, why: &str) -> Check {
        trace!(self, "the disk fails: {why}");
        let power = self.dice.percent(50);
        self.crash(power)
    }

    fn errand(&mut self) -> Result<bool, String> {
        let now = self.now;
        if self.options.bug == Some(Bug::EarlyDiscard) && self.dice.percent(5) {
            let server = self.server()?;
            let oldest = server.machine.ledger().oldest().unwrap_or(0);
            if oldest > 0 && oldest + 1 < server.writer.durable().segment() {
                // As if the machine had asked for it.
                let dropped = server.writer.discard(oldest);
                if dropped.is_ok() {
                    server.machine.handle(now, Input::Discarded { segment: oldest });
                }
            }
        }
        match self.server()?.run_errand(now) {
            Ok(None) => Ok(false),
            Ok(Some(done)) => {
                trace!(self, "{done}");
                self.outcome.discards += u64::from(done.starts_with("discarded"));
                self.take_recalled()?;
                self.flush()?;
                Ok(true)
            }
            Err(ErrandError::Disk(error)) => {
                self.failed(&error.to_string())?;
                Ok(true)
            }
            Err(ErrandError::Unreadable(what)) => Err(what),
        }
    }

    fn toggle_full(&mut self) {
        self.full = !self.full;
        let room = self.full.then(|| self.dice.below(3 * u64::from(self.log.segment_bytes)));
        trace!(self, "room on the disk: {room:?}");
        self.disk.leave_room(room);
    }

    /// Brings everything to the disk and lets cleaning come to its end.
    fn settle(&mut self) -> Check {
        for _ in 0..2_000 {
            let life = self.outcome.crashes + self.outcome.restarts;
            let now = self.now;
            self.tell_time();
            self.server()?.pass_time(now);
            self.flush()?;
            loop {
                let wrote = self.server()?.write(now);
                match wrote {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => return self.failed(&error.to_string()),
                }
            }
            self.on_disk(Server::sync)?;
            self.on_disk(Server::tidy)?;
            let busy = self.errand()?;
            if life != self.outcome.crashes + self.outcome.restarts {
                // The disk failed in between: that was all for now.
                return Ok(());
            }
            if !busy && self.server()?.is_idle() {
                let end = self.server()?.machine.end();
                trace!(self, "settled at {end:?}");
                if self.options.archives {
                    self.check_replays()?;
                }
                return self.check_counts();
            }
        }
        let ledger: Vec<_> = self.server()?.machine.ledger().segments().collect();
        Err(format!("cleaning does not come to an end: {ledger:?}"))
    }

    // --- ends and beginnings ---

    /// The server dies. If the power goes with it, what was not synced may be lost.
    fn crash(&mut self, power: bool) -> Check {
        self.stop();
        if power {
            trace!(self, "the power goes");
            self.outcome.crashes += 1;
            self.disk.lose_power();
        } else {
            trace!(self, "the process ends");
            self.outcome.restarts += 1;
            self.disk.fail_in(None);
        }
        self.start()
    }

    /// What was asked and not answered is in doubt.
    fn stop(&mut self) {
        let Some(server) = self.server.take() else { return };
        self.history.crashed(server.writer.durable());
        self.attempts_in_doubt();
        for (_, (asked, _)) in std::mem::take(&mut self.asked) {
            if let Asked::Receive { queue, .. } = asked {
                self.history.receive_in_doubt(queue);
            }
        }
    }

    fn start(&mut self) -> Check {
        let secret = publishing::SECRET;
        if !self.calm && self.dice.percent(20) {
            let operations = self.dice.below(30);
            self.disk.fail_in(Some(operations));
        }
        let mut server = None;
        for _ in 0..10 {
            let mut dice = self.dice.split();
            match Server::start(&self.disk, &self.log, secret, self.clock, self.options.bug, &mut dice) {
                Ok(started) => {
                    server = Some(started);
                    break;
                }
                Err(StartError::Damaged(what)) => return Err(format!("the log is refused: {what}")),
                Err(StartError::Disk(what)) => {
                    trace!(self, "the start fails: {what}");
                    self.disk.fail_in(None);
                    self.disk.leave_room(None);
                    self.full = false;
                    if self.dice.percent(50) {
                        self.disk.lose_power();
                    }
                }
            }
        }
        let Some(server) = server else { return Err("the server does not start".into()) };
        self.disk.fail_in(None);
        self.outcome.cuts += u64::from(server.cut);
        trace!(self, "started at {:?}", server.machine.end());
        // The log's time is at least that of everything that was acknowledged. The clock may have been behind.
        self.now = self.clock.max(self.history.latest);
        self.clock = self.now;
        self.server = Some(server);
        self.tell_time();
        let now = self.now;
        for queue in 0..self.queues {
            let state = self.state(queue)?;
            self.history.found(queue, state)?;
        }
        self.check_topics()?;
        self.server()?.pass_time(now);
        self.check_counts()
    }

    /// The server is stopped in order and started again, and must then be what it was.
    fn restart(&mut self) -> Check {
        let lives = self.outcome.crashes + self.outcome.restarts;
        self.settle()?;
        if lives != self.outcome.crashes + self.outcome.restarts {
            return Ok(());
        }
        let before = self.portrait()?;
        self.server()?.machine.mark();
        self.flush()?;
        self.on_disk(|server, now| server.write(now).map(drop))?;
        self.on_disk(Server::sync)?;
        self.crash(false)?;
        // What has grown too old meanwhile goes a little at a time.
        while self.options.archives && self.server()?.machine.has_background_work() {
            self.flush()?;
        }
        let after = self.portrait()?;
        if before != after && !self.moving {
            return Err(format!("the log says {after}, and the state was {before}"));
        }
        Ok(())
    }

    /// What must be the same when it is built again from the log.
    fn portrait(&mut self) -> Result<String, String> {
        let server = self.server.as_ref().ok_or("the server is not running")?;
        let mut portrait = String::new();
        for plan in &QUEUES {
            let counts = server.machine.sqs().queue(&plan.key()).map(sqs::queue::Queue::counts);
            portrait += &format!("{} {counts:?}; ", plan.name);
        }
        for (segment, used) in server.machine.ledger().segments() {
            if used.references > 0 {
                portrait += &format!("{segment}: {} {}; ", used.references, used.live_bytes);
            }
        }
        portrait += &self.portrait_of_topics()?;
        Ok(portrait)
    }

    fn check_counts(&mut self) -> Check {
        let server = self.server.as_ref().ok_or("the server is not running")?;
        let mut counts = [0; FAMILIES];
        for plan in &QUEUES {
            if let Some(queue) = server.machine.sqs().queue(&plan.key()) {
                let (visible, in_flight, delayed) = queue.counts();
                counts[plan.family] += visible + in_flight + delayed;
            }
        }
        self.history.check_counts(&counts)
    }

    fn state(&self, queue: usize) -> Result<String, String> {
        let server = self.server.as_ref().ok_or("the server is not running")?;
        Ok(match server.machine.sqs().queue(&QUEUES[queue].key()) {
            None => "none".into(),
            Some(queue) => format!(
                "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                queue.id,
                queue.settings,
                queue.tags,
                queue.created,
                queue.modified,
                queue.purged_through,
                queue.purged
            ),
        })
    }

    fn id(&self, queue: usize) -> Option<QueueId> {
        Some(self.server.as_ref()?.machine.sqs().queue(&QUEUES[queue].key())?.id)
    }

    // --- clients ---

    fn ask(&mut self, command: operations::Command, asked: Asked) -> Result<u64, String> {
        self.ask_any(Command::Sqs(command), asked)
    }

    fn ask_any(&mut self, command: Command, asked: Asked) -> Result<u64, String> {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        trace!(self, "{ticket} {asked:?}");
        let configures = match &asked {
            Asked::Configure { queue } | Asked::Empty { queue, .. } => Some(*queue),
            _ => None,
        };
        let low = self.server()?.space_low;
        self.asked.insert(ticket, (asked, low));
        let now = self.now;
        self.server()?.machine.handle(now, Input::Request { ticket, command });
        if let Some(queue) = configures {
            let state = self.state(queue)?;
            self.history.declare(queue, ticket, state);
        }
        Ok(ticket)
    }

    fn client(&mut self) -> Check {
        self.clock = self.clock + self.dice.below(20);
        self.tell_time();
        let now = self.now;
        self.server()?.pass_time(now);
        if self.options.topics && self.dice.percent(45) {
            return self.topic_client();
        }
        let queue = self.dice.below(self.queues as u64) as usize;
        match self.dice.below(1000) {
            0..330 => self.send(queue, false),
            330..400 => self.send(queue, true),
            400..650 => self.receive(queue),
            650..880 => self.delete(),
            880..940 => self.change_visibility(),
            940..955 => self.leave(),
            955..970 => self.create(queue),
            970..980 => self.configure(queue),
            980..984 if !QUEUES[queue].movable || self.dice.percent(10) => {
                let command = operations::purge_queue::PurgeQueue { queue: QUEUES[queue].key() };
                self.empty(queue, operations::Command::PurgeQueue(command), "the purge of its queue")
            }
            984..987 if !QUEUES[queue].movable || self.dice.percent(10) => {
                let command = operations::delete_queue::DeleteQueue { queue: QUEUES[queue].key() };
                self.empty(queue, operations::Command::DeleteQueue(command), "the end of its queue")
            }
            987..995 => self.move_messages(),
            _ => self.cancel_move(),
        }
    }

    fn create(&mut self, queue: usize) -> Check {
        let plan = &QUEUES[queue];
        let attributes = plan.attributes();
        let attributes = attributes.iter().map(|(name, value)| (&**name, &**value));
        // The plan is right; whether its dead-letter queue exists is for the server to say.
        let create = operations::create_queue::CreateQueue::new(plan.key(), attributes, [])
            .map_err(|refusal| format!("{refusal:?}"))?;
        self.ask(operations::Command::CreateQueue(create), Asked::Configure { queue })?;
        Ok(())
    }

    fn configure(&mut self, queue: usize) -> Check {
        let key = QUEUES[queue].key();
        let value = self.dice.below(100).to_string();
        let command = if self.dice.percent(50) {
            operations::Command::SetQueueAttributes(
                operations::set_queue_attributes::SetQueueAttributes::new(
                    key,
                    [("VisibilityTimeout", &*value)],
                ),
            )
        } else {
            operations::Command::TagQueue(operations::tag_queue::TagQueue::new(key, [("tag", &*value)]))
        };
        self.ask(command, Asked::Configure { queue })?;
        Ok(())
    }

    fn empty(&mut self, queue: usize, command: operations::Command, why: &'static str) -> Check {
        let Some(id) = self.id(queue) else { return Ok(()) };
        let affected = self.history.empty(queue, id);
        self.ask(command, Asked::Empty { queue, affected, why })?;
        Ok(())
    }

    fn move_messages(&mut self) -> Check {
        let (source, home) = *self.dice.pick(&[(3, 4), (7, 8)]);
        let destination = self.dice.percent(50).then(|| QUEUES[home].key().arn());
        let command = operations::start_message_move_task::StartMessageMoveTask {
            source: Ok(QUEUES[source].key().arn()),
            destination: Ok(destination),
            rate: Ok(self.dice.percent(50).then(|| 1 + self.dice.below(20) as u32)),
        };
        self.moving = true;
        self.ask(operations::Command::StartMessageMoveTask(command), Asked::Move)?;
        Ok(())
    }

    fn cancel_move(&mut self) -> Check {
        let Some(handle) = self.task.clone() else { return Ok(()) };
        let command = operations::cancel_message_move_task::CancelMessageMoveTask { handle: handle.into() };
        self.ask(operations::Command::CancelMessageMoveTask(command), Asked::Cancel)?;
        Ok(())
    }

    fn send(&mut self, queue: usize, batch: bool) -> Check {
        let Some(id) = self.id(queue) else { return Ok(()) };
        let plan = &QUEUES[queue];
        let count = if batch { 1 + self.dice.below(10) } else { 1 };
        let mut numbers = Vec::new();
        let mut entries = Vec::new();
        let next_seq = self.server()?.machine.sqs().next_seq();
        for entry in 0..count {
            let number = self.history.messages.len();
            let fifo = plan.is_fifo();
            let in_groups = fifo || self.dice.percent(20);
            let group = in_groups.then(|| format!("g{}", self.dice.below(4)));
            // Now and then a message is sent again.
            let again: Vec<usize> = (number.saturating_sub(60)..number)
                .filter(|&other| self.history.messages[other].queue == queue)
                .filter(|&other| self.history.messages[other].publish.is_none())
                .collect();
            let repeated = fifo && !again.is_empty() && self.dice.percent(25);
            let original = if repeated { *self.dice.pick(&again) } else { number };
            let body = if repeated {
                self.history.messages[original].body.clone()
            } else {
                let length = *self.dice.pick(&[0, 0, 10, 100, 100, 700, 2500]);
                body_of(original, length)
            };
            let explicit = fifo && !plan.is_content_based();
            let (mut deduplication_id, mut known) = (None, None);
            if fifo {
                let text = body.split(' ').next().unwrap_or_default().to_owned();
                deduplication_id = explicit.then(|| text.clone());
                known = Some(match &group {
                    Some(group) if plan.deduplicates_by_group() => format!("{text} in {group}"),
                    _ => text,
                });
            }
            let own_delay = (!fifo && self.dice.percent(10)).then(|| self.dice.below(10));
            let draft = MessageDraft {
                body: body.clone().into(),
                delay_seconds: own_delay.map(|delay| delay as i64),
                attributes: vec![AttributeDraft {
                    name: "n".into(),
                    data_type: Some("Number".into()),
                    text: Some(number.to_string().into()),
                    ..AttributeDraft::default()
                }],
                group: group.clone().map(ByteString::from),
                deduplication_id: deduplication_id.map(ByteString::from),
                ..MessageDraft::default()
            };
            let message = draft.check("000000000000", fifo).map_err(|refusal| format!("{refusal:?}"))?;
            let delay = own_delay.unwrap_or(plan.delay);
            self.history.send(queue, id, group, known, body, delay, self.now, next_seq);
            self.outcome.sends += 1;
            numbers.push(number);
            entries.push((ByteString::from(entry.to_string()), Ok(message)));
        }
        let command = match entries.pop() {
            Some((_, message)) if !batch => {
                let queue = plan.key();
                operations::Command::SendMessage(operations::send_message::SendMessage { queue, message })
            }
            last => {
                entries.extend(last);
                let queue = plan.key();
                operations::Command::SendMessageBatch(operations::send_message_batch::SendMessageBatch {
                    queue,
                    entries: Ok(entries),
                })
            }
        };
        self.ask(command, Asked::Send(numbers))?;
        Ok(())
    }

    fn receive(&mut self, queue: usize) -> Check {
        if self.id(queue).is_none() {
            return Ok(());
        }
        let attempt = QUEUES[queue].is_fifo() && self.dice.percent(20);
        let visibility = *self.dice.pick(&[0, 1, 5, 30, 120]);
        let request = Receive {
            most: *self.dice.pick(&[1, 1, 3, 10, 10]),
            visibility_seconds: Some(visibility as u32),
            wait_seconds: Some(*self.dice.pick(&[0, 0, 0, 1, 20])),
            attempt: attempt.then(|| format!("a{}", self.dice.below(3)).into()),
        };
        self.ask_receive(queue, request, visibility)
    }

    fn ask_receive(&mut self, queue: usize, request: Receive, visibility: u64) -> Check {
        let attempt = request.attempt.is_some();
        let command =
            operations::receive_message::ReceiveMessage { queue: QUEUES[queue].key(), request: Ok(request) };
        self.ask(
            operations::Command::ReceiveMessage(command),
            Asked::Receive { queue, attempt, visibility },
        )?;
        Ok(())
    }

    /// A message that was given lately, and one of its receives: mostly the last.
    fn pick_given(&mut self) -> Option<(usize, usize)> {
        if self.lately.is_empty() {
            return None;
        }
        let number = *self.dice.pick(&self.lately);
        let given = self.history.messages[number].given.len();
        let last = given.checked_sub(1)?;
        Some((number, if self.dice.percent(85) { last } else { self.dice.below(given as u64) as usize }))
    }

    fn delete(&mut self) -> Check {
        let Some((number, which)) = self.pick_given() else { return Ok(()) };
        self.delete_these(&[(number, which)])
    }

    /// Deletes messages that were given, all from one queue.
    fn delete_these(&mut self, these: &[(usize, usize)]) -> Check {
        let given = |world: &World, (number, which): (usize, usize)| {
            world.history.messages[number].given[which].clone()
        };
        let Some(&first) = these.first() else { return Ok(()) };
        let key = QUEUES[given(self, first).queue].key();
        let command = if these.len() == 1 {
            operations::Command::DeleteMessage(operations::delete_message::DeleteMessage {
                queue: key,
                handle: given(self, first).handle.into(),
            })
        } else {
            let entries = these.iter().enumerate();
            let entries =
                entries.map(|(at, &this)| (at.to_string().into(), given(self, this).handle.into())).collect();
            operations::Command::DeleteMessageBatch(operations::delete_message_batch::DeleteMessageBatch {
                queue: key,
                entries: Ok(entries),
            })
        };
        let now = self.now;
        let deletions = these.iter().map(|&(number, which)| self.history.delete(number, which, now));
        let deletions = deletions.collect();
        self.ask(command, Asked::Delete(deletions))?;
        Ok(())
    }

    fn change_visibility(&mut self) -> Check {
        let Some((number, given)) = self.pick_given() else { return Ok(()) };
        let of = self.history.messages[number].given[given].clone();
        let seconds = *self.dice.pick(&[0, 0, 2, 30, 100]);
        let change = self.history.change_visibility(number, self.now);
        let command = operations::change_message_visibility::ChangeMessageVisibility {
            queue: QUEUES[of.queue].key(),
            handle: of.handle.into(),
            visibility_seconds: Ok(seconds),
        };
        let until = self.now.plus_seconds(seconds.into());
        let asked = Asked::Change { number, given, change, until };
        self.ask(operations::Command::ChangeMessageVisibility(command), asked)?;
        Ok(())
    }

    /// A client that waits goes away.
    fn leave(&mut self) -> Check {
        let receives = self.asked.iter().filter(|(_, (asked, _))| matches!(asked, Asked::Receive { .. }));
        let tickets: Vec<u64> = receives.map(|(&ticket, _)| ticket).collect();
        if tickets.is_empty() {
            return Ok(());
        }
        let ticket = *self.dice.pick(&tickets);
        trace!(self, "{ticket} leaves");
        let now = self.now;
        self.server()?.machine.handle(now, Input::Gone { ticket });
        Ok(())
    }

    // --- answers ---

    fn flush(&mut self) -> Check {
        let now = self.now;
        for (ticket, answer) in self.server()?.flush(now) {
            self.answered(ticket, answer)?;
        }
        let durable = self.server()?.writer.durable();
        self.history.durable(durable)?;
        self.take_attempts()
    }

    fn answered(&mut self, ticket: u64, answer: Answer) -> Check {
        let Some((asked, low)) = self.asked.remove(&ticket) else {
            return Err(format!("{ticket} was answered, and was not asked or answered before"));
        };
        trace!(self, "{ticket} is answered {answer:?}");
        let (asked, answer) = match (asked, answer) {
            (Asked::Topic(asked), answer) => {
                let answer = match answer {
                    Ok(Reply::Sns(reply)) => Ok(reply),
                    Ok(Reply::Sqs(_)) => {
                        return Err(format!("{ticket} was answered as if it were about queues"));
                    }
                    Err(refusal) => Err(refusal),
                };
                return self.topic_answered(ticket, asked, answer, low);
            }
            (asked, Ok(Reply::Sqs(reply))) => (asked, Ok(reply)),
            (_, Ok(Reply::Sns(_))) => {
                return Err(format!("{ticket} was answered as if it were about topics"));
            }
            (asked, Err(refusal)) => (asked, Err(refusal)),
        };
        if let Err(refusal) = &answer {
            let full = low && refusal.shape == "ServiceUnavailable";
            self.outcome.full += u64::from(full);
            let fitting = full
                || match &asked {
                    Asked::Send(_) | Asked::Receive { .. } | Asked::Empty { .. } | Asked::Topic(_) => false,
                    Asked::Delete(_) => {
                        matches!(
                            refusal.shape,
                            "ReceiptHandleIsInvalid" | "QueueDoesNotExist" | "InvalidParameterValueException"
                        )
                    }
                    Asked::Change { .. } | Asked::Move | Asked::Cancel | Asked::Configure { .. } => true,
                };
            if !fitting || (full && matches!(asked, Asked::Delete(_) | Asked::Receive { .. })) {
                return Err(format!("{asked:?} was refused: {refusal:?}"));
            }
        }
        match (asked, answer) {
            (Asked::Send(numbers), Err(_)) => numbers.iter().for_each(|&number| self.history.refused(number)),
            (Asked::Send(numbers), Ok(SqsReply::Sent(sent))) => self.history.sent(numbers[0], sent.seq)?,
            (Asked::Send(numbers), Ok(SqsReply::SentBatch(outcome))) => {
                if !outcome.failed.is_empty() {
                    return Err(format!("of a batch failed {:?}", outcome.failed));
                }
                for (&number, (_, sent)) in numbers.iter().zip(&outcome.successful) {
                    self.history.sent(number, sent.seq)?;
                }
            }
            (Asked::Receive { queue, attempt, visibility }, Ok(SqsReply::Received(received))) => {
                self.received(queue, attempt, visibility, &received)?;
            }
            (Asked::Delete(deletions), Ok(SqsReply::Done)) => self.history.deleted(deletions[0]),
            (Asked::Delete(deletions), Ok(SqsReply::DoneBatch(outcome))) => {
                for (id, result) in outcome
                    .successful
                    .iter()
                    .map(|(id, ())| (id, true))
                    .chain(outcome.failed.iter().map(|(id, _)| (id, false)))
                {
                    let at: usize = id.parse().map_err(|_| format!("there was no entry {id}"))?;
                    if result {
                        self.history.deleted(deletions[at]);
                    } else {
                        self.history.not_deleted(deletions[at]);
                    }
                }
            }
            (Asked::Delete(deletions), Err(_)) => {
                deletions.iter().for_each(|&deletion| self.history.not_deleted(deletion));
            }
            (Asked::Change { number, given, change, until }, Ok(SqsReply::Done)) => {
                self.history.visibility_changed(number, given, change, until);
            }
            (Asked::Configure { queue }, _) => self.history.declared(queue, ticket),
            (Asked::Empty { queue, affected, why }, Ok(_)) => {
                self.history.emptied(queue, &affected, why);
                self.history.declared(queue, ticket);
            }
            (Asked::Empty { affected, .. }, Err(_)) => self.history.not_emptied(&affected),
            (Asked::Move, Ok(SqsReply::MoveStarted { task, source })) => {
                let secret = publishing::SECRET;
                let present = operations::start_message_move_task::StartMessageMoveTask::present;
                self.task = present(task, &source, &secret).task_handle.map(|handle| handle.to_string());
            }
            (Asked::Receive { .. }, Ok(SqsReply::Done))
            | (Asked::Move | Asked::Cancel | Asked::Change { .. }, _) => {}
            (asked, answer) => return Err(format!("{asked:?} was answered {answer:?}")),
        }
        Ok(())
    }

    /// Reads what a client is given, as the threads do that talk to clients.
    fn received(
        &mut self,
        queue: usize,
        attempt: bool,
        visibility: u64,
        received: &operations::receive_message::Received,
    ) -> Check {
        let server = self.server.as_ref().ok_or("the server is not running")?;
        let extents: Vec<_> = received.messages.iter().map(|message| message.extent).collect();
        let mut messages = Vec::new();
        for (delivered, record) in received.messages.iter().zip(server.reader.read_many(&extents)) {
            let record =
                record.map_err(|error| format!("{delivered:?} was given and cannot be read: {error}"))?;
            let (number, payload) = self.read(delivered, &record)?;
            let Some(message) = self.history.messages.get(number) else {
                return Err(format!("{delivered:?} is no message that was sent"));
            };
            if payload.body != message.body {
                return Err(format!("message {number} has another body: {}", payload.body));
            }
            messages.push((number, delivered));
        }
        let end = server.machine.end();
        for &(number, delivered) in &messages {
            trace!(self, "    message {number} from {} as {:?}", QUEUES[queue].name, delivered.seq);
        }
        self.history.given(queue, received.queue, attempt, visibility, end, &messages)?;
        self.lately.extend(messages.iter().map(|&(number, _)| number));
        let old = self.lately.len().saturating_sub(30);
        self.lately.drain(..old);
        Ok(())
    }

    // --- the end ---

    /// The faults end. Every queue is emptied; what was acknowledged must come out, and then the disk must be empty, too.
    fn finish(&mut self) -> Check {
        self.calm = true;
        self.disk.fail_in(None);
        self.disk.leave_room(None);
        self.full = false;
        let power = self.dice.percent(50);
        self.crash(power)?;
        self.settle()?;
        trace!(self, "{} messages are to be received", self.history.certain());
        let mut quiet = 0;
        while quiet < 8 {
            self.step += 1;
            if self.step > self.options.steps + 10_000 {
                return Err("the queues do not run dry".into());
            }
            let before = self.history.deliveries;
            for queue in 0..self.queues {
                self.drain(queue)?;
            }
            self.endpoints_answer_well()?;
            if self.history.deliveries == before {
                quiet += 1;
                self.pass(30_000)?;
            } else {
                quiet = 0;
            }
        }
        self.history.check_drained()?;
        self.check_counts()?;
        if self.options.topics {
            self.check_deliveries()?;
            self.delete_all()?;
        }
        // When nothing happened for longer than anything is remembered, little may be left on the disk.
        self.pass(3_600_000)?;
        self.settle()?;
        self.pass(3_600_000)?;
        self.settle()?;
        let server = self.server()?;
        let live: u64 = server
            .machine
            .ledger()
            .segments()
            .map(|(_, used)| used.live_bytes + 100 * used.buries.values().map(|&n| u64::from(n)).sum::<u64>())
            .sum();
        let segment = u64::from(self.log.segment_bytes);
        // The cleaner leaves a log alone that is less than twice what lives (tombstones included) and four segments.
        // There are the open segment, some that are ready to be written, and indexes, which are large where messages
        // are small.
        let bound = 2 * live + (12 + self.log.recycled as u64) * segment;
        let used = self.disk.used();
        if used > bound {
            return Err(format!("{used} bytes are on the disk, and {live} are needed: more than {bound}"));
        }
        self.moving = false;
        self.restart()
    }

    fn drain(&mut self, queue: usize) -> Check {
        if self.id(queue).is_none() {
            return Ok(());
        }
        loop {
            self.lately.clear();
            let request =
                Receive { most: 10, visibility_seconds: Some(10), wait_seconds: Some(0), attempt: None };
            self.ask_receive(queue, request, 10)?;
            self.settle()?;
            let given = std::mem::take(&mut self.lately);
            if given.is_empty() {
                return Ok(());
            }
            let these: Vec<(usize, usize)> =
                given.iter().map(|&number| (number, self.history.messages[number].given.len() - 1)).collect();
            self.delete_these(&these)?;
            self.settle()?;
        }
    }
}

/// The body of a message: its number, and text that is a function of the number.
fn body_of(number: usize, length: usize) -> String {
    let mut dice = Dice::from_seed(number as u64);
    let mut body = format!("{number} ");
    body.extend((0..length).map(|_| char::from(b'a' + dice.below(26) as u8)));
    body
}
