//! `vereda-model import`, from a model that XGBoost wrote to a bundle that a device takes.
//! `models/peers/import_fixture.py` made the model and the rows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use vereda_scoring::Model;
use vereda_scoring::bundle::{Calibration, Direction, Estimator, Group};
use vereda_scoring::import::PLACEHOLDER;

fn data(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/import")
        .join(name)
        .to_str()
        .unwrap()
        .to_owned()
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vereda-model"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs `import` on the committed model and expects it to succeed.
fn import(arguments: &[&str]) -> String {
    let model = data("model.ubj");
    let mut all = vec!["import", "--format", "xgboost", &model];
    all.extend(arguments);
    let output = run(&all);
    assert!(output.status.success(), "{}", err(&output));
    err(&output)
}

fn refused(arguments: &[&str]) -> String {
    let model = data("model.ubj");
    let mut all = vec!["import", "--format", "xgboost", &model];
    all.extend(arguments);
    let output = run(&all);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    err(&output)
}

fn load(path: &Path) -> Model {
    Model::load(&std::fs::read(path).unwrap()).unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The schema that the model implies, with every mark removed, as an analyst would have it.
    fn edited(&self, change: impl FnOnce(String) -> String) -> String {
        import(&["--write-schema", &self.text("schema.toml")]);
        let written = std::fs::read_to_string(self.path("schema.toml")).unwrap();
        assert!(written.contains(PLACEHOLDER.en) && written.contains(PLACEHOLDER.es));
        let edited = written.replace(PLACEHOLDER.en, "").replace(PLACEHOLDER.es, "");
        std::fs::write(self.path("edited.toml"), change(edited)).unwrap();
        self.text("edited.toml")
    }
}

#[test]
fn a_model_alone_becomes_a_bundle_that_says_what_nobody_has_written() {
    let folder = Folder::new();
    let said = import(&["--out", &folder.text("bundle.json")]);
    assert!(said.contains("XGBoost 3.2.0, 7 columns"), "{said}");
    assert!(said.contains("texts are still marked"), "{said}");
    let model = load(&folder.path("bundle.json"));
    let bundle = model.bundle();
    assert!(bundle.schema.features.iter().all(|feature| PLACEHOLDER.marks(&feature.label)));
    assert_eq!((bundle.reference.rows, bundle.reference.features.len()), (0, 0));
    assert!(bundle.card.limits.iter().any(|limit| limit.en.contains("computed on import")));
    let names: Vec<&str> = bundle.schema.features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, ["amount", "loan_term", "home", "job", "income", "seniority", "records"]);
    assert!(run(&["verify", &folder.text("bundle.json")]).status.success());
}

/// The whole way: schema written, edited and given back; calibrated; compared with the library's
/// margins; then scored by the bundle alone.
#[test]
fn an_edited_schema_rows_and_the_library_s_margins_make_a_finished_bundle() {
    let folder = Folder::new();
    let schema = folder.edited(|text| {
        text.replace("id = \"imported\"", "id = \"field-loans\"")
            .replace("# monotone = \"rises\"  (or", "#(")
            .replacen("missing_allowed = true", "missing_allowed = false\nmonotone = \"rises\"", 1)
            .replace("name = \"loan_term\"", "name = \"months\"")
            .replace("created = \"YYYY-MM-DD\"", "")
            .replace("author = \"?\"", "author = \"Ana\"\ncreated = \"2026-01-31\"")
    });
    let rows = data("rows.csv");
    let bundle = folder.text("bundle.json");
    let arguments =
        ["--schema", &schema, "--calibrate", &rows, "--target", "Bad", "--golden", &rows, "--out", &bundle];
    let said = import(&arguments);
    assert!(said.contains("1485 margins of the training library agree"), "{said}");
    assert!(said.contains("calibration taken: "), "{said}");
    assert!(!said.contains("still marked"), "{said}");
    let model = load(&folder.path("bundle.json"));
    let bundle = model.bundle();
    assert_eq!((bundle.id.as_str(), bundle.card.author.as_str()), ("field-loans", "Ana"));
    assert_eq!(bundle.card.created, "2026-01-31");
    assert_eq!(bundle.schema.features[1].name, "months");
    assert!(!bundle.schema.features[0].missing_allowed);
    let Estimator::TreeEnsemble(ensemble) = &bundle.estimator else { panic!() };
    assert_eq!(ensemble.monotone.get("amount"), Some(&Direction::Rises));
    assert!(bundle.golden.len() >= 90);
    assert!(!bundle.card.limits.iter().any(|limit| limit.en.contains("computed on import")));
    // Eight even groups, whose mean PD rises strictly.
    assert_eq!(bundle.reference.rows, 1485);
    assert!(bundle.reference.group_shares.iter().all(|share| (0.12..0.13).contains(share)));
    let predicted: Vec<f64> = bundle.card.calibration.iter().map(|row| row.predicted).collect();
    assert!(predicted.len() == Group::ALL.len() && predicted.windows(2).all(|pair| pair[0] < pair[1]));
    let auc = bundle.card.metrics.iter().find(|metric| metric.name == "auc").unwrap().value;
    assert!((0.80..0.88).contains(&auc), "{auc}");
    // The same import gives the same bytes.
    let again = folder.text("again.json");
    let mut arguments = arguments;
    *arguments.last_mut().unwrap() = &again;
    import(&arguments);
    assert_eq!(std::fs::read(folder.path("bundle.json")).unwrap(), std::fs::read(again).unwrap());

    // Scored from the table by the bundle alone, under the names of its schema.
    let table = std::fs::read_to_string(&rows).unwrap();
    let header = "amount,months,home,job,income,seniority,records,Bad,margin";
    let renamed = table.replacen(table.lines().next().unwrap(), header, 1);
    std::fs::write(folder.path("rows.csv"), renamed).unwrap();
    let output = run(&["score", &folder.text("bundle.json"), &folder.text("rows.csv")]);
    assert!(output.status.success(), "{}", err(&output));
    let scored = String::from_utf8(output.stdout).unwrap();
    assert_eq!(scored.lines().count(), 1486);
    for (found, row) in scored.lines().skip(1).zip(table.lines().skip(1)) {
        let library: f32 = row.rsplit(',').next().unwrap().parse().unwrap();
        let margin: f64 = found.split(',').next().unwrap().parse().unwrap();
        assert_eq!(margin, f64::from(library), "{row}");
    }
}

#[test]
fn calibration_can_be_chosen_and_cuts_can_be_given() {
    let folder = Folder::new();
    let cuts = "cuts = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5]";
    let schema = folder.edited(|text| text.replace("# cuts = [0.03", &format!("{cuts}\n# [0.03")));
    let (rows, bundle) = (data("rows.csv"), folder.text("bundle.json"));
    for method in ["platt", "isotonic", "none"] {
        import(&[
            "--schema",
            &schema,
            "--calibrate",
            &rows,
            "--target",
            "Bad",
            "--calibration",
            method,
            "--out",
            &bundle,
        ]);
        let model = load(&folder.path("bundle.json"));
        assert_eq!(model.bundle().groups.cuts, [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5]);
        let name = match &model.bundle().calibration {
            Calibration::None => "none",
            Calibration::Platt { .. } => "platt",
            Calibration::Isotonic { .. } => "isotonic",
            Calibration::PriorShift { .. } => "prior",
        };
        assert_eq!(name, method);
        // Calibrated in the large on the rows that it was calibrated on.
        let groups = &model.bundle().card.calibration;
        let (bads, expected) = groups
            .iter()
            .fold((0.0, 0.0), |(b, e), row| (b + row.bads as f64, e + row.predicted * row.rows as f64));
        let allowed = if method == "none" { 0.15 } else { 0.02 };
        assert!((bads / expected - 1.0f64).abs() < allowed, "{method}: {bads} {expected}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_place_and_nothing_is_written() {
    let folder = Folder::new();
    let out = folder.text("bundle.json");
    let rows = std::fs::read_to_string(data("rows.csv")).unwrap();
    let table = |name: &str, change: &dyn Fn(&str) -> String| {
        std::fs::write(folder.path(name), change(&rows)).unwrap();
        folder.text(name)
    };
    // A margin of another model.
    let wrong = table("wrong.csv", &|rows| rows.replacen("-1.7478495", "-1.7478496", 1));
    let said = refused(&["--golden", &wrong, "--out", &out]);
    assert!(said.contains("row 1") && said.contains("-1.7478496"), "{said}");
    // An answer that is none.
    let wrong = table("home.csv", &|rows| rows.replacen("rent", "castle", 1));
    let said = refused(&["--reference", &wrong, "--out", &out]);
    assert!(said.contains("home") && said.contains("castle"), "{said}");
    // An outcome that is neither.
    let said = refused(&["--calibrate", &data("rows.csv"), "--target", "Amount", "--out", &out]);
    assert!(said.contains("must be 1 for a default"), "{said}");
    // Too few rows to calibrate on.
    let few = table("few.csv", &|rows| rows.lines().take(40).collect::<Vec<_>>().join("\n"));
    let said = refused(&["--calibrate", &few, "--target", "Bad", "--out", &out]);
    assert!(said.contains("39 rows"), "{said}");
    // Outcomes turned round.
    let turned = table("turned.csv", &|rows| {
        let turn = |line: &str| {
            let mut cells: Vec<&str> = line.split(',').collect();
            cells[7] = if cells[7] == "0" { "1" } else { "0" };
            cells.join(",")
        };
        let lines: Vec<String> = rows.lines().skip(1).map(turn).collect();
        format!("{}\n{}\n", rows.lines().next().unwrap(), lines.join("\n"))
    });
    let said = refused(&["--calibrate", &turned, "--target", "Bad", "--calibration", "platt", "--out", &out]);
    assert!(said.contains("do not rise with the margin"), "{said}");
    // A claim that the model breaks.
    let schema = folder
        .edited(|text| text.replacen("name = \"income\"", "name = \"income\"\nmonotone = \"rises\"", 1));
    let said = refused(&["--schema", &schema, "--out", &out]);
    assert!(said.contains("estimator.monotone"), "{said}");
    // Options that are not the model's, a column that it lacks, a word that is none of ours.
    for (from, to, words) in [
        ("code = \"rent\"", "code = \"castle\"", "exactly the model's options"),
        ("column = \"Income\"", "column = \"Salary\"", "no column \"Salary\""),
        ("max_reasons", "max_raisins", "max_raisins"),
        ("name = \"income\"", "name = \"age\"", "protected"),
    ] {
        let schema = folder.edited(|text| text.replacen(from, to, 1));
        let said = refused(&["--schema", &schema, "--out", &out]);
        assert!(said.contains(words), "{said}");
    }
    // A file of another kind.
    let output = run(&["import", "--format", "xgboost", &data("rows.csv"), "--out", &out]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("import_syntax"), "{}", err(&output));
    assert!(!folder.path("bundle.json").exists());
}

/// The model of a case that LightGBM wrote, through the command.
#[test]
fn a_model_of_lightgbm_becomes_a_bundle() {
    let folder = Folder::new();
    let cases = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/scoring/tests/data");
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let is_ours = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("lightgbm-");
    let bytes = std::fs::read(names.iter().find(is_ours).unwrap()).unwrap();
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap();
    let header: serde_json::Value = serde_json::from_slice(&bytes[..end]).unwrap();
    let length = header["model_bytes"].as_u64().unwrap() as usize;
    std::fs::write(folder.path("model.txt"), &bytes[end + 1..end + 1 + length]).unwrap();
    let output = run(&[
        "import",
        "--format",
        "lightgbm",
        &folder.text("model.txt"),
        "--out",
        &folder.text("bundle.json"),
    ]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(err(&output).contains(header["library"].as_str().unwrap().split(' ').next().unwrap()));
    assert!(run(&["verify", &folder.text("bundle.json")]).status.success());
}
