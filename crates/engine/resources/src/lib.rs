//! What every service with declared resources needs: access policies ([`policy`]), tags ([`tags`]), pages
//! of lists ([`pages`]), all that is declared of one kind ([`Declarations`]), where in the log that is ([`Standing`]), and what of a
//! request violates AWS's model ([`Faults`]).
//!
//! Knows no service. Each service keeps its own limits and its own refusals.

mod declarations;
pub use declarations::{Declarations, Declared, Deleted, Key};

mod faults;
pub use faults::Faults;

pub mod pages;

pub mod policy;

mod standing;
pub use standing::Standing;

pub mod tags;
