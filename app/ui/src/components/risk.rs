//! Risk in sight: the badge, the scale with its needle, reasons as bars, PD over time.

use crate::fmt;
use crate::i18n::lang;
use crate::t;
use dioxus::prelude::*;
use vereda_scoring::bundle::Group;

/// T1..T8 as a label whose colour and bar say the same.
#[component]
pub fn Badge(group: Group, #[props(default)] large: bool) -> Element {
    let at = group.index() + 1;
    rsx! {
        span {
            class: if large { "badge large" } else { "badge" },
            "data-group": group.as_str(),
            "data-testid": "badge",
            title: t!("group-of-eight", n = at),
            "{group}"
            span { class: "badge-steps", "aria-hidden": "true",
                for step in 1..=8usize {
                    span { key: "{step}", class: if step == at { "on" } else { "" } }
                }
            }
        }
    }
}

/// Where a PD stands within its group, as a share of the whole scale of eight equal parts.
pub fn needle(cuts: &[f64], probability: f64) -> f64 {
    let index = cuts.iter().filter(|cut| **cut <= probability).count();
    let lower = index.checked_sub(1).and_then(|i| cuts.get(i)).copied().unwrap_or(0.0);
    let upper = cuts.get(index).copied().unwrap_or(1.0);
    let within = if upper > lower { ((probability - lower) / (upper - lower)).clamp(0.0, 1.0) } else { 0.5 };
    (index as f64 + within) / (cuts.len() + 1) as f64
}

/// T1..T8 side by side, with a needle at the PD and the cuts underneath.
#[component]
pub fn GroupScale(group: Group, probability: f64, cuts: Vec<f64>) -> Element {
    let lang = lang();
    let at = needle(&cuts, probability) * 100.0;
    let said = t!("scale-says", group = group.as_str(), pd = fmt::percent(lang, probability, 1));
    rsx! {
        div { class: "scale", role: "img", aria_label: said, "data-testid": "group-scale",
            div { class: "scale-needle", style: "left:{at}%", "aria-hidden": "true" }
            div { class: "scale-parts", "aria-hidden": "true",
                for part in Group::ALL {
                    span {
                        key: "{part}",
                        class: "scale-part",
                        "data-group": part.as_str(),
                        "data-on": part == group,
                        "{part}"
                    }
                }
            }
            div { class: "scale-cuts", "aria-hidden": "true",
                for (index , cut) in cuts.iter().enumerate() {
                    span { key: "{index}", style: "left:{(index + 1) as f64 * 12.5}%",
                        {fmt::number_short(lang, (cut * 1000.0).round() / 10.0)}
                    }
                }
            }
        }
    }
}

/// One bar: how far something moves the risk, and the sentence that says so.
#[derive(Debug, Clone, PartialEq)]
pub struct ReasonBar {
    /// What it is about.
    pub label: String,
    /// The answer, as it was given.
    pub answer: String,
    /// The sentence.
    pub sentence: String,
    /// Log-odds; above 0 raises the risk.
    pub weight: f64,
}

/// Reasons as signed bars from a middle line: to the right raises, to the left lowers.
#[component]
pub fn ReasonBars(bars: Vec<ReasonBar>) -> Element {
    let most = bars.iter().map(|bar| bar.weight.abs()).fold(f64::MIN_POSITIVE, f64::max);
    rsx! {
        ul { class: "reasons", "data-testid": "reasons",
            for (index , bar) in bars.into_iter().enumerate() {
                li {
                    key: "{index}",
                    class: "reason",
                    "data-raises": bar.weight > 0.0,
                    div { class: "reason-head",
                        span { class: "reason-label", "{bar.label}" }
                        if !bar.answer.is_empty() {
                            span { class: "reason-answer", "{bar.answer}" }
                        }
                    }
                    div { class: "reason-track", "aria-hidden": "true",
                        span { class: "reason-bar", style: "width:{bar.weight.abs() / most * 50.0}%" }
                    }
                    p { class: "reason-text",
                        span { class: "reason-sign",
                            {if bar.weight > 0.0 { t!("raises") } else { t!("lowers") }}
                        }
                        " {bar.sentence}"
                    }
                }
            }
        }
    }
}

/// The drawing area of a [`SparkLine`].
const SPARK: (f64, f64) = (320.0, 96.0);

/// Where a point of a spark line stands: evenly in time order, by its place on the T scale.
fn spark_point(index: usize, count: usize, on_scale: f64) -> (f64, f64) {
    let across = if count > 1 { index as f64 / (count - 1) as f64 } else { 0.5 };
    (8.0 + across * (SPARK.0 - 16.0), 6.0 + on_scale * (SPARK.1 - 12.0))
}

/// PD over time on the T scale: low risk on top. `points` are PDs with their group, oldest first.
#[component]
pub fn SparkLine(points: Vec<(f64, Group)>, cuts: Vec<f64>, label: String) -> Element {
    let count = points.len();
    let places: Vec<(f64, f64, Group)> = points
        .iter()
        .enumerate()
        .map(|(index, (pd, group))| {
            let on_scale =
                if cuts.is_empty() { (group.index() as f64 + 0.5) / 8.0 } else { needle(&cuts, *pd) };
            let (x, y) = spark_point(index, count, on_scale);
            (x, y, *group)
        })
        .collect();
    let line: Vec<String> = places.iter().map(|(x, y, _)| format!("{x:.1},{y:.1}")).collect();
    rsx! {
        svg {
            class: "spark",
            view_box: "0 0 {SPARK.0} {SPARK.1}",
            role: "img",
            "aria-label": label,
            "data-testid": "spark",
            for part in Group::ALL {
                rect {
                    key: "{part}",
                    class: "spark-band",
                    "data-group": part.as_str(),
                    x: "0",
                    width: "4",
                    y: "{6.0 + part.index() as f64 * (SPARK.1 - 12.0) / 8.0}",
                    height: "{(SPARK.1 - 12.0) / 8.0}",
                }
            }
            polyline { class: "spark-line", points: line.join(" ") }
            for (index , (x , y , group)) in places.into_iter().enumerate() {
                circle {
                    key: "{index}",
                    class: "spark-dot",
                    "data-group": group.as_str(),
                    cx: "{x:.1}",
                    cy: "{y:.1}",
                    r: "5",
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_needle_stands_in_the_groups_own_part() {
        let cuts = [0.02, 0.04, 0.08, 0.12, 0.2, 0.3, 0.5];
        for (pd, part) in [(0.0, 0.0), (0.01, 0.5), (0.02, 1.0), (0.25, 5.5), (1.0, 8.0)] {
            assert!((needle(&cuts, pd) * 8.0 - part).abs() < 1e-9, "{pd}");
        }
    }

    #[test]
    fn one_point_stands_in_the_middle_and_many_span_the_width() {
        assert_eq!(spark_point(0, 1, 0.0).0, SPARK.0 / 2.0);
        assert_eq!(spark_point(0, 3, 0.0).0, 8.0);
        assert_eq!(spark_point(2, 3, 1.0), (SPARK.0 - 8.0, SPARK.1 - 6.0));
    }
}
