//! Whether memory is short: looked at by the control runtime, read by every request.
//!
//! A node that reaches its cap is killed, with all that is under way on it. Before that it refuses what is new.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::limits::Limits;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Whether memory is short.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Pressure {
    /// Read by every request, written when it changes.
    high: AtomicBool,
    resident: AtomicU64,
    max: u64,
    high_from: u64,
    low_below: u64,
}

impl Pressure {
    /// By what a node may use: `memory_max`, else what its control group may, else what the machine has.
    pub(crate) fn new(limits: &Limits) -> Self {
        let max = match limits.memory_max {
            0 => memory_of(Path::new("/")).unwrap_or(u64::MAX),
            set => set as u64,
        };
        Pressure::of(max, limits)
    }

    /// By a cap. Nothing looks at the memory by itself: [`Pressure::measured`] tells.
    pub fn of(max: u64, limits: &Limits) -> Self {
        let part = |percent: u32| max / 100 * u64::from(percent);
        let (high_from, low_below) = (part(limits.memory_high), part(limits.memory_low));
        Pressure { max, high_from, low_below, ..Pressure::default() }
    }

    /// Whether requests are to be refused.
    pub fn is_high(&self) -> bool {
        self.high.load(Ordering::Relaxed)
    }

    /// So many bytes are in use.
    pub fn measured(&self, resident: u64) {
        self.resident.store(resident, Ordering::Relaxed);
        let was_high = self.is_high();
        let is_high = if was_high { resident >= self.low_below } else { resident >= self.high_from };
        if is_high == was_high || self.max == 0 {
            return;
        }
        self.high.store(is_high, Ordering::Relaxed);
        let (used, max) = (resident >> 20, self.max >> 20);
        if is_high {
            warn!(memory.used = resident, "memory is short: {used} of {max} MiB; requests are told `overloaded`");
        } else {
            info!(memory.used = resident, "memory is no longer short: {used} of {max} MiB");
        }
    }

    /// Bytes in use, and how many may be.
    pub(crate) fn figures(&self) -> (u64, u64) {
        (self.resident.load(Ordering::Relaxed), self.max)
    }

    /// What is known, for the status page.
    pub(crate) fn status(&self) -> Value {
        json!({ "resident": self.resident.load(Ordering::Relaxed), "max": self.max, "short": self.is_high() })
    }
}

/// Looks, until told to stop.
pub(crate) async fn look(pressure: Arc<Pressure>, stop: CancellationToken) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        if let Some(resident) = resident() {
            pressure.measured(resident);
        }
    }
}

/// What this process holds in memory.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// What the processes of this one's control group may use together (version 2 or 1, also of the groups above), or else what
/// the machine has. All paths are below `root`.
fn memory_of(root: &Path) -> Option<u64> {
    let number = |path: &Path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let meminfo = std::fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let machine = total.and_then(|kib| kib.trim().parse::<u64>().ok()).map(|kib| kib << 10);
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let of_groups = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            of if of.split(',').any(|one| one == "memory") => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        let mount = root.join(mount);
        // a container may see its own group as the root
        let folder = mount.join(group);
        let above = folder.ancestors().take_while(|folder| folder.starts_with(&mount));
        above.filter_map(|folder| number(&folder.join(file))).min()
    });
    of_groups.chain(machine).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_short_from_the_high_mark_until_below_the_low_one() {
        let pressure = Pressure::of(1000, &Limits { memory_high: 90, memory_low: 80, ..Limits::default() });
        let short = [(899, false), (900, true), (850, true), (800, true), (799, false), (899, false), (2000, true)];
        for (resident, high) in short {
            pressure.measured(resident);
            assert_eq!(pressure.is_high(), high, "at {resident}");
        }
        let unbounded = Pressure::default();
        unbounded.measured(1 << 40);
        assert!(!unbounded.is_high());
    }

    #[test]
    fn the_cap_is_the_smallest_of_the_groups_and_the_machine() {
        let write = |files: &[(&str, &str)]| {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            memory_of(root.path())
        };
        let machine = ("proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1 kB\n");
        let v2 = ("proc/self/cgroup", "0::/a.slice/b.service\n");
        let v1 = ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/c\n");
        for (files, expected) in [
            (vec![machine], Some(16_000_000 << 10)),
            (vec![machine, v2, ("sys/fs/cgroup/a.slice/b.service/memory.max", "max\n")], Some(16_000_000 << 10)),
            (vec![machine, v2, ("sys/fs/cgroup/a.slice/b.service/memory.max", "1048576\n")], Some(1 << 20)),
            (vec![machine, v2, ("sys/fs/cgroup/a.slice/memory.max", "2097152\n")], Some(2 << 20)),
            (vec![machine, v2, ("sys/fs/cgroup/memory.max", "4194304\n")], Some(4 << 20)),
            (vec![machine, v1, ("sys/fs/cgroup/memory/docker/c/memory.limit_in_bytes", "8388608\n")], Some(8 << 20)),
            (
                vec![machine, v1, ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")],
                Some(16_000_000 << 10),
            ),
            (vec![], None),
        ] {
            assert_eq!(write(&files), expected, "{files:?}");
        }
    }

    #[test]
    fn what_this_process_uses_is_known() {
        let resident = resident().unwrap();
        assert!((1 << 20..1 << 40).contains(&resident), "{resident}");
    }
}
