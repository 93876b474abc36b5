//! The node's following of the configuration, which can rest while another process tries to take over.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config_sync::ConfigSync;

/// The node's following of the configuration.
pub(crate) struct Following {
    sync: Arc<ConfigSync>,
    tasks: TaskTracker,
    runtime: Handle,
    stop: CancellationToken,
    run: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Following {
    /// Begins, among these tasks, until told to stop.
    pub(crate) fn start(sync: Arc<ConfigSync>, tasks: TaskTracker, runtime: Handle, stop: CancellationToken) -> Self {
        let mut following = Following { sync, tasks, runtime, stop, run: None };
        following.run();
        following
    }

    fn run(&mut self) {
        let stop = self.stop.child_token();
        let (sync, told) = (self.sync.clone(), stop.clone());
        let task = self.tasks.spawn_on(async move { sync.run(told).await }, &self.runtime);
        self.run = Some((stop, task));
    }

    /// Leaves the control plane and the copy on disk to another process: two of one name would push each other out.
    pub(super) async fn pause(&mut self) {
        let Some((stop, task)) = self.run.take() else { return };
        stop.cancel();
        // it ends either way
        let _ = task.await;
        let sync = self.sync.clone();
        let _ = tokio::task::spawn_blocking(move || sync.release_disk()).await;
    }

    /// The other process did not want it.
    pub(super) fn resume(&mut self) {
        self.sync.reclaim_disk();
        self.run();
    }
}
