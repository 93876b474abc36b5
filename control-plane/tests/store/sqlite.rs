//! What can be asked of SQLite only: a process that is killed while it commits.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use tidegate_control_plane::store::{self, Appended};

use crate::place::*;

const CHILD: &str = "TIDEGATE_TEST_STORE_CHILD";

#[tokio::test]
async fn a_process_killed_while_it_commits_loses_nothing_that_was_acknowledged() {
    let place = Place::sqlite();
    let mut acknowledged = 0;
    for round in 0..8 {
        let mut child = Killed(
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "sqlite::child_that_commits_until_it_is_killed", "--ignored", "--nocapture"])
                .env(CHILD, &place.url)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let mut commits = 0;
        for line in lines {
            let Some(revision) = line.unwrap().strip_prefix("acknowledged ").map(|it| it.parse::<u64>().unwrap())
            else {
                continue;
            };
            assert_eq!(revision, acknowledged + 1);
            acknowledged = revision;
            commits += 1;
            // It goes on meanwhile; what it still says after this counts too.
            if commits == 15 + round {
                child.0.kill().unwrap();
            }
        }
        assert!(commits >= 15 + round, "the child ended by itself");
        drop(child);

        let store = place.open().await;
        let log = check(&*store).await;
        assert!(log.iter().all(|entry| entry.changes.len() == 20));
        let made = u64::try_from(log.len()).unwrap();
        // The one being committed may be there or not, whole.
        assert!(made == acknowledged || made == acknowledged + 1, "{made} of {acknowledged}");
        acknowledged = made;
        store.close().await;
    }
}

/// Not a test: what the test above runs in a process of its own.
#[tokio::test]
#[ignore = "never ends; run by the test that kills it"]
async fn child_that_commits_until_it_is_killed() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let store = store::open(&url).await.unwrap();
    let mut revision = store.load().await.unwrap().head.revision;
    loop {
        let changes: Vec<_> = (0..20).map(|n| created(u128::from(revision) * 20 + n, "", "{}")).collect();
        let appended = store.append(entry(revision, &revision.to_string(), &changes)).await.unwrap();
        revision += 1;
        assert_eq!(appended, Appended::Done(revision), "nobody else writes");
        println!("acknowledged {revision}");
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_file_is_its_owners_alone() {
    let place = Place::sqlite();
    let store = place.open().await;
    made(&*store, "c1", &[]).await;
    let file = place.url.strip_prefix("sqlite://").unwrap();
    for part in [file.to_owned(), format!("{file}-wal")] {
        assert_eq!(std::fs::metadata(&part).unwrap().permissions().mode() & 0o777, 0o600, "{part}");
    }
}
