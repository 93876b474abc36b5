//! How many connections each worker has, and who takes the next one.
//!
//! The kernel spreads connections over the workers' sockets by chance. Who accepts one and sees that another has clearly fewer
//! hands it over. Counts are written when a connection comes and when it ends, by no request.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::limits::Limits;
use crate::telemetry::Guard;

/// The connections of all workers.
pub(crate) struct Balance {
    loads: Box<[Load]>,
    connections_max: usize,
    clients: Clients,
}

/// On a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Load(AtomicUsize);

/// What becomes of a connection that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// It is served.
    Welcome,
    /// It is one too many, and told so.
    Shed(Guard),
    /// It is one of far too many: closed at once.
    Refused(Guard),
}

/// How many beyond a limit are told so: an eighth, and a few.
fn told_max(limit: usize) -> usize {
    limit.saturating_add(limit / 8).saturating_add(64)
}

/// How much more than the least another worker may have and still keep what it accepted.
fn tolerated(least: usize) -> usize {
    least + 1 + least / 8
}

impl Balance {
    /// For so many workers.
    pub(crate) fn new(workers: usize, limits: &Limits) -> Arc<Balance> {
        Arc::new(Balance {
            loads: (0..workers).map(|_| Load::default()).collect(),
            connections_max: limits.connections_max,
            clients: Clients::new(limits.connections_per_client_max),
        })
    }

    /// A place for a connection that this worker accepted, with it or with one that has clearly fewer.
    pub(crate) fn seat(self: &Arc<Self>, accepted_by: usize, client: IpAddr) -> (Seat, Entry) {
        let mut all = 0;
        // workers that look at the same moment choose the same: who comes too late looks again
        for _ in 0..self.loads.len().clamp(1, 4) {
            let counts = || self.loads.iter().map(|load| load.0.load(Ordering::Relaxed));
            let (mut least, mut fewest) = (accepted_by, usize::MAX);
            all = 0;
            for (worker, count) in counts().enumerate() {
                all += count;
                if count < fewest {
                    (least, fewest) = (worker, count);
                }
            }
            let own = self.loads[accepted_by].0.load(Ordering::Relaxed);
            let chosen = if own <= tolerated(fewest) { accepted_by } else { least };
            if self.loads[chosen].0.fetch_add(1, Ordering::Relaxed) <= tolerated(fewest) {
                return self.seated(chosen, all, client);
            }
            self.loads[chosen].0.fetch_sub(1, Ordering::Relaxed);
        }
        self.loads[accepted_by].0.fetch_add(1, Ordering::Relaxed);
        self.seated(accepted_by, all, client)
    }

    fn seated(self: &Arc<Self>, worker: usize, others: usize, client: IpAddr) -> (Seat, Entry) {
        let of_client = self.clients.add(client);
        let seat = Seat { balance: self.clone(), worker, client };
        let of_node = judge(others + 1, self.connections_max, Guard::Connections);
        let entry = match of_node {
            Entry::Welcome => judge(of_client, self.clients.max, Guard::ConnectionsPerClient),
            refused => refused,
        };
        (seat, entry)
    }
}

fn judge(count: usize, max: usize, guard: Guard) -> Entry {
    match count {
        _ if max == 0 || count <= max => Entry::Welcome,
        _ if count <= told_max(max) => Entry::Shed(guard),
        _ => Entry::Refused(guard),
    }
}

/// A connection's place in the counts, until it is dropped.
pub(crate) struct Seat {
    balance: Arc<Balance>,
    worker: usize,
    client: IpAddr,
}

impl Seat {
    /// Whose it is.
    pub(super) fn worker(&self) -> usize {
        self.worker
    }

    /// Another worker takes the connection after all.
    pub(super) fn move_to(&mut self, worker: usize) {
        self.balance.loads[self.worker].0.fetch_sub(1, Ordering::Relaxed);
        self.balance.loads[worker].0.fetch_add(1, Ordering::Relaxed);
        self.worker = worker;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.balance.loads[self.worker].0.fetch_sub(1, Ordering::Relaxed);
        self.balance.clients.remove(self.client);
    }
}

/// How many connections each address has, where that is limited.
struct Clients {
    max: usize,
    shards: [Mutex<HashMap<IpAddr, usize>>; 64],
}

impl Clients {
    fn new(max: usize) -> Self {
        Clients { max, shards: std::array::from_fn(|_| Mutex::default()) }
    }

    fn shard(&self, client: IpAddr) -> &Mutex<HashMap<IpAddr, usize>> {
        use std::hash::BuildHasher as _;
        let hash = foldhash::fast::FixedState::default().hash_one(client);
        &self.shards[usize::try_from(hash % 64).unwrap_or(0)]
    }

    fn add(&self, client: IpAddr) -> usize {
        if self.max == 0 {
            return 0;
        }
        let mut shard = self.shard(client).lock();
        let count = shard.entry(client).or_default();
        *count += 1;
        *count
    }

    fn remove(&self, client: IpAddr) {
        if self.max == 0 {
            return;
        }
        let mut shard = self.shard(client).lock();
        if let Some(count) = shard.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&client);
            }
        }
    }
}

/// A connection on its way to the worker that serves it.
pub(crate) struct Guest {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) seat: Seat,
    pub(crate) entry: Entry,
}

/// A worker's own part of it: what is handed to it, and the way to the others.
pub(crate) struct Desk {
    pub(super) worker: usize,
    pub(super) balance: Arc<Balance>,
    pub(super) inbox: mpsc::Receiver<Guest>,
    pub(super) doors: Doors,
}

/// The ways to all workers.
pub(super) type Doors = Arc<[mpsc::Sender<Guest>]>;

/// A desk for each worker.
pub(crate) fn desks(workers: usize, limits: &Limits) -> Vec<Desk> {
    let balance = Balance::new(workers, limits);
    let (doors, inboxes): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel(limits.accept_handed_max)).unzip();
    let doors: Doors = doors.into();
    let desk = |(worker, inbox)| Desk { worker, balance: balance.clone(), inbox, doors: doors.clone() };
    inboxes.into_iter().enumerate().map(desk).collect()
}

/// A connection that could not be handed over.
pub(super) enum Back {
    /// Too many wait there.
    Full(Guest),
    /// That worker takes no more.
    Gone(Guest),
}

/// Hands a connection to the worker that has its seat.
pub(super) fn hand(doors: &Doors, guest: Guest) -> Result<(), Back> {
    doors[guest.seat.worker].try_send(guest).map_err(|back| match back {
        mpsc::error::TrySendError::Full(guest) => Back::Full(guest),
        mpsc::error::TrySendError::Closed(guest) => Back::Gone(guest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn counts(balance: &Balance) -> Vec<usize> {
        balance.loads.iter().map(|load| load.0.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn connections_spread_evenly_whoever_accepts_them() {
        let balance = Balance::new(16, &Limits::default());
        // one worker accepts all; then the even half goes, and another accepts
        let mut seats: Vec<Seat> = (0..64).map(|_| balance.seat(3, CLIENT).0).collect();
        assert!(counts(&balance).iter().all(|count| *count <= 5), "{:?}", counts(&balance));
        seats.retain(|seat| seat.worker % 2 == 1);
        while seats.len() < 64 {
            seats.push(balance.seat(5, CLIENT).0);
        }
        assert!(counts(&balance).iter().all(|count| *count <= 5), "{:?}", counts(&balance));
        drop(seats);
        assert_eq!(counts(&balance), [0; 16]);
    }

    #[test]
    fn who_accepts_keeps_it_unless_another_has_clearly_fewer() {
        let balance = Balance::new(2, &Limits::default());
        let seats: Vec<Seat> = (0..2).map(|_| balance.seat(0, CLIENT).0).collect();
        assert_eq!(counts(&balance), [2, 0]);
        let third = balance.seat(0, CLIENT).0;
        assert_eq!(counts(&balance), [2, 1]);
        drop((seats, third));
    }

    #[test]
    fn workers_that_accept_at_the_same_time_spread_too() {
        let balance = Balance::new(16, &Limits::default());
        let seats: Vec<Seat> = std::thread::scope(|scope| {
            let accept = |worker| {
                let balance = &balance;
                scope.spawn(move || (0..100).map(|_| balance.seat(worker % 4, CLIENT).0).collect::<Vec<_>>())
            };
            let threads: Vec<_> = (0..8_usize).map(accept).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let counts = counts(&balance);
        assert_eq!(counts.iter().sum::<usize>(), seats.len());
        assert!(counts.iter().all(|count| *count <= 63), "{counts:?}");
    }

    #[test]
    fn what_is_too_much_is_told_and_what_is_far_too_much_is_refused() {
        let limits = Limits { connections_max: 80, connections_per_client_max: 8, ..Limits::default() };
        let balance = Balance::new(1, &limits);
        let client = |n: u8| IpAddr::from([10, 0, 0, n]);
        let enter = |of: IpAddr| balance.seat(0, of);
        let (mut seats, entries): (Vec<_>, Vec<_>) = (0..75).map(|_| enter(client(1))).unzip();
        assert_eq!(entries[7], Entry::Welcome);
        assert_eq!(entries[8], Entry::Shed(Guard::ConnectionsPerClient));
        assert_eq!(entries[74], Entry::Refused(Guard::ConnectionsPerClient));
        let (more, entries): (Vec<_>, Vec<_>) = (0..100).map(|n| enter(client(2 + n))).unzip();
        assert_eq!((entries[4], entries[5]), (Entry::Welcome, Entry::Shed(Guard::Connections)));
        assert_eq!(entries[99], Entry::Refused(Guard::Connections));
        seats.extend(more);
        seats.clear();
        assert_eq!(enter(client(1)).1, Entry::Welcome);
    }
}
