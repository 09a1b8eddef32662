//! What an operation costs does not grow with what else there is: counted in looks at things of which there may be many.

use std::borrow::Cow;

use collections::work::looks;
use kernel::{Demand, Extent, Handed, Ledger, NoTargets, Numbers, Operation, Place, Refusal, Secret, Time};
use sqs::limits::Limits;
use sqs::operations::delete_message::DeleteMessage;
use sqs::operations::{Context, Outcome, Reply, Setting};
use sqs::records::{
    DropReason, MessageSent, MessagesDropped, MoveStatus, MoveTaskDeclared, QueueDeclared, QueueDeleted,
    Record,
};
use sqs::rules::handle::{GroupHint, Handle};
use sqs::rules::settings::Settings;
use sqs::state::State;
use sqs::{QueueId, QueueKey, Seq, TaskId};

const SECRET: Secret = Secret([7; 32]);
const NOW: Time = Time(1_700_000_000_000);

/// A state with one standard queue, and the log that it is fed from.
struct World {
    state: State,
    ledger: Ledger,
    offset: u32,
    seq: u64,
}

fn key() -> QueueKey {
    QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: "q".into() }
}

/// The declaration of a standard queue.
fn declared(number: u64, key: QueueKey) -> Record<'static> {
    Record::QueueDeclared(Box::new(QueueDeclared {
        id: QueueId(number),
        key,
        settings: Settings::default(),
        tags: Vec::new(),
        created: NOW,
        modified: NOW,
        purged_through: Seq(0),
        purged: None,
    }))
}

impl World {
    fn new() -> World {
        let mut world = World::empty();
        world.identify();
        world.declare();
        world
    }

    fn empty() -> World {
        World { state: State::default(), ledger: Ledger::default(), offset: 0, seq: 2 }
    }

    fn identify(&mut self) {
        self.state.identified(&SECRET);
    }

    fn declare(&mut self) {
        self.apply(&declared(1, key()));
    }

    fn apply(&mut self, record: &Record<'_>) {
        self.ledger.open(1);
        let extent = Extent { place: Place::new(1, self.offset), len: 100 };
        self.offset += 100;
        self.state.apply(record, extent, &mut self.ledger);
    }

    fn send(&mut self, group: Option<&str>, delay_seconds: u32, forwarded: bool) -> Seq {
        let seq = Seq(self.seq);
        self.seq += 1;
        self.apply(&Record::MessageSent(MessageSent {
            queue: QueueId(1),
            seq,
            origin: seq,
            sent: NOW,
            group: group.map(Cow::Borrowed),
            deduplication: None,
            delay_seconds,
            forwarded,
        }));
        seq
    }

    /// By a handle of a receive that a crash has forgotten.
    fn delete(&mut self, seq: Seq, group: GroupHint) {
        let outcome = self.delete_at(NOW + 1000, seq, group);
        assert_eq!(outcome, Ok(Reply::Done));
    }

    fn delete_at(&mut self, now: Time, seq: Seq, group: GroupHint) -> Result<Reply, Refusal> {
        let handle = Handle { queue: QueueId(1), seq, receive: 1, received: NOW, group };
        let delete = DeleteMessage { queue: key(), handle: handle.to_text().into() };
        let limits = Limits::strict();
        let numbers = Numbers::new(self.seq);
        let setting = Setting {
            now,
            limits: &limits,
            secret: &SECRET,
            ticket: 0,
            numbers: &numbers,
            room: Demand::Growth,
            store_lags: false,
        };
        let mut handed = Handed::default();
        let decision = delete.decide(&self.state, &mut Context::new(setting, &NoTargets, &mut handed));
        for draft in decision.facts {
            self.apply(&draft.record);
        }
        match decision.outcome {
            Outcome::Reply(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn living(&self) -> u64 {
        let (visible, in_flight, delayed) = self.state.queue(&key()).unwrap().counts();
        visible + in_flight + delayed
    }
}

#[test]
fn a_send_looks_at_as_much_however_many_delays_there_are() {
    let mut world = World::new();
    let alone = looks(|| {
        world.send(None, 0, false);
        world.send(None, 17, false);
    });
    for delay in 1..=850 {
        world.send(None, delay, false);
    }
    let among_many = looks(|| {
        world.send(None, 0, false);
        world.send(None, 17, false);
    });
    assert!(among_many <= alone, "{among_many} looks, {alone} when it was alone");
}

#[test]
fn a_forgotten_receives_message_is_deleted_though_the_queue_was_declared_before_the_server_had_its_identity()
{
    // So the cleaner leaves a log that writes the identity forward.
    let mut world = World::empty();
    world.declare();
    world.identify();
    world.state.replaying(NOW);
    let sent = world.send(Some("group"), 0, false);
    world.state.replayed(world.seq, &mut world.ledger);
    world.delete(sent, GroupHint::of(Some("group"), &SECRET));
    assert_eq!(world.living(), 0);
}

#[test]
fn a_delete_said_again_after_a_restart_looks_into_one_group_of_many() {
    let mut world = World::new();
    world.state.replaying(NOW);
    let names: Vec<String> = (0..2000).map(|number| format!("group-{number}")).collect();
    let sent: Vec<Seq> = names.iter().map(|name| world.send(Some(name), 0, false)).collect();
    let loose = world.send(None, 0, false);
    world.state.replayed(world.seq, &mut world.ledger);

    // The first delete finds the message, whose receive was forgotten; said again it finds nothing.
    let hint = |number: usize| GroupHint::of(Some(&names[number]), &SECRET);
    for expected in [2000, 2000] {
        let taken = looks(|| world.delete(sent[1700], hint(1700)));
        assert!(taken <= 4, "{taken} looks");
        assert_eq!(world.living(), expected);
    }
    for expected in [1999, 1999] {
        let taken = looks(|| world.delete(loose, GroupHint::Without));
        assert!(taken <= 4, "{taken} looks");
        assert_eq!(world.living(), expected);
    }
    // A handle that an older version made does not say where to look, and is as good.
    world.delete(sent[3], GroupHint::Unknown);
    assert_eq!(world.living(), 1998);
    // After twelve hours a handle has lapsed, as it has for a message that is known to have been received.
    let late = NOW + sqs::limits::HANDLE_MILLIS + 1;
    for (seq, group) in [(sent[5], hint(5)), (sent[5], GroupHint::Unknown)] {
        let outcome = world.delete_at(late, seq, group);
        assert!(outcome.is_err(), "{outcome:?}");
    }
    assert_eq!(world.living(), 1998);
}

#[test]
fn deleting_a_queue_looks_at_no_other_queue() {
    // What is left of the work of a deletion is in the types: `Borrowed` has nothing that visits all, and
    // `RecentlyDeleted` looks at what it forgets.
    let mut world = World::new();
    let deleted = |number: u64| {
        Record::QueueDeleted(QueueDeleted { id: QueueId(number), at: NOW + number, declared_in: Vec::new() })
    };
    let named = |number: u64| QueueKey { name: format!("q{number}"), ..key() };
    (10..1010).for_each(|number| world.apply(&declared(number, named(number))));
    let taken = looks(|| (10..1010).for_each(|number| world.apply(&deleted(number))));
    assert!(taken <= 2000, "{taken} looks for 1000 queues");
    // The queue that is left has not noticed.
    let seq = world.send(None, 0, false);
    let dropped = sqs::records::DroppedMessage { seq, place: Place::new(1, 0), group: None };
    world.apply(&Record::MessagesDropped(MessagesDropped {
        queue: QueueId(1),
        reason: DropReason::Deleted,
        messages: vec![dropped],
    }));
    assert_eq!(world.living(), 0);
}

#[test]
fn a_move_task_looks_at_the_tasks_of_its_own_source() {
    let mut world = World::new();
    let task = |id: u64, source: u64| {
        Record::MoveTaskDeclared(Box::new(MoveTaskDeclared {
            id: TaskId(id),
            source: QueueId(source),
            source_arn: key().arn(),
            destination: None,
            rate: None,
            status: MoveStatus::Completed,
            started: NOW,
            moved: 0,
            to_move: 0,
            failure: None,
        }))
    };
    (0..1000).for_each(|number| world.apply(&task(10 + number, 2000 + number)));
    let taken = looks(|| (0..20).for_each(|number| world.apply(&task(5000 + number, 1))));
    assert!(taken <= 20 * 11, "{taken} looks for 20 tasks");
}
