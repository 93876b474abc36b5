//! The long runs of `./dev soak`, short: the same code with smaller numbers.

use anyhow::Result;
use tidegate_e2e::soak::{Size, run};

async fn small(name: &str) -> Result<()> {
    println!("{}", run(name, Size::Small).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_restart_one_by_one_and_no_request_fails() -> Result<()> {
    small("rolling-restart").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_hands_over_its_sockets_and_no_request_fails() -> Result<()> {
    small("hand-over").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_passes_in_constant_memory() -> Result<()> {
    small("big-body").await
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_and_stalled_callers_harm_nobody() -> Result<()> {
    small("idle-stalled").await
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_are_bounded_and_others_are_served() -> Result<()> {
    small("floods").await
}

#[tokio::test(flavor = "multi_thread")]
async fn long_streams_pass_in_constant_memory() -> Result<()> {
    small("streams").await
}
