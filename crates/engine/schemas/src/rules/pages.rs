//! Long lists, page by page: what Schemas takes as tokens and sizes.

use kernel::Refusal;
pub use resources::pages::{Listed, Page};
use resources::pages::{key_of, size_of};

use crate::{limits, refusals};

/// Reads `NextToken` and `Limit`.
pub fn page(token: Option<&str>, size: Option<i32>) -> Result<Page, Refusal> {
    let after =
        key_of(token).map_err(|_| refusals::bad_request("NextToken is not one of a list of this kind."))?;
    let most = size_of(size, limits::PAGE)
        .map_err(|_| refusals::bad_request(format!("Limit must be between 1 and {}.", limits::PAGE)))?;
    Ok(Page { after, most })
}
