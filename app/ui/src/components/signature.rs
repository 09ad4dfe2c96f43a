//! A pad to sign on with a finger.

use super::{Button, Icon, Look};
use crate::browser;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::gateway::PAD_HEIGHT;

/// The pad in its own units, of which the drawing has so many across.
const ACROSS: f32 = 1000.0;
const PAD: &str = "signature-pad";

/// A pad; gives what was drawn, in widths of it.
#[component]
pub fn SignaturePad(
    busy: bool,
    on_keep: EventHandler<Vec<Vec<(f32, f32)>>>,
    on_cancel: EventHandler<()>,
) -> Element {
    let mut strokes = use_signal(Vec::<Vec<(f32, f32)>>::new);
    let mut down = use_signal(|| false);
    // Where a pointer is, on the pad: what leaves it is held at its edge.
    let at = |event: &PointerEvent| {
        let place = event.client_coordinates();
        let (left, top, width) = browser::frame(PAD)?;
        (width > 0.0).then(|| {
            let x = ((place.x - left) / width) as f32;
            let y = ((place.y - top) / width) as f32;
            (x.clamp(0.0, 1.0), y.clamp(0.0, PAD_HEIGHT))
        })
    };
    rsx! {
        div { class: "signature",
            p { class: "meta", id: "signature-help", {t!("signature-help")} }
            div {
                id: PAD,
                class: "signature-pad",
                role: "img",
                "aria-label": t!("signature-pad"),
                "aria-describedby": "signature-help",
                "data-testid": PAD,
                onpointerdown: move |event| {
                    event.prevent_default();
                    if let Some(point) = at(&event) {
                        down.set(true);
                        strokes.write().push(vec![point]);
                    }
                },
                onpointermove: move |event| {
                    if down() && let Some(point) = at(&event) && let Some(stroke) = strokes.write().last_mut() {
                        stroke.push(point);
                    }
                },
                onpointerup: move |_| down.set(false),
                onpointerleave: move |_| down.set(false),
                onpointercancel: move |_| down.set(false),
                svg { view_box: "0 0 {ACROSS} {ACROSS * PAD_HEIGHT}", "aria-hidden": "true",
                    for (index , stroke) in strokes.read().iter().enumerate() {
                        path { key: "{index}", d: line(stroke) }
                    }
                }
            }
            div { class: "attach-ways",
                Button {
                    label: t!("signature-keep"),
                    testid: "signature-keep",
                    icon: Icon::Check,
                    busy,
                    disabled: strokes.read().is_empty(),
                    onclick: move |()| on_keep.call(strokes()),
                }
                Button {
                    label: t!("signature-again"),
                    testid: "signature-again",
                    icon: Icon::Undo,
                    disabled: strokes.read().is_empty() || busy,
                    onclick: move |()| strokes.set(Vec::new()),
                }
                Button {
                    label: t!("cancel"),
                    testid: "signature-cancel",
                    look: Look::Quiet,
                    disabled: busy,
                    onclick: move |()| on_cancel.call(()),
                }
            }
        }
    }
}

/// A stroke as a path; a touch that goes nowhere is a line to itself, which round ends make a dot.
fn line(stroke: &[(f32, f32)]) -> String {
    let points: Vec<String> =
        stroke.iter().map(|(x, y)| format!("{:.1} {:.1}", x * ACROSS, y * ACROSS)).collect();
    match points.as_slice() {
        [] => String::new(),
        [one] => format!("M{one}L{one}"),
        all => format!("M{}", all.join("L")),
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn strokes_are_lines_and_touches_dots() {
        assert_eq!(line(&[(0.1, 0.2), (0.5, 0.25)]), "M100.0 200.0L500.0 250.0");
        assert_eq!(line(&[(0.5, 0.1)]), "M500.0 100.0L500.0 100.0");
        assert_eq!(line(&[]), "");
    }
}
