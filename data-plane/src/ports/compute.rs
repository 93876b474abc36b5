//! A bounded pool of threads for work that would stall a worker.
//!
//! What comes when the queue is full is refused at once. Work whose asker has gone is not begun. A panic ends its piece of
//! work and nothing else: the asker finds no result, as if the work had not been able to decide.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use parking_lot::{Condvar, Mutex};
use serde::Serialize;
use tidegate_policy::{Compute, ComputeBusy};
use tokio::sync::oneshot;
use tracing::error;

/// The pool. Dropping it waits for the work under way and drops what is queued.
pub struct ComputePool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the pool has done and holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComputeStatus {
    /// Threads it has.
    pub threads: usize,
    /// Pieces of work that wait for a thread.
    pub queued: usize,
    /// How many may wait.
    pub queued_max: usize,
    /// Pieces of work done.
    pub done: u64,
    /// Pieces refused because the queue was full.
    pub refused: u64,
    /// Pieces that panicked.
    pub panicked: u64,
    /// Pieces not begun because nobody waited for them any more.
    pub abandoned: u64,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Signalled when a piece was queued, and at the end.
    came: Condvar,
    queued_max: usize,
    done: AtomicU64,
    refused: AtomicU64,
    panicked: AtomicU64,
    abandoned: AtomicU64,
}

#[derive(Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    closed: bool,
}

struct Piece {
    work: Box<dyn FnOnce() + Send>,
    done: oneshot::Sender<()>,
}

impl ComputePool {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn new(threads: usize, queued_max: usize) -> std::io::Result<ComputePool> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            came: Condvar::new(),
            queued_max,
            done: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
        });
        let mut pool = ComputePool { shared, threads: Vec::new() };
        for n in 0..threads.max(1) {
            let shared = pool.shared.clone();
            let thread = std::thread::Builder::new().name(format!("compute-{n}")).spawn(move || {
                give_way();
                shared.work();
            })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// What it has done and holds.
    pub fn status(&self) -> ComputeStatus {
        ComputeStatus {
            threads: self.threads.len(),
            queued: self.shared.queue.lock().pieces.len(),
            queued_max: self.shared.queued_max,
            done: self.shared.done.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
            panicked: self.shared.panicked.load(Ordering::Relaxed),
            abandoned: self.shared.abandoned.load(Ordering::Relaxed),
        }
    }
}

/// The lowest weight that the scheduler knows: the pool takes what workers leave, and about a sixtieth of a core where they
/// leave nothing. Measured with everything on one core and bodies of 1 MiB being validated, the p99 of other requests was 1.9
/// times as long at 5, 1.4 at 10, and 1.1 at 19 (`./dev bench --only validating`).
const NICENESS: i32 = 19;

/// Lowers the priority of the calling thread; Linux counts it by thread, not by process. Without it work is only less polite.
fn give_way() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a thread of the compute pool keeps its priority: {error}");
    }
}

impl Compute for ComputePool {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> LocalBoxFuture<'static, Result<(), ComputeBusy>> {
        let (done, awaited) = oneshot::channel();
        if !self.shared.push(Piece { work, done }) {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
            return std::future::ready(Err(ComputeBusy)).boxed_local();
        }
        // The sender goes without a word only when the pool ends with this piece still queued.
        async move { awaited.await.map_err(|_| ComputeBusy) }.boxed_local()
    }
}

impl Drop for ComputePool {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        queue.closed = true;
        let left = std::mem::take(&mut queue.pieces);
        drop(queue);
        drop(left);
        self.shared.came.notify_all();
        for thread in self.threads.drain(..) {
            // Panics of work are caught; one of the loop itself would have been printed already.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn push(&self, piece: Piece) -> bool {
        let mut queue = self.queue.lock();
        if queue.closed || queue.pieces.len() >= self.queued_max {
            return false;
        }
        queue.pieces.push_back(piece);
        drop(queue);
        self.came.notify_one();
        true
    }

    fn pop(&self) -> Option<Piece> {
        let mut queue = self.queue.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(piece) = queue.pieces.pop_front() {
                return Some(piece);
            }
            self.came.wait(&mut queue);
        }
    }

    fn work(&self) {
        while let Some(Piece { work, done }) = self.pop() {
            if done.is_closed() {
                self.abandoned.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            match catch_unwind(AssertUnwindSafe(work)) {
                Ok(()) => self.done.fetch_add(1, Ordering::Relaxed),
                Err(_) => {
                    error!("a piece of work on the compute pool panicked");
                    self.panicked.fetch_add(1, Ordering::Relaxed)
                }
            };
            // The asker may have gone meanwhile.
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[tokio::test]
    async fn work_is_done_when_the_future_ends() {
        let pool = ComputePool::new(2, 8).unwrap();
        let seen = Arc::new(AtomicBool::new(false));
        let flag = seen.clone();
        pool.run(Box::new(move || flag.store(true, Ordering::Release))).await.unwrap();
        assert!(seen.load(Ordering::Acquire));
        assert_eq!(pool.status().done, 1);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_takes_again_when_there_is_room() {
        let pool = ComputePool::new(1, 1).unwrap();
        let (begun, open) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (begun_too, open_too) = (begun.clone(), open.clone());
        let busy = pool.run(Box::new(move || {
            begun_too.wait();
            open_too.wait();
        }));
        begun.wait();
        let queued = pool.run(Box::new(|| {}));
        assert_eq!(pool.run(Box::new(|| {})).now_or_never(), Some(Err(ComputeBusy)));
        assert_eq!((pool.status().queued, pool.status().refused), (1, 1));
        open.wait();
        busy.await.unwrap();
        queued.await.unwrap();
        pool.run(Box::new(|| {})).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_ends_its_work_and_not_the_thread() {
        let pool = ComputePool::new(1, 8).unwrap();
        pool.run(Box::new(|| panic!("on purpose"))).await.unwrap();
        pool.run(Box::new(|| {})).await.unwrap();
        assert_eq!((pool.status().panicked, pool.status().done), (1, 1));
    }

    #[tokio::test]
    async fn work_nobody_waits_for_is_not_begun() {
        let pool = ComputePool::new(1, 8).unwrap();
        let (begun, open) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (begun_too, open_too) = (begun.clone(), open.clone());
        let busy = pool.run(Box::new(move || {
            begun_too.wait();
            open_too.wait();
        }));
        begun.wait();
        drop(pool.run(Box::new(|| unreachable!("its asker has gone"))));
        open.wait();
        busy.await.unwrap();
        pool.run(Box::new(|| {})).await.unwrap();
        assert_eq!((pool.status().abandoned, pool.status().panicked), (1, 0));
    }

    #[tokio::test]
    async fn what_is_queued_when_the_pool_ends_is_told_so() {
        let pool = ComputePool::new(1, 8).unwrap();
        let (begun, open) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (begun_too, open_too) = (begun.clone(), open.clone());
        let busy = pool.run(Box::new(move || {
            begun_too.wait();
            open_too.wait();
        }));
        begun.wait();
        let queued = pool.run(Box::new(|| {}));
        let ended = std::thread::spawn(move || drop(pool));
        assert_eq!(queued.await, Err(ComputeBusy));
        open.wait();
        busy.await.unwrap();
        ended.join().unwrap();
    }
}
