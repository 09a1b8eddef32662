//! Long lists, page by page: what Pipes takes as tokens and sizes.

use kernel::Refusal;
use resources::Faults;
use resources::pages::key_of;
pub use resources::pages::{Listed, Page};

use crate::{limits, refusals};

/// Reads `NextToken` and `Limit`.
pub fn page(token: Option<&str>, size: Option<i32>, mut faults: Faults) -> Result<Page, Refusal> {
    if let Some(size) = size {
        faults.range(size, "limit", 1, limits::PAGE as i32);
    }
    faults.refusal()?;
    let after = key_of(token).map_err(|_| refusals::invalid("Invalid NextToken."))?;
    let most = size.and_then(|size| size.try_into().ok()).unwrap_or(limits::PAGE);
    Ok(Page { after, most })
}
