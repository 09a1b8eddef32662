//! The calls around a measurement of SNS: topics made, subscribed to, and removed.

use crate::answers::elements;
use crate::error::Error;
use crate::queues::{Endpoint, beginning};
use crate::requests::{Form, KIND, form_request};

/// Where a subscription leads.
pub(crate) enum Subscriber<'a> {
    /// The queue with this ARN.
    Queue(&'a str),
    /// The HTTP endpoint at this URL.
    Http(&'a str),
}

impl Endpoint {
    /// Creates a topic and returns its ARN.
    pub(crate) fn create_topic(&self, name: &str, fifo: bool) -> Result<String, Error> {
        let mut form = Form::of("CreateTopic");
        form.field("Name", name);
        if fifo {
            attributes(&mut form, &[("FifoTopic", "true")]);
        }
        let answer = self.ask_topics("CreateTopic", &form)?;
        let found = elements(&answer, "TopicArn").next();
        found.map(|arn| String::from_utf8_lossy(arn).into_owned()).ok_or_else(|| Error::Refused {
            operation: "CreateTopic",
            status: 200,
            body: beginning(&answer),
        })
    }

    /// Subscribes to a topic, so that messages come as they were published (raw). With a `kind` only messages whose attribute
    /// [`KIND`] has that value come; with a `retry_seconds` a delivery that fails is tried again so often, ten times.
    pub(crate) fn subscribe(
        &self,
        topic_arn: &str,
        subscriber: &Subscriber<'_>,
        kind: Option<&str>,
        retry_seconds: Option<u64>,
    ) -> Result<(), Error> {
        let mut form = Form::of("Subscribe");
        form.field("TopicArn", topic_arn);
        let (protocol, address) = match subscriber {
            Subscriber::Queue(arn) => ("sqs", *arn),
            Subscriber::Http(url) => ("http", *url),
        };
        form.field("Protocol", protocol);
        form.field("Endpoint", address);
        let filter = kind.map(|kind| serde_json::json!({ KIND: [kind] }).to_string());
        let delivery = retry_seconds.map(|seconds| {
            serde_json::json!({ "healthyRetryPolicy": {
                "numRetries": 10, "numNoDelayRetries": 0, "minDelayTarget": seconds, "maxDelayTarget": seconds,
                "backoffFunction": "linear",
            } })
            .to_string()
        });
        let mut pairs = vec![("RawMessageDelivery", "true")];
        pairs.extend(filter.iter().map(|policy| ("FilterPolicy", policy.as_str())));
        pairs.extend(delivery.iter().map(|policy| ("DeliveryPolicy", policy.as_str())));
        attributes(&mut form, &pairs);
        self.ask_topics("Subscribe", &form).map(drop)
    }

    /// Deletes a topic with its subscriptions.
    pub(crate) fn delete_topic(&self, topic_arn: &str) -> Result<(), Error> {
        let mut form = Form::of("DeleteTopic");
        form.field("TopicArn", topic_arn);
        self.ask_topics("DeleteTopic", &form).map(drop)
    }

    fn ask_topics(&self, operation: &'static str, form: &Form) -> Result<Vec<u8>, Error> {
        self.ask(operation, &form_request(&self.host, form.text.as_bytes()))
    }
}

fn attributes(form: &mut Form, pairs: &[(&str, &str)]) {
    for (place, (key, value)) in pairs.iter().enumerate() {
        form.field(&format!("Attributes.entry.{}.key", place + 1), key);
        form.field(&format!("Attributes.entry.{}.value", place + 1), value);
    }
}
