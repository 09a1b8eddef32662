//! Passing time, failing disks, crashes and restarts, and the checks after them.

use std::collections::BTreeSet;

use bytes::Bytes;
use kernel::{Demand, Time};
use machine::Input;
use sqs::QueueId;
use sqs::rules::payload::Payload;

use super::{Asked, Check, World, publishing};
use crate::Bug;
use crate::queues::{FAMILIES, QUEUES};
use crate::server::{ErrandError, Server, StartError};

impl World {
    pub(super) fn pass(&mut self, millis: u64) -> Check {
        self.clock = self.clock + millis;
        self.tell_time();
        self.time_passes()?;
        trace!(self, "it is {}", self.now.0);
        Ok(())
    }

    /// The server gets the current time. After a crowd it may be behind with due work.
    pub(super) fn time_passes(&mut self) -> Check {
        let now = self.now;
        let hurries = self.options.crowds && !self.calm;
        let server = self.server()?;
        if hurries {
            server.hurry(now)
        } else {
            server.pass_time(now)
        }
        Ok(())
    }

    pub(super) fn tell_time(&mut self) {
        self.now = self.now.max(self.clock);
        self.history.latest = self.history.latest.max(self.now);
    }

    pub(super) fn on_disk(&mut self, act: impl FnOnce(&mut Server, Time) -> std::io::Result<()>) -> Check {
        let now = self.now;
        if let Err(error) = act(self.server()?, now) {
            return self.failed(&error.to_string());
        }
        self.flush()
    }

    /// The disk has failed: the server is restarted, or the machine loses power.
    fn failed(&mut self, why: &str) -> Check {
        trace!(self, "the disk fails: {why}");
        let power = self.dice.percent(50);
        self.crash(power)
    }

    pub(super) fn errand(&mut self) -> Result<bool, String> {
        let now = self.now;
        if self.options.bug == Some(Bug::EarlyDiscard) && self.dice.percent(5) {
            let server = self.server()?;
            let oldest = server.machine.ledger().oldest().unwrap_or(0);
            if oldest > 0 && oldest + 1 < server.writer.durable().segment() {
                // As if the machine had requested it.
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

    /// The mover does one of its steps.
    pub(super) fn keep_some(&mut self) -> Check {
        let (now, which) = (self.now, self.dice.below(10));
        let server = self.server()?;
        let did = match which {
            0..5 => server.keep(),
            5..8 => server.sync_store(now),
            _ => server.tidy_store(now),
        };
        self.has_kept(did).map(drop)
    }

    /// The mover does all that it can. Returns whether it did something.
    fn keep_all(&mut self) -> Result<bool, String> {
        let now = self.now;
        let did = self.server()?.keep_all(now);
        self.has_kept(did)
    }

    fn has_kept(&mut self, did: Result<bool, ErrandError>) -> Result<bool, String> {
        match did {
            Ok(did) => {
                if did {
                    trace!(self, "the mover has done something");
                    self.flush()?;
                }
                Ok(did)
            }
            Err(ErrandError::Disk(error)) => {
                self.failed(&error.to_string())?;
                Ok(true)
            }
            Err(ErrandError::Unreadable(what)) => Err(what),
        }
    }

    pub(super) fn toggle_full(&mut self) {
        self.full = !self.full;
        let room = self.full.then(|| self.dice.below(3 * u64::from(self.log.segment_bytes)));
        trace!(self, "room on the disk: {room:?}");
        self.disks.log.leave_room(room);
        if self.options.archives {
            let room = (self.full && self.dice.percent(60))
                .then(|| self.dice.below(3 * u64::from(self.log.segment_bytes)));
            trace!(self, "room for the store: {room:?}");
            self.disks.retained.leave_room(room);
        }
    }

    /// Writes everything to the disk and finishes cleaning.
    pub(super) fn settle(&mut self) -> Check {
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
            let mut busy = self.errand()?;
            if life == self.outcome.crashes + self.outcome.restarts {
                busy |= self.keep_all()?;
            }
            if life != self.outcome.crashes + self.outcome.restarts {
                // The disk failed in between, so this ends here.
                return Ok(());
            }
            if !busy && self.server()?.is_idle() {
                let end = self.server()?.machine.end();
                trace!(self, "settled at {end:?}");
                if self.server()?.owes() {
                    return Err("the log owes records to the store, and nobody takes them there".into());
                }
                if self.options.archives && self.server()?.machine.room() == Demand::Growth {
                    self.check_replays()?;
                }
                return self.check_counts();
            }
        }
        let ledger: Vec<_> = self.server()?.machine.ledger().segments().collect();
        Err(format!("cleaning does not come to an end: {ledger:?}"))
    }

    /// The server dies. If the machine loses power, unsynced data may be lost.
    pub(super) fn crash(&mut self, power: bool) -> Check {
        self.stop();
        if power {
            trace!(self, "the power goes");
            self.outcome.crashes += 1;
            self.disks.lose_power();
        } else {
            trace!(self, "the process ends");
            self.outcome.restarts += 1;
            self.disks.mend();
        }
        self.start()
    }

    /// Unanswered requests are in doubt.
    fn stop(&mut self) {
        let Some(server) = self.server.take() else { return };
        self.history.crashed(server.writer.durable());
        self.attempts_in_doubt();
        let batch_numbers = std::mem::take(&mut self.batch_numbers);
        for (ticket, (asked, _)) in std::mem::take(&mut self.asked) {
            if let (Asked::Send(numbers), Some(&from)) = (&asked, batch_numbers.get(&ticket)) {
                self.batches.push((from, numbers.clone()));
            }
            if let Asked::Receive { queue, .. } | Asked::Turn { queue, .. } = asked {
                self.history.receive_in_doubt(queue);
            }
        }
    }

    pub(super) fn start(&mut self) -> Check {
        let secret = publishing::SECRET;
        if !self.calm && self.dice.percent(20) {
            let operations = self.dice.below(30);
            let store = self.options.archives && self.dice.percent(40);
            let disk = if store { &self.disks.retained } else { &self.disks.log };
            disk.fail_in(Some(operations));
        }
        let mut server = None;
        for _ in 0..10 {
            let mut dice = self.dice.split();
            let steps = if self.options.crowds { 1 + dice.below(50) as usize } else { 1000 };
            let mut options: machine::Options = machine::Options { steps, ..machine::Options::default() };
            options.limits.sns.takers_at_once = self.takers_at_once;
            let bug = self.options.bug;
            match Server::start_with(options, &self.disks, &self.log, secret, self.clock, bug, &mut dice) {
                Ok(started) => {
                    server = Some(started);
                    break;
                }
                Err(StartError::Damaged(what)) => return Err(format!("the log is refused: {what}")),
                Err(StartError::Disk(what)) => {
                    trace!(self, "the start fails: {what}");
                    self.disks.mend();
                    self.disks.free();
                    self.full = false;
                    if self.dice.percent(50) {
                        self.disks.lose_power();
                    }
                }
            }
        }
        let Some(server) = server else { return Err("the server does not start".into()) };
        self.disks.mend();
        self.outcome.cuts += u64::from(server.cut);
        trace!(self, "started at {:?}", server.machine.end());
        // The log's time is at least that of everything acknowledged. The clock may have been behind.
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
        self.check_groups()?;
        self.server()?.pass_time(now);
        self.check_counts()
    }

    /// Checks that of a batch without an answer before a crash, all messages exist or none.
    fn check_groups(&mut self) -> Check {
        let batches = std::mem::take(&mut self.batches);
        let server = self.server()?;
        let sent = std::mem::take(&mut server.sent);
        let Some(from) = batches.iter().map(|(from, _)| *from).min() else { return Ok(()) };
        let mut found = BTreeSet::new();
        for &(_, extent) in sent.iter().filter(|&&(seq, _)| seq >= from) {
            let record = server.reader.read(extent).map_err(|error| format!("{extent:?}: {error}"))?;
            let payload = Payload::decode(&Bytes::copy_from_slice(&record.tail))
                .map_err(|_| format!("the message at {extent:?} cannot be read"))?;
            let number = payload.body.split(' ').next().and_then(|number| number.parse::<usize>().ok());
            found.extend(number);
        }
        for (_, numbers) in batches {
            let there = numbers.iter().filter(|number| found.contains(number)).count();
            if there != 0 && there != numbers.len() {
                return Err(format!(
                    "of the batch {numbers:?}, which is one group, {there} messages are there"
                ));
            }
        }
        Ok(())
    }

    /// Stops the server orderly and starts it again; its state must be the same.
    pub(super) fn restart(&mut self) -> Check {
        let lives = self.outcome.crashes + self.outcome.restarts;
        self.settle()?;
        if lives != self.outcome.crashes + self.outcome.restarts {
            return Ok(());
        }
        let before = self.portrait()?;
        // Work that was delayed for lack of space may happen after the start.
        let is_roomy = self.server()?.machine.room() == Demand::Growth;
        self.server()?.machine.mark();
        self.flush()?;
        self.on_disk(|server, now| server.write(now).map(drop))?;
        self.on_disk(|server, _| server.writer.note_end())?;
        self.crash(false)?;
        // Expired messages are removed in steps.
        while self.options.archives && self.server()?.machine.has_background_work() {
            self.flush()?;
        }
        let after = self.portrait()?;
        if before != after && !self.moving && is_roomy {
            return Err(format!("the log says {after}, and the state was {before}"));
        }
        Ok(())
    }

    /// The parts of the state that must be the same after a replay of the log.
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

    pub(super) fn check_counts(&mut self) -> Check {
        if self.takers_wait() {
            // Their copies are still to come.
            return Ok(());
        }
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

    pub(super) fn state(&self, queue: usize) -> Result<String, String> {
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

    pub(super) fn id(&self, queue: usize) -> Option<QueueId> {
        Some(self.server.as_ref()?.machine.sqs().queue(&QUEUES[queue].key())?.id)
    }
}
