//! Bundles that somebody damaged or made up: each is refused, and the refusal names the place.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::bytes;
use serde_json::{Value, json};
use vereda_scoring::{LoadError, MAX_BYTES, Model};

const SCORECARD: &str = "bundles/reference-scorecard-1.json";
const BOOSTED: &str = "bundles/reference-boosted-2.json";
const TRAP: &str = "tests/data/trap-bundle.json";

fn document(file: &str) -> Value {
    serde_json::from_slice(&bytes(file)).unwrap()
}

fn refusal(document: &Value) -> LoadError {
    Model::load(&serde_json::to_vec(document).unwrap()).expect_err("should have been refused")
}

/// One change to a good bundle, and what the refusal must say.
struct Case {
    file: &'static str,
    /// JSON pointer; a last part that does not exist yet is added.
    at: &'static str,
    to: Value,
    code: &'static str,
    place: &'static str,
}

fn case(file: &'static str, at: &'static str, to: Value, code: &'static str, place: &'static str) -> Case {
    Case { file, at, to, code, place }
}

fn set(document: &mut Value, at: &str, to: Value) {
    let (parent, last) = at.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap_or_else(|| panic!("{parent} is not in the bundle")) {
        Value::Object(map) => {
            map.insert(last.to_owned(), to);
        }
        Value::Array(list) => list[last.parse::<usize>().unwrap()] = to,
        other => panic!("{parent} is {other}"),
    }
}

#[test]
fn every_change_that_breaks_a_rule_is_refused_by_name() {
    let long = "x".repeat(4001);
    let cases = [
        // What the document is.
        case(SCORECARD, "/format", json!("other"), "bundle_not_a_bundle", "format"),
        case(SCORECARD, "/format", json!(null), "bundle_not_a_bundle", "format"),
        case(SCORECARD, "/format_version", json!(2), "bundle_format_version", "format_version"),
        case(SCORECARD, "/format_version", json!(-1), "bundle_format_version", "format_version"),
        case(SCORECARD, "/format_version", json!("1"), "bundle_format_version", "format_version"),
        case(SCORECARD, "/extra", json!(1), "bundle_shape", "extra"),
        case(SCORECARD, "/schema/features/3/kind/extra", json!(1), "bundle_shape", "schema.features[3].kind"),
        case(
            SCORECARD,
            "/schema/features/3/kind/type",
            json!("colour"),
            "bundle_shape",
            "schema.features[3].kind.type",
        ),
        case(
            SCORECARD,
            "/schema/features/2/adjustable",
            json!("yes"),
            "bundle_shape",
            "schema.features[2].adjustable",
        ),
        case(SCORECARD, "/version", json!(0), "bundle_invalid", "version"),
        case(SCORECARD, "/version", json!(4294967296u64), "bundle_shape", "version"),
        case(SCORECARD, "/id", json!("../../etc/passwd"), "bundle_invalid", "id"),
        case(SCORECARD, "/name/en", json!(""), "bundle_invalid", "name.en"),
        case(SCORECARD, "/name/es", json!("a\u{1b}[2J"), "bundle_invalid", "name.es"),
        case(SCORECARD, "/name/es", json!("a\u{202e}b"), "bundle_invalid", "name.es"),
        case(SCORECARD, "/name/es", json!(long), "bundle_invalid", "name.es"),
        // Schema.
        case(SCORECARD, "/schema/currency", json!("euro"), "bundle_invalid", "schema.currency"),
        case(
            SCORECARD,
            "/schema/features/1/name",
            json!("amount"),
            "bundle_invalid",
            "schema.features[1].name",
        ),
        case(
            SCORECARD,
            "/schema/features/1/name",
            json!("Term"),
            "bundle_invalid",
            "schema.features[1].name",
        ),
        case(
            SCORECARD,
            "/schema/features/1/section",
            json!("x"),
            "bundle_invalid",
            "schema.features[1].section",
        ),
        case(SCORECARD, "/schema/sections/1/id", json!("loan"), "bundle_invalid", "schema.sections[1].id"),
        case(
            SCORECARD,
            "/schema/features/0/kind/min",
            json!(20000),
            "bundle_invalid",
            "schema.features[0].kind",
        ),
        case(
            SCORECARD,
            "/schema/features/0/kind/max",
            json!(1i64 << 60),
            "bundle_invalid",
            "schema.features[0].kind.max",
        ),
        case(
            SCORECARD,
            "/schema/features/3/kind/options",
            json!([]),
            "bundle_invalid",
            "schema.features[3].kind.options",
        ),
        case(
            SCORECARD,
            "/schema/features/3/kind/options/1/code",
            json!("fixed"),
            "bundle_invalid",
            "schema.features[3].kind.options[1].code",
        ),
        case(SCORECARD, "/schema/features/0/help/es", json!(""), "bundle_invalid", "schema.features[0].help"),
        // Logistic terms.
        case(SCORECARD, "/estimator/terms", json!([]), "bundle_invalid", "estimator.terms"),
        case(SCORECARD, "/estimator/intercept", json!(1e300), "bundle_invalid", "estimator.intercept"),
        case(
            SCORECARD,
            "/estimator/terms/0/feature",
            json!("zodiac"),
            "bundle_invalid",
            "estimator.terms[0].feature",
        ),
        case(
            SCORECARD,
            "/estimator/terms/1/feature",
            json!("amount"),
            "bundle_invalid",
            "estimator.terms[1].feature",
        ),
        case(
            SCORECARD,
            "/estimator/terms/0/transform/coefficient",
            json!(1e7),
            "bundle_invalid",
            "estimator.terms[0].transform.coefficient",
        ),
        case(
            SCORECARD,
            "/estimator/terms/0/transform/bins/0/of/lower",
            json!(3.0),
            "bundle_invalid",
            "estimator.terms[0].transform.bins[0].of",
        ),
        case(
            SCORECARD,
            "/estimator/terms/0/transform/bins/1/of/lower",
            json!(1e9),
            "bundle_invalid",
            "estimator.terms[0].transform.bins[1].of",
        ),
        case(
            SCORECARD,
            "/estimator/terms/0/transform/bins/0/of/upper",
            json!(null),
            "bundle_invalid",
            "estimator.terms[0].transform.bins[0].of",
        ),
        case(
            SCORECARD,
            "/estimator/terms/3/transform/missing_woe",
            json!(null),
            "bundle_invalid",
            "estimator.terms[3].transform.missing_woe",
        ),
        case(
            SCORECARD,
            "/estimator/terms/0/transform/bins/0/of",
            json!({"type": "values", "values": [0.0]}),
            "bundle_invalid",
            "estimator.terms[0].transform.bins[0].of",
        ),
        case(
            SCORECARD,
            "/estimator/terms/0/transform/bins/1/of",
            json!({"type": "values", "values": [0.0]}),
            "bundle_invalid",
            "estimator.terms[0].transform.bins[2].of",
        ),
        case(
            SCORECARD,
            "/estimator/terms/3/transform/bins/0/of",
            json!({"type": "values", "values": [0.0]}),
            "bundle_invalid",
            "estimator.terms[3].transform.bins[0].of",
        ),
        case(
            SCORECARD,
            "/estimator/terms/3/transform/bins/0/of/codes",
            json!([]),
            "bundle_invalid",
            "estimator.terms[3].transform.bins",
        ),
        case(
            SCORECARD,
            "/estimator/terms/3/transform/bins/0/of/codes",
            json!(["other"]),
            "bundle_invalid",
            "estimator.terms[3].transform.bins[3].of.codes[0]",
        ),
        case(
            SCORECARD,
            "/estimator/terms/3/transform/bins/0/of/codes",
            json!(["nobody"]),
            "bundle_invalid",
            "estimator.terms[3].transform.bins[0].of.codes[0]",
        ),
        case(SCORECARD, "/estimator/points/pdo", json!(0), "bundle_invalid", "estimator.points.pdo"),
        case(
            SCORECARD,
            "/estimator/terms/0/transform",
            json!({"type": "standardised", "coefficient": 1, "mean": 0, "scale": 0, "missing_value": null}),
            "bundle_invalid",
            "estimator.terms[0].transform.scale",
        ),
        case(
            SCORECARD,
            "/estimator/terms/3/transform",
            json!({"type": "one_hot", "weights": {"fixed": 1}, "missing_weight": 0}),
            "bundle_invalid",
            "estimator.terms[3].transform.weights",
        ),
        // gblinear.
        case(
            SCORECARD,
            "/estimator",
            json!({"type": "linear", "base_margin": 0, "weights": {"amount": 0.1}}),
            "bundle_invalid",
            "estimator.weights.amount",
        ),
        // Trees.
        case(BOOSTED, "/estimator/base_margin", json!(0.1), "bundle_invalid", "estimator.base_margin"),
        case(BOOSTED, "/estimator/trees", json!([]), "bundle_invalid", "estimator.trees"),
        case(BOOSTED, "/estimator/trees/7/weight", json!(0), "bundle_invalid", "estimator.trees[7].weight"),
        case(BOOSTED, "/estimator/trees/7/weight", json!(0.1), "bundle_invalid", "estimator.trees[7].weight"),
        case(BOOSTED, "/estimator/trees/7/nodes", json!([]), "bundle_invalid", "estimator.trees[7].nodes"),
        // The root is a leaf, and the tree goes on.
        case(
            BOOSTED,
            "/estimator/trees/12/nodes/0",
            json!(0),
            "bundle_invalid",
            "estimator.trees[12].nodes[1]",
        ),
        // One split more, whose children are not there.
        case(
            BOOSTED,
            "/estimator/trees/12/nodes/14",
            json!(1),
            "bundle_invalid",
            "estimator.trees[12].nodes",
        ),
        case(
            BOOSTED,
            "/estimator/trees/12/nodes/0",
            json!(4000),
            "bundle_invalid",
            "estimator.trees[12].nodes[0]",
        ),
        case(
            BOOSTED,
            "/estimator/trees/12/nodes/0",
            json!(i32::MIN),
            "bundle_invalid",
            "estimator.trees[12].nodes[0]",
        ),
        case(
            BOOSTED,
            "/estimator/trees/12/nodes/0",
            json!(1u64 << 31),
            "bundle_shape",
            "estimator.trees[12].nodes[0]",
        ),
        case(
            BOOSTED,
            "/estimator/trees/12/values",
            json!([0.5]),
            "bundle_invalid",
            "estimator.trees[12].values",
        ),
        case(
            BOOSTED,
            "/estimator/trees/12/values/3",
            json!(1e7),
            "bundle_invalid",
            "estimator.trees[12].values[3]",
        ),
        case(
            BOOSTED,
            "/estimator/trees/12/covers",
            json!([1, 2, 3, 4, 5, 6, 7, 8, 9]),
            "bundle_invalid",
            "estimator.trees[12].covers",
        ),
        case(
            BOOSTED,
            "/estimator/trees/12/covers/0",
            json!(0),
            "bundle_invalid",
            "estimator.trees[12].covers[0]",
        ),
        case(
            BOOSTED,
            "/estimator/trees/12/covers/0",
            json!(1e308),
            "bundle_invalid",
            "estimator.trees[12].covers[0]",
        ),
        case(
            BOOSTED,
            "/estimator/trees/12/linear",
            json!([{"leaf": 8, "constant": 0, "terms": []}]),
            "bundle_invalid",
            "estimator.trees[12].linear[0].leaf",
        ),
        case(
            BOOSTED,
            "/estimator/trees/12/linear",
            json!([{"leaf": 1, "constant": 0, "terms": []}, {"leaf": 1, "constant": 0, "terms": []}]),
            "bundle_invalid",
            "estimator.trees[12].linear[1].leaf",
        ),
        case(
            BOOSTED,
            "/estimator/trees/12/linear",
            json!([{"leaf": 1, "constant": 0, "terms": [[3, 1.0]]}]),
            "bundle_invalid",
            "estimator.trees[12].linear[0].terms",
        ),
        case(
            BOOSTED,
            "/estimator/trees/12/linear",
            json!([{"leaf": 1, "constant": 0, "terms": [[0, 1e5]]}]),
            "bundle_invalid",
            "estimator.trees[12].linear[0]",
        ),
        // Claims cannot be shown for a leaf without bounds.
        case(
            BOOSTED,
            "/estimator/trees/12/linear",
            json!([{"leaf": 1, "constant": 0, "terms": [[0, 0.001]]}]),
            "bundle_invalid",
            "estimator.trees[12].linear",
        ),
        case(
            BOOSTED,
            "/estimator/tests/0/feature",
            json!(11),
            "bundle_invalid",
            "estimator.tests[0].feature",
        ),
        // A feature that is a category, and one that is a number.
        case(BOOSTED, "/estimator/tests/1/feature", json!(3), "bundle_invalid", "estimator.tests[1]"),
        case(TRAP, "/estimator/tests/2/feature", json!(1), "bundle_invalid", "estimator.tests[2]"),
        // The same feature twice.
        case(BOOSTED, "/estimator/tests/1/feature", json!(0), "bundle_invalid", "estimator.tests[1]"),
        case(
            BOOSTED,
            "/estimator/tests/0/thresholds/1",
            json!(250.0),
            "bundle_invalid",
            "estimator.tests[0].thresholds[1]",
        ),
        // The same f32 as the one before, another f64.
        case(
            BOOSTED,
            "/estimator/tests/0/thresholds/1",
            json!(250.0000001),
            "bundle_invalid",
            "estimator.tests[0].thresholds[1]",
        ),
        case(
            BOOSTED,
            "/estimator/tests/0/thresholds/0",
            json!(-1e300),
            "bundle_invalid",
            "estimator.tests[0].thresholds[0]",
        ),
        case(
            BOOSTED,
            "/estimator/tests/7",
            json!({"type": "thresholds", "feature": 9, "zero_missing": true, "thresholds": []}),
            "bundle_invalid",
            "estimator.tests[7]",
        ),
        case(TRAP, "/estimator/tests/2/right_codes/1", json!([]), "bundle_invalid", "right_codes"),
        case(TRAP, "/estimator/tests/2/right_codes/0", json!([3, 1]), "bundle_invalid", "right_codes"),
        case(TRAP, "/estimator/tests/2/right_codes/0", json!([1, 1]), "bundle_invalid", "right_codes"),
        case(BOOSTED, "/estimator/monotone/amount", json!("falls"), "bundle_invalid", "estimator.trees["),
        case(
            BOOSTED,
            "/estimator/monotone/zodiac",
            json!("falls"),
            "bundle_invalid",
            "estimator.monotone.zodiac",
        ),
        case(BOOSTED, "/estimator/monotone/job", json!("falls"), "bundle_invalid", "estimator.monotone.job"),
        case(
            TRAP,
            "/schema/features/2/kind/options",
            json!([{"code": "a", "label": {"es": "a", "en": "a"}}]),
            "bundle_invalid",
            "right_codes",
        ),
        // Calibration, groups, reasons.
        case(
            SCORECARD,
            "/calibration",
            json!({"type": "platt", "slope": -1, "intercept": 0}),
            "bundle_invalid",
            "calibration.slope",
        ),
        case(
            SCORECARD,
            "/calibration",
            json!({"type": "isotonic", "margins": [0], "probabilities": [0.5]}),
            "bundle_invalid",
            "calibration",
        ),
        case(
            SCORECARD,
            "/calibration",
            json!({"type": "isotonic", "margins": [1, 0], "probabilities": [0.5, 0.6]}),
            "bundle_invalid",
            "calibration.margins[1]",
        ),
        case(
            SCORECARD,
            "/calibration",
            json!({"type": "isotonic", "margins": [0, 1], "probabilities": [0.5, 0.4]}),
            "bundle_invalid",
            "calibration.probabilities[1]",
        ),
        case(
            SCORECARD,
            "/calibration",
            json!({"type": "prior_shift", "training": 0.5, "prior": 1}),
            "bundle_invalid",
            "calibration.prior",
        ),
        case(SCORECARD, "/groups/cuts/3", json!(0.05), "bundle_invalid", "groups.cuts[3]"),
        case(SCORECARD, "/groups/cuts/0", json!(0), "bundle_invalid", "groups.cuts[0]"),
        case(SCORECARD, "/groups/cuts", json!([0.1, 0.2]), "bundle_invalid", "groups.cuts"),
        case(SCORECARD, "/groups/groups", json!([]), "bundle_invalid", "groups.groups"),
        case(
            SCORECARD,
            "/groups/groups/2/colour",
            json!("red;}"),
            "bundle_invalid",
            "groups.groups[2].colour",
        ),
        case(
            SCORECARD,
            "/groups/groups/2/decision",
            json!("maybe"),
            "bundle_shape",
            "groups.groups[2].decision",
        ),
        case(SCORECARD, "/reasons/max", json!(0), "bundle_invalid", "reasons.max"),
        case(SCORECARD, "/reasons/adverse", json!(0), "bundle_invalid", "reasons.adverse"),
        case(SCORECARD, "/reasons/adverse", json!(5), "bundle_invalid", "reasons.adverse"),
        case(SCORECARD, "/reasons/baseline", json!("worst"), "bundle_shape", "reasons.baseline"),
        case(BOOSTED, "/reasons/baseline", json!("best"), "bundle_invalid", "reasons.baseline"),
        case(
            SCORECARD,
            "/schema/features/0/label/es",
            json!("Edad del cliente"),
            "bundle_invalid",
            "schema.features[0].label.es",
        ),
        case(
            SCORECARD,
            "/schema/features/0/label/en",
            json!("Nationality"),
            "bundle_invalid",
            "schema.features[0].label.en",
        ),
        case(
            SCORECARD,
            "/card/protected/debt",
            json!({"es": "No.", "en": "No."}),
            "bundle_invalid",
            "card.protected.debt",
        ),
        case(
            SCORECARD,
            "/card/protected/amount",
            json!({"es": "", "en": ""}),
            "bundle_invalid",
            "card.protected.amount.es",
        ),
        case(SCORECARD, "/reasons/texts", json!({}), "bundle_invalid", "reasons.texts"),
        case(
            SCORECARD,
            "/reasons/texts/debt",
            json!({"raises": {"es": "a", "en": "b"}, "lowers": {"es": "a", "en": "b"}}),
            "bundle_invalid",
            "reasons.texts.debt",
        ),
        // Golden vectors.
        case(SCORECARD, "/golden", json!([]), "bundle_invalid", "golden"),
        case(
            SCORECARD,
            "/golden/4/margin_bits",
            json!("0000000000000000"),
            "bundle_golden",
            "golden[4].margin_bits",
        ),
        case(SCORECARD, "/golden/4/probability", json!(0.5), "bundle_golden", "golden[4].probability"),
        case(BOOSTED, "/golden/0/inputs/amount", json!(-5), "bundle_invalid", "golden[0].inputs"),
        case(BOOSTED, "/golden/0/inputs/zodiac", json!("leo"), "bundle_invalid", "golden[0].inputs"),
        // Reference and card.
        case(SCORECARD, "/reference/rows", json!(0), "bundle_invalid", "reference.rows"),
        case(SCORECARD, "/reference/features", json!({}), "bundle_invalid", "reference.features"),
        case(
            SCORECARD,
            "/reference/features/records/shares",
            json!({"true": 1}),
            "bundle_invalid",
            "reference.features.records.shares",
        ),
        case(
            SCORECARD,
            "/reference/features/amount/missing",
            json!(0.5),
            "bundle_invalid",
            "reference.features.amount",
        ),
        case(
            SCORECARD,
            "/reference/features/amount/edges",
            json!([1]),
            "bundle_invalid",
            "reference.features.amount",
        ),
        case(SCORECARD, "/reference/group_shares", json!([1]), "bundle_invalid", "reference.group_shares"),
        case(SCORECARD, "/reference/mean_parts", json!({}), "bundle_invalid", "reference.mean_parts"),
        case(
            BOOSTED,
            "/reference/mean_parts/amount",
            json!(0),
            "bundle_invalid",
            "reference.mean_parts.amount",
        ),
        case(SCORECARD, "/card/limits", json!([]), "bundle_invalid", "card.limits"),
        case(SCORECARD, "/card/data/sha256", json!("abc"), "bundle_invalid", "card.data.sha256"),
        case(SCORECARD, "/card/created", json!("yesterday"), "bundle_invalid", "card.created"),
        case(SCORECARD, "/card/metrics/0/name", json!("luck"), "bundle_invalid", "card.metrics[0].name"),
        case(
            SCORECARD,
            "/card/calibration/0/bads",
            json!(1000000),
            "bundle_invalid",
            "card.calibration[0].bads",
        ),
    ];
    let mut wrong = Vec::new();
    for case in &cases {
        let mut document = document(case.file);
        set(&mut document, case.at, case.to.clone());
        match Model::load(&serde_json::to_vec(&document).unwrap()) {
            Ok(_) => wrong.push(format!("{} = {}: accepted", case.at, case.to)),
            Err(error) => {
                let message = error.to_string();
                let named = error.place() == case.place
                    || error.place().contains(case.place)
                        && (case.place.ends_with('[') || case.place == "right_codes");
                if error.code() != case.code
                    || !named
                    || !message.contains(';') && error.code() != "bundle_golden"
                {
                    wrong.push(format!("{}: {} at {:?}: {message}", case.at, error.code(), error.place()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn a_wrong_group_is_refused() {
    let mut document = document(SCORECARD);
    let group = &mut document["golden"][0]["group"];
    *group = json!(if *group == "T1" { "T2" } else { "T1" });
    let error = refusal(&document);
    assert_eq!((error.code(), error.place()), ("bundle_golden", "golden[0].group"));
}

#[test]
fn a_bundle_cut_off_anywhere_is_refused() {
    let bytes = bytes(SCORECARD);
    let end = bytes.iter().rposition(|b| *b == b'}').unwrap();
    for length in (0..end).step_by(997).chain([0, 1, end - 1, end]) {
        let error = Model::load(&bytes[..length]).expect_err("a part is not a bundle");
        assert_eq!(error.code(), "bundle_syntax", "{length}: {error}");
        assert!(error.to_string().contains("line"), "{error}");
    }
    let mut twice = bytes.clone();
    twice.extend_from_slice(&bytes);
    assert_eq!(Model::load(&twice).expect_err("two documents").code(), "bundle_syntax");
}

#[test]
fn every_flipped_bit_is_refused_or_changes_the_hash() {
    let good = bytes(SCORECARD);
    let hash = Model::load(&good).unwrap().sha256().to_owned();
    for at in (0..good.len()).step_by(61) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        if let Ok(model) = Model::load(&bytes) {
            assert_ne!(model.sha256(), hash);
        }
    }
}

#[test]
fn deep_nesting_is_refused_without_using_the_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(1_000_000), close.repeat(1_000_000));
        let code = Model::load(deep.as_bytes()).expect_err("deep").code();
        assert!(["bundle_syntax", "bundle_not_a_bundle"].contains(&code), "{code}");
        // Hidden where the header does not look, and where it does.
        for field in ["format_version", "golden"] {
            let text = format!("{{\"format\":\"vereda-bundle\",\"{field}\":{deep}}}");
            let error = Model::load(text.as_bytes()).expect_err("deep");
            assert!(["bundle_syntax", "bundle_format_version"].contains(&error.code()), "{error}");
        }
    }
    let mut document = document(SCORECARD);
    document["golden"][0]["inputs"]["amount"] = (0..100).fold(json!(1), |inner, _| json!([inner]));
    assert!(["bundle_shape", "bundle_syntax"].contains(&refusal(&document).code()));
}

#[test]
fn numbers_beyond_a_double_are_refused() {
    let text = String::from_utf8(bytes(SCORECARD)).unwrap();
    let intercept = document(SCORECARD)["estimator"]["intercept"].to_string();
    for infinite in ["1e999", "-1e999", "NaN", "Infinity"] {
        let broken =
            text.replacen(&format!("\"intercept\": {intercept}"), &format!("\"intercept\": {infinite}"), 1);
        assert_ne!(broken, text);
        let error = Model::load(broken.as_bytes()).expect_err(infinite);
        assert_eq!(error.code(), "bundle_syntax", "{infinite}: {error}");
    }
}

#[test]
fn absurd_sizes_are_refused() {
    let huge = vec![b' '; MAX_BYTES + 1];
    assert_eq!(
        Model::load(&huge).unwrap_err(),
        LoadError::TooLarge { bytes: MAX_BYTES + 1, limit: MAX_BYTES }
    );

    // As many trees as fit into a bundle, each as small as can be.
    let text = String::from_utf8(bytes(BOOSTED)).unwrap();
    let start = text.find("\"trees\": [").unwrap() + "\"trees\": [".len();
    let end = text.find("\"monotone\"").unwrap();
    let tree = "{\"weight\":1,\"nodes\":[0],\"values\":[0],\"covers\":[1]},";
    for count in [5_001, (MAX_BYTES - text.len()) / tree.len()] {
        let trees = tree.repeat(count);
        let many = format!("{}{}],{}", &text[..start], trees.trim_end_matches(','), &text[end..]);
        let error = Model::load(many.as_bytes()).unwrap_err();
        assert_eq!((error.code(), error.place()), ("bundle_shape", "estimator.trees"), "{count}: {error}");
    }
    // A file that says it has ten billion rows claims no memory by it.
    let mut many = document(SCORECARD);
    many["reference"]["rows"] = json!(10_000_000_000u64);
    Model::load(&serde_json::to_vec(&many).unwrap()).unwrap();

    let mut large = document(BOOSTED);
    let splits = 1 << 15;
    large["estimator"]["trees"][3]["nodes"] = json!([vec![1; splits], vec![0; splits + 1]].concat());
    assert_eq!(refusal(&large).place(), "estimator.trees[3].nodes");

    // A tree that is a list: depth, not size, is what would cost.
    let mut deep = document(BOOSTED);
    let nodes: Vec<i32> = std::iter::once(1).chain((0..64).flat_map(|_| [0, 1])).chain([0, 0]).collect();
    deep["estimator"]["trees"][3]["values"] = json!(vec![0.0; nodes.len() / 2 + 1]);
    deep["estimator"]["trees"][3]["covers"] = json!(vec![1.0; nodes.len() / 2 + 1]);
    deep["estimator"]["trees"][3]["nodes"] = json!(nodes);
    assert_eq!(refusal(&deep).place(), "estimator.trees[3].nodes[128]");
}

#[test]
fn a_test_that_no_node_asks_is_refused() {
    let mut document = document(BOOSTED);
    document["estimator"]["tests"][0]["thresholds"].as_array_mut().unwrap().push(json!(1e30));
    let error = refusal(&document);
    assert!(error.place().starts_with("estimator."), "{error}");
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    let text = String::from_utf8(bytes(BOOSTED)).unwrap();
    for (once, twice, place) in [
        ("\"version\": 2,", "\"version\": 2, \"version\": 3,", "."),
        ("\"average\": false,", "\"average\": false, \"average\": true,", "estimator"),
        ("\"monotone\": {", "\"monotone\": {\"amount\": \"falls\", ", "estimator.monotone"),
        ("\"inputs\": {", "\"inputs\": {\"amount\": 1, ", "golden[0].inputs"),
        ("\"texts\": {", "\"texts\": {\"amount\": null, ", "reasons.texts.amount"),
    ] {
        let broken = text.replacen(once, twice, 1);
        assert_ne!(broken, text, "{once}");
        let error = Model::load(broken.as_bytes()).expect_err(twice);
        assert_eq!(error.code(), "bundle_shape", "{twice}: {error}");
        assert!(error.place().starts_with(place), "{twice}: {} {error}", error.place());
    }
}

#[test]
fn a_hostile_name_does_not_reach_the_message_raw() {
    let mut document = document(SCORECARD);
    document["reasons"]["texts"]["\u{1b}[2J\r\nlog: all is well"] =
        json!({"raises": {"es": "a", "en": "b"}, "lowers": {"es": "a", "en": "b"}});
    let message = refusal(&document).to_string();
    assert!(!message.contains(['\u{1b}', '\r', '\n']), "{message:?}");
    document["card"]["\u{1b}[2J\nunknown"] = json!(1);
    let message = refusal(&document).to_string();
    assert!(message.contains("unknown") && !message.contains(['\u{1b}', '\n']), "{message:?}");
}
