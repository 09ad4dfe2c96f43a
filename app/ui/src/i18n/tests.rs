use super::*;
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use vereda_domain::gateway::ErrorCode;

/// Families of keys that the source composes: the part before the composed one.
const COMPOSED: &[&str] = &[
    "attach-",
    "attachment-",
    "error-",
    "month-",
    "role-",
    "language-",
    "theme-",
    "sync-kind-",
    "model-refusal-",
    "metric-",
    "decision-",
    "decided-",
    "event-",
    "client-label-",
    "client-help-",
    "client-required-",
    "client-malformed-",
    "keys-",
    "letter-decision-",
    "override-",
    "rescore-",
    "review-ask-",
    "review-do-",
    "review-done-",
];

fn variables_of_pattern(pattern: &Pattern<&str>, found: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        if let PatternElement::Placeable { expression } = element {
            variables_of(expression, found);
        }
    }
}

fn variables_of(expression: &Expression<&str>, found: &mut BTreeSet<String>) {
    let inline = match expression {
        Expression::Inline(inline) => inline,
        Expression::Select { selector, variants } => {
            variants.iter().for_each(|variant| variables_of_pattern(&variant.value, found));
            selector
        }
    };
    match inline {
        InlineExpression::VariableReference { id } => {
            found.insert(id.name.to_owned());
        }
        InlineExpression::Placeable { expression } => variables_of(expression, found),
        _ => {}
    }
}

/// Keys with their variables; an unsound catalogue or a key that stands twice ends the test.
fn messages(lang: Lang) -> BTreeMap<String, BTreeSet<String>> {
    let mut messages = BTreeMap::new();
    for (area, source) in sources(lang) {
        let parsed = fluent_syntax::parser::parse(*source);
        let resource = parsed.unwrap_or_else(|(_, errors)| panic!("{}/{area}.ftl: {errors:?}", lang.tag()));
        for entry in resource.body {
            let Entry::Message(message) = entry else { continue };
            let mut variables = BTreeSet::new();
            let pattern = message.value.unwrap_or_else(|| panic!("{} has no text", message.id.name));
            variables_of_pattern(&pattern, &mut variables);
            let before = messages.insert(message.id.name.to_owned(), variables);
            assert!(before.is_none(), "{}/{area}.ftl: {} stands twice", lang.tag(), message.id.name);
        }
    }
    messages
}

/// Every string literal of the source that may be a key, with where it stands; and those given to `t!`.
fn source_texts(folder: &Path, all: &mut BTreeSet<String>, keys: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_texts(&path, all, keys);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("i18n/tests.rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let code: Vec<&str> =
                source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let source = code.join("\n");
            for (index, piece) in source.split('"').enumerate() {
                if index % 2 == 1 {
                    all.insert(piece.to_owned());
                }
            }
            for (at, _) in source.match_indices("t!(") {
                // Not the end of `format!(` or `assert!(`.
                if source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    continue;
                }
                let rest = &source[at + "t!(".len()..];
                if let Some(key) = rest.trim_start().strip_prefix('"').and_then(|r| r.split('"').next()) {
                    keys.insert(key.to_owned(), path.display().to_string());
                }
            }
        }
    }
}

#[test]
fn both_languages_have_the_same_keys_with_the_same_variables() {
    let (es, en) = (messages(Lang::Es), messages(Lang::En));
    for (key, variables) in &es {
        assert_eq!(Some(variables), en.get(key), "en: {key}");
    }
    for key in en.keys() {
        assert!(es.contains_key(key), "es: {key}");
    }
}

#[test]
fn every_key_in_the_source_is_in_the_catalogues_and_none_is_left_over() {
    let known = messages(Lang::Es);
    let (mut all, mut keys) = (BTreeSet::new(), BTreeMap::new());
    source_texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all, &mut keys);
    let lacking: Vec<_> = keys.iter().filter(|(key, _)| !known.contains_key(*key)).collect();
    assert!(lacking.is_empty(), "keys without a text: {lacking:#?}");
    let composed = |key: &str| COMPOSED.iter().any(|family| key.starts_with(family));
    let idle: Vec<_> = known.keys().filter(|key| !all.contains(*key) && !composed(key)).collect();
    assert!(idle.is_empty(), "texts that nothing shows: {idle:#?}");
}

#[test]
fn every_error_has_a_title_a_way_out_and_a_short_cause() {
    let known = messages(Lang::Es);
    for code in ErrorCode::ALL {
        for suffix in ["", "-do", "-short"] {
            let key = format!("error-{}{suffix}", code.as_str());
            assert!(known.contains_key(&key), "{key}");
        }
    }
}

#[test]
fn plurals_and_numbers_follow_the_language() {
    assert_eq!(text(Lang::Es, "sync-aside", &[("n", 1.into())]), "1 registro apartado");
    assert_eq!(text(Lang::Es, "sync-aside", &[("n", 1200.into())]), "1.200 registros apartados");
    assert_eq!(text(Lang::En, "sync-aside", &[("n", 1200.into())]), "1,200 records put aside");
    assert_eq!(text(Lang::En, "no-such-key", &[]), "no-such-key");
}

#[test]
fn the_system_decides_only_when_nobody_has() {
    assert_eq!(Lang::choose(Language::System, "en-GB"), Lang::En);
    assert_eq!(Lang::choose(Language::System, "qu-PE"), Lang::Es);
    assert_eq!(Lang::choose(Language::Es, "en-GB"), Lang::Es);
    let only_es = Text { es: "hola".into(), en: String::new() };
    assert_eq!(Lang::En.pick(&only_es), "hola");
}
