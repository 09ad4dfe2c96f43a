//! A list of any length: only the rows near the window are there.

use dioxus::prelude::*;
use std::ops::Range;

/// Rows above and below the window that are drawn as well.
const MARGIN: usize = 8;

/// Which rows to draw when `scrolled` pixels are above the window, of `viewport` pixels.
pub fn visible(total: usize, row_height: f64, scrolled: f64, viewport: f64) -> Range<usize> {
    let first = (scrolled / row_height).floor().max(0.0) as usize;
    let shown = (viewport / row_height).ceil().max(0.0) as usize + 1;
    let start = first.saturating_sub(MARGIN).min(total);
    start..(first + shown + MARGIN).min(total)
}

/// A list of which only the visible rows are drawn. `row_height` is in pixels at 100 % text size and grows
/// with it; `onwindow` says which rows are wanted, so that they can be read; `row` draws one.
#[component]
pub fn WindowedList(
    total: usize,
    row_height: f64,
    label: String,
    testid: String,
    onwindow: EventHandler<(usize, usize)>,
    row: Callback<usize, Element>,
    /// What stands above the rows and scrolls away with them.
    #[props(default)]
    head: Option<Element>,
    /// Keeps how far the list is scrolled while it is not on the screen.
    #[props(default)]
    kept: Option<Signal<f64>>,
) -> Element {
    let app = crate::state::use_app();
    let row_height = row_height * f64::from(app.settings().text_percent) / 100.0;
    let own = use_signal(|| 0.0f64);
    let mut scrolled = kept.unwrap_or(own);
    let mut head_height = use_signal(|| 0.0f64);
    let mut viewport = use_signal(|| 900.0f64);
    let mounted_testid = testid.clone();
    let range = visible(total, row_height, (scrolled() - head_height()).max(0.0), viewport());
    let (start, end) = (range.start, range.end);
    use_effect(use_reactive!(|(start, end)| onwindow.call((start, end))));
    let above = start as f64 * row_height;
    let height = total as f64 * row_height;
    rsx! {
        div {
            class: "windowed",
            tabindex: "-1",
            "data-testid": testid,
            "data-total": total,
            onmounted: move |_| {
                let before = *scrolled.peek();
                if before > 0.0 {
                    crate::browser::scroll_to(&mounted_testid, before);
                }
            },
            onscroll: move |event: Event<ScrollData>| {
                scrolled.set(event.scroll_top());
                viewport.set(f64::from(event.client_height()));
            },
            onresize: move |event: Event<ResizeData>| {
                if let Ok(size) = event.get_border_box_size() {
                    viewport.set(size.height);
                }
            },
            if let Some(head) = head {
                div {
                    class: "windowed-head",
                    onresize: move |event: Event<ResizeData>| {
                        if let Ok(size) = event.get_border_box_size() {
                            head_height.set(size.height);
                        }
                    },
                    {head}
                }
            }
            ul {
                class: "windowed-rows",
                aria_label: label,
                style: "height:{height}px;--row:{row_height}px;--above:{above}px",
                for index in range {
                    li {
                        key: "{index}",
                        class: "windowed-row",
                        aria_setsize: total as i64,
                        aria_posinset: index as i64 + 1,
                        {row.call(index)}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rows_near_the_window_are_drawn() {
        assert_eq!(visible(100_000, 80.0, 0.0, 640.0), 0..17);
        let middle = visible(100_000, 80.0, 4_000_000.0, 640.0);
        assert_eq!(middle, 49_992..50_017);
        assert_eq!(visible(3, 80.0, 0.0, 640.0), 0..3);
        assert_eq!(visible(0, 80.0, 0.0, 640.0), 0..0);
        assert_eq!(visible(100, 80.0, 1e9, 640.0), 100..100);
    }
}
