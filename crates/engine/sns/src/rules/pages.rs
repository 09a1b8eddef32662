//! Long lists, page by page: what SNS takes as tokens and sizes (facts/sns.md § 2).

use kernel::Refusal;
pub use resources::pages::{Listed, Page};
use resources::pages::{key_of, size_of};

use crate::{limits, refusals};

/// Reads `NextToken`.
pub fn page(token: Option<&str>) -> Result<Page, Refusal> {
    let after = key_of(token).map_err(|_| refusals::invalid("NextToken"))?;
    Ok(Page { after, most: limits::PAGE })
}

/// Reads `NextToken` and `MaxResults`, which cannot be more than `most`.
pub fn page_of_size(token: Option<&str>, given: Option<i32>, most: usize) -> Result<Page, Refusal> {
    let page = page(token)?;
    Ok(Page { most: size_of(given, most).map_err(|_| refusals::invalid("MaxResults"))?, ..page })
}

/// The key after which a page begins, of a list whose keys are numbers.
pub fn after_number(page: &Page) -> Result<Option<u64>, Refusal> {
    page.after_number().map_err(|_| refusals::invalid("NextToken"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_refused_for_its_token_or_its_size() {
        // facts/sns.md § 2
        assert_eq!(page(None).unwrap(), Page { after: None, most: 100 });
        for (refusal, parameter) in [
            (page(Some("?")).unwrap_err(), "NextToken"),
            (after_number(&page(Some("YQ==")).unwrap()).unwrap_err(), "NextToken"),
            (page_of_size(None, Some(0), 30).unwrap_err(), "MaxResults"),
            (page_of_size(Some("?"), Some(0), 30).unwrap_err(), "NextToken"),
        ] {
            assert_eq!(refusal.message, format!("Invalid parameter: {parameter}"));
        }
    }
}
