//! Where in the log a configured thing is declared.

use std::collections::BTreeSet;

use kernel::{Extent, Ledger};

/// The latest declaration of a thing, which is held, and the segments that may still declare it, which its deletion buries.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) at: Extent,
    declared_in: BTreeSet<u32>,
}

impl Standing {
    /// It is declared at `at`, and was before at `before`.
    pub(crate) fn declared(at: Extent, before: Option<Standing>, ledger: &mut Ledger) -> Standing {
        ledger.hold(at);
        let mut declared_in = BTreeSet::from([at.place.segment()]);
        if let Some(before) = before {
            ledger.release(before.at);
            declared_in.extend(before.declared_in.into_iter().filter(|&segment| ledger.contains(segment)));
        }
        Standing { at, declared_in }
    }

    /// It is gone.
    pub(crate) fn end(self, ledger: &mut Ledger) {
        ledger.release(self.at);
    }

    /// The segments that may still declare it.
    pub(crate) fn declared_in(&self) -> impl Iterator<Item = u32> + '_ {
        self.declared_in.iter().copied()
    }
}
