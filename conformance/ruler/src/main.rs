//! Compares our patterns with event-ruler, the library behind AWS's, over random patterns and events.
//!
//! `PAIRS` is how many pairs of a pattern and an event (20,000), `SEED` where the dice begin. Each pattern meets a few
//! events; every fifth pattern has mistakes in it, and then the texts of the refusals are compared, places and all.

mod generate;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, BufWriter, Lines, Write};
use std::process::{ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::rc::Rc;

use generate::{Dice, Node, World};
use patterns::{Event, EventPattern, FilterPolicy, PatternSet, Scope};

const EVENTS_A_PATTERN: usize = 4;
/// Questions that are asked before the first answer is read.
const AHEAD: usize = 200;
/// Mismatches that are printed.
const SHOWN: usize = 20;

fn main() -> ExitCode {
    let number = |name: &str, otherwise: u64| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")),
        Err(_) => otherwise,
    };
    let (pairs, seed) = (number("PAIRS", 20_000) as usize, number("SEED", 1));
    let libraries = std::fs::read_to_string("target/classpath").expect("mvn compile writes target/classpath");
    let mut java = Command::new("java")
        .args([
            "-XX:+UseSerialGC",
            "-cp",
            &format!("target/classes:{}", libraries.trim()),
            "posthaste.Oracle",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java starts");
    let mut run = Run {
        questions: BufWriter::new(java.stdin.take().expect("it is piped")),
        answers: BufReader::new(java.stdout.take().expect("it is piped")).lines(),
        asked: VecDeque::new(),
        suspicions: Vec::new(),
        tally: Tally::default(),
    };
    let mut dice = Dice::new(seed);
    while run.tally.pairs < pairs {
        run.pattern(&mut dice);
        while run.asked.len() > AHEAD {
            run.hear();
        }
    }
    while !run.asked.is_empty() {
        run.hear();
    }
    run.confront();
    let Run { questions, tally, .. } = run;
    drop(questions);
    java.wait().expect("java ends");
    let Tally { pairs, matches, patterns, refused, policies, disagreements, contradictions, mismatches } =
        tally;
    println!(
        "seed {seed}: {patterns} patterns, of which both refuse {refused}; {pairs} pairs, of which {matches} match; \
         {policies} also as filter policies; of event-ruler itself: in {disagreements} pairs its two ways \
         of matching disagree, in {contradictions} a pattern and its choices"
    );
    println!("{} passed, {mismatches} failed", pairs + refused - mismatches.min(pairs + refused));
    if mismatches == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Default)]
struct Tally {
    pairs: usize,
    matches: usize,
    patterns: usize,
    refused: usize,
    policies: usize,
    disagreements: usize,
    contradictions: usize,
    mismatches: usize,
}

/// What event-ruler was asked, with our answer.
enum Asked {
    Pattern { text: String, ours: Result<(), String>, events: usize },
    Event { pattern: Rc<Node>, event: String, ours: bool },
}

/// Where event-ruler and we differ, until it is known whether event-ruler differs from itself.
struct Suspicion {
    pattern: Rc<Node>,
    event: String,
    ours: bool,
    theirs: String,
}

struct Run {
    questions: BufWriter<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    asked: VecDeque<Asked>,
    suspicions: Vec<Suspicion>,
    tally: Tally,
}

impl Run {
    fn pattern(&mut self, dice: &mut Dice) {
        let world = match dice.below(10) {
            0 => World::V4,
            1 => World::V6,
            _ => World::Plain,
        };
        let tree = Rc::new(generate::pattern(dice, world));
        let mut text = generate::write(&tree);
        let spoilt = dice.percent(20);
        if spoilt {
            text = generate::spoil(dice, &text);
        }
        self.tally.patterns += 1;
        let parsed = EventPattern::parse(&text);
        let policy = FilterPolicy::parse(&text, Scope::MessageBody).ok();
        // What was spoilt and still is a pattern could break the bounds of its world.
        let events = if parsed.is_ok() && !spoilt { EVENTS_A_PATTERN } else { 0 };
        let ours = parsed.as_ref().map(|_| ()).map_err(|fault| fault.to_string());
        self.ask('P', &text);
        self.asked.push_back(Asked::Pattern { text: text.clone(), ours, events });
        let Ok(parsed) = parsed else { return };
        let mut set = PatternSet::new();
        set.insert(0, parsed.matcher());
        for _ in 0..events {
            let event = generate::event(dice, &tree, world);
            let taken_apart = Event::from_json(&event);
            let ours = parsed.matches(&taken_apart);
            assert_eq!(
                !set.matching(&taken_apart).is_empty(),
                ours,
                "the set and {text} differ over {event}"
            );
            if let Some(policy) = &policy {
                self.tally.policies += 1;
                assert_eq!(
                    policy.matches(&taken_apart),
                    ours,
                    "policy and pattern {text} differ over {event}"
                );
            }
            self.tally.pairs += 1;
            self.tally.matches += usize::from(ours);
            self.ask('E', &event);
            self.asked.push_back(Asked::Event { pattern: tree.clone(), event, ours });
        }
    }

    fn ask(&mut self, kind: char, text: &str) {
        let escaped =
            text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
        writeln!(self.questions, "{kind}{escaped}").expect("java reads");
    }

    fn hear(&mut self) {
        self.questions.flush().expect("java reads");
        let answer = self.answers.next().expect("an answer for each question").expect("java writes UTF-8");
        match self.asked.pop_front().expect("something was asked") {
            Asked::Event { pattern, event, ours } => {
                let (answer, disagree) = answer.split_once('\t').unwrap_or((&answer, ""));
                self.tally.disagreements += usize::from(!disagree.is_empty());
                if answer != if ours { "1" } else { "0" } {
                    let theirs = answer.to_owned();
                    self.suspicions.push(Suspicion { pattern, event, ours, theirs });
                }
            }
            Asked::Pattern { text, ours, events } => {
                let theirs: Vec<String> = answer.split('\t').map(unescape).collect();
                match (&ours, theirs[0] == "accepted") {
                    (Ok(()), true) => {}
                    (Err(ours), false) => {
                        self.tally.refused += 1;
                        // With "$or" in it, either of event-ruler's two compilers may have had the last word.
                        if *ours != theirs[1] && *ours != theirs[2] {
                            self.mismatch(&format!("{text}\n  ours  {ours:?}\n  ruler {:?}", theirs[1]));
                        }
                    }
                    // Its compiler takes a list without wildcards, of which its machine then makes no state.
                    (Ok(()), false)
                        if theirs[1].is_empty()
                            && theirs[3].starts_with("java.lang.NullPointerException") =>
                    {
                        self.tally.contradictions += 1;
                    }
                    _ => self.mismatch(&format!("{text}\n  ours {ours:?}\n  ruler {theirs:?}")),
                }
                if theirs[0] != "accepted" {
                    // There is nothing to ask of the events.
                    for _ in 0..events {
                        self.answers.next();
                        self.asked.pop_front();
                    }
                }
            }
        }
    }

    /// Asks event-ruler about the single choices of the patterns over which we differ. Those are what its documentation says
    /// that a pattern means, so if they give our result, it is event-ruler that differs from itself: conditions on one
    /// path share a machine there, and disturb each other in it.
    fn confront(&mut self) {
        for Suspicion { pattern, event, ours, theirs } in std::mem::take(&mut self.suspicions) {
            let choices = generate::expand(&pattern, 5000).unwrap_or_default();
            let mut apart = choices.is_empty().then(|| "too many choices".to_owned());
            let mut any = false;
            for choice in choices {
                self.ask('P', &choice);
                self.ask('E', &event);
                self.questions.flush().expect("java reads");
                let mut answer = || self.answers.next().expect("an answer").expect("java writes UTF-8");
                let (accepted, found) = (answer(), answer());
                if accepted != "accepted" {
                    apart = Some(format!("{choice} is {accepted}"));
                }
                any |= found.starts_with('1');
            }
            if apart.is_none() && any == ours {
                self.tally.contradictions += 1;
                continue;
            }
            let text = generate::write(&pattern);
            self.mismatch(&format!(
                "{text}\n  event {event}\n  ours {ours}, ruler {theirs}, its single choices {any} {apart:?}"
            ));
        }
    }

    fn mismatch(&mut self, what: &str) {
        self.tally.mismatches += 1;
        if self.tally.mismatches <= SHOWN {
            println!("MISMATCH {what}");
        }
    }
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                other => other.unwrap_or('\\'),
            },
            other => other,
        });
    }
    plain
}
