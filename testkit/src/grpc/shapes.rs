//! One call of each shape, and what must come of it, wherever the server stands.

use anyhow::{Context as _, Result, ensure};
use futures_util::stream;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::v1::Line;
use super::v1::echo_client::EchoClient;
use super::{ASKED_FOR, line};

/// How many lines a stream of the calls has.
const LINES: u32 = 100;

/// A client of the server at this URL, or of a gateway in front of it.
pub async fn client(url: &str) -> Result<EchoClient<Channel>> {
    Ok(EchoClient::new(Endpoint::from_shared(url.to_owned())?.connect().await?))
}

/// Makes a call of each shape, with success and with a status of its own.
pub async fn every_shape(client: &mut EchoClient<Channel>) -> Result<()> {
    one_and_one(client).await.context("unary")?;
    many_and_one(client).await.context("streaming by the client")?;
    one_and_many(client).await.context("streaming by the server")?;
    many_and_many(client).await.context("streaming both ways")
}

async fn one_and_one(client: &mut EchoClient<Channel>) -> Result<()> {
    let answer = client.say(line("hello")).await?;
    ensure!(answer.metadata().get("x-echo").is_some_and(|value| value == "yes"), "{:?}", answer.metadata());
    ensure!(answer.into_inner().text == "hello");
    let refused = client.say(asking_for(Code::NotFound)).await.err().context("a status was asked for")?;
    is_as_asked(&refused, Code::NotFound)
}

async fn many_and_one(client: &mut EchoClient<Channel>) -> Result<()> {
    let lines = stream::iter((0..LINES).map(|number| line(&number.to_string())));
    let gathered = client.gather(lines).await?.into_inner();
    ensure!(gathered.count == LINES && gathered.text.ends_with(" 98 99"), "{gathered:?}");
    let lines = stream::iter([line("one"), asking_for(Code::Aborted)]);
    let refused = client.gather(lines).await.err().context("a status was asked for")?;
    is_as_asked(&refused, Code::Aborted)
}

async fn one_and_many(client: &mut EchoClient<Channel>) -> Result<()> {
    let asked = Line { count: LINES, ..asking_for(Code::DataLoss) };
    let mut lines = client.spread(asked).await?.into_inner();
    let mut count = 0;
    let end = loop {
        match lines.message().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => return Err(anyhow::anyhow!("it ended well after {count} lines; a status was asked for")),
            Err(status) => break status,
        }
    };
    ensure!(count == LINES, "{count} lines");
    is_as_asked(&end, Code::DataLoss)
}

/// Each line's echo is awaited before the next is sent: nothing on the way may hold them back.
async fn many_and_many(client: &mut EchoClient<Channel>) -> Result<()> {
    let (say, said) = mpsc::channel(1);
    let said = stream::unfold(said, async |mut said| said.recv().await.map(|line: Line| (line, said)));
    let mut echoes = client.chat(said).await?.into_inner();
    for number in 0..LINES {
        let text = number.to_string();
        say.send(line(&text)).await?;
        let echo = echoes.message().await?.context("it ended early")?;
        ensure!(echo.text == text, "{echo:?} for {text}");
    }
    drop(say);
    ensure!(echoes.message().await?.is_none(), "more lines than were sent");
    Ok(())
}

fn asking_for(code: Code) -> Line {
    Line { status: code as i32, ..line("why") }
}

fn is_as_asked(status: &Status, code: Code) -> Result<()> {
    let text = status.metadata().get("x-echo-text").map(|text| text.as_bytes());
    ensure!(status.code() == code && status.message() == ASKED_FOR && text == Some(b"why"), "{status:?}");
    Ok(())
}
