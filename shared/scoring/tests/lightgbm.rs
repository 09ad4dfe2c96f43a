//! LightGBM's models, imported, against what LightGBM says about rows: margins to the bit, PDs to 1 unit in
//! the last place, contributions to 1e-5. `models/peers/lightgbm_cases.py` writes the cases; `cargo xtask
//! parity` compares fresh ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/cases.rs"]
mod cases;

use cases::{Case, Compared, in_folder};
use std::collections::BTreeSet;
use std::path::PathBuf;
use vereda_scoring::bundle::{Calibration, Estimator, Node, Unseen};
use vereda_scoring::import::{Agreement, ColumnKind, ImportError, Imported, Options, lightgbm};
use vereda_scoring::{Inputs, Value};

fn all() -> Vec<Case> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    in_folder(&folder, "lightgbm-").iter().map(|path| Case::read(path)).collect()
}

fn case(name: &str) -> Case {
    all().into_iter().find(|case| case.header.name == name && case.header.library.ends_with("4.7.0")).unwrap()
}

fn read(bytes: &[u8], options: &Options) -> Imported {
    lightgbm::read(bytes, options).unwrap_or_else(|error| panic!("{error}"))
}

/// The refusal of a case's model after one change to its text.
fn refusal(name: &str, from: &str, to: &str) -> ImportError {
    let text = String::from_utf8(case(name).model).unwrap();
    assert!(text.contains(from), "{from:?} is not in the model");
    lightgbm::read(text.replacen(from, to, 1).as_bytes(), &Options::default()).unwrap_err()
}

#[test]
fn every_kind_of_model_gives_the_library_s_bits() {
    let mut total = Compared::default();
    let mut names = BTreeSet::new();
    for case in all() {
        let (imported, model) = case.import(read).unwrap();
        assert_eq!(imported.agreement, Agreement::Bits);
        let compared = case.compare(imported.agreement, &model);
        assert_eq!(compared.mismatches(), 0, "{} {}: {compared:?}", case.header.library, case.header.name);
        names.insert((case.header.library.clone(), case.header.name.clone()));
        total.add(compared);
    }
    assert_eq!(names.len(), 18, "{names:?}");
    assert!(total.rows > 400 && total.explained > 150, "{total:?}");
}

/// What the cases are there to show is really in them.
#[test]
fn the_cases_have_what_they_are_named_for() {
    let nodes = |name: &str| -> Vec<Node> {
        let (imported, _) = case(name).import(read).unwrap();
        let Estimator::TreeEnsemble(ensemble) = &imported.estimator else { panic!() };
        ensemble.trees().flat_map(|tree| tree.nodes).collect()
    };
    let splits =
        |name: &str, wanted: fn(&Node) -> bool| nodes(name).iter().filter(|node| wanted(node)).count();
    assert!(splits("zero-missing", |n| matches!(n, Node::Split { zero_missing: true, .. })) > 0);
    assert!(splits("mixed", |n| matches!(n, Node::Categories { .. })) > 0);
    assert!(splits("mixed", |n| matches!(n, Node::Split { default_left: false, .. })) > 0);
    assert!(
        splits(
            "200-levels",
            |n| matches!(n, Node::Categories { right_codes, .. } if right_codes.len() > 100)
        ) > 0
    );
    assert!(
        splits("linear", |n| matches!(n, Node::Leaf { linear: Some(leaf), .. } if leaf.terms.len() > 1)) > 0
    );
    let (forest, _) = case("forest").import(read).unwrap();
    assert!(matches!(&forest.estimator, Estimator::TreeEnsemble(ensemble) if ensemble.average));
    let (sigmoid, _) = case("sigmoid").import(read).unwrap();
    assert_eq!(sigmoid.calibration, Calibration::Platt { slope: 2.5, intercept: 0.0 });
    let (constant, model) = case("constant").import(read).unwrap();
    assert!(constant.used().is_empty());
    assert_eq!(model.scored_features().count(), 0);
}

/// The library takes everything within 1e-35 of 0 for 0, on whichever side of a threshold it lies.
#[test]
fn a_threshold_inside_what_counts_as_zero_lets_all_of_it_go_one_way() {
    let text = String::from_utf8(case("stumps").model).unwrap();
    // The first tree that compares a number.
    let compares = text.find("num_cat=0").unwrap();
    let tree = text[..compares].matches("\nTree=").count() - 1;
    let begin = compares + text[compares..].find("threshold=").unwrap();
    let end = begin + text[begin..].find('\n').unwrap();
    let zero = f64::from(1e-35f32);
    for (threshold, zero_goes_left) in [
        ("-1.0000000180025095e-35", false),
        ("1.0000000180025095e-35", true),
        ("0", true),
        ("-1e-300", false),
    ] {
        let text = format!("{}threshold={threshold}{}", &text[..begin], &text[end..]);
        let imported = read(text.as_bytes(), &Options::default());
        let Estimator::TreeEnsemble(ensemble) = &imported.estimator else { panic!() };
        let tree = ensemble.trees().nth(tree).unwrap();
        let Node::Split { threshold, .. } = tree.nodes[0] else { panic!("not a comparison") };
        for x in [-zero, -5e-324, -0.0, 0.0, 5e-324, zero] {
            assert_eq!(x <= threshold, zero_goes_left, "{x} {threshold}");
        }
        assert!(zero.next_up() > threshold && (-zero).next_down() <= threshold);
    }
}

/// Trained where most answers are missing, the library parts them from all numbers by "infinity".
#[test]
fn a_threshold_of_infinity_parts_missing_answers_from_numbers() {
    let text = String::from_utf8(case("stumps").model).unwrap();
    let begin = text.find("num_cat=0").unwrap();
    let begin = begin + text[begin..].find("threshold=").unwrap() + "threshold=".len();
    let end = begin + text[begin..].find([' ', '\n']).unwrap();
    let imported = read(format!("{}inf{}", &text[..begin], &text[end..]).as_bytes(), &Options::default());
    let Estimator::TreeEnsemble(ensemble) = &imported.estimator else { panic!() };
    let tree = text[..begin].matches("\nTree=").count() - 1;
    let root = ensemble.trees().nth(tree).unwrap().nodes.remove(0);
    let Node::Split { threshold, .. } = root else { panic!("not a comparison") };
    assert_eq!(threshold, f64::MAX);
}

#[test]
fn pandas_categories_are_texts_and_an_unseen_one_is_missing() {
    let case = case("mixed");
    let (imported, model) = case.import(read).unwrap();
    let column = imported.columns.iter().find(|column| column.column == "c1").unwrap();
    let ColumnKind::Category { options, named: true, unseen: Unseen::Missing } = &column.kind else {
        panic!()
    };
    assert_eq!((options.len(), options[39].as_str()), (40, "level 39"));
    let mut inputs = Inputs::new();
    let margin = |c1: Value| {
        let mut inputs = Inputs::new();
        inputs.insert("c1".to_owned(), c1);
        model.margin(&inputs).unwrap()
    };
    let text = |text: &str| Value::Category(text.to_owned());
    assert_eq!(margin(text("never heard of")), margin(Value::Missing));
    assert!((0..40).any(|i| margin(text(&format!("level {i}"))) != margin(Value::Missing)));
    inputs.insert("c1".to_owned(), Value::Number(3.0));
    assert!(model.margin(&inputs).is_err());
}

#[test]
fn numbered_categories_take_names_from_a_schema() {
    let case = case("200-levels");
    let plain = read(&case.model, &Options::default());
    let category = |imported: &Imported| {
        let column = imported.columns.iter().find(|column| column.column == "c0").unwrap();
        let ColumnKind::Category { options, named, .. } = &column.kind else { panic!() };
        (options.clone(), *named)
    };
    let (options, named) = category(&plain);
    assert_eq!((options[7].as_str(), named), ("7", false));
    let mut given = Options::default();
    let names: Vec<String> = (0..options.len()).map(|i| format!("village {i}")).collect();
    given.categories.insert("c0".to_owned(), names.clone());
    let named = read(&case.model, &given);
    assert_eq!(category(&named), (names.clone(), true));
    assert_eq!(named.estimator, plain.estimator);
    given.categories.insert("c0".to_owned(), names[1..].to_vec());
    let error = lightgbm::read(&case.model, &given).unwrap_err();
    assert_eq!(error.code(), "import_mismatch");
}

#[test]
fn what_has_no_exact_counterpart_is_refused_by_name() {
    for (from, to, code, says) in [
        ("version=v4", "version=v2", "import_unsupported", "format version v2"),
        ("num_class=1", "num_class=3", "import_unsupported", "num_class=3"),
        (
            "objective=binary sigmoid:1\n",
            "objective=regression\n",
            "import_unsupported",
            "objective regression",
        ),
        (
            "objective=binary sigmoid:1\n",
            "objective=cross_entropy_lambda\n",
            "import_unsupported",
            "cross_entropy_lambda",
        ),
        (
            "objective=binary sigmoid:1\n",
            "objective=multiclass num_class:2\n",
            "import_unsupported",
            "multiclass",
        ),
        ("objective=binary sigmoid:1\n", "", "import_unsupported", "without an objective"),
        ("objective=binary sigmoid:1\n", "objective=binary sigmoid:-1\n", "import_shape", "sigmoid:-1"),
        ("leaf_count=", "leaf_count=0 ", "import_shape", "leaf_count"),
        (
            "pandas_categorical:[",
            "pandas_categorical:[[\"x\"],",
            "import_unsupported",
            "pandas_categorical with 3",
        ),
        ("end of trees", "", "import_syntax", "end of trees"),
        ("tree\n", "{\"name\": \"tree\"}\n", "import_syntax", "JSON"),
        ("tree\n", "xgboost\n", "import_syntax", "xgboost"),
    ] {
        let error = refusal("mixed", from, to);
        assert_eq!(error.code(), code, "{from} -> {to}: {error}");
        assert!(error.to_string().contains(says), "{from} -> {to}: {error}");
    }
    assert_eq!(lightgbm::read(b"", &Options::default()).unwrap_err().code(), "import_syntax");
}

#[test]
fn a_model_that_contradicts_itself_is_refused_with_the_place() {
    let lines = |key: &str| {
        let text = String::from_utf8(case("mixed").model).unwrap();
        let begin = text.find(&format!("\n{key}=")).unwrap() + 1;
        text[begin..begin + text[begin..].find('\n').unwrap()].to_owned()
    };
    let changed = |key: &str, change: &dyn Fn(Vec<String>) -> Vec<String>| {
        let line = lines(key);
        let words = line[key.len() + 1..].split(' ').map(str::to_owned).collect();
        refusal("mixed", &line, &format!("{key}={}", change(words).join(" ")))
    };
    let set = |at: usize, to: &str| {
        let to = to.to_owned();
        move |mut words: Vec<String>| {
            words[at] = to.clone();
            words
        }
    };
    for (key, error) in [
        ("left_child", changed("left_child", &set(0, "0"))),
        ("left_child", changed("left_child", &set(0, "99"))),
        ("left_child", changed("left_child", &set(0, "-9223372036854775808"))),
        ("right_child", changed("right_child", &set(0, "1"))),
        ("split_feature", changed("split_feature", &set(0, "77"))),
        ("threshold", changed("threshold", &set(0, "nan"))),
        ("threshold", changed("threshold", &set(0, "-inf"))),
        ("leaf_value", changed("leaf_value", &set(1, "1e999"))),
        (
            "leaf_value",
            changed("leaf_value", &|mut words| {
                words.pop();
                words
            }),
        ),
        ("decision_type", changed("decision_type", &set(0, "12"))),
        ("cat_boundaries", changed("cat_boundaries", &set(1, "4000000000"))),
        ("internal_count", changed("internal_count", &set(0, "7"))),
        ("num_leaves", changed("num_leaves", &set(0, "0"))),
        ("feature_infos", changed("feature_infos", &set(0, "[1:x]"))),
        ("feature_names", changed("feature_names", &set(0, ""))),
    ] {
        let text = error.to_string();
        assert_eq!(error.code(), "import_shape", "{key}: {text}");
        let place = if key == "cat_boundaries" { "cat_threshold" } else { key };
        assert!(text.contains(place) || text.contains("threshold"), "{key}: {text}");
    }
    assert_eq!(changed("num_leaves", &set(0, "4000000000")).code(), "import_too_large");
}

/// Cut anywhere, or with any byte changed, a file is read or refused; it never brings the program down.
#[test]
fn damaged_files_do_not_panic() {
    for name in ["mixed", "linear", "200-levels"] {
        let model = case(name).model;
        for end in (0..model.len()).step_by(61) {
            let _ = lightgbm::read(&model[..end], &Options::default());
        }
        for at in (0..model.len()).step_by(29) {
            for to in [b'-', b'9', b' ', b'\n', b'=', 0xff] {
                let mut model = model.clone();
                model[at] = to;
                if let Ok(imported) = lightgbm::read(&model, &Options::default()) {
                    let _ = imported
                        .draft(imported.schema(), &imported.placements())
                        .map(vereda_scoring::Model::draft);
                }
            }
        }
    }
}
