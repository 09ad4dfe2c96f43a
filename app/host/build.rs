//! Build script: declares which commands exist, so that `capabilities/main.json` has to name each one the
//! page may call. A command that is missing there is refused at run time, not silently allowed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let commands = tauri_build::AppManifest::new().commands(vereda_domain::gateway::COMMANDS);
    tauri_build::try_build(tauri_build::Attributes::new().app_manifest(commands))?;
    // The page is embedded in the program; a file that is new in it changes nothing rustc would notice.
    println!("cargo:rerun-if-changed=dist");
    Ok(())
}
