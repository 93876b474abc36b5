//! Reads the newest configuration that is whole.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tidegate_model::{Change, Digest, Id, Kind, Position};
use tracing::{info, warn};

use super::frames::{FileKind, FrameReader, Next};
use crate::config_sync::update::{Assembly, Update};

/// A configuration from disk.
#[derive(Debug, Default)]
pub(in crate::config_sync) struct Loaded {
    /// All resources.
    pub(in crate::config_sync) changes: Vec<Change>,
    /// Where that is, and what it adds up to, by class.
    pub(in crate::config_sync) at: [Option<(Position, Digest)>; 2],
    /// Something was not whole: what was read should be written anew.
    pub(super) damaged: bool,
}

/// A file of the store: its number and where it is. Numbers only grow, over both kinds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) path: PathBuf,
}

pub(super) const SNAPSHOT: &str = "snapshot-";
pub(super) const JOURNAL: &str = "journal-";
const DAMAGED: &str = ".damaged-";

/// Files that were set aside; older ones are deleted.
const DAMAGED_MAX: usize = 4;

/// The files of a kind, oldest first.
pub(super) fn files(dir: &Path, kind: &str) -> io::Result<Vec<Numbered>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(number) = name.and_then(|name| name.strip_prefix(kind)).and_then(|n| n.parse().ok()) {
            found.push(Numbered { number, path });
        }
    }
    found.sort();
    Ok(found)
}

/// Loads the newest snapshot that is whole, and all that was written after it.
pub(super) fn load(dir: &Path) -> io::Result<Loaded> {
    let mut loaded = Loaded::default();
    let mut base = 0;
    for file in files(dir, SNAPSHOT)?.into_iter().rev() {
        match read_snapshot(&file.path)? {
            Some(snapshot) => {
                (loaded.changes, loaded.at, base) = (snapshot.changes, snapshot.at, file.number);
                break;
            }
            None => {
                loaded.damaged = true;
                set_aside(dir, &file.path)?;
            }
        }
    }
    let mut on_top: HashMap<(Kind, Id), Change> = HashMap::new();
    for file in files(dir, JOURNAL)?.into_iter().filter(|file| file.number > base) {
        read_journal(&file.path, &mut loaded, &mut on_top)?;
    }
    if !on_top.is_empty() {
        loaded.changes.retain(|change| !on_top.contains_key(&(change.kind, change.id)));
        loaded.changes.extend(on_top.into_values().filter(|change| change.after.is_some()));
    }
    Ok(loaded)
}

/// A snapshot, if it is whole to its closing frame.
fn read_snapshot(path: &Path) -> io::Result<Option<Loaded>> {
    let Some(mut frames) = FrameReader::start(File::open(path)?, FileKind::Snapshot)? else { return Ok(None) };
    let mut assembly = Assembly::default();
    let mut loaded = Loaded::default();
    loop {
        let message = match frames.next()? {
            Next::Message(message) => message.message,
            Next::Closed => return Ok(assembly.is_empty().then_some(loaded)),
            Next::End | Next::Damaged => return Ok(None),
        };
        let Some(message) = message else { return Ok(None) };
        match assembly.take(message) {
            Err(_) => return Ok(None),
            Ok(None) => {}
            Ok(Some(update)) => {
                let Ok(changes) = update.changes() else { return Ok(None) };
                loaded.changes.extend(changes);
                loaded.at[update.announced.class as usize] = Some((update.announced.to, update.announced.digest));
            }
        }
    }
}

/// Takes from a journal what fits: each delta that starts exactly where its class is. Stops at the first frame that is not whole.
fn read_journal(path: &Path, loaded: &mut Loaded, on_top: &mut HashMap<(Kind, Id), Change>) -> io::Result<()> {
    let Some(mut frames) = FrameReader::start(File::open(path)?, FileKind::Journal)? else {
        warn!("`{}` is not a journal, or cut off in its first line; it is left out", path.display());
        loaded.damaged = true;
        return Ok(());
    };
    let mut assembly = Assembly::default();
    loop {
        let update = match frames.next()? {
            Next::Message(message) => message.message.map_or(Ok(None), |message| assembly.take(message)),
            Next::End | Next::Closed if assembly.is_empty() => return Ok(()),
            Next::End | Next::Closed | Next::Damaged => {
                info!("`{}` ends in the middle of a change, which is left out", path.display());
                loaded.damaged = true;
                return Ok(());
            }
        };
        match update {
            Ok(None) => {}
            Ok(Some(update)) => take(&update, loaded, on_top),
            Err(error) => {
                warn!("`{}` holds what can't be read, from there on it is left out: {error}", path.display());
                loaded.damaged = true;
                return Ok(());
            }
        }
    }
}

fn take(update: &Update, loaded: &mut Loaded, on_top: &mut HashMap<(Kind, Id), Change>) {
    let announced = &update.announced;
    let at = &mut loaded.at[announced.class as usize];
    // older ones are in the snapshot already; what follows a lost one would make a mixture
    if announced.from.is_none() || at.map(|(position, _)| position) != announced.from {
        return;
    }
    let Ok(changes) = update.changes() else {
        loaded.damaged = true;
        return;
    };
    *at = Some((announced.to, announced.digest));
    on_top.extend(changes.into_iter().map(|change| ((change.kind, change.id), change)));
}

fn set_aside(dir: &Path, path: &Path) -> io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("snapshot");
    let free = (1..).map(|n| dir.join(format!("{name}{DAMAGED}{n}"))).find(|path| !path.exists());
    let aside = free.expect("there is always a next number");
    fs::rename(path, &aside)?;
    warn!("`{}` is damaged; it is set aside as `{}` and the one before is tried", path.display(), aside.display());
    let mut set_aside: Vec<PathBuf> = fs::read_dir(dir)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_str().is_some_and(|path| path.contains(DAMAGED)))
        .collect();
    set_aside.sort();
    for old in set_aside.iter().rev().skip(DAMAGED_MAX) {
        fs::remove_file(old)?;
    }
    Ok(())
}
