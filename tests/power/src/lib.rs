//! Cuts the power in tests.
//!
//! To kill a process takes nothing from it that it gave to the kernel. A power cut does: of what was not synced, a disk
//! has anything, in parts. [`record`] runs a program under strace, which notes each call that changes a file; of that
//! [`Recording::cut`] lays down what a disk may hold when the power goes at one of these calls:
//!
//! - what a sync was asked for and had answered is there, whole: of a file its bytes and length, of a folder its names;
//! - of what came after, each sector of 512 bytes is there or not by itself, a file may be longer than what was written to
//!   it, and of the names in a folder some of the first changes are there.
//!
//! That is what POSIX promises and no more (Pillai et al., *All File Systems Are Not Created Equal*, OSDI 2014, have what
//! real file systems add to it). Memory that files are mapped to is not seen: SQLite's index of its log is the only such
//! file, and is made anew by whoever opens a database first; it is laid down full of noise.

mod disk;
mod trace;

pub use disk::{Lost, Recording};

use anyhow::{Context as _, Result};
use std::path::Path;
use std::process::{Command, Stdio};

/// A command that runs a program and notes in a file what it does to files.
///
/// # Errors
/// When strace is not installed.
pub fn record(program: &Path, log: &Path) -> Result<Command> {
    let there = Command::new("strace").arg("--version").stdout(Stdio::null()).status();
    there.context("starting strace, of Debian's package of that name")?;
    let mut command = Command::new("strace");
    // Threads too, with times and the paths of files, and every byte.
    command.args(["--follow-forks", "--absolute-timestamps=format:unix,precision:us", "--decode-fds=path"]);
    command.args(["--strings-in-hex=all", "--string-limit=16777216", "--quiet=all"]);
    command.arg(format!("--trace={}", trace::CALLS.join(","))).arg("--output").arg(log).arg(program);
    Ok(command)
}

/// The program that a command of [`record`] runs, by the number of the command's process: who ends strace leaves it
/// running.
pub fn recorded(strace: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
