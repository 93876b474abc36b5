//! The one runner behind `./dev`: each verb is a module.

use std::process::ExitCode;

mod bench;
mod cluster;
mod codegen;
mod fuzz;
mod run;
mod shell;
mod soak;
mod suites;
mod test;
mod tidy;
mod web;

const HELP: &str = "\
usage: cargo xtask <verb>

  run [flags]           build, then start `tidegate standalone` with these flags
  test [--keep-going]   every check and every test
  cluster [flags]       a cluster of local processes, until ^C
  bench [flags]         compare with other proxies
  soak [name]           long runs
  fuzz [target]         fuzz targets
  codegen               what is generated from the code
  tidy                  arrows, rooms, files, dependencies

`./dev <verb>` does the same and installs what the machine lacks.
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let done = match verb.as_str() {
        "run" => run::run(&rest),
        "test" => test::test(&rest),
        "cluster" => cluster::cluster(&rest),
        "bench" => bench::bench(&rest),
        "soak" => soak::soak(&rest),
        "fuzz" => fuzz::fuzz(&rest),
        "codegen" => codegen::codegen(),
        "tidy" => tidy::tidy(),
        "" | "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(anyhow::anyhow!("`{other}` is not a verb\n\n{HELP}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask {verb}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
