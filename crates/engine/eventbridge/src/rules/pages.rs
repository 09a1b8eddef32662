//! Long lists, page by page: what EventBridge takes as tokens and sizes.

use kernel::Refusal;
use resources::pages::key_of;
pub use resources::pages::{Listed, Page};

use super::constraints::Constraints;
use crate::{limits, refusals};

/// Reads `NextToken` and `Limit`. How AWS refuses a token that it has not issued is not known.
pub fn page(token: Option<&api::Text>, limit: Option<i32>) -> Result<Page, Refusal> {
    Constraints::default().between("limit", limit, 1, limits::PAGE as i32).check()?;
    let after = key_of(token.map(|token| &**token))
        .map_err(|_| refusals::parameter("NextToken", "The token is not one that this server has issued."))?;
    Ok(Page { after, most: limit.map_or(limits::PAGE, |limit| limit.unsigned_abs() as usize) })
}
