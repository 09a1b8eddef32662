//! How long a record's head may be, and how facts that gather are divided among records so that none is longer.

/// Bytes of a head that names many facts, none of which needs the others. What gathers more than that, since it follows from
/// time, from a start or from one request, becomes several records.
pub const GATHERED_BYTES: usize = 32 << 10;

/// Bytes of a head that is a single fact, such as a declaration with all of its attributes. A request that would make a longer
/// one is refused.
pub const FACT_BYTES: usize = 1 << 20;

/// Divides facts among records, in their order: each gets as many as take no more than [`GATHERED_BYTES`], and one at least.
/// `bytes` says what a fact takes at the most.
pub fn in_records<T>(facts: impl IntoIterator<Item = T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut records: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for fact in facts {
        let needed = bytes(&fact);
        match records.last_mut() {
            Some(record) if needed <= room => {
                room -= needed;
                record.push(fact);
            }
            _ => {
                room = GATHERED_BYTES.saturating_sub(needed);
                records.push(vec![fact]);
            }
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_keep_their_order_and_no_record_is_too_long() {
        let facts: Vec<usize> = (0..1000).map(|n| n * 37 % 500).collect();
        let records = in_records(facts.clone(), |&bytes| bytes);
        assert_eq!(records.concat(), facts);
        assert!(records.iter().all(|record| record.iter().sum::<usize>() <= GATHERED_BYTES));
        assert!(records.len() <= facts.iter().sum::<usize>() / (GATHERED_BYTES - 500) + 1);
    }

    #[test]
    fn a_fact_that_is_too_long_has_a_record_of_its_own() {
        let records = in_records([10, 2 * GATHERED_BYTES, 10, 10], |&bytes| bytes);
        assert_eq!(records, [vec![10], vec![2 * GATHERED_BYTES], vec![10, 10]]);
        assert!(in_records([], |_: &usize| 1).is_empty());
    }
}
