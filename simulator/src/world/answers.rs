//! Compares the server's answers with the permitted ones.

use machine::{Answer, Reply};
use sqs::operations::{self, BatchOutcome, Reply as SqsReply};

use super::{Asked, Check, World, publishing};
use crate::history::Deletion;
use crate::queues::QUEUES;

impl World {
    pub(super) fn flush(&mut self) -> Check {
        let now = self.now;
        for (ticket, answer) in self.server()?.flush(now) {
            self.answered(ticket, answer)?;
        }
        let durable = self.server()?.writer.durable();
        self.history.durable(durable)?;
        self.take_attempts()
    }

    fn answered(&mut self, ticket: u64, answer: Answer) -> Check {
        let Some((asked, low)) = self.asked.remove(&ticket) else {
            return Err(format!("{ticket} was answered, and was not asked or answered before"));
        };
        trace!(self, "{ticket} is answered {answer:?}");
        let (asked, answer) = match (asked, answer) {
            (Asked::Topic(asked), answer) => {
                let answer = match answer {
                    Ok(Reply::Sns(reply)) => Ok(reply),
                    Ok(_) => {
                        return Err(format!("{ticket} was answered as if it were not about topics"));
                    }
                    Err(refusal) => Err(refusal),
                };
                return self.topic_answered(ticket, asked, answer, low);
            }
            (Asked::Bus(asked), answer) => return self.bus_answered(asked, answer, low),
            (asked, Ok(Reply::Sqs(reply))) => (asked, Ok(reply)),
            (_, Ok(_)) => {
                return Err(format!("{ticket} was answered as if it were not about queues"));
            }
            (asked, Err(refusal)) => (asked, Err(refusal)),
        };
        if let Err(refusal) = &answer {
            let full = low && refusal.shape == "ServiceUnavailable";
            self.outcome.full += u64::from(full);
            let fitting = full
                || match &asked {
                    Asked::Send(_)
                    | Asked::Receive { .. }
                    | Asked::Empty { .. }
                    | Asked::Topic(_)
                    | Asked::Bus(_) => false,
                    Asked::Delete(_) | Asked::Turn { .. } => {
                        matches!(
                            refusal.shape,
                            "ReceiptHandleIsInvalid" | "QueueDoesNotExist" | "InvalidParameterValueException"
                        )
                    }
                    Asked::Change { .. } | Asked::Move | Asked::Cancel | Asked::Configure { .. } => true,
                };
            if !fitting {
                return Err(format!("{asked:?} was refused: {refusal:?}"));
            }
        }
        match (asked, answer) {
            (Asked::Send(numbers), Err(_)) => numbers.iter().for_each(|&number| self.history.refused(number)),
            (Asked::Send(numbers), Ok(SqsReply::Sent(sent))) => self.history.sent(numbers[0], sent.seq)?,
            (Asked::Send(numbers), Ok(SqsReply::SentBatch(outcome))) => {
                if !outcome.failed.is_empty() {
                    return Err(format!("of a batch failed {:?}", outcome.failed));
                }
                for (&number, (_, sent)) in numbers.iter().zip(&outcome.successful) {
                    self.history.sent(number, sent.seq)?;
                }
            }
            (Asked::Receive { queue, attempt, visibility }, Ok(SqsReply::Received(received))) => {
                self.received(queue, attempt, visibility, &received)?;
            }
            (Asked::Delete(deletions), Ok(SqsReply::Done)) => self.history.deleted(deletions[0]),
            (Asked::Delete(deletions), Ok(SqsReply::DoneBatch(outcome))) => {
                self.deleted(&deletions, &outcome)?;
            }
            (
                Asked::Turn { deletions, queue, visibility },
                Ok(SqsReply::DeletedAndReceived(outcome, received)),
            ) => {
                self.deleted(&deletions, &outcome)?;
                self.received(queue, false, visibility, &received)?;
            }
            (Asked::Delete(deletions) | Asked::Turn { deletions, .. }, Err(_)) => {
                deletions.iter().for_each(|&deletion| self.history.not_deleted(deletion));
            }
            (Asked::Change { number, given, change, until }, Ok(SqsReply::Done)) => {
                self.history.visibility_changed(number, given, change, until);
            }
            (Asked::Configure { queue }, _) => self.history.declared(queue, ticket),
            (Asked::Empty { queue, affected, why }, Ok(_)) => {
                self.history.emptied(queue, &affected, why);
                self.history.declared(queue, ticket);
            }
            (Asked::Empty { affected, .. }, Err(_)) => self.history.not_emptied(&affected),
            (Asked::Move, Ok(SqsReply::MoveStarted { task, source })) => {
                let secret = publishing::SECRET;
                let uuid = sqs::ids::task_uuid(&secret, task);
                self.task = Some(operations::cancel_message_move_task::task_handle(&uuid, &source));
            }
            (Asked::Receive { .. }, Ok(SqsReply::Done) | Err(_))
            | (Asked::Move | Asked::Cancel | Asked::Change { .. }, _) => {}
            (asked, answer) => return Err(format!("{asked:?} was answered {answer:?}")),
        }
        Ok(())
    }

    fn deleted(&mut self, deletions: &[Deletion], outcome: &BatchOutcome<()>) -> Check {
        for (id, result) in outcome
            .successful
            .iter()
            .map(|(id, ())| (id, true))
            .chain(outcome.failed.iter().map(|(id, _)| (id, false)))
        {
            let at: usize = id.parse().map_err(|_| format!("there was no entry {id}"))?;
            if result {
                self.history.deleted(deletions[at]);
            } else {
                self.history.not_deleted(deletions[at]);
            }
        }
        Ok(())
    }

    /// Reads received messages, as the HTTP threads do.
    fn received(
        &mut self,
        queue: usize,
        attempt: bool,
        visibility: u64,
        received: &operations::receive_message::Received,
    ) -> Check {
        let server = self.server.as_ref().ok_or("the server is not running")?;
        let extents: Vec<_> = received.messages.iter().map(|message| message.extent).collect();
        let mut messages = Vec::new();
        for (delivered, record) in received.messages.iter().zip(server.reader.read_many(&extents)) {
            let record =
                record.map_err(|error| format!("{delivered:?} was given and cannot be read: {error}"))?;
            let (number, payload) = self.read(delivered, &record)?;
            let Some(message) = self.history.messages.get(number) else {
                return Err(format!("{delivered:?} is no message that was sent"));
            };
            if payload.body != message.body {
                return Err(format!("message {number} has another body: {}", payload.body));
            }
            messages.push((number, delivered));
        }
        let end = server.machine.end();
        for &(number, delivered) in &messages {
            trace!(self, "    message {number} from {} as {:?}", QUEUES[queue].name, delivered.seq);
        }
        self.history.given(queue, received.queue, attempt, visibility, end, &messages)?;
        self.lately.extend(messages.iter().map(|&(number, _)| number));
        let old = self.lately.len().saturating_sub(30);
        self.lately.drain(..old);
        Ok(())
    }
}
