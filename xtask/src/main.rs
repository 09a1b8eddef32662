//! Development commands. `cargo xtask` lists them.

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
cargo xtask COMMAND

  test [--quick|--all] [--fresh]   Run all tests; --quick: without those that need the built program; --all: also the slow
                       ones; --fresh: in a fresh clone, with empty caches of all tools
  tidy                 Check the structure of the repository
  model SERVICE FILE   Import AWS's model of a service (botocore's service-2.json), without its documentation
  codegen [--check]    Generate the shapes and codecs of all services from their models; --check: verify that they are up to date
  simulate [--seeds N] [--seed S] [--until STEP] [--trace]   Run the server in simulated worlds; more with --help
  soak [--hours H]     Run mixed traffic for hours, on a small disk, with kills, and check that nothing grows or is lost; more with --help
  release              Build the program for production, with profile-guided optimisation; takes five to ten minutes
  bench [--only NAMES] [--quick] [--backlog] [--out FILE]   Measure ours, a bare server and peers; more with --help
";

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(error) = test::compile_instead(&words) {
        eprintln!("xtask: {error}");
        return ExitCode::FAILURE;
    }
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
