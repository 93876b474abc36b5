//! The API behind the proxies.

use std::rc::Rc;

use anyhow::Result;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::spawn_local;

use crate::LONG;
use crate::wire::Reader;

/// Heads and bodies of both answers, made once.
struct Answers {
    short: Vec<u8>,
    long: Vec<u8>,
}

/// Serves until the process ends.
pub(crate) async fn serve(port: u16) -> Result<()> {
    let answers = Rc::new(Answers { short: answer(1024), long: answer(LONG) });
    let listener = listen(port)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answers = answers.clone();
        spawn_local(async move {
            // a caller that leaves is no news
            let _ = converse(stream, &answers).await;
        });
    }
}

fn listen(port: u16) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    Ok(socket.listen(4096)?)
}

async fn converse(mut stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    let mut reader = Reader::new();
    while let Some(head) = reader.head(&stream).await? {
        reader.drop_body(&stream, head.body()).await?;
        let answer = if head.second_word().starts_with(b"/10m") { &answers.long } else { &answers.short };
        stream.write_all(answer).await?;
    }
    Ok(())
}

fn answer(size: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: backend\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n"
    );
    let mut answer = head.into_bytes();
    answer.resize(answer.len() + size, b'x');
    answer
}
