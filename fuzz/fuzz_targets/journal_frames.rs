//! A log whose bytes were overwritten is opened or refused, never misread in silence or with a panic.
#![no_main]

use std::sync::Arc;

use journal::{Class, Journal, Options, Storage, Time, engines::Memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let options = Options { segment_bytes: 4096, log_id: 7, ..Options::default() };
    let Ok(journal) = Journal::open(storage.clone(), &options) else { return };
    let mut appender = journal.appender();
    let mut writer = journal.into_writer();
    for number in 0..20u64 {
        appender.push(
            Class::Flow,
            |head| head.extend_from_slice(&number.to_le_bytes()),
            &[number as u8; 100],
        );
        if let Some(mut batch) = appender.take(Time(number), writer.durable(), number) {
            let _ = writer.write(&mut batch);
            let _ = writer.sync();
        }
    }
    drop(writer);
    let Some(()) = posthaste_fuzz::overwrite(&*storage, data) else { return };
    if let Ok(mut journal) = Journal::open(storage, &options) {
        let mut next = 0u64;
        let _ = journal.flow(|entry| {
            assert_eq!(entry.head, next.to_le_bytes(), "records come whole and in order");
            next += 1;
        });
    }
});
