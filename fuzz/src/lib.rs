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
