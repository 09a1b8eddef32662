//! One message whose bytes have rotted is set aside; all others are given, and cleaning goes on around it.

use journal::{ReadError, Storage};
use kernel::{Extent, Secret, Time};
use machine::{Answer, Command, Event, Input, Reply};
use simulator::dice::Dice;
use simulator::disks::Disks;
use simulator::server::Server;
use sqs::QueueKey;
use sqs::operations::{self, Receive};
use sqs::rules::new_message::MessageDraft;

const SEGMENT: u32 = 16 << 10;

fn key(name: &str) -> QueueKey {
    QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
}

struct Running {
    disk: Disks,
    server: Server,
    ticket: u64,
    now: Time,
}

fn start(disk: &Disks, now: Time) -> Server {
    let log = journal::Options { segment_bytes: SEGMENT, log_id: 1, durable: true, recycled: 0 };
    let mut dice = Dice::from_seed(1);
    let mut server = Server::start(disk, &log, Secret([1; 32]), now, None, &mut dice)
        .unwrap_or_else(|error| panic!("{error:?}"));
    server.expects_damage = true;
    server
}

impl Running {
    fn new() -> Running {
        let disk = Disks::new(Dice::from_seed(1).split().into());
        let now = Time(1_700_000_000_000);
        let mut running = Running { server: start(&disk, now), disk, ticket: 0, now };
        for (name, attributes) in
            [("q", &[][..]), ("q.fifo", &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")])]
        {
            let create =
                operations::create_queue::CreateQueue::new(key(name), attributes.iter().copied(), []);
            running.ask(operations::Command::CreateQueue(create.unwrap())).unwrap();
        }
        running
    }

    fn ask(&mut self, command: operations::Command) -> Answer {
        self.ticket += 1;
        let ticket = self.ticket;
        self.server.machine.handle(self.now, Input::Request { ticket, command: Command::Sqs(command) });
        self.turn().pop().expect("every request here is answered at once").1
    }

    fn turn(&mut self) -> Vec<(u64, Answer)> {
        let (mut answers, now) = (Vec::new(), self.now);
        loop {
            answers.extend(self.server.flush(now));
            let mut busy = self.server.write(now).unwrap();
            self.server.sync(now).unwrap();
            self.server.tidy(now).unwrap();
            busy |= self.server.run_errand(now).map_err(|_| ()).unwrap().is_some();
            if !busy {
                return answers;
            }
        }
    }

    fn send(&mut self, name: &str, number: usize) {
        let fifo = name.ends_with(".fifo");
        let draft = MessageDraft {
            body: format!("{number} {}", "x".repeat(1000)).into(),
            group: fifo.then(|| "g".into()),
            ..MessageDraft::default()
        };
        let message = draft.check("000000000000", fifo);
        let send = operations::send_message::SendMessage { queue: key(name), message };
        self.ask(operations::Command::SendMessage(send)).unwrap();
    }

    /// Receives as the program does: what is damaged is reported. Deletes what was given, and says where it lay.
    fn receive(&mut self, name: &str) -> (Vec<Extent>, usize) {
        let request = Receive { most: 10, visibility_seconds: None, wait_seconds: Some(0), attempt: None };
        let receive = operations::receive_message::ReceiveMessage { queue: key(name), request: Ok(request) };
        let answer = self.ask(operations::Command::ReceiveMessage(receive));
        let Ok(Reply::Sqs(reply)) = answer else { panic!("{answer:?}") };
        let operations::Reply::Received(received) = &reply else { panic!("{reply:?}") };
        let (mut given, mut damaged) = (Vec::new(), Vec::new());
        let extents: Vec<Extent> = received.messages.iter().map(|message| message.extent).collect();
        for (at, record) in self.server.reader.read_many(&extents).into_iter().enumerate() {
            match record {
                Ok(_) => {
                    given.push(extents[at]);
                    let handle = received.messages[at].handle(received.queue).to_text().into();
                    let delete = operations::delete_message::DeleteMessage { queue: key(name), handle };
                    self.ask(operations::Command::DeleteMessage(delete)).unwrap();
                }
                Err(ReadError::Damaged(_)) => damaged.extend(reply.given(at)),
                Err(error) => panic!("{error}"),
            }
        }
        let found = damaged.len();
        for (queue, seq, at) in damaged {
            let damaged = sqs::Event::Damaged(queue, seq, at);
            self.server.machine.handle(self.now, Input::Event(Event::Sqs(damaged)));
        }
        self.turn();
        (given, found)
    }

    /// Flips a bit in the body of what lies there.
    fn rot(&self, at: Extent) {
        let file = self.disk.log.open(&format!("{:08}.log", at.place.segment())).unwrap();
        let offset = u64::from(at.place.offset() + at.len - 100);
        let mut byte = [0];
        file.read_at(&mut byte, offset).unwrap();
        file.write_at(&[&[byte[0] ^ 4]], offset).unwrap();
        file.sync().unwrap();
    }

    /// Where the messages of a queue lie, in order.
    fn places(&self) -> Vec<Extent> {
        let mut places = Vec::new();
        let segments: Vec<u32> = self.server.machine.ledger().segments().map(|(number, _)| number).collect();
        for number in segments {
            let read = self.server.reader.survey(number, |entry| {
                if entry.tail_len > 1000 {
                    places.push(entry.extent);
                }
            });
            read.unwrap();
        }
        places
    }

    fn restart(&mut self) {
        self.server.writer.note_end().unwrap();
        self.server = start(&self.disk, self.now);
        self.turn();
    }
}

#[test]
fn nine_others_are_given_and_a_group_is_not_blocked() {
    for name in ["q", "q.fifo"] {
        let mut running = Running::new();
        // So many that those at the beginning lie in segments that have an index.
        (0..60).for_each(|number| running.send(name, number));
        let places = running.places();
        let rotten = places[25];
        running.rot(rotten);
        running.restart();
        let (mut all, mut found) = (Vec::new(), 0);
        loop {
            let (given, damaged) = running.receive(name);
            if given.is_empty() && damaged == 0 {
                break;
            }
            assert_eq!(given.len() + damaged, 10, "{name}: the others of its batch are given");
            all.extend(given);
            found += damaged;
        }
        assert_eq!(found, 1, "{name}: it is met once, and then it is out of the queue");
        assert_eq!(running.server.machine.sqs().set_aside(), 1);
        all.sort_by_key(|extent| extent.place);
        let others: Vec<Extent> = places.iter().copied().filter(|&place| place != rotten).collect();
        assert_eq!(all, others, "{name}");
        let counts = |running: &Running| running.server.machine.sqs().queue(&key(name)).unwrap().counts();
        assert_eq!(counts(&running), (0, 0, 0));
        // It stays out, and its bytes stay where they are, as long as it would have lived.
        running.restart();
        running.now = running.now + 10 * 60_000;
        running.server.pass_time(running.now);
        running.turn();
        assert_eq!((counts(&running), running.server.machine.sqs().set_aside()), ((0, 0, 0), 1));
        let lies_there = |running: &Running| running.server.machine.ledger().contains(rotten.place.segment());
        assert!(lies_there(&running));
        assert!(running.server.machine.ledger().segments().count() <= 5, "all others are gone");
        running.now = running.now + 5 * 86_400_000;
        running.server.pass_time(running.now);
        running.turn();
        assert!(!lies_there(&running), "{name}: its retention period has ended");
    }
}

#[test]
fn cleaning_goes_on_around_what_cannot_be_read() {
    let mut running = Running::new();
    // One message in every twelve stays.
    let mut stay = Vec::new();
    for number in 0..360 {
        if number % 12 == 0 {
            running.send("q.fifo", number);
            let end = running.server.machine.end();
            stay.push(end.segment());
        } else {
            running.send("q", number);
        }
    }
    let kept: Vec<Extent> =
        running.places().into_iter().enumerate().filter(|(at, _)| at % 12 == 0).map(|it| it.1).collect();
    assert!(kept.iter().zip(&stay).all(|(extent, &segment)| extent.place.segment() == segment));
    // Not before deduplication has been forgotten is anything of it cleaned.
    running.now = running.now + 10 * 60_000;
    running.server.pass_time(running.now);
    running.rot(kept[4]);
    loop {
        let (given, _) = running.receive("q");
        if given.is_empty() {
            break;
        }
    }
    running.turn();
    let segments = running.server.machine.ledger().segments().count();
    assert!(segments <= 12, "{segments} segments are left of what thirty messages need");
    assert!(running.server.machine.ledger().contains(kept[4].place.segment()));
    let (mut others, mut damaged) = (0, 0);
    loop {
        let (given, found) = running.receive("q.fifo");
        if given.is_empty() && found == 0 {
            break;
        }
        others += given.len();
        damaged += found;
    }
    assert_eq!((others, damaged), (29, 1));
}
