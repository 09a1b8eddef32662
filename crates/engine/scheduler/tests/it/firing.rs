//! When schedules run, what their targets get, and what becomes of what they refuse.

use api::scheduler::{
    CreateScheduleGroupInput, CreateScheduleInput, DeadLetterConfig, DeleteScheduleGroupInput,
    FlexibleTimeWindow, GetScheduleGroupInput, Request, RetryPolicy, UpdateScheduleInput,
};
use kernel::Time;

use crate::world::{DEAD, MINUTE, NOW, QUEUE, World, target, wanted};

fn times(world: &World) -> Vec<u64> {
    world.messages.iter().map(|message| message.at - NOW).collect()
}

#[test]
fn a_single_run_happens_once_also_if_the_server_was_down() {
    // facts/eventbridge.md § 9
    let mut world = World::new();
    world.create(wanted("one", "at(2026-01-01T00:02:00)")).unwrap();
    world.create(wanted("other", "at(2026-01-01T00:04:00)")).unwrap();
    world.advance(2 * MINUTE - 1);
    assert!(world.messages.is_empty());
    world.advance(1);
    assert_eq!(world.messages.len(), 1);
    let message = &world.messages[0];
    assert_eq!((&*message.to, &*message.text), (QUEUE, "2026-01-01T00:02:00Z 1"));
    assert_eq!((message.group.as_deref(), &message.deduplication_id), (Some("g"), &None));
    world.restart(MINUTE);
    assert_eq!(world.messages.len(), 1, "not again");
    world.restart(60 * MINUTE);
    assert_eq!(times(&world), [2 * MINUTE, 63 * MINUTE], "once, late");
    assert_eq!(world.messages[1].text, "2026-01-01T00:04:00Z 1");
    world.restart(60 * MINUTE);
    assert_eq!(world.messages.len(), 2);
}

#[test]
fn a_rate_keeps_its_beat_over_a_restart_and_makes_up_for_what_it_missed_once() {
    let mut world = World::new();
    world.create(wanted("s", "rate(10 minutes)")).unwrap();
    world.advance(25 * MINUTE);
    assert_eq!(times(&world), [0, 10 * MINUTE, 20 * MINUTE]);
    world.restart(3 * MINUTE);
    world.advance(2 * MINUTE);
    assert_eq!(times(&world)[3..], [30 * MINUTE]);
    world.restart(45 * MINUTE);
    world.advance(10 * MINUTE);
    assert_eq!(times(&world)[4..], [75 * MINUTE, 80 * MINUTE]);
    world.delete("s").unwrap();
    world.advance(100 * MINUTE);
    assert_eq!(world.messages.len(), 6);
    world.check_replay();
}

#[test]
fn a_fifo_queue_gets_the_hash_of_the_text_as_its_deduplication_id() {
    let mut world = World::new();
    let fifo = "arn:aws:sqs:us-east-1:000000000000:q.fifo";
    world.existing.insert(fifo.to_owned());
    let target = api::scheduler::Target { input: Some("hello".into()), ..target(fifo) };
    world
        .create(CreateScheduleInput { target: Some(Box::new(target)), ..wanted("s", "rate(1 day)") })
        .unwrap();
    world.catch_up();
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(world.messages[0].deduplication_id.as_deref(), Some(hash));
}

/// A schedule of one run for a queue that does not exist, with a dead-letter queue.
fn failing(attempts: i32, age_seconds: i32) -> CreateScheduleInput {
    let target = api::scheduler::Target {
        dead_letter_config: Some(DeadLetterConfig { arn: Some(DEAD.into()) }),
        retry_policy: Some(RetryPolicy {
            maximum_retry_attempts: Some(attempts),
            maximum_event_age_in_seconds: Some(age_seconds),
        }),
        ..target("arn:aws:sqs:us-east-1:000000000000:later")
    };
    CreateScheduleInput {
        target: Some(Box::new(target)),
        action_after_completion: Some("DELETE".into()),
        ..wanted("s", "at(2026-01-01T00:00:00)")
    }
}

#[test]
fn what_a_target_refuses_is_tried_again_until_it_takes_it() {
    let mut world = World::new();
    world.create(failing(185, 86_400)).unwrap();
    world.advance(MINUTE);
    assert!(world.messages.is_empty());
    assert!(world.get("s").is_err(), "the schedule has completed");
    world.restart(0);
    world.existing.insert("arn:aws:sqs:us-east-1:000000000000:later".to_owned());
    world.advance(10 * MINUTE);
    assert_eq!(world.messages.len(), 1);
    let attempt = world.messages[0].text.strip_prefix("2026-01-01T00:00:00Z ").unwrap();
    assert!(attempt.parse::<u32>().unwrap() > 2, "{attempt}");
    world.restart(86_400_000);
    assert_eq!(world.messages.len(), 1);
    world.check_replay();
}

#[test]
fn what_is_given_up_is_a_dead_letter_that_says_why() {
    // facts/eventbridge.md § 9
    for (attempts, age_seconds, condition) in [
        (0, 86_400, "MaximumRetryAttempts"),
        (3, 86_400, "MaximumRetryAttempts"),
        (185, 60, "MaximumEventAgeInSeconds"),
    ] {
        let mut world = World::new();
        world.create(failing(attempts, age_seconds)).unwrap();
        world.advance(86_400_000);
        assert_eq!(world.messages.len(), 1);
        let letter = &world.messages[0];
        assert_eq!((&*letter.to, &letter.group), (DEAD, &None));
        let told = |name: &str| letter.attributes[name].as_str();
        let retries: i32 = told("RETRY_ATTEMPTS").parse().unwrap();
        assert!(retries == attempts || attempts == 185 && (3..10).contains(&retries), "{retries}");
        assert_eq!(letter.text, format!("2026-01-01T00:00:00Z {}", retries + 1));
        assert_eq!(told("EXHAUSTED_RETRY_CONDITION"), condition);
        assert_eq!(told("SCHEDULED_TIME"), "2026-01-01T00:00:00Z");
        assert_eq!(told("SCHEDULE_ARN"), "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s");
        assert_eq!(told("TARGET_ARN"), "arn:aws:sqs:us-east-1:000000000000:later");
        assert_eq!((told("IS_PAYLOAD_TRUNCATED"), told("EXECUTION_ID").len()), ("false", 16));
        world.restart(86_400_000);
        assert_eq!(world.messages.len(), 1);
    }
}

#[test]
fn an_update_begins_anew_and_a_disabled_schedule_rests() {
    let mut world = World::new();
    world.create(wanted("s", "rate(10 minutes)")).unwrap();
    world.advance(MINUTE);
    let CreateScheduleInput { name, target, flexible_time_window, .. } = wanted("s", "");
    let update = UpdateScheduleInput {
        name,
        target,
        flexible_time_window,
        schedule_expression: Some("rate(1 hour)".into()),
        ..UpdateScheduleInput::default()
    };
    let disabled = UpdateScheduleInput { state: Some("DISABLED".into()), ..update.clone() };
    world.ask(Request::UpdateSchedule(disabled)).unwrap();
    world.advance(60 * MINUTE);
    assert_eq!(times(&world), [0]);
    world.ask(Request::UpdateSchedule(update)).unwrap();
    world.advance(60 * MINUTE);
    assert_eq!(times(&world), [0, 61 * MINUTE, 121 * MINUTE]);
    world.check_replay();
}

#[test]
fn a_flexible_run_comes_within_its_window_and_after_a_restart_at_the_same_moment() {
    let flexible = || CreateScheduleInput {
        flexible_time_window: Some(FlexibleTimeWindow {
            mode: Some("FLEXIBLE".into()),
            maximum_window_in_minutes: Some(60),
        }),
        ..wanted("s", "at(2026-01-01T01:00:00)")
    };
    let mut world = World::new();
    world.create(flexible()).unwrap();
    world.advance(120 * MINUTE);
    let mut other = World::new();
    other.create(flexible()).unwrap();
    other.restart(0);
    other.advance(120 * MINUTE);
    assert_eq!(world.messages, other.messages);
    assert!((60 * MINUTE..120 * MINUTE).contains(&times(&world)[0]));
    assert!(world.messages[0].text.starts_with("2026-01-01T01:00:00Z"), "the time that the schedule names");
}

#[test]
fn a_group_goes_with_its_schedules_step_by_step() {
    let mut world = World::new();
    let group = || Some("g".into());
    world
        .ask(Request::CreateScheduleGroup(CreateScheduleGroupInput {
            name: group(),
            ..CreateScheduleGroupInput::default()
        }))
        .unwrap();
    for number in 0..600 {
        let wanted = wanted(&format!("s{number}"), "rate(1 day)");
        world
            .create(CreateScheduleInput { group_name: group(), state: Some("DISABLED".into()), ..wanted })
            .unwrap();
    }
    world.create(wanted("other", "at(2030-01-01T00:00:00)")).unwrap();
    let delete = DeleteScheduleGroupInput { name: group(), ..DeleteScheduleGroupInput::default() };
    world.ask(Request::DeleteScheduleGroup(delete)).unwrap();
    let refusal = world.create(CreateScheduleInput { group_name: group(), ..wanted("late", "rate(1 day)") });
    assert_eq!(refusal.unwrap_err().shape, "ConflictException");
    world.restart(0);
    assert_eq!(world.state.len(), 1);
    let get = GetScheduleGroupInput { name: group() };
    assert_eq!(world.ask(Request::GetScheduleGroup(get)).unwrap_err().shape, "ResourceNotFoundException");
    while world.segments() > 2 {
        world.clean();
        world.check_replay();
    }
    assert_eq!(world.get("other").unwrap().schedule_expression.unwrap(), "at(2030-01-01T00:00:00)");
}

#[test]
fn what_falls_due_while_the_disk_is_full_waits_without_a_deadline_and_runs_when_there_is_room() {
    let mut world = World::new();
    world.create(wanted("s", "at(2026-01-01T00:01:00)")).unwrap();
    world.create(CreateScheduleInput { name: Some("t".into()), ..failing(185, 86_400) }).unwrap();
    world.catch_up();
    world.room = kernel::Demand::Change;
    world.advance(10 * MINUTE);
    assert!(world.messages.is_empty());
    assert!(!world.is_behind(), "nothing can be done about it");
    assert_eq!(kernel::Service::next_deadline(&world.state), None);
    world.room = kernel::Demand::Growth;
    assert!(world.is_behind());
    world.catch_up();
    assert_eq!(times(&world), [10 * MINUTE]);
    world.check_replay();
}

#[test]
fn a_reset_leaves_nothing() {
    let mut world = World::new();
    world.create(wanted("s", "rate(1 day)")).unwrap();
    world.create(CreateScheduleInput { name: Some("t".into()), ..failing(185, 86_400) }).unwrap();
    world.catch_up();
    world.reset();
    assert_eq!((world.state.len(), world.state.bytes()), (0, 0));
    assert_eq!(kernel::Service::next_deadline(&world.state), None::<Time>);
    world.check_replay();
}
