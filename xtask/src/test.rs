//! The whole test suite.

use crate::run::{cargo, step, succeed};
use crate::services::Services;
use crate::{api, deps, page};
use anyhow::{Context as _, Result, bail, ensure};
use deps::Need;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitStatus, Stdio};

/// Prepares everything and runs every test of the workspace. The last line on standard output is
/// `N passed, N failed`.
///
/// # Errors
/// When something does not build, or a test fails.
pub fn run() -> Result<()> {
    deps::ensure(
        Need::PAGE | Need::BUILD | Need::KEYS | Need::WINDOW | Need::SERVICES | Need::PLATFORMS | Need::DEB,
    )?;
    page::build(page::Profile::Release)?;
    // With the tests, so that the programs that the end-to-end test drives are built with the very
    // features that `cargo test` wants, and nothing is compiled twice.
    step("Building the programs and the tests");
    succeed(&mut cargo(&["build", "--workspace", "--lib", "--bins", "--tests"]))?;

    let services = Services::start()?;
    let mut sum = Sum::default();
    step("Testing");
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
    let whole = sum.of(api::tell(services.tell(&mut tests))?)?;
    step("Testing the server once more, on PostgreSQL, and then two of them behind a proxy");
    // By name and not by package: a package alone is compiled with fewer features, and thus anew. The
    // device's tests of the same names go along.
    let again = [
        ("postgres", &["api", "auth", "files", "insight", "judgement", "limits", "routes", "sync"][..]),
        ("replicas", &["api", "files", "insight", "judgement", "rates", "routes", "sync"][..]),
    ];
    let mut status = whole;
    for (store, names) in again {
        let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
        tests.args(names.iter().flat_map(|name| ["--test", *name])).env("VEREDA_TEST_STORE", store);
        let ended = sum.of(services.tell(&mut tests))?;
        if status.success() {
            status = ended;
        }
    }

    for name in &sum.culprits {
        println!("failed: {name}");
    }
    if sum.ignored > 0 {
        println!("{} ignored", sum.ignored);
    }
    println!("{} passed, {} failed", sum.passed, sum.failed);
    ensure!(sum.failed == 0, "{} tests failed", sum.failed);
    ensure!(sum.passed > 0, "no test ran");
    if !status.success() {
        bail!("cargo test failed ({status}), although no test did: see above");
    }
    Ok(())
}

/// The sum of the summaries that test programs print.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// The names of those that failed.
    culprits: Vec<String>,
}

impl Sum {
    /// Runs a test command, shows what it prints, and adds up its summaries.
    fn of(&mut self, tests: &mut Command) -> Result<ExitStatus> {
        let mut child = tests.stdout(Stdio::piped()).spawn().context("starting cargo test")?;
        let lines = BufReader::new(child.stdout.take().context("cargo test has no output")?);
        for line in lines.split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            self.take(&line);
            writeln!(std::io::stdout().lock(), "{line}")?;
        }
        Ok(child.wait()?)
    }

    /// Adds a line such as `test result: ok. 3 passed; 0 failed; 0 ignored; ...`; others count nothing.
    fn take(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.culprits.push(name.to_owned());
        }
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            if let (Some(count), Some(what)) =
                (words.next().and_then(|n| n.parse::<u64>().ok()), words.next())
            {
                match what {
                    "passed" => self.passed += count,
                    "failed" => self.failed += count,
                    "ignored" => self.ignored += count,
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_added_and_other_lines_count_nothing() {
        let mut sum = Sum::default();
        for line in [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.25s",
            "test a::b ... ok",
            "test a::c ... FAILED",
            "it printed: test result: ok. 9 passed",
        ] {
            sum.take(line);
        }
        assert_eq!(sum, Sum { passed: 13, failed: 2, ignored: 1, culprits: vec!["a::c".into()] });
    }
}
