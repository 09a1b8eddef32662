//! Damaged places on disk that were found while the server ran.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use tracing::error;

/// The places found since the start, newest last.
#[derive(Default)]
pub struct Damages {
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    found: u64,
    places: VecDeque<String>,
}

/// Number of places to keep.
const KEPT: usize = 100;

impl Damages {
    /// Stores a place, and logs it once.
    pub fn put(&self, place: &dyn Display) {
        let text = place.to_string();
        // The data under this lock is always valid, also after a panic.
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.places.contains(&text) {
            return;
        }
        error!("DAMAGED {text}");
        if shelf.places.len() >= KEPT {
            shelf.places.pop_front();
        }
        shelf.found += 1;
        shelf.places.push_back(text);
    }

    /// Returns the number of places and the latest ones.
    pub fn show_places(&self) -> Value {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        json!({ "found": shelf.found, "places": shelf.places })
    }

    /// Returns the number of places and the latest ones. `set_aside` messages are out of their queues because
    /// of damage.
    pub fn show(&self, set_aside: u64) -> Value {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        json!({ "found": shelf.found, "places": shelf.places, "messages_set_aside": set_aside })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_once_and_the_list_is_bounded() {
        let damages = Damages::default();
        for place in [1, 2, 1, 2, 3] {
            damages.put(&place);
        }
        assert_eq!(
            damages.show(7),
            json!({ "found": 3, "places": ["1", "2", "3"], "messages_set_aside": 7 })
        );
        (0..1000).for_each(|place| damages.put(&place));
        assert_eq!(damages.show(0)["places"].as_array().map(Vec::len), Some(KEPT));
    }
}
