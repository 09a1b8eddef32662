//! Long lists, page by page: what Step Functions takes as tokens and sizes.

use kernel::Refusal;
use resources::Faults;
use resources::pages::key_of;
pub use resources::pages::{Listed, Page};

use crate::{limits, refusals};

/// Reads `nextToken` and `maxResults`: 0 is the same as none (facts/stepfunctions.md § 2).
pub fn page(token: Option<&str>, size: Option<i32>, mut faults: Faults) -> Result<Page, Refusal> {
    if let Some(size) = size {
        faults.range(size, "maxResults", 0, limits::LONGEST_PAGE as i32);
    }
    faults.refusal()?;
    let after = key_of(token).map_err(|_| refusals::invalid_page())?;
    let most = size.and_then(|size| usize::try_from(size).ok()).filter(|&size| size > 0);
    Ok(Page { after, most: most.unwrap_or(limits::PAGE) })
}
