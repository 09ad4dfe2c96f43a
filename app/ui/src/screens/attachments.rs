//! What is kept of a client besides words: photographs, a signature, a place.

use crate::browser;
use crate::components::{Button, ErrorPanel, Glyph, Icon, Look, Panel, SignaturePad, Tag};
use crate::fmt;
use crate::i18n::{here, lang};
use crate::query::Query;
use crate::state::use_app;
use crate::t;
use dioxus::prelude::*;
use vereda_domain::ClientId;
use vereda_domain::attachment::{Attachment, FileInfo, Position};
use vereda_domain::event::Hash;
use vereda_domain::gateway::{
    Attach, AttachRequest, AttachmentView, ClientView, ErrorCode, FileRequest, GatewayError, GetFile,
    MAX_PICTURE_BYTES, NewAttachment,
};

/// Their list, and the ways to add one.
#[component]
pub fn Attachments(client: ClientId, view: ClientView, query: Query<ClientView>) -> Element {
    let app = use_app();
    let mut busy = use_signal(|| None::<&'static str>);
    let mut error = use_signal(|| None::<GatewayError>);
    let mut drawing = use_signal(|| false);
    let mut shown = use_signal(|| None::<(Hash, String)>);
    let keep = use_callback(move |what: NewAttachment| {
        spawn(async move {
            match app.call::<Attach>(AttachRequest { client, what }).await {
                Ok(view) => {
                    app.toast(t!("attachment-kept"), None);
                    let mut data = query.data;
                    data.set(Some(view));
                    drawing.set(false);
                    error.set(None);
                }
                Err(refusal) => error.set(Some(refusal)),
            }
            busy.set(None);
        });
    });
    let photograph = use_callback(move |(kind, event): (&'static str, FormEvent)| {
        let Some(file) = event.files().into_iter().next() else { return };
        busy.set(Some(kind));
        spawn(async move {
            let bytes =
                if file.size() > MAX_PICTURE_BYTES as u64 { None } else { file.read_bytes().await.ok() };
            let Some(bytes) = bytes else {
                error.set(Some(GatewayError::of(ErrorCode::BadPicture)));
                busy.set(None);
                return;
            };
            let data = browser::base64(&bytes);
            keep.call(match kind {
                "document" => NewAttachment::Document { data },
                _ => NewAttachment::Business { data },
            });
        });
    });
    let place = move |()| {
        busy.set(Some("position"));
        spawn(async move {
            match browser::position().await {
                Some((latitude, longitude, accuracy_m)) => {
                    keep.call(NewAttachment::Position { latitude, longitude, accuracy_m });
                }
                None => {
                    error.set(Some(GatewayError::of(ErrorCode::NoPosition)));
                    busy.set(None);
                }
            }
        });
    };
    rsx! {
        Panel { title: t!("attachments-title"), testid: "attachments",
            if view.attachments.is_empty() {
                p { class: "meta", "data-testid": "attachments-none", {t!("attachments-none")} }
            } else {
                ul { class: "attachments",
                    for one in view.attachments.iter().cloned() {
                        // Not by its place: a new one comes first, and the others would all be fetched again.
                        One { key: "{one.at}-{one.attachment.kind()}", client, one, shown }
                    }
                }
            }
            if let Some(error) = error() {
                ErrorPanel { error }
            }
            if view.editable {
                if drawing() {
                    SignaturePad {
                        busy: busy() == Some("signature"),
                        on_keep: move |strokes| {
                            busy.set(Some("signature"));
                            keep.call(NewAttachment::Signature { strokes });
                        },
                        on_cancel: move |()| {
                            drawing.set(false);
                            error.set(None);
                        },
                    }
                } else {
                    div { class: "attach-ways",
                        for (kind , icon) in [("document", Icon::IdCard), ("business", Icon::Store)] {
                            // A label is the button: only a file input opens the camera.
                            label { key: "{kind}", class: "button attach-file", aria_busy: busy() == Some(kind),
                                input {
                                    class: "sr-only",
                                    r#type: "file",
                                    accept: "image/jpeg,image/png,image/webp",
                                    capture: "environment",
                                    disabled: busy().is_some(),
                                    "data-testid": "attach-{kind}",
                                    onchange: move |event| photograph.call((kind, event)),
                                }
                                if busy() == Some(kind) {
                                    span { class: "spinner", "aria-hidden": "true" }
                                } else {
                                    Glyph { icon }
                                }
                                span { {here().text(&format!("attach-{kind}"), &[])} }
                            }
                        }
                        Button {
                            label: t!("attach-signature"),
                            testid: "attach-signature",
                            icon: Icon::Pencil,
                            disabled: busy().is_some(),
                            onclick: move |()| drawing.set(true),
                        }
                        Button {
                            label: t!("attach-position"),
                            testid: "attach-position",
                            icon: Icon::MapPin,
                            busy: busy() == Some("position"),
                            onclick: place,
                        }
                    }
                }
            }
        }
        if let Some((_, picture)) = shown() {
            Large { picture, on_close: move |()| shown.set(None) }
        }
    }
}

/// One of them: what, when, by whom, and whether it was sent.
#[component]
fn One(client: ClientId, one: AttachmentView, shown: Signal<Option<(Hash, String)>>) -> Element {
    let kind = one.attachment.kind();
    let name = here().text(&format!("attachment-{kind}"), &[]);
    let by =
        t!("attachment-by", actor = one.actor.as_str(), time = fmt::moment(lang(), one.at, browser::now()),);
    rsx! {
        li { class: "attachment", "data-testid": "attachment-{kind}",
            match one.attachment.clone() {
                Attachment::Position(place) => rsx! {
                    span { class: "attachment-sign", Glyph { icon: Icon::MapPin } }
                    span { class: "row-body",
                        span { class: "row-title", "{name}" }
                        span { class: "meta numbers", {said(&place)} }
                        span { class: "meta", "{by}" }
                    }
                },
                Attachment::Document(file) | Attachment::Business(file) | Attachment::Signature(file) => rsx! {
                    Thumbnail { client, file, name: name.clone(), here: one.here, shown }
                    span { class: "row-body",
                        span { class: "row-title", "{name}" }
                        span { class: "meta", "{by}" }
                        if one.waiting {
                            span { Tag { label: t!("attachment-waiting"), icon: Icon::CloudUpload } }
                        }
                    }
                },
            }
        }
    }
}

/// A place in degrees, with how far it may be off.
fn said(place: &Position) -> String {
    let degrees = |value| fmt::number(lang(), value, 5);
    format!("{}, {} ± {} m", degrees(place.latitude()), degrees(place.longitude()), place.accuracy_m)
}

/// A picture, small; one that is not on this device comes when it is asked for.
#[component]
fn Thumbnail(
    client: ClientId,
    file: FileInfo,
    name: String,
    here: bool,
    shown: Signal<Option<(Hash, String)>>,
) -> Element {
    let app = use_app();
    let mut picture = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let mut failed = use_signal(|| None::<ErrorCode>);
    let (sha256, media) = (file.sha256, file.media);
    let fetch = use_callback(move |open: bool| {
        busy.set(true);
        spawn(async move {
            match app.call::<GetFile>(FileRequest { client, sha256 }).await {
                Ok(view) => {
                    let data = format!("data:{};base64,{}", media.as_str(), view.data);
                    if open {
                        shown.clone().set(Some((sha256, data.clone())));
                    }
                    picture.set(Some(data));
                    failed.set(None);
                }
                Err(refusal) => failed.set(Some(refusal.code)),
            }
            busy.set(false);
        });
    });
    use_hook(|| {
        if here {
            fetch.call(false);
        }
    });
    rsx! {
        button {
            class: "thumbnail",
            r#type: "button",
            "data-testid": "see-picture",
            aria_label: t!("attachment-see", name = name.as_str()),
            aria_busy: busy(),
            onclick: move |_| match picture() {
                Some(data) => shown.clone().set(Some((sha256, data))),
                None => fetch.call(true),
            },
            if let Some(data) = picture() {
                img { src: data, alt: "" }
            } else if busy() {
                span { class: "spinner", "aria-hidden": "true" }
            } else {
                Glyph { icon: if failed().is_some() { Icon::CloudOff } else { Icon::Eye } }
            }
        }
        if let Some(code) = failed() {
            span { class: "meta", role: "status", {t!("attachment-not-here")} " " {crate::i18n::here().text(&format!("error-{}", code.as_str()), &[])} }
        }
    }
}

/// A picture over everything.
#[component]
fn Large(picture: String, on_close: EventHandler<()>) -> Element {
    rsx! {
        dialog {
            id: "picture",
            class: "dialog picture",
            "data-testid": "picture",
            aria_label: t!("attachment-large"),
            onmounted: move |_| browser::show_modal("picture"),
            onkeydown: move |event| {
                if event.key() == Key::Escape {
                    event.prevent_default();
                    on_close.call(());
                }
            },
            img { src: picture, alt: t!("attachment-large") }
            div { class: "dialog-actions",
                Button {
                    label: t!("attachment-close"),
                    testid: "picture-close",
                    look: Look::Primary,
                    onclick: move |()| on_close.call(()),
                }
            }
        }
    }
}
