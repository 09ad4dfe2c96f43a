//! The few things asked of the browser itself. Natively (in tests) there is none: every question
//! has an answer that changes nothing.

use vereda_domain::Millis;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen::JsCast;

#[cfg(target_arch = "wasm32")]
mod real {
    use super::*;

    fn document() -> Option<web_sys::Document> {
        web_sys::window()?.document()
    }

    /// The device's clock.
    pub fn now() -> Millis {
        js_sys::Date::now() as Millis
    }

    /// How many minutes local time is east of UTC at this instant.
    pub fn east_minutes(at: Millis) -> i32 {
        -js_sys::Date::new(&wasm_bindgen::JsValue::from_f64(at as f64)).get_timezone_offset() as i32
    }

    /// The system's first language, such as `es-CO`.
    pub fn system_language() -> String {
        web_sys::window().and_then(|w| w.navigator().language()).unwrap_or_default()
    }

    /// What stands after `#` in the address.
    pub fn hash() -> String {
        let hash = web_sys::window().and_then(|w| w.location().hash().ok()).unwrap_or_default();
        hash.trim_start_matches('#').to_owned()
    }

    /// Goes to a place in the page's history.
    pub fn set_hash(hash: &str, replace: bool) {
        let Some(window) = web_sys::window() else { return };
        let location = window.location();
        let target = format!("#{hash}");
        // Both fail only where a sandbox forbids navigation; the screen then stays where it is.
        let _ = if replace { location.replace(&target) } else { location.set_hash(&target) };
    }

    /// As the platform's back gesture.
    pub fn back() {
        if let Some(history) = web_sys::window().and_then(|w| w.history().ok()) {
            let _ = history.back();
        }
    }

    /// Calls back for every event of these kinds on the window, for as long as the page lives.
    pub fn on_window(kinds: &[&str], callback: impl FnMut() + 'static) {
        let Some(window) = web_sys::window() else { return };
        let closure = wasm_bindgen::closure::Closure::<dyn FnMut()>::new(callback);
        for kind in kinds {
            let _ = window.add_event_listener_with_callback(kind, closure.as_ref().unchecked_ref());
        }
        closure.forget();
    }

    /// Comes back after so many milliseconds.
    pub async fn sleep(ms: i32) {
        let promise = js_sys::Promise::new(&mut |resolve, _| {
            if let Some(window) = web_sys::window() {
                let _ = window.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms);
            }
        });
        let _ = wasm_bindgen_futures::JsFuture::from(promise).await;
    }

    /// Language, theme and text size of the whole page; `theme` is empty for the system's.
    pub fn dress(lang: &str, theme: &str, text_percent: u16) {
        let Some(root) = document().and_then(|d| d.document_element()) else { return };
        let _ = root.set_attribute("lang", lang);
        let _ = match theme {
            "" => root.remove_attribute("data-theme"),
            theme => root.set_attribute("data-theme", theme),
        };
        if let Some(html) = root.dyn_ref::<web_sys::HtmlElement>() {
            let _ = html.style().set_property("font-size", &format!("{text_percent}%"));
        }
    }

    /// The window's title.
    pub fn title(text: &str) {
        if let Some(document) = document() {
            document.set_title(text);
        }
    }

    /// Moves the keyboard to an element and brings it into view.
    pub fn focus(id: &str) {
        let element = document().and_then(|d| d.get_element_by_id(id));
        if let Some(element) = element.and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok()) {
            let _ = element.focus();
        }
    }

    /// Brings an element into view, no further than needed.
    pub fn reveal(id: &str) {
        if let Some(element) = document().and_then(|d| d.get_element_by_id(id)) {
            let options = web_sys::ScrollIntoViewOptions::new();
            options.set_block(web_sys::ScrollLogicalPosition::Nearest);
            element.scroll_into_view_with_scroll_into_view_options(&options);
        }
    }

    /// Takes away what `index.html` shows until the first screen is drawn.
    pub fn end_boot() {
        if let Some(boot) = document().and_then(|d| d.get_element_by_id("boot")) {
            boot.remove();
        }
    }

    /// Opens a `<dialog>` as a modal one, which keeps the keyboard inside.
    pub fn show_modal(id: &str) {
        let element = document().and_then(|d| d.get_element_by_id(id));
        if let Some(dialog) = element.and_then(|e| e.dyn_into::<web_sys::HtmlDialogElement>().ok()) {
            let _ = dialog.show_modal();
        }
    }

    /// Prints the page.
    pub fn print() {
        if let Some(window) = web_sys::window() {
            let _ = window.print();
        }
    }

    /// Puts a text on the clipboard; whether that worked.
    pub async fn copy(text: &str) -> bool {
        let Some(window) = web_sys::window() else { return false };
        let promise = window.navigator().clipboard().write_text(text);
        wasm_bindgen_futures::JsFuture::from(promise).await.is_ok()
    }

    /// Whether the device has at least so many CSS pixels across.
    pub fn wide() -> bool {
        let query = web_sys::window().and_then(|w| w.match_media("(min-width: 900px)").ok().flatten());
        query.is_some_and(|q| q.matches())
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod real {
    use super::Millis;

    pub fn now() -> Millis {
        0
    }
    pub fn east_minutes(_: Millis) -> i32 {
        0
    }
    pub fn system_language() -> String {
        String::new()
    }
    pub fn hash() -> String {
        String::new()
    }
    pub fn set_hash(_: &str, _: bool) {}
    pub fn back() {}
    pub fn on_window(_: &[&str], _: impl FnMut() + 'static) {}
    pub async fn sleep(_: i32) {}
    pub fn dress(_: &str, _: &str, _: u16) {}
    pub fn title(_: &str) {}
    pub fn focus(_: &str) {}
    pub fn reveal(_: &str) {}
    pub fn end_boot() {}
    pub fn show_modal(_: &str) {}
    pub fn print() {}
    pub async fn copy(_: &str) -> bool {
        false
    }
    pub fn wide() -> bool {
        false
    }
}

pub use real::*;
