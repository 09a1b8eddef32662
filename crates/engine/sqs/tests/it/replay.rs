//! Whatever happens before a crash or while the log is cleaned, the same can be received afterwards.

use proptest::prelude::*;

use crate::world::{World, check};

#[test]
fn what_was_recorded_is_there_after_a_crash() {
    check(
        "create q | send q a | send q b | receive q max=1 → a | crash | count q 1/1/0 | receive q → b | wait 30s | receive q → a#2 b#2",
    );
    check("create q | send q a | receive q → a | delete q a | crash | wait 1m | receive q → nothing");
    check("create q | send q a | purge q | send q b | crash | receive q → b");
    check("create q | send q a | drop q | create q | crash | receive q → nothing");
    check("create q | send q a delay=5 | crash | receive q → nothing | wait 5s | receive q → a");
    check(
        "create q.fifo | send q.fifo a group=1 dedup=a | receive q.fifo → a | crash | send q.fifo b group=1 dedup=a → same as a | send q.fifo c group=1 dedup=c | receive q.fifo → nothing | delete q.fifo a | receive q.fifo → c",
    );
}

#[test]
fn a_handle_is_good_though_its_receive_was_forgotten() {
    for group in ["", " group=g"] {
        check(&format!(
            "create q | send q a{group} | send q b{group} | receive q max=1 → a | forget | delete q a | crash | receive q → b | \
             delete q a | delete q b | wait 1m | receive q → nothing",
        ));
    }
}

#[test]
fn what_lives_is_there_after_the_log_was_cleaned() {
    check(
        "create q | send q a | send q b | receive q max=1 → a | clean | crash | count q 1/1/0 | wait 30s | receive q → a#2 b",
    );
    check(
        "create d | create q dlq=d max=1 visibility=1 | send q a | receive q → a | wait 1s | receive q → nothing | clean | crash | receive d → a#2",
    );
}

#[test]
fn what_was_deleted_stays_so_though_a_crash_cut_short_its_writing_forward() {
    // `a` lies in a segment that stays, since `b` does, and again in one that could go before it.
    let filler = "x".repeat(1900);
    check(&format!(
        "create q | create other | send q a | send q b | send other 1{filler} | receive q max=1 → a | forward a | crash | \
         send other 2{filler} | delete q a | send other 3{filler} | purge other | crash | discard | discard | crash | \
         count q 1/0/0 | receive q → b",
    ));
}

#[test]
fn a_history_that_was_cut_off_its_message_is_not_forgotten_when_the_old_segment_goes() {
    // `a` has a segment of its own; what it is written forward as is a record that is kept and one, its history, that is lost.
    let filler = "x".repeat(1900);
    check(&format!(
        "create q | create other | send other 1{filler} | send q a | send other 2{filler} | receive q visibility=600 → a | \
         send other 3{filler} | forward a | forget | send other 4{filler} | discard | crash | count q 0/1/0 | receive q → nothing | \
         wait 10m | receive q → a#2",
    ));
}

#[test]
fn an_attempt_is_repeated_whole_though_one_of_its_messages_was_written_forward() {
    let filler = "x".repeat(1900);
    check(&format!(
        "create q.fifo | create other | send other 1{filler} | send q.fifo a group=1 dedup=a | send other 2{filler} | \
         send q.fifo b group=1 dedup=b | wait 5m | receive q.fifo visibility=600 attempt=t → a b | send other 3{filler} | forward a | \
         send other 4{filler} | discard | crash | receive q.fifo visibility=600 attempt=t → a b",
    ));
}

/// What happens to both worlds; the queue is `q`, or `q.fifo`.
fn step(
    name: &str,
    dlq: &str,
    fifo: bool,
    number: usize,
    (step, which, group): (usize, usize, usize),
) -> String {
    let padding = "x".repeat(which * 40);
    match step {
        0..=3 if group == 0 && !fifo => format!("send {name} {number}{padding}"),
        0..=3 => format!("send {name} {number}{padding} group={group}"),
        4 if !fifo => format!("send {name} {number} delay={}", which + 1),
        4..=6 => format!("receive {name} max={}", which + 1),
        7 => format!("receive {dlq} max={}", which + 1),
        8 | 9 => format!("delete {which}"),
        10 => format!("extend {which}"),
        11 => format!("wait {}s", which * 5 + 1),
        12 => "crash".into(),
        _ => "clean".into(),
    }
}

type Steps = Vec<(usize, usize, usize)>;

fn steps() -> impl Strategy<Value = Steps> {
    proptest::collection::vec((0usize..14, 0usize..6, 0usize..3), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Two worlds live through the same; one crashes and cleans its log in between. They look the same.
    #[test]
    fn a_fifo_world_that_crashes_and_cleans_is_like_one_that_does_not(steps in steps()) {
        let (mut plain, mut crashing) = (World::new(), World::new());
        for world in [&mut plain, &mut crashing] {
            world.tell("create d.fifo | create q.fifo dlq=d.fifo max=3 visibility=20 retention=300 content");
        }
        for (number, which) in steps.into_iter().enumerate() {
            let step = step("q.fifo", "d.fifo", true, number, which);
            if matches!(step.as_str(), "crash" | "clean") {
                crashing.tell(&step);
            } else {
                prop_assert_eq!(plain.any("q.fifo", &step), crashing.any("q.fifo", &step), "after {}", step);
            }
        }
        crashing.tell("clean | crash");
        for queue in ["q.fifo", "d.fifo"] {
            prop_assert_eq!(plain.counts(queue), crashing.counts(queue));
            for world in [&mut plain, &mut crashing] {
                world.tell("wait 1m");
            }
            prop_assert_eq!(plain.drain(queue), crashing.drain(queue));
        }
    }

    /// On standard queues, too; but there the order may differ, and so what is received when: what groups have taken of the
    /// consumers' time is not remembered. From then on as many messages live, but not as many of them are in flight.
    #[test]
    fn a_standard_world_that_crashes_and_cleans_has_the_messages_of_one_that_does_not(steps in steps()) {
        let (mut plain, mut crashing) = (World::new(), World::new());
        for world in [&mut plain, &mut crashing] {
            world.tell("create d | create q dlq=d max=1000 visibility=20");
        }
        let mut alike = true;
        let living = |world: &World| {
            let (visible, in_flight, delayed) = world.counts("q");
            visible + in_flight + delayed
        };
        for (number, which) in steps.into_iter().enumerate() {
            let step = step("q", "d", false, number, which);
            if matches!(step.as_str(), "crash" | "clean") {
                crashing.tell(&step);
            } else if step.starts_with("delete") || step.starts_with("extend") {
                if let Some(body) = plain.received("q").into_iter().find(|body| crashing.received("q").contains(body)) {
                    for world in [&mut plain, &mut crashing] {
                        world.tell(&format!("delete q {body}"));
                    }
                }
            } else {
                alike &= plain.any("q", &step) == crashing.any("q", &step);
            }
            prop_assert_eq!(living(&plain), living(&crashing), "after {}", step);
            if alike {
                prop_assert_eq!(plain.counts("q"), crashing.counts("q"), "after {}", step);
            }
        }
        crashing.tell("clean | crash");
        prop_assert_eq!(living(&plain), living(&crashing));
        for world in [&mut plain, &mut crashing] {
            world.tell("wait 1m");
        }
        let bodies = |world: &mut World| {
            let mut bodies: Vec<String> =
                world.drain("q").into_iter().map(|shown| shown.split('#').next().unwrap().to_owned()).collect();
            bodies.sort();
            bodies
        };
        prop_assert_eq!(bodies(&mut plain), bodies(&mut crashing));
    }
}
