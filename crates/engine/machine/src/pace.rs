//! How much of what follows without anybody asking may happen until the next flush.

/// What is left until the next flush: about a millisecond's worth of each kind. So no turn is long, however much falls due
/// together, and no kind waits for the end of another.
#[derive(Debug)]
pub struct Pace {
    /// Deadlines that have come.
    pub deadlines: usize,
    /// How many deadlines may come between two flushes.
    steps: usize,
    /// Chores, by service and kind.
    chores: Vec<Vec<Chore>>,
    /// Whether any chore was done since it began.
    is_spent: bool,
}

/// How often something of one kind may happen.
#[derive(Clone, Copy, Debug)]
struct Chore {
    /// Until the next flush.
    left: usize,
    /// Between two flushes.
    allowed: usize,
}

impl Pace {
    /// For `steps` of a microsecond. `chores` says, for each service, how many microseconds one of each kind takes.
    pub fn new(steps: usize, chores: &[&[usize]]) -> Self {
        let chore = |micros: &usize| {
            let allowed = (steps / micros).max(1);
            Chore { left: allowed, allowed }
        };
        let chores = chores.iter().map(|kinds| kinds.iter().map(chore).collect()).collect();
        let steps = steps.max(1);
        Pace { deadlines: steps, steps, chores, is_spent: false }
    }

    /// Begins anew, as after a flush.
    pub fn begin(&mut self) {
        self.deadlines = self.steps;
        if std::mem::take(&mut self.is_spent) {
            self.chores.iter_mut().flatten().for_each(|chore| chore.left = chore.allowed);
        }
    }

    /// Whether another chore of this kind may be done.
    pub fn has_left(&self, service: usize, chore: usize) -> bool {
        self.chores[service][chore].left > 0
    }

    /// A chore is done that counts as so many.
    pub fn spend(&mut self, service: usize, chore: usize, cost: usize) {
        self.is_spent = true;
        let chore = &mut self.chores[service][chore];
        chore.left = chore.left.saturating_sub(cost);
    }
}
