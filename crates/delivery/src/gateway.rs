//! A webhook of the operator's that takes parcels on: to a carrier of text messages, for example.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::https::{Https, Target};
use crate::outbox::show;
use crate::parcel::{HttpPost, Outcome, Parcel};

/// Hands parcels over as JSON, with the fields that the outbox shows.
pub(crate) struct Gateway {
    url: String,
    https: Arc<Https>,
}

impl Gateway {
    /// A gateway at a URL.
    pub fn new(url: &str, https: Arc<Https>) -> Result<Gateway, String> {
        Target::new(&HttpPost { url: url.to_owned(), headers: Vec::new(), body: Bytes::new() })?;
        Ok(Gateway { url: url.to_owned(), https })
    }

    /// Makes one attempt. Statuses mean what they mean to SNS's endpoints.
    pub async fn send(&self, parcel: &Parcel) -> Outcome {
        let body = Value::Object(show(parcel)).to_string();
        let headers = vec![("content-type", "application/json".to_owned())];
        self.https.post(&HttpPost { url: self.url.clone(), headers, body: body.into() }).await
    }
}
