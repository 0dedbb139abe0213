//! Metrics of the process, under the names that all clients of Prometheus use. They are read from `/proc` (proc(5))
//! whenever metrics are requested; on systems without it, they do not exist.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Metrics of the process.
#[derive(Debug)]
pub struct ProcessMetrics;

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(usage) = Usage::current() else { return Ok(()) };
        let mut add = |name: &str, help: &str, unit: Option<&Unit>, value: &dyn EncodeMetric| {
            value.encode(encoder.encode_descriptor(name, help, unit, value.metric_type())?)
        };
        let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
        add("process_cpu", "CPU time of the process.", seconds, &ConstCounter::new(usage.cpu_seconds))?;
        let help = "When the process started, in Unix time.";
        add("process_start_time", help, seconds, &ConstGauge::new(usage.started_seconds))?;
        let help = "Resident memory of the process.";
        add("process_resident_memory", help, bytes, &ConstGauge::new(usage.resident_bytes))?;
        let help = "Virtual memory of the process.";
        add("process_virtual_memory", help, bytes, &ConstGauge::new(usage.virtual_bytes))?;
        add("process_open_fds", "Open files of the process.", None, &ConstGauge::new(usage.open_files))?;
        if let Some(max_files) = usage.max_files {
            add("process_max_fds", "The most files that the process may open.", None, &ConstGauge::new(max_files))?;
        }
        Ok(())
    }
}

/// What the process uses.
#[derive(Debug, PartialEq)]
struct Usage {
    cpu_seconds: f64,
    /// In Unix time.
    started_seconds: f64,
    resident_bytes: i64,
    virtual_bytes: i64,
    open_files: i64,
    /// `None` if there is no limit.
    max_files: Option<i64>,
}

impl Usage {
    fn current() -> Option<Usage> {
        let read = |file: &str| fs::read_to_string(file).ok();
        let stat = Stat::parse(&read("/proc/self/stat")?)?;
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let open_files = fs::read_dir("/proc/self/fd").ok()?.count();
        Some(Usage {
            cpu_seconds: stat.cpu_ticks as f64 / ticks,
            started_seconds: boot_time(&read("/proc/stat")?)? as f64 + stat.started_ticks as f64 / ticks,
            resident_bytes: stat.resident_pages * i64::try_from(rustix::param::page_size()).ok()?,
            virtual_bytes: stat.virtual_bytes,
            open_files: i64::try_from(open_files).ok()?,
            max_files: max_files(&read("/proc/self/limits")?),
        })
    }
}

/// The parts of `/proc/self/stat` that metrics need.
#[derive(Debug, PartialEq)]
struct Stat {
    /// User and system time.
    cpu_ticks: u64,
    /// The time between the start of the machine and of the process.
    started_ticks: u64,
    virtual_bytes: i64,
    resident_pages: i64,
}

impl Stat {
    fn parse(text: &str) -> Option<Stat> {
        // The name of the program is in parentheses and may contain anything. Counting from 1, it is the second field.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Stat {
            cpu_ticks: field(14)?.parse::<u64>().ok()? + field(15)?.parse::<u64>().ok()?,
            started_ticks: field(22)?.parse().ok()?,
            virtual_bytes: field(23)?.parse().ok()?,
            resident_pages: field(24)?.parse().ok()?,
        })
    }
}

/// Returns when the machine started, in Unix time, from `/proc/stat`.
fn boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Returns the soft limit of open files, if there is one, from `/proc/self/limits`.
fn max_files(text: &str) -> Option<i64> {
    text.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_understood() {
        let stat = "4711 (tag) along) S 1 4711 4711 0 -1 4194560 9001 0 3 0 250 50 0 0 20 0 7 0 123456 987654321 2048 \
                    18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let expected =
            Stat { cpu_ticks: 300, started_ticks: 123_456, virtual_bytes: 987_654_321, resident_pages: 2048 };
        assert_eq!(Stat::parse(stat), Some(expected));
        assert_eq!(Stat::parse("4711 (tagalong) S 1"), None);
        assert_eq!(boot_time("cpu  1 2 3\nbtime 1799990000\nprocesses 5\n"), Some(1_799_990_000));
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(max_files(limits), Some(1024));
        assert_eq!(max_files(&limits.replace("1024  ", "unlimited")), None);
    }
}
