//! What every service with declared resources needs: access policies ([`policy`]), tags ([`tags`]), pages
//! of lists ([`pages`]), and where in the log a resource is declared ([`Standing`]).
//!
//! Knows no service. Each service keeps its own limits and its own refusals.

pub mod pages;

pub mod policy;

mod standing;
pub use standing::Standing;

pub mod tags;
