//! Stories of standard queues. Sections are those of facts/sqs.md.

use crate::world::{World, check};

#[test]
fn a_message_is_hidden_while_it_is_in_flight_and_comes_back_with_a_higher_count() {
    // § 6
    check(
        "create q | send q a | receive q → a | receive q → nothing | count q 0/1/0 | wait 29s | receive q → nothing",
    );
    check(
        "create q | send q a | receive q → a | wait 30s | count q 1/0/0 | receive q → a#2 | delete q a | count q 0/0/0",
    );
}

#[test]
fn messages_come_in_about_the_order_in_which_they_were_sent() {
    check("create q | send q a | send q b | send q c | receive q max=2 → a b | receive q → c");
}

#[test]
fn a_deleted_message_does_not_come_back_even_by_an_old_handle() {
    // § 6: works with any valid handle, even after the visibility timeout has expired and another consumer holds it
    check("create q | send q a | receive q → a | delete q a | wait 1m | receive q → nothing | delete q a");
    check("create q visibility=1 | send q a | receive q → a | wait 2s | delete q a | receive q → nothing");
    check(
        "create q visibility=1 | send q a | receive q → a | wait 2s | receive q → a#2 | delete q a@1 | wait 2s | receive q → nothing",
    );
}

#[test]
fn what_is_deleted_and_received_in_one_request_is_deleted_first() {
    check(
        "create q | send q a | send q b | send q c | receive q max=2 → a b | turn q a b → c | turn q c → nothing",
    );
    // What could be received again is not given to who deletes it.
    check(
        "create q visibility=1 | send q a | send q b | receive q max=1 → a | wait 2s | turn q a → b | count q 0/1/0",
    );
    // Each delete fails alone, and keeps nobody from receiving.
    check("create q | send q a | send q b | receive q max=1 → a | turn q a ! → failed 1: b | count q 0/1/0");
    check("create q | send q a | receive q → a | turn q a a max=1 → nothing");
    check(
        "create q | send q a | send q b | receive q max=1 → a | turn q a visibility=5 → b | crash | receive q → nothing | wait 5s \
         | receive q → b#2 | count q 0/1/0",
    );
    check("create q | send q a | receive q → a | drop q | turn q a → refused: QueueDoesNotExist");
}

#[test]
fn a_receive_with_visibility_zero_hides_nothing_but_counts() {
    // § 6
    check("create q | send q a | receive q visibility=0 → a | receive q visibility=0 → a#2 | count q 1/0/0");
}

#[test]
fn a_visibility_timeout_can_be_changed_even_after_it_has_lapsed() {
    // § 6
    check(
        "create q | send q a | receive q → a | extend q a 60 | wait 59s | receive q → nothing | wait 1s | receive q → a#2",
    );
    check("create q | send q a | receive q → a | release q a | receive q → a#2");
    check(
        "create q visibility=1 | send q a | receive q → a | wait 2s | extend q a 60 | receive q → nothing | count q 0/1/0",
    );
    check(
        "create q | send q a | receive q → a | delete q a | extend q a 60 → refused: InvalidParameterValueException",
    );
}

#[test]
fn a_message_is_hidden_for_twelve_hours_at_the_most() {
    // § 6: counted from this receive
    check(
        "create q | send q a | receive q → a | wait 1s | extend q a 43200 → refused: InvalidParameterValueException | extend q a 43199",
    );
}

#[test]
fn a_delay_hides_a_message_once() {
    check("create q | send q a delay=5 | count q 0/0/1 | receive q → nothing | wait 5s | receive q → a");
    check("create q delay=5 | send q a | send q b delay=0 | receive q → b | wait 5s | receive q → a");
    check("create q | send q a delay=5 | send q b | wait 5s | receive q → a b");
}

#[test]
fn messages_expire_wherever_they_are() {
    // § 6: retention applies to messages in flight, too
    check(
        "create q retention=60 | send q a | wait 59s | count q 1/0/0 | wait 1s | count q 0/0/0 | receive q → nothing",
    );
    check(
        "create q retention=60 visibility=100 | send q a | receive q → a | wait 60s | count q 0/0/0 | delete q a",
    );
    check(
        "create q retention=60 | send q a | receive q → a | wait 30s | send q b | wait 30s | receive q → b | count q 0/1/0",
    );
    check("create q retention=60 | send q a delay=30 | wait 60s | receive q → nothing | count q 0/0/0");
    // What was delayed is older than what was sent meanwhile.
    check(
        "create q retention=60 | send q a delay=30 | wait 10s | send q b | wait 50s | count q 1/0/0 | receive q → b",
    );
    check(
        "create q retention=60 | send q a delay=30 | wait 10s | send q b | wait 25s | crash | wait 25s | count q 1/0/0",
    );
}

#[test]
fn a_poll_ends_with_the_first_message_and_wakes_who_waited_longest() {
    // § 6
    check("create q | poll q as x | poll q as y | send q a | x got a | y waits | send q b | y got b");
    check(
        "create q | poll q wait=5 as x | wait 4s | x waits | wait 1s | x got nothing | send q a | receive q → a",
    );
    check("create q | poll q as x | x leaves | poll q as y | send q a | y got a");
    check("create q visibility=3 | send q a | receive q → a | poll q as x | wait 3s | x got a#2");
    check("create q | send q a delay=3 | poll q as x | wait 2s | x waits | wait 1s | x got a");
}

#[test]
fn a_purge_takes_visible_hidden_and_delayed_messages() {
    // § 2
    check(
        "create q | send q a | receive q → a | send q b | send q c delay=5 | purge q | count q 0/0/0 | wait 1m | receive q → nothing | send q d | receive q → d",
    );
}

#[test]
fn messages_that_came_back_and_new_ones_take_turns() {
    check(
        "create q visibility=1 | send q a | send q b | receive q → a b | wait 1s | send q c | send q d | receive q max=1 → a#2 | receive q max=1 → c | receive q max=1 → b#2 | receive q max=1 → d",
    );
}

#[test]
fn groups_whose_messages_fail_keep_no_other_from_being_served() {
    check(
        "create q | send q a group=a | send q b group=b | send q c group=c | receive q max=1 → a | release q a \
         | receive q max=1 → b | release q b | receive q max=1 visibility=0 → c | receive q max=1 → a#2 | release q a \
         | receive q max=1 → b#2 | release q b | receive q max=1 → c#2 | release q c | receive q → a#3 b#3 c#3",
    );
    check(
        "create q | send q a group=a | receive q → a | release q a | wait 1s | send q b group=b | receive q max=1 → a#2 \
         | release q a | receive q max=1 → b",
    );
}

#[test]
fn a_quiet_group_is_served_before_a_noisy_one() {
    // § 14: noisy from 30 in flight and a tenth of all
    let mut world = World::new();
    world.tell("create q");
    for n in 0..100 {
        world.tell(&format!("send q n{n} group=noisy"));
    }
    for _ in 0..3 {
        world.step_receive_ten();
    }
    world.tell("send q quiet group=small | receive q max=1 → quiet");
}

#[test]
fn a_group_whose_few_messages_take_long_is_noisy() {
    // § 14: more than a tenth of the consumers' time, with two messages in flight
    check(
        "create q visibility=300 | send q slow0 group=slow | send q slow1 group=slow | send q slow2 group=slow | receive q max=2 → slow0 slow1 | wait 20s | send q slow3 group=slow | delete q slow0 | send q quick group=other | receive q max=1 → quick | receive q max=1 → slow2",
    );
}

#[test]
fn a_slow_group_that_has_sent_nothing_for_five_minutes_is_quiet() {
    // § 14
    check(
        "create q visibility=1000 | send q slow0 group=slow | send q slow1 group=slow | receive q max=1 → slow0 | wait 301s | delete q slow0 | send q quick group=other | receive q max=1 → slow1",
    );
}

#[test]
fn what_a_noisy_group_has_expires_while_a_quiet_group_has_younger_messages() {
    let mut world = World::new();
    world.tell("create q retention=60 visibility=1000");
    for n in 0..40 {
        world.tell(&format!("send q n{n} group=noisy"));
    }
    for _ in 0..3 {
        world.step_receive_ten();
    }
    world.tell("wait 30s | send q quiet group=small | wait 31s | count q 1/0/0 | receive q → quiet");
}

#[test]
fn before_a_group_is_noisy_messages_come_in_order() {
    check("create q | send q a group=x | send q b group=y | send q c | receive q → a b c");
}
