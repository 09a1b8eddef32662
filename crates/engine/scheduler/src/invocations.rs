//! Invocations that failed and are tried again.

use std::collections::BTreeMap;

use kernel::{Extent, Ledger};
use resources::Standing;
use schedules::Timetable;

use crate::records::{InvocationDeclared, InvocationEnded, InvocationTried};
use crate::{InvocationId, limits};

/// An invocation that is tried again.
#[derive(Clone, Debug)]
struct Pending {
    /// As it is now.
    declared: Box<InvocationDeclared>,
    standing: Standing,
    /// Where it stands how it was tried, if that is not in its declaration.
    fact: Option<Extent>,
}

/// Bytes that one takes besides its input, about.
const OVERHEAD: usize = 512;

impl Pending {
    fn bytes(&self) -> usize {
        OVERHEAD + self.declared.input.as_ref().map_or(0, String::len)
    }
}

/// All invocations that are tried again.
#[derive(Debug, Default)]
pub struct Invocations {
    pending: BTreeMap<InvocationId, Pending>,
    pub(crate) due: Timetable<InvocationId>,
    bytes: usize,
}

impl Invocations {
    /// All of them, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &InvocationDeclared> {
        self.pending.values().map(|pending| &*pending.declared)
    }

    /// Whether there is room for another one.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < limits::INVOCATION_BYTES
    }

    /// An invocation as it is now.
    pub(crate) fn get(&self, id: InvocationId) -> Option<&InvocationDeclared> {
        self.pending.get(&id).map(|pending| &*pending.declared)
    }

    pub(crate) fn declared(&mut self, record: &InvocationDeclared, at: Extent, ledger: &mut Ledger) {
        let before = self.take(record.id);
        if let Some(fact) = before.as_ref().and_then(|before| before.fact) {
            ledger.release(fact);
        }
        let standing = Standing::declared(at, before.map(|before| before.standing), ledger);
        self.put(Pending { declared: Box::new(record.clone()), standing, fact: None });
    }

    pub(crate) fn tried(&mut self, record: &InvocationTried, at: Extent, ledger: &mut Ledger) {
        let Some(mut pending) = self.take(record.id) else { return };
        ledger.hold(at);
        if let Some(old) = pending.fact.replace(at) {
            ledger.release(old);
        }
        pending.declared.tried = record.tried;
        self.put(pending);
    }

    pub(crate) fn ended(&mut self, record: &InvocationEnded, at: Extent, ledger: &mut Ledger) {
        record.declared_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
        let Some(pending) = self.take(record.id) else { return };
        pending.standing.end(ledger);
        if let Some(fact) = pending.fact {
            ledger.release(fact);
        }
    }

    fn take(&mut self, id: InvocationId) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        self.bytes -= pending.bytes();
        self.due.clear(pending.declared.tried.due, id);
        Some(pending)
    }

    fn put(&mut self, pending: Pending) {
        let id = pending.declared.id;
        self.bytes += pending.bytes();
        self.due.set(pending.declared.tried.due, id);
        self.pending.insert(id, pending);
    }

    /// The fact that it is over.
    pub(crate) fn end_of(&self, id: InvocationId) -> InvocationEnded {
        let declared_in = self.pending.get(&id).map(|pending| pending.standing.declared_in().collect());
        InvocationEnded { id, declared_in: declared_in.unwrap_or_default() }
    }

    /// The facts after which none is left.
    pub(crate) fn ends(&self) -> impl Iterator<Item = InvocationEnded> + '_ {
        self.pending.keys().map(|&id| self.end_of(id))
    }

    /// An invocation whose declaration lies at `at`.
    pub(crate) fn declared_at(&self, id: InvocationId, at: Extent) -> Option<&InvocationDeclared> {
        self.pending.get(&id).filter(|pending| pending.standing.is_at(at)).map(|pending| &*pending.declared)
    }

    /// An invocation of which the record at `at` says how it was tried.
    pub(crate) fn tried_at(&self, id: InvocationId, at: Extent) -> Option<&InvocationDeclared> {
        self.pending.get(&id).filter(|pending| pending.fact == Some(at)).map(|pending| &*pending.declared)
    }
}
