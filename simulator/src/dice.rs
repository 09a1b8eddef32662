//! All random numbers of a world, from one seed.

/// A generator whose numbers are a function of a seed.
#[derive(Clone, Debug)]
pub struct Dice(kernel::Dice);

impl From<Dice> for kernel::Dice {
    fn from(dice: Dice) -> kernel::Dice {
        dice.0
    }
}

impl Dice {
    /// Creates the generator of a seed.
    pub fn from_seed(seed: u64) -> Self {
        Dice(kernel::Dice::from_seed(seed))
    }

    /// Returns another generator, whose numbers are independent of this one's.
    pub fn split(&mut self) -> Dice {
        Dice::from_seed(self.0.roll())
    }

    /// Returns any number.
    pub fn roll(&mut self) -> u64 {
        self.0.roll()
    }

    /// Returns a number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.roll() % end.max(1)
    }

    /// Returns `true` with this probability, in per cent.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns one of these elements; there must be at least one.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}
