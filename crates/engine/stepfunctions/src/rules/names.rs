//! Names of state machines, executions and activities.

use kernel::Refusal;

use crate::refusals;

/// Characters of a name (AWS's model: `Name`).
pub const MOST: usize = 80;

/// Checks the characters of a name. The length is the model's to say (`Member must have length …`).
///
/// Errors: it has white space, a bracket, a wildcard, or another character that the API reference of CreateStateMachine excludes.
pub fn check(name: &str) -> Result<(), Refusal> {
    let is_wrong = |c: char| c.is_whitespace() || c.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c);
    if name.chars().any(is_wrong) { Err(refusals::invalid_name(name)) } else { Ok(()) }
}
