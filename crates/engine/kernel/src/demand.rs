//! What an operation asks of a disk that has little room left.

/// What an operation writes to the log, in the order in which a disk that fills up refuses it, last first.
///
/// The same scale says how much room there is: the most that is permitted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Demand {
    /// Nothing is written.
    Nothing,
    /// A small record that lets much go: a purge, the deletion of a resource.
    Purge,
    /// Small records that let something go: deletes, expiry, ends of deliveries.
    Delete,
    /// Records about what is there already, which replace earlier ones: receives, changes of visibility.
    Change,
    /// Something new is stored.
    Growth,
}
