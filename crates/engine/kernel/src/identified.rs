//! Recorded once for a data directory: the secret from which identifiers are made.

use crate::Secret;
use crate::codec::{Malformed, Reader};

/// The kind of its record in the log.
pub const SERVER_IDENTIFIED: u8 = 1;

/// The server has a secret of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerIdentified {
    /// What identifiers are derived from.
    pub secret: Secret,
}

impl ServerIdentified {
    /// Appends its bytes, the kind before them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(SERVER_IDENTIFIED);
        out.extend_from_slice(&self.secret.0);
    }

    /// Reads what [`ServerIdentified::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != SERVER_IDENTIFIED {
            return Err(Malformed);
        }
        let secret = Secret(reader.take(32)?.try_into().map_err(|_| Malformed)?);
        if reader.is_empty() { Ok(ServerIdentified { secret }) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_reads_back_as_it_was_written() {
        let record = ServerIdentified { secret: Secret([7; 32]) };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(ServerIdentified::decode(&bytes), Ok(record));
        assert!(ServerIdentified::decode(&bytes[..32]).is_err());
    }
}
