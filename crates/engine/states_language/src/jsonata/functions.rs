//! The functions that AWS adds to JSONata or that must not depend on a clock, and the counters.

use std::cell::Cell;
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

/// What one evaluation may still do.
pub(super) struct Left {
    steps: Cell<usize>,
    written: Cell<usize>,
}

impl Left {
    /// As much as one expression may do, if the state may still take so many steps.
    pub(super) fn new(steps: usize) -> Left {
        Left { steps: Cell::new(steps.min(STEPS)), written: Cell::new(WRITTEN) }
    }

    pub(super) fn steps(&self) -> usize {
        self.steps.get()
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
}

/// Registers the functions. Errors: the evaluator does not let one of them be replaced.
pub(super) fn register(
    evaluator: &mut Evaluator,
    left: &Rc<Left>,
    now: i64,
    random: &Rc<Random>,
) -> Result<(), EvaluatorError> {
    counters(evaluator, left)?;
    evaluator.register_fn("partition", |args: &[JValue]| partition(args))?;
    evaluator.register_fn("range", |args: &[JValue]| range(args))?;
    evaluator.register_fn("hash", |args: &[JValue]| hash(args))?;
    evaluator.register_fn("parse", |args: &[JValue]| parse(args))?;
    let source = Rc::clone(random);
    evaluator.register_fn("uuid", move |_: &[JValue]| Ok(JValue::from(source.uuid())))?;
    let source = Rc::clone(random);
    evaluator.register_fn_override("random", move |args: &[JValue]| {
        match args.first().and_then(JValue::as_f64) {
            Some(seed) => Ok(JValue::from_f64(Java::new(round(seed)).unit())),
            None => Ok(JValue::from_f64(source.unit())),
        }
    })?;
    let source = Rc::clone(random);
    evaluator.register_fn_override("shuffle", move |args: &[JValue]| shuffle(args, &source))?;
    evaluator.register_fn_override("millis", move |_: &[JValue]| Ok(JValue::from(now)))?;
    evaluator.register_fn_override("now", move |args: &[JValue]| now_as(args, now))?;
    evaluator.register_fn_override("eval", |_: &[JValue]| fail("T1006: Attempted to invoke a non-function"))
}

fn counters(evaluator: &mut Evaluator, left: &Rc<Left>) -> Result<(), EvaluatorError> {
    let first = |args: &[JValue]| args.first().cloned().unwrap_or(JValue::Undefined);
    let of = Rc::clone(left);
    evaluator.register_fn(STEP, move |_: &[JValue]| {
        of.step(1)?;
        Ok(JValue::Undefined)
    })?;
    let of = Rc::clone(left);
    evaluator.register_fn(TEXT, move |args: &[JValue]| {
        of.write(args.first().map_or(Some(0), |value| size(value, MEMORY)))?;
        Ok(first(args))
    })?;
    let of = Rc::clone(left);
    evaluator.register_fn(PRODUCT, move |args: &[JValue]| {
        let count = |value: Option<&JValue>| match value {
            Some(JValue::String(text)) => text.len(),
            Some(JValue::Array(items)) => items.len(),
            _ => 1,
        };
        of.write(count(args.first()).checked_mul(count(args.get(1))))?;
        Ok(first(args))
    })?;
    let of = Rc::clone(left);
    evaluator.register_fn(WIDTH, move |args: &[JValue]| {
        let width = args.first().and_then(JValue::as_f64).unwrap_or(0.0).abs() as usize;
        of.write(Some(width))?;
        of.step(width / 64)?;
        Ok(first(args))
    })?;
    let of = Rc::clone(left);
    evaluator.register_fn(RANGE_END, move |args: &[JValue]| {
        // A number of a range takes a small part of a step.
        of.step(args.first().and_then(JValue::as_f64).unwrap_or(0.0).abs() as usize / 64)?;
        Ok(first(args))
    })?;
    let of = Rc::clone(left);
    evaluator.register_fn(PAIRS, move |args: &[JValue]| {
        let items = args.first().and_then(JValue::as_array).map_or(0, Vec::len);
        // Comparing a pair takes a small part of a step.
        of.step(items.saturating_mul(items) / 1024)?;
        Ok(first(args))
    })
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
