//! How much memory another process holds, as the kernel counts it.

use anyhow::{Context as _, Result};

/// Resident memory, in KiB.
pub fn rss_kib(process: u32) -> Result<u64> {
    field(process, "VmRSS:")
}

/// The most it has been since [`forget_peak`], in KiB.
pub fn peak_kib(process: u32) -> Result<u64> {
    field(process, "VmHWM:")
}

/// Begins to count the peak anew.
pub fn forget_peak(process: u32) -> Result<()> {
    Ok(std::fs::write(format!("/proc/{process}/clear_refs"), "5")?)
}

fn field(process: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).with_context(|| format!("the kernel says no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_freed_is_in_the_peak_until_it_is_forgotten() {
        let (this, large) = (std::process::id(), 64 << 10);
        let before = rss_kib(this).unwrap();
        drop(std::hint::black_box(vec![1_u8; large << 10]));
        // the kernel counts pages in batches: half of it is enough to tell
        assert!(peak_kib(this).unwrap() >= before + large as u64 / 2);
        forget_peak(this).unwrap();
        assert!(peak_kib(this).unwrap() < before + large as u64 / 2);
    }
}
