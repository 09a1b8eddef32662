//! The functions that AWS adds to JSONata or that must not depend on a clock, and the counters.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use jsonata_core::evaluator::{Evaluator, EvaluatorError};
use jsonata_core::value::JValue;
use kernel::iso8601;

use super::bounds::{PAIRS, PRODUCT, RANGE_END, STEP, TEXT, WIDTH};
use super::values::size;
use crate::intrinsic::{digest, round};
use crate::random::{Java, Random};

/// Bytes of one value. AWS fails an expression that holds more than 6,990,256 bytes (recorded: github.com/floci-io/floci/pull/2783).
pub(super) const MEMORY: usize = 6_990_256;
/// Bytes of all values that one expression writes as text.
const WRITTEN: usize = 16 * MEMORY;
/// Bodies of functions and steps of paths that one expression evaluates.
const STEPS: usize = 100_000;
/// Numbers that `$range` makes at most.
const RANGE: i64 = 100_000;

pub(super) const MEMORY_EXCEEDED: &str =
    "Expression evaluation memory limit exceeded: Check for excessive memory usage";
pub(super) const TIME_EXCEEDED: &str = "Expression evaluation timeout: Check for infinite loop";

type Outcome = Result<JValue, EvaluatorError>;

fn fail<T>(message: impl Into<String>) -> Result<T, EvaluatorError> {
    Err(EvaluatorError::EvaluationError(message.into()))
}

/// The names under which an expression's calls come here.
const OURS: &[&str] = &[
    STEP,
    TEXT,
    PRODUCT,
    WIDTH,
    RANGE_END,
    PAIRS,
    "eval",
    "hash",
    "millis",
    "now",
    "parse",
    "partition",
    "random",
    "range",
    "shuffle",
    "uuid",
];

/// What the functions of one evaluation share.
pub(super) struct Host {
    now: i64,
    random: Random,
    steps: Cell<usize>,
    written: Cell<usize>,
}

impl Host {
    /// The functions may take as many steps as one expression may, or as are left.
    pub(super) fn new(now: i64, random: Random, steps: usize) -> Rc<Host> {
        let (steps, written) = (Cell::new(steps.min(STEPS)), Cell::new(WRITTEN));
        Rc::new(Host { now, random, steps, written })
    }

    pub(super) fn steps(&self) -> usize {
        self.steps.get()
    }

    /// Registers those of our functions that an expression calls. Errors: the evaluator does not let one of them be replaced.
    pub(super) fn register(
        self: &Rc<Host>,
        called: &BTreeSet<String>,
        evaluator: &mut Evaluator,
    ) -> Result<(), EvaluatorError> {
        for name in OURS.iter().filter(|name| called.contains(**name)) {
            let host = Rc::clone(self);
            evaluator.register_fn_override(*name, move |args: &[JValue]| host.call(name, args))?;
        }
        Ok(())
    }

    fn call(&self, name: &str, args: &[JValue]) -> Outcome {
        match name {
            "hash" => return hash(args),
            "millis" => return Ok(JValue::from(self.now)),
            "now" => return now_as(args, self.now),
            "parse" => return parse(args),
            "partition" => return partition(args),
            "random" => return Ok(JValue::from_f64(self.random(args))),
            "range" => return range(args),
            "shuffle" => return shuffle(args, &self.random),
            "uuid" => return Ok(JValue::from(self.random.uuid())),
            "eval" => return fail("T1006: Attempted to invoke a non-function"),
            counter => self.count(counter, args)?,
        }
        // A counter returns what it has counted.
        Ok(args.first().cloned().unwrap_or(JValue::Undefined))
    }

    fn count(&self, counter: &str, args: &[JValue]) -> Result<(), EvaluatorError> {
        let number = || args.first().and_then(JValue::as_f64).unwrap_or(0.0).abs() as usize;
        let length = |at: usize| match args.get(at) {
            Some(JValue::String(text)) => text.len(),
            Some(JValue::Array(items)) => items.len(),
            _ => 1,
        };
        match counter {
            TEXT => self.write(args.first().map_or(Some(0), |value| size(value, MEMORY))),
            PRODUCT => self.write(length(0).checked_mul(length(1))),
            WIDTH => {
                self.write(Some(number()))?;
                self.step(number() / 64)
            }
            // A number of a range, and a pair that is compared, take a small part of a step.
            RANGE_END => self.step(number() / 64),
            PAIRS => self.step(length(0).saturating_mul(length(0)) / 1024),
            _ => self.step(1),
        }
    }

    fn step(&self, steps: usize) -> Result<(), EvaluatorError> {
        match self.steps.get().checked_sub(steps) {
            Some(left) => self.steps.set(left),
            None => return fail(TIME_EXCEEDED),
        }
        Ok(())
    }

    fn write(&self, bytes: Option<usize>) -> Result<(), EvaluatorError> {
        let bytes = bytes.filter(|bytes| *bytes <= MEMORY);
        match bytes.and_then(|bytes| self.written.get().checked_sub(bytes)) {
            Some(left) => self.written.set(left),
            None => return fail(MEMORY_EXCEEDED),
        }
        Ok(())
    }

    /// `$random()`, or `$random(seed)`.
    fn random(&self, args: &[JValue]) -> f64 {
        match args.first().and_then(JValue::as_f64) {
            Some(seed) => Java::new(round(seed)).unit(),
            None => self.random.unit(),
        }
    }
}

/// An argument that must be a number, as AWS's functions see it.
fn number(args: &[JValue], at: usize, function: &str) -> Result<f64, EvaluatorError> {
    match args.get(at).and_then(JValue::as_f64) {
        Some(number) => Ok(number),
        None => mismatch(at, function),
    }
}

/// JSONata's error T0410.
fn mismatch<T>(at: usize, function: &str) -> Result<T, EvaluatorError> {
    fail(format!("T0410: Argument {} of function \"{function}\" does not match function signature", at + 1))
}

/// `$partition(array, size)`.
fn partition(args: &[JValue]) -> Outcome {
    let items = match args.first() {
        Some(JValue::Array(items)) => items.iter().cloned().collect(),
        Some(JValue::Undefined) | None => return Ok(JValue::Undefined),
        Some(item) => vec![item.clone()],
    };
    let size = round(number(args, 1, "partition")?);
    match usize::try_from(size) {
        Ok(size) if size > 0 => {
            Ok(JValue::array(items.chunks(size).map(|chunk| JValue::array(chunk.to_vec())).collect()))
        }
        _ => mismatch(1, "partition"),
    }
}

/// `$range(start, end, step)`: the end is included if a step leads there.
fn range(args: &[JValue]) -> Outcome {
    let (start, end) = (number(args, 0, "range")?, number(args, 1, "range")?);
    let step = number(args, 2, "range")?;
    let count = ((end - start) / step).floor();
    if step == 0.0 || !count.is_finite() {
        return mismatch(2, "range");
    }
    if count >= RANGE as f64 {
        return fail(MEMORY_EXCEEDED);
    }
    let numbers = (0..=count as i64).filter(|_| count >= 0.0);
    Ok(JValue::array(numbers.map(|at| JValue::from_f64(start + at as f64 * step)).collect()))
}

/// `$hash(data, algorithm)`.
fn hash(args: &[JValue]) -> Outcome {
    let Some(data) = args.first().and_then(JValue::as_str) else { return mismatch(0, "hash") };
    let digest = args.get(1).and_then(JValue::as_str).and_then(|algorithm| digest(data, algorithm));
    digest.map_or_else(|| mismatch(1, "hash"), |digest| Ok(JValue::from(digest)))
}

/// `$parse(json)`.
fn parse(args: &[JValue]) -> Outcome {
    match args.first() {
        Some(JValue::String(text)) => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => Ok(JValue::from(value)),
            Err(error) => {
                fail(format!("D3120: Syntax error in expression passed to function parse: {error}"))
            }
        },
        Some(JValue::Undefined) | None => Ok(JValue::Undefined),
        Some(_) => mismatch(0, "parse"),
    }
}

/// `$shuffle(array)` with the caller's random numbers.
fn shuffle(args: &[JValue], random: &Random) -> Outcome {
    let Some(items) = args.first().and_then(JValue::as_array) else {
        return Ok(args.first().cloned().unwrap_or(JValue::Undefined));
    };
    let mut items = items.clone();
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at as u64 + 1) as usize);
    }
    Ok(JValue::array(items))
}

/// `$now()`, or `$now(picture, timezone)`, which is `$fromMillis($millis(), picture, timezone)`.
fn now_as(args: &[JValue], now: i64) -> Outcome {
    if args.iter().all(JValue::is_undefined) {
        return Ok(JValue::from(iso8601::write_exactly(now)));
    }
    let call = jsonata_core::parser::parse("$fromMillis($m, $p, $z)");
    let call = call.map_err(|error| EvaluatorError::EvaluationError(error.to_string()))?;
    let mut context = jsonata_core::evaluator::Context::new();
    context.bind("m".to_owned(), JValue::from(now));
    for (name, value) in ["p", "z"].iter().zip(args) {
        context.bind((*name).to_owned(), value.clone());
    }
    Evaluator::with_context(context).evaluate(&call, &JValue::Null)
}
