//! Services that nobody offers: they prove the protocols that no service speaks yet. The generator writes them from
//! `crates/wire/fixtures` as it writes a service; only tests and fuzzing build them.

pub mod amz_json;

pub mod rest_json;

pub mod rpc_cbor;

pub mod streams;
