//! The project's own chores. `cargo xtask` lists them.

mod bench;
mod codegen;
mod model;
mod release;
mod simulate;
mod soak;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask CHORE

  test [--quick|--all] [--fresh]   Everything that must pass; --quick: without what speaks to the built program;
                       --all: also what takes long; --fresh: in a fresh clone, with empty caches of all tools
  tidy                 Look at the shape of the tree
  model SERVICE FILE   Take over AWS's model of a service (botocore's service-2.json), without its prose
  codegen [--check]    Write the shapes and codecs of all services from their models; or see that they are up to date
  simulate [--seeds N] [--seed S] [--until STEP] [--trace]   Run the server in simulated worlds; more with --help
  soak [--hours H]     Mixed traffic for hours, on a small disk, with kills: nothing may grow or be lost; more with --help
  release              Build the program for production: with a profile of its own running; takes five to ten minutes
  bench [--only NAMES] [--quick] [--backlog] [--out FILE]   Measure ours, a bare server and peers; more with --help
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["test", ref arguments @ ..] => test::run(arguments),
        ["tidy"] => tidy::run(),
        ["codegen"] => codegen::run(false),
        ["codegen", "--check"] => codegen::run(true),
        ["simulate", ref arguments @ ..] => simulate::run(arguments),
        ["bench", ref arguments @ ..] => bench::run(arguments),
        ["release"] => release::run(),
        ["soak", ref arguments @ ..] => soak::run(arguments),
        ["model", service, file] => model::take_over(service, file.as_ref()),
        _ => {
            print!("{USAGE}");
            return if words.is_empty() || words == ["--help"] {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(2)
            };
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
