//! The one window, which shows the embedded page and goes nowhere else.

use tauri::utils::config::WindowConfig;
use tauri::webview::NewWindowResponse;
use tauri::{App, Url, WebviewWindowBuilder};

/// Opens the window that `tauri.conf.json` describes.
///
/// # Errors
/// When the window system cannot be used.
pub fn open(app: &App) -> tauri::Result<()> {
    for config in &app.config().app.windows {
        let config = sized(config.clone());
        let window = WebviewWindowBuilder::from_config(app, &config)?
            .on_navigation(is_own)
            .on_new_window(|_, _| NewWindowResponse::Deny)
            .build()?;
        #[cfg(target_os = "linux")]
        crate::revive::watch(&window)?;
        #[cfg(not(target_os = "linux"))]
        drop(window);
    }
    Ok(())
}

/// Whether an address is of the embedded page: the window never leaves it, whatever a link says.
fn is_own(url: &Url) -> bool {
    match url.scheme() {
        "tauri" => url.host_str() == Some("localhost"),
        // Android and Windows serve the embedded page under this name.
        "http" | "https" => url.host_str() == Some("tauri.localhost"),
        _ => false,
    }
}

/// With the size that the environment asks for, at the screen's corner.
fn sized(mut config: WindowConfig) -> WindowConfig {
    let asked = std::env::var("VEREDA_WINDOW").unwrap_or_default();
    if let Some((width, height)) = size(&asked) {
        (config.width, config.height) = (width, height);
        (config.x, config.y) = (Some(0.0), Some(0.0));
    }
    config
}

fn size(text: &str) -> Option<(f64, f64)> {
    let (width, height) = text.split_once('x')?;
    let size = (width.parse::<u16>().ok()?, height.parse::<u16>().ok()?);
    (size.0 > 0 && size.1 > 0).then(|| (size.0.into(), size.1.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_stays_on_the_embedded_page() {
        for own in ["tauri://localhost/", "tauri://localhost/index.html#/sync", "http://tauri.localhost/"] {
            assert!(is_own(&own.parse().unwrap()), "{own}");
        }
        for other in [
            "https://example.org/",
            "http://localhost:8787/",
            "https://tauri.localhost.example.org/",
            "file:///etc/passwd",
            "data:text/html,<script>1</script>",
            "tauri://elsewhere/",
        ] {
            assert!(!is_own(&other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn a_size_is_two_numbers_or_nothing() {
        assert_eq!(size("360x800"), Some((360.0, 800.0)));
        for wrong in ["", "360", "x", "0x800", "-1x5", "axb"] {
            assert_eq!(size(wrong), None, "{wrong:?}");
        }
    }
}
