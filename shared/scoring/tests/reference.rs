//! The reference bundles, and an XGBoost model made to trap importers, against the answers of the
//! libraries that trained them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{boosted, bytes, rows, scorecard, trap};
use vereda_scoring::bundle::{self, Estimator, Group, Node};
use vereda_scoring::{Bundle, Estimate, FieldProblem, Inputs, Model, Score, Value};

#[test]
fn reference_bundles_load_and_say_who_they_are() {
    for (model, id, version) in [(scorecard(), "reference-scorecard", 1), (boosted(), "reference-boosted", 2)]
    {
        assert_eq!((model.id(), model.version()), (id, version));
        assert_eq!(model.sha256().len(), 64);
        let reference = model.reference();
        assert_eq!((reference.id.as_str(), reference.version), (id, version));
        assert_eq!(reference.sha256, model.sha256());
        assert!(model.bundle().golden.len() >= 27);
    }
}

/// The two models ask the same, so that a draft survives a change of model.
#[test]
fn both_reference_models_share_their_schema() {
    assert_eq!(scorecard().bundle().schema, boosted().bundle().schema);
}

#[test]
fn protected_attributes_are_not_asked() {
    for model in [scorecard(), boosted()] {
        assert!(model.feature("age").is_none() && model.feature("marital").is_none());
    }
}

#[test]
fn margins_equal_xgboosts_to_the_bit_on_awkward_data() {
    let model = trap();
    let rows = rows("trap-rows.json");
    assert_eq!(rows.len(), 600);
    for (i, row) in rows.iter().enumerate() {
        let margin = model.margin(&row.inputs).unwrap();
        assert_eq!(format!("{:016x}", margin.to_bits()), row.margin_bits, "row {i}");
    }
}

/// The same trees with f64 inputs against thresholds widened to f64, as a careless importer does.
fn margin_in_f64(bundle: &Bundle, inputs: &Inputs) -> f64 {
    let Estimator::TreeEnsemble(ensemble) = &bundle.estimator else { panic!("no trees") };
    let x = |feature: u32| match &inputs[&bundle.schema.features[feature as usize].name] {
        Value::Number(x) => *x,
        Value::Category(code) => code[1..].parse().unwrap(),
        _ => f64::NAN,
    };
    let mut sum = ensemble.base_margin;
    for tree in ensemble.trees() {
        let mut at = 0u32;
        sum += loop {
            let (left, right, goes_left) = match &tree.nodes[at as usize] {
                Node::Leaf { value, .. } => break value * tree.weight,
                Node::Split { feature, threshold, default_left, left, right, .. } => {
                    let x = x(*feature);
                    (*left, *right, if x.is_nan() { *default_left } else { x < *threshold })
                }
                Node::Categories { feature, right_codes, default_left, left, right, .. } => {
                    let x = x(*feature);
                    let left_side =
                        if x.is_nan() { *default_left } else { !right_codes.contains(&(x as u32)) };
                    (*left, *right, left_side)
                }
            };
            at = if goes_left { left } else { right };
        };
    }
    sum
}

/// If this finds no difference, the data no longer trap anybody and the test above proves little.
#[test]
fn comparing_in_f64_would_have_been_wrong() {
    let model = trap();
    let wrong = rows("trap-rows.json")
        .iter()
        .filter(|row| {
            let right = model.probability(model.margin(&row.inputs).unwrap());
            let careless = model.probability(margin_in_f64(model.bundle(), &row.inputs));
            (right - careless).abs() > 1e-4
        })
        .count();
    assert!(wrong >= 10, "only {wrong} rows differ");
}

#[test]
fn contributions_equal_xgboosts_and_add_up() {
    for (model, file) in [(boosted(), "shap-boosted.json"), (trap(), "trap-rows.json")] {
        for (i, row) in rows(file).iter().enumerate() {
            let score = model.score(&row.inputs).unwrap();
            assert!((score.bias - row.bias).abs() < 1e-5, "{file} {i}: bias {} {}", score.bias, row.bias);
            for contribution in &score.contributions {
                let theirs = row.contributions[&contribution.feature];
                assert!(
                    (contribution.value - theirs).abs() < 1e-5,
                    "{file} {i} {}: {} {theirs}",
                    contribution.feature,
                    contribution.value
                );
            }
            let sum = score.bias + score.contributions.iter().map(|c| c.value).sum::<f64>();
            assert!((sum - score.margin).abs() < 1e-6, "{file} {i}: {sum} {}", score.margin);
        }
    }
}

#[test]
fn scorecard_contributions_add_up() {
    let model = scorecard();
    for row in rows("shap-boosted.json") {
        let score = model.score(&row.inputs).unwrap();
        let sum = score.bias + score.contributions.iter().map(|c| c.value).sum::<f64>();
        assert!((sum - score.margin).abs() < 1e-12);
    }
}

#[test]
fn reasons_name_the_largest_adverse_first_and_never_an_unscored_feature() {
    for model in [scorecard(), boosted()] {
        let (mut adverse_seen, mut favourable_seen) = (0, 0);
        for row in rows("shap-boosted.json") {
            let score = model.score(&row.inputs).unwrap();
            let max = model.bundle().reasons.max as usize;
            assert_eq!(
                score.reasons.len(),
                max.min(score.contributions.iter().filter(|c| c.value != 0.0).count())
            );
            let mut adverse: Vec<f64> =
                score.contributions.iter().map(|c| c.value).filter(|v| *v > 0.0).collect();
            adverse.sort_by(|a, b| b.total_cmp(a));
            let mut favourable: Vec<f64> =
                score.contributions.iter().map(|c| c.value).filter(|v| *v < 0.0).collect();
            favourable.sort_by(f64::total_cmp);
            let expected: Vec<f64> = adverse.into_iter().chain(favourable).take(max).collect();
            assert_eq!(score.reasons.iter().map(|r| r.contribution).collect::<Vec<_>>(), expected);
            for reason in &score.reasons {
                let texts = &model.bundle().reasons.texts[&reason.feature];
                let raises = reason.contribution > 0.0;
                assert_eq!(&reason.text, if raises { &texts.raises } else { &texts.lowers });
                *(if raises { &mut adverse_seen } else { &mut favourable_seen }) += 1;
            }
        }
        assert!(adverse_seen > 0 && favourable_seen > 0);
    }
    // The scorecard asks for debts and does not score them.
    let model = scorecard();
    let score = model.score(&rows("shap-boosted.json")[0].inputs).unwrap();
    assert!(model.feature("debt").is_some());
    assert!(score.contributions.iter().all(|c| c.feature != "debt"));
}

#[test]
fn a_score_round_trips_through_json_to_the_bit() {
    for model in [scorecard(), boosted(), trap()] {
        for golden in &model.bundle().golden {
            let score = model.score(&golden.inputs).unwrap();
            let text = serde_json::to_string(&score).unwrap();
            let back: Score = serde_json::from_str(&text).unwrap();
            assert_eq!(back, score);
            assert_eq!(back.margin.to_bits(), score.margin.to_bits());
            assert_eq!(back.probability.to_bits(), score.probability.to_bits());
            let inputs: Inputs =
                serde_json::from_str(&serde_json::to_string(&golden.inputs).unwrap()).unwrap();
            assert_eq!(inputs, golden.inputs);
        }
    }
}

#[test]
fn a_bundle_round_trips_and_seals() {
    for model in [scorecard(), boosted(), trap()] {
        let sealed = bundle::seal(model.bundle()).unwrap();
        let again = Model::load(&sealed).unwrap();
        assert_eq!(again.bundle(), model.bundle());
        assert_eq!(bundle::seal(again.bundle()).unwrap(), sealed);
        assert_ne!(again.sha256(), model.sha256(), "the hash is of the bytes, not of the meaning");
    }
}

#[test]
fn sealing_refuses_what_loading_would() {
    let mut bundle = scorecard().bundle().clone();
    bundle.groups.cuts[3] = 0.0;
    assert_eq!(bundle::seal(&bundle).unwrap_err().place(), "groups.cuts[3]");
}

#[test]
fn a_pd_equal_to_a_cut_is_in_the_riskier_group() {
    let model = boosted();
    for (i, cut) in model.bundle().groups.cuts.iter().enumerate() {
        assert_eq!(model.group(*cut), Group::ALL[i + 1]);
        assert_eq!(model.group(cut.next_down()), Group::ALL[i]);
        // A tenth of a percentage point either side.
        assert_eq!(model.group(cut + 0.001), Group::ALL[i + 1]);
        assert_eq!(model.group(cut - 0.001), Group::ALL[i]);
    }
    assert_eq!(model.group(f64::NAN), Group::T8);
    assert_eq!(model.group(f64::MIN_POSITIVE), Group::T1);
    assert_eq!(model.group(1.0 - f64::EPSILON), Group::T8);
}

#[test]
fn points_fall_as_risk_rises_and_double_the_odds_by_the_pdo() {
    let model = scorecard();
    let at = |odds: f64| model.points(-odds.ln()).unwrap();
    assert!((at(20.0) - 600.0).abs() < 1e-9);
    assert!((at(40.0) - 650.0).abs() < 1e-9);
    assert!((at(10.0) - 550.0).abs() < 1e-9);
    assert_eq!(boosted().points(0.0), None);
}

/// The claim is checked on the trees at load; here it is seen in the scores.
#[test]
fn the_boosted_model_is_monotone_in_what_it_claims() {
    let model = boosted();
    for row in rows("shap-boosted.json").iter().step_by(10) {
        let mut before = f64::NEG_INFINITY;
        for amount in (100..5000).step_by(100) {
            let mut inputs = row.inputs.clone();
            inputs.insert("amount".into(), Value::Number(f64::from(amount)));
            let margin = model.margin(&inputs).unwrap();
            assert!(margin >= before, "amount {amount}");
            before = margin;
        }
    }
}

#[test]
fn every_wrong_answer_is_reported_with_what_is_allowed() {
    let model = scorecard();
    let good = rows("shap-boosted.json")[0].inputs.clone();
    assert_eq!(model.validate(&good), vec![]);
    let mut bad = good.clone();
    bad.remove("amount");
    bad.insert("term_months".into(), Value::Number(12.5));
    bad.insert("price".into(), Value::Number(f64::INFINITY));
    bad.insert("job".into(), Value::Category("astronaut".into()));
    bad.insert("seniority_years".into(), Value::Number(61.0));
    bad.insert("income".into(), Value::Missing);
    bad.insert("records".into(), Value::Number(1.0));
    bad.insert("home".into(), Value::Boolean(true));
    bad.insert("zodiac".into(), Value::Category("leo".into()));
    let errors = model.validate(&bad);
    let json = serde_json::to_value(&errors).unwrap();
    assert_eq!(
        json,
        serde_json::json!([
            {"field": "amount", "problem": {"code": "required"}},
            {"field": "term_months", "problem": {"code": "wrong_type", "expected": "integer"}},
            {"field": "price", "problem": {"code": "not_finite"}},
            {"field": "job", "problem": {"code": "not_an_option", "allowed": ["fixed", "part_time", "freelance", "other"]}},
            {"field": "seniority_years", "problem": {"code": "out_of_range", "min": 0.0, "max": 60.0}},
            {"field": "home", "problem": {"code": "wrong_type", "expected": "category"}},
            {"field": "records", "problem": {"code": "wrong_type", "expected": "boolean"}},
            {"field": "zodiac", "problem": {"code": "unknown"}},
        ])
    );
    assert_eq!(serde_json::from_value::<Vec<vereda_scoring::FieldError>>(json).unwrap(), errors);
    assert_eq!(model.score(&bad).unwrap_err().errors, errors);
    assert_eq!(errors[4].to_string(), "seniority_years: must be between 0 and 60");
    for error in &errors {
        let value = bad.get(&error.field).unwrap_or(&Value::Missing);
        assert_eq!(model.check_field(&error.field, value).as_ref(), Err(error));
    }
    assert_eq!(model.check_field("income", &Value::Missing), Ok(()));
    let unknown = model.check_field("zodiac", &Value::Missing).unwrap_err();
    assert_eq!(unknown.problem, FieldProblem::Unknown);
}

#[test]
fn cells_are_read_and_validated_as_answers_are() {
    let model = boosted();
    let read = |name: &str, text: &str| {
        let at = model.bundle().schema.features.iter().position(|f| f.name == name).unwrap();
        model.encode_cell(at, text)
    };
    assert_eq!(read("amount", "1000"), Ok(1000.0));
    assert_eq!(read("job", "part_time"), Ok(1.0));
    assert_eq!(read("records", "TRUE"), Ok(1.0));
    assert_eq!(read("records", "0"), Ok(0.0));
    for missing in ["", "NA", "nan"] {
        assert!(read("income", missing).unwrap().is_nan());
        assert_eq!(read("amount", missing), Err(FieldProblem::Required));
    }
    for (name, wrong, code) in [
        ("amount", "12,5", "wrong_type"),
        ("amount", "12.5", "wrong_type"),
        ("amount", "1e9", "out_of_range"),
        ("amount", "inf", "not_finite"),
        ("job", "astronaut", "not_an_option"),
        ("records", "yes", "wrong_type"),
    ] {
        let problem = serde_json::to_value(read(name, wrong).unwrap_err()).unwrap();
        assert_eq!(problem["code"], code, "{name} {wrong}");
    }
    assert_eq!(model.encode_cell(99, "1"), Err(FieldProblem::Unknown));
    let error = model.margins(&[0.0; 12]).unwrap_err();
    assert_eq!((error.numbers, error.width), (12, 11));
    assert_eq!(model.margins(&[]).unwrap(), Vec::<f64>::new());
}

#[test]
fn an_unseen_code_is_missing_where_the_schema_says_so() {
    let mut bundle = boosted().bundle().clone();
    let at = bundle.schema.features.iter().position(|f| f.name == "job").unwrap();
    let bundle::Kind::Category { unseen, .. } = &mut bundle.schema.features[at].kind else { panic!("job") };
    *unseen = bundle::Unseen::Missing;
    let model = Model::load(&bundle::seal(&bundle).unwrap()).unwrap();
    let mut inputs = model.bundle().golden[0].inputs.clone();
    inputs.insert("job".into(), Value::Missing);
    let missing = model.margin(&inputs).unwrap();
    inputs.insert("job".into(), Value::Category("astronaut".into()));
    assert_eq!(model.margin(&inputs).unwrap().to_bits(), missing.to_bits());
    assert!(model.encode_cell(at, "astronaut").unwrap().is_nan());
    bundle.schema.features[at].missing_allowed = false;
    let error = bundle::seal(&bundle).unwrap_err();
    assert_eq!(error.place(), format!("schema.features[{at}].kind.unseen"));
}

#[test]
fn an_estimate_waits_for_what_is_required_and_only_for_that() {
    let model = boosted();
    let full = rows("shap-boosted.json")[3].inputs.clone();
    assert_eq!(model.estimate(&full), Estimate::Ready(model.score(&full).unwrap()));
    let Estimate::Incomplete { missing } = model.estimate(&Inputs::new()) else {
        panic!("nothing was answered")
    };
    assert_eq!(missing, ["amount", "term_months", "price", "seniority_years", "expenses", "records"]);
    let mut partial = full.clone();
    partial.remove("income");
    partial.insert("note".into(), Value::Category("not a feature".into()));
    let Estimate::Ready(score) = model.estimate(&partial) else { panic!("income may be missing") };
    partial.remove("note");
    assert_eq!(score, model.score(&partial).unwrap());
    partial.insert("income".into(), Value::Number(-1.0));
    assert_eq!(model.estimate(&partial), Estimate::Incomplete { missing: vec!["income".into()] });
}

#[test]
fn the_hash_is_of_the_bytes() {
    use sha2::Digest;
    let bytes = bytes("bundles/reference-scorecard-1.json");
    assert_eq!(scorecard().sha256(), hex::encode(sha2::Sha256::digest(&bytes)));
}
