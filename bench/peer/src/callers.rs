//! Callers with long bodies, and callers that only hold their connection.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use crate::LONG;
use crate::wire::Reader;

#[derive(Default)]
struct Count {
    done: Cell<u64>,
    errors: Cell<u64>,
}

/// Sends or fetches long bodies for a while; says how many, in how long, and how many failed, as JSON.
pub(crate) async fn bodies(up: bool, port: u16, connections: usize, time: Duration) -> Result<String> {
    let mut request = match up {
        true => format!("POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: {LONG}\r\n\r\n").into_bytes(),
        false => b"GET /10m HTTP/1.1\r\nHost: bench\r\n\r\n".to_vec(),
    };
    if up {
        request.resize(request.len() + LONG, b'x');
    }
    let (request, count, began) = (Rc::new(request), Rc::new(Count::default()), Instant::now());
    let callers: Vec<_> = (0..connections)
        .map(|_| {
            let (request, count) = (request.clone(), count.clone());
            spawn_local(async move {
                while began.elapsed() < time {
                    if call_on_and_on(port, &request, &count, began + time).await.is_err() {
                        count.errors.set(count.errors.get() + 1);
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await?;
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(format!(r#"{{"count": {}, "seconds": {seconds}, "errors": {}}}"#, count.done.get(), count.errors.get()))
}

async fn call_on_and_on(port: u16, request: &[u8], count: &Count, until: Instant) -> Result<()> {
    let mut stream = connect(port).await?;
    let mut reader = Reader::new();
    while Instant::now() < until {
        call(&mut stream, &mut reader, request).await?;
        count.done.set(count.done.get() + 1);
    }
    Ok(())
}

pub(crate) async fn call(stream: &mut TcpStream, reader: &mut Reader, request: &[u8]) -> Result<()> {
    stream.write_all(request).await?;
    let head = reader.head(stream).await?;
    let head = head.ok_or_else(|| anyhow::anyhow!("the connection ended"))?;
    ensure!(head.second_word() == b"200", "answered {}", String::from_utf8_lossy(head.second_word()));
    Ok(reader.drop_body(stream, head.body()).await?)
}

/// One request on each connection; says `ready`, and holds them.
pub(crate) async fn idle(port: u16, connections: usize) -> Result<()> {
    let mut held = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut stream = connect(port).await?;
        call(&mut stream, &mut Reader::new(), b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n").await?;
        held.push(stream);
    }
    println!("ready");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

pub(crate) async fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
