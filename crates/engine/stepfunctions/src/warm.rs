//! Data of flows that need not be read from the log, since they were written a moment ago. What is not here is read by its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::Place;

/// Bytes that are kept at the most.
const MOST_BYTES: usize = 64 << 20;

/// Bytes that an entry takes besides its data, about.
const OVERHEAD: usize = 96;

/// Data by the place of their record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warm {
    data: BTreeMap<Place, Arc<[u8]>>,
    bytes: usize,
}

impl Warm {
    /// Remembers data. Those that were written first make room for them.
    pub(crate) fn put(&mut self, at: Place, data: Arc<[u8]>) {
        self.forget(at);
        self.bytes += data.len() + OVERHEAD;
        self.data.insert(at, data);
        while self.bytes > MOST_BYTES
            && let Some((_, oldest)) = self.data.pop_first()
        {
            self.bytes -= oldest.len() + OVERHEAD;
        }
    }

    /// Nobody needs the data of this record any more, or they lie elsewhere.
    pub(crate) fn forget(&mut self, at: Place) {
        if let Some(data) = self.data.remove(&at) {
            self.bytes -= data.len() + OVERHEAD;
        }
    }

    /// The data of a record, if they are here.
    pub(crate) fn get(&self, at: Place) -> Option<&Arc<[u8]>> {
        self.data.get(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_first_makes_room() {
        let mut warm = Warm::default();
        let place = |number: u32| Place::new(1, number);
        let large: Arc<[u8]> = vec![0; MOST_BYTES / 4].into();
        (0..10).for_each(|number| warm.put(place(number), large.clone()));
        assert!(warm.get(place(5)).is_none() && warm.get(place(9)).is_some() && warm.bytes <= MOST_BYTES);
        (0..10).for_each(|number| warm.forget(place(number)));
        assert_eq!((warm.bytes, warm.data.len()), (0, 0));
    }
}
