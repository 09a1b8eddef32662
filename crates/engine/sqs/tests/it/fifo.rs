//! Stories of FIFO queues. Sections are those of facts/sqs.md.

use crate::world::check;

#[test]
fn a_group_is_received_in_order_and_then_the_next() {
    // § 7: tries to fill from one group first
    check(
        "create q.fifo | send q.fifo a group=1 dedup=a | send q.fifo x group=2 dedup=x | send q.fifo b group=1 dedup=b \
         | receive q.fifo → a b x",
    );
}

#[test]
fn a_group_with_a_message_in_flight_gives_nothing_not_even_new_ones() {
    // § 7
    check(
        "create q.fifo | send q.fifo a group=1 dedup=a | receive q.fifo → a | send q.fifo b group=1 dedup=b \
         | receive q.fifo → nothing | delete q.fifo a | receive q.fifo → b",
    );
    check(
        "create q.fifo | send q.fifo a group=1 dedup=a | send q.fifo b group=1 dedup=b | send q.fifo c group=1 dedup=c \
         | receive q.fifo max=2 → a b | delete q.fifo a | receive q.fifo → nothing | wait 30s | receive q.fifo → b#2 c",
    );
}

#[test]
fn a_group_goes_on_in_the_request_that_deletes_what_held_it_back() {
    check(
        "create q.fifo | send q.fifo a group=1 dedup=a | send q.fifo b group=1 dedup=b | send q.fifo c group=1 dedup=c \
         | receive q.fifo max=1 → a | turn q.fifo a max=1 → b | receive q.fifo → nothing | turn q.fifo b → c",
    );
    // By a handle that does not hide it any more, a message of a FIFO queue is not deleted.
    check(
        "create q.fifo visibility=1 | send q.fifo a group=1 dedup=a | receive q.fifo → a | wait 1s | turn q.fifo a → failed 0: a#2",
    );
}

#[test]
fn a_group_gives_from_its_head_up_to_the_first_hidden_message() {
    // § 7, recorded in November 2025
    let start = "create q.fifo | send q.fifo a group=1 dedup=a | send q.fifo b group=1 dedup=b \
                 | send q.fifo c group=1 dedup=c | receive q.fifo → a b c";
    check(&format!("{start} | extend q.fifo a 60 | wait 30s | receive q.fifo → nothing"));
    check(&format!("{start} | extend q.fifo b 60 | wait 30s | receive q.fifo → a#2"));
    check(&format!("{start} | extend q.fifo c 60 | wait 30s | receive q.fifo → a#2 b#2"));
    check(&format!("{start} | release q.fifo a | receive q.fifo → a#2"));
}

#[test]
fn a_group_whose_message_came_back_goes_behind_those_that_waited() {
    // Recorded from AWS (LocalStack's `test_fifo_message_group_visibility_after_terminate_visibility_timeout`,
    // `…_after_change_message_visibility`, `test_fifo_receive_message_with_zero_visibility_timeout`,
    // `test_fifo_receive_message_visibility_timeout_shared_in_group`, `test_fifo_message_group_visibility_after_delete`).
    let start = "create q.fifo | send q.fifo a1 group=a dedup=1 | send q.fifo a2 group=a dedup=2 | send q.fifo b1 group=b dedup=3 \
                 | receive q.fifo max=2 → a1 a2";
    check(&format!("{start} | release q.fifo a1 | receive q.fifo max=3 → b1 a1#2"));
    check(&format!("{start} | extend q.fifo a1 1 | wait 2s | receive q.fifo max=3 → b1 a1#2"));
    check(
        "create q.fifo | send q.fifo a1 group=a dedup=1 | send q.fifo b1 group=b dedup=2 | send q.fifo b2 group=b dedup=3 \
         | send q.fifo c1 group=c dedup=4 | send q.fifo a2 group=a dedup=5 | receive q.fifo max=3 visibility=0 → a1 a2 b1 \
         | receive q.fifo visibility=0 → c1 a1#2 a2#2 b1#2 b2",
    );
    check(
        "create q.fifo visibility=1 | send q.fifo a1 group=a dedup=1 | send q.fifo a2 group=a dedup=2 | send q.fifo a3 group=a dedup=3 \
         | send q.fifo b1 group=b dedup=4 | send q.fifo c1 group=c dedup=5 | receive q.fifo max=2 → a1 a2 \
         | receive q.fifo max=1 → b1 | wait 2s | receive q.fifo visibility=0 → c1 a1#2 a2#2 a3 b1#2",
    );
    // A group of which everything was deleted that had been received waits since its next message was sent.
    check(
        "create q.fifo | send q.fifo a1 group=a dedup=1 | send q.fifo b1 group=b dedup=2 | send q.fifo b2 group=b dedup=3 \
         | send q.fifo a2 group=a dedup=4 | send q.fifo c1 group=c dedup=5 | receive q.fifo max=1 → a1 | delete q.fifo a1 \
         | receive q.fifo → b1 b2 a2 c1",
    );
}

#[test]
fn groups_whose_messages_fail_keep_no_other_from_being_served() {
    let fail = |group: &str, receives: usize| match receives {
        1 => format!("receive q.fifo max=1 → {group} | release q.fifo {group} | "),
        n => format!("receive q.fifo max=1 → {group}#{n} | release q.fifo {group} | "),
    };
    let mut story = "create q.fifo | ".to_owned();
    for group in ["a", "b", "c", "d", "e"] {
        story += &format!("send q.fifo {group} group={group} dedup={group} | ");
    }
    for group in ["a", "b", "c", "d", "e", "a"] {
        story += &fail(group, if story.contains(&format!("release q.fifo {group}")) { 2 } else { 1 });
    }
    // A sixth goes behind those that came back before it was sent, and before all that come back later.
    story += "wait 1s | send q.fifo f group=f dedup=f | ";
    for group in ["b", "c", "d", "e"] {
        story += &fail(group, 2);
    }
    story += &fail("a", 3);
    story += "receive q.fifo max=1 → f | delete q.fifo f | receive q.fifo max=1 → b#3";
    check(&story);
}

#[test]
fn groups_come_in_the_same_order_after_a_restart() {
    // A release, a timeout that ended before what was sent last, one that ends while the server is down.
    check(
        "create q.fifo | send q.fifo a group=a dedup=a | send q.fifo b group=b dedup=b | send q.fifo c group=c dedup=c \
         | receive q.fifo max=1 visibility=2 → a | receive q.fifo max=1 visibility=20 → b | receive q.fifo max=1 → c \
         | wait 1s | release q.fifo c | wait 2s | send q.fifo d group=d dedup=d | crash | wait 30s | send q.fifo e group=e dedup=e \
         | crash | receive q.fifo → c#2 a#2 d b#2 e",
    );
}

#[test]
fn what_waits_behind_a_message_that_came_back_expires_with_it() {
    check(
        "create q.fifo retention=60 | send q.fifo a1 group=a dedup=1 | send q.fifo a2 group=a dedup=2 | receive q.fifo max=1 visibility=59 → a1 \
         | wait 50s | release q.fifo a1 | send q.fifo b1 group=b dedup=3 | wait 10s | count q.fifo 1/0/0 | receive q.fifo → b1",
    );
    check(
        "create q.fifo retention=60 | send q.fifo a1 group=a dedup=1 | receive q.fifo max=1 → a1 | wait 10s | send q.fifo b1 group=b dedup=2 \
         | wait 10s | release q.fifo a1 | wait 40s | count q.fifo 1/0/0 | wait 10s | count q.fifo 0/0/0",
    );
}

#[test]
fn duplicates_are_accepted_and_dropped_for_five_minutes() {
    // § 7
    check(
        "create q.fifo | send q.fifo a group=1 dedup=d | send q.fifo b group=2 dedup=d → same as a | receive q.fifo → a \
         | delete q.fifo a | send q.fifo c group=1 dedup=d → same as a | wait 5m | send q.fifo e group=1 dedup=d \
         | receive q.fifo → e",
    );
    check(
        "create q.fifo content | send q.fifo a group=1 | send q.fifo a group=1 → same as a | count q.fifo 1/0/0",
    );
    check(
        "create q.fifo scope=group | send q.fifo a group=1 dedup=d | send q.fifo b group=2 dedup=d \
         | send q.fifo c group=1 dedup=d → same as a | receive q.fifo → a b",
    );
}

#[test]
fn a_deduplication_id_outlives_the_segment_of_its_message() {
    let fill = |id: &str| format!("send q.fifo {id:x>1900} group=2 dedup={id}");
    for (scope, group) in [("", "3"), ("scope=group", "1")] {
        check(&format!(
            "create q.fifo {scope} | send q.fifo a group=1 dedup=d | receive q.fifo → a | delete q.fifo a | wait 100s | {} \
             | clean | wait 100s | {} | clean | crash | wait 99s | send q.fifo b group={group} dedup=d → same as a \
             | wait 1s | send q.fifo c group={group} dedup=d | send q.fifo e group={group} dedup=d → same as c",
            fill("f"),
            fill("g"),
        ));
    }
    // What is purged is forgotten, wherever it was written.
    check(&format!(
        "create q.fifo | send q.fifo a group=1 dedup=d | receive q.fifo → a | delete q.fifo a | {} | clean | purge q.fifo \
         | crash | send q.fifo b group=1 dedup=d | receive q.fifo → b",
        fill("f"),
    ));
}

#[test]
fn a_receive_can_be_repeated_though_its_segment_has_gone() {
    let fill = |id: &str| format!("send q.fifo {id:x>1900} group=2 dedup={id}");
    check(&format!(
        "create q.fifo | send q.fifo a group=1 dedup=a | receive q.fifo max=1 attempt=t → a | {} | clean | crash | wait 20s \
         | receive q.fifo max=1 attempt=t → a | {} | clean | {} | clean | crash | wait 29s \
         | receive q.fifo max=1 attempt=t → a",
        fill("f"),
        fill("g"),
        fill("h"),
    ));
}

#[test]
fn a_purge_forgets_deduplication_ids() {
    // § 7
    check(
        "create q.fifo | send q.fifo a group=1 dedup=d | purge q.fifo | send q.fifo b group=1 dedup=d | receive q.fifo → b",
    );
}

#[test]
fn a_handle_is_good_as_long_as_its_receive_hides_the_message() {
    // § 6
    check(
        "create q.fifo visibility=1 | send q.fifo a group=1 dedup=a | receive q.fifo → a | wait 1s \
         | delete q.fifo a → refused: InvalidParameterValueException | receive q.fifo → a#2 \
         | delete q.fifo a@1 → refused: InvalidParameterValueException | delete q.fifo a",
    );
    check(
        "create q.fifo visibility=2 | send q.fifo a group=1 dedup=a | receive q.fifo → a | extend q.fifo a 60 | wait 30s \
         | delete q.fifo a",
    );
}

#[test]
fn the_queue_s_delay_counts_for_all_messages() {
    // § 7: zero means the queue's delay; § 11: another is refused
    check(
        "create q.fifo delay=5 | send q.fifo a group=1 dedup=a delay=0 | receive q.fifo → nothing | count q.fifo 0/0/1 \
         | wait 5s | receive q.fifo → a",
    );
    check("create q.fifo | send q.fifo a group=1 dedup=a delay=2 → refused: InvalidParameterValueException");
}

#[test]
fn a_group_and_a_deduplication_id_are_demanded() {
    check("create q.fifo | send q.fifo a dedup=a → refused: MissingRequiredParameterException");
    check("create q.fifo | send q.fifo a group=1 → refused: InvalidParameterValueException");
    check("create q | send q a dedup=a → refused: InvalidParameterValueException");
}

#[test]
fn a_receive_can_be_repeated_by_its_attempt_id() {
    // § 7
    check(
        "create q.fifo | send q.fifo a group=1 dedup=a | send q.fifo b group=1 dedup=b \
         | receive q.fifo max=1 attempt=t → a | wait 20s | receive q.fifo max=1 attempt=t → a | wait 20s \
         | receive q.fifo → nothing | delete q.fifo a | receive q.fifo attempt=t → b",
    );
}

#[test]
fn a_poll_is_woken_when_a_group_becomes_free() {
    check(
        "create q.fifo | send q.fifo a group=1 dedup=a | send q.fifo b group=1 dedup=b | receive q.fifo max=1 → a \
         | poll q.fifo as x | x waits | delete q.fifo a | x got b",
    );
}
