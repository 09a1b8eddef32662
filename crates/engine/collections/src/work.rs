//! Counts accesses to elements of large collections, so that tests can verify that the number of accesses
//! does not depend on the number of elements. Counts in builds with debug assertions only.

#[cfg(debug_assertions)]
thread_local! {
    static LOOKS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts one access.
#[inline]
pub fn look() {
    #[cfg(debug_assertions)]
    LOOKS.set(LOOKS.get() + 1);
}

/// Returns the number of accesses of `act`; zero in builds without debug assertions.
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
