//! What the patterns promise: the facts' tables, and properties over random patterns and events.

mod event_patterns;
mod filter_policies;
mod properties;
mod sets;
