//! docs/bundle.schema.json says of bundles what `Model::load` says, as far as a schema can.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use vereda_scoring::Model;

const SCORECARD: &str = include_str!("../bundles/reference-scorecard-1.json");
const BOOSTED: &str = include_str!("../bundles/reference-boosted-2.json");

fn schema() -> Validator {
    let text = include_str!("../../docs/bundle.schema.json");
    jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
}

/// The bundle with fewer trees' worth of lists: a change in the first of a list stands for all.
fn documents() -> [(&'static str, Value); 2] {
    [("scorecard", SCORECARD), ("boosted", BOOSTED)]
        .map(|(name, text)| (name, serde_json::from_str(text).unwrap()))
}

/// A pointer to the first place of each kind: indices do not matter.
fn places(document: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, kind: &str, seen: &mut BTreeSet<String>, out: &mut Vec<String>) {
        if !seen.insert(kind.to_owned()) {
            return;
        }
        out.push(at.to_owned());
        match value {
            Value::Object(map) => {
                // Of different types, lists of one kind hold different things.
                let tag = map.get("type").and_then(Value::as_str).unwrap_or_default();
                for (key, value) in map {
                    walk(value, &format!("{at}/{key}"), &format!("{kind}{tag}/{key}"), seen, out);
                }
            }
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    let tag = value.get("type").and_then(Value::as_str).unwrap_or_default();
                    walk(value, &format!("{at}/{index}"), &format!("{kind}/*{tag}"), seen, out);
                }
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(document, "", "", &mut BTreeSet::new(), &mut out);
    out
}

fn loads(document: &Value) -> bool {
    Model::load(&serde_json::to_vec(document).unwrap()).is_ok()
}

#[test]
fn committed_bundles_are_valid() {
    let schema = schema();
    for (name, document) in documents() {
        let errors: Vec<String> =
            schema.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        assert!(loads(&document));
    }
}

/// Fields that are absent, unknown or of another type: the schema and the program refuse the same.
#[test]
fn what_is_of_the_wrong_shape_is_refused_by_both() {
    let schema = schema();
    for (name, document) in documents() {
        let (mut tried, mut wrong) = (0, Vec::new());
        for place in places(&document) {
            let mut changes = Vec::new();
            if let Some((parent, key)) = place.rsplit_once('/') {
                let mut without = document.clone();
                // Entries of a map by name are no fields: which must be there, a schema cannot say.
                let names = ["texts", "shares", "mean_parts", "inputs", "weights", "monotone", "protected"];
                let by_name = names.iter().any(|name| parent.ends_with(&format!("/{name}")))
                    || parent == "/reference/features";
                if let Some(map) = without.pointer_mut(parent).and_then(Value::as_object_mut) {
                    map.remove(key);
                    // An edge that is absent is open, and the bins no longer tile the line.
                    if !by_name && key != "lower" && key != "upper" {
                        changes.push(("removed", without));
                    }
                }
            }
            let mut other = document.clone();
            let value = other.pointer_mut(&place).unwrap();
            if value.is_object() {
                let mut more = document.clone();
                more.pointer_mut(&place).unwrap()["no such field"] = json!([1]);
                changes.push(("given a field", more));
            }
            *other.pointer_mut(&place).unwrap() = json!({"of": ["another", "type"]});
            changes.push(("of another type", other));
            for (what, changed) in changes {
                let (valid, loads) = (schema.is_valid(&changed), loads(&changed));
                if valid != loads {
                    wrong.push(format!("{name}{place} {what}: valid {valid}, loads {loads}"));
                }
                tried += 1;
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(tried > 150, "{tried} changes tried");
    }
}

/// Values out of bounds that a schema can state.
#[test]
fn hostile_values_are_refused_by_both() {
    let schema = schema();
    for (at, to) in [
        ("/format", json!("other")),
        ("/format_version", json!(2)),
        ("/version", json!(0)),
        ("/version", json!(4_294_967_296u64)),
        ("/id", json!("../../etc/passwd")),
        ("/name/en", json!("x".repeat(4001))),
        ("/groups/cuts", json!([0.1, 0.2])),
        ("/groups/cuts/0", json!(0.0)),
        ("/groups/groups/0/colour", json!("red")),
        ("/groups/groups/0/decision", json!("maybe")),
        ("/calibration", json!({"type": "platt", "slope": 0.0, "intercept": 0.0})),
        ("/calibration", json!({"type": "prior_shift", "training": 0.0, "prior": 0.5})),
        ("/calibration", json!({"type": "none", "slope": 1.0})),
        ("/reasons/max", json!(0)),
        ("/reasons/max", json!(9)),
        ("/golden", json!([])),
        ("/golden/0/margin_bits", json!("0")),
        ("/golden/0/probability", json!(1.0)),
        ("/golden/0/group", json!("T9")),
        ("/schema/features", json!([])),
        ("/schema/currency", json!("pesos")),
        ("/card/limits", json!([])),
        ("/card/data/sha256", json!("abc")),
        ("/card/created", json!("yesterday")),
        ("/estimator/type", json!("neural")),
        ("/estimator/intercept", json!(1e7)),
    ] {
        let mut document: Value = serde_json::from_str(SCORECARD).unwrap();
        *document.pointer_mut(at).unwrap() = to.clone();
        assert!(!loads(&document), "{at} {to} loads");
        assert!(!schema.is_valid(&document), "{at} {to} is valid");
    }
}
