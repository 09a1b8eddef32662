//! The receipt handle: which receive of which message a client means.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::Time;

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
}

const VERSION: u8 = 1;
const LEN: usize = 33;

impl Handle {
    /// The handle as the client gets it: 44 characters of base64.
    pub fn to_text(self) -> String {
        let mut bytes = [0u8; LEN];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.queue.0.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.seq.0.to_be_bytes());
        bytes[17..21].copy_from_slice(&self.receive.to_be_bytes());
        bytes[21..29].copy_from_slice(&self.received.0.to_be_bytes());
        let check = checksum(&bytes[..29]);
        bytes[29..].copy_from_slice(&check.to_be_bytes());
        STANDARD.encode(bytes)
    }

    /// Reads a handle; `None` if it is none of ours.
    pub fn from_text(text: &str) -> Option<Handle> {
        let mut bytes = [0u8; LEN];
        if text.len() != LEN.div_ceil(3) * 4 || STANDARD.decode_slice(text, &mut bytes).ok()? != LEN {
            return None;
        }
        let (body, check) = bytes.split_at(29);
        if body[0] != VERSION || check != checksum(body).to_be_bytes() {
            return None;
        }
        // The slices have the arrays' lengths, as the constants above show.
        Some(Handle {
            queue: QueueId(u64::from_be_bytes(body[1..9].try_into().ok()?)),
            seq: Seq(u64::from_be_bytes(body[9..17].try_into().ok()?)),
            receive: u32::from_be_bytes(body[17..21].try_into().ok()?),
            received: Time(u64::from_be_bytes(body[21..29].try_into().ok()?)),
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

    #[test]
    fn a_handle_reads_back_as_it_was_written() {
        let handle =
            Handle { queue: QueueId(7), seq: Seq(1 << 40), receive: 3, received: Time(1_700_000_000_000) };
        let text = handle.to_text();
        assert_eq!(text.len(), 44);
        assert_eq!(Handle::from_text(&text), Some(handle));
    }

    #[test]
    fn garbage_is_no_handle() {
        let text = Handle { queue: QueueId(7), seq: Seq(9), receive: 1, received: Time(5) }.to_text();
        assert_eq!(Handle::from_text("garbage"), None);
        assert_eq!(Handle::from_text(&text[..40]), None);
        assert_eq!(Handle::from_text(&text.replacen('A', "B", 1)), None);
    }
}
