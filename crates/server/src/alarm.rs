//! What happens when a thread panics without which the server cannot work: it says that it is not well, and ends.

use crate::engine::Handle;

/// Held by a thread or a task that others wait for. If it panics, the server fails instead of leaving them waiting.
pub struct Alarm {
    engine: Handle,
    who: &'static str,
}

impl Alarm {
    /// `who` is named as the reason.
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

/// Panics that a test asks for, in builds with debug assertions; no others have them.
#[cfg(debug_assertions)]
pub mod sabotage {
    use std::sync::Mutex;

    static PLACE: Mutex<Option<String>> = Mutex::new(None);

    /// The next one that comes to `place` panics.
    pub fn prepare(place: &str) {
        *PLACE.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(place.to_owned());
    }

    /// Panics, if that was asked for here.
    pub fn point(place: &str) {
        let mut wanted = PLACE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if wanted.as_deref() == Some(place) {
            *wanted = None;
            drop(wanted);
            panic!("as a test wants it");
        }
    }
}

/// See above: nothing.
#[cfg(not(debug_assertions))]
pub mod sabotage {
    /// Nothing.
    #[inline(always)]
    pub fn point(_: &str) {}
}
