//! Checks `assets/tokens.css`: every pair of colours that stands together has the contrast that
//! WCAG 2.2 AA asks for, in both themes, and the risk groups differ in lightness alone.

use std::collections::BTreeMap;

type Tokens = BTreeMap<String, [f64; 3]>;

/// The colours of the blocks whose selector contains `selector`, over those of `:root`.
fn colours(selector: &str) -> Tokens {
    let css = include_str!("../assets/tokens.css");
    let mut tokens = Tokens::new();
    for block in css.split('}') {
        let Some((head, body)) = block.rsplit_once('{') else { continue };
        let head = head.rsplit('}').next().unwrap();
        let first = !head.contains("data-theme");
        if !(first || head.contains(selector)) {
            continue;
        }
        for line in body.lines() {
            let Some((name, value)) = line.trim().strip_prefix("--").and_then(|l| l.split_once(": #")) else {
                continue;
            };
            let hex = value.trim_end_matches(';');
            let part = |at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            tokens.insert(name.to_owned(), [part(0), part(2), part(4)]);
        }
    }
    tokens
}

/// Relative luminance (WCAG 2.2).
fn luminance(colour: [f64; 3]) -> f64 {
    let linear = colour.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Text on what it stands on.
const TEXT: &[(&str, &[&str])] = &[
    ("ink", &["paper", "surface", "sunken"]),
    ("ink-2", &["paper", "surface", "sunken"]),
    ("primary", &["paper", "surface", "sunken"]),
    ("danger", &["paper", "surface"]),
    ("ok", &["paper", "surface"]),
    ("on-primary", &["primary", "primary-hover"]),
    ("on-danger", &["danger-fill"]),
    ("on-primary-soft", &["primary-soft"]),
    ("on-danger-soft", &["danger-soft"]),
    ("on-warn-soft", &["warn-soft", "surface"]),
    ("on-ok-soft", &["ok-soft"]),
    ("paper", &["ink"]),
    ("on-t1", &["t1"]),
    ("on-t2", &["t2"]),
    ("on-t3", &["t3"]),
    ("on-t4", &["t4"]),
    ("on-t5", &["t5"]),
    ("on-t6", &["t6"]),
    ("on-t7", &["t7"]),
    ("on-t8", &["t8"]),
];

/// Edges and marks on what they stand on.
const MARKS: &[(&str, &[&str])] = &[
    ("line-strong", &["paper", "surface"]),
    ("focus", &["paper", "surface", "sunken"]),
    ("primary", &["paper", "surface", "sunken"]),
];

#[test]
fn text_and_marks_have_aa_contrast_in_both_themes() {
    for theme in ["light", "dark"] {
        let tokens = colours(&format!(":root[data-theme=\"{theme}\"]"));
        for (pairs, least) in [(TEXT, 4.5), (MARKS, 3.0)] {
            for (fore, backs) in pairs {
                for back in *backs {
                    let found = contrast(tokens[*fore], tokens[*back]);
                    assert!(found >= least, "{theme}: {fore} on {back}: {found:.2} < {least}");
                }
            }
        }
    }
}

#[test]
fn the_systems_dark_theme_is_the_chosen_dark_theme() {
    assert_eq!(colours(":root[data-theme=\"dark\"]"), colours(":root:not([data-theme=\"light\"])"));
}

#[test]
fn each_risk_group_is_darker_than_the_one_before() {
    let tokens = colours("light");
    let light: Vec<f64> = (1..=8).map(|n| luminance(tokens[&format!("t{n}")])).collect();
    for pair in light.windows(2) {
        assert!(pair[0] > pair[1] * 1.05, "{light:?}");
    }
}
