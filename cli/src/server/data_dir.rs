//! The data directory: readable by its owner only, and used by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use tracing::warn;

/// The name of the file whose lock says that the folder is in use.
const LOCK: &str = "lock";

/// Holds the data directory until dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub(super) struct DataDir {
    /// Absent where a thread holds it.
    _lock: Option<File>,
}

/// Makes the data directory if it is missing, and takes it for this process.
pub(super) fn take(path: &Path) -> anyhow::Result<DataDir> {
    make(path)?;
    let mut lock = open(path)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            drop(lock.read_to_string(&mut holder));
            let holder = holder.trim();
            let holder = if holder.is_empty() { "another process".to_owned() } else { format!("process {holder}") };
            bail!("the folder is in use by {holder}; stop that one, or give another --data-dir");
        }
        Err(TryLockError::Error(error)) => return Err(error).context("it cannot be locked"),
    }
    sign(&mut lock)?;
    Ok(DataDir { _lock: Some(lock) })
}

/// As [`take`], where a process that has it gives it to this one: the lock is taken once that one has ended.
pub(super) fn take_over(path: &Path) -> anyhow::Result<DataDir> {
    let mut lock = open(path)?;
    let wait = move || match lock.lock().map_err(anyhow::Error::from).and_then(|()| sign(&mut lock)) {
        // held to the end of the process
        Ok(()) => loop {
            std::thread::park();
        },
        Err(error) => warn!("the data directory could not be locked: {error:#}"),
    };
    std::thread::Builder::new().name("data-dir".into()).spawn(wait).context("a thread could not be started")?;
    Ok(DataDir { _lock: None })
}

fn make(path: &Path) -> anyhow::Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_dir() => bail!("it is not a folder"),
        Ok(found) => {
            let mode = found.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                warn!(
                    "other users may look into {}, which holds secrets (mode {mode:o}); `chmod 700` it",
                    path.display()
                );
            }
            Ok(())
        }
        Err(_) => DirBuilder::new().recursive(true).mode(0o700).create(path).context("it cannot be made"),
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    let file = path.join(LOCK);
    let lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&file);
    lock.with_context(|| format!("{} cannot be written", file.display()))
}

/// For the message above only; the lock itself is what counts.
fn sign(lock: &mut File) -> anyhow::Result<()> {
    let written = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
    written.context("its lock cannot be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_serves_one_at_a_time_and_its_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = take(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let refused = take(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("in use by process {}", std::process::id())), "{refused}");
        drop(first);
        take(&path).unwrap();
    }

    #[test]
    fn who_takes_over_gets_the_folder_once_the_other_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = take(folder.path()).unwrap();
        take_over(folder.path()).unwrap();
        drop(first);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while open(folder.path()).unwrap().try_lock().is_ok() {
            assert!(std::time::Instant::now() < deadline, "nobody took it");
            std::thread::yield_now();
        }
        assert!(take(folder.path()).is_err());
    }

    #[test]
    fn what_is_no_folder_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(take(file.path()).unwrap_err().to_string().contains("not a folder"));
    }
}
