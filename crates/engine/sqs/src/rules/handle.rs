//! The receipt handle: which receive of which message a client means.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::{Secret, Time};

use super::group::{hash, seed_of};
use crate::{QueueId, Seq};

/// What a receipt handle says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle {
    /// The queue it was received from.
    pub queue: QueueId,
    /// The message.
    pub seq: Seq,
    /// Which receive of it: the message's receive count at that moment.
    pub receive: u32,
    /// When.
    pub received: Time,
    /// Where to look for the message.
    pub group: GroupHint,
}

/// What a receipt handle says of the message's group, so that the message is found even if the receive was forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupHint {
    /// Nothing: a FIFO queue's handle, whose receive is never forgotten, or one that an older version made.
    Unknown,
    /// The message has none.
    Without,
    /// The hash of its id, by which the queue finds it.
    Hash(u32),
}

impl GroupHint {
    /// Of a message of a standard queue.
    pub fn of(group: Option<&str>, secret: &Secret) -> Self {
        match group {
            None => GroupHint::Without,
            Some(name) => GroupHint::Hash(hash(seed_of(secret), name.as_bytes())),
        }
    }
}

// The first byte says what follows. Handles of all kinds are good whatever version made them.
const UNKNOWN: u8 = 1;
const HASHED: u8 = 2;
const WITHOUT: u8 = 3;

/// Kind, queue, message, receive, time: 29 bytes; the hash, if there is one; four that check the others.
const LEN: usize = 33;
const LEN_HASHED: usize = 37;

impl Handle {
    /// The handle as the client gets it: 44 characters of base64, or 52.
    pub fn to_text(self) -> String {
        let mut bytes = [0u8; LEN_HASHED];
        let (kind, hash) = match self.group {
            GroupHint::Unknown => (UNKNOWN, None),
            GroupHint::Without => (WITHOUT, None),
            GroupHint::Hash(hash) => (HASHED, Some(hash)),
        };
        bytes[0] = kind;
        bytes[1..9].copy_from_slice(&self.queue.0.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.seq.0.to_be_bytes());
        bytes[17..21].copy_from_slice(&self.receive.to_be_bytes());
        bytes[21..29].copy_from_slice(&self.received.0.to_be_bytes());
        let mut end = 29;
        if let Some(hash) = hash {
            bytes[end..end + 4].copy_from_slice(&hash.to_be_bytes());
            end += 4;
        }
        let check = checksum(&bytes[..end]);
        bytes[end..end + 4].copy_from_slice(&check.to_be_bytes());
        STANDARD.encode(&bytes[..end + 4])
    }

    /// Reads a handle; `None` if it is none of ours.
    pub fn from_text(text: &str) -> Option<Handle> {
        let mut bytes = [0u8; LEN_HASHED.div_ceil(3) * 3];
        if text.len() > bytes.len() / 3 * 4 {
            return None;
        }
        let len = STANDARD.decode_slice(text, &mut bytes).ok()?;
        let (body, check) = bytes.get(..len)?.split_last_chunk()?;
        if u32::from_be_bytes(*check) != checksum(body) {
            return None;
        }
        let number = |range: std::ops::Range<usize>| {
            body.get(range)?.iter().try_fold(0, |number, &byte| Some(number << 8 | u64::from(byte)))
        };
        let group = match (*body.first()?, len) {
            (UNKNOWN, LEN) => GroupHint::Unknown,
            (WITHOUT, LEN) => GroupHint::Without,
            (HASHED, LEN_HASHED) => GroupHint::Hash(number(29..33)? as u32),
            _ => return None,
        };
        Some(Handle {
            queue: QueueId(number(1..9)?),
            seq: Seq(number(9..17)?),
            receive: number(17..21)? as u32,
            received: Time(number(21..29)?),
            group,
        })
    }
}

/// FNV-1a: tells a handle from garbage. It is no seal: whoever may delete from a queue may delete any of its messages.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(group: GroupHint) -> Handle {
        let received = Time(1_700_000_000_000);
        Handle { queue: QueueId(7), seq: Seq(1 << 40), receive: 3, received, group }
    }

    #[test]
    fn a_handle_reads_back_as_it_was_written() {
        for (group, len) in
            [(GroupHint::Unknown, 44), (GroupHint::Without, 44), (GroupHint::Hash(0xfedc_ba98), 52)]
        {
            let text = handle(group).to_text();
            assert_eq!(text.len(), len);
            assert_eq!(Handle::from_text(&text), Some(handle(group)));
        }
    }

    #[test]
    fn a_handle_of_the_first_version_is_read() {
        let text = "AQAAAAAAAAAHAAABAAAAAAAAAAADAAABi8/laACngPrt";
        assert_eq!(Handle::from_text(text), Some(handle(GroupHint::Unknown)));
    }

    #[test]
    fn garbage_is_no_handle() {
        assert_eq!(Handle::from_text("garbage"), None);
        assert_eq!(Handle::from_text(""), None);
        assert_eq!(Handle::from_text(&"A".repeat(56)), None);
        for group in [GroupHint::Unknown, GroupHint::Hash(1)] {
            let text = handle(group).to_text();
            assert_eq!(Handle::from_text(&text[..40]), None);
            assert_eq!(Handle::from_text(&text.replacen('A', "B", 1)), None);
        }
    }
}
