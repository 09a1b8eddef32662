//! The end of a world: the faults end, and all acknowledged messages must be received.

use sqs::operations::Receive;

use super::{Check, World};

impl World {
    /// Ends the faults and drains every queue. All acknowledged messages must be received, and then the disk
    /// must be empty, too.
    pub(super) fn finish(&mut self) -> Check {
        self.calm = true;
        self.disks.mend();
        self.disks.free();
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
        if self.options.archives {
            self.check_archive()?;
        }
        if self.options.topics {
            self.check_deliveries()?;
            self.delete_all()?;
        }
        // After all retention times have passed without events, little may remain on the disk.
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
        // Cleaning leaves a log alone that is shorter than twice its living data (tombstones included) plus
        // four segments. There are also the open segment, prepared segments, and indexes, which are large if
        // messages are small.
        let bound = 2 * live + (12 + self.log.recycled as u64) * segment;
        let used = self.disks.log.used();
        if used > bound {
            return Err(format!("{used} bytes are on the disk, and {live} are needed: more than {bound}"));
        }
        let left = self.server()?.store.series(kernel::Series(0), 10);
        if !left.is_empty() {
            return Err(format!("there are no archives, and the store has {left:?}"));
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
