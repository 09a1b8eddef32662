//! What a topic says to its subscribers about their subscriptions, as parcels.

use kernel::ParcelSent;
use kernel::parcel::{Delivery, Form, Offer, Taken};
use notification::{Kind, Notification, Protocol, SignatureVersion};

use crate::ids::{confirmation_token, subscription_uuid};
use crate::operations::{Context, Notice, Setting};
use crate::records::SubscriptionDeclared;
use crate::state::State;

impl State {
    /// A notice as a parcel with its payload; none if there is nobody to get it.
    pub fn say(
        &self,
        notice: &Notice<'_>,
        context: &Context<'_, '_>,
    ) -> Option<(ParcelSent<'static>, Vec<u8>)> {
        let setting = &context.setting;
        let secret = setting.secret;
        match notice {
            Notice::Confirm(id, base) => {
                let subscription = self.subscription(*id)?;
                let topic = self.topic_of(subscription.declared.topic)?;
                let text = format!(
                    "You have chosen to subscribe to the topic {}.\nTo confirm the subscription, visit the \
                     SubscribeURL included in this message.",
                    topic.arn
                );
                let protocol = Protocol::from_name(&subscription.declared.protocol)?;
                let kind = Kind::SubscriptionConfirmation(confirmation_token(secret, *id).into());
                let payload = payload(kind, text, &topic.arn, base, None);
                let mut parcel = self.parcel(topic.id().0, topic.signature_version().style(), setting);
                let number = setting.numbers.draw();
                let form = Form { subscription: id.0, raw: false, text: protocol as u8, replayed: false };
                match &subscription.queue {
                    None => parcel.deliveries.push(Delivery { number, form, attempts: 0, due_after: 0 }),
                    Some(queue) => {
                        let offer = Offer {
                            to: queue,
                            seq: number,
                            now: setting.now,
                            group: None,
                            deduplication_id: None,
                            size: payload.len(),
                            attributes: 0,
                            form,
                            is_dead_letter: false,
                            must_be_allowed: setting.limits.queue_policies.then_some(&*topic.arn),
                        };
                        let Taken::Copy(copy) = context.targets.offer(&offer) else { return None };
                        parcel.copies.push(copy);
                    }
                }
                Some((parcel, payload))
            }
            Notice::Farewell(declared, base) => self.say_farewell(declared, base, setting),
            Notice::Text { number, text, base } => {
                let payload = payload(Kind::Notification, text.clone(), "", base, Some(number));
                let mut parcel = self.parcel(0, SignatureVersion::One.style(), setting);
                let form = Form { subscription: 0, raw: false, text: Protocol::Sms as u8, replayed: false };
                let number = setting.numbers.draw();
                parcel.deliveries.push(Delivery { number, form, attempts: 0, due_after: 0 });
                Some((parcel, payload))
            }
        }
    }

    fn say_farewell(
        &self,
        declared: &SubscriptionDeclared,
        base: &str,
        setting: &Setting<'_>,
    ) -> Option<(ParcelSent<'static>, Vec<u8>)> {
        let secret = setting.secret;
        let topic = self.topic_of(declared.topic)?;
        let protocol = Protocol::from_name(&declared.protocol)?;
        if !matches!(protocol, Protocol::Http | Protocol::Https) {
            return None;
        }
        let arn = format!("{}:{}", topic.arn, subscription_uuid(secret, declared.id));
        let text = format!(
            "You have chosen to deactivate subscription {arn}.\nTo cancel this operation and restore the subscription, \
             visit the SubscribeURL included in this message."
        );
        let kind = Kind::UnsubscribeConfirmation {
            token: confirmation_token(secret, declared.id).into(),
            subscription: arn.into(),
        };
        let payload = payload(kind, text, &topic.arn, base, Some(&declared.endpoint));
        let mut parcel = self.parcel(topic.id().0, topic.signature_version().style(), setting);
        let form = Form { subscription: 0, raw: false, text: protocol as u8, replayed: false };
        let number = setting.numbers.draw();
        parcel.deliveries.push(Delivery { number, form, attempts: 0, due_after: 0 });
        Some((parcel, payload))
    }

    /// A parcel without takers, of the next number.
    pub fn parcel(&self, source: u64, style: u8, setting: &Setting<'_>) -> ParcelSent<'static> {
        ParcelSent {
            number: setting.numbers.draw(),
            source,
            at: setting.now,
            group: None,
            deduplication_id: None,
            copies: Vec::new(),
            deliveries: Vec::new(),
            ends: Vec::new(),
            style,
            archived_millis: 0,
            deduplicates: None,
            forwarded: false,
        }
    }
}

fn payload(kind: Kind, text: String, topic_arn: &str, base: &str, endpoint: Option<&str>) -> Vec<u8> {
    let notification = Notification {
        kind,
        message: text.into(),
        // Queues compute it anew where it is not theirs to know.
        message_md5: [0; 16],
        texts: Vec::new(),
        subject: None,
        attributes: Vec::new(),
        trace_header: None,
        topic_arn: topic_arn.into(),
        base: base.into(),
        endpoint: endpoint.map(Into::into),
        fifo: false,
    };
    notification.encode()
}
