//! How much memory schedules take: of a million one-time schedules each may take 400 bytes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use kernel::{Extent, Ledger, Place, Time};
use scheduler::records::{GroupDeclared, Own, Record, ScheduleDeclared, Shared};
use scheduler::rules::target::{Parameters, RetryPolicy, Target};
use scheduler::rules::timing::Run;
use scheduler::state::State;
use scheduler::{GroupId, GroupKey, ScheduleId};

/// Counts what the allocator of the C library takes for each piece: eight bytes more, in steps of sixteen, and 32 at the least.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

fn taken(layout: Layout) -> usize {
    (layout.size() + 8).next_multiple_of(16).max(32)
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(taken(layout), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(taken(layout), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_one_time_schedule_takes_four_hundred_bytes_at_the_most() {
    const COUNT: u64 = 50_000;
    let key = GroupKey { account: "000000000000".into(), region: "us-east-1".into(), name: "default".into() };
    let group = GroupDeclared {
        id: GroupId(1),
        key: key.clone(),
        tags: Default::default(),
        created: Time(0),
        modified: Time(0),
        token: 0,
        is_deleting: false,
    };
    let schedule = |number: u64| ScheduleDeclared {
        id: ScheduleId(number),
        shared: Shared {
            group_id: GroupId(1),
            group: key.clone(),
            is_enabled: true,
            is_deleted_after: true,
            zone: "Europe/Berlin".into(),
            window_minutes: None,
            kms_key: None,
            target: Target {
                arn: "arn:aws:sqs:us-east-1:000000000000:reminders".into(),
                role_arn: "arn:aws:iam::000000000000:role/scheduler".into(),
                dead_letters: Some("arn:aws:sqs:us-east-1:000000000000:dead".into()),
                retry: RetryPolicy { attempts: 185, age_seconds: 86_400 },
                parameters: Parameters::default(),
            },
        },
        own: Own {
            name: format!("reminder-{number:016x}"),
            expression: "at(2026-12-24T18:00:00)".into(),
            input: Some(format!("{{\"reminder\":{number},\"text\":\"The table is laid.\"}}")),
            description: None,
            start: None,
            end: None,
            created: Time(1_767_225_600_000),
            modified: Time(1_767_225_600_000),
            token: number,
        },
        run: Some(Run { scheduled: Time(1_798_131_600_000), due: Time(1_798_131_600_000) }),
    };
    let (mut state, mut ledger) = (State::default(), Ledger::default());
    let at = |number: u64| Extent { place: Place::new(1 + (number >> 17) as u32, number as u32), len: 300 };
    state.apply(&Record::GroupDeclared(group), at(1), &mut ledger);
    let before = ALLOCATED.load(Ordering::Relaxed);
    for number in 2..2 + COUNT {
        let record = Record::ScheduleDeclared(Box::new(schedule(number)));
        state.apply(&record, at(number), &mut ledger);
    }
    let each = (ALLOCATED.load(Ordering::Relaxed) - before) as u64 / COUNT;
    assert_eq!(state.len() as u64, COUNT);
    println!("{each} bytes each");
    assert!(each <= 400, "a schedule takes {each} bytes");
}
