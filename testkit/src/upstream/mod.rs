//! An API to stand behind the gateway: a real HTTP/1.1 server that tells what reached it.
//!
//! Any path answers 200 with JSON: the method, path, query, headers and body size as received, the server's name and how many
//! requests it has had. Knobs, in the path (wherever a prefix has put them) or in the header `x-upstream: delay=50ms, status=503`:
//!
//! | knob | what it does |
//! |---|---|
//! | `/delay/250ms` | waits before it answers |
//! | `/status/503` | answers with this status |
//! | `/bytes/1048576` | a body of that many bytes, with Content-Length |
//! | `/chunks/20` | a body of that many chunks, without Content-Length |
//! | `/cut/1000` | promises twice as many bytes, sends these and closes |
//! | `/sse/3` | an event stream of that many ticks, 20 ms apart |
//! | `/hang/1` | never answers |
//! | `/requests/0` | how many requests there were; is not counted itself |
//!
//! They combine: `/orders/delay/20ms/status/503`.

mod knobs;
mod server;

pub use server::{Seen, Upstream};
