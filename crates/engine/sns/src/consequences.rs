//! What follows without anybody asking: subscriptions that nobody confirmed go.

use kernel::Time;

use crate::records::Record;
use crate::state::State;

impl State {
    /// The facts that follow next at this moment, until there are none. They are to be applied before the next are asked for.
    pub fn follow_up(&mut self, now: Time) -> Option<Vec<Record>> {
        while let Some(id) = self.unconfirmed.pop_first() {
            let parted = self.parted.get(&id);
            if let Some(parted) = parted.filter(|parted| parted.until().is_some_and(|until| until <= now)) {
                return Some(vec![Record::SubscriptionDeleted(parted.deletion())]);
            }
            let pending = self.subscription(id);
            let overdue = pending.filter(|pending| pending.pending_until().is_some_and(|until| until <= now));
            if let Some(subscription) = overdue {
                return Some(self.end_of(subscription, None));
            }
        }
        None
    }
}
