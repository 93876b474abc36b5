//! What is true of any process: its CPU time, memory, descriptors, and when it began. By the names that Prometheus' own
//! libraries use.

use std::fs;
use std::sync::LazyLock;

use rustix::process::{Resource, getrlimit};

use crate::{Exposition, families};

families! {
    "The process" {
        /// The program.
        BUILD_INFO = Gauge "tidegate_build_info" ["version"];
        /// CPU time spent, by user and system together.
        CPU = Counter "process_cpu_seconds_total" [];
        /// Memory that is resident.
        RESIDENT = Gauge "process_resident_memory_bytes" [];
        /// Memory that is mapped.
        VIRTUAL = Gauge "process_virtual_memory_bytes" [];
        /// File descriptors that are open: two for each request under way, and one for each idle connection.
        OPEN_FDS = Gauge "process_open_fds" [];
        /// File descriptors that may be open.
        MAX_FDS = Gauge "process_max_fds" [];
        /// Threads.
        THREADS = Gauge "process_threads" [];
        /// When the process began, in seconds since 1970.
        START = Gauge "process_start_time_seconds" [];
    }
}

/// Writes them. What the system does not tell is left out.
pub fn write(out: &mut Exposition, version: &str) {
    out.family(&BUILD_INFO).sample(&[version], 1);
    if let Some(stat) = Stat::read() {
        out.family(&CPU).sample_micros(&[], stat.cpu_micros);
        out.single(&RESIDENT, stat.resident);
        out.single(&VIRTUAL, stat.virtual_bytes);
        out.single(&THREADS, stat.threads);
        if let Some(started) = *STARTED {
            out.family(&START).sample_micros(&[], started);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // the one that lists them is not counted
        out.single(&OPEN_FDS, (open.count() as u64).saturating_sub(1));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        out.single(&MAX_FDS, most);
    }
}

/// When the process began, in microseconds since 1970; looked up once, as the time of boot seems to move with the clock.
static STARTED: LazyLock<Option<u64>> = LazyLock::new(|| {
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: u64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot * 1_000_000 + Stat::read()?.start_micros)
});

struct Stat {
    cpu_micros: u64,
    start_micros: u64,
    threads: u64,
    virtual_bytes: u64,
    resident: u64,
}

impl Stat {
    fn read() -> Option<Stat> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        // the name of the program, in brackets, may hold anything
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        // numbered from 3, see proc(5)
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let tick = rustix::param::clock_ticks_per_second().max(1);
        let micros = |ticks: u64| ticks * 1_000_000 / tick;
        Some(Stat {
            cpu_micros: micros(field(14)? + field(15)?),
            threads: field(20)?,
            start_micros: micros(field(22)?),
            virtual_bytes: field(23)?,
            resident: field(24)? * rustix::param::page_size() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        let mut out = Exposition::default();
        write(&mut out, "1.2.3");
        let text = out.into_text();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).expect(name);
            line.rsplit(' ').next().expect("a value").parse::<f64>().expect("a number")
        };
        assert!(text.contains("tidegate_build_info{version=\"1.2.3\"} 1\n"));
        assert!(value("process_resident_memory_bytes") > 1e5 && value("process_open_fds") >= 3.0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
        let age = now - value("process_start_time_seconds");
        assert!((-5.0..86_400.0).contains(&age), "it began {age} s ago");
    }
}
