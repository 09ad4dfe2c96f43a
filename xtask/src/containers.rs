//! What commands that run containers share.

use crate::run::{command, output};
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with nothing in it.
///
/// # Errors
/// When what was there cannot be removed, or it cannot be made.
pub fn fresh(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder.to_owned())
}

/// Writes a file, and makes its folders.
///
/// # Errors
/// When it cannot be written.
pub fn put(file: &Path, bytes: &[u8]) -> Result<()> {
    let parent = file.parent().context("a file is in a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    fs::write(file, bytes).with_context(|| format!("writing {}", file.display()))
}

/// podman, with the runtime of its settings or with another.
pub fn podman(runtime: Option<&str>) -> Command {
    let mut podman = command("podman");
    podman.args(runtime.map(|name| format!("--runtime={name}")));
    podman
}

/// As deploy/compose and deploy/kubernetes lock it, and without the writable /tmp that podman alone adds.
pub const LOCKED: &[&str] = &[
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    // As in the composition; by itself podman asks for more than a machine may give.
    "--ulimit=nofile=16384:16384",
    "--ulimit=nproc=1024:1024",
];

/// The first runtime that starts a container of an image here. crun of Debian 12 refuses where cgroups are of both versions.
///
/// # Errors
/// When none does.
pub fn runtime(image: &str) -> Result<Option<&'static str>> {
    let mut complaints = Vec::new();
    for runtime in [None, Some("runc")] {
        let mut run = podman(runtime);
        run.args(["run", "--rm", "--network=none"]).args(LOCKED).args([image, "--version"]);
        match output(&mut run) {
            Ok(version) => {
                println!("started by {}: {}", runtime.unwrap_or("podman's own runtime"), version.trim());
                return Ok(runtime);
            }
            Err(error) => {
                println!("not started by {}: {error:#}", runtime.unwrap_or("podman's own runtime"));
                complaints.push(format!("{error:#}"));
            }
        }
    }
    bail!("podman runs no container on this machine:\n{}", complaints.join("\n"))
}

/// Holds that a container's process is nobody in particular to the kernel.
///
/// # Errors
/// When it is another user or group, or may do more than that one.
pub fn privileges(process: &str, user: u32) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = |key: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        found.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default()
    };
    let none = "0000000000000000";
    let user = [user.to_string().as_str(); 4].join(" ");
    let wanted = [
        ("Uid", user.as_str()),
        ("Gid", user.as_str()),
        ("CapEff", none),
        ("CapPrm", none),
        ("CapBnd", none),
        ("NoNewPrivs", "1"),
        // A filter of system calls.
        ("Seccomp", "2"),
    ];
    for (key, value) in wanted {
        ensure!(line(key) == value, "the process's {key} is {}, not {value}", line(key));
    }
    Ok(())
}

/// Holds that nothing can be written in a folder of a container, seen through its process's own mounts: as root of this
/// machine, whom no mode of a file stops, and a mount does.
///
/// # Errors
/// When it can.
pub fn read_only(process: &str, folder: &str) -> Result<()> {
    let file = inside(process).join(folder).join("trial");
    let refused = fs::write(file, b"").err().map(|error| error.kind());
    ensure!(refused == Some(std::io::ErrorKind::ReadOnlyFilesystem), "/{folder} can be written: {refused:?}");
    Ok(())
}

/// The root of what a container's process sees.
pub fn inside(process: &str) -> PathBuf {
    Path::new("/proc").join(process).join("root")
}
