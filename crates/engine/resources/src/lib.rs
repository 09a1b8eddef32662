//! What every service with declared resources needs: access policies ([`policy`]).
//!
//! Knows no service. A service keeps its own limits, shapes and texts of refusals.

pub mod policy;
