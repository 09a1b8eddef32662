//! Tokens of TransactWriteItems: a request that is repeated under its token has no second effect.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Extent, Ledger, Time};
use sha2::{Digest, Sha256};

use crate::limits::TOKENS;
use crate::records::TokenUsed;

/// The tokens that count.
#[derive(Debug, Default)]
pub struct Tokens {
    known: BTreeMap<[u8; 16], (TokenUsed, Extent)>,
    until: BTreeSet<(Time, [u8; 16])>,
}

/// The first half of the SHA-256 of several texts.
pub fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize()[..16]);
    half
}

impl Tokens {
    /// What was done under a token that counts.
    pub fn get(&self, token: &[u8; 16], now: Time) -> Option<&TokenUsed> {
        self.known.get(token).map(|(used, _)| used).filter(|used| used.until > now)
    }

    /// Whether no more can be remembered.
    pub fn is_full(&self) -> bool {
        self.known.len() >= TOKENS
    }

    /// Applies a record that lies at `at`.
    pub fn apply(&mut self, record: &TokenUsed, at: Extent, ledger: &mut Ledger) {
        ledger.hold(at);
        self.until.insert((record.until, record.token));
        if let Some((before, place)) = self.known.insert(record.token, (record.clone(), at)) {
            ledger.release(place);
            if before.until != record.until {
                self.until.remove(&(before.until, record.token));
            }
        }
    }

    /// Whether the record at `at` still counts.
    pub fn is_at(&self, record: &TokenUsed, at: Extent) -> bool {
        self.known.get(&record.token).is_some_and(|(_, place)| *place == at)
    }

    /// When the next one stops counting.
    pub fn next_end(&self) -> Option<Time> {
        self.until.first().map(|(until, _)| *until)
    }

    /// Forgets a token that counts no longer; says whether there was one.
    pub fn forget(&mut self, now: Time, ledger: &mut Ledger) -> bool {
        let Some((until, token)) = self.until.first().copied().filter(|(until, _)| *until <= now) else {
            return false;
        };
        self.until.remove(&(until, token));
        if let Some((_, place)) = self.known.remove(&token) {
            ledger.release(place);
        }
        true
    }
}
