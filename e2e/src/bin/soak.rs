//! Long runs, for `./dev soak`.

use std::process::ExitCode;
use std::time::Instant;

use tidegate_e2e::soak::{SOAKS, Size, run};

#[tokio::main]
async fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|word| SOAKS.iter().all(|(name, _)| name != word)) {
        eprintln!("there is no soak `{unknown}`; there are");
        for (name, what) in SOAKS {
            eprintln!("  {name:<16} {what}");
        }
        return ExitCode::FAILURE;
    }
    let mut failed = Vec::new();
    for (name, what) in SOAKS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|word| word == name)) {
        println!("=== {name}: {what}");
        let began = Instant::now();
        match run(name, Size::Whole).await {
            Ok(report) => println!("{report}  held, {:.0} s", began.elapsed().as_secs_f64()),
            Err(error) => {
                println!("  FAILED: {error:#}");
                failed.push(*name);
            }
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("did not hold: {}", failed.join(", "));
    ExitCode::FAILURE
}
