//! What other services hand to topics: a message for all who have subscribed, in the group of the decision that hands it over.

use bytes::Bytes;
use kernel::{Offer, Sender, Taken, Why};
use notification::{Kind, Notification};
use resources::policy::{Principal, Verdict};

use crate::TopicKey;
use crate::fanout::Content;
use crate::operations::Context;
use crate::state::State;
use crate::topic::Topic;

impl State {
    /// Takes an offer for a topic, or does not. The topic's message is a body of its own, since it has a number and stands in the
    /// topic's envelopes.
    pub(crate) fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_>) -> Taken {
        let Some(topic) = TopicKey::from_arn(offer.to).and_then(|key| self.topic(&key)) else {
            return Taken::Refused(Why::Missing, "the topic does not exist");
        };
        if let Some(sender) = offer.must_be_allowed
            && !topic.lets_publish(&sender)
        {
            return Taken::Refused(Why::Forbidden, "the topic's policy does not let the sender publish");
        }
        if topic.is_fifo() {
            return Taken::Refused(Why::Unfit, "a FIFO topic takes messages from publishers only");
        }
        if offer.size > topic.message_bytes() {
            return Taken::Refused(Why::Unfit, "the message is longer than the topic allows");
        }
        let Ok(offered) = Notification::decode(&Bytes::copy_from_slice(context.payload(offer.body))) else {
            return Taken::Refused(Why::Unfit, "the topic does not understand the message");
        };
        let stored = Notification {
            kind: Kind::Notification,
            // Queues compute it when they read the message.
            message_md5: [0; 16],
            texts: Vec::new(),
            topic_arn: topic.arn.as_str().into(),
            endpoint: None,
            fifo: false,
            ..offered
        };
        let parcel = self.parcel(topic.id().0, topic.signature_version().style(), &context.setting);
        let number = parcel.number;
        let body = context.body(parcel, stored.encode());
        let at_once = context.setting.limits.takers_at_once;
        self.hand_out(topic, &Content::from(&stored), (body, number), at_once, context);
        Taken::Taken
    }
}

impl Topic {
    /// Whether its policy lets a service publish (facts/eventbridge.md § 6, facts/security.md § 5). A topic about which nobody has said
    /// anything lets only its account.
    fn lets_publish(&self, sender: &Sender<'_>) -> bool {
        let account = sender.account();
        let keys: [(&str, &[&str]); 3] = [
            ("aws:SourceArn", &[sender.arn]),
            ("aws:SourceAccount", &[account]),
            ("aws:SecureTransport", &["true"]),
        ];
        let verdict = self.policy.as_ref().map(|policy| {
            policy.evaluate(&Principal::Service(sender.service), "SNS:Publish", &self.arn, &keys)
        });
        verdict == Some(Verdict::Allowed)
    }
}
