//! The requests of clients of queues.

use bytestring::ByteString;
use machine::house::House;
use machine::{Command, Input, Services};
use sqs::operations::{self, Receive};
use sqs::rules::new_message::{AttributeDraft, MessageDraft};

use super::{Asked, Check, World};
use crate::dice::Dice;
use crate::queues::QUEUES;

impl World {
    fn ask(&mut self, command: operations::Command, asked: Asked) -> Result<u64, String> {
        self.ask_any(Command::Sqs(command), asked)
    }

    pub(super) fn ask_any(&mut self, command: Command, asked: Asked) -> Result<u64, String> {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        trace!(self, "{ticket} {asked:?}");
        let configures = match &asked {
            Asked::Configure { queue } | Asked::Empty { queue, .. } => Some(*queue),
            _ => None,
        };
        let demand = Services::demand(&command);
        let low = self.server()?.machine.room() < demand;
        self.asked.insert(ticket, (asked, low));
        let now = self.now;
        self.server()?.machine.handle(now, Input::Request { ticket, command });
        if let Some(queue) = configures {
            let state = self.state(queue)?;
            self.history.declare(queue, ticket, state);
        }
        Ok(ticket)
    }

    pub(super) fn client(&mut self) -> Check {
        self.clock = self.clock + self.dice.below(20);
        self.tell_time();
        self.time_passes()?;
        if self.options.archives && self.dice.percent(12) {
            return self.bus_client();
        }
        if self.options.topics && self.dice.percent(45) {
            return self.topic_client();
        }
        let queue = self.dice.below(self.queues as u64) as usize;
        let configures = 955;
        match self.dice.below(if self.takers_wait() { configures } else { 1000 }) {
            0..330 => self.send(queue, false),
            330..400 => self.send(queue, true),
            400..650 => self.receive(queue),
            650..880 => self.delete(),
            880..940 => self.change_visibility(),
            940..955 => self.leave(),
            955..970 => self.create(queue),
            970..980 => self.configure(queue),
            980..984 if !QUEUES[queue].movable || self.dice.percent(10) => {
                let command = operations::purge_queue::PurgeQueue { queue: QUEUES[queue].key() };
                self.empty(queue, operations::Command::PurgeQueue(command), "the purge of its queue")
            }
            984..987 if !QUEUES[queue].movable || self.dice.percent(10) => {
                let command = operations::delete_queue::DeleteQueue { queue: QUEUES[queue].key() };
                self.empty(queue, operations::Command::DeleteQueue(command), "the end of its queue")
            }
            987..995 => self.move_messages(),
            _ => self.cancel_move(),
        }
    }

    pub(super) fn create(&mut self, queue: usize) -> Check {
        let plan = &QUEUES[queue];
        let attributes = plan.attributes();
        let attributes = attributes.iter().map(|(name, value)| (&**name, &**value));
        // The request is valid; the server decides whether its dead-letter queue exists.
        let create = operations::create_queue::CreateQueue::new(plan.key(), attributes, [])
            .map_err(|refusal| format!("{refusal:?}"))?;
        self.ask(operations::Command::CreateQueue(create), Asked::Configure { queue })?;
        Ok(())
    }

    fn configure(&mut self, queue: usize) -> Check {
        let key = QUEUES[queue].key();
        let value = self.dice.below(100).to_string();
        let command = if self.dice.percent(50) {
            operations::Command::SetQueueAttributes(
                operations::set_queue_attributes::SetQueueAttributes::new(
                    key,
                    [("VisibilityTimeout", &*value)],
                ),
            )
        } else {
            operations::Command::TagQueue(operations::tag_queue::TagQueue::new(key, [("tag", &*value)]))
        };
        self.ask(command, Asked::Configure { queue })?;
        Ok(())
    }

    fn empty(&mut self, queue: usize, command: operations::Command, why: &'static str) -> Check {
        let Some(id) = self.id(queue) else { return Ok(()) };
        let affected = self.history.empty(queue, id);
        self.ask(command, Asked::Empty { queue, affected, why })?;
        Ok(())
    }

    fn move_messages(&mut self) -> Check {
        let (source, home) = *self.dice.pick(&[(3, 4), (7, 8)]);
        let destination = self.dice.percent(50).then(|| QUEUES[home].key().arn());
        let command = operations::start_message_move_task::StartMessageMoveTask {
            source: Ok(QUEUES[source].key().arn()),
            destination: Ok(destination),
            rate: Ok(self.dice.percent(50).then(|| 1 + self.dice.below(20) as u32)),
        };
        self.moving = true;
        self.ask(operations::Command::StartMessageMoveTask(command), Asked::Move)?;
        Ok(())
    }

    fn cancel_move(&mut self) -> Check {
        let Some(handle) = self.task.clone() else { return Ok(()) };
        let command = operations::cancel_message_move_task::CancelMessageMoveTask { handle: handle.into() };
        self.ask(operations::Command::CancelMessageMoveTask(command), Asked::Cancel)?;
        Ok(())
    }

    /// Many messages are sent, received, and wait; or days pass.
    pub(super) fn crowd(&mut self) -> Check {
        match self.dice.below(10) {
            0..5 => {
                let queue = self.dice.below(self.queues as u64) as usize;
                for _ in 0..70 {
                    self.send(queue, true)?;
                }
                for _ in 0..self.dice.below(60) {
                    self.receive(queue)?;
                }
            }
            5 => self.pass(5 * 86_400_000)?,
            _ => {
                let millis = *self.dice.pick(&[1_000, 10_000, 30_000, 60_000, 400_000]);
                self.pass(millis)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, queue: usize, batch: bool) -> Check {
        let Some(id) = self.id(queue) else { return Ok(()) };
        let plan = &QUEUES[queue];
        let count = if batch { 1 + self.dice.below(10) } else { 1 };
        let mut numbers = Vec::new();
        let mut entries = Vec::new();
        let next_seq = self.server()?.machine.next_number();
        for entry in 0..count {
            let number = self.history.messages.len();
            let fifo = plan.is_fifo();
            let in_groups = fifo || self.dice.percent(20);
            let in_crowds = self.options.crowds && self.dice.percent(70);
            let group = in_groups.then(|| match in_crowds {
                true => format!("{:0>128}", self.dice.below(3000)),
                false => format!("g{}", self.dice.below(4)),
            });
            // Sometimes a message is sent again.
            let again: Vec<usize> = (number.saturating_sub(60)..number)
                .filter(|&other| self.history.messages[other].queue == queue)
                .filter(|&other| self.history.messages[other].publish.is_none())
                .collect();
            let repeated = fifo && !again.is_empty() && self.dice.percent(25);
            let original = if repeated { *self.dice.pick(&again) } else { number };
            let body = if repeated {
                self.history.messages[original].body.clone()
            } else {
                let length = *self.dice.pick(&[0, 0, 10, 100, 100, 700, 2500]);
                body_of(original, length)
            };
            let explicit = fifo && !plan.is_content_based();
            let (mut deduplication_id, mut known) = (None, None);
            if fifo {
                let text = body.split(' ').next().unwrap_or_default().to_owned();
                deduplication_id = explicit.then(|| text.clone());
                known = Some(match &group {
                    Some(group) if plan.deduplicates_by_group() => format!("{text} in {group}"),
                    _ => text,
                });
            }
            let own_delay = (!fifo && self.dice.percent(10)).then(|| self.dice.below(10));
            let draft = MessageDraft {
                body: body.clone().into(),
                delay_seconds: own_delay.map(|delay| delay as i64),
                attributes: vec![AttributeDraft {
                    name: "n".into(),
                    data_type: Some("Number".into()),
                    text: Some(number.to_string().into()),
                    ..AttributeDraft::default()
                }],
                group: group.clone().map(ByteString::from),
                deduplication_id: deduplication_id.map(ByteString::from),
                ..MessageDraft::default()
            };
            let message = draft.check("000000000000", fifo).map_err(|refusal| format!("{refusal:?}"))?;
            let delay = own_delay.unwrap_or(plan.delay);
            self.history.send(queue, id, group, known, body, delay, self.now, next_seq);
            self.outcome.sends += 1;
            numbers.push(number);
            entries.push((ByteString::from(entry.to_string()), Ok(message)));
        }
        let command = match entries.pop() {
            Some((_, message)) if !batch => {
                let queue = plan.key();
                operations::Command::SendMessage(operations::send_message::SendMessage { queue, message })
            }
            last => {
                entries.extend(last);
                let queue = plan.key();
                operations::Command::SendMessageBatch(operations::send_message_batch::SendMessageBatch {
                    queue,
                    entries: Ok(entries),
                })
            }
        };
        // Some messages of a FIFO queue's batch may have been sent before.
        let is_group = numbers.len() > 1 && !plan.is_fifo();
        let ticket = self.ask(command, Asked::Send(numbers))?;
        if is_group {
            self.batch_numbers.insert(ticket, next_seq);
        }
        Ok(())
    }

    fn receive(&mut self, queue: usize) -> Check {
        if self.id(queue).is_none() {
            return Ok(());
        }
        let attempt = QUEUES[queue].is_fifo() && self.dice.percent(20);
        let visibility = *self.dice.pick(&[0, 1, 5, 30, 120]);
        let request = Receive {
            most: *self.dice.pick(&[1, 1, 3, 10, 10]),
            visibility_seconds: Some(visibility as u32),
            wait_seconds: Some(*self.dice.pick(&[0, 0, 0, 1, 20])),
            attempt: attempt.then(|| format!("a{}", self.dice.below(3)).into()),
        };
        self.ask_receive(queue, request, visibility)
    }

    pub(super) fn ask_receive(&mut self, queue: usize, request: Receive, visibility: u64) -> Check {
        let attempt = request.attempt.is_some();
        let command =
            operations::receive_message::ReceiveMessage { queue: QUEUES[queue].key(), request: Ok(request) };
        self.ask(
            operations::Command::ReceiveMessage(command),
            Asked::Receive { queue, attempt, visibility },
        )?;
        Ok(())
    }

    /// Returns a recently received message, and one of its receives: usually the last.
    fn pick_given(&mut self) -> Option<(usize, usize)> {
        if self.lately.is_empty() {
            return None;
        }
        let number = *self.dice.pick(&self.lately);
        let given = self.history.messages[number].given.len();
        let last = given.checked_sub(1)?;
        Some((number, if self.dice.percent(85) { last } else { self.dice.below(given as u64) as usize }))
    }

    fn delete(&mut self) -> Check {
        let Some((number, which)) = self.pick_given() else { return Ok(()) };
        if self.options.turns && self.dice.percent(50) {
            return self.delete_and_receive(number, which);
        }
        self.delete_these(&[(number, which)])
    }

    /// Deletes a received message, and receives from the same queue, in one request.
    fn delete_and_receive(&mut self, number: usize, which: usize) -> Check {
        let given = self.history.messages[number].given[which].clone();
        let queue = given.queue;
        let visibility = *self.dice.pick(&[0, 1, 5, 30, 120]);
        let entries = Ok(vec![("0".into(), given.handle.into())]);
        let delete =
            operations::delete_message_batch::DeleteMessageBatch { queue: QUEUES[queue].key(), entries };
        let request = Receive {
            most: *self.dice.pick(&[1, 3, 10]),
            visibility_seconds: Some(visibility as u32),
            wait_seconds: Some(0),
            attempt: None,
        };
        let receive =
            operations::receive_message::ReceiveMessage { queue: QUEUES[queue].key(), request: Ok(request) };
        let both = operations::delete_and_receive_messages::DeleteAndReceiveMessages { delete, receive };
        let now = self.now;
        let deletions = vec![self.history.delete(number, which, now)];
        self.ask(
            operations::Command::DeleteAndReceiveMessages(both),
            Asked::Turn { deletions, queue, visibility },
        )?;
        Ok(())
    }

    /// Deletes received messages of one queue.
    pub(super) fn delete_these(&mut self, these: &[(usize, usize)]) -> Check {
        let given = |world: &World, (number, which): (usize, usize)| {
            world.history.messages[number].given[which].clone()
        };
        let Some(&first) = these.first() else { return Ok(()) };
        let key = QUEUES[given(self, first).queue].key();
        let command = if these.len() == 1 {
            operations::Command::DeleteMessage(operations::delete_message::DeleteMessage {
                queue: key,
                handle: given(self, first).handle.into(),
            })
        } else {
            let entries = these.iter().enumerate();
            let entries =
                entries.map(|(at, &this)| (at.to_string().into(), given(self, this).handle.into())).collect();
            operations::Command::DeleteMessageBatch(operations::delete_message_batch::DeleteMessageBatch {
                queue: key,
                entries: Ok(entries),
            })
        };
        let now = self.now;
        let deletions = these.iter().map(|&(number, which)| self.history.delete(number, which, now));
        let deletions = deletions.collect();
        self.ask(command, Asked::Delete(deletions))?;
        Ok(())
    }

    fn change_visibility(&mut self) -> Check {
        let Some((number, given)) = self.pick_given() else { return Ok(()) };
        let of = self.history.messages[number].given[given].clone();
        let seconds = *self.dice.pick(&[0, 0, 2, 30, 100]);
        let change = self.history.change_visibility(number, self.now);
        let command = operations::change_message_visibility::ChangeMessageVisibility {
            queue: QUEUES[of.queue].key(),
            handle: of.handle.into(),
            visibility_seconds: Ok(seconds),
        };
        let until = self.now.plus_seconds(seconds.into());
        let asked = Asked::Change { number, given, change, until };
        self.ask(operations::Command::ChangeMessageVisibility(command), asked)?;
        Ok(())
    }

    /// A waiting client disconnects.
    fn leave(&mut self) -> Check {
        let receives = self.asked.iter().filter(|(_, (asked, _))| matches!(asked, Asked::Receive { .. }));
        let tickets: Vec<u64> = receives.map(|(&ticket, _)| ticket).collect();
        if tickets.is_empty() {
            return Ok(());
        }
        let ticket = *self.dice.pick(&tickets);
        trace!(self, "{ticket} leaves");
        let now = self.now;
        self.server()?.machine.handle(now, Input::Gone { ticket });
        Ok(())
    }
}

/// Returns the body of a message: its number, and text that is a function of the number.
pub(super) fn body_of(number: usize, length: usize) -> String {
    let mut dice = Dice::from_seed(number as u64);
    let mut body = format!("{number} ");
    body.extend((0..length).map(|_| char::from(b'a' + dice.below(26) as u8)));
    body
}
