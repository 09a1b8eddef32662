//! What `check` shows of buses: reads that change nothing.

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

impl State {
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
