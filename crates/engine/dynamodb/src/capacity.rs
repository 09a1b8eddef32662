//! Units of capacity, as `ReturnConsumedCapacity` shows them (facts/dynamodb.md § 14). Nothing is throttled by them.

use api::Map;
use api::dynamodb::{Capacity, ConsumedCapacity};

use crate::rules::definition::Definition;

const READ_BYTES: usize = 4 << 10;
const WRITE_BYTES: usize = 1 << 10;

/// How much is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Nothing.
    #[default]
    None,
    /// The sum.
    Total,
    /// The sum, and the part of the table and of each index.
    Indexes,
}

/// Units that an operation takes of one table.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Units {
    /// Of the table itself.
    pub table: f64,
    /// Of its indexes: the name, whether it is global, and the units.
    pub indexes: Vec<(String, bool, f64)>,
}

/// Units of reading bytes.
pub fn read(bytes: usize, is_consistent: bool) -> f64 {
    let units = bytes.div_ceil(READ_BYTES).max(1) as f64;
    if is_consistent { units } else { units / 2.0 }
}

/// Units of writing an item.
pub fn write(old: usize, new: usize) -> f64 {
    old.max(new).div_ceil(WRITE_BYTES).max(1) as f64
}

impl Units {
    /// Units of the table alone.
    pub fn of_table(units: f64) -> Units {
        Units { table: units, indexes: Vec::new() }
    }

    /// Units of an index alone, if one is named.
    pub fn of_index(definition: &Definition, index: Option<usize>, units: f64) -> Units {
        match index.and_then(|at| definition.indexes.get(at)) {
            Some(index) => Units { table: 0.0, indexes: vec![(index.name.clone(), index.is_global, units)] },
            None => Units::of_table(units),
        }
    }

    /// Adds others of the same table.
    pub fn add(&mut self, other: &Units) {
        self.table += other.table;
        for (name, is_global, units) in &other.indexes {
            match self.indexes.iter_mut().find(|(known, ..)| known == name) {
                Some(known) => known.2 += units,
                None => self.indexes.push((name.clone(), *is_global, *units)),
            }
        }
    }

    /// The same, a number of times.
    pub fn times(mut self, factor: f64) -> Units {
        self.table *= factor;
        self.indexes.iter_mut().for_each(|(.., units)| *units *= factor);
        self
    }

    /// The answer's member. `split`: whether reading (`false`) or writing (`true`) is named, as in transactions.
    pub fn shown(&self, table: &str, mode: Mode, split: Option<bool>) -> Option<ConsumedCapacity> {
        if mode == Mode::None {
            return None;
        }
        let total = self.table + self.indexes.iter().map(|(.., units)| units).sum::<f64>();
        let part = |units: f64| Capacity {
            capacity_units: Some(units),
            read_capacity_units: split.filter(|writes| !writes).map(|_| units),
            write_capacity_units: split.filter(|writes| *writes).map(|_| units),
        };
        let whole = part(total);
        let of_kind = |global: bool| {
            let parts: Vec<_> = self
                .indexes
                .iter()
                .filter(|(_, is_global, _)| *is_global == global)
                .map(|(name, _, units)| (name.as_str().into(), part(*units)))
                .collect();
            (mode == Mode::Indexes && !parts.is_empty()).then_some(Map(parts))
        };
        Some(ConsumedCapacity {
            table_name: Some(table.into()),
            capacity_units: whole.capacity_units,
            read_capacity_units: whole.read_capacity_units,
            write_capacity_units: whole.write_capacity_units,
            table: (mode == Mode::Indexes).then(|| part(self.table)),
            local_secondary_indexes: of_kind(false),
            global_secondary_indexes: of_kind(true),
        })
    }
}
