//! What the tests of several modules share.

use serde_json::Value;

use crate::random::Random;
use crate::scope::{Scope, Variables, Work};

/// Runs something in the scope of an input, a context object and variables.
pub(crate) fn with_scope<T>(
    input: &Value,
    context: &Value,
    variables: &Value,
    run: impl FnOnce(&Scope<'_>) -> T,
) -> T {
    let variables: Variables = variables
        .as_object()
        .map(|members| members.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
        .unwrap_or_default();
    run(&Scope::new(input, context, &variables, 1_700_000_000_000, &Random::new(1), &Work::default()))
}
