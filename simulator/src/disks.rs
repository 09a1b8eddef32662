//! The two disks of a server: the log's, and that of the store for retained data.

use journal::engines::FaultyDisk;
use kernel::Dice;

/// Both disks. They lose power together.
#[derive(Clone)]
pub struct Disks {
    /// The log's.
    pub log: FaultyDisk,
    /// The store's.
    pub retained: FaultyDisk,
}

impl Disks {
    /// Creates empty disks.
    pub fn new(mut dice: Dice) -> Self {
        let log = FaultyDisk::new(dice.clone());
        Disks { log, retained: FaultyDisk::new(Dice::from_seed(dice.roll())) }
    }

    /// Loses what is not synced, at random.
    pub fn lose_power(&self) {
        self.log.lose_power();
        self.retained.lose_power();
    }

    /// Ends all planned failures.
    pub fn mend(&self) {
        self.log.fail_in(None);
        self.retained.fail_in(None);
    }

    /// There is room for everything.
    pub fn free(&self) {
        self.log.leave_room(None);
        self.retained.leave_room(None);
    }
}
