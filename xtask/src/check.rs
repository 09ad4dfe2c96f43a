//! What a change must satisfy before its tests count: formatting, lints, and that everything
//! compiles for where it is to run.

use crate::run::{cargo, command, root, step, succeed, target};
use crate::{deps, page, venv};
use anyhow::{Context as _, Result, ensure};
use deps::Need;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

/// Runs all checks, the quick ones first.
///
/// # Errors
/// At the first that does not pass.
pub fn run() -> Result<()> {
    deps::ensure(Need::PAGE | Need::BUILD | Need::CHECK)?;
    step("Formatting");
    succeed(&mut cargo(&["fmt", "--all", "--check"]))?;
    step("Deployment: the schemas of Kubernetes and Compose, and hadolint");
    deployment()?;
    // The app embeds the page, so that it cannot even be type-checked without one.
    if !root().join("dist/index.html").exists() {
        page::build(page::Profile::Release)?;
    }
    step("Clippy, for this machine");
    // With what only a measurement needs: nothing else would say that it does not build any more.
    let bench = "--features=vereda-device/bench";
    succeed(&mut cargo(&["clippy", "--workspace", "--all-targets", bench, "--", "-D", "warnings"]))?;
    step("Clippy, for wasm32: what the page is made of");
    let mut wasm = cargo(&["clippy", "--target", "wasm32-unknown-unknown", "--profile", "wasm-release"]);
    wasm.args(["--package", "vereda-scoring", "--package", "vereda-domain", "--package", "vereda-ui"]);
    wasm.arg("--target-dir").arg(target().join("wasm")).args(["--", "-D", "warnings"]);
    succeed(&mut wasm)?;
    step("The app, for Android (aarch64)");
    succeed(&mut android())?;
    step("The app, for iOS (aarch64)");
    succeed(&mut ios()?)
}

/// What `deploy/` gives to programs that are not there when tests run.
fn deployment() -> Result<()> {
    let programs = venv::programs("deploy-venv", "deploy/requirements.txt")?;
    let mut manifests = Vec::new();
    for entry in fs::read_dir(root().join("deploy/kubernetes")).context("reading deploy/kubernetes")? {
        let path = entry?.path();
        // kustomize's own file is no resource of a cluster.
        if path.extension().is_some_and(|e| e == "yaml") && !path.ends_with("kustomization.yaml") {
            manifests.push(path);
        }
    }
    let mut validate = command(programs.join("kubernetes-validate"));
    succeed(validate.args(["--quiet", "--strict"]).args(manifests))?;
    // And once more as a cluster gets them. No registry of packages that this project uses has kubectl.
    match command("kubectl").args(["kustomize", "deploy/kubernetes"]).output() {
        Ok(made) => {
            ensure!(made.status.success(), "kubectl kustomize: {}", String::from_utf8_lossy(&made.stderr));
            let file = target().join("kustomized.yaml");
            fs::write(&file, made.stdout).with_context(|| format!("writing {}", file.display()))?;
            let mut validate = command(programs.join("kubernetes-validate"));
            succeed(validate.args(["--quiet", "--strict"]).arg(file))?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("note: no kubectl here; what kustomize makes of the manifests is not looked at");
        }
        Err(error) => return Err(error).context("starting kubectl"),
    }
    let mut validate = command(programs.join("check-jsonschema"));
    succeed(validate.args(["--builtin-schema", "vendor.compose-spec", "deploy/compose/compose.yaml"]))?;
    // Debian's packages are those of the day: the stage that has them is thrown away.
    let mut lint = command(programs.join("hadolint"));
    succeed(lint.args(["--ignore", "DL3008", "deploy/container/Containerfile"]))
}

/// Debian's cross compiler stands in for the NDK: good for a type check, which links nothing.
fn android() -> Command {
    let mut check = cargo(&["check", "--package", "vereda", "--lib", "--target", "aarch64-linux-android"]);
    for (name, tool) in [("CC", "gcc"), ("CXX", "g++"), ("AR", "ar"), ("RANLIB", "ranlib")] {
        check.env(format!("{name}_aarch64_linux_android"), format!("aarch64-linux-gnu-{tool}"));
    }
    check.env("CFLAGS_aarch64_linux_android", "-D_GNU_SOURCE");
    check
}

/// Nothing on Linux compiles C for iOS, so the C parts become empty files: a type check reads none
/// of them.
fn ios() -> Result<Command> {
    let folder = target().join("ios-check");
    let sdk = folder.join("sdk");
    fs::create_dir_all(&sdk).with_context(|| format!("making {}", sdk.display()))?;
    let compiler = stub_compiler(&folder)?;
    let mut check = cargo(&["check", "--package", "vereda", "--lib", "--target", "aarch64-apple-ios"]);
    check.env("SDKROOT", &sdk);
    for name in ["CC", "CXX"] {
        check.env(format!("{name}_aarch64_apple_ios"), &compiler);
    }
    Ok(check)
}

#[cfg(unix)]
fn stub_compiler(folder: &std::path::Path) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join("cc");
    let script = include_str!("no-compiler.sh");
    if fs::read_to_string(&file).ok().as_deref() != Some(script) {
        fs::write(&file, script).with_context(|| format!("writing {}", file.display()))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(file)
}

#[cfg(not(unix))]
fn stub_compiler(_: &std::path::Path) -> Result<PathBuf> {
    anyhow::bail!("the check for iOS runs on Linux and macOS only")
}
