//! The Tauri host of Vereda, for desktops and phones alike: a window, and thin commands over
//! `vereda_device`. Desktops start it from `app/host/main.rs`; Android and iOS load this library.

/// Opens the window and serves the page's commands until the program ends.
///
/// # Errors
/// When the window system, or the folder for the program's data, cannot be used.
pub fn run() -> Result<(), tauri::Error> {
    tauri::Builder::default()
        .invoke_handler(tauri::generate_handler![ping])
        .run(tauri::generate_context!("tauri.conf.json"))
}

#[tauri::command]
fn ping() -> &'static str {
    "pong"
}
