//! The page that the app embeds: `app/ui` compiled to wasm, with the bindings and the files that go
//! with it, in `dist/`.

use crate::run::{cargo, root, step, succeed, target};
use anyhow::{Context as _, Result, anyhow, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use wasm_bindgen_cli_support::Bindgen;

/// How the page is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Small and fast: what is shipped and tested.
    Release,
    /// Quick to build.
    Dev,
}

/// Builds the page into `dist/`. Files that are the same stay untouched, so that the app is not
/// built again without a reason.
///
/// # Errors
/// When it does not compile, or a file cannot be written.
pub fn build(profile: Profile) -> Result<()> {
    step("Building the page (wasm)");
    let (name, folder) = match profile {
        Profile::Release => ("wasm-release", "wasm-release"),
        Profile::Dev => ("dev", "debug"),
    };
    // A target folder of its own: its profile and features would evict the native builds' artefacts.
    let wasm_target = target().join("wasm");
    let mut compile = cargo(&["build", "--package", "vereda-ui", "--target", "wasm32-unknown-unknown"]);
    compile.args(["--profile", name]).arg("--target-dir").arg(&wasm_target);
    succeed(&mut compile)?;

    let module = wasm_target.join("wasm32-unknown-unknown").join(folder).join("vereda-ui.wasm");
    let bound = wasm_target.join("bound");
    if bound.exists() {
        fs::remove_dir_all(&bound).with_context(|| format!("emptying {}", bound.display()))?;
    }
    let mut bindgen = Bindgen::new();
    bindgen.input_path(&module).out_name("vereda-ui").typescript(false).omit_default_module_path(false);
    bindgen.remove_name_section(profile == Profile::Release).remove_producers_section(true);
    bindgen.web(true).and_then(|bindgen| bindgen.generate(&bound)).map_err(|error| {
        anyhow!("making the bindings of {}: {error:#}. If versions differ: xtask's wasm-bindgen-cli-support must be the version of wasm-bindgen in Cargo.lock", module.display())
    })?;

    let dist = root().join("dist");
    let mut kept = BTreeSet::new();
    mirror(&root().join("app/ui/assets"), &dist, &mut kept)?;
    mirror(&bound, &dist, &mut kept)?;
    ensure!(kept.contains(&dist.join("index.html")), "app/ui/assets has no index.html");
    prune(&dist, &kept)?;
    for file in &kept {
        let size = fs::metadata(file)?.len();
        eprintln!("{:>10}  {}", human(size), file.strip_prefix(root()).unwrap_or(file).display());
    }
    Ok(())
}

/// Copies a folder into another, leaving equal files alone, and notes what is there now.
fn mirror(from: &Path, to: &Path, kept: &mut BTreeSet<PathBuf>) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            mirror(&source, &copy, kept)?;
            continue;
        }
        let bytes = fs::read(&source).with_context(|| format!("reading {}", source.display()))?;
        if fs::read(&copy).ok().as_deref() != Some(&bytes) {
            fs::write(&copy, bytes).with_context(|| format!("writing {}", copy.display()))?;
        }
        kept.insert(copy);
    }
    Ok(())
}

/// Removes files that no longer belong.
fn prune(folder: &Path, kept: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            prune(&path, kept)?;
            if fs::read_dir(&path)?.next().is_none() {
                fs::remove_dir(&path)?;
            }
        } else if !kept.contains(&path) {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

fn human(bytes: u64) -> String {
    if bytes < 10_000 { format!("{bytes} B") } else { format!("{} kB", bytes / 1000) }
}
