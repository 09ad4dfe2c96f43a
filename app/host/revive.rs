//! Brings the page back when the process that draws it ends: the system took its memory, or it
//! crashed. The store stays open beside it, so the page comes back at the same address, on the same
//! screen or before the PIN pad, and what was typed is there.
//!
//! On Android wry offers no such hook: by the platform's default the whole app ends with its page, and
//! offers the draft when it is opened again, as after any other end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A page that ends more often than this within [`WITHIN`] will not be helped by another try.
const MOST: usize = 5;
const WITHIN: Duration = Duration::from_secs(60);

/// Counts how often the page was brought back.
#[derive(Debug, Default)]
struct Revivals(VecDeque<Instant>);

impl Revivals {
    /// Whether to try (again).
    fn again(&mut self, now: Instant) -> bool {
        self.0.retain(|at| now.duration_since(*at) < WITHIN);
        self.0.push_back(now);
        self.0.len() <= MOST
    }
}

/// Watches over a window's page.
///
/// # Errors
/// When the window is gone already.
#[cfg(target_os = "linux")]
pub fn watch(window: &tauri::WebviewWindow) -> tauri::Result<()> {
    use tauri::Manager as _;
    use webkit2gtk::WebViewExt as _;
    let app = window.app_handle().clone();
    window.with_webview(move |webview| {
        let revivals = std::cell::RefCell::new(Revivals::default());
        webview.inner().connect_web_process_terminated(move |view, reason| {
            tracing::error!(?reason, "the page's process ended");
            if revivals.borrow_mut().again(Instant::now()) {
                view.reload();
            } else {
                tracing::error!("the page ends again and again: closing; nothing that was captured is lost");
                app.exit(1);
            }
        });
    })
}

/// Watches over the pages of an app that is about to start.
#[cfg(any(target_os = "macos", target_os = "ios"))]
pub fn watching(builder: tauri::Builder<tauri::Wry>) -> tauri::Builder<tauri::Wry> {
    use tauri::Manager as _;
    let revivals = std::sync::Mutex::new(Revivals::default());
    builder.on_web_content_process_terminate(move |webview| {
        tracing::error!("the page's process ended");
        let again = revivals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).again(Instant::now());
        if !again || webview.reload().is_err() {
            tracing::error!("the page cannot be brought back: closing; nothing that was captured is lost");
            webview.app_handle().exit(1);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_comes_back_but_not_for_ever() {
        let mut revivals = Revivals::default();
        let start = Instant::now();
        let second = |n: u64| start + Duration::from_secs(n);
        assert!((0..5).all(|n| revivals.again(second(n))));
        assert!(!revivals.again(second(5)), "six times in six seconds");
        assert!(revivals.again(second(300)), "a bad minute long ago is forgotten");
    }
}
