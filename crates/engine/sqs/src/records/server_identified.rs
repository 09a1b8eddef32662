//! Made once for a data directory: the secret from which message ids are made.

use kernel::Secret;
use kernel::codec::{Malformed, Reader};

/// The server has a secret of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerIdentified {
    /// From which message ids are made.
    pub secret: Secret,
}

impl ServerIdentified {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.secret.0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ServerIdentified { secret: Secret(reader.take(32)?.try_into().map_err(|_| Malformed)?) })
    }
}
