//! How much of what follows without anybody asking may happen until the next flush.

/// What is left until the next flush: about a millisecond's worth of each kind. So no turn is long, however much falls due
/// together, and no kind waits for the end of another.
#[derive(Debug)]
pub struct Pace {
    /// Deadlines that have come.
    pub deadlines: usize,
    /// Chores, by service.
    chores: Vec<Vec<usize>>,
}

impl Pace {
    /// For `steps` of a microsecond. `chores` says, for each service, how many microseconds one of each kind takes.
    pub fn new(steps: usize, chores: &[&[usize]]) -> Self {
        let mut pace =
            Pace { deadlines: 0, chores: chores.iter().map(|kinds| vec![0; kinds.len()]).collect() };
        pace.begin(steps, chores);
        pace
    }

    /// Begins anew, as after a flush.
    pub fn begin(&mut self, steps: usize, chores: &[&[usize]]) {
        self.deadlines = steps.max(1);
        for (left, micros) in self.chores.iter_mut().flatten().zip(chores.iter().copied().flatten()) {
            *left = (steps / micros).max(1);
        }
    }

    /// Whether another chore of this kind may be done.
    pub fn has_left(&self, service: usize, chore: usize) -> bool {
        self.chores[service][chore] > 0
    }

    /// A chore is done that counts as so many.
    pub fn spend(&mut self, service: usize, chore: usize, cost: usize) {
        let left = &mut self.chores[service][chore];
        *left = left.saturating_sub(cost);
    }
}
