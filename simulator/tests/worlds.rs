//! Simulated worlds go right, repeat exactly, and go wrong where a fault was built in.

use simulator::{Bug, Options, run};

fn options(seed: u64) -> Options {
    Options { steps: 800, ..Options::new(seed) }
}

#[test]
fn whatever_happens_to_the_disk_and_the_clock_every_promise_is_kept() {
    let mut deliveries = 0;
    let mut discards = 0;
    for seed in 1..=200 {
        let outcome = run(&options(seed)).unwrap_or_else(|violation| panic!("{violation}"));
        deliveries += outcome.deliveries;
        discards += outcome.discards;
    }
    assert!(deliveries > 10_000, "only {deliveries} messages were given");
    assert!(discards > 1_000, "only {discards} segments were dropped");
}

#[test]
fn worlds_that_went_wrong_once_go_right() {
    // Each found a fault that has been mended; the commits name the seeds.
    for seed in [3, 12, 48, 184, 878, 1733, 2564] {
        run(&Options::new(seed)).unwrap_or_else(|violation| panic!("{violation}"));
    }
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in 1..=5 {
        let options = Options { trace: true, ..options(seed) };
        let (one, other) = (run(&options).unwrap(), run(&options).unwrap());
        assert!(one.trace.len() > 10_000);
        assert_eq!(one, other);
    }
}

/// How many of some worlds with a fault go wrong.
fn found(bug: Bug) -> usize {
    (1..=10).filter(|&seed| run(&Options { bug: Some(bug), ..options(seed) }).is_err()).count()
}

#[test]
fn an_answer_before_the_sync_is_found() {
    assert!(found(Bug::LostAck) >= 5);
}

#[test]
fn a_tombstone_that_is_overlooked_is_found() {
    assert!(found(Bug::Resurrect) >= 5);
}

#[test]
fn a_segment_that_is_dropped_too_early_is_found() {
    assert!(found(Bug::EarlyDiscard) >= 5);
}
