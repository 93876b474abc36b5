//! A server and a client of tungstenite.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{accept_async, client_async};

use crate::support::{DEADLINE, Gateway};

/// Says back what it is told.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    at
}

#[tokio::test]
async fn messages_of_any_size_go_both_ways() {
    let gateway = Gateway::before(server().await, "http1");
    let talk = async {
        let stream = TcpStream::connect(gateway.at).await.unwrap();
        let (mut socket, response) = client_async(format!("ws://{}/chat?room=1", gateway.at), stream).await.unwrap();
        assert_eq!(response.status(), 101);
        for size in [0, 1, 125, 126, 65_535, 65_536, 2 << 20] {
            let message = Message::binary(vec![7; size]);
            socket.send(message.clone()).await.unwrap();
            assert!(socket.next().await.unwrap().unwrap() == message, "{size}");
        }
        socket.send(Message::text("bye")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("bye"));
        socket.close(None).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap().is_close());
        assert!(socket.next().await.is_none());
        drop(socket);
        while gateway.cells.response_bytes.get() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!((gateway.cells.tunnels.get(), gateway.cells.cut.get()), (1, 0));
    };
    tokio::time::timeout(DEADLINE, talk).await.unwrap();
}

#[tokio::test]
async fn a_target_that_takes_none_says_so() {
    let nobody = Gateway::before(SocketAddr::from(([127, 0, 0, 1], 1)), "http1");
    let stream = TcpStream::connect(nobody.at).await.unwrap();
    match client_async(format!("ws://{}/", nobody.at), stream).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 502),
        other => panic!("{other:?}"),
    }
}
