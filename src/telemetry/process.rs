//! The process's own figures, under the names of Prometheus's client libraries
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>), as Linux tells them (proc(5)).
//! Elsewhere they are absent.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::names::{PROCESS_CPU, PROCESS_FDS, PROCESS_MEMORY, PROCESS_START, register};
use crate::status::now_millis;

/// Clock ticks a second in proc(5), which the kernel's interface fixes for every architecture of today.
const TICKS: f64 = 100.0;

/// A family without labels, so that a figure that is not known has no sample.
type Alone<M> = Family<[(&'static str, &'static str); 0], M>;

/// The figures of the process.
pub(super) struct Process {
    cpu: Alone<Counter<f64, AtomicU64>>,
    memory: Alone<Gauge>,
    fds: Alone<Gauge>,
}

impl Process {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let start: Alone<Gauge<f64, AtomicU64>> = register(registry, PROCESS_START, Family::default());
        start.get_or_create_owned(&[]).set(now_millis() as f64 / 1000.0);
        Self {
            cpu: register(registry, PROCESS_CPU, Family::default()),
            memory: register(registry, PROCESS_MEMORY, Family::default()),
            fds: register(registry, PROCESS_FDS, Family::default()),
        }
    }

    /// Reads them anew.
    pub(super) fn observe(&self) {
        if let Some(seconds) = cpu_seconds() {
            let counter = self.cpu.get_or_create_owned(&[]);
            counter.inc_by((seconds - counter.get()).max(0.0));
        }
        if let Some(bytes) = resident_bytes() {
            self.memory.get_or_create_owned(&[]).set(bytes);
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            // One is that of the listing.
            self.fds.get_or_create_owned(&[]).set(open.count().saturating_sub(1) as i64);
        }
    }
}

/// User and system time of all threads.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in parentheses, which may hold anything; 14 and 15 are the times.
    let (_, fields) = text.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Some((times.next()?.ok()? + times.next()?.ok()?) / TICKS)
}

fn resident_bytes() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_this_process() {
        let process = Process::new(&mut Registry::default());
        let cpu = || {
            process.observe();
            process.cpu.get_or_create_owned(&[]).get()
        };
        let (before, began) = (cpu(), std::time::Instant::now());
        while cpu() <= before {
            assert!(began.elapsed().as_secs() < 10, "{before} s, although it works");
        }
        assert!(process.memory.get_or_create_owned(&[]).get() > 1 << 20);
        assert!(process.fds.get_or_create_owned(&[]).get() > 2);
    }
}
