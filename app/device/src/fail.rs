//! Places where a test ends the process, as a battery does. Compiled out of optimised builds.

/// Every named place, in the order in which work comes by.
#[doc(hidden)]
pub const POINTS: &[&str] = &[
    "session.renewed",
    "capture.event",
    "capture.folded",
    "write.before-commit",
    "write.committed",
    "push.sending",
    "push.answered",
    "push.noted",
    "files.sending",
    "files.answered",
    "pull.received",
    "pull.applied",
    "model.fetched",
    "model.activating",
];

/// Ends the process when the environment's `VEREDA_KILL_AT` names this place and how often it is
/// still passed (`push.answered:2`).
#[cfg(debug_assertions)]
pub(crate) fn point(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    static WANTED: LazyLock<Option<(String, AtomicU32)>> = LazyLock::new(|| {
        let wanted = std::env::var("VEREDA_KILL_AT").ok()?;
        let (name, passes) = wanted.split_once(':')?;
        Some((name.to_owned(), AtomicU32::new(passes.parse().ok()?)))
    });
    debug_assert!(POINTS.contains(&name), "{name} is not listed");
    if let Some((wanted, left)) = WANTED.as_ref()
        && wanted == name
        && left.fetch_sub(1, Ordering::SeqCst) == 0
    {
        end();
    }
}

/// SIGKILL: nothing gets to clean up.
#[cfg(all(debug_assertions, unix))]
fn end() -> ! {
    use rustix::process::{Signal, getpid, kill_process};
    let killed = kill_process(getpid(), Signal::KILL);
    // The signal has come before this is reached.
    std::process::exit(if killed.is_ok() { 137 } else { 138 })
}

#[cfg(all(debug_assertions, not(unix)))]
fn end() -> ! {
    std::process::abort()
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(crate) fn point(_: &str) {}
