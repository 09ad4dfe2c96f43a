//! A disk so small that it is soon full.

use anyhow::{Context as _, Result, ensure};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set in the process that [`again_as_root`] started.
const AGAIN: &str = "VEREDA_TEST_AS_ROOT";

/// Mounting needs root. Where this process is not, the test of this name is run once more as the root of
/// a user namespace of its own, and `true` says that it was: there is nothing left to do here.
///
/// # Errors
/// When that fails, with what it printed.
pub fn again_as_root(test: &str) -> Result<bool> {
    if crate::is_root() {
        return Ok(false);
    }
    ensure!(std::env::var_os(AGAIN).is_none(), "a user namespace has no root here: run this test as root");
    let ran = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(std::env::current_exe()?)
        .args(["--exact", test])
        .env(AGAIN, "1")
        .output()
        .context("starting unshare")?;
    let said = String::from_utf8_lossy(&ran.stdout);
    ensure!(
        ran.status.success() && said.contains("1 passed"),
        "{test} as the root of a user namespace (where there is none, run it as root): {said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    Ok(true)
}

/// A small file system in memory, gone when it is dropped.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one.
    ///
    /// # Errors
    /// When this process may not: see [`again_as_root`].
    pub fn new(kib: u32) -> Result<SmallDisk> {
        let disk = SmallDisk(tempfile::tempdir()?);
        disk.mount(&format!("size={kib}k"), &["-t", "tmpfs", "tmpfs"])?;
        Ok(disk)
    }

    fn mount(&self, options: &str, what: &[&str]) -> Result<()> {
        let done = Command::new("mount").args(["-o", options]).args(what).arg(self.path()).output()?;
        ensure!(
            done.status.success(),
            "mounting a small file system ({options}); in a container this takes CAP_SYS_ADMIN: {}",
            String::from_utf8_lossy(&done.stderr).trim()
        );
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes it larger, or smaller.
    ///
    /// # Errors
    /// When more than that is in it.
    pub fn resize(&self, kib: u32) -> Result<()> {
        self.mount(&format!("remount,size={kib}k"), &[])
    }

    /// Whether it can only be read from now on.
    ///
    /// # Errors
    /// When something in it is open to be written.
    pub fn read_only(&self, yes: bool) -> Result<()> {
        self.mount(if yes { "remount,ro" } else { "remount,rw" }, &[])
    }

    /// Leaves no byte free. The file named may be removed to make room.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn fill(&self) -> Result<PathBuf> {
        let path = self.path().join("videos");
        let mut file = File::create(&path)?;
        for size in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
        Ok(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a store that is still open must not keep it.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
