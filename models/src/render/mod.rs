//! `render`: a bundle's model card and scorecard as one HTML page, in both languages, that needs
//! nothing beside itself.

mod effects;
mod html;
mod plots;
mod words;

use crate::bundle::{self, Checked};
use crate::inspect::{self, Language};
use crate::{Error, output};
use html::{escape, number, percent, signed, text, words};
use std::fmt::Write as _;
use std::path::PathBuf;
use vereda_scoring::bundle::{Bundle, Direction, Estimator, Feature};

/// What `render` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The bundle.
    bundle: PathBuf,
    /// Where to write the page; standard output if absent.
    #[arg(long, value_name = "HTML")]
    out: Option<PathBuf>,
    /// Which language shows first; the page has a switch.
    #[arg(long, value_enum, default_value = "en")]
    language: Language,
}

/// Writes the page.
///
/// # Errors
/// When the bundle is refused, or writing fails.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let checked = bundle::read(&arguments.bundle)?;
    output::write(arguments.out.as_deref(), page(&checked, arguments.language).as_bytes())
}

/// The page.
pub fn page(checked: &Checked, language: Language) -> String {
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = write(&mut out, checked, language);
    out
}

fn write(out: &mut String, checked: &Checked, language: Language) -> std::fmt::Result {
    let bundle = checked.model.bundle();
    let (code, es, en) = match language {
        Language::Es => ("es", " checked", ""),
        Language::En => ("en", "", " checked"),
    };
    write!(
        out,
        "<!doctype html>\n<html lang=\"{code}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{} · {}</title>\n<style>\n{}</style>\n</head>\n<body>\n\
         <fieldset class=\"languages\"><legend>{}</legend>\
         <label><input type=\"radio\" name=\"language\" id=\"es\"{es}>Español</label>\
         <label><input type=\"radio\" name=\"language\" id=\"en\"{en}>English</label></fieldset>\n<main>\n",
        escape(language.of(&bundle.name)),
        bundle.version,
        include_str!("style.css"),
        words(words::LANGUAGE)
    )?;
    head(out, checked)?;
    groups(out, checked)?;
    plots(out, checked)?;
    features(out, checked)?;
    notes(out, checked)?;
    out.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

fn head(out: &mut String, checked: &Checked) -> std::fmt::Result {
    let bundle = checked.model.bundle();
    let card = &bundle.card;
    writeln!(
        out,
        "<header><p class=\"kicker\">{} · {} {}</p><h1>{}</h1><p class=\"lead\">{}</p></header>",
        words(words::MODEL_CARD),
        words(words::VERSION),
        bundle.version,
        text(&bundle.name),
        text(&card.purpose)
    )?;
    if card.metrics.is_empty() {
        return Ok(());
    }
    write!(out, "<section><h2>{}</h2><div class=\"tiles\">", words(words::HOW_GOOD))?;
    for metric in &card.metrics {
        let Some((name, meaning)) = words::metric(&metric.name) else { continue };
        let deviation = metric.deviation.map_or(String::new(), |d| format!("<small>± {d:.3}</small>"));
        write!(
            out,
            "<div class=\"tile\" title=\"{}\"><b>{name}</b><strong>{:.3}{deviation}</strong><span>{}</span></div>",
            escape(&metric.method),
            metric.value,
            words(meaning)
        )?;
    }
    out.push_str("</div>");
    // Mostly the same for every figure.
    let mut methods: Vec<&str> = card.metrics.iter().map(|metric| metric.method.as_str()).collect();
    methods.dedup();
    writeln!(out, "<p class=\"note\" lang=\"en\">{}</p></section>", escape(&methods.join("; ")))
}

fn groups(out: &mut String, checked: &Checked) -> std::fmt::Result {
    let bundle = checked.model.bundle();
    write!(
        out,
        "<section><h2>{}</h2><div class=\"scroll\"><table class=\"groups\"><thead><tr><th>{}</th><th>{}</th><th>{}</th><th>{}</th><th>{}</th></tr></thead><tbody>",
        words(words::GROUPS),
        words(words::GROUP),
        words(words::PD_RANGE),
        words(words::POLICY),
        words(words::SHARE),
        words(words::OBSERVED)
    )?;
    let shares = &bundle.reference.group_shares;
    let largest = shares.iter().copied().fold(0.0, f64::max);
    let cut = |index: usize| bundle.groups.cuts.get(index).copied();
    for (index, group) in bundle.groups.groups.iter().enumerate() {
        let from = index.checked_sub(1).and_then(cut).unwrap_or(0.0);
        let share = match shares.get(index) {
            Some(share) => format!(
                "<div class=\"meter t{}\"><i style=\"width:{:.1}%\"></i></div><span>{}</span>",
                index + 1,
                if largest > 0.0 { 100.0 * share / largest } else { 0.0 },
                percent(*share)
            ),
            None => words(words::UNKNOWN),
        };
        let row = bundle.card.calibration.iter().find(|row| row.group.index() == index && row.rows > 0);
        let observed = row.map_or_else(
            || words(words::UNKNOWN),
            |row| {
                format!(
                    "{} <small>({} – {})</small>",
                    percent(row.observed),
                    percent(row.interval.0),
                    percent(row.interval.1)
                )
            },
        );
        write!(
            out,
            "<tr><th scope=\"row\"><span class=\"chip t{0}\">T{0}</span> {1}</th><td>{2} – {3}</td><td><span title=\"{4}\">{5}</span><small class=\"action\">{6}</small></td><td class=\"share\">{share}</td><td>{observed}</td></tr>",
            index + 1,
            text(&group.label),
            percent(from),
            percent(cut(index).unwrap_or(1.0)),
            escape(&group.action.en),
            words(words::decision(group.decision)),
            text(&group.action)
        )?;
    }
    writeln!(out, "</tbody></table></div><p class=\"note\">{}</p></section>", words(words::GROUPS_NOTE))
}

fn plots(out: &mut String, checked: &Checked) -> std::fmt::Result {
    let model = &checked.model;
    let figures = [
        (words::CALIBRATION, words::CALIBRATION_NOTE, plots::calibration(model, words::CALIBRATION)),
        (words::DISTRIBUTION, words::DISTRIBUTION_NOTE, plots::distribution(model, words::DISTRIBUTION)),
    ];
    out.push_str("<section class=\"figures\">");
    for (name, note, plot) in figures {
        if let Some(plot) = plot {
            write!(
                out,
                "<figure><h2>{}</h2>{plot}<figcaption class=\"note\">{}</figcaption></figure>",
                words(name),
                words(note)
            )?;
        }
    }
    out.push_str("</section>\n");
    Ok(())
}

fn features(out: &mut String, checked: &Checked) -> std::fmt::Result {
    let model = &checked.model;
    let bundle = model.bundle();
    let effects = effects::effects(model);
    let largest = effects.iter().flat_map(|(_, answers)| answers).map(|a| a.effect.abs()).fold(0.0, f64::max);
    let is_card = effects.iter().flat_map(|(_, answers)| answers).any(|answer| answer.points.is_some());
    let (title, note) = match &bundle.estimator {
        Estimator::TreeEnsemble { .. } => (words::FEATURES, words::PARTIAL_NOTE),
        _ if is_card => (words::SCORECARD, words::EXACT_NOTE),
        _ => (words::FEATURES, words::EXACT_NOTE),
    };
    write!(out, "<section><h2>{}</h2><p class=\"note\">{}", words(title), words(note))?;
    if is_card {
        write!(out, " {}", words(words::POINTS_NOTE))?;
    }
    write!(
        out,
        "</p><p class=\"legend\"><i class=\"lowers\"></i>{} <i class=\"raises\"></i>{}</p>",
        words(words::LOWERS),
        words(words::RAISES)
    )?;
    for section in &bundle.schema.sections {
        write!(out, "<h3 class=\"part\">{}</h3><div class=\"features\">", text(&section.label))?;
        for feature in bundle.schema.features.iter().filter(|feature| feature.section == section.id) {
            let answers = effects.iter().find(|(scored, _)| scored.name == feature.name);
            feature_card(out, bundle, feature, answers.map(|(_, answers)| answers.as_slice()), largest)?;
        }
        out.push_str("</div>");
    }
    out.push_str("</section>\n");
    Ok(())
}

fn feature_card(
    out: &mut String,
    bundle: &Bundle,
    feature: &Feature,
    answers: Option<&[effects::Answer]>,
    largest: f64,
) -> std::fmt::Result {
    let reference = bundle.reference.features.get(&feature.name);
    write!(out, "<article><div class=\"title\"><div><h4>{}</h4>", text(&feature.label))?;
    write!(out, "<p class=\"meta\"><code>{}</code>", escape(&feature.name))?;
    for remark in remarks(bundle, feature, answers.is_some()) {
        write!(out, " · {}", words(remark))?;
    }
    out.push_str("</p></div>");
    if let Some(reference) = reference {
        let (es, en) = words::IN_TRAINING;
        write!(out, "<div class=\"shares\" title=\"{es} / {en}\">{}</div>", plots::spark(reference))?;
    }
    out.push_str("</div>");
    if let Some(answers) = answers {
        let points = answers.iter().any(|answer| answer.points.is_some());
        write!(
            out,
            "<table class=\"effects\"><thead><tr><th>{}</th><th colspan=\"2\">{}</th>{}</tr></thead><tbody>",
            words(words::ANSWER),
            words(words::EFFECT),
            if points { format!("<th class=\"n\">{}</th>", words(words::POINTS)) } else { String::new() }
        )?;
        for answer in answers {
            let title = answer.share.map_or(String::new(), |share| format!(" title=\"{}\"", percent(share)));
            write!(
                out,
                "<tr{title}><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td>",
                answer.label,
                plots::diverging(answer.effect, largest),
                signed(answer.effect)
            )?;
            if let Some(points) = answer.points {
                write!(out, "<td class=\"n\">{}</td>", html::decimal(points))?;
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table>");
    }
    if let Some(reason) = bundle.reasons.texts.get(&feature.name) {
        write!(
            out,
            "<details><summary>{}</summary><p class=\"raises\">{}</p><p class=\"lowers\">{}</p></details>",
            words(words::REASONS),
            text(&reason.raises),
            text(&reason.lowers)
        )?;
    }
    out.push_str("</article>");
    Ok(())
}

fn remarks(bundle: &Bundle, feature: &Feature, scored: bool) -> Vec<words::Words> {
    let mut remarks = Vec::new();
    if !scored {
        remarks.push(words::NOT_SCORED);
    }
    if feature.missing_allowed {
        remarks.push(words::MAY_BE_MISSING);
    }
    match inspect::monotone(bundle, feature) {
        Some(Direction::Rises) => remarks.push(words::NEVER_LOWERS),
        Some(Direction::Falls) => remarks.push(words::NEVER_RAISES),
        None => {}
    }
    remarks
}

fn notes(out: &mut String, checked: &Checked) -> std::fmt::Result {
    let bundle = checked.model.bundle();
    let card = &bundle.card;
    write!(out, "<section class=\"notes\"><div><h2>{}</h2><ul>", words(words::LIMITS))?;
    for limit in &card.limits {
        write!(out, "<li>{}</li>", text(limit))?;
    }
    let mut protected = String::new();
    for (feature, argument) in &card.protected {
        write!(protected, "<p><code>{}</code> {}</p>", escape(feature), text(argument))?;
    }
    write!(
        out,
        "</ul></div><div><h2>{}</h2><p>{}</p>{}<h2>{}</h2><p>{}, {} {}. {}</p><p class=\"hash\">sha256 {}</p></div></section>",
        words(words::FAIRNESS),
        text(&card.fairness),
        protected,
        words(words::DATA),
        escape(&card.data.name),
        number(card.data.rows as f64),
        words(words::ROWS),
        text(&card.data.source),
        escape(&card.data.sha256)
    )?;
    write!(out, "<section><h2>{}</h2><dl>", words(words::IDENTITY))?;
    let entries = [
        ("id".to_owned(), format!("<code>{}</code>", escape(&bundle.id))),
        ("sha256".to_owned(), format!("<code>{}</code>", checked.model.sha256())),
        (
            words(words::CREATED),
            format!("{} {} {}", escape(&card.created), words(words::BY), escape(&card.author)),
        ),
        (words(words::ESTIMATOR), escape(&inspect::estimator(bundle))),
        (words(words::CALIBRATED_BY), escape(&inspect::calibration(&bundle.calibration))),
        (words(words::GOLDEN), format!("{} {}", bundle.golden.len(), words(words::EQUAL_TO_THE_BIT))),
        (words(words::SIZE), format!("{} bytes", number(checked.bytes.len() as f64))),
    ];
    for (name, value) in entries {
        write!(out, "<dt>{name}</dt><dd>{value}</dd>")?;
    }
    out.push_str("</dl></section>\n");
    Ok(())
}
