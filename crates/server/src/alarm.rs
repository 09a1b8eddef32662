//! Panics of threads without which the server cannot work: the server reports itself unhealthy and stops.

use crate::engine::Handle;

/// A guard for a thread or a task that others wait for. If it panics, the server fails, so that the others do
/// not wait for ever.
pub struct Alarm {
    engine: Handle,
    who: &'static str,
}

impl Alarm {
    /// `who` is named in the reason.
    pub fn new(engine: &Handle, who: &'static str) -> Self {
        Alarm { engine: engine.clone(), who }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.engine.fail(&format!("{} panicked", self.who));
        }
    }
}

/// Panics that a test requests, in builds with debug assertions; other builds have none.
#[cfg(debug_assertions)]
pub mod sabotage {
    use std::sync::Mutex;

    static PLACE: Mutex<Option<String>> = Mutex::new(None);

    /// Makes the next call at `place` panic.
    pub fn prepare(place: &str) {
        *PLACE.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(place.to_owned());
    }

    /// Panics if that was requested for this place.
    pub fn point(place: &str) {
        let mut wanted = PLACE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if wanted.as_deref() == Some(place) {
            *wanted = None;
            drop(wanted);
            panic!("as a test wants it");
        }
    }
}

/// In release builds this does nothing.
#[cfg(not(debug_assertions))]
pub mod sabotage {
    /// Does nothing.
    #[inline(always)]
    pub fn point(_: &str) {}
}
