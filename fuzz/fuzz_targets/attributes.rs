//! Any values of queue attributes are read or refused; what is read can be applied.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sqs::rules::{attributes, policy, settings::Settings};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let pairs: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('=')).collect();
    for fifo in [false, true] {
        if let Ok(changes) = attributes::parse(pairs.iter().copied(), fifo) {
            let _ = attributes::changed(&Settings::default(), &changes);
        }
    }
    let _ = policy::check(text);
});
