//! Tags: what they can be (facts/sns.md § 2).

use std::collections::BTreeMap;

use api::sns::Tag;
use kernel::Refusal;

use crate::{limits, refusals};

/// Characters of a tag's key and of its value (AWS's model).
const KEY_CHARACTERS: usize = 128;
const VALUE_CHARACTERS: usize = 256;

/// Checks tags one by one.
pub fn check(tags: Option<&[Tag]>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut checked = BTreeMap::new();
    for tag in tags.unwrap_or_default() {
        let key = tag.key.as_deref().unwrap_or_default();
        let value = tag.value.as_deref().unwrap_or_default();
        // In which words AWS refuses these is not known.
        if !(1..=KEY_CHARACTERS).contains(&key.chars().count()) {
            return Err(refusals::invalid("Tags Reason: Tag keys must be 1 to 128 characters long"));
        }
        if value.chars().count() > VALUE_CHARACTERS {
            return Err(refusals::invalid("Tags Reason: Tag values can be at most 256 characters long"));
        }
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(refusals::invalid("Tags Reason: The prefix aws: is reserved"));
        }
        if checked.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(refusals::invalid("Duplicated keys are not allowed."));
        }
    }
    Ok(checked)
}

/// All tags of a resource must have room.
pub fn check_count(tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if tags.len() <= limits::TAGS {
        return Ok(());
    }
    let text = "Could not complete request: tag quota of per resource exceeded";
    Err(Refusal::new("TagLimitExceededException", text))
}
