//! Measures the cost of a record on its way to the disk and at a restart.
//!
//! `cargo bench -p posthaste-journal` measures appending records of 1 KiB, 64 a batch: the engine's share
//! (push and take), and the whole way through the threads. The results are costs of CPU and memory, not the
//! speed of the disk.
//!
//! With arguments: `-- reopen 10000000` writes that many records of 256 bytes and opens the log again; `--
//! open` opens empty directories; `-- sync` compares the cost of a sync in files that grow, are allocated,
//! were zeroed, or are reused. The last argument can be a directory; the default is the system's directory
//! for temporary files.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use posthaste_journal::engines::Files;
use posthaste_journal::{Class, Durability, Journal, Options, Progress, Time};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let base = arguments
        .iter()
        .find(|argument| argument.contains('/'))
        .map_or(std::env::temp_dir(), |path| path.into());
    let directory = tempfile::tempdir_in(base).expect("a directory for temporary files");
    match arguments[..] {
        ["reopen", records, ..] => reopen(directory.path(), records.parse().expect("how many records")),
        ["open", ..] => open(directory.path()),
        ["sync", ..] => sync(directory.path()),
        // `cargo test --benches` runs a small version.
        ["--test", ..] => append(directory.path(), 1000),
        _ => append(directory.path(), 2_000_000),
    }
}

fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> =
        text.split_whitespace().skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    Duration::from_millis(fields.iter().sum::<u64>() * 10)
}

fn append(directory: &Path, records: u32) {
    for durability in [Durability::Os, Durability::Fsync { threads: 3, pace: Duration::from_micros(500) }] {
        let path = directory.join(format!("{durability:?}").replace(|c: char| !c.is_alphanumeric(), ""));
        let journal = Journal::open(Arc::new(Files::open(&path).unwrap()), &Options::default()).unwrap();
        let mut appender = journal.appender();
        let (tell, told) = channel();
        let pipeline = journal.into_pipeline(durability, move |progress| drop(tell.send(progress))).unwrap();
        let body = [7; 1024];
        let mut engine = Duration::ZERO;
        let (start, cpu_start) = (Instant::now(), cpu());
        for _ in 0..records / 64 {
            let begin = Instant::now();
            for _ in 0..64 {
                appender.push(Class::Flow, |out| out.extend_from_slice(&[1; 40]), &body);
            }
            let batch = appender.take(Time(1), pipeline.durable(), 1);
            engine += begin.elapsed();
            pipeline.submit(batch.expect("64 records"));
            while let Some(batch) = pipeline.spent() {
                appender.recycle(batch);
            }
            // Keeps the queue short, as the engine's mailbox does.
            while pipeline.waiting() > 16 {
                drop(told.recv());
            }
        }
        let end = appender.end();
        assert_eq!(pipeline.close().unwrap(), end);
        let syncs = told.try_iter().filter(|progress| matches!(progress, Progress::Durable(_))).count();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(records);
        println!(
            "{durability:?}: {:.2} µs a record on the engine's thread, {:.2} µs of CPU in all, {:.2} µs by the clock, \
             {syncs} reports of durability at the end",
            each(engine),
            each(cpu() - cpu_start),
            each(start.elapsed()),
        );
        fs::remove_dir_all(&path).unwrap();
    }
}

fn reopen(directory: &Path, records: u32) {
    let journal = Journal::open(Arc::new(Files::open(directory).unwrap()), &Options::default()).unwrap();
    let mut appender = journal.appender();
    let mut writer = journal.into_writer();
    let start = Instant::now();
    for i in 0..records {
        appender.push(Class::Flow, |out| out.extend_from_slice(&[1; 30]), &[7; 256]);
        if i % 256 == 255 {
            let mut batch = appender.take(Time(1), writer.durable(), 1).unwrap();
            writer.write(&mut batch).unwrap();
            appender.recycle(batch);
        }
        if i % 200_000 == 0 {
            writer.sync().unwrap();
            writer.tidy().unwrap();
        }
    }
    writer.sync().unwrap();
    writer.tidy().unwrap();
    drop(writer);
    println!("written in {:.2} s", start.elapsed().as_secs_f64());
    for _ in 0..3 {
        let start = Instant::now();
        let mut journal =
            Journal::open(Arc::new(Files::open(directory).unwrap()), &Options::default()).unwrap();
        let opened = start.elapsed();
        let (mut seen, mut bytes) = (0u32, 0);
        journal.configuration(|_| seen += 1).unwrap();
        journal
            .flow(|entry| {
                seen += 1;
                bytes += entry.head.len();
            })
            .unwrap();
        assert_eq!(seen, records / 256 * 256);
        println!(
            "{seen} records in {:.2} s, of which opening took {:.3} s; {bytes} bytes of heads",
            start.elapsed().as_secs_f64(),
            opened.as_secs_f64()
        );
    }
}

fn open(directory: &Path) {
    let mut times: Vec<Duration> = (0..50)
        .map(|i| {
            let path = directory.join(i.to_string());
            let start = Instant::now();
            let journal = Journal::open(Arc::new(Files::open(&path).unwrap()), &Options::default()).unwrap();
            let pipeline = journal
                .into_pipeline(Durability::Fsync { threads: 3, pace: Duration::from_micros(500) }, |_| {})
                .unwrap();
            let time = start.elapsed();
            drop(pipeline);
            time
        })
        .collect();
    times.sort();
    println!("an empty directory is open after {:?} (median), {:?} (slowest of 50)", times[25], times[49]);
}

fn sync(directory: &Path) {
    const LEN: usize = 64 << 20;
    for write in [4 << 10, 64 << 10, 512 << 10] {
        for kind in ["growing", "reserved", "zeroed", "again"] {
            let path = directory.join(kind);
            let file = fs::File::create(&path).unwrap();
            match kind {
                "reserved" => {
                    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, LEN as u64).unwrap();
                }
                "zeroed" | "again" => (&file).write_all(&vec![u8::from(kind == "again"); LEN]).unwrap(),
                _ => {}
            }
            file.sync_all().unwrap();
            let count = (LEN / write).min(300);
            let start = Instant::now();
            let (mut times, cpu_start) = (Vec::new(), cpu());
            for i in 0..count {
                let begin = Instant::now();
                file.write_all_at(&vec![9; write], (i * write) as u64).unwrap();
                file.sync_data().unwrap();
                times.push(begin.elapsed());
            }
            times.sort();
            println!(
                "{:>4} KiB, {kind:>8}: p50 {:.2} ms, p90 {:.2} ms, mean {:.2} ms, CPU {:.2} ms",
                write >> 10,
                times[count / 2].as_secs_f64() * 1e3,
                times[count * 9 / 10].as_secs_f64() * 1e3,
                start.elapsed().as_secs_f64() * 1e3 / count as f64,
                (cpu() - cpu_start).as_secs_f64() * 1e3 / count as f64,
            );
            fs::remove_file(&path).unwrap();
        }
    }
}
