//! What the system says about processes.

use crate::Failure;
use std::path::Path;

/// A process's memory in MB, by a line of `/proc`.
pub fn memory(pid: u32, line: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib: f64 = found.ok_or("no such line")?.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// What a process and its children have used of the processors, in seconds.
pub fn cpu(pid: u32) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|text| text.parse::<f64>().ok()).ok_or("no such field");
    let mut seconds = (ticks(11)? + ticks(12)?) / 100.0;
    let children = format!("/proc/{pid}/task/{pid}/children");
    for child in std::fs::read_to_string(children).unwrap_or_default().split_whitespace() {
        seconds += cpu(child.parse()?)?;
    }
    Ok(seconds)
}

/// How many processes wanted a core over the last minute, these ones included.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// The size of a file in GB.
pub fn gigabytes(path: &Path) -> f64 {
    std::fs::metadata(path).map_or(0.0, |file| file.len() as f64 / 1e9)
}
