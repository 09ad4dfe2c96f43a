//! What strace notes, read.

use anyhow::{Context as _, Result, bail, ensure};
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::Duration;

/// Every call by which a program on Linux changes a file, or asks for what it has changed to be kept. Those that are
/// here and not in [`Call`] are noted so that nobody relies on a recording that lacks them.
pub const CALLS: &[&str] = &[
    "openat",
    "open",
    "creat",
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "ftruncate",
    "truncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "sync",
    "syncfs",
    "sync_file_range",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "sendfile",
    "copy_file_range",
    "splice",
    "io_uring_setup",
];

/// A call that succeeded.
#[derive(Debug)]
pub struct Called {
    /// The line at which it began.
    pub begun: usize,
    /// The line at which it was over.
    pub ended: usize,
    /// When it was noted to be over, since 1970.
    pub at: Duration,
    pub call: Call,
}

#[derive(Debug)]
pub enum Call {
    /// A file was opened to be written to, and made if it was not there.
    Open {
        path: PathBuf,
        emptied: bool,
        at_end: bool,
    },
    /// By descriptor 1 to standard output, where that is not a file.
    Write {
        descriptor: i64,
        path: Option<PathBuf>,
        at: Option<u64>,
        bytes: Vec<u8>,
    },
    Cut {
        path: PathBuf,
        length: u64,
    },
    Sync {
        path: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    MakeFolder {
        path: PathBuf,
    },
    /// Something that is not modelled, to these files.
    Other {
        name: String,
        paths: Vec<PathBuf>,
    },
}

/// The calls of a recording, in the order in which they were over.
pub fn read(text: &str) -> Result<Vec<Called>> {
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&str, (usize, String)> = HashMap::new();
    for (line, text) in text.lines().enumerate() {
        let at = || format!("line {} of the recording: {}", line + 1, &text[..text.len().min(200)]);
        let (process, rest) = text.split_once(' ').with_context(at)?;
        let (time, rest) = rest.trim_start().split_once(' ').with_context(at)?;
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        let (begun, whole) = if let Some(begin) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(process, (line, begin.to_owned()));
            continue;
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let (_, end) = resumed.split_once(" resumed>").with_context(at)?;
            let (begun, begin) = unfinished.remove(process).with_context(at)?;
            (begun, begin + end)
        } else {
            (line, rest.to_owned())
        };
        let seconds: f64 = time.parse().with_context(at)?;
        if let Some(call) = call(&whole).with_context(at)? {
            calls.push(Called { begun, ended: line, at: Duration::from_secs_f64(seconds), call });
        }
    }
    Ok(calls)
}

/// One call with its result; `None` if it failed.
fn call(text: &str) -> Result<Option<Call>> {
    let (name, rest) = text.split_once('(').context("no call")?;
    let (given, result) = rest.rsplit_once(" = ").context("no result")?;
    if result.starts_with(['-', '?']) {
        return Ok(None);
    }
    let given = arguments(given.trim_end().strip_suffix(')').context("no end")?);
    let argument =
        |place: usize| given.get(place).copied().with_context(|| format!("{name} lacks an argument"));
    let of = |place: usize| Ok::<_, anyhow::Error>(descriptor(argument(place)?)?.1);
    let number = |place: usize| argument(place)?.parse::<u64>().context("not a number");
    Ok(Some(match name {
        "openat" => {
            let flags = argument(2)?;
            if flags.contains("O_RDONLY") {
                return Ok(None);
            }
            ensure!(!flags.contains("O_TMPFILE"), "files without a name are not modelled");
            let Some(path) = descriptor(result)?.1 else { return Ok(None) };
            Call::Open { path, emptied: flags.contains("O_TRUNC"), at_end: flags.contains("O_APPEND") }
        }
        "write" | "pwrite64" => {
            let (descriptor, path) = descriptor(argument(0)?)?;
            let mut bytes = string(argument(1)?)?;
            let written: usize = result.parse().context("not a number")?;
            bytes.truncate(written);
            let at = if name == "pwrite64" { Some(number(3)?) } else { None };
            Call::Write { descriptor, path, at, bytes }
        }
        "ftruncate" => match of(0)? {
            Some(path) => Call::Cut { path, length: number(1)? },
            None => return Ok(None),
        },
        "fsync" | "fdatasync" => match of(0)? {
            Some(path) => Call::Sync { path },
            None => return Ok(None),
        },
        "rename" => Call::Rename { from: path(argument(0)?)?, to: path(argument(1)?)? },
        "renameat" | "renameat2" => {
            let absent = given.get(4).is_none_or(|flags| *flags == "0" || *flags == "RENAME_NOREPLACE");
            ensure!(absent, "an exchange of names is not modelled");
            Call::Rename { from: below(argument(0)?, argument(1)?)?, to: below(argument(2)?, argument(3)?)? }
        }
        "unlink" | "rmdir" => Call::Remove { path: path(argument(0)?)? },
        "unlinkat" => Call::Remove { path: below(argument(0)?, argument(1)?)? },
        "mkdir" => Call::MakeFolder { path: path(argument(0)?)? },
        "mkdirat" => Call::MakeFolder { path: below(argument(0)?, argument(1)?)? },
        _ => {
            let paths = given.iter().filter_map(|text| path(text).ok().or_else(|| descriptor(text).ok()?.1));
            Call::Other { name: name.to_owned(), paths: paths.collect() }
        }
    }))
}

/// Arguments, apart: with every string in hex, no comma and no bracket is part of one.
fn arguments(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let mut parts = text.split(|c| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    let mut all: Vec<&str> = parts.by_ref().map(str::trim).collect();
    all.retain(|part| !part.is_empty());
    all
}

/// `3</a/path>`; without a path if it is no file, or one that has no name any more.
fn descriptor(text: &str) -> Result<(i64, Option<PathBuf>)> {
    let (number, rest) = text.split_once('<').context("no descriptor")?;
    let number = if number == "AT_FDCWD" { -100 } else { number.parse().context("no descriptor")? };
    let (path, after) = rest.rsplit_once('>').context("no descriptor")?;
    let bytes = escaped(path)?;
    let file = bytes.starts_with(b"/") && after.is_empty();
    Ok((number, file.then(|| PathBuf::from(OsString::from_vec(bytes)))))
}

fn path(text: &str) -> Result<PathBuf> {
    Ok(PathBuf::from(OsString::from_vec(string(text)?)))
}

/// A path, from a folder.
fn below(folder: &str, text: &str) -> Result<PathBuf> {
    let (_, folder) = descriptor(folder)?;
    let path = path(text)?;
    Ok(folder.unwrap_or_default().join(path))
}

fn string(text: &str) -> Result<Vec<u8>> {
    ensure!(!text.ends_with("..."), "a string was cut off");
    escaped(text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).context("no string")?)
}

/// `\x2f\x74`, or plain where strace does not write so.
fn escaped(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'\\' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let Some((b"x", digits)) = after.split_at_checked(1) else { bail!("an escape that is not hex") };
        let (digits, after) = digits.split_at_checked(2).context("half of an escape")?;
        bytes.extend(hex::decode(digits)?);
        rest = after;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn calls_that_were_interrupted_are_put_together() {
        let calls = read(
            "7 1.5 pwrite64(3<\\x2f\\x61>, \"\\x62\\x2c\", 2, 512 <unfinished ...>\n\
             8  1.6 fdatasync(3<\\x2f\\x61>) = 0\n\
             7 1.7 <... pwrite64 resumed>) = 2\n\
             8 1.8 rename(\"\\x2f\\x61\", \"\\x2f\\x62\") = -1 EACCES (Permission denied)\n\
             8 1.9 +++ killed by SIGKILL +++\n",
        )
        .unwrap();
        let [sync, write] = &calls[..] else { panic!("{calls:?}") };
        assert_eq!((sync.begun, sync.ended, write.begun, write.ended), (1, 1, 0, 2));
        assert!(matches!(&sync.call, Call::Sync { path } if path.to_str() == Some("/a")));
        assert!(matches!(&write.call, Call::Write { at: Some(512), bytes, .. } if bytes == b"b,"));
    }
}
