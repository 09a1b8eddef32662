//! Measures appending, reading, memory and starts.
//!
//! `cargo bench -p posthaste-retained` appends groups of records of 1 KiB with a sync each, in turns with a
//! plain file that gets the same bytes and syncs, and then reads them from the page cache.
//!
//! With arguments: `-- small 1000000` writes that many series of two records of 300 bytes, and tells what a
//! process takes that opens them; `-- large 100 4000` writes 100 series with 4000 MB in all. The last argument
//! can be a directory; the default is the system's directory for temporary files.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::engines::Files;
use kernel::{Dice, Time};
use posthaste_retained::{From, Limits, New, Options, Retention, Series, Store, Writer};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["reopen", path, series] = arguments[..] {
        return reopen(Path::new(path), series.parse().expect("how many series"));
    }
    let base = arguments
        .iter()
        .find(|argument| argument.contains('/'))
        .map_or(std::env::temp_dir(), |path| path.into());
    let directory = tempfile::tempdir_in(base).expect("a directory for temporary files");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    match arguments[..] {
        ["small", series, ..] => small(directory.path(), number(series)),
        ["large", series, megabytes, ..] => large(directory.path(), number(series), number(megabytes)),
        // `cargo test --benches` runs a small version.
        ["--test", ..] => append(directory.path(), 2000),
        _ => append(directory.path(), 200_000),
    }
}

fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> =
        text.split_whitespace().skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    Duration::from_millis(fields.iter().sum::<u64>() * 10)
}

/// Memory of the process that is not the page cache's, in bytes.
fn anonymous() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("RssAnon")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0) * 1024
}

fn open(path: &Path) -> Writer {
    Store::open(Arc::new(Files::open(path).unwrap()), &Options::default()).unwrap().writer
}

fn record(series: u64, sequence: u64, tail: &[u8]) -> New<'_> {
    let time = Time(1_700_000_000_000 + sequence);
    New { series: Series(series), sequence, time, retention: Retention::days(7), head: &[1; 30], tail }
}

fn append(directory: &Path, records: u64) {
    let body = [7; 1024];
    for size in [16, 64, 256, 1024] {
        let records = records.min(size * 400);
        let path = directory.join(format!("store{size}"));
        let mut writer = open(&path);
        let file = fs::File::create(directory.join(format!("plain{size}"))).unwrap();
        let plain_bytes = vec![7; size as usize * 1024];
        let (mut store, mut plain) = ((Duration::ZERO, Duration::ZERO), (Duration::ZERO, Duration::ZERO));
        let (mut appends, mut at) = (Duration::ZERO, 0);
        for group in 0..records / size {
            let (start, used) = (Instant::now(), cpu());
            let mut new: Vec<New<'_>> =
                (0..size).map(|i| record(i % 10, group * size + i + 1, &body)).collect();
            writer.append(&mut new).unwrap();
            appends += start.elapsed();
            writer.sync().unwrap();
            writer.tidy(Time(0)).unwrap();
            store = (store.0 + start.elapsed(), store.1 + (cpu() - used));
            let (start, used) = (Instant::now(), cpu());
            // Reserves as the store does.
            if at % (4 << 20) < plain_bytes.len() as u64 {
                rustix_reserve(&file, (at / (4 << 20) + 1) * (4 << 20) + plain_bytes.len() as u64);
            }
            file.write_all_at(&plain_bytes, at).unwrap();
            file.sync_data().unwrap();
            at += plain_bytes.len() as u64;
            plain = (plain.0 + start.elapsed(), plain.1 + (cpu() - used));
        }
        let rate = |time: Duration| records as f64 / time.as_secs_f64();
        let each = |time: Duration| time.as_secs_f64() * 1e6 / records as f64;
        println!(
            "groups of {size:>4}: store {:>7.0}/s, plain file {:>7.0}/s, ratio {:.2}; CPU {:.2} and {:.2} µs a record; \
             {:.2} µs in append",
            rate(store.0),
            rate(plain.0),
            rate(store.0) / rate(plain.0),
            each(store.1),
            each(plain.1),
            each(appends),
        );
        read(&writer, 10);
        fs::remove_dir_all(&path).unwrap();
    }
}

fn rustix_reserve(file: &fs::File, len: u64) {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len).unwrap();
}

/// Reads series to the end, and tells how fast that is.
fn read(writer: &Writer, series: u64) {
    let reader = writer.reader();
    for _ in 0..2 {
        let (start, used, mut bytes, mut records) = (Instant::now(), cpu(), 0, 0);
        for series in 0..series {
            let mut next = Some(0);
            while let Some(from) = next {
                let limits = Limits { records: 10_000, bytes: 1 << 20 };
                let page = reader.forwards(Series(series), From::Sequence(from), limits).unwrap();
                assert!(page.damage.is_empty());
                records += page.records.len();
                bytes += page.records.iter().map(|record| record.tail.len()).sum::<usize>();
                next = page.next;
            }
        }
        let time = start.elapsed().as_secs_f64();
        let of_cpu = (cpu() - used).as_secs_f64();
        println!(
            "    read {records} records, {:.2} GB/s, {:.2} GB a second of CPU",
            bytes as f64 / time / 1e9,
            bytes as f64 / of_cpu / 1e9
        );
    }
}

fn large(directory: &Path, series: u64, megabytes: u64) {
    let mut writer = open(directory);
    let body = [7; 1024];
    let start = Instant::now();
    for group in 0..megabytes / 4 {
        // What a mover hands over: groups in which each series has a part.
        let mut new: Vec<New<'_>> =
            (0..3800).map(|i| record(i % series, group * 3800 + i + 1, &body)).collect();
        writer.append(&mut new).unwrap();
        if group % 4 == 3 {
            writer.sync().unwrap();
            while writer.tidy(Time(0)).unwrap() {}
        }
    }
    writer.close().unwrap();
    println!("{megabytes} MB in {series} series in {:.1} s", start.elapsed().as_secs_f64());
    read(&writer, series.min(20));
    drop(writer);
    again(directory, series);
}

fn small(directory: &Path, series: u64) {
    let mut writer = open(directory);
    let body = [7; 300];
    let (start, used) = (Instant::now(), cpu());
    for group in 0..series / 1000 {
        let mut new: Vec<New<'_>> =
            (0..2000).map(|i| record(group * 1000 + i / 2, i % 2 + 1, &body)).collect();
        writer.append(&mut new).unwrap();
        if group % 100 == 99 {
            writer.sync().unwrap();
            while writer.tidy(Time(0)).unwrap() {}
        }
    }
    writer.close().unwrap();
    println!(
        "{series} series in {:.1} s, {:.2} µs of CPU a record",
        start.elapsed().as_secs_f64(),
        (cpu() - used).as_secs_f64() * 1e6 / (2 * series) as f64
    );
    drop(writer);
    again(directory, series);
}

/// Opens the directory in a fresh process, whose memory is the store's.
fn again(directory: &Path, series: u64) {
    let program = std::env::current_exe().unwrap();
    for _ in 0..2 {
        let arguments = ["reopen", directory.to_str().unwrap(), &series.to_string()];
        assert!(Command::new(&program).args(arguments).status().unwrap().success());
    }
}

fn reopen(path: &Path, series: u64) {
    let before = anonymous();
    let start = Instant::now();
    let writer = open(path);
    let opened = start.elapsed();
    let memory = anonymous() - before;
    println!(
        "    opened in {:.3} s, {:.1} MB, {:.1} bytes a series",
        opened.as_secs_f64(),
        memory as f64 / 1e6,
        memory as f64 / series as f64
    );
    let reader = writer.reader();
    let mut dice = Dice::from_seed(1);
    let (start, reads) = (Instant::now(), 100_000);
    for _ in 0..reads {
        let one = Series(dice.roll() % series);
        let page = reader.forwards(one, From::Sequence(0), Limits { records: 1, bytes: 1 }).unwrap();
        assert_eq!(page.records.len(), 1);
    }
    println!(
        "    the first record of a random series in {:.2} µs",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(reads)
    );
}
