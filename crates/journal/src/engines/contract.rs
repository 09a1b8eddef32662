//! The requirements for every storage engine, as tests that run on each.

use std::io::ErrorKind;
use std::sync::Arc;

use super::{Files, Memory};
use crate::storage::{File, Storage};

fn each(test: impl Fn(&dyn Storage)) {
    test(&Memory::new());
    let directory = tempfile::tempdir().unwrap();
    test(&Files::open(directory.path()).unwrap());
}

fn names(storage: &dyn Storage) -> Vec<String> {
    let mut names = storage.list().unwrap();
    names.retain(|name| name != super::LOCK);
    names.sort();
    names
}

fn read(file: &Arc<dyn File>, offset: u64, len: usize) -> Vec<u8> {
    let mut buffer = vec![0xee; len];
    let read = file.read_at(&mut buffer, offset).unwrap();
    buffer.truncate(read);
    buffer
}

#[test]
fn what_is_written_is_read_back_across_buffers_and_blocks() {
    each(|storage| {
        let file = storage.create("a").unwrap();
        let long: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        file.write_at(&[b"one", b"", &long, b"two"], 5).unwrap();
        assert_eq!(file.len().unwrap(), 200_011);
        assert_eq!(read(&file, 0, 8), b"\0\0\0\0\0one");
        assert_eq!(read(&file, 8, 200_000), long);
        assert_eq!(read(&file, 200_007, 100), b"\x3ftwo", "reading stops at the end of the file");
        assert_eq!(read(&file, 300_000, 1), b"");
        let mut buffer = [0; 3];
        assert_eq!(file.try_read_at(&mut buffer, 5).unwrap(), 3);
        file.sync().unwrap();
        assert_eq!(read(&storage.open("a").unwrap(), 5, 3), b"one");
    });
}

#[test]
fn more_buffers_than_the_system_takes_at_once_are_all_written() {
    each(|storage| {
        let file = storage.create("a").unwrap();
        let buffers: Vec<[u8; 2]> = (0..3000u16).map(u16::to_le_bytes).collect();
        let slices: Vec<&[u8]> = buffers.iter().map(|buffer| &buffer[..]).collect();
        file.write_at(&slices, 0).unwrap();
        assert_eq!(read(&file, 0, 6000), buffers.concat());
    });
}

#[test]
fn a_reserved_file_has_its_length_and_reads_as_zeros() {
    each(|storage| {
        let file = storage.create("a").unwrap();
        file.write_at(&[b"x"], 0).unwrap();
        file.reserve(100_000).unwrap();
        assert_eq!(file.len().unwrap(), 100_000);
        assert_eq!(read(&file, 0, 3), b"x\0\0");
        file.reserve(10).unwrap();
        assert_eq!(file.len().unwrap(), 100_000, "reserving less takes nothing away");
    });
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    each(|storage| {
        let file = storage.create("a").unwrap();
        file.write_at(&[&[7; 150_000]], 0).unwrap();
        file.set_len(10).unwrap();
        file.set_len(150_000).unwrap();
        assert_eq!(read(&file, 0, 150_000), [&[7; 10][..], &[0; 149_990]].concat());
    });
}

#[test]
fn names_change_as_they_are_told_to() {
    each(|storage| {
        storage.create("a").unwrap().write_at(&[b"a"], 0).unwrap();
        storage.create("b").unwrap().write_at(&[b"b"], 0).unwrap();
        storage.rename("a", "b").unwrap();
        assert_eq!(names(storage), ["b"]);
        let file = storage.open("b").unwrap();
        assert_eq!(read(&file, 0, 9), b"a");
        storage.remove("b").unwrap();
        assert_eq!(names(storage), [""; 0]);
        assert_eq!(read(&file, 0, 9), b"a", "who has it open reads on");
        storage.sync_dir().unwrap();
        for error in [storage.open("b").err(), storage.remove("b").err(), storage.rename("b", "c").err()] {
            assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::NotFound));
        }
        assert_eq!(storage.create("c").unwrap().len().unwrap(), 0);
        storage.open("c").unwrap().write_at(&[b"c"], 0).unwrap();
        assert_eq!(storage.create("c").unwrap().len().unwrap(), 0, "creating replaces");
    });
}

#[test]
fn a_directory_in_use_refuses_a_second_user_and_names_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new");
    let first = Files::open(&path).unwrap();
    let refusal = Files::open(&path).unwrap_err().to_string();
    assert!(refusal.contains(&format!("in use by process {}", std::process::id())), "{refusal}");
    drop(first);
    Files::open(&path).unwrap();
}

#[test]
fn a_directory_opened_for_reading_cannot_be_changed() {
    let directory = tempfile::tempdir().unwrap();
    Files::open(directory.path()).unwrap().create("a").unwrap();
    let storage = Files::read_only(directory.path()).unwrap();
    assert!(storage.create("b").is_err());
    assert!(storage.remove("a").is_err());
    assert!(storage.rename("a", "b").is_err());
    assert!(storage.open("a").unwrap().write_at(&[b"x"], 0).is_err());
}
