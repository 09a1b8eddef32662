//! Stories of dead-letter queues and move tasks. Sections are those of facts/sqs.md.

use crate::world::check;

const START: &str = "create d | create q dlq=d max=2 visibility=1";

#[test]
fn a_message_moves_when_it_would_be_received_once_too_often() {
    // § 8; its receive count goes on
    check(&format!(
        "{START} | send q a | receive q → a | wait 1s | receive q → a#2 | wait 1s | count d 0/0/0 \
         | receive q → nothing | count q 0/0/0 | count d 1/0/0 | receive d → a#3"
    ));
}

#[test]
fn a_dead_letter_queue_with_one_of_its_own_delivers_as_often_as_its_policy_says() {
    // § 8: what it was received before counts for `ApproximateReceiveCount` only. Neither a crash nor the cleaner forgets
    // where it was received.
    let start = "create last | create middle dlq=last max=2 visibility=1 | create first dlq=middle max=3 visibility=1 \
                 | send first a | receive first → a | wait 1s | receive first → a#2 | wait 1s | receive first → a#3 | wait 1s \
                 | receive first → nothing";
    for meanwhile in ["count first 0/0/0", "crash", "clean | crash"] {
        check(&format!(
            "{start} | {meanwhile} | receive middle → a#4 | wait 1s | {meanwhile} | receive middle → a#5 | wait 1s \
             | receive middle → nothing | count middle 0/0/0 | {meanwhile} | receive last → a#6"
        ));
    }
}

#[test]
fn dead_letters_in_its_way_keep_nothing_from_a_receive() {
    // 40 groups with nothing but a dead letter come before the one that has more.
    let each = |step: &dyn Fn(u32) -> String| (0..40).map(step).collect::<Vec<_>>().join(" | ");
    let send = each(&|n| format!("send q a{n} group=g{n}"));
    let receive = each(&|n| format!("receive q max=1 → a{n}"));
    let start = format!(
        "create d | create q dlq=d max=1 visibility=60 | {send} | {receive} | wait 60s | send q b group=h"
    );
    check(&format!("{start} | receive q → b | count q 0/1/0 | count d 40/0/0"));
    check(&format!("{start} | poll q as x | x got b | count d 40/0/0"));
}

#[test]
fn who_waits_for_a_message_gets_it_however_many_dead_letters_come_before_it() {
    // One receive moves 128 of them.
    let list = |most: u32, step: &dyn Fn(u32) -> String, between: &str| {
        (0..most).map(step).collect::<Vec<_>>().join(between)
    };
    let send = list(200, &|n| format!("send q.fifo a{n} group=g{n} dedup=a{n}"), " | ");
    let ten = |n: u32| list(10, &|m| format!("a{}", 10 * n + m), " ");
    let receive = list(20, &|n| format!("receive q.fifo → {}", ten(n)), " | ");
    check(&format!(
        "create d.fifo | create q.fifo dlq=d.fifo max=1 visibility=60 | {send} | {receive} | wait 61s \
         | send q.fifo b group=h dedup=b | poll q.fifo as x | x got b | count d.fifo 200/0/0"
    ));
}

#[test]
fn a_message_whose_dead_letter_queue_is_gone_is_received_again() {
    // § 8
    check(&format!(
        "{START} | drop d | send q a | receive q → a | wait 1s | receive q → a#2 | wait 1s | receive q → a#3"
    ));
}

#[test]
fn a_dead_letter_on_a_standard_queue_expires_as_if_it_had_not_moved() {
    // § 8: the message keeps its original enqueue timestamp
    check(
        "create d retention=60 | create q dlq=d max=1 visibility=10 | send q a | receive q → a | wait 10s \
         | receive q → nothing | count d 1/0/0 | wait 49s | count d 1/0/0 | wait 1s | count d 0/0/0",
    );
}

#[test]
fn a_fifo_group_goes_on_when_its_head_has_moved() {
    check(
        "create d.fifo | create q.fifo dlq=d.fifo max=1 visibility=1 | send q.fifo a group=1 dedup=a \
         | send q.fifo b group=1 dedup=b | receive q.fifo max=1 → a | wait 1s | receive q.fifo → b | receive d.fifo → a#2",
    );
}

#[test]
fn a_client_that_waits_gets_the_dead_letter_from_its_queue() {
    check(&format!(
        "{START} | poll d as x | send q a | receive q → a | wait 1s | receive q → a#2 | wait 1s | x waits \
         | receive q → nothing | x got a#3"
    ));
}

#[test]
fn a_move_task_brings_messages_back_as_new_ones() {
    // § 8
    check(&format!(
        "{START} | send q a | send q b | receive q → a b | wait 1s | receive q → a#2 b#2 | wait 1s | receive q → nothing \
         | move d | wait 1s | moved d COMPLETED 2 | count d 0/0/0 | receive q → a b"
    ));
    check("create q | move q → refused: InvalidParameterValueException");
    check("create q | move nowhere → refused: ResourceNotFoundException");
}

#[test]
fn a_move_task_keeps_to_its_rate() {
    check(
        "create d | create q dlq=d max=1 | create e | send d a | send d b | send d c | move d to=e rate=1 | count e 1/0/0 \
         | wait 1s | count e 2/0/0 | moved d RUNNING 2 | move d → refused: InvalidParameterValueException | wait 2s \
         | moved d COMPLETED 3 | receive e → a b c",
    );
}
