//! Tests of the patterns: the facts' tables, and properties of random patterns and events.

mod event_patterns;
mod filter_policies;
mod properties;
mod sets;
