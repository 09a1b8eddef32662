//! Bodies that are compressed.

use std::io::Read;

use bytes::Bytes;

use crate::exchange::{Exchange, Failure};

/// Bytes that a compressed body may become at the most. A message of 1 MiB can be six times as long in JSON.
const INFLATED_BYTES: u64 = 16 << 20;

/// Why a body could not be inflated.
pub(super) enum NotInflated {
    Damaged,
    TooLarge,
    Unsupported(String),
}

impl NotInflated {
    pub(super) fn failure(self, exchange: &Exchange) -> Box<Failure> {
        let (shape, message) = match self {
            NotInflated::Damaged => {
                ("SerializationException", "The request body is not valid gzip".to_owned())
            }
            NotInflated::TooLarge => {
                ("RequestEntityTooLarge", "The request body is too large once it is inflated".to_owned())
            }
            NotInflated::Unsupported(encoding) => (
                "SerializationException",
                format!("The content encoding {encoding} is not supported; gzip is"),
            ),
        };
        Failure::new(exchange.clone(), shape, message)
    }
}

/// The body as it was before it was compressed.
pub(super) fn inflate(content_encoding: Option<&str>, body: Bytes) -> Result<Bytes, NotInflated> {
    match content_encoding.map(str::trim) {
        None | Some("" | "identity") => Ok(body),
        Some(encoding) if encoding.eq_ignore_ascii_case("gzip") => {
            let mut inflated = Vec::new();
            let mut reader = flate2::read::MultiGzDecoder::new(&body[..]).take(INFLATED_BYTES + 1);
            reader.read_to_end(&mut inflated).map_err(|_| NotInflated::Damaged)?;
            if inflated.len() as u64 > INFLATED_BYTES {
                Err(NotInflated::TooLarge)
            } else {
                Ok(inflated.into())
            }
        }
        Some(other) => Err(NotInflated::Unsupported(other.to_owned())),
    }
}
