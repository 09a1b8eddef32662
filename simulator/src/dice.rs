//! Everything that is left to chance, from one seed.

/// Dice that are a function of a seed.
#[derive(Clone, Debug)]
pub struct Dice(kernel::Dice);

impl From<Dice> for kernel::Dice {
    fn from(dice: Dice) -> kernel::Dice {
        dice.0
    }
}

impl Dice {
    /// Dice of this seed.
    pub fn from_seed(seed: u64) -> Self {
        Dice(kernel::Dice::from_seed(seed))
    }

    /// Other dice, whose rolls say nothing about these.
    pub fn split(&mut self) -> Dice {
        Dice::from_seed(self.0.roll())
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0.roll()
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.roll() % end.max(1)
    }

    /// True so many times of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these, which must be some.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}
