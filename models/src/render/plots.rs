//! Plots as inline SVG: colours come from the page's style, so that they follow light and dark.

use super::html::{drawn, percent};
use super::words::{OBSERVED_AXIS, PREDICTED_AXIS, Words};
use std::fmt::Write as _;
use vereda_scoring::Model;
use vereda_scoring::bundle::Distribution;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 48.0;
/// Where axes of probability have marks.
const TICKS: [f64; 8] = [0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0];

/// Probabilities stand at their square roots: there is as much to see below 10 % as above 50 %.
fn along(p: f64) -> f64 {
    p.clamp(0.0, 1.0).sqrt()
}

fn x(p: f64) -> f64 {
    LEFT + along(p) * (WIDTH - LEFT - RIGHT)
}

fn y(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

fn open(name: Words) -> String {
    let (es, en) = name;
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{es} / {en}\"><rect class=\"plot\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"/>",
        WIDTH - LEFT - RIGHT,
        HEIGHT - TOP - BOTTOM
    )
}

fn x_axis(out: &mut String, title: Words) {
    for tick in TICKS {
        let at = x(tick);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/><text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            y(0.0),
            y(0.0) + 17.0,
            percent(tick)
        );
    }
    let _ = write!(
        out,
        "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 8.0,
        drawn(title)
    );
}

/// Predicted against observed default, a dot per group with its interval.
pub fn calibration(model: &Model, name: Words) -> Option<String> {
    let rows = &model.bundle().card.calibration;
    if rows.iter().all(|row| row.rows == 0) {
        return None;
    }
    let mut out = open(name);
    x_axis(&mut out, PREDICTED_AXIS);
    for tick in TICKS {
        let at = y(along(tick));
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 7.0,
            at + 4.0,
            percent(tick)
        );
    }
    let _ = write!(
        out,
        "<text class=\"axis\" x=\"{LEFT}\" y=\"14\">{}</text><line class=\"diagonal\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        drawn(OBSERVED_AXIS),
        x(0.0),
        y(0.0),
        x(1.0),
        y(1.0)
    );
    for row in rows.iter().filter(|row| row.rows > 0) {
        let group = row.group.as_str().to_lowercase();
        let at = x(row.predicted);
        let (low, high) = (y(along(row.interval.0)), y(along(row.interval.1)));
        let _ = write!(
            out,
            "<g class=\"mark {group}\"><title>{}: {} → {} ({} – {}), n = {}</title><line class=\"whisker\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\"/><circle cx=\"{at:.1}\" cy=\"{:.1}\" r=\"5.5\"/><text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
            row.group,
            percent(row.predicted),
            percent(row.observed),
            percent(row.interval.0),
            percent(row.interval.1),
            row.rows,
            y(along(row.observed)),
            at + 11.0,
            y(along(row.observed)) + 15.0,
            row.group
        );
    }
    out.push_str("</svg>");
    Some(out)
}

/// How probabilities were spread, a bar per bin in the colour of its group.
pub fn distribution(model: &Model, name: Words) -> Option<String> {
    let bundle = model.bundle();
    let Distribution::Numeric { edges, shares, .. } = &bundle.reference.score else { return None };
    if bundle.reference.rows == 0 || shares.iter().all(|share| *share == 0.0) {
        return None;
    }
    let mut ends = vec![0.0];
    ends.extend(edges.iter().copied().filter(|edge| *edge > 0.0 && *edge < 1.0));
    ends.push(1.0);
    if ends.len() != shares.len() + 1 {
        return None;
    }
    let bars: Vec<(f64, f64, f64)> = ends
        .windows(2)
        .zip(shares)
        .filter_map(|(ends, share)| match ends {
            [from, to] => Some((*from, *to, share / (along(*to) - along(*from)))),
            _ => None,
        })
        .collect();
    let highest = bars.iter().map(|bar| bar.2).fold(0.0, f64::max);
    let mut out = open(name);
    x_axis(&mut out, PREDICTED_AXIS);
    for ((from, to, density), share) in bars.iter().zip(shares) {
        let group = model.group((from + to) / 2.0).as_str().to_lowercase();
        let (left, right, top) = (x(*from), x(*to), y(0.94 * density / highest));
        let _ = write!(
            out,
            "<g class=\"mark {group}\"><title>{} – {}: {}</title><rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"/></g>",
            percent(*from),
            percent(*to),
            percent(*share),
            left + 0.75,
            (right - left - 1.5).max(0.5),
            y(0.0) - top
        );
    }
    let mut from = 0.0;
    for (index, to) in bundle.groups.cuts.iter().copied().chain([1.0]).enumerate() {
        let middle = (x(from) + x(to)) / 2.0;
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">T{}</text>",
            TOP - 8.0,
            index + 1
        );
        if to < 1.0 {
            let _ = write!(
                out,
                "<line class=\"cut\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\"/>",
                x(to),
                TOP - 20.0,
                y(0.0)
            );
        }
        from = to;
    }
    out.push_str("</svg>");
    Some(out)
}

/// A bar from the middle: to the right raises the risk, to the left lowers it. `largest` reaches the
/// end.
pub fn diverging(effect: f64, largest: f64) -> String {
    let half = 100.0;
    let length = if largest > 0.0 { (effect.abs() / largest).min(1.0) * (half - 2.0) } else { 0.0 };
    let (from, class) = if effect < 0.0 { (half - length, "lowers") } else { (half, "raises") };
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 200 14\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><line class=\"zero\" x1=\"100\" x2=\"100\" y1=\"0\" y2=\"14\"/><rect class=\"{class}\" x=\"{from:.2}\" y=\"2\" width=\"{length:.2}\" height=\"10\" rx=\"2\"/></svg>"
    )
}

/// The shares of a distribution as small columns, the share without an answer last and apart.
pub fn spark(distribution: &Distribution) -> String {
    let (shares, missing): (Vec<f64>, f64) = match distribution {
        Distribution::Numeric { shares, missing, .. } => (shares.clone(), *missing),
        Distribution::Categorical { shares, missing } => (shares.values().copied().collect(), *missing),
    };
    let highest = shares.iter().copied().fold(missing, f64::max).max(1e-9);
    let columns = shares.len() + usize::from(missing > 0.0);
    let step = 120.0 / columns as f64;
    let mut out = String::from(
        "<svg class=\"spark\" viewBox=\"0 0 120 30\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
    );
    let rest = (missing > 0.0).then_some((missing, "missing"));
    for (index, (share, class)) in shares.iter().map(|share| (*share, "share")).chain(rest).enumerate() {
        let height = (28.0 * share / highest).max(0.8);
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{height:.2}\"/>",
            index as f64 * step + 0.5,
            30.0 - height,
            (step - 1.5).max(0.5)
        );
    }
    out.push_str("</svg>");
    out
}
