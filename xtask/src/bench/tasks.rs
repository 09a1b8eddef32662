//! The tasks that every contender gets, and what came of them, round by round.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bench::Report;

use super::contenders::{Contender, Kitchen};
use super::process::Server;
use crate::workspace::target;

/// A case that takes longer than this, prefill and checks included, is given up.
const CASE_LIMIT: Duration = Duration::from_secs(90);

/// A task with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// SendMessage.
    Send,
    /// SendMessageBatch of ten.
    SendBatch,
    /// ReceiveMessage(10) and DeleteMessageBatch over a backlog.
    Drain,
    /// Producers (batches of ten) and consumers at once.
    EndToEnd,
    /// Producers and consumers at a thousand messages a second, for the latency.
    Modest,
    /// SendMessage to a FIFO queue.
    SendFifo,
    /// A FIFO queue's backlog.
    DrainFifo,
    /// SendMessage from 256 connections.
    Send256,
    /// Publish to a topic with ten queues.
    Publish,
    /// PublishBatch of ten to the same.
    PublishBatch,
    /// The backlog of a topic's ten queues.
    FanOut,
}

impl Case {
    /// All, in order: the send rate tells how much to prefill.
    pub const ALL: [Case; 11] = [
        Case::Send,
        Case::SendBatch,
        Case::Drain,
        Case::EndToEnd,
        Case::Modest,
        Case::SendFifo,
        Case::DrainFifo,
        Case::Send256,
        Case::Publish,
        Case::PublishBatch,
        Case::FanOut,
    ];

    /// What it is, for the page.
    pub fn title(self) -> &'static str {
        match self {
            Case::Send => "SendMessage",
            Case::SendBatch => "SendMessageBatch(10)",
            Case::Drain => "drain: ReceiveMessage(10) + DeleteMessageBatch(10)",
            Case::EndToEnd => "end to end, saturated",
            Case::Modest => "end to end at 1,000 messages/s",
            Case::SendFifo => "SendMessage, FIFO, 1,000 groups",
            Case::DrainFifo => "drain, FIFO, 1,000 groups",
            Case::Send256 => "SendMessage, 256 connections",
            Case::Publish => "Publish to ten queues",
            Case::PublishBatch => "PublishBatch(10) to ten queues",
            Case::FanOut => "drain of a topic's ten queues",
        }
    }

    fn arguments(self) -> &'static str {
        match self {
            Case::Send => "send",
            Case::SendBatch => "send-batch",
            Case::Drain => "drain",
            Case::EndToEnd => "end-to-end",
            Case::Modest => "end-to-end --rate 1000 --batch 1",
            Case::SendFifo => "send --fifo",
            Case::DrainFifo => "drain --fifo",
            Case::Send256 => "send --connections 256",
            Case::Publish => "publish",
            Case::PublishBatch => "publish-batch",
            Case::FanOut => "fan-out",
        }
    }

    /// It needs topics.
    pub fn publishes(self) -> bool {
        matches!(self, Case::Publish | Case::PublishBatch | Case::FanOut)
    }

    /// Whether this contender gets it.
    pub fn suits(self, contender: Contender, quick: bool) -> bool {
        match self {
            Case::Send | Case::SendBatch | Case::Drain => true,
            Case::EndToEnd | Case::Publish => contender != Contender::Bare,
            Case::Send256 => matches!(contender, Contender::OursOs | Contender::OursFsync),
            Case::Modest | Case::SendFifo | Case::DrainFifo | Case::PublishBatch | Case::FanOut => {
                !quick && contender != Contender::Bare
            }
        }
    }
}

/// One case on one contender in one round.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The report, which may list failures.
    Measured(Box<Report>),
    /// It took too long, or the client gave up.
    Broken(String),
}

/// All outcomes.
#[derive(Default)]
pub struct Comparison {
    rounds: Vec<Vec<(Contender, Case, Outcome)>>,
    current: Vec<(Contender, Case, Outcome)>,
}

/// The median of the rounds with the spread around it.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The middle one, or what lies between the two in the middle.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

impl Spread {
    /// Of at least one number.
    pub fn of(mut numbers: Vec<f64>) -> Option<Spread> {
        numbers.sort_by(f64::total_cmp);
        let (lower, upper) =
            (numbers.get(numbers.len().checked_sub(1)? / 2)?, numbers.get(numbers.len() / 2)?);
        Some(Spread {
            median: f64::midpoint(*lower, *upper),
            least: *numbers.first()?,
            most: *numbers.last()?,
        })
    }
}

impl Comparison {
    /// What follows belongs to the next round.
    pub fn end_round(&mut self) {
        self.rounds.push(std::mem::take(&mut self.current));
    }

    /// What broke a case in an earlier round: it is not tried again.
    fn broken_before(&self, contender: Contender, case: Case) -> Option<Outcome> {
        let outcomes = self.outcomes(contender, case).into_iter();
        outcomes.rev().find(|outcome| matches!(outcome, Outcome::Broken(_))).cloned()
    }

    /// How many rounds there were.
    pub fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// A contender's outcomes of a case, one a round.
    pub fn outcomes(&self, contender: Contender, case: Case) -> Vec<&Outcome> {
        let rounds = self.rounds.iter();
        rounds.filter_map(|round| find(round, contender, case)).collect()
    }

    /// A number of each round's report in which no check failed.
    pub fn spread(
        &self,
        contender: Contender,
        case: Case,
        number: impl Fn(&Report) -> f64,
    ) -> Option<Spread> {
        let trusted = self.rounds.iter().filter_map(|round| trusted(round, contender, case));
        Spread::of(trusted.map(number).collect())
    }

    /// One contender's messages a second over another's, within each round.
    pub fn ratio(&self, case: Case, one: Contender, other: Contender) -> Option<Spread> {
        let ratio = |round: &Vec<_>| {
            let one = trusted(round, one, case)?.messages_per_second;
            Some(one / trusted(round, other, case)?.messages_per_second)
        };
        Spread::of(self.rounds.iter().filter_map(ratio).collect())
    }

    /// The peer with the highest median on a case.
    pub fn fastest_peer(&self, case: Case) -> Option<Contender> {
        let peers = Contender::ALL.into_iter().filter(|contender| contender.is_peer());
        let rates = peers.filter_map(|peer| {
            Some((peer, self.spread(peer, case, |report| report.messages_per_second)?.median))
        });
        rates.max_by(|one, other| one.1.total_cmp(&other.1)).map(|(peer, _)| peer)
    }
}

fn find(round: &[(Contender, Case, Outcome)], contender: Contender, case: Case) -> Option<&Outcome> {
    round.iter().find(|entry| entry.0 == contender && entry.1 == case).map(|entry| &entry.2)
}

fn trusted(round: &[(Contender, Case, Outcome)], contender: Contender, case: Case) -> Option<&Report> {
    match find(round, contender, case)? {
        Outcome::Measured(report) if report.failures.is_empty() => Some(report),
        _ => None,
    }
}

/// A contender that runs, or the reason why it does not.
struct Seat {
    contender: Contender,
    server: Result<Server, String>,
    _data: tempfile::TempDir,
}

/// One round: starts all contenders, gives each case to one after the other while all others stand still, and ends them.
///
/// The machine's speed drifts; so those that are compared on a case run it within seconds of each other. What one has left
/// to the operating system to write is written before the next begins: nobody pays for another's disk.
pub fn run(
    kitchen: &Kitchen,
    contenders: &[Contender],
    quick: bool,
    into: &mut Comparison,
) -> Result<(), Box<dyn Error>> {
    let mut seats = Vec::new();
    for &contender in contenders {
        let data = kitchen.data()?;
        let server = match kitchen.start(contender, data.path()) {
            Ok(server) => {
                server.pause()?;
                Ok(server)
            }
            // Ours must start; that another does not is a finding.
            Err(error) if contender.is_peer() => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        seats.push(Seat { contender, server, _data: data });
    }
    for case in Case::ALL {
        for seat in seats.iter().filter(|seat| case.suits(seat.contender, quick)) {
            let outcome = seat.take(kitchen, case, quick, into)?;
            into.current.push((seat.contender, case, outcome));
        }
    }
    Ok(())
}

impl Seat {
    /// One case, unless it is known that it cannot be had.
    fn take(
        &self,
        kitchen: &Kitchen,
        case: Case,
        quick: bool,
        known: &Comparison,
    ) -> Result<Outcome, Box<dyn Error>> {
        if let Some(broken) = known.broken_before(self.contender, case) {
            return Ok(broken);
        }
        if case.publishes() && !self.contender.serves_sns() {
            return Ok(Outcome::Broken("has no topics".into()));
        }
        let server = match &self.server {
            Ok(server) => server,
            Err(reason) => return Ok(Outcome::Broken(reason.clone())),
        };
        eprint!("  {}", self.contender.name());
        rustix::fs::sync();
        server.resume()?;
        let outcome = client(kitchen, server, &self.words(case, quick, known), CASE_LIMIT)?;
        server.pause()?;
        Ok(outcome)
    }

    /// What the client is told.
    fn words(&self, case: Case, quick: bool, known: &Comparison) -> Vec<String> {
        // How fast it was at an earlier case of this round.
        let rate = |earlier| match find(&known.current, self.contender, earlier) {
            Some(Outcome::Measured(report)) => report.messages_per_second,
            _ => 0.0,
        };
        let warmup = if quick { 0.3 } else { self.contender.warmup_seconds() };
        let mut words: Vec<String> = case.arguments().split(' ').map(str::to_owned).collect();
        words.extend(["--warmup".into(), warmup.to_string()]);
        words.extend(["--duration".into(), if quick { "1" } else { "4" }.into()]);
        if matches!(case, Case::Drain | Case::DrainFifo) && self.contender != Contender::Bare {
            // As much as can be sent in a few seconds, so that a slow one is not prefilled for minutes.
            let messages = (rate(Case::SendBatch) * if quick { 1.0 } else { 3.0 }).clamp(500.0, 400_000.0);
            words.extend(["--messages".into(), format!("{messages:.0}")]);
        }
        if case == Case::FanOut {
            // Each of them is drained ten times.
            let messages = rate(Case::Publish).clamp(100.0, 40_000.0);
            words.extend(["--messages".into(), format!("{messages:.0}")]);
        }
        if self.contender == Contender::Bare {
            words.push("--no-checks".into());
        }
        words
    }
}

/// Runs the client to its end, or ends it after `limit`.
pub fn client(
    kitchen: &Kitchen,
    server: &Server,
    words: &[String],
    limit: Duration,
) -> Result<Outcome, Box<dyn Error>> {
    let json = tempfile::NamedTempFile::new_in(target())?;
    let mut command = Command::new(&kitchen.client);
    command.args(words).args(["--quiet", "--endpoint", &server.endpoint()]);
    command.args(["--server-pid", &server.pid().to_string(), "--json"]).arg(json.path());
    let said = tempfile::NamedTempFile::new_in(target())?;
    let mut child = command.stdout(Stdio::null()).stderr(said.reopen()?).spawn()?;
    let begin = Instant::now();
    while child.try_wait()?.is_none() {
        if begin.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(Outcome::Broken(format!("took more than {} s", limit.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let reports: Result<Vec<Report>, _> = serde_json::from_slice(&std::fs::read(json.path())?);
    Ok(match reports.ok().and_then(|reports| reports.into_iter().next()) {
        Some(report) => {
            for failure in &report.failures {
                eprintln!("  {}: {failure}: {:?}", words.join(" "), report.errors);
            }
            eprintln!("  {}: {:.0} messages/s", words.join(" "), report.messages_per_second);
            Outcome::Measured(Box::new(report))
        }
        None => Outcome::Broken(std::fs::read_to_string(said.path())?.trim().replace('\n', "; ")),
    })
}

/// Runs the client with the words of `line`; a check that failed is an error.
pub fn measured(
    kitchen: &Kitchen,
    server: &Server,
    line: &str,
    minutes: u64,
) -> Result<Report, Box<dyn Error>> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    match client(kitchen, server, &words, Duration::from_secs(60 * minutes))? {
        Outcome::Measured(report) if report.failures.is_empty() => Ok(*report),
        Outcome::Measured(report) => Err(format!("{line}: {:?}", report.failures).into()),
        Outcome::Broken(reason) => Err(format!("{line}: {reason}").into()),
    }
}
