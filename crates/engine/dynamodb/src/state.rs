//! What is remembered of all tables, and `apply`, the only function that changes what the log says.

use std::collections::{BTreeMap, VecDeque};

use kernel::{Deadlines, Extent, Ledger, Time};
use resources::Declarations;

use crate::TableKey;
use crate::contents::Contents;
use crate::limits::STEP_ITEMS;
use crate::records::{Record, TableDeclared};
use crate::tokens::Tokens;

/// An item whose time ended so long ago is not touched (facts/dynamodb.md § 16): five years.
const LONG_AGO_SECONDS: u64 = 5 * 365 * 86_400;

/// All tables.
#[derive(Debug, Default)]
pub struct State {
    pub(crate) tables: Declarations<TableDeclared>,
    /// Their items, by the tables' numbers.
    contents: BTreeMap<u64, Contents>,
    pub(crate) tokens: Tokens,

    // What follows is not in the log.
    /// When items of a table expire, by the tables' numbers.
    expiries: Deadlines<u64>,
    /// When the first item of each table expires, as `expiries` has it.
    first_expiries: BTreeMap<u64, Time>,
    /// Tables of which items have yet to be put into indexes.
    unfinished: Vec<u64>,
    /// What is forgotten in steps.
    gone: VecDeque<Contents>,
    /// Bytes of memory of all items.
    memory: usize,
    /// The latest moment that was told.
    now: Time,
}

impl State {
    /// The table of this name, with its items.
    pub fn table(&self, key: &TableKey) -> Option<(&TableDeclared, &Contents)> {
        let declared = self.tables.get(key)?;
        Some((declared, self.contents.get(&declared.id)?))
    }

    /// The items of a table.
    pub fn contents(&self, table: u64) -> Option<&Contents> {
        self.contents.get(&table)
    }

    /// The tables of an account in a region, by name.
    pub fn tables_of<'s>(&'s self, first: &TableKey) -> impl Iterator<Item = &'s TableDeclared> + 's {
        let (account, region) = (first.account.clone(), first.region.clone());
        let theirs = self.tables.range(first.clone()..);
        theirs.take_while(move |it| (&it.key.account, &it.key.region) == (&account, &region))
    }

    /// Bytes of memory that all items and their indexes take, about.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Applies a record that lies at `at`.
    pub fn apply(&mut self, record: &Record<'_>, at: Extent, ledger: &mut Ledger) {
        match record {
            Record::TableDeclared(record) => {
                let before = self.tables.declare(record, at, ledger);
                if let Some(before) = before.filter(|before| before.id != record.id) {
                    self.forget(before.id);
                }
                let definition = record.definition.clone();
                let gone = self.change(record.id, |contents, _| contents.declare(definition), ledger);
                // What is gone takes memory until it is forgotten.
                self.memory += gone.memory();
                self.gone.push_back(gone);
                if self.contents.get(&record.id).is_some_and(Contents::has_work) {
                    self.unfinished.push(record.id);
                }
            }
            Record::TableDeleted(record) => {
                if self.tables.delete(record, at, ledger).is_some() {
                    self.forget(record.id);
                }
            }
            Record::ItemPut(record) => {
                // Items of a table that is gone are nobody's.
                if let Some(key) = self.key_of(record.table, &record.content) {
                    self.change(
                        record.table,
                        |contents, ledger| contents.put(&key, record.id, &record.content, at, ledger),
                        ledger,
                    );
                }
            }
            Record::ItemRemoved(record) => {
                record.put_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
                if self.contents.contains_key(&record.table) {
                    self.change(
                        record.table,
                        |contents, ledger| contents.remove(&record.key, record.id, ledger),
                        ledger,
                    );
                }
            }
            Record::TokenUsed(record) => self.tokens.apply(record, at, ledger),
        }
    }

    /// The key of an item of a table that exists.
    pub fn key_of(&self, table: u64, content: &[u8]) -> Option<Vec<u8>> {
        let definition = self.contents.get(&table)?.definition();
        crate::rules::definition::key_in(&definition.key, items::value::Item(content))
    }

    /// Changes a table's items, and what is known of all tables with them.
    fn change<T>(
        &mut self,
        table: u64,
        change: impl FnOnce(&mut Contents, &mut Ledger) -> T,
        ledger: &mut Ledger,
    ) -> T {
        let contents = self.contents.entry(table).or_default();
        let before = contents.memory();
        let changed = change(contents, ledger);
        self.memory = (self.memory + contents.memory()).saturating_sub(before);
        self.expect_expiry(table);
        changed
    }

    /// An item expires as soon as its second is over.
    fn expect_expiry(&mut self, table: u64) {
        let first = self.contents.get(&table).and_then(Contents::first_expiry);
        let first = first.map(|seconds| Time(0).plus_seconds(seconds.saturating_add(1)));
        let known = self.first_expiries.get(&table).copied();
        if first == known {
            return;
        }
        if let Some(known) = known {
            self.expiries.clear(known, table);
            self.first_expiries.remove(&table);
        }
        if let Some(first) = first {
            self.expiries.set(first, table);
            self.first_expiries.insert(table, first);
        }
    }

    fn forget(&mut self, table: u64) {
        if let Some(contents) = self.contents.remove(&table) {
            self.gone.push_back(contents);
        }
        self.expect_expiry(table);
        self.unfinished.retain(|other| *other != table);
    }

    /// When the next item expires or the next token stops to count.
    pub fn next_deadline(&self) -> Option<Time> {
        // Tokens that no longer count are forgotten in the background.
        let token = self.tokens.next_end().filter(|end| *end > self.now);
        self.expiries.next().into_iter().chain(token).min()
    }

    /// Time has passed.
    pub fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// A table of which items have expired at `now`. What expired too long ago is passed over.
    pub fn next_expired(&mut self, now: Time) -> Option<u64> {
        loop {
            let (_, table) = self.expiries.take_due(now)?;
            self.first_expiries.remove(&table);
            let long_ago = now.seconds().saturating_sub(LONG_AGO_SECONDS);
            if let Some(contents) = self.contents.get_mut(&table) {
                contents.skip_expiries(long_ago, STEP_ITEMS);
            }
            self.expect_expiry(table);
            let first = self.contents.get(&table).and_then(Contents::first_expiry);
            if first.is_some_and(|first| first >= long_ago && first < now.seconds()) {
                return Some(table);
            }
        }
    }

    /// Whether items of any table have expired.
    pub fn has_expired(&self, now: Time) -> bool {
        self.expiries.next().is_some_and(|first| first <= now)
    }

    /// Whether there is work between requests.
    pub fn has_background_work(&self) -> bool {
        !self.gone.is_empty()
            || !self.unfinished.is_empty()
            || self.tokens.next_end().is_some_and(|end| end <= self.now)
    }

    /// Does a little of it.
    pub fn work_in_background(&mut self, now: Time, ledger: &mut Ledger) {
        if let Some(gone) = self.gone.front_mut() {
            let before = gone.memory();
            let is_left = gone.forget(STEP_ITEMS, ledger);
            self.memory = (self.memory + gone.memory()).saturating_sub(before);
            if !is_left {
                self.gone.pop_front();
            }
            return;
        }
        if let Some(&table) = self.unfinished.last() {
            self.change(table, |contents, _| contents.work(STEP_ITEMS), ledger);
            if !self.contents.get(&table).is_some_and(Contents::has_work) {
                self.unfinished.pop();
            }
            return;
        }
        for _ in 0..STEP_ITEMS {
            if !self.tokens.forget(now, ledger) {
                return;
            }
        }
    }

    /// The facts after which nothing is left.
    pub fn reset(&self) -> Vec<Record<'static>> {
        self.tables.deletions().map(Record::TableDeleted).collect()
    }
}
