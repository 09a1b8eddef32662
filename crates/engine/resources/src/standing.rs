//! Where the log declares a resource.

use kernel::{Extent, Ledger};

/// The place of a resource's latest declaration, which the ledger holds, and the segments that may contain a declaration. A deletion must
/// bury all of these segments, or a restart would restore the resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    at: Extent,
    /// Segments before that of `at`, in ascending order. Most resources are declared once, and there may be a million of them.
    earlier: Box<[u32]>,
}

impl Standing {
    /// Applies a declaration at `at`. `before`: the standing until now, if the resource exists.
    pub fn declared(at: Extent, before: Option<Standing>, ledger: &mut Ledger) -> Standing {
        match before {
            Some(mut standing) => {
                standing.declare(at, ledger);
                standing
            }
            None => {
                ledger.hold(at);
                Standing { at, earlier: Box::default() }
            }
        }
    }

    /// Applies another declaration of the same resource. Forgets segments that no longer exist.
    pub fn declare(&mut self, at: Extent, ledger: &mut Ledger) {
        ledger.hold(at);
        ledger.release(self.at);
        let earlier = self.declared_in().filter(|&segment| segment != at.place.segment());
        self.earlier = earlier.filter(|&segment| ledger.contains(segment)).collect();
        self.at = at;
    }

    /// Applies the resource's deletion: releases the declaration.
    pub fn end(&self, ledger: &mut Ledger) {
        ledger.release(self.at);
    }

    /// Whether the record at `at` is the latest declaration.
    pub fn is_at(&self, at: Extent) -> bool {
        self.at == at
    }

    /// The segments that may contain a declaration, in ascending order.
    pub fn declared_in(&self) -> impl Iterator<Item = u32> + '_ {
        self.earlier.iter().copied().chain([self.at.place.segment()])
    }
}

#[cfg(test)]
mod tests {
    use kernel::Place;

    use super::*;

    fn extent(segment: u32) -> Extent {
        Extent { place: Place::new(segment, 100), len: 10 }
    }

    #[test]
    fn only_the_latest_declaration_is_held_and_all_of_them_are_known() {
        let mut ledger = Ledger::default();
        let mut standing = Standing::declared(extent(1), None, &mut ledger);
        standing.declare(extent(2), &mut ledger);
        let standing = Standing::declared(extent(4), Some(standing), &mut ledger);
        assert!(standing.is_at(extent(4)) && !standing.is_at(extent(2)));
        assert_eq!(standing.declared_in().collect::<Vec<_>>(), [1, 2, 4]);
        let references = |ledger: &Ledger| -> Vec<(u32, u64)> {
            ledger.segments().map(|(segment, used)| (segment, used.references)).collect()
        };
        assert_eq!(references(&ledger), [(1, 0), (2, 0), (4, 1)]);
        standing.end(&mut ledger);
        assert_eq!(references(&ledger), [(1, 0), (2, 0), (4, 0)]);
    }

    #[test]
    fn segments_that_are_gone_are_forgotten() {
        let mut ledger = Ledger::default();
        let mut standing = Standing::declared(extent(1), None, &mut ledger);
        standing.declare(extent(2), &mut ledger);
        ledger.dropped(1);
        standing.declare(extent(3), &mut ledger);
        assert_eq!(standing.declared_in().collect::<Vec<_>>(), [2, 3]);
    }
}
