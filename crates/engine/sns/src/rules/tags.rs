//! Tags: what they can be (facts/sns.md § 2).

use api::sns::Tag;
use kernel::Refusal;
use resources::tags::{Fault, Rules, Tags};

use crate::{limits, refusals};

const RULES: Rules = Rules { most: limits::TAGS, unique: true, values_reserved: false };

/// Checks tags one by one.
pub fn check(tags: Option<&[Tag]>) -> Result<Tags, Refusal> {
    RULES.check(tags.unwrap_or_default().iter().map(pair)).map_err(|fault| {
        refusals::invalid(match fault {
            // In which words AWS refuses these is not known.
            Fault::KeyLength(_) => "Tags Reason: Tag keys must be 1 to 128 characters long",
            Fault::ValueLength(_) => "Tags Reason: Tag values can be at most 256 characters long",
            Fault::Reserved(_) => "Tags Reason: The prefix aws: is reserved",
            Fault::Repeated(_) => "Duplicated keys are not allowed.",
        })
    })
}

fn pair(tag: &Tag) -> (&str, &str) {
    (tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default())
}

/// All tags of a resource must have room.
pub fn check_count(tags: &Tags) -> Result<(), Refusal> {
    if RULES.have_room(tags) {
        return Ok(());
    }
    let text = "Could not complete request: tag quota of per resource exceeded";
    Err(Refusal::new("TagLimitExceededException", text))
}
