//! The commands that read tables: `score`, `explain`, `evaluate`, `diff`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SCORECARD: &str = "bundles/reference-scorecard-1.json";
const BOOSTED: &str = "bundles/reference-boosted-2.json";
const HEADER: &str = "amount,term_months,price,job,seniority_years,income,home,expenses,assets,debt,records";
const GOOD: &str = "800,60,846,freelance,9,129,rent,73,0,0,false";

fn file(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name).to_str().unwrap().to_owned()
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vereda-model"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn done(output: Output) -> Output {
    assert!(output.status.success(), "{}", err(&output));
    output
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_cell_that_cannot_be_scored_stops_with_row_column_and_value() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (bad, told) in [
        (
            "9,60,846,freelance,9,129,rent,73,0,0,false,",
            "column amount, value \"9\": must be between 50 and 20000",
        ),
        (
            "800,x,846,freelance,9,129,rent,73,0,0,false,",
            "column term_months, value \"x\": must be a whole number",
        ),
        ("800,60,846,pilot,9,129,rent,73,0,0,false,", "column job, value \"pilot\": must be one of fixed"),
        (
            "800,60,846,freelance,,129,rent,73,0,0,false,",
            "column seniority_years, value \"\": an answer is required",
        ),
        (
            "800,60,846,freelance,9,129,rent,73,0,0,maybe,",
            "column records, value \"maybe\": must be true or false",
        ),
        ("800,60,846,freelance,9,inf,rent,73,0,0,false,", "column income, value \"inf\""),
        ("800,60,846,\u{1b}[2J,9,129,rent,73,0,0,false,", "column job, value \"\\u{1b}[2J\""),
        ("800,60,846", "it has 3 cells and the header has 12"),
    ] {
        // A line break in quotes makes the file's lines differ from the rows' numbers.
        fs::write(here.join("out.csv"), "as it was").unwrap();
        let rows = format!("{HEADER},note\n{GOOD},\"a\nb\"\n{bad}\n");
        fs::write(here.join("rows.csv"), rows).unwrap();
        let output = run(here, &["score", &file(SCORECARD), "rows.csv", "--out", "out.csv"]);
        assert_eq!(output.status.code(), Some(1), "{bad}");
        assert!(err(&output).contains("row 2 (line 4)"), "{}", err(&output));
        assert!(err(&output).contains(told), "{told}: {}", err(&output));
        // Nothing half-written, nothing left behind.
        assert_eq!(fs::read_to_string(here.join("out.csv")).unwrap(), "as it was");
        assert_eq!(names(here), ["out.csv", "rows.csv"]);
    }
}

#[test]
fn bad_rows_can_be_set_aside_corrected_and_scored() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let bad = "800,60,846,\"pi,lot\",9,129,rent,73,0,0,maybe";
    fs::write(here.join("rows.csv"), format!("{HEADER}\n{GOOD}\n{bad}\n{GOOD}\n1,2\n")).unwrap();
    let output =
        done(run(here, &["score", &file(SCORECARD), "rows.csv", "--on-error", "skip", "--out", "out.csv"]));
    assert!(err(&output).contains("2 rows scored"), "{}", err(&output));
    assert!(err(&output).contains("2 rows could not be scored: see rows.rejects.csv"), "{}", err(&output));
    let scores = fs::read_to_string(here.join("out.csv")).unwrap();
    let lines: Vec<&str> = scores.lines().collect();
    assert_eq!(lines.len(), 5, "a line for every row");
    assert_eq!((lines[2], lines[4]), (",,", ",,"));
    assert_eq!(lines[1], lines[3]);

    let rejects = fs::read_to_string(here.join("rows.rejects.csv")).unwrap();
    let lines: Vec<&str> = rejects.lines().collect();
    assert_eq!(lines[0], format!("reject_line,reject_column,reject_value,reject_reason,{HEADER}"));
    assert_eq!(
        lines[1],
        format!(
            "3,job; records,\"pi,lot; maybe\",\"must be one of fixed, part_time, freelance, other; must be true or false\",{bad}"
        )
    );
    assert_eq!(lines[2], "5,,,it has 2 cells and the header has 11,1,2");

    // Corrected, it is a table like any other.
    let corrected = [lines[0], &lines[1].replace(bad, GOOD)].join("\n");
    fs::write(here.join("again.csv"), corrected).unwrap();
    let output = done(run(here, &["score", &file(SCORECARD), "again.csv"]));
    assert!(out(&output).lines().nth(1).unwrap().ends_with(",T4"), "{}", out(&output));

    // With nothing to set aside, an old rejects file does not stay to mislead.
    fs::write(here.join("rows.csv"), format!("{HEADER}\n{GOOD}\n")).unwrap();
    done(run(here, &["score", &file(SCORECARD), "rows.csv", "--on-error", "skip"]));
    assert_eq!(fs::read_to_string(here.join("rows.rejects.csv")).unwrap().lines().count(), 1);
}

#[test]
fn columns_are_found_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let refused = |rows: &str, told: &str| {
        fs::write(here.join("rows.csv"), rows).unwrap();
        let output = run(here, &["score", &file(SCORECARD), "rows.csv"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(told), "{}", err(&output));
    };
    refused("amount,price\n1,2\n", "no column term_months, job");
    refused(&format!("{HEADER},amount\n{GOOD},1\n"), "two columns amount");
    refused("", "no column amount");
    // A mark that spreadsheets write, blanks around cells, CR LF, another order.
    let rows = format!("\u{feff}{HEADER} \r\n {} \r\n", GOOD.replace(',', " , "));
    fs::write(here.join("rows.csv"), rows).unwrap();
    let output = done(run(here, &["score", &file(SCORECARD), "rows.csv"]));
    assert!(out(&output).ends_with(",T4\n"), "{}", out(&output));
}

/// Many chunks over several threads give the same lines as one row after the other.
#[test]
fn the_order_of_rows_is_kept_whatever_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let mut rows = format!("{HEADER}\n");
    for row in 0..20_000 {
        let amount = 50 + row % 19_000;
        let (months, years, income) = (1 + row % 119, row % 61, row % 401);
        rows.push_str(&format!("{amount},{months},846,freelance,{years},{income},rent,73,0,0,false\n"));
    }
    fs::write(here.join("rows.csv"), rows).unwrap();
    let score = |threads: &str| {
        done(run(here, &["score", &file(BOOSTED), "rows.csv", "--out", "out.csv", "--threads", threads]));
        fs::read_to_string(here.join("out.csv")).unwrap()
    };
    let one = score("1");
    assert_eq!(one.lines().count(), 20_001);
    assert!(one.lines().collect::<std::collections::HashSet<_>>().len() > 1_000);
    assert!(one == score("2") && one == score("5"), "threads change the lines");
}

/// A quote that is never closed would make the rest of a table one cell.
#[test]
fn a_row_has_a_greatest_length() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let mut rows = format!("{HEADER}\n{GOOD}\n\"");
    rows.push_str(&format!("{GOOD}\n").repeat(60_000));
    fs::write(here.join("rows.csv"), rows).unwrap();
    let output = run(here, &["score", &file(SCORECARD), "rows.csv", "--out", "out.csv"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("is a quote not closed?"), "{}", err(&output));
    assert_eq!(names(here), ["rows.csv"]);
}

#[test]
fn tables_come_from_standard_input_and_results_go_through_pipes() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vereda-model"))
        .args(["score", &file(SCORECARD), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{HEADER}\n{GOOD}\n").as_bytes()).unwrap();
    let output = done(child.wait_with_output().unwrap());
    assert_eq!(out(&output).lines().count(), 2);
}

#[test]
fn explanations_add_up_to_the_margin() {
    let folder = tempfile::tempdir().unwrap();
    for bundle in [SCORECARD, BOOSTED] {
        let arguments = ["explain", &file(bundle), &file("tests/data/sample.csv")];
        let text = out(&done(run(folder.path(), &arguments)));
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split(',').collect();
        assert_eq!(header[..3], ["margin", "pd", "group"]);
        assert!(header[3..].iter().all(|name| name.starts_with("contrib_")), "{header:?}");
        assert_eq!(header.last(), Some(&"contrib_bias"));
        let mut rows = 0;
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |cell: &&str| cell.parse::<f64>().unwrap();
            let (margin, sum) = (number(&cells[0]), cells[3..].iter().map(number).sum::<f64>());
            assert!((margin - sum).abs() <= 1e-6 * margin.abs().max(1.0), "{line}");
            rows += 1;
        }
        assert_eq!(rows, 297);
    }
}

/// The reference data as the models want them, with the outcome.
fn labelled(folder: &Path) {
    let sample = fs::read_to_string(file("tests/data/sample.csv")).unwrap();
    let mut lines = sample.lines();
    let mut rows = format!("{},Status\n", lines.next().unwrap());
    // Defaults by a rule that goes with the models' features and is not theirs.
    for (index, line) in lines.enumerate() {
        let cells: Vec<&str> = line.split(',').collect();
        let bad = cells[10] == "true" || (cells[3] == "freelance" && index % 3 == 0) || index % 11 == 0;
        rows.push_str(&format!("{line},{}\n", if bad { "1" } else { "0" }));
    }
    fs::write(folder.join("rows.csv"), rows).unwrap();
}

#[test]
fn evaluate_tells_figures_calibration_and_drift() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    labelled(here);
    let arguments = ["evaluate", &file(BOOSTED), "rows.csv", "--target", "Status"];
    let text = out(&done(run(here, &arguments)));
    for part in
        ["297 rows", "AUC", "Gini", "KS", "Brier", "log-loss", "Jeffreys", "T8", "score  ", "amount  "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json: Value =
        serde_json::from_str(&out(&done(run(here, &[&arguments[..], &["--json"]].concat())))).unwrap();
    // Against the scores that `score` writes.
    let scores = out(&done(run(here, &["score", &file(BOOSTED), "rows.csv"])));
    let rows = fs::read_to_string(here.join("rows.csv")).unwrap();
    let outcomes: Vec<(f64, String, bool)> = scores
        .lines()
        .zip(rows.lines())
        .skip(1)
        .map(|(score, row)| {
            let cells: Vec<&str> = score.split(',').collect();
            (cells[1].parse().unwrap(), cells[2].to_owned(), row.ends_with(",1"))
        })
        .collect();
    let (bads, goods): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| outcome.2);
    let mut won = 0.0;
    for bad in &bads {
        for good in &goods {
            won += if bad.0 > good.0 {
                1.0
            } else if bad.0 == good.0 {
                0.5
            } else {
                0.0
            };
        }
    }
    let auc = won / (bads.len() * goods.len()) as f64;
    assert!((json["figures"]["auc"].as_f64().unwrap() - auc).abs() < 1e-12);
    assert_eq!(json["bads"], bads.len());
    for group in json["groups"].as_array().unwrap() {
        let there = outcomes.iter().filter(|outcome| *outcome.1 == group["group"]);
        assert_eq!(group["rows"], there.clone().count());
        assert_eq!(group["bads"], there.filter(|outcome| outcome.2).count());
    }
    // A sample of the training data has not drifted from them, and a table of one person has.
    assert!(json["feature_drift"].as_array().unwrap().iter().all(|f| f["psi"].as_f64().unwrap() < 0.25));
    fs::write(here.join("rows.csv"), format!("{HEADER},Status\n{}", format!("{GOOD},0\n").repeat(9)))
        .unwrap();
    let text = out(&done(run(here, &arguments)));
    assert!(text.contains("needs both defaults and non-defaults") && text.contains("SHIFTED"), "{text}");

    fs::write(here.join("rows.csv"), format!("{HEADER},Status\n{GOOD},2\n")).unwrap();
    let output = run(here, &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("row 1 (line 2), column Status, value \"2\""), "{}", err(&output));
    let output = run(here, &["evaluate", &file(BOOSTED), "rows.csv", "--target", "Default"]);
    assert!(err(&output).contains("no column Default"), "{}", err(&output));
}

#[test]
fn diff_counts_who_changes_group() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let rows = file("tests/data/sample.csv");
    let arguments = ["diff", &file(SCORECARD), &file(BOOSTED), &rows, "--changes", "changes.csv"];
    let text = out(&done(run(here, &arguments)));
    assert!(text.contains("of 297 rows change group") && text.contains("Largest movers"), "{text}");
    let json: Value =
        serde_json::from_str(&out(&done(run(here, &[&arguments[..], &["--json"]].concat())))).unwrap();
    let groups = |bundle: &str| -> Vec<(f64, String)> {
        out(&done(run(here, &["score", &file(bundle), &rows])))
            .lines()
            .skip(1)
            .map(|line| {
                let cells: Vec<&str> = line.split(',').collect();
                (cells[1].parse().unwrap(), cells[2].to_owned())
            })
            .collect()
    };
    let (old, new) = (groups(SCORECARD), groups(BOOSTED));
    let changed = old.iter().zip(&new).filter(|(old, new)| old.1 != new.1).count();
    assert!(changed > 0);
    assert_eq!(json["changed"], changed);
    let mut matrix = vec![vec![0u64; 8]; 8];
    let index = |group: &str| group[1..].parse::<usize>().unwrap() - 1;
    for (old, new) in old.iter().zip(&new) {
        matrix[index(&old.1)][index(&new.1)] += 1;
    }
    assert_eq!(json["matrix"], serde_json::json!(matrix));
    assert_eq!(fs::read_to_string(here.join("changes.csv")).unwrap().lines().count(), changed + 1);
    let mut changes: Vec<f64> = old.iter().zip(&new).map(|(old, new)| (new.0 - old.0).abs()).collect();
    changes.sort_by(|a, b| b.total_cmp(a));
    for (mover, expected) in json["movers"].as_array().unwrap().iter().zip(&changes) {
        let pd = |which: &str| mover[which]["pd"].as_f64().unwrap();
        assert_eq!((pd("new") - pd("old")).abs(), *expected);
    }
    assert_eq!(json["movers"].as_array().unwrap().len(), 10);

    // A model against itself changes nothing.
    let text = out(&done(run(here, &["diff", &file(BOOSTED), &file(BOOSTED), &rows])));
    assert!(text.contains("0 of 297 rows change group") && !text.contains("Largest"), "{text}");
}
