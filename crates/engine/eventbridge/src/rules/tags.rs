//! What can be a tag of a bus or a rule.

use api::eventbridge::Tag;
use kernel::Refusal;
use resources::tags::{Fault, Rules, Tags};

use crate::{limits, refusals};

const RULES: Rules = Rules { most: limits::TAGS, unique: true, values_reserved: false };

/// Checks the tags of a request.
pub fn check(tags: Option<&[Tag]>) -> Result<Tags, Refusal> {
    let tags = tags.unwrap_or_default();
    let pairs = tags
        .iter()
        .map(|tag| (tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default()));
    RULES.check(pairs).map_err(|fault| match fault {
        Fault::KeyLength(key) => {
            refusals::parameter("Tags", format_args!("The key '{key}' must have 1 to 128 characters."))
        }
        Fault::ValueLength(value) => {
            refusals::parameter("Tags", format_args!("The value '{value}' must have at most 256 characters."))
        }
        Fault::Reserved(key) => {
            refusals::parameter("Tags", format_args!("The key '{key}' begins with aws:, which is reserved."))
        }
        Fault::Repeated(key) => refusals::parameter("Tags", format_args!("The key '{key}' is given twice.")),
    })
}

/// Refuses more tags than a resource can have.
pub fn check_count(tags: &Tags) -> Result<(), Refusal> {
    if RULES.have_room(tags) { Ok(()) } else { Err(refusals::too_many()) }
}
