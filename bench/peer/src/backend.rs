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
    json: Vec<u8>,
    long: Vec<u8>,
}

/// Serves until the process ends.
pub(crate) async fn serve(port: u16) -> Result<()> {
    let answers = Rc::new(Answers {
        short: answer("text/plain", DATE, vec![b'x'; 1024]),
        // without a date, so that it is as fresh as it comes
        json: answer("application/json", "", json(1024)),
        long: answer("text/plain", DATE, vec![b'x'; LONG]),
    });
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
        let path = head.second_word();
        let answer = match path {
            path if path.starts_with(b"/10m") => &answers.long,
            path if path.windows(5).any(|part| part == b"/json") => &answers.json,
            _ => &answers.short,
        };
        stream.write_all(answer).await?;
    }
    Ok(())
}

/// An object of about this size.
fn json(size: usize) -> Vec<u8> {
    let item = r#"{"id":7,"name":"a name","price":12.5,"tags":["a","b"]}"#;
    let items = vec![item; size / (item.len() + 1)].join(",");
    format!(r#"{{"total":7,"items":[{items}]}}"#).into_bytes()
}

const DATE: &str = "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

fn answer(content_type: &str, date: &str, body: Vec<u8>) -> Vec<u8> {
    let size = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: backend\r\n{date}Cache-Control: max-age=600\r\nContent-Type: {content_type}\r\nContent-Length: {size}\r\n\r\n"
    );
    let mut answer = head.into_bytes();
    answer.extend(body);
    answer
}
