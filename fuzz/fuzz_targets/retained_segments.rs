//! A store whose files were overwritten opens, and its readers return what was written or report damage: never
//! something else, and never a panic.
#![no_main]

use std::sync::Arc;

use journal::{Storage, engines::Memory};
use kernel::Time;
use libfuzzer_sys::fuzz_target;
use retained::{From, Limits, New, Options, Retention, Series, Store, check_storage};

fuzz_target!(|data: &[u8]| {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let options = Options { segment_bytes: 3000, id: 7, durable: true };
    let Ok(mut store) = Store::open(storage.clone(), &options) else { return };
    for number in 1..=20u64 {
        let tail = [number as u8; 100];
        let record = |series, days| New {
            series: Series(series),
            sequence: number,
            time: Time(number),
            retention: Retention::days(days),
            head: b"head",
            tail: &tail,
        };
        let _ = store.writer.append(&mut [record(1, 1), record(2, 1), record(3, 30)]);
        let _ = store.writer.sync();
        while store.writer.tidy(Time(0)).unwrap_or(false) {}
    }
    drop(store);
    let Some(()) = posthaste_fuzz::overwrite(&*storage, data) else { return };
    let _ = check_storage(storage.clone());
    let Ok(mut store) = Store::open(storage, &options) else { return };
    let reader = store.writer.reader();
    for series in [1, 2, 3] {
        let limits = Limits { records: 7, bytes: 10_000 };
        let mut next = Some(0);
        while let Some(from) = next
            && let Ok(page) = reader.forwards(Series(series), From::Sequence(from), limits)
        {
            for record in &page.records {
                assert!(record.sequence >= from && record.tail[..] == [record.sequence as u8; 100]);
            }
            next = page.next;
        }
        let _ = reader.backwards(Series(series), None, limits);
    }
    while store.writer.tidy(Time(0)).unwrap_or(false) {}
});
