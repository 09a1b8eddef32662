//! CBOR (RFC 8949) as AWS reads and writes it, in two dialects.
//!
//! The reader is written by hand. It returns slices of the request's buffer, shares its limits and its faults with the JSON
//! reader, and never allocates by a length that the input merely claims.

mod read;
pub use read::Reader;

mod write;
pub use write::Writer;

/// How moments are written: the two protocols differ in that alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// `application/x-amz-cbor-1.1`: tag 1 and milliseconds since 1970-01-01T00:00Z, against the RFC.
    Amz11,
    /// Smithy's RPC v2: tag 1 and seconds since 1970-01-01T00:00Z, as the RFC has it.
    RpcV2,
}

impl Dialect {
    /// The media type of documents.
    pub const fn media_type(self) -> &'static str {
        match self {
            Dialect::Amz11 => "application/x-amz-cbor-1.1",
            Dialect::RpcV2 => "application/cbor",
        }
    }
}

/// The major types.
mod major {
    pub(super) const UNSIGNED: u8 = 0;
    pub(super) const NEGATIVE: u8 = 1;
    pub(super) const BYTES: u8 = 2;
    pub(super) const TEXT: u8 = 3;
    pub(super) const ARRAY: u8 = 4;
    pub(super) const MAP: u8 = 5;
    pub(super) const TAG: u8 = 6;
    pub(super) const SIMPLE: u8 = 7;
}

/// Where a head's argument stands: below 24 it is the additional information itself.
mod info {
    pub(super) const ONE_BYTE: u8 = 24;
    pub(super) const TWO_BYTES: u8 = 25;
    pub(super) const FOUR_BYTES: u8 = 26;
    pub(super) const EIGHT_BYTES: u8 = 27;
    pub(super) const INDEFINITE: u8 = 31;
}

/// Ends an item of indefinite length.
const BREAK: u8 = 0xff;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
/// Read as `null` (facts/protocols.md § 6).
const UNDEFINED: u8 = 0xf7;

/// Tags: seconds since 1970-01-01T00:00Z, and integers of any size.
mod tag {
    pub(super) const EPOCH: u64 = 1;
    pub(super) const POSITIVE_BIGNUM: u64 = 2;
    pub(super) const NEGATIVE_BIGNUM: u64 = 3;
}
