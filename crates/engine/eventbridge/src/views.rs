//! What `check` shows of buses: reads that change nothing.

use kernel::Time;

use crate::state::State;

/// A bus and how much there is of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusView {
    /// Its ARN.
    pub arn: String,
    /// How many rules it has.
    pub rules: usize,
    /// How many targets they have together.
    pub targets: usize,
    /// How many deliveries to them are not over.
    pub deliveries_pending: usize,
}

/// An archive and how much it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchiveView {
    /// Its ARN.
    pub arn: String,
    /// How many events it has got, those included whose retention has passed not long ago.
    pub events: u64,
    /// How many of them the store for retained data does not have yet.
    pub owed: u64,
}

impl State {
    /// All archives, by key.
    pub fn archive_views(&self) -> impl Iterator<Item = ArchiveView> + '_ {
        self.archiving.declared.iter().map(|archive| ArchiveView {
            arn: archive.arn(),
            events: self.archiving.size(archive, Time(0)).0,
            owed: self.archiving.owed.owed(archive.series()).map_or(0, collections::Owed::len),
        })
    }

    /// All buses that something is known of.
    pub fn bus_views(&self) -> impl Iterator<Item = BusView> + '_ {
        self.buses.iter().map(|(key, bus)| {
            let targets =
                || bus.rules.values().filter_map(|id| self.rules.get(id)).flat_map(|rule| &rule.targets);
            BusView {
                arn: key.arn().to_string(),
                rules: bus.rules.len(),
                targets: targets().count(),
                deliveries_pending: targets().map(|target| self.deliveries.pending_of(target.number)).sum(),
            }
        })
    }
}
