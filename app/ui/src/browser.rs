//! The few things asked of the browser itself. Natively (in tests) there is none: every question
//! has an answer that changes nothing.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
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

    /// Whether anybody can see the page: it is in front, and the screen is on.
    pub fn shown() -> bool {
        web_sys::window().and_then(|w| w.document()).is_some_and(|document| !document.hidden())
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

    /// A listener for keys; it listens for as long as it is kept.
    pub struct KeyListener(wasm_bindgen::closure::Closure<dyn FnMut(web_sys::KeyboardEvent)>);

    impl Drop for KeyListener {
        fn drop(&mut self) {
            if let Some(window) = web_sys::window() {
                let _ =
                    window.remove_event_listener_with_callback("keydown", self.0.as_ref().unchecked_ref());
            }
        }
    }

    /// Calls back with every key that is not typed into something, and not while a dialog is open.
    /// The callback says whether the key was meant for it.
    pub fn on_key(mut callback: impl FnMut(String) -> bool + 'static) -> KeyListener {
        let closure = wasm_bindgen::closure::Closure::<dyn FnMut(web_sys::KeyboardEvent)>::new(
            move |event: web_sys::KeyboardEvent| {
                let shifted = event.ctrl_key() || event.alt_key() || event.meta_key();
                let element = event.target().and_then(|t| t.dyn_into::<web_sys::HtmlElement>().ok());
                let typing =
                    element.is_some_and(|e| matches!(e.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"));
                let modal = document().and_then(|d| d.query_selector("dialog[open]").ok().flatten());
                let free = !shifted && !typing && modal.is_none() && !event.default_prevented();
                if free && callback(event.key()) {
                    event.prevent_default();
                }
            },
        );
        if let Some(window) = web_sys::window() {
            let _ = window.add_event_listener_with_callback("keydown", closure.as_ref().unchecked_ref());
        }
        KeyListener(closure)
    }

    /// What this page keeps on this machine under a name; for the look of things only.
    pub fn kept(name: &str) -> Option<String> {
        web_sys::window()?.local_storage().ok()??.get_item(name).ok()?
    }

    /// Keeps it. Where nothing can be kept it lasts until the page is closed.
    pub fn keep(name: &str, value: &str) {
        let storage = web_sys::window().and_then(|w| w.local_storage().ok().flatten());
        if let Some(storage) = storage {
            let _ = storage.set_item(name, value);
        }
    }

    /// Scrolls the first element of a test id to so many pixels from its top.
    pub fn scroll_to(testid: &str, top: f64) {
        let found = document().and_then(|d| d.query_selector(&format!("[data-testid='{testid}']")).ok());
        if let Some(element) = found.flatten() {
            element.set_scroll_top(top as i32);
        }
    }

    /// How many CSS pixels the page has across.
    pub fn width() -> f64 {
        let width = web_sys::window().and_then(|w| w.inner_width().ok());
        width.and_then(|w| w.as_f64()).unwrap_or_default()
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
        let _ = if text_percent >= 150 {
            root.set_attribute("data-large", "true")
        } else {
            root.remove_attribute("data-large")
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
        into_view(id, web_sys::ScrollLogicalPosition::Nearest);
    }

    /// Brings an element to the middle of its view, where a bar that grows later does not reach it.
    pub fn centre(id: &str) {
        into_view(id, web_sys::ScrollLogicalPosition::Center);
    }

    fn into_view(id: &str, block: web_sys::ScrollLogicalPosition) {
        if let Some(element) = document().and_then(|d| d.get_element_by_id(id)) {
            let options = web_sys::ScrollIntoViewOptions::new();
            options.set_block(block);
            element.scroll_into_view_with_scroll_into_view_options(&options);
        }
    }

    /// Takes away what `index.html` shows until the first screen is drawn.
    pub fn end_boot() {
        if let Some(boot) = document().and_then(|d| d.get_element_by_id("boot")) {
            boot.remove();
        }
    }

    /// Marks, once, when the first screen can be used: what the benchmark of cold starts reads.
    pub fn mark_usable() {
        const MARK: &str = "vereda-usable";
        if let Some(performance) = web_sys::window().and_then(|window| window.performance())
            && performance.get_entries_by_name(MARK).length() == 0
        {
            let _ = performance.mark(MARK);
        }
    }

    /// Opens a `<dialog>` as a modal one, which keeps the keyboard inside.
    pub fn show_modal(id: &str) {
        let element = document().and_then(|d| d.get_element_by_id(id));
        if let Some(dialog) = element.and_then(|e| e.dyn_into::<web_sys::HtmlDialogElement>().ok()) {
            let _ = dialog.show_modal();
        }
    }

    /// From now on a bug shows a notice over the page instead of a dead screen, and says on the
    /// console where it is. What was captured is safe: it is on the native side.
    pub fn on_panic() {
        std::panic::set_hook(Box::new(|info| {
            web_sys::console::error_1(&info.to_string().into());
            let Some(document) = document() else { return };
            let (Some(body), Ok(notice), Ok(button)) =
                (document.body(), document.create_element("div"), document.create_element("a"))
            else {
                return;
            };
            let lang = document.document_element().and_then(|root| root.get_attribute("lang"));
            let lang =
                if lang.as_deref() == Some("en") { crate::i18n::Lang::En } else { crate::i18n::Lang::Es };
            notice.set_class_name("crashed");
            let _ = notice.set_attribute("role", "alert");
            let _ = notice.set_attribute("data-testid", "crashed");
            notice.set_text_content(Some(&crate::i18n::text(lang, "crashed", &[])));
            button.set_class_name("button");
            let _ = button.set_attribute("href", "index.html");
            button.set_text_content(Some(&crate::i18n::text(lang, "crashed-do", &[])));
            let _ = notice.append_child(&button);
            let _ = body.append_child(&notice);
        }));
    }

    /// Left, top and width of an element in the window, in CSS pixels.
    pub fn frame(id: &str) -> Option<(f64, f64, f64)> {
        let frame = document()?.get_element_by_id(id)?.get_bounding_client_rect();
        Some((frame.left(), frame.top(), frame.width()))
    }

    /// Where the device is: degrees north, degrees east, accuracy in metres. `None` when it does not say
    /// within half a minute: switched off, not permitted, or no sky.
    pub async fn position() -> Option<(f64, f64, f64)> {
        let geolocation = web_sys::window()?.navigator().geolocation().ok()?;
        let promise = js_sys::Promise::new(&mut |resolve, reject| {
            let options = web_sys::PositionOptions::new();
            options.set_enable_high_accuracy(true);
            options.set_timeout(30_000);
            options.set_maximum_age(0);
            let asked = geolocation.get_current_position_with_error_callback_and_options(
                &resolve,
                Some(&reject),
                &options,
            );
            if asked.is_err() {
                let _ = reject.call0(&wasm_bindgen::JsValue::NULL);
            }
        });
        let found = wasm_bindgen_futures::JsFuture::from(promise).await.ok()?;
        let coordinates = found.unchecked_into::<web_sys::Position>().coords();
        Some((coordinates.latitude(), coordinates.longitude(), coordinates.accuracy()))
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
    pub fn shown() -> bool {
        true
    }
    pub fn on_window(_: &[&str], _: impl FnMut() + 'static) {}
    pub struct KeyListener;
    pub fn on_key(_: impl FnMut(String) -> bool + 'static) -> KeyListener {
        KeyListener
    }
    pub fn kept(_: &str) -> Option<String> {
        None
    }
    pub fn keep(_: &str, _: &str) {}
    pub fn scroll_to(_: &str, _: f64) {}
    pub fn width() -> f64 {
        0.0
    }
    pub async fn sleep(_: i32) {}
    pub fn dress(_: &str, _: &str, _: u16) {}
    pub fn title(_: &str) {}
    pub fn focus(_: &str) {}
    pub fn reveal(_: &str) {}
    pub fn centre(_: &str) {}
    pub fn end_boot() {}
    pub fn mark_usable() {}
    pub fn show_modal(_: &str) {}
    pub fn on_panic() {}
    pub fn print() {}
    pub fn frame(_: &str) -> Option<(f64, f64, f64)> {
        None
    }
    pub async fn position() -> Option<(f64, f64, f64)> {
        None
    }
    pub async fn copy(_: &str) -> bool {
        false
    }
}

pub use real::*;

/// Bytes as text.
pub fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The outcome of some work, if it comes within so many milliseconds; after that the work is dropped.
pub async fn within<T>(ms: i32, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut patience) = (pin!(work), pin!(sleep(ms)));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => patience.as_mut().poll(context).map(|()| None),
    })
    .await
}
