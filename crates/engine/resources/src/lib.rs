//! What every service with declared resources needs: access policies ([`policy`]), tags ([`tags`]), pages
//! of lists ([`pages`]), and where in the log a resource is declared ([`Standing`]).
//!
//! Knows no service. A service keeps its own limits, shapes and texts of refusals.

pub mod pages;

pub mod policy;

mod standing;
pub use standing::Standing;

pub mod tags;
