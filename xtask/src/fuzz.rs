//! Fuzzing of every parser: `fuzz/`, on the stable compiler.
//!
//! cargo-fuzz wants a nightly compiler for its sanitizer of memory errors. These parsers are safe
//! Rust, where a fault is a panic, an endless loop or memory without bound, and libFuzzer sees all of
//! them; the coverage that it steers by comes from LLVM's own pass, which stable takes.

use crate::run::{cargo, command, output, root, step, succeed, target};
use crate::{deps, deps::Need};
use anyhow::{Context as _, Result, bail};
use std::fs;

/// What `fuzz` takes.
#[derive(clap::Args)]
pub struct Options {
    /// Which parsers; all of them if absent.
    targets: Vec<String>,
    /// How long for each.
    #[arg(long, default_value = "60")]
    seconds: u32,
    /// Put the inputs that cover something new, as few as possible, into fuzz/corpus.
    #[arg(long)]
    keep: bool,
}

/// All parsers; each has a target in fuzz/src, and its corpus in fuzz/corpus.
const TARGETS: [&str; 7] = ["bundle", "rows", "xgboost", "lightgbm", "scorecard", "sklearn", "schema"];
/// What cargo-fuzz passes too.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
/// Seconds for one input, megabytes in all, and bytes of an input.
const LIMITS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=65536"];

/// Builds the targets and runs each for a while.
///
/// # Errors
/// When something does not build, or an input is found that a parser does not survive.
pub fn run(options: &Options) -> Result<()> {
    deps::ensure(Need::BUILD)?;
    let known = |name: &&String| !TARGETS.contains(&name.as_str());
    if let Some(unknown) = options.targets.iter().find(known) {
        bail!("there is no target {unknown}; there are {}", TARGETS.join(", "));
    }
    let chosen = |name: &&str| options.targets.is_empty() || options.targets.iter().any(|t| t == name);
    let folder = target().join("fuzz");
    let host = output(command("rustc").args(["--print", "host-tuple"]))?.trim().to_owned();
    step("Building the fuzz targets");
    let mut build = cargo(&["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &host]);
    // With a target of its own, build scripts and macros are not compiled with these flags.
    build.arg("--target-dir").arg(&folder).env("RUSTFLAGS", COVERAGE);
    succeed(&mut build)?;

    let mut fallen = Vec::new();
    for name in TARGETS.iter().copied().filter(chosen) {
        step(&format!("Fuzzing {name} for {} s", options.seconds));
        let program = folder.join(&host).join("release").join(name);
        let (work, kept) = (folder.join("work").join(name), root().join("fuzz/corpus").join(name));
        let found = folder.join("found").join(name);
        for place in [&work, &kept, &found] {
            fs::create_dir_all(place).with_context(|| format!("making {}", place.display()))?;
        }
        let mut fuzz = command(&program);
        fuzz.args(LIMITS).arg(format!("-max_total_time={}", options.seconds));
        fuzz.args(["-print_final_stats=1", "-verbosity=1", "-detect_leaks=0"]);
        fuzz.arg(format!("-artifact_prefix={}/", found.display())).arg(&work).arg(&kept);
        if let Err(error) = succeed(&mut fuzz) {
            eprintln!("{error:#}");
            fallen.push(name);
        }
        if options.keep {
            let mut merge = command(&program);
            succeed(merge.args(LIMITS).args(["-merge=1", "-max_len=4096"]).arg(&kept).arg(&work))?;
        }
    }
    if !fallen.is_empty() {
        bail!("{} did not survive; the inputs are in {}", fallen.join(", "), folder.join("found").display());
    }
    Ok(())
}
