//! Matches messages with subscriptions and rules: SNS's filter policies and EventBridge's event patterns.
//!
//! A pattern is parsed once, and a message is parsed once. Then they are compared one by one
//! ([`FilterPolicy::matches`], [`EventPattern::matches`]), or a message is compared with many patterns at
//! once ([`PatternSet`]). The cost of a set does not grow with the number of patterns that require exact
//! values.
//!
//! ```
//! use patterns::{Event, FilterPolicy, PatternSet, Scope};
//!
//! let large = FilterPolicy::parse(r#"{"price": [{"numeric": [">=", 100]}]}"#, Scope::MessageBody)?;
//! let rugby = FilterPolicy::parse(r#"{"interests": ["rugby"]}"#, Scope::MessageBody)?;
//!
//! let mut subscriptions = PatternSet::new();
//! subscriptions.insert(1, large.matcher());
//! subscriptions.insert(2, rugby.matcher());
//!
//! let message = Event::from_json(r#"{"price": 120, "interests": ["rugby", "chess"]}"#);
//! assert_eq!(subscriptions.matching(&message), [1, 2]);
//! # Ok::<(), patterns::PolicyFault>(())
//! ```
//!
//! This crate does not depend on services, clocks or disks. This crate's `DESIGN.md` lists rules that
//! surprise and our assumptions about AWS.

mod filter_policy;
pub use filter_policy::{
    BYTES_LIMIT, COMBINATIONS_LIMIT, FilterPolicy, KEYS_LIMIT, PolicyFault, Scope, json_fault,
};

mod event_pattern;
pub use event_pattern::{EventPattern, PatternFault};

mod event;
pub use event::Event;

mod index;
mod set;
pub use set::{Matcher, PatternSet};

mod compile;
mod pattern;

mod address;
mod condition;
mod letters;
mod number;
mod wildcard;

mod json;
