//! Telephone numbers in requests.

use kernel::Refusal;

use crate::refusals;
use crate::rules::endpoints::is_telephone_number;

/// A number as it is remembered: with its plus sign, if it has one, and without what people write between digits.
pub fn check(text: Option<&str>) -> Result<String, Refusal> {
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return Err(refusals::invalid("PhoneNumber Reason: no value for required parameter"));
    }
    if !is_telephone_number(text) {
        return Err(refusals::invalid(format_args!(
            "PhoneNumber Reason: {text} does not meet the E164 format"
        )));
    }
    Ok(text.chars().filter(|c| *c == '+' || c.is_ascii_digit()).collect())
}
