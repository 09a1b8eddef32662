//! What happens when a state fails: retriers first, then catchers.

use serde_json::{Value, json};

use super::Departure;
use super::dataflow::assigned;
use crate::definition::{Catcher, QueryLanguage, Retrier, State, Transition};
use crate::failure::{Failure, names};
use crate::scope::Scope;

/// The longest delay before a retry, in milliseconds: no execution lasts longer than a year.
const LONGEST_DELAY: f64 = 31_622_400_000.0;

/// What follows a failure.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// The state is tried again.
    Retry {
        /// The retrier, whose count of retries grows by one.
        retrier: usize,
        /// How long to wait before, in milliseconds.
        delay_millis: u64,
    },
    /// A catcher leads on.
    Caught {
        /// The catcher.
        catcher: usize,
        /// How the state is left.
        departure: Departure,
    },
    /// Nothing matches: the flow fails with this failure.
    Fails(Failure),
}

impl State {
    /// How many retriers the state has.
    pub fn retriers(&self) -> usize {
        self.retry.len()
    }

    /// What follows a failure of the state. `retries` has how often each retrier has tried again since the state was entered; missing counts are 0.
    /// `jitter` is a random number from 0 to 1.
    ///
    /// Errors: what the catcher does with the failure fails itself.
    pub fn recover(
        &self,
        failure: &Failure,
        retries: &[u64],
        jitter: f64,
        scope: &Scope<'_>,
    ) -> Result<Reaction, Failure> {
        let retrier =
            self.retry.iter().enumerate().find(|(_, retrier)| matches(&retrier.errors, failure.name()));
        if let Some((at, retrier)) = retrier {
            let retried = retries.get(at).copied().unwrap_or(0);
            if retried < retrier.max_attempts {
                return Ok(Reaction::Retry { retrier: at, delay_millis: retrier.delay(retried, jitter) });
            }
        }
        let catcher =
            self.catch.iter().enumerate().find(|(_, catcher)| matches(&catcher.errors, failure.name()));
        match catcher {
            Some((at, catcher)) => {
                let departure = self.caught(at, catcher, failure, scope)?;
                Ok(Reaction::Caught { catcher: at, departure })
            }
            None => Ok(Reaction::Fails(failure.clone())),
        }
    }

    fn caught(
        &self,
        at: usize,
        catcher: &Catcher,
        failure: &Failure,
        scope: &Scope<'_>,
    ) -> Result<Departure, Failure> {
        // Both members are there even if the failure has neither (facts/stepfunctions.md § 18).
        let error_output = json!({"Error": failure.error, "Cause": failure.cause});
        let field = format!("Catch[{at}]");
        let in_catcher = match self.query_language {
            QueryLanguage::JsonPath => scope.with_input(&error_output),
            QueryLanguage::Jsonata => Scope { error_output: Some(&error_output), ..*scope },
        };
        let assigned =
            assigned(catcher.assign.as_ref(), &format!("{field}/Assign"), &self.name, &in_catcher)?;
        let output: Value = match (&catcher.output, self.query_language) {
            (Some(output), _) => output.evaluate(&format!("{field}/Output"), &in_catcher)?,
            (None, QueryLanguage::Jsonata) => error_output,
            (None, QueryLanguage::JsonPath) => catcher.result_path.combine(scope.input, error_output)?,
        };
        let to = Transition::Next(catcher.next.clone());
        Ok(Departure { to, output: self.checked_output(output)?, assigned })
    }
}

impl Retrier {
    /// How long to wait before the retry with this number, from 0, in milliseconds.
    fn delay(&self, retried: u64, jitter: f64) -> u64 {
        let exponent = i32::try_from(retried).unwrap_or(i32::MAX);
        let delay = self.interval_seconds as f64 * 1000.0 * self.backoff_rate.powi(exponent);
        let most = self.max_delay_seconds.map_or(LONGEST_DELAY, |most| most as f64 * 1000.0);
        let delay = delay.min(most).min(LONGEST_DELAY);
        let delay = if self.full_jitter { delay * jitter.clamp(0.0, 1.0) } else { delay };
        delay.round() as u64
    }
}

/// Whether the names in `ErrorEquals` match an error (facts/stepfunctions.md § 7).
fn matches(errors: &[String], name: &str) -> bool {
    // `States.Runtime` always fails the execution (developer guide, "Handling errors").
    if name == names::RUNTIME {
        return false;
    }
    errors.iter().any(|error| match error.as_str() {
        names::ALL => name != names::DATA_LIMIT_EXCEEDED,
        names::TASK_FAILED => !matches!(name, names::TIMEOUT | names::DATA_LIMIT_EXCEEDED),
        names::TIMEOUT => matches!(name, names::TIMEOUT | names::HEARTBEAT_TIMEOUT),
        error => error == name,
    })
}
