use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;

use parking_lot::Mutex;
use tempfile::TempDir;
use tidegate_model::{Chain, Change, Delta, GatewayConfig, Id, Instant as At, Kind, State};
use tidegate_policy::Registry;
use tidegate_snapshot::{Revisions, advance};
use uuid::Uuid;

use super::*;

/// A history of small updates, and what each place in it adds up to.
struct History {
    updates: Vec<Update>,
    digests: Vec<[Digest; 2]>,
}

fn put(kind: Kind, id: u128, name: &str, document: &str, revision: u64) -> Change {
    let at = At::from_millis(0);
    let name = name.parse().ok();
    let state = State { name, revision, created_at: at, updated_at: at, document: document.into() };
    Change { kind, id: Id::new(Uuid::from_u128(id)), after: Some(state) }
}

fn place(revision: u64) -> Position {
    Position { epoch: Uuid::from_u128(1), revision, chain: Chain([u8::try_from(revision).expect("few"); 32]) }
}

/// Revision n writes service n (and rewrites service 1), or consumer n.
fn change_of_revision(n: u64) -> Vec<Change> {
    let document = format!(r#"{{"url":"http://127.0.0.1:{}"}}"#, 9000 + n);
    match n {
        1 => vec![put(Kind::Service, 1, "one", &document, n)],
        5 => vec![Change { kind: Kind::Service, id: Id::new(Uuid::from_u128(2)), after: None }],
        _ if n.is_multiple_of(3) => vec![put(Kind::Consumer, n.into(), &format!("c{n}"), "{}", n)],
        _ => vec![
            put(Kind::Service, n.into(), &format!("s{n}"), &document, n),
            put(Kind::Service, 1, "one", &document, n),
        ],
    }
}

fn history(length: u64) -> History {
    let mut config = GatewayConfig::new();
    let digests_of = |config: &GatewayConfig| CLASSES.map(|class| config.digest(class));
    let mut history = History { updates: Vec::new(), digests: vec![digests_of(&config)] };
    for n in 1..=length {
        let delta = Delta { class: None, from: n - 1, to: n, changes: change_of_revision(n) };
        config = config.with(&delta.changes).expect("each is right");
        for class in CLASSES {
            let changes = delta.of_class(class).changes;
            // the first of each class is a snapshot, as a new node gets it
            let from = (n > 1).then(|| place(n - 1));
            let announced =
                Announced { class, from, to: place(n), count: changes.len() as u64, digest: config.digest(class) };
            history.updates.push(Update { announced, chunks: Chunks(changes.into_iter()).collect() });
        }
        history.digests.push(digests_of(&config));
    }
    history
}

/// A node without a network: takes updates in memory, then hands them to the disk.
struct Node {
    now: Arc<Mutex<Capture>>,
    disk: Disk,
}

impl Node {
    fn start(dir: &Path) -> Node {
        let (opened, loaded) = open(dir).expect("a folder");
        let at = loaded.at.map(|at| at.map(|(at, _)| at));
        let revisions = Revisions { identity: revision(at[0]), traffic: revision(at[1]) };
        let (snapshot, problems) = Snapshot::compile(&loaded.changes, revisions, Registry::standard());
        assert!(problems.is_empty(), "{problems:?}");
        let now = Arc::new(Mutex::new(Capture { snapshot: Arc::new(snapshot), at, whole: true }));
        let captured = now.clone();
        let capture = move || {
            let now = captured.lock();
            Capture { snapshot: now.snapshot.clone(), ..*now }
        };
        let disk = Disk::start(opened, Arc::new(capture), Duration::from_millis(50)).expect("a thread");
        Node { now, disk }
    }

    /// Whether the update is on disk.
    fn take(&self, update: &Update) -> bool {
        {
            let mut now = self.now.lock();
            let delta = update.delta(now.snapshot.config()).expect("it can be read");
            now.snapshot = Arc::new(advance(&now.snapshot, &delta).expect("it can be built"));
            now.at[update.announced.class as usize] = Some(update.announced.to);
        }
        let (done, kept) = channel();
        self.disk.keep(update.clone(), Box::new(move |kept| done.send(kept).expect("the test waits")));
        kept.recv().expect("it is told")
    }
}

fn revision(at: Option<Position>) -> u64 {
    at.map_or(0, |at| at.revision)
}

/// What is loaded is, per class, a place in the history with exactly what belongs there. Gives the places.
fn check(dir: &Path, history: &History, about: &str) -> [u64; 2] {
    let loaded = load::load(dir).expect("the folder can be read");
    let config = GatewayConfig::new().with(&loaded.changes).expect("what is loaded can be read");
    CLASSES.map(|class| {
        let revision = match loaded.at[class as usize] {
            None => 0,
            Some((at, digest)) => {
                assert_eq!(at, place(at.revision), "{about}");
                assert_eq!(digest, config.digest(class), "{about}");
                at.revision
            }
        };
        assert_eq!(config.digest(class), history.digests[revision as usize][class as usize], "{about}: a mixture");
        revision
    })
}

fn copy(from: &Path) -> TempDir {
    let to = TempDir::new().expect("a folder");
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file").path();
        fs::copy(&file, to.path().join(file.file_name().expect("a name"))).expect("copied");
    }
    to
}

fn path_of(dir: &Path, kind: &str, nth: usize) -> PathBuf {
    files(dir, kind).expect("a folder")[nth].path.clone()
}

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let dir = TempDir::new().expect("a folder");
    let history = history(12);
    for updates in history.updates.chunks(6) {
        let node = Node::start(dir.path());
        for update in updates {
            assert!(node.take(update));
        }
        drop(node);
        let to = updates.last().map_or(0, |update| update.announced.to.revision);
        assert_eq!(check(dir.path(), &history, "after a restart"), [to, to]);
    }
}

#[test]
fn a_journal_that_is_cut_anywhere_gives_a_former_state_whole() {
    let dir = TempDir::new().expect("a folder");
    let history = history(6);
    {
        let node = Node::start(dir.path());
        history.updates.iter().for_each(|update| assert!(node.take(update)));
    }
    let journals = files(dir.path(), JOURNAL).expect("a folder");
    let newest = &journals.last().expect("a journal").path;
    let bytes = fs::read(newest).expect("a journal");
    let mut reached = std::collections::BTreeSet::new();
    for length in 0..=bytes.len() {
        fs::write(newest, &bytes[..length]).expect("cut");
        let at = check(dir.path(), &history, &format!("cut at {length}"));
        assert!(at >= *reached.last().unwrap_or(&[0; 2]), "what was kept does not go back");
        reached.insert(at);
    }
    // identity and traffic of each revision are two records: each may be the last one
    assert!(reached.len() > 6, "{reached:?}");
    assert_eq!(reached.last(), Some(&[6, 6]));
}

#[test]
fn a_byte_that_changed_anywhere_never_makes_a_mixture() {
    let dir = TempDir::new().expect("a folder");
    let history = history(5);
    {
        let node = Node::start(dir.path());
        history.updates.iter().for_each(|update| assert!(node.take(update)));
    }
    for kind in [JOURNAL, SNAPSHOT] {
        for file in files(dir.path(), kind).expect("a folder") {
            let bytes = fs::read(&file.path).expect("a file");
            for at in 0..bytes.len() {
                let copied = copy(dir.path());
                let mut bad = bytes.clone();
                bad[at] ^= 0x41;
                fs::write(copied.path().join(file.path.file_name().expect("a name")), bad).expect("changed");
                check(copied.path(), &history, &format!("{} at {at}", file.path.display()));
            }
        }
    }
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_the_one_before_gives_the_same() {
    let dir = TempDir::new().expect("a folder");
    let history = history(8);
    let (first, then) = history.updates.split_at(10);
    {
        let node = Node::start(dir.path());
        first.iter().for_each(|update| assert!(node.take(update)));
    }
    // a journal that can't be read to its end makes the next start write a new snapshot
    let newest = files(dir.path(), JOURNAL).expect("a folder").last().expect("a journal").path.clone();
    let mut bytes = fs::read(&newest).expect("a journal");
    bytes.extend_from_slice(b"half");
    fs::write(&newest, bytes).expect("damaged");
    let before = files(dir.path(), SNAPSHOT).expect("a folder").len();
    {
        let node = Node::start(dir.path());
        then.iter().for_each(|update| assert!(node.take(update)));
    }
    let snapshots = files(dir.path(), SNAPSHOT).expect("a folder");
    assert!(snapshots.len() >= before.min(2), "the former one stays");
    assert_eq!(check(dir.path(), &history, "whole"), [8, 8]);
    let newest = &snapshots.last().expect("a snapshot").path;
    let mut bytes = fs::read(newest).expect("a snapshot");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(newest, bytes).expect("damaged");
    let at = check(dir.path(), &history, "the newest is damaged");
    assert!(at >= [5, 5], "{at:?}");
    let names: Vec<String> = fs::read_dir(dir.path())
        .expect("a folder")
        .map(|entry| entry.expect("a file").file_name().into_string().expect("a name"))
        .collect();
    assert!(names.iter().any(|name| name.ends_with(".damaged-1")), "{names:?}");
    assert!(!newest.exists());
}

#[test]
fn a_kill_at_each_step_of_a_fold_leaves_one_or_the_other() {
    let dir = TempDir::new().expect("a folder");
    let history = history(7);
    {
        let node = Node::start(dir.path());
        history.updates.iter().for_each(|update| assert!(node.take(update)));
    }
    let before = copy(dir.path());
    let number = files(dir.path(), JOURNAL).expect("a folder").last().expect("a journal").number + 1;
    let (_, loaded) = open(before.path()).expect("it is free");
    let at = loaded.at.map(|at| at.map(|(at, _)| at));
    let (snapshot, _) = Snapshot::compile(&loaded.changes, Revisions::default(), Registry::standard());
    let capture = Capture { snapshot: Arc::new(snapshot), at, whole: true };
    let written = TempDir::new().expect("a folder");
    write_snapshot(written.path(), number, &capture).expect("written");
    let whole = fs::read(path_of(written.path(), SNAPSHOT, 0)).expect("a snapshot");
    let name = format!("{SNAPSHOT}{number:016}");
    for length in (0..=whole.len()).step_by(7) {
        // in the temporary file
        let copied = copy(before.path());
        let temporary = copied.path().join(&name).with_extension("tmp");
        fs::write(&temporary, &whole[..length]).expect("written");
        let (_, loaded) = open(copied.path()).expect("it is free");
        assert_eq!(loaded.at.map(|at| at.map_or(0, |(at, _)| at.revision)), [7, 7]);
        assert!(!temporary.exists(), "what is left over is cleared away");
        // renamed before all of it reached the disk, which a sync prevents and a broken disk may do
        let copied = copy(before.path());
        fs::write(copied.path().join(&name), &whole[..length]).expect("written");
        assert_eq!(check(copied.path(), &history, "renamed early"), [7, 7]);
    }
    // renamed, and the former files not yet, or half, or all deleted
    let copied = copy(before.path());
    fs::write(copied.path().join(&name), &whole).expect("written");
    loop {
        assert_eq!(check(copied.path(), &history, "while former files are deleted"), [7, 7]);
        let old = [SNAPSHOT, JOURNAL].into_iter().flat_map(|kind| files(copied.path(), kind).expect("a folder"));
        let Some(old) = old.into_iter().find(|file| file.number < number) else { break };
        fs::remove_file(old.path).expect("deleted");
    }
}

#[test]
fn without_a_disk_updates_are_said_not_to_be_kept_and_later_they_are() {
    let parent = TempDir::new().expect("a folder");
    let dir = parent.path().join("config");
    let history = history(9);
    let node = Node::start(&dir);
    let (first, rest) = history.updates.split_at(6);
    first.iter().for_each(|update| assert!(node.take(update)));
    // the journal that is open goes on to exist; the next file can't be made
    fs::rename(&dir, parent.path().join("away")).expect("moved");
    let (middle, last) = rest.split_at(rest.len() - 1);
    let snapshot =
        Update { announced: Announced { from: None, count: 0, ..middle[0].announced.clone() }, chunks: Vec::new() };
    // a snapshot needs a new file; its content does not matter here
    let (done, kept) = channel();
    node.disk.keep(snapshot, Box::new(move |kept| done.send(kept).expect("the test waits")));
    assert!(!kept.recv().expect("it is told"));
    middle.iter().for_each(|update| assert!(!node.take(update)));
    fs::rename(parent.path().join("away"), &dir).expect("moved back");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut kept = node.take(&last[0]);
    while !kept {
        assert!(Instant::now() < deadline, "it never recovers");
        let (done, told) = channel();
        node.disk.keep(last[0].clone(), Box::new(move |kept| done.send(kept).expect("the test waits")));
        kept = told.recv().expect("it is told");
    }
    drop(node);
    assert_eq!(check(&dir, &history, "after the disk came back"), [9, 9]);
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let dir = TempDir::new().expect("a folder");
    let _first = open(dir.path()).expect("it is free");
    assert!(open(dir.path()).is_err());
}
