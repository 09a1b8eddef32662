//! A token of TransactWriteItems was used.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_u64};

/// A transaction was carried out under a token. The record is in the group of the transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenUsed {
    /// Hash of account, region and token.
    pub token: [u8; 16],
    /// Hash of the request.
    pub request: [u8; 16],
    /// Until when it counts.
    pub until: Time,
}

impl TokenUsed {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.token);
        out.extend_from_slice(&self.request);
        put_u64(out, self.until.0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut hash = || reader.take(16)?.try_into().map_err(|_| Malformed);
        Ok(TokenUsed { token: hash()?, request: hash()?, until: Time(reader.u64()?) })
    }
}
