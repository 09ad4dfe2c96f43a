//! XGBoost's models, imported, against what XGBoost says: margins to the bit, PDs to 1 unit in the last
//! place, contributions to 1e-5. `cargo xtask parity --committed` writes the cases, `cargo xtask parity`
//! compares thousands of fresh ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/cases.rs"]
mod cases;

use cases::{Case, Compared, in_folder};
use std::collections::BTreeMap;
use std::path::PathBuf;
use vereda_scoring::bundle::{Estimator, Kind, Unit, Unseen};
use vereda_scoring::import::{
    ColumnKind, ImportError, Imported, Iterations, Options, PLACEHOLDER, Placement, xgboost,
};
use vereda_scoring::{Inputs, Model, Value};

fn data() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn all() -> Vec<Case> {
    in_folder(&data(), "xgboost-").iter().map(|path| Case::read(path)).collect()
}

fn case(name: &str) -> Case {
    let found = in_folder(&data(), &format!("xgboost-{name}"));
    Case::read(found.first().unwrap_or_else(|| panic!("no case {name}")))
}

fn read(bytes: &[u8], options: &Options) -> Imported {
    xgboost::read(bytes, options).unwrap_or_else(|error| panic!("{error}"))
}

/// A JSON case as a document, to change and read again.
fn document(name: &str) -> serde_json::Value {
    serde_json::from_slice(&case(name).model).unwrap()
}

fn refusal(document: &serde_json::Value) -> ImportError {
    xgboost::read(&serde_json::to_vec(document).unwrap(), &Options::default()).unwrap_err()
}

#[test]
fn every_version_and_booster_gives_the_library_s_bits() {
    let mut total = Compared::default();
    let mut libraries: BTreeMap<String, usize> = BTreeMap::new();
    for case in all() {
        let (imported, model) = case.import(read).unwrap();
        assert_eq!(imported.library, case.header.library);
        let compared = case.compare(imported.agreement, &model);
        assert_eq!(compared.mismatches(), 0, "{}: {:?}", case.header.name, compared);
        *libraries.entry(case.header.library.clone()).or_default() += 1;
        total.add(compared);
    }
    assert_eq!(libraries.len(), 6, "{libraries:?}");
    assert!(total.rows > 500 && total.explained > 100, "{total:?}");
}

/// The library compares in f32. In f64, numbers with two decimals fall on the other side of thresholds
/// that were made from them.
#[test]
fn comparing_in_doubles_would_give_other_margins() {
    let mut differ = 0;
    for case in all().iter().filter(|case| case.header.trees > 0) {
        let (imported, _) = case.import(read).unwrap();
        let Estimator::TreeEnsemble(ensemble) = &imported.estimator else { panic!() };
        let trees: Vec<_> = ensemble.trees().collect();
        for row in case.rows.chunks(case.header.columns) {
            let leaf = |narrow: bool| -> Vec<usize> {
                let x = |feature: u32| {
                    let x = row[feature as usize];
                    if narrow { f64::from(x as f32) } else { x }
                };
                trees.iter().map(|tree| reached(&tree.nodes, &x)).collect()
            };
            differ += usize::from(leaf(true) != leaf(false));
        }
    }
    assert!(differ > 10, "{differ} rows show the trap");
}

fn reached(nodes: &[vereda_scoring::bundle::Node], x: &dyn Fn(u32) -> f64) -> usize {
    use vereda_scoring::bundle::Node;
    let mut at = 0;
    loop {
        let left_of = |default: bool, value: f64, goes: bool| if value.is_nan() { default } else { goes };
        let (go_left, left, right) = match &nodes[at] {
            Node::Leaf { .. } => return at,
            Node::Split { feature, threshold, default_left, left, right, .. } => {
                (left_of(*default_left, x(*feature), x(*feature) < *threshold), *left, *right)
            }
            Node::Categories { feature, right_codes, default_left, left, right, .. } => {
                let set = right_codes.contains(&(x(*feature) as u32));
                (left_of(*default_left, x(*feature), !set), *left, *right)
            }
        };
        at = if go_left { left } else { right } as usize;
    }
}

#[test]
fn early_stopping_cuts_unless_all_is_asked_for() {
    let case = case("3.2.0-early");
    let best = read(&case.model, &Options::default());
    let all = read(&case.model, &Options { iterations: Iterations::All, ..Options::default() });
    let trees = |imported: &Imported| match &imported.estimator {
        Estimator::TreeEnsemble(ensemble) => ensemble.trees().count(),
        _ => 0,
    };
    assert!(trees(&best) < trees(&all), "{} {}", trees(&best), trees(&all));
    assert!(best.notes.iter().any(|note| note.contains("stopped early")), "{:?}", best.notes);
    assert!(all.notes.is_empty(), "{:?}", all.notes);
}

#[test]
fn a_base_score_is_a_probability_but_where_the_objective_gives_margins() {
    let base = |name: &str| match read(&case(name).model, &Options::default()).estimator {
        Estimator::TreeEnsemble(ensemble) => ensemble.base_margin,
        _ => f64::NAN,
    };
    assert_eq!(base("3.2.0-raw"), 0.25);
    assert!((base("3.2.0-regression") - (0.7f64 / 0.3).ln()).abs() < 1e-6);
}

#[test]
fn the_model_names_its_categories() {
    let imported = read(&case("3.2.0-named").model, &Options::default());
    let kinds: Vec<&ColumnKind> = imported.columns.iter().map(|column| &column.kind).collect();
    // XGBoost counts characters where it should count bytes: names beyond ASCII are not to be trusted.
    let ColumnKind::Category { options, named: false, .. } = kinds[1] else { panic!("{kinds:?}") };
    assert_eq!(options[0], "0");
    assert_eq!(
        kinds[2],
        &ColumnKind::Category {
            options: vec!["30".into(), "10".into(), "20".into()],
            named: true,
            unseen: Unseen::Refuse
        }
    );
    assert!(imported.notes.iter().any(|note| note.contains("Zona") && note.contains("ASCII")));
    let names: Vec<&str> = imported.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["monto", "zona", "grupo"]);
    // A schema that gives the names silences the note; one that contradicts the model's own does not pass.
    let given: Vec<String> = (0..options.len()).map(|i| format!("zona {i}")).collect();
    let options = Options { categories: [("Zona".to_owned(), given)].into(), ..Options::default() };
    let imported = read(&case("3.2.0-named").model, &options);
    assert_eq!(imported.notes, Vec::<String>::new());
    let mut schema = imported.schema();
    let Kind::Category { options, .. } = &mut schema.features[2].kind else { panic!() };
    options.swap(0, 1);
    let error = imported.bind(&schema, &imported.placements()).unwrap_err();
    assert!(error.to_string().contains("give exactly the model's options"), "{error}");
}

#[test]
fn a_derived_schema_is_marked_and_another_order_of_questions_changes_nothing() {
    let case = case("3.2.0-sets");
    let (imported, model) = case.import(read).unwrap();
    let schema = imported.schema();
    assert!(schema.features.iter().all(|feature| PLACEHOLDER.marks(&feature.label)));
    // The same questions in reverse, under other names, asked as whole numbers where they are.
    let mut reversed = schema.clone();
    reversed.features.reverse();
    let mut placements: Vec<Placement> = imported.placements();
    placements.reverse();
    for (feature, placement) in reversed.features.iter_mut().zip(&mut placements) {
        feature.name = format!("new_{}", feature.name);
        placement.feature = feature.name.clone();
    }
    let other = Model::draft(imported.draft(reversed, &placements).unwrap()).unwrap();
    for row in case.rows.chunks(case.header.columns) {
        let backwards: Vec<f64> = row.iter().rev().copied().collect();
        assert_eq!(model.margins(row).unwrap(), other.margins(&backwards).unwrap());
    }
    // Without a feature that the model uses, it does not bind; a feature that it lacks is refused.
    let mut short = schema.clone();
    let used = *imported.used().first().unwrap();
    short.features.remove(used);
    let error = imported.bind(&short, &imported.placements()).unwrap_err();
    assert!(error.to_string().contains("no feature answers it"), "{error}");
    let mut more = schema.clone();
    more.features[0].name = "other".into();
    let error = imported.bind(&more, &[]).unwrap_err();
    assert!(error.to_string().contains("no column \"other\""), "{error}");
}

#[test]
fn gblinear_keeps_the_order_of_its_sum() {
    let (imported, model) = case("3.2.0-linear").import(read).unwrap();
    let mut schema = imported.schema();
    schema.features.reverse();
    let error = imported.bind(&schema, &imported.placements()).unwrap_err();
    assert!(error.to_string().contains("another order"), "{error}");
    let nothing: Inputs =
        schema.features.iter().map(|feature| (feature.name.clone(), Value::Missing)).collect();
    let Estimator::Linear { base_margin, .. } = &imported.estimator else { panic!() };
    assert_eq!(model.margin(&nothing).unwrap(), *base_margin);
}

/// After 3.2, dart's weights stand inside the model, and no gbtree stands between.
#[test]
fn dart_s_weights_are_read_where_later_versions_put_them() {
    let mut document = document("3.2.0-dart");
    let before = read(&serde_json::to_vec(&document).unwrap(), &Options::default());
    let booster = &mut document["learner"]["gradient_booster"];
    let mut model = booster["gbtree"]["model"].clone();
    model["weight_drop"] = booster["weight_drop"].clone();
    *booster = serde_json::json!({"name": "dart", "model": model});
    let after = read(&serde_json::to_vec(&document).unwrap(), &Options::default());
    assert_eq!(before, after);
    document["learner"]["gradient_booster"]["model"]["weight_drop"] = serde_json::json!([1.0]);
    assert!(refusal(&document).to_string().contains("weight_drop"));
}

/// XGBoost 1.7.6 gave 0 where the base margin and a leaf are both -0: dart adds each tree to a fresh 0.
#[test]
fn a_negative_zero_of_dart_is_a_zero() {
    let mut document = document("3.2.0-dart");
    document["learner"]["learner_model_param"]["base_score"] = "5E-1".into();
    let trees = &mut document["learner"]["gradient_booster"]["gbtree"]["model"]["trees"];
    for tree in trees.as_array_mut().unwrap() {
        for condition in tree["split_conditions"].as_array_mut().unwrap() {
            *condition = (-0.0).into();
        }
    }
    let imported = read(&serde_json::to_vec(&document).unwrap(), &Options::default());
    let Estimator::TreeEnsemble(ensemble) = &imported.estimator else { panic!() };
    assert_eq!(ensemble.base_margin.to_bits(), (-0.0f64).to_bits());
    let bundle = imported.draft(imported.schema(), &imported.placements()).unwrap();
    let model = Model::draft(bundle).unwrap();
    let margin = model.margins(&vec![f64::NAN; model.width()]).unwrap()[0];
    assert_eq!(margin.to_bits(), 0.0f64.to_bits());
}

#[test]
fn a_derived_range_holds_all_thresholds() {
    for case in all() {
        let imported = read(&case.model, &case.options());
        for (column, feature) in imported.columns.iter().zip(imported.schema().features) {
            if let (ColumnKind::Number { compared: Some((low, high)) }, Kind::Number { min, max, unit }) =
                (&column.kind, &feature.kind)
            {
                assert!(min < low && high < max && *unit == Unit::None, "{}", case.header.name);
            }
        }
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let set = |pointer: &str, value: serde_json::Value| {
        let mut changed = document("3.2.0-raw");
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = changed.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
        match parent {
            serde_json::Value::Array(items) => items[field.parse::<usize>().unwrap()] = value,
            other => other[field] = value,
        }
        refusal(&changed)
    };
    let model = "/learner/gradient_booster/model";
    for (pointer, value, code, words) in [
        (
            "/learner/objective/name".to_owned(),
            "multi:softprob".into(),
            "import_unsupported",
            "objective multi:softprob",
        ),
        ("/learner/objective/name".to_owned(), "binary:hinge".into(), "import_unsupported", "binary:hinge"),
        ("/learner/learner_model_param/num_class".to_owned(), "3".into(), "import_unsupported", "3 classes"),
        ("/learner/learner_model_param/num_target".to_owned(), "2".into(), "import_unsupported", "2 targets"),
        (
            "/learner/learner_model_param/base_score".to_owned(),
            "[1E-1,2E-1]".into(),
            "import_unsupported",
            "several targets",
        ),
        ("/learner/learner_model_param/base_score".to_owned(), "half".into(), "import_shape", "half"),
        (
            "/learner/learner_model_param/num_feature".to_owned(),
            "501".into(),
            "import_too_large",
            "501 features",
        ),
        ("/learner/gradient_booster/name".to_owned(), "gbforest".into(), "import_unsupported", "gbforest"),
        ("/version".to_owned(), serde_json::json!([1, 6, 2]), "import_unsupported", "XGBoost 1.6.2"),
        ("/version".to_owned(), serde_json::json!([4, 0, 0]), "import_unsupported", "XGBoost 4.0.0"),
        ("/learner/twist".to_owned(), 1.into(), "import_unsupported", "twist"),
        (format!("{model}/tree_info/0"), 1.into(), "import_unsupported", "output 1"),
        (
            format!("{model}/trees/0/tree_param/size_leaf_vector"),
            "2".into(),
            "import_unsupported",
            "vector leaves",
        ),
        (format!("{model}/trees/0/left_children/0"), 0.into(), "import_shape", "left_children[0]"),
        (format!("{model}/trees/0/left_children/0"), 9999.into(), "import_shape", "9999"),
        (format!("{model}/trees/0/split_indices/0"), 99.into(), "import_shape", "99"),
        (format!("{model}/trees/0/sum_hessian/1"), (-1.0).into(), "import_shape", "sum_hessian"),
        (format!("{model}/trees/0/default_left/0"), 2.into(), "import_shape", "default_left"),
        (
            format!("{model}/trees/0/split_conditions"),
            serde_json::json!([]),
            "import_shape",
            "split_conditions",
        ),
    ] {
        let error = set(&pointer, value);
        assert_eq!(error.code(), code, "{pointer}: {error}");
        assert!(error.to_string().contains(words), "{pointer}: {error}");
    }
    for (bytes, words) in [
        (&b"binf\0\0\0"[..], "old binary format"),
        (b"", "old binary format"),
        (b"{\"learner\":", "EOF"),
        (b"{L\0\0\0\0\0\0\0\x07learner", "ends too early"),
    ] {
        let error = xgboost::read(bytes, &Options::default()).unwrap_err();
        assert!(matches!(error, ImportError::Syntax { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// No bytes make the reader panic: every case cut short, and with single bytes changed.
#[test]
fn damaged_files_are_refused_or_read_and_never_panic() {
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for case in all() {
        for _ in 0..40 {
            let cut = random(case.model.len());
            assert!(xgboost::read(&case.model[..cut], &Options::default()).is_err());
            let mut bytes = case.model.clone();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            if let Ok(imported) = xgboost::read(&bytes, &Options::default()) {
                let _ = imported.draft(imported.schema(), &imported.placements()).map(Model::draft);
            }
        }
    }
}
