//! Compares answers with the requests and with the ledger.

use std::sync::atomic::Ordering::Relaxed;

use md5::{Digest, Md5};
use memchr::memmem;

use crate::answers::{elements, strings};
use crate::ledger::{Arrival, IDENTITY_BYTES, Identity, Ledger, put_hex};
use crate::phase::Phase;
use crate::requests::Operation;
use crate::tally::Tally;

/// Returns how many of the `asked` messages an answer to this operation reports as done.
pub(crate) fn sent(operation: Operation, answer: &[u8], asked: u64, tally: &mut Tally) -> u64 {
    let taken = memmem::find_iter(answer, operation.mark()).count() as u64;
    if taken != asked {
        let refused = count_codes(answer, tally);
        if taken + refused != asked {
            tally.error("an answer that does not mention each message");
        }
    }
    taken.min(asked)
}

/// Counts the failed entries of a batch's answer as errors.
pub(crate) fn count_codes(answer: &[u8], tally: &mut Tally) -> u64 {
    let mut count = 0;
    let json =
        strings(answer).filter(|(key, _)| matches!(*key, b"Code" | b"ErrorCode")).map(|(_, code)| code);
    for code in json.chain(elements(answer, "Code")) {
        tally.error(format!("entry failed: {}", String::from_utf8_lossy(code)));
        count += 1;
    }
    count
}

/// Compares the digests in the answer to a send with the bodies that were sent.
pub(crate) fn compare_sent<'a>(bodies: impl Iterator<Item = &'a [u8]>, answer: &[u8], tally: &mut Tally) {
    let digests = strings(answer).filter(|(key, _)| *key == b"MD5OfMessageBody").map(|(_, digest)| digest);
    let mut digests: Vec<&[u8]> = digests.collect();
    for body in bodies {
        tally.compared += 1;
        // A batch's answer may have its entries in another order.
        match digests.iter().position(|digest| *digest == hex_md5(body)) {
            Some(at) => _ = digests.swap_remove(at),
            None => tally.error("MD5OfMessageBody is not that of the body sent"),
        }
    }
}

/// Records a message that arrived from the queue with this number.
pub(crate) fn arrived(
    phase: &Phase<'_>,
    queue: usize,
    body: &[u8],
    compare: bool,
    counts: bool,
    now: u64,
    tally: &mut Tally,
) {
    let body = match phase.wrapping {
        None => body,
        Some(before) => match memmem::find(body, before) {
            Some(at) => {
                body.get(at + before.len()..at + before.len() + phase.filler.len()).unwrap_or_default()
            }
            None => &[],
        },
    };
    let Some(identity) = book(phase.ledger, phase.run, phase.filler, queue, body, compare, tally) else {
        return;
    };
    phase.last_arrival.store(now, Relaxed);
    if counts && phase.both_sides {
        tally.end_to_end.saturating_record(now.saturating_sub(identity.sent_at).max(1));
    }
}

/// Records a message that arrived at a place, and returns its identity; `None` if it is of another run.
pub(crate) fn book(
    ledger: &Ledger,
    run: u32,
    filler: &[u8],
    place: usize,
    body: &[u8],
    compare: bool,
    tally: &mut Tally,
) -> Option<Identity> {
    let Some(identity) = Identity::read(body).filter(|identity| identity.run == run) else {
        tally.foreign += 1;
        return None;
    };
    match ledger.arrive(&identity, place) {
        Arrival::First => {}
        Arrival::Again => tally.error("a message came twice"),
        Arrival::OutOfOrder => tally.error("a group's message came out of order"),
        Arrival::NeverSent => tally.error("a message came that was never sent"),
    }
    let other = |body: &[u8]| body[IDENTITY_BYTES..] != filler[IDENTITY_BYTES..];
    if body.len() != filler.len() || (compare && other(body)) {
        tally.error("a message came with other bytes than were sent");
    }
    Some(identity)
}

/// Returns the digest as AWS writes it.
pub(crate) fn hex_md5(body: &[u8]) -> [u8; 32] {
    let mut text = [0; 32];
    for (place, byte) in text.chunks_exact_mut(2).zip(Md5::digest(body)) {
        put_hex(place, u64::from(byte));
    }
    text
}
