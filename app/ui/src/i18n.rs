//! Texts: Fluent catalogues in `i18n/<language>/<area>.ftl`, switched at run time.
//!
//! `t!("key")` or `t!("key", n = 3)` inside a component, an event handler or a task. A number keeps
//! being a number, so that a catalogue can choose a plural by it, and is written by the locale.

use crate::fmt;
use dioxus::prelude::*;
use fluent_bundle::{FluentArgs, FluentBundle, FluentResource, FluentValue, memoizer::MemoizerKind};
use std::collections::HashMap;
use unic_langid::LanguageIdentifier;
use vereda_domain::gateway::Language;
use vereda_scoring::bundle::Text;

/// A language of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lang {
    /// Spanish, neutral, *usted*.
    Es,
    /// English.
    En,
}

impl Lang {
    /// Both.
    #[cfg(test)]
    pub const ALL: [Lang; 2] = [Lang::Es, Lang::En];

    /// As the `lang` attribute has it.
    pub fn tag(self) -> &'static str {
        match self {
            Lang::Es => "es",
            Lang::En => "en",
        }
    }

    /// From a setting and the system's languages; Spanish when the system speaks neither.
    pub fn choose(setting: Language, system: &str) -> Lang {
        match setting {
            Language::Es => Lang::Es,
            Language::En => Lang::En,
            Language::System if system.to_ascii_lowercase().starts_with("en") => Lang::En,
            Language::System => Lang::Es,
        }
    }

    /// A bundle's own text in this language.
    pub fn pick(self, text: &Text) -> &str {
        let (mine, other) = match self {
            Lang::Es => (&text.es, &text.en),
            Lang::En => (&text.en, &text.es),
        };
        if mine.is_empty() { other } else { mine }
    }
}

macro_rules! catalogue {
    ($lang:literal: $($area:literal)*) => {
        &[$(($area, include_str!(concat!("../i18n/", $lang, "/", $area, ".ftl")))),*]
    };
}

const ES: &[(&str, &str)] = catalogue!("es": "common" "unlock" "portfolio" "client" "interview" "result"
    "sync" "model" "settings" "review" "errors");
const EN: &[(&str, &str)] = catalogue!("en": "common" "unlock" "portfolio" "client" "interview" "result"
    "sync" "model" "settings" "review" "errors");

/// The catalogues of a language, by area.
fn sources(lang: Lang) -> &'static [(&'static str, &'static str)] {
    match lang {
        Lang::Es => ES,
        Lang::En => EN,
    }
}

thread_local! {
    static BUNDLES: HashMap<Lang, FluentBundle<FluentResource>> =
        [Lang::Es, Lang::En].into_iter().map(|lang| (lang, bundle(lang))).collect();
}

fn bundle(lang: Lang) -> FluentBundle<FluentResource> {
    let id: LanguageIdentifier = lang.tag().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new(vec![id]);
    bundle.set_use_isolating(false);
    bundle.set_formatter(Some(match lang {
        Lang::Es => written_es,
        Lang::En => written_en,
    }));
    for (_, source) in sources(lang) {
        // A catalogue with an error still gives its sound messages; a test refuses the error.
        let resource = match FluentResource::try_new((*source).to_owned()) {
            Ok(resource) | Err((resource, _)) => resource,
        };
        bundle.add_resource_overriding(resource);
    }
    bundle
}

fn written_es<M: MemoizerKind>(value: &FluentValue, _: &M) -> Option<String> {
    written(Lang::Es, value)
}

fn written_en<M: MemoizerKind>(value: &FluentValue, _: &M) -> Option<String> {
    written(Lang::En, value)
}

fn written(lang: Lang, value: &FluentValue) -> Option<String> {
    match value {
        FluentValue::Number(n) if n.value.fract() == 0.0 => Some(fmt::number(lang, n.value, 0)),
        FluentValue::Number(n) => Some(fmt::number(lang, n.value, 1)),
        _ => None,
    }
}

/// A text by key. A key that no catalogue has comes back as itself (a test sees to it that none
/// is used).
pub fn text(lang: Lang, key: &str, args: &[(&'static str, Arg)]) -> String {
    let mut values = FluentArgs::with_capacity(args.len());
    for (name, arg) in args {
        values.set(*name, FluentValue::from(arg));
    }
    BUNDLES.with(|bundles| {
        let Some(bundle) = bundles.get(&lang) else { return key.to_owned() };
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            return key.to_owned();
        };
        bundle.format_pattern(pattern, Some(&values), &mut Vec::new()).into_owned()
    })
}

/// What a text is filled with.
#[derive(Debug, Clone, PartialEq)]
pub enum Arg {
    /// Stands as it is.
    Text(String),
    /// Chooses plurals and is written by the locale.
    Number(f64),
}

impl<'a> From<&'a Arg> for FluentValue<'a> {
    fn from(arg: &'a Arg) -> Self {
        match arg {
            Arg::Text(text) => FluentValue::from(text.as_str()),
            Arg::Number(number) => FluentValue::from(*number),
        }
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Arg::Text(text.to_owned())
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Arg::Text(text)
    }
}

macro_rules! numbers {
    ($($kind:ty)*) => {$(
        impl From<$kind> for Arg {
            fn from(number: $kind) -> Self {
                Arg::Number(number as f64)
            }
        }
    )*};
}
numbers!(u8 u16 u32 u64 usize i32 i64 f64);

/// The language of the screens, in the context of every component.
#[derive(Clone, Copy, PartialEq)]
pub struct I18n {
    /// The language now.
    pub lang: Signal<Lang>,
}

impl I18n {
    /// See [`text`]; whoever calls it is drawn again when the language changes.
    pub fn text(self, key: &str, args: &[(&'static str, Arg)]) -> String {
        text((self.lang)(), key, args)
    }
}

/// The screens' language, from a component, an event handler or a task.
pub fn here() -> I18n {
    consume_context::<I18n>()
}

/// The language now. Whoever calls it is drawn again when it changes.
pub fn lang() -> Lang {
    (here().lang)()
}

/// A text from the catalogues; see [`crate::i18n`].
#[macro_export]
macro_rules! t {
    ($key:expr) => { $crate::i18n::here().text($key, &[]) };
    ($key:expr, $($name:ident = $value:expr),+ $(,)?) => {
        $crate::i18n::here().text($key, &[$((stringify!($name), $crate::i18n::Arg::from($value))),+])
    };
}

#[cfg(test)]
mod tests;
