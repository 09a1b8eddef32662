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
    Ok(plain(text))
}

/// A number without what people write between its digits.
pub fn plain(number: &str) -> String {
    number.chars().filter(|c| *c == '+' || c.is_ascii_digit()).collect()
}

/// Words with which the owner of a telephone answers who wants no more messages (AWS's documentation, "Opting out of receiving
/// SMS messages").
const STOPS: [&str; 10] =
    ["ARRET", "CANCEL", "END", "OPT-OUT", "OPTOUT", "QUIT", "REMOVE", "STOP", "TD", "UNSUBSCRIBE"];

/// Whether an answer says that its sender wants no more messages.
pub fn says_stop(answer: &str) -> bool {
    STOPS.iter().any(|stop| answer.trim().eq_ignore_ascii_case(stop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_alone_stops_messages() {
        for stop in ["STOP", " stop\n", "Arret", "opt-out"] {
            assert!(says_stop(stop), "{stop}");
        }
        for other in ["", "do not stop", "STOP IT", "START"] {
            assert!(!says_stop(other), "{other}");
        }
    }
}
