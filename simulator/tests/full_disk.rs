//! What filled a disk makes room when it is gone, though no time passes and nothing else is written.

use journal::engines::FaultyDisk;
use kernel::{Secret, Time};
use machine::{Answer, Command, Input, Reply};
use simulator::dice::Dice;
use simulator::server::Server;
use sqs::QueueKey;
use sqs::operations::{self, Receive};
use sqs::rules::new_message::MessageDraft;

const NOW: Time = Time(1_700_000_000_000);
const SEGMENT: u64 = 16 << 10;

fn key() -> QueueKey {
    QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: "q".into() }
}

struct Running {
    server: Server,
    ticket: u64,
}

impl Running {
    fn ask(&mut self, command: operations::Command) -> Answer {
        self.ticket += 1;
        self.server
            .machine
            .handle(NOW, Input::Request { ticket: self.ticket, command: Command::Sqs(command) });
        self.turn().pop().expect("every request here is answered at once").1
    }

    /// One turn of the engine, and all that the disk has to do about it.
    fn turn(&mut self) -> Vec<(u64, Answer)> {
        let mut answers = Vec::new();
        loop {
            answers.extend(self.server.flush(NOW));
            let mut busy = self.server.write(NOW).unwrap();
            self.server.sync(NOW).unwrap();
            self.server.tidy(NOW).unwrap();
            busy |= self.server.run_errand(NOW).map_err(|_| ()).unwrap().is_some();
            if !busy {
                return answers;
            }
        }
    }

    fn send(&mut self) -> Answer {
        let draft = MessageDraft { body: "x".repeat(1000).into(), ..MessageDraft::default() };
        let message = draft.check("000000000000", false);
        self.ask(operations::Command::SendMessage(operations::send_message::SendMessage {
            queue: key(),
            message,
        }))
    }

    /// Receives and deletes up to ten; how many there were.
    fn drain(&mut self) -> usize {
        let request = Receive { most: 10, visibility_seconds: None, wait_seconds: Some(0), attempt: None };
        let receive = operations::receive_message::ReceiveMessage { queue: key(), request: Ok(request) };
        let answer = self.ask(operations::Command::ReceiveMessage(receive));
        let Ok(Reply::Sqs(operations::Reply::Received(received))) = answer else { panic!("{answer:?}") };
        for message in &received.messages {
            let handle = message.handle(received.queue).to_text().into();
            let delete = operations::delete_message::DeleteMessage { queue: key(), handle };
            self.ask(operations::Command::DeleteMessage(delete)).unwrap();
        }
        received.messages.len()
    }
}

#[test]
fn what_is_deleted_on_a_full_disk_makes_room_again() {
    // How much room there is: a few segments, and not even as many as a log is cleaned at otherwise.
    for segments in [2, 3, 6] {
        let mut dice = Dice::from_seed(segments);
        let disk = FaultyDisk::new(dice.split().into());
        disk.leave_room(Some((segments + 1) * SEGMENT));
        let log = journal::Options { segment_bytes: SEGMENT as u32, log_id: 1, durable: true, recycled: 0 };
        let server = Server::start(&disk, &log, Secret([1; 32]), NOW, None, &mut dice);
        let mut running = Running { server: server.map_err(|_| ()).unwrap(), ticket: 0 };
        let create = operations::create_queue::CreateQueue::new(key(), [], []).unwrap();
        running.ask(operations::Command::CreateQueue(create)).unwrap();
        for round in 0..3 {
            let sent = (0..1000).take_while(|_| running.send().is_ok()).count();
            assert!((1..1000).contains(&sent), "{segments} segments, round {round}: {sent} sent");
            let mut drained = 0;
            while let more @ 1.. = running.drain() {
                drained += more;
            }
            assert_eq!(drained, sent);
            running.turn();
        }
    }
}

#[test]
fn segments_go_when_the_last_of_their_messages_is_deleted() {
    let mut dice = Dice::from_seed(1);
    let disk = FaultyDisk::new(dice.split().into());
    let log = journal::Options { segment_bytes: SEGMENT as u32, log_id: 1, durable: true, recycled: 0 };
    let server = Server::start(&disk, &log, Secret([1; 32]), NOW, None, &mut dice);
    let mut running = Running { server: server.map_err(|_| ()).unwrap(), ticket: 0 };
    let create = operations::create_queue::CreateQueue::new(key(), [], []).unwrap();
    running.ask(operations::Command::CreateQueue(create)).unwrap();
    for _ in 0..300 {
        running.send().unwrap();
    }
    let full = running.server.machine.ledger().segments().count();
    assert!(full > 18, "{full} segments");
    while running.drain() > 0 {}
    running.turn();
    let empty = running.server.machine.ledger().segments().count();
    assert!(empty <= 4, "of {full} segments {empty} are still there");
}
