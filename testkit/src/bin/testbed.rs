//! Runs real processes for people and for test runners of other languages.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use tidegate_testkit::cluster::{Cluster, Plan};
use tidegate_testkit::standalone::Standalone;
use tidegate_testkit::upstream::Upstream;
use tokio::signal::unix::{SignalKind, signal};

/// Runs Tidegate for a while: all of it ends with this process.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// A cluster on a private Postgres and Redis, until ^C.
    Cluster {
        /// How many control planes.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=4))]
        control_planes: u16,
        /// How many nodes.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
        nodes: u16,
    },
    /// A standalone gateway and a sample upstream on free ports, while a command runs.
    ///
    /// The command finds them by TIDEGATE_ADMIN_URL, TIDEGATE_PROXY_URL, TIDEGATE_STATUS_URL, TIDEGATE_TOKEN and UPSTREAM_URL.
    Standalone {
        /// The command and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Cluster { control_planes, nodes } => {
            cluster(Plan { control_planes, nodes, usual_ports: true, durable: true, ..Plan::default() }).await
        }
        Verb::Standalone { command } => standalone(&command).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("testbed: {error:#}");
        ExitCode::FAILURE
    })
}

async fn cluster(plan: Plan) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    println!("starting Postgres, Redis, {} control planes and {} nodes ...", plan.control_planes, plan.nodes);
    let mut cluster = tokio::select! {
        started = Cluster::start_with(plan) => started?,
        // Dropping what has started so far ends it.
        _ = interrupt.recv() => return Ok(ExitCode::from(130)),
        _ = terminate.recv() => return Ok(ExitCode::from(143)),
    };
    print!("{}", how_to_use(&cluster));
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                for told in cluster.lost() {
                    eprintln!("{told}");
                }
            }
        }
    }
    println!("\nending nodes, control planes, Redis and Postgres ...");
    tokio::select! {
        done = cluster.shut_down() => done?,
        _ = interrupt.recv() => println!("at once"),
    }
    Ok(ExitCode::SUCCESS)
}

fn how_to_use(cluster: &Cluster) -> String {
    let list = |urls: Vec<String>| urls.join("  ");
    let admins = cluster.control_planes.iter().map(|control_plane| control_plane.admin_url());
    let webs: Vec<String> = admins.clone().map(|url| format!("{url}/ui/")).collect();
    let lines = [
        ("web admin", list(webs)),
        ("admin API", list(admins.clone().collect())),
        ("nodes", list(cluster.nodes.iter().map(|node| node.proxy_url()).collect())),
        ("their status", list(cluster.nodes.iter().map(|node| node.status_url()).collect())),
        ("an upstream", cluster.upstream.url()),
        ("Postgres", cluster.database_url().to_owned()),
        ("Redis", cluster.redis.url()),
        ("token", cluster.token_file().display().to_string()),
        ("data and logs", cluster.folder().display().to_string()),
    ];
    let mut text = String::from("\nThe cluster is ready.\n\n");
    for (what, value) in lines {
        writeln!(text, "  {what:<14} {value}").expect("a string takes everything");
    }
    let admin = cluster.control_planes.first().map(|control_plane| control_plane.admin_url()).unwrap_or_default();
    let node = cluster.nodes.last().map(|node| node.proxy_url()).unwrap_or_default();
    let (token, upstream) = (cluster.token_file().display().to_string(), cluster.upstream.url());
    write!(
        text,
        r#"
Try, in another terminal:

  A="Authorization: Bearer $(cat {token})"
  curl -H "$A" -X PUT {admin}/v1/services/orders -d '{{"url":"{upstream}"}}'
  curl -H "$A" -X PUT {admin}/v1/routes/orders -d '{{"service":"orders","match":{{"path":"/orders"}},"strip_prefix":true}}'
  curl -H "$A" -X PUT {admin}/v1/policies/orders-key -d '{{"kind":"key-auth","scope":{{"service":"orders"}},"config":{{}}}}'
  curl -H "$A" -X PUT {admin}/v1/consumers/acme -d '{{}}'
  curl -H "$A" -X POST '{admin}/v1/consumers/acme/keys?wait=all' -d '{{"label":"laptop"}}'
  curl {node}/orders/1 -H 'X-Api-Key: tg_...'
  curl -H "$A" {admin}/v1/nodes

^C ends all of it; nothing is kept.
"#
    )
    .expect("a string takes everything");
    text
}

async fn standalone(words: &[String]) -> Result<ExitCode> {
    let (program, arguments) = words.split_first().context("a command is required")?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let upstream = Upstream::start_named("sample")?;
    let gateway = Standalone::start().await?;
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .env("TIDEGATE_ADMIN_URL", gateway.admin_url())
        .env("TIDEGATE_PROXY_URL", gateway.proxy_url())
        .env("TIDEGATE_STATUS_URL", gateway.status_url())
        .env("TIDEGATE_TOKEN", gateway.token())
        .env("UPSTREAM_URL", upstream.url())
        .kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("`{program}` can't be started"))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        _ = interrupt.recv() => return Ok(ExitCode::from(130)),
        _ = terminate.recv() => return Ok(ExitCode::from(143)),
    };
    if status.success() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{}", gateway.log_tail());
    Ok(ExitCode::FAILURE)
}
