//! What ours pays for topics: ten copies beside one, a thousand filters beside none, ten thousand deliveries that wait for a
//! dead endpoint beside none.

use std::error::Error;

use bench::Report;

use super::contenders::{Contender, Kitchen};
use super::tasks::{Spread, measured};

/// Minutes after which one step is given up.
const STEP_MINUTES: u64 = 5;

/// What was found, turn by turn. In each turn all are measured one after the other; ratios are taken within the turn.
pub struct Topics {
    /// Turns in which all checks held.
    pub turns: Vec<Turn>,
    /// Why others were left out.
    pub failures: Vec<String>,
}

/// One turn.
pub struct Turn {
    /// SendMessage.
    pub send: Report,
    /// Publish to ten queues.
    pub ten: Report,
    /// Publish to one queue that does not filter; the messages are those of `filtered`.
    pub one: Report,
    /// Publish to a thousand queues that filter, of which one gets the message.
    pub filtered: Report,
    /// HTTP deliveries.
    pub alone: Report,
    /// HTTP deliveries while others wait for a dead endpoint.
    pub beside: Report,
}

impl Topics {
    /// A number of each turn.
    pub fn spread(&self, number: impl Fn(&Turn) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.turns.iter().filter_map(number).collect())
    }
}

impl Turn {
    /// Microseconds from publish to arrival at p99.
    pub fn arrival_p99(report: &Report) -> Option<f64> {
        Some(report.end_to_end.as_ref()?.p99)
    }
}

/// One number of two reports, the first over the second.
pub fn over(one: &Report, other: &Report, number: impl Fn(&Report) -> Option<f64>) -> Option<f64> {
    let (one, other) = (number(one)?, number(other)?);
    (other > 0.0).then_some(one / other)
}

/// Measures it.
pub fn measure(kitchen: &Kitchen, quick: bool) -> Result<Topics, Box<dyn Error>> {
    let turns = if quick { 1 } else { 5 };
    let mut found = Topics { turns: Vec::new(), failures: Vec::new() };
    for turn in 1..=turns {
        eprintln!("topics, turn {turn} of {turns}");
        match measure_turn(kitchen, quick) {
            Ok(turn) => found.turns.push(turn),
            Err(error) => {
                eprintln!("  {error}");
                found.failures.push(error.to_string());
            }
        }
    }
    Ok(found)
}

fn measure_turn(kitchen: &Kitchen, quick: bool) -> Result<Turn, Box<dyn Error>> {
    let times = if quick { "--duration 1 --warmup 0.3" } else { "--duration 4 --warmup 1" };
    let data = kitchen.data()?;
    let server = kitchen.start(Contender::OursOs, data.path())?;
    let on = |line: &str| measured(kitchen, &server, &format!("{line} {times}"), STEP_MINUTES);
    let send = on("send")?;
    let ten = on("publish --subscriptions 10")?;
    let one = on("publish --subscriptions 1 --attribute")?;
    let filtered = on("publish --subscriptions 1000 --filtered")?;
    drop(server);
    // Another server, whose memory has not been grown by what went before.
    let data = kitchen.data()?;
    let server = kitchen.start(Contender::OursOs, data.path())?;
    let on = |line: &str| measured(kitchen, &server, &format!("{line} {times}"), STEP_MINUTES);
    let alone = on("deliver")?;
    let beside = on(if quick {
        "deliver --pending 1000 --retry-seconds 8"
    } else {
        "deliver --pending 10000 --retry-seconds 40"
    })?;
    Ok(Turn { send, ten, one, filtered, alone, beside })
}
