//! What a topic says to its subscribers about their subscriptions, as parcels.

use kernel::parcel::{Delivery, Form};
use kernel::{Offer, ParcelSent};
use notification::{Kind, Notification, Protocol, SignatureVersion};

use crate::SubscriptionId;
use crate::fanout::sender;
use crate::ids::{confirmation_token, subscription_uuid};
use crate::operations::{Context, Notice, Setting};
use crate::records::SubscriptionDeclared;
use crate::state::State;

impl State {
    /// Hands a notice to whoever is to get it, if there is somebody.
    pub(crate) fn say(&self, notice: &Notice<'_>, context: &mut Context<'_, '_>) {
        match notice {
            Notice::Confirm(id, base) => drop(self.say_confirm(*id, base, context)),
            Notice::Farewell(declared, base) => drop(self.say_farewell(declared, base, context)),
            Notice::Text { number, text, base } => {
                let payload = payload(Kind::Notification, text.clone(), "", base, Some(number));
                let parcel = self.parcel(0, SignatureVersion::One.style(), &context.setting);
                say_outside(parcel, payload, Protocol::Sms, context);
            }
        }
    }

    fn say_confirm(&self, id: SubscriptionId, base: &str, context: &mut Context<'_, '_>) -> Option<()> {
        let Setting { secret, limits, .. } = context.setting;
        let subscription = self.subscription(id)?;
        let topic = self.topic_of(subscription.declared.topic)?;
        let protocol = Protocol::from_name(&subscription.declared.protocol)?;
        let text = format!(
            "You have chosen to subscribe to the topic {}.\nTo confirm the subscription, visit the SubscribeURL included \
             in this message.",
            topic.arn
        );
        let kind = Kind::SubscriptionConfirmation(confirmation_token(secret, id).into());
        let payload = payload(kind, text, &topic.arn, base, None);
        let size = payload.len();
        let parcel = self.parcel(topic.id().0, topic.signature_version().style(), &context.setting);
        let body = context.body(parcel, payload);
        let form = Form { recipient: id.0, raw: false, protocol: protocol as u8, replayed: false };
        let Some(queue) = &subscription.queue else {
            let number = context.setting.numbers.draw();
            let delivery = Delivery { number, form, ..Delivery::default() };
            context.parcel(body).deliveries.push(delivery);
            return Some(());
        };
        context.offer(&Offer {
            to: queue,
            body,
            must_be_allowed: limits.queue_policies.then_some(sender(&topic.arn)),
            size,
            attributes: 0,
            form,
            deduplicates_by_content: false,
            is_dead_letter: false,
        });
        Some(())
    }

    fn say_farewell(
        &self,
        declared: &SubscriptionDeclared,
        base: &str,
        context: &mut Context<'_, '_>,
    ) -> Option<()> {
        let secret = context.setting.secret;
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
        let parcel = self.parcel(topic.id().0, topic.signature_version().style(), &context.setting);
        say_outside(parcel, payload, protocol, context);
        Some(())
    }

    /// A parcel without takers, of the next number.
    pub fn parcel(&self, source: u64, style: u8, setting: &Setting<'_>) -> ParcelSent<'static> {
        ParcelSent { style, ..ParcelSent::new(setting.numbers.draw(), source, setting.now) }
    }
}

/// Hands a payload to somebody outside who has not subscribed, and whom the payload itself names.
fn say_outside(
    parcel: ParcelSent<'static>,
    payload: Vec<u8>,
    protocol: Protocol,
    context: &mut Context<'_, '_>,
) {
    let form = Form { recipient: 0, raw: false, protocol: protocol as u8, replayed: false };
    let number = context.setting.numbers.draw();
    let body = context.body(parcel, payload);
    context.parcel(body).deliveries.push(Delivery { number, form, ..Delivery::default() });
}

fn payload(kind: Kind, text: String, topic_arn: &str, base: &str, endpoint: Option<&str>) -> Vec<u8> {
    let notification = Notification {
        kind,
        message: text.into(),
        // Whoever needs it computes it.
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
