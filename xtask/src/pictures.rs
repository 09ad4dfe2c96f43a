//! What is made by driving the real app: the pictures in the docs, and the benchmarks.

use crate::run::{cargo, step, succeed};
use crate::{deps, deps::Need, page};
use anyhow::Result;

/// Takes the pictures in `docs/screenshots`.
///
/// # Errors
/// When something does not build, or the app does not get to a screen.
pub fn screenshots() -> Result<()> {
    deps::ensure(Need::PAGE | Need::BUILD | Need::KEYS | Need::WINDOW)?;
    page::build(page::Profile::Release)?;
    step("Building the programs");
    succeed(&mut cargo(&["build", "--workspace", "--lib", "--bins", "--tests"]))?;
    step("Taking pictures");
    succeed(&mut cargo(&["run", "--quiet", "--package", "vereda-e2e", "--bin", "screenshots"]))
}

/// Measures on optimised builds and writes `docs/BENCHMARKS.md`'s figures.
///
/// # Errors
/// When something does not build, or cannot be measured.
pub fn bench() -> Result<()> {
    deps::ensure(Need::PAGE | Need::BUILD | Need::KEYS | Need::WINDOW)?;
    page::build(page::Profile::Release)?;
    step("Building the programs, optimised");
    let packages = ["--package", "vereda", "--package", "vereda-server", "--package", "vereda-e2e"];
    succeed(cargo(&["build", "--release"]).args(packages))?;
    step("Measuring");
    let mut measure = cargo(&["run", "--quiet", "--release", "--package", "vereda-e2e", "--bin", "bench"]);
    succeed(measure.env("VEREDA_E2E_RELEASE", "1"))
}
