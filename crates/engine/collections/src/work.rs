//! Counts looks at things of which there may be many, so that tests can hold that an operation takes as many looks however many
//! there are. Counts in builds with debug assertions only.

#[cfg(debug_assertions)]
thread_local! {
    static LOOKS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// One thing was looked at.
#[inline]
pub fn look() {
    #[cfg(debug_assertions)]
    LOOKS.set(LOOKS.get() + 1);
}

/// How many looks `act` takes; none in builds without debug assertions.
pub fn looks(act: impl FnOnce()) -> u64 {
    #[cfg(debug_assertions)]
    {
        let before = LOOKS.get();
        act();
        LOOKS.get() - before
    }
    #[cfg(not(debug_assertions))]
    {
        act();
        0
    }
}
