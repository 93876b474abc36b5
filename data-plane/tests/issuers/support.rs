//! Two workers on sockets that trust one issuer, an API behind them, and who signs.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tidegate_data_plane::limits::Limits;
use tidegate_data_plane::ports::counters::{Counters, NodeCounters, RedisOptions};
use tidegate_data_plane::ports::{ComputePool, KeySets, SystemClock};
use tidegate_data_plane::{Parts, TcpConnector, Worker};
use tidegate_model::{Change, Id, Instant, Kind, State};
use tidegate_policy::Registry;
use tidegate_snapshot::{Live, Revisions, Snapshot};
use tidegate_testkit::issuer::Says;
use tidegate_testkit::upstream::Upstream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

/// Far more than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// As in production, but quick.
pub(crate) fn quick() -> Limits {
    Limits {
        jwks_age: Duration::from_secs(3600),
        jwks_age_min: Duration::from_millis(50),
        jwks_miss_pause: Duration::from_millis(200),
        jwks_wait: Duration::from_secs(10),
        jwks_backoff: Duration::from_millis(50),
        jwks_backoff_max: Duration::from_millis(100),
        // what is refused here is refused by the hundred
        auth_failures_max: 0,
        ..Limits::default()
    }
}

pub(crate) struct Gateway {
    pub(crate) at: SocketAddr,
    pub(crate) keys: KeySets,
    _upstream: Upstream,
    stop: CancellationToken,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn id(n: u128) -> Id {
    Id::new(uuid::Uuid::from_u128(n))
}

fn resource(kind: Kind, n: u128, document: &Value) -> Change {
    let at = Instant::from_millis(0);
    let document = document.to_string().into();
    let name = format!("r{n}").parse().ok();
    Change { kind, id: id(n), after: Some(State { name, revision: 1, created_at: at, updated_at: at, document }) }
}

impl Gateway {
    /// With this policy in front of all.
    pub(crate) async fn start(config: Value, limits: Limits) -> Self {
        let upstream = Upstream::start().unwrap();
        let resources = [
            resource(Kind::Service, 1, &json!({ "url": format!("http://{}", upstream.address()) })),
            resource(Kind::Route, 2, &json!({ "service": id(1) })),
            resource(Kind::Policy, 3, &json!({ "kind": "jwt", "config": config })),
            resource(Kind::Consumer, 4, &json!({ "custom_id": "c-1" })),
        ];
        let (snapshot, problems) =
            Snapshot::compile(&resources, Revisions { identity: 1, traffic: 1 }, Registry::standard());
        assert!(problems.is_empty(), "{problems:?}");
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Handle::current();
        let keys = KeySets::new(&limits, None, runtime.clone(), stop.clone());
        let clock = Arc::new(SystemClock);
        let counters =
            NodeCounters::build(&Counters::Local, RedisOptions::default(), clock.clone(), &runtime, &stop).unwrap();
        let live = Arc::new(Live::new(Arc::new(snapshot)));
        let compute = Arc::new(ComputePool::new(1, 64).unwrap());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let at = listener.local_addr().unwrap();
        for _ in 0..2 {
            let parts = Parts {
                live: live.clone(),
                counters: counters.port(),
                clock: clock.clone(),
                compute: compute.clone(),
                callers: tidegate_data_plane::callers::Callers::new(compute.clone(), &limits),
                key_sets: Arc::new(keys.clone()),
                responses: Arc::new(tidegate_data_plane::ports::Responses::new(&limits)),
                limits: limits.clone(),
                pressure: Arc::new(tidegate_data_plane::Pressure::of(1000, &limits)),
                access_log: None,
                edge: tidegate_data_plane::node::Edge::default(),
                cells: Arc::default(),
                workers: 2,
            };
            let (listener, stop) = (listener.try_clone().unwrap(), stop.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                LocalSet::new().block_on(&runtime, stop.run_until_cancelled(serve(parts, listener)));
            });
        }
        Gateway { at, keys, _upstream: upstream, stop }
    }

    /// One request: status, code of a refusal, and the whole reply.
    pub(crate) async fn ask(&self, headers: &[(&str, &str)]) -> (u16, String) {
        let asked = async {
            let mut stream = TcpStream::connect(self.at).await.unwrap();
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).await.unwrap();
            (reply[9..12].parse().unwrap(), reply)
        };
        tokio::time::timeout(DEADLINE, asked).await.expect("an answer")
    }

    pub(crate) async fn show(&self, token: &str) -> u16 {
        self.ask(&[("Authorization", &format!("Bearer {token}"))]).await.0
    }
}

async fn serve(parts: Parts, listener: std::net::TcpListener) {
    let worker: Rc<Worker> = Worker::new(parts, TcpConnector);
    let swept = worker.clone();
    spawn_local(async move { swept.sweep().await });
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, peer)) = listener.accept().await {
        spawn_local(worker.clone().serve(stream, peer.ip()));
    }
}

/// A key that signs.
pub(crate) struct Signer {
    kid: String,
    key: Ed25519KeyPair,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    pub(crate) fn new(kid: &str) -> Self {
        Signer { kid: kid.to_owned(), key: Ed25519KeyPair::generate().unwrap() }
    }

    /// A token that holds for an hour; each another one.
    pub(crate) fn token(&self, number: u64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let header = json!({ "alg": "EdDSA", "kid": self.kid });
        let claims = json!({ "sub": "c-1", "iss": "https://issuer", "exp": now + 3600, "n": number });
        let text = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        format!("{text}.{}", b64(self.key.sign(text.as_bytes())))
    }

    fn jwk(&self) -> Value {
        let x = b64(self.key.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x, "use": "sig", "alg": "EdDSA" })
    }
}

/// The set of these keys.
pub(crate) fn set(signers: &[&Signer]) -> Says {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    Says::document(json!({ "keys": keys }).to_string())
}
