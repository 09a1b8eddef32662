//! What leaves the server and is tried until it has arrived or was given up.
//!
//! A service that delivers holds [`Deliveries`] in its state. It decides what a delivery is worth: by which plan it is tried
//! again, what becomes of it when it is given up, where it goes. This crate knows which deliveries wait, which are due and which
//! are under way, and that no endpoint keeps others waiting.
//!
//! A delivery is a fact of the log from the moment its parcel is: until it has arrived or was given up, every start of the server
//! finds it. An attempt that is under way is not in the log; after a crash it is made again.

mod deliveries;
pub use deliveries::{Attempt, Deliveries, Outcome, Pace, Pending};

mod lanes;

mod paces;

mod records;
pub use records::{DeliveriesEnded, DeliveryFailed, ended_again};
