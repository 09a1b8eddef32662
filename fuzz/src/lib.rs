//! What the fuzz targets share.

use bytes::Bytes;
use http::request::Parts;
use kernel::{Asker, Caller};

/// Takes a request as far as the engine's door.
pub fn decode_and_prepare(head: &Parts, body: &[u8]) {
    match wire::decode(head, Bytes::copy_from_slice(body), "id".into()) {
        Err(failure) => assert!(failure.answer().status().is_client_error()),
        Ok(decoded) => {
            let caller = Caller {
                account: "000000000000".into(),
                region: "us-east-1".into(),
                principal: "000000000000".into(),
                signed: true,
            };
            // SNS's requests go no further here yet.
            let wire::Request::Sqs(request) = decoded.request else { return };
            let trace = decoded.trace_header.as_ref();
            let asker = Asker { caller: &caller, base: "http://localhost", trace };
            if let Err(refusal) = sqs::operations::prepare(request, &asker) {
                let status = decoded.exchange.refuse(&refusal).status();
                assert!(status.is_client_error(), "{refusal:?}");
            }
        }
    }
}

/// Overwrites a part of one of the files: the input's first three bytes say which and where, the rest is written.
pub fn overwrite(storage: &dyn journal::Storage, data: &[u8]) -> Option<()> {
    let (place, patch) = data.split_at_checked(3)?;
    let names = storage.list().ok()?;
    let name = names.get(usize::from(place[0]) % names.len().max(1))?;
    let offset = u64::from(u16::from_le_bytes([place[1], place[2]]) % 8192);
    storage.open(name).ok()?.write_at(&[patch], offset).ok()
}
