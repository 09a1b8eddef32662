//! A webhook of the operator that forwards parcels, for example to a carrier of text messages.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::https::{Https, Target};
use crate::outbox::show;
use crate::parcel::{HttpPost, Outcome, Parcel};

/// Sends parcels as JSON, with the fields of the outbox.
pub(crate) struct Gateway {
    url: String,
    https: Arc<Https>,
}

impl Gateway {
    /// Creates a gateway with a URL.
    pub fn new(url: &str, https: Arc<Https>) -> Result<Gateway, String> {
        Target::new(&HttpPost { url: url.to_owned(), headers: Vec::new(), body: Bytes::new() })?;
        Ok(Gateway { url: url.to_owned(), https })
    }

    /// Makes one attempt. HTTP statuses have the same meaning as for SNS's endpoints.
    pub async fn send(&self, parcel: &Parcel) -> Outcome {
        let body = Value::Object(show(parcel)).to_string();
        let headers = vec![("content-type", "application/json".to_owned())];
        self.https.post(&HttpPost { url: self.url.clone(), headers, body: body.into() }).await
    }
}
