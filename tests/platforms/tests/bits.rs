//! The same bits on every platform that the product runs on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;
use vereda_platforms::{answers, vectors::vectors};

const WASM: &str = "wasm32-unknown-unknown";
const AARCH64: &str = "aarch64-unknown-linux-gnu";
/// What says how to get what is missing.
const HINT: &str = "`cargo xtask test` installs what this needs";

/// A folder of its own: `cargo test` may hold the other one's lock, and other profiles and flags
/// would evict what stands there.
fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    target.join("platforms")
}

/// Compiles the program; gives the folder of the results.
fn build(triple: Option<&str>, what: &[&str]) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--release"]).args(what);
    cargo.arg("--target-dir").arg(target());
    // Optimised as it is shipped, but for what only makes it smaller and takes minutes to compile.
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    if let Some(triple) = triple {
        cargo.args(["--target", triple]);
    }
    if triple == Some(AARCH64) {
        cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    }
    // What the `cargo test` around this has set is meant for this package alone.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|p| text.starts_with(p))
        {
            cargo.env_remove(&name);
        }
    }
    let status = cargo.status().unwrap();
    assert!(status.success(), "the program does not build for {}: {HINT}", triple.unwrap_or("this machine"));
    triple.map_or(target(), |triple| target().join(triple)).join("release")
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: {HINT}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Line by line, so that a difference is named and not only noticed.
fn compare(platform: &str, found: &str, expected: &str) {
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected, "{platform} differs from this process");
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{platform}");
}

#[test]
fn every_platform_gives_the_same_bits() {
    let file = serde_json::to_string(&vectors().unwrap()).unwrap();
    let expected = answers(&file).unwrap();
    // Of every kind, and numbers rather than NaN: 2 committed bundles, 6 estimators x 4 calibrations.
    let names: std::collections::BTreeSet<&str> = expected
        .lines()
        .filter_map(|line| line.split(" row ").next())
        .filter(|n| !n.contains("  "))
        .collect();
    for kind in ["scorecard", "boosted", "logistic", "xgboost", "dart", "lightgbm", "forest", "linear"] {
        assert!(names.iter().any(|name| name.starts_with(kind)), "{kind} is not among the vectors");
    }
    let rows: Vec<&str> = expected.lines().filter(|line| line.contains(" row ")).collect();
    assert_eq!(rows.len(), 26 * 60);
    let numbers = rows.iter().filter(|line| !line.contains("margin nan")).count();
    assert!(numbers > rows.len() / 2, "{numbers} of {} rows have a margin", rows.len());

    std::fs::create_dir_all(target()).unwrap();
    let path = target().join("vectors.json");
    std::fs::write(&path, &file).unwrap();

    let native = build(None, &["--bin", "vereda-platforms"]).join("vereda-platforms");
    compare("this machine, optimised", &run(Command::new(native).arg(&path)), &expected);

    let module = build(Some(WASM), &["--lib"]).join("vereda_platforms.wasm");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("run.mjs");
    let found = run(Command::new("node").arg(script).arg(module).arg(&path));
    compare("wasm32 under Node", &found, &expected);

    let program = build(Some(AARCH64), &["--bin", "vereda-platforms"]).join("vereda-platforms");
    let found =
        run(Command::new("qemu-aarch64").args(["-L", "/usr/aarch64-linux-gnu"]).arg(program).arg(&path));
    compare("aarch64 under qemu", &found, &expected);
}
