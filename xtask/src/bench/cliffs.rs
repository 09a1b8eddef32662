//! Cliffs: each dimension alone from little to much, with a light client beside it that must not feel it.

mod client;
mod dimensions;
mod light;

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use bench::grouped;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::dimensions::{ALL, Dimension, Measured, Sweep};
use super::contenders::Kitchen;

/// The heading of the section in BENCHMARKS.md.
pub const HEADING: &str = "## Cliffs";

/// How much an operation's cost may grow from the least to the most.
const GROWTH: f64 = 1.5;
/// What the light client's p99.9 may be, in milliseconds.
const LIGHT_MILLIS: f64 = 10.0;

/// What was found of one dimension: at its least, and at its most; or why not.
struct Row {
    dimension: &'static Dimension,
    found: Result<(Measured, Measured), String>,
}

/// Sweeps the dimensions whose names contain one of `only` (all if it is empty), and writes the section.
pub fn measure(kitchen: &Kitchen, quick: bool, only: &[String]) -> Result<String, Box<dyn Error>> {
    raise_descriptors()?;
    let wanted = |dimension: &&Dimension| {
        let name = format!("{}: {}", dimension.name, dimension.operation);
        only.is_empty() || only.iter().any(|part| name.contains(part.as_str()))
    };
    let mut rows = Vec::new();
    for dimension in ALL.iter().filter(wanted) {
        let row = row(kitchen, dimension, quick);
        eprint!("{}", row.line());
        rows.push(row);
    }
    Ok(section(&rows, quick))
}

fn row(kitchen: &Kitchen, dimension: &'static Dimension, quick: bool) -> Row {
    let time = Duration::from_secs(if quick { 1 } else { 5 });
    let at = |value: u64| -> Result<Measured, String> {
        let value = if quick { value.min(dimension.least.max(1) * 100) } else { value };
        let mut sweep = Sweep::start(kitchen, time).map_err(|error| error.to_string())?;
        dimension.measure(&mut sweep, value).map_err(|error| error.to_string())
    };
    let found = at(dimension.least).and_then(|least| Ok((least, at(dimension.most)?)));
    Row { dimension, found }
}

impl Row {
    fn line(&self) -> String {
        let Dimension { name, operation, least, most, .. } = self.dimension;
        let range = format!("{} → {}", grouped(*least as f64), grouped(*most as f64));
        let (little, much) = match &self.found {
            Ok(found) => found,
            Err(error) => return format!("| {name} | {range} | {operation} | failed: {error} | | | | |\n"),
        };
        let micros =
            |found: &Measured| found.cpu_micros.map_or("–".into(), |micros| format!("{micros:.1}"));
        let ratio = little.cpu_micros.zip(much.cpu_micros).map(|(little, much)| much / little);
        let shown = ratio.map_or("–".into(), |ratio| match ratio > GROWTH {
            true => format!("**{ratio:.2}**"),
            false => format!("{ratio:.2}"),
        });
        let felt = &much.felt;
        let p999 = match felt.p999_millis > LIGHT_MILLIS {
            true => format!("**{:.1}**", felt.p999_millis),
            false => format!("{:.1}", felt.p999_millis),
        };
        format!(
            "| {name} | {range} | {operation} | {} | {} | {shown} | {:.1} → {p999} | {:.1} → {:.1} |\n",
            micros(little),
            micros(much),
            little.felt.p999_millis,
            little.felt.most_millis,
            felt.most_millis,
        )
    }
}

fn section(rows: &[Row], quick: bool) -> String {
    let mut text = format!("{HEADING}\n\nWritten by `cargo xtask bench --cliffs`; do not edit.");
    if quick {
        text.push_str(" **A trial run (--quick): do not quote its numbers.**");
    }
    _ = write!(
        text,
        "\n\nEach row changes one dimension, from small to large, on a fresh server with `--durability os`. {} connections run \
         the operation as\nfast as they can. CPU is the server's, in µs per operation. Meanwhile a light client sends, \
         receives and deletes a message on a\nqueue of its own every 5 ms. The last two columns show its p99.9 and its \
         longest request in ms, for the small and the large size.\nBold: misses the target, which is a cost that grows at \
         most {GROWTH} times, and a p99.9 of at most {LIGHT_MILLIS} ms.\n\n\
         | dimension | from → to | operation | CPU | CPU | ratio | light p99.9 | light longest |\n\
         |---|---|---|---:|---:|---:|---:|---:|\n",
        client::CONNECTIONS,
    );
    rows.iter().for_each(|row| text.push_str(&row.line()));
    text
}

/// Thousands of connections need as many descriptors, here as in the server, which inherits the limit.
fn raise_descriptors() -> Result<(), Box<dyn Error>> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}
