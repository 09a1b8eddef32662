//! The training load: the benchmark's tasks with each durability, typical requests, restarts, and the
//! program's other commands. Code that does not run here is optimised for size instead of speed.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use super::everyday;
use crate::bench::contenders::{Contender, Kitchen};
use crate::bench::process::Server;
use crate::bench::tasks::measured;
use crate::workspace::run;

/// Minutes after which a task is given up.
const TASK_MINUTES: u64 = 5;

/// The benchmark's arguments, without the duration.
const TASKS: &[&str] = &[
    "send",
    "send-batch",
    "drain --messages 50000",
    "end-to-end",
    "end-to-end --batch 1",
    // With a low load: most receives wait.
    "end-to-end --batch 1 --rate 1000",
    "end-to-end --size 65536 --connections 8 --window 200",
    "cycle",
    "poll",
    "send --fifo",
    "drain --fifo --messages 20000",
    "end-to-end --fifo",
    "publish",
    "publish-batch",
    "publish --subscriptions 100 --filtered",
    "fan-out --messages 3000",
    "deliver",
];

/// Number of messages that a restart finds.
const BACKLOG: &str = "send-batch --messages 100000 --keep --timeout 120";

/// Runs the program, which must write its counts to `counts` when it ends.
pub fn train(program: &Path, counts: &Path) -> Result<(), Box<dyn Error>> {
    let kitchen = Kitchen::build(program.to_owned())?;
    // Nothing is measured here, so a pause of the machine for a minute is acceptable.
    let timed = |task: &str| format!("{task} --warmup 0 --duration 2 --timeout 120");
    for contender in [Contender::OursFsync, Contender::OursOs] {
        eprintln!("   {}", contender.description());
        let data = kitchen.data()?;
        let server = kitchen.start(contender, data.path())?;
        for task in TASKS {
            measured(&kitchen, &server, &timed(task), TASK_MINUTES)?;
        }
        everyday::live(server.address)?;
        measured(&kitchen, &server, BACKLOG, TASK_MINUTES)?;
        end(server, counts)?;
        // One restart after an orderly stop, and one after a crash: a killed server writes no counts.
        end(kitchen.start(contender, data.path())?, counts)?;
        let killed = kitchen.start(contender, data.path())?;
        measured(&kitchen, &killed, BACKLOG, TASK_MINUTES)?;
        drop(killed);
        end(kitchen.start(contender, data.path())?, counts)?;
        run(Command::new(program).arg("check").arg(data.path()))?;
    }
    let data = kitchen.data()?;
    let server = kitchen.start(Contender::OursMemory, data.path())?;
    eprintln!("   {}, and posthaste bench", Contender::OursMemory.description());
    everyday::live(server.address)?;
    let line = "bench send end-to-end publish --quiet --duration 2 --warmup 0 --endpoint";
    run(Command::new(program).args(line.split(' ')).arg(server.endpoint()))?;
    end(server, counts)
}

/// Stops a server, which then adds its counts to those in `counts`.
fn end(server: Server, counts: &Path) -> Result<(), Box<dyn Error>> {
    let before = written(counts)?;
    let status = server.terminate()?;
    if !status.success() {
        return Err(format!("the server ended with {status}").into());
    }
    match written(counts)? == before {
        true => Err(format!("the server has ended, but added nothing to {}", counts.display()).into()),
        false => Ok(()),
    }
}

/// Returns when counts were last written.
fn written(counts: &Path) -> std::io::Result<Option<SystemTime>> {
    let mut last = None;
    for file in std::fs::read_dir(counts)? {
        last = last.max(Some(file?.metadata()?.modified()?));
    }
    Ok(last)
}
