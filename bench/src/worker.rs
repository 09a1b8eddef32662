//! The logic of one connection: given the answer to its last request, it chooses the next request. It uses no
//! sockets.

use std::sync::atomic::Ordering::Relaxed;

use memchr::memmem;

use crate::answers::{Answer, strings};
use crate::checks::{arrived, compare_sent, count_codes, hex_md5, sent};
use crate::ledger::Identity;
use crate::phase::Phase;
use crate::requests::Operation;
use crate::tally::Tally;

/// Pause of a consumer that finds no messages.
const EMPTY_PAUSE_NANOS: u64 = 5_000_000;

/// The role of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sends.
    Producer,
    /// Receives and deletes.
    Consumer,
    /// Sends one message, receives one, deletes it.
    Cycler,
    /// Receives, and deletes nothing.
    Poller,
}

/// The next action on a connection.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send the request in the buffer. Its latency is measured from `since`.
    Request { operation: Operation, since: u64 },
    /// Ask again, at this time at the latest.
    Wait(u64),
    /// Done.
    Done,
}

/// The result of the last request.
pub(crate) enum Outcome<'a> {
    /// There was no request.
    Nothing,
    /// It was answered.
    Answered(Operation, &'a Answer<'a>),
    /// The connection broke, or no answer came in time.
    Lost(Operation),
}

/// One connection's part in a phase.
pub(crate) struct Worker {
    pub(crate) role: Role,
    queue: usize,
    /// Number of messages to send, if the phase divides a fixed number.
    share: u64,
    /// The group of the next message, the first group of this connection, and the distance between its
    /// groups. A group belongs to one connection, so the order of its sends is known.
    group: u32,
    first_group: u32,
    group_step: u32,
    /// When the next request is due, if the phase has an interval.
    due: u64,
    waited: bool,
    invocation: u64,
    last: Option<Operation>,
    found_nothing: bool,
}

impl Worker {
    /// `index` is this connection's number among the `of` connections that send in this phase (or among all,
    /// if it does not send).
    pub(crate) fn new(phase: &Phase<'_>, role: Role, queue: usize, index: usize, of: usize) -> Worker {
        let first_group = index as u32;
        Worker {
            role,
            queue,
            share: phase.share.unwrap_or(u64::MAX),
            group: first_group,
            first_group,
            group_step: of as u32,
            due: phase.interval.unwrap_or(0) * index as u64 / of as u64,
            waited: false,
            invocation: (index as u64) << 32,
            last: None,
            found_nothing: false,
        }
    }

    /// Starts the phase; due times count from here.
    pub(crate) fn begin(&mut self, now: u64) {
        self.due += now;
    }

    /// Whether a receive in progress may stay unanswered once all messages have arrived.
    pub(crate) fn may_leave(&self) -> bool {
        self.role == Role::Consumer
    }

    /// Processes the result of the last request, whose bytes are still in `out`, and writes the next request
    /// there.
    pub(crate) fn step(
        &mut self,
        phase: &Phase<'_>,
        outcome: Outcome<'_>,
        since: u64,
        now: u64,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Next {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Lost(operation) => {
                self.last = Some(operation);
                self.found_nothing = true;
                if operation.sends() {
                    phase.ledger.fail(phase.queues[self.queue].send.messages());
                }
            }
            Outcome::Answered(operation, answer) => {
                self.last = Some(operation);
                let counts = phase.counts(now);
                let messages = self.take(phase, operation, answer, counts, now, out, tally);
                if counts && answer.status == 200 {
                    let place = operation as usize;
                    tally.latencies[place].saturating_record(now.saturating_sub(since).max(1));
                    tally.messages[place] += messages;
                    tally.last_answer = now;
                }
                let through = match self.role {
                    Role::Producer | Role::Poller => messages,
                    Role::Consumer | Role::Cycler
                        if operation == phase.queues[self.queue].delete.operation =>
                    {
                        messages
                    }
                    Role::Consumer | Role::Cycler => 0,
                };
                phase.progress.count(through);
                if operation == Operation::Receive && messages > 0 && self.role != Role::Poller {
                    let operation = phase.queues[self.queue].delete.operation;
                    return Next::Request { operation, since: now };
                }
            }
        }
        match self.role {
            Role::Producer => self.produce(phase, now, out),
            Role::Consumer => self.consume(phase, now, out),
            Role::Cycler => match self.last {
                Some(Operation::Send) => self.receive(phase, now, out),
                // Another connection may have taken it; but if no message arrives at all, continue.
                Some(Operation::Receive) if self.found_nothing && !phase.ended(now) => {
                    self.last = Some(Operation::Send);
                    self.receive(phase, now, out)
                }
                _ if phase.ended(now) => Next::Done,
                _ => self.send(phase, now, now, out),
            },
            Role::Poller if phase.ended(now) => Next::Done,
            Role::Poller => self.receive(phase, now, out),
        }
    }

    fn produce(&mut self, phase: &Phase<'_>, now: u64, out: &mut Vec<u8>) -> Next {
        let messages = phase.queues[self.queue].send.messages();
        let over = match phase.share {
            Some(_) => self.share == 0,
            None => phase.ended(now),
        };
        if over {
            phase.producers_at_work.fetch_sub(1, Relaxed);
            return Next::Done;
        }
        if phase.outstanding.is_some_and(|limit| phase.ledger.outstanding() + messages > limit) {
            return Next::Wait(now + 1_000_000);
        }
        let Some(interval) = phase.interval else { return self.send(phase, now, now, out) };
        if now < self.due {
            self.waited = true;
            return Next::Wait(self.due);
        }
        // If a request is late because the last answer was late, its latency counts from its due time. If it
        // is late because this client's timer is coarse, it does not.
        let since = if std::mem::take(&mut self.waited) { now } else { self.due };
        self.due += interval;
        self.send(phase, since, now, out)
    }

    fn consume(&mut self, phase: &Phase<'_>, now: u64, out: &mut Vec<u8>) -> Next {
        let stalled = now > phase.last_arrival.load(Relaxed) + phase.stall_nanos;
        let over = phase.all_has_come()
            || (phase.checks && stalled && phase.producers_at_work.load(Relaxed) == 0)
            || (phase.ended(now) && !phase.both_sides);
        if over {
            return Next::Done;
        }
        if std::mem::take(&mut self.found_nothing) {
            return Next::Wait(now + EMPTY_PAUSE_NANOS);
        }
        self.receive(phase, now, out)
    }

    fn send(&mut self, phase: &Phase<'_>, since: u64, now: u64, out: &mut Vec<u8>) -> Next {
        let template = &phase.queues[self.queue].send;
        let first = phase.ledger.issue(template.messages());
        self.share = self.share.saturating_sub(template.messages());
        self.invocation += 1;
        template.write(self.invocation, out, |entry| {
            let group = self.group;
            if phase.groups > 0 {
                self.group += self.group_step;
                if self.group >= phase.groups {
                    self.group = self.first_group;
                }
            }
            Identity { run: phase.run, number: first + entry, sent_at: now, group }
        });
        Next::Request { operation: template.operation, since }
    }

    fn receive(&mut self, phase: &Phase<'_>, now: u64, out: &mut Vec<u8>) -> Next {
        self.invocation += 1;
        phase.queues[self.queue].receive.write(self.invocation, out);
        Next::Request { operation: Operation::Receive, since: now }
    }

    /// Parses an answer, and returns the number of its messages. After a receive, the delete request is in
    /// `out`.
    #[allow(clippy::too_many_arguments)] // One call, one place; a struct for it would only rename them.
    fn take(
        &mut self,
        phase: &Phase<'_>,
        operation: Operation,
        answer: &Answer<'_>,
        counts: bool,
        now: u64,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> u64 {
        let queue = &phase.queues[self.queue];
        let sends = operation.sends();
        if answer.status != 200 {
            tally.error(answer.error_kind());
            self.found_nothing = true;
            if sends {
                phase.ledger.fail(queue.send.messages());
            }
            return 0;
        }
        // The first of each connection, and then one of every few.
        let compare = phase.checks
            && u64::from(self.invocation as u32) % phase.compare_every == 1 % phase.compare_every;
        if sends {
            let asked = queue.send.messages();
            let taken = if phase.checks { sent(operation, &answer.body, asked, tally) } else { asked };
            phase.ledger.acknowledge(taken);
            phase.ledger.fail(asked - taken);
            if compare && taken == asked && operation.has_digests() {
                compare_sent(queue.send.bodies(out, phase.filler.len()), &answer.body, tally);
            }
            taken
        } else if operation == Operation::Receive {
            let mut delete = queue.delete.begin(self.invocation, out);
            let mut digest: Option<&[u8]> = None;
            let mut body: Option<&[u8]> = None;
            for (key, value) in strings(&answer.body) {
                match key {
                    b"ReceiptHandle" => delete.handle(value),
                    b"Body" if phase.checks => {
                        arrived(phase, self.queue, value, compare, counts, now, tally);
                        body = Some(value);
                    }
                    b"MD5OfBody" if compare && phase.wrapping.is_none() => digest = Some(value),
                    _ => {}
                }
                if compare && let (Some(was), Some(text)) = (digest, body) {
                    tally.compared += 1;
                    if was != hex_md5(text) {
                        tally.error("MD5OfBody is not that of the body");
                    }
                    (digest, body) = (None, None);
                }
            }
            let received = delete.finish();
            self.found_nothing = received == 0;
            if counts && received == 0 {
                tally.empty_receives += 1;
            }
            received
        } else {
            let asked = memmem::find_iter(out, b"\"ReceiptHandle\"").count() as u64;
            let refused = if memmem::find(&answer.body, b"\"Code\"").is_some() {
                count_codes(&answer.body, tally)
            } else {
                0
            };
            asked - refused.min(asked)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::atomic::{AtomicU64, AtomicUsize};
    use std::time::Instant;

    use super::*;
    use crate::ledger::Ledger;
    use crate::phase::{QueueTemplates, Window};
    use crate::requests::{DeleteTemplate, ReceiveTemplate, SendTemplate};
    use crate::tally::Progress;

    struct Bench {
        ledger: Ledger,
        progress: Progress,
        queues: Vec<QueueTemplates>,
        filler: Vec<u8>,
    }

    impl Bench {
        fn new(batch: usize) -> Bench {
            let filler = "f".repeat(64);
            Bench {
                ledger: Ledger::new(0),
                progress: Progress::default(),
                queues: vec![QueueTemplates {
                    send: SendTemplate::new("h", "q", &filler, false, batch),
                    receive: ReceiveTemplate::new("h", "q", 10, 0),
                    delete: DeleteTemplate::new("h", "q", true),
                }],
                filler: filler.into_bytes(),
            }
        }

        fn phase(&self) -> Phase<'_> {
            let window = Window::default();
            window.until.store(1_000, Relaxed);
            Phase {
                ledger: &self.ledger,
                progress: &self.progress,
                queues: &self.queues,
                run: 1,
                filler: &self.filler,
                wrapping: None,
                checks: true,
                compare_every: 1,
                groups: 0,
                share: None,
                interval: None,
                outstanding: None,
                goal: None,
                both_sides: false,
                window,
                clock: Instant::now(),
                producers_at_work: AtomicUsize::new(1),
                last_arrival: AtomicU64::new(0),
                stall_nanos: u64::MAX / 2,
            }
        }
    }

    fn ok(body: String) -> Answer<'static> {
        Answer { status: 200, body: Cow::Owned(body.into_bytes()), closes: false }
    }

    #[test]
    fn a_message_is_followed_from_its_send_through_its_arrival_to_its_deletion() {
        let bench = Bench::new(1);
        let phase = bench.phase();
        let mut tally = Tally::new();
        let mut out = Vec::new();
        let mut producer = Worker::new(&phase, Role::Producer, 0, 0, 1);
        producer.step(&phase, Outcome::Nothing, 0, 10, &mut out, &mut tally);
        let body = bench.queues[0].send.bodies(&out, 64).next().unwrap().to_vec();
        let digest = String::from_utf8(hex_md5(&body).to_vec()).unwrap();
        let answer = ok(format!("{{\"MessageId\":\"m\",\"MD5OfMessageBody\":\"{digest}\"}}"));
        producer.step(&phase, Outcome::Answered(Operation::Send, &answer), 10, 20, &mut out, &mut tally);
        assert_eq!(bench.ledger.acknowledged(), 1);

        let mut consumer = Worker::new(&phase, Role::Consumer, 0, 0, 1);
        let body = String::from_utf8(body).unwrap();
        let message = format!("{{\"ReceiptHandle\":\"r\",\"MD5OfBody\":\"{digest}\",\"Body\":\"{body}\"}}");
        let answer = ok(format!("{{\"Messages\":[{message}]}}"));
        let outcome = Outcome::Answered(Operation::Receive, &answer);
        let next = consumer.step(&phase, outcome, 20, 30, &mut out, &mut tally);
        assert!(matches!(next, Next::Request { operation: Operation::DeleteBatch, .. }), "{next:?}");
        let answer = ok("{\"Successful\":[{\"Id\":\"0\"}]}".into());
        consumer.step(
            &phase,
            Outcome::Answered(Operation::DeleteBatch, &answer),
            30,
            40,
            &mut out,
            &mut tally,
        );
        assert_eq!((bench.ledger.arrived(), tally.messages[Operation::DeleteBatch as usize]), (1, 1));
        assert_eq!((tally.compared, tally.errors.len()), (2, 0), "{:?}", tally.errors);
        assert_eq!(tally.latencies[Operation::Receive as usize].max(), 10);
    }

    #[test]
    fn a_wrong_digest_a_changed_body_and_a_second_arrival_are_errors() {
        let bench = Bench::new(1);
        let phase = bench.phase();
        let mut tally = Tally::new();
        let mut out = Vec::new();
        let mut producer = Worker::new(&phase, Role::Producer, 0, 0, 1);
        producer.step(&phase, Outcome::Nothing, 0, 10, &mut out, &mut tally);
        let body = String::from_utf8(bench.queues[0].send.bodies(&out, 64).next().unwrap().to_vec()).unwrap();
        let answer = ok("{\"MessageId\":\"m\",\"MD5OfMessageBody\":\"00\"}".into());
        producer.step(&phase, Outcome::Answered(Operation::Send, &answer), 10, 20, &mut out, &mut tally);
        assert_eq!(
            tally.errors.keys().collect::<Vec<_>>(),
            ["MD5OfMessageBody is not that of the body sent"]
        );

        let changed = body.replace("fff", "ggg");
        let digest = String::from_utf8(hex_md5(changed.as_bytes()).to_vec()).unwrap();
        let message =
            format!("{{\"ReceiptHandle\":\"r\",\"MD5OfBody\":\"{digest}\",\"Body\":\"{changed}\"}}");
        let answer = ok(format!("{{\"Messages\":[{message},{message}]}}"));
        let mut consumer = Worker::new(&phase, Role::Consumer, 0, 0, 1);
        consumer.step(&phase, Outcome::Answered(Operation::Receive, &answer), 20, 30, &mut out, &mut tally);
        assert_eq!(tally.errors["a message came with other bytes than were sent"], 2);
        assert_eq!(tally.errors["a message came twice"], 1);
    }

    #[test]
    fn a_failed_entry_of_a_batch_is_an_error_and_not_an_acknowledged_message() {
        let bench = Bench::new(3);
        let phase = bench.phase();
        let mut tally = Tally::new();
        let mut out = Vec::new();
        let mut producer = Worker::new(&phase, Role::Producer, 0, 0, 1);
        producer.step(&phase, Outcome::Nothing, 0, 10, &mut out, &mut tally);
        let answer = ok("{\"Successful\":[{\"MessageId\":\"1\"},{\"MessageId\":\"2\"}],\
             \"Failed\":[{\"Id\":\"2\",\"Code\":\"InternalError\",\"SenderFault\":false}]}"
            .into());
        producer.step(&phase, Outcome::Answered(Operation::SendBatch, &answer), 10, 20, &mut out, &mut tally);
        assert_eq!((bench.ledger.acknowledged(), bench.ledger.failed()), (2, 1));
        assert_eq!(tally.errors["entry failed: InternalError"], 1);
    }

    #[test]
    fn a_late_answer_makes_the_next_request_late_and_its_latency_says_so() {
        let bench = Bench::new(1);
        let phase = Phase { interval: Some(100), ..bench.phase() };
        let mut tally = Tally::new();
        let mut out = Vec::new();
        let mut producer = Worker::new(&phase, Role::Producer, 0, 0, 1);
        let mut at = |now| producer.step(&phase, Outcome::Nothing, 0, now, &mut out, &mut tally);
        assert!(matches!(at(5), Next::Request { since: 0, .. }));
        assert!(matches!(at(350), Next::Request { since: 100, .. }));
        assert!(matches!(at(351), Next::Request { since: 200, .. }));
        assert!(matches!(at(352), Next::Request { since: 300, .. }));
        assert!(matches!(at(353), Next::Wait(400)));
        assert!(matches!(at(402), Next::Request { since: 402, .. }));
    }
}
