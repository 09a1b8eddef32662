//! How a log becomes a machine: the one way for the server, for `check`, for the simulator and for tests.

use std::fmt;

use kernel::codec::Malformed;
use kernel::{Extent, Series, Time};

use crate::house::House;
use crate::machine::Machine;
use crate::{Options, Services};

/// A machine while its log is read.
///
/// ```
/// # use std::sync::Arc;
/// # use kernel::Time;
/// # use machine::{Machine, Options, Recovery};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let storage = Arc::new(journal::engines::Memory::new());
/// let mut journal = journal::Journal::open(storage, &journal::Options::default())?;
/// let mut recovery = Recovery::of(Options::default(), journal.appender(), journal.recovered(), Time(0));
/// journal.configuration(|entry| recovery.read(entry.extent, entry.head))?;
/// journal.flow(|entry| recovery.read(entry.extent, entry.head))?;
/// let machine: Machine = recovery.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Recovery<H: House = Services> {
    machine: Machine<H>,
    unknown: Option<Unknown>,
    counter: u64,
    now: Time,
}

/// The log has records that no service of this version knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unknown {
    /// Where the first one lies.
    pub first: Extent,
    /// How many there are.
    pub records: u64,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, records) = (self.first.place, self.records);
        write!(
            f,
            "{records} records are none that this version knows, the first in segment {}, offset {}: use a newer one",
            place.segment(),
            place.offset()
        )
    }
}

impl std::error::Error for Unknown {}

impl<H: House> Recovery<H> {
    /// Begins to read an opened log, which `appender` continues. The machine goes on at `now`, or where the log stopped if that
    /// was later.
    pub fn of(
        options: Options<H>,
        appender: journal::Appender,
        recovered: &journal::Recovered,
        now: Time,
    ) -> Self {
        let newest = recovered.end.segment();
        let segments = recovered
            .segments
            .iter()
            .map(|segment| (segment.number, (segment.number != newest).then_some(u64::from(segment.bytes))));
        let now = now.max(recovered.now);
        Recovery::begin(options, appender, segments, recovered.counter, now)
    }

    /// The same for who reads a log without opening it. `segments` are all of the log's, with their lengths if they are sealed;
    /// numbers below `counter` are taken; what no moment from `now` on needs to know is not looked at.
    pub fn begin(
        options: Options<H>,
        appender: journal::Appender,
        segments: impl IntoIterator<Item = (u32, Option<u64>)>,
        counter: u64,
        now: Time,
    ) -> Self {
        let mut machine = Machine::new(options, appender);
        for (segment, sealed_bytes) in segments {
            machine.open_segment(segment, sealed_bytes);
        }
        machine.replaying(now);
        Recovery { machine, unknown: None, counter, now }
    }

    /// Reads a record: all of configuration first, in the order of the log, then all of the flow.
    pub fn read(&mut self, at: Extent, head: &[u8]) {
        if let Err(Malformed) = self.machine.replay(at, head) {
            self.unknown.get_or_insert(Unknown { first: at, records: 0 }).records += 1;
        }
    }

    /// Between the two passes: `last` tells the number of the last record that the store for retained data has of a series. What
    /// the store has is not owed.
    ///
    /// # Errors
    /// The first one of `last`.
    pub fn ask_store<E>(&mut self, mut last: impl FnMut(Series) -> Result<Option<u64>, E>) -> Result<(), E> {
        let mut all = Vec::new();
        self.machine.house.each_series(&mut |service, series| all.push((service, series)));
        for (service, series) in all {
            let through = last(series)?;
            self.machine.house.kept(service, series, through, &mut self.machine.ledger);
        }
        Ok(())
    }

    /// The moment at which the machine goes on.
    pub fn now(&self) -> Time {
        self.now
    }

    /// All has been read.
    ///
    /// # Errors
    /// If there were records that no service knows.
    pub fn finish(mut self) -> Result<Machine<H>, Unknown> {
        match self.unknown {
            Some(unknown) => Err(unknown),
            None => {
                self.machine.replayed(self.counter, self.now);
                Ok(self.machine)
            }
        }
    }
}
