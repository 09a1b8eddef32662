//! Requeues selected dead letters, at a limited rate.

use std::collections::HashSet;
use std::time::Duration;

use crate::clients::Clients;
use crate::dead_letters::{DeadLetter, HIDDEN_SECONDS, give_back, receive};
use crate::fault::Fault;
use crate::publisher::{Prepared, PublishError, Publisher};
use crate::queue::Queue;

/// The result of a [`requeue()`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Requeued {
    /// Number of letters put back into the queue.
    pub moved: u64,
    /// Number of letters left in the dead-letter queue.
    pub left: u64,
}

/// Puts the letters for which `choose` returns `true` back into `target`, at most `per_second` of them a
/// second.
///
/// **Guarantee**: *at least once*. A letter is deleted after the queue accepted it; a crash between the two
/// leaves both, with the same envelope id. The reason is removed, and the envelope's retry count is
/// incremented.
///
/// A letter that the queue refuses is left and logged; the others continue.
///
/// In a FIFO queue, ten letters that are left hide the later ones of their group.
///
/// # Errors
/// A queue cannot be reached. Letters moved until then stay moved.
pub async fn requeue(
    clients: &Clients,
    dead_letters: &Queue,
    target: &Queue,
    per_second: f64,
    mut choose: impl FnMut(&DeadLetter) -> bool,
) -> Result<Requeued, Fault> {
    let publisher = Publisher::queue(clients, target);
    let mut result = Requeued::default();
    let (mut left, mut kept, mut next) = (HashSet::new(), Vec::new(), tokio::time::Instant::now());
    let pause = Duration::from_secs_f64((1.0 / per_second.max(1e-6)).min(86_400.0));
    let (at_once, mut again) = (at_once(per_second), 0);
    let failure = loop {
        if at_once == 1 {
            // The letters must not wait here for longer than they are hidden.
            tokio::time::sleep_until(next).await;
        }
        let messages = match receive(clients, dead_letters, at_once).await {
            Ok(messages) => messages,
            Err(fault) => break Some(fault),
        };
        if messages.is_empty() {
            break None;
        }
        let mut failure = None;
        for message in &messages {
            let letter = DeadLetter::read(message);
            let receipt = message.receipt_handle.clone().unwrap_or_default();
            if failure.is_some() || left.contains(&letter.message_id) || !choose(&letter) {
                again = if left.insert(letter.message_id) { 0 } else { again + 1 };
                kept.push(receipt);
                continue;
            }
            again = 0;
            tokio::time::sleep_until(next).await;
            next = next.max(tokio::time::Instant::now()) + pause;
            let message_id = letter.message_id.clone();
            if let Err(fault) = put_back(&publisher, letter.revived(target.is_fifo())).await {
                kept.push(receipt);
                if fault.may_be_of_one_message() {
                    tracing::warn!(message_id, %fault, queue = target.name(), "a dead letter cannot be requeued");
                    left.insert(message_id);
                } else {
                    failure = Some(fault);
                }
                continue;
            }
            result.moved += 1;
            let delete = clients.sqs.delete_message().queue_url(&dead_letters.url).receipt_handle(receipt);
            failure = delete.send().await.err().map(Fault::from);
        }
        // The loop took so long that all remaining letters are visible again, and no others.
        if failure.is_some() || again > left.len() {
            break failure;
        }
    };
    result.left = left.len() as u64;
    give_back(clients, dead_letters, &kept).await;
    failure.map_or(Ok(result), Err)
}

/// Number of letters held at a time: as many as can be put back in half of the time that they are hidden.
fn at_once(per_second: f64) -> i32 {
    (per_second.max(0.0) * f64::from(HIDDEN_SECONDS) / 2.0).clamp(1.0, 10.0) as i32
}

async fn put_back(publisher: &Publisher, letter: Prepared) -> Result<(), Fault> {
    let sent = publisher.publish_prepared(vec![letter]).await.map(|mut results| results.pop());
    match sent {
        Ok(Some(Ok(_))) => Ok(()),
        Ok(Some(Err(PublishError::Refused { fault, .. }))) => Err(fault),
        Ok(Some(Err(error))) | Err(error) => Err(Fault::permanent("Requeue", error.to_string())),
        Ok(None) => Err(Fault::permanent("Requeue", "no answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letter_waits_in_the_hands_of_a_slow_requeue_until_it_is_visible_again() {
        assert_eq!([0.0, 0.001, 0.02, 0.05, 0.1, 1_000.0, f64::NAN].map(at_once), [1, 1, 1, 3, 6, 10, 1]);
    }
}
