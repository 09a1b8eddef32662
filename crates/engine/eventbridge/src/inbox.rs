//! What other services hand to buses: events, in the group of the decision that hands them over.

use std::borrow::Cow;

use bytes::Bytes;
use kernel::{Offer, Taken, Why};
use notification::Notification;

use crate::ids::{BusKey, event_id};
use crate::operations::Context;
use crate::routing::Route;
use crate::rules::entry::Draft;
use crate::rules::permissions::may_put;
use crate::state::State;

impl State {
    /// Takes an offer for a bus, or does not. The text of the body is an event ([`Draft::of_document`]). Rules that match the event hand it
    /// to their targets before the offer is answered.
    pub(crate) fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_>) -> Taken {
        let Some(bus) = BusKey::from_arn(offer.to).filter(|bus| self.has_bus(bus)) else {
            return Taken::Refused(Why::Missing, "the event bus does not exist");
        };
        if let Some(sender) = offer.must_be_allowed {
            let account = sender.account();
            let policy = self.bus(&bus).and_then(|bus| bus.policy());
            if !may_put(policy, &bus, account, Some(sender.arn)) {
                return Taken::Refused(
                    Why::Forbidden,
                    "the event bus's policy does not let the sender put events",
                );
            }
        }
        let offered = Notification::decode(&Bytes::copy_from_slice(context.payload(offer.body)));
        let event = offered.ok().and_then(|offered| Draft::of_document(&offered, bus));
        let Some((id, draft)) = event else {
            return Taken::Refused(Why::Unfit, "the event bus takes events only");
        };
        let setting = &context.setting;
        let id = id.unwrap_or_else(|| event_id(setting.secret, setting.now, 0, setting.numbers.draw()));
        let event = draft.accept(id, setting.now);
        let mut route = Route::new(Cow::Owned(draft), Cow::Owned(event));
        while self.go_on(&mut route, context).is_on_its_way {}
        Taken::Taken
    }
}
