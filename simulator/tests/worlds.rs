//! Simulated worlds go right, repeat exactly, and go wrong where a fault was built in.

use simulator::{Bug, Options, run};

/// The seeds of a sweep: all of them where `cargo xtask test --all` asks for the slow tests, otherwise the first half.
fn seeds(most: u64) -> std::ops::RangeInclusive<u64> {
    let is_whole = std::env::var_os("POSTHASTE_TEST_ALL").is_some();
    1..=if is_whole { most } else { most / 2 }
}

fn options(seed: u64) -> Options {
    Options { steps: 800, ..Options::new(seed) }
}

#[test]
fn whatever_happens_to_the_disk_and_the_clock_every_promise_is_kept() {
    let mut deliveries = 0;
    let mut discards = 0;
    for seed in seeds(200) {
        let outcome = run(&options(seed)).unwrap_or_else(|violation| panic!("{violation}"));
        deliveries += outcome.deliveries;
        discards += outcome.discards;
    }
    assert!(deliveries > 5_000, "only {deliveries} messages were given");
    assert!(discards > 500, "only {discards} segments were dropped");
}

#[test]
fn what_is_deleted_and_received_in_one_request_stays_deleted_and_was_given() {
    let mut deliveries = 0;
    for seed in seeds(100) {
        let options = Options { turns: true, ..options(seed) };
        let outcome = run(&options).unwrap_or_else(|violation| panic!("{violation}"));
        deliveries += outcome.deliveries;
    }
    assert!(deliveries > 2_500, "only {deliveries} messages were given");
}

#[test]
fn whatever_comes_together_and_falls_due_together_every_promise_is_kept() {
    let mut deliveries = 0;
    for seed in 1..=15 {
        let options = Options { crowds: true, topics: seed % 3 == 0, ..options(seed) };
        let outcome = run(&options).unwrap_or_else(|violation| panic!("{violation}"));
        deliveries += outcome.deliveries;
    }
    assert!(deliveries > 5_000, "only {deliveries} messages were given");
}

#[test]
fn worlds_that_went_wrong_once_go_right() {
    // Each found a fault that has been mended; the commits name the seeds.
    for seed in [3, 12, 48, 184, 878, 1733, 2564] {
        run(&Options::new(seed)).unwrap_or_else(|violation| panic!("{violation}"));
    }
}

fn with_topics(seed: u64) -> Options {
    Options { topics: true, ..options(seed) }
}

#[test]
fn what_is_published_reaches_all_who_want_it_or_nobody_and_no_delivery_is_forgotten() {
    let (mut publishes, mut attempts) = (0, 0);
    for seed in seeds(140) {
        let outcome = run(&with_topics(seed)).unwrap_or_else(|violation| panic!("{violation}"));
        publishes += outcome.publishes;
        attempts += outcome.attempts;
    }
    assert!(publishes > 5_000, "only {publishes} messages were published");
    assert!(attempts > 1_000, "only {attempts} attempts to deliver were made");
}

#[test]
fn worlds_with_topics_that_went_wrong_once_go_right() {
    // Each found a fault that has been mended; the commits name the seeds.
    for seed in [11, 26, 83, 89] {
        run(&Options { topics: true, ..Options::new(seed) })
            .unwrap_or_else(|violation| panic!("{violation}"));
    }
}

fn with_archives(seed: u64) -> Options {
    Options { archives: true, ..with_topics(seed) }
}

#[test]
fn what_is_archived_is_replayed_once_and_in_order_whatever_happens_in_between() {
    let mut replayed = 0;
    for seed in seeds(100) {
        let outcome = run(&with_archives(seed)).unwrap_or_else(|violation| panic!("{violation}"));
        replayed += outcome.replayed;
    }
    assert!(replayed > 1_500, "only {replayed} messages were replayed");
}

#[test]
fn worlds_with_archives_that_went_wrong_once_go_right() {
    // Each found a fault that has been mended; the commits name the seeds.
    for seed in [2, 3, 6, 7, 23, 165, 243] {
        run(&Options { archives: true, topics: true, ..Options::new(seed) })
            .unwrap_or_else(|violation| panic!("{violation}"));
    }
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for (seed, topics) in [(1, false), (2, false), (3, true), (4, true)] {
        let options = Options { trace: true, topics, ..options(seed) };
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

#[test]
fn a_batch_of_which_a_crash_leaves_a_part_is_found() {
    let is_found = |seed| {
        let options = Options { bug: Some(Bug::SplitGroups), ..options(seed) };
        run(&options).is_err_and(|violation| violation.what.contains("which is one group"))
    };
    let found: Vec<u64> = (1..=100).filter(|&seed| is_found(seed)).collect();
    assert!(found.len() >= 3, "{found:?}");
}

/// How many of some worlds with topics and with a fault go wrong.
fn found_with_topics(bug: Bug) -> usize {
    (1..=20).filter(|&seed| run(&Options { bug: Some(bug), ..with_topics(seed) }).is_err()).count()
}

#[test]
fn a_delivery_that_a_start_forgets_is_found() {
    // It shows only where a delivery waits when the server dies.
    assert!(found_with_topics(Bug::ForgottenDelivery) >= 2);
}

#[test]
fn a_delivery_that_a_start_repeats_is_found() {
    assert!(found_with_topics(Bug::RepeatedDelivery) >= 5);
}

#[test]
fn a_publish_that_reaches_only_some_of_its_queues_is_found() {
    assert!(found_with_topics(Bug::SplitFanOut) >= 5);
}

/// How many of some worlds with archives and with a fault go wrong. Replays rest while the disk is full, so that few of them are
/// under way when the server dies.
fn found_with_archives(bug: Bug) -> usize {
    (1..=64).filter(|&seed| run(&Options { bug: Some(bug), ..with_archives(seed) }).is_err()).count()
}

#[test]
fn a_replay_that_a_start_repeats_is_found() {
    assert!(found_with_archives(Bug::RepeatedReplay) >= 5);
}

#[test]
fn an_archive_that_a_start_forgets_is_found() {
    assert!(found_with_archives(Bug::ForgottenArchive) >= 5);
}

#[test]
fn an_event_that_a_start_forgets_to_archive_is_found() {
    assert!(found_with_archives(Bug::ForgottenEvent) >= 5);
}

#[test]
fn what_counts_as_kept_before_the_store_has_it_durably_is_found() {
    assert!(found_with_archives(Bug::EarlyKept) >= 3);
}

#[test]
fn what_the_store_gets_before_the_log_has_it_durably_is_found() {
    assert!(found_with_archives(Bug::EarlyKeep) >= 5);
}
