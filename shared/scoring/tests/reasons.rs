//! What is said about a score: points lost, the policy of the reasons, protected attributes; and the
//! bins that the points come from.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{boosted, rows, scorecard};
use vereda_scoring::bundle::{
    Baseline, BinRange, Bundle, Closed, Estimator, Golden, Kind, Term, Text, Transform, WoeBin, seal,
};
use vereda_scoring::{Inputs, Model, Value};

/// Loads a changed bundle: its golden vectors become what it says now, since they are not the
/// subject here.
fn changed(mut bundle: Bundle) -> Model {
    let draft = Model::draft(bundle.clone()).unwrap();
    bundle.golden.truncate(1);
    for golden in &mut bundle.golden {
        let margin = draft.margin(&golden.inputs).unwrap();
        let probability = draft.probability(margin);
        *golden = Golden {
            inputs: golden.inputs.clone(),
            margin_bits: format!("{:016x}", margin.to_bits()),
            probability,
            group: draft.group(probability),
        };
    }
    Model::load(&seal(&bundle).unwrap()).unwrap()
}

fn woe<'a>(bundle: &'a mut Bundle, name: &str) -> &'a mut Term {
    let Estimator::Logistic { terms, .. } = &mut bundle.estimator else { panic!("not a scorecard") };
    terms.iter_mut().find(|term| term.feature == name).unwrap()
}

/// The points of the answers themselves, from the bundle's document and not from its evaluation.
fn points_of(bundle: &Bundle, inputs: &Inputs, name: &str) -> f64 {
    let Estimator::Logistic { terms, points: Some(points), .. } = &bundle.estimator else { panic!() };
    let term = terms.iter().find(|term| term.feature == name).unwrap();
    let Transform::Woe { coefficient, bins, missing_woe, .. } = &term.transform else { panic!() };
    let woe = match &inputs[name] {
        Value::Missing => missing_woe.unwrap(),
        Value::Number(x) => {
            let holds = |bin: &&WoeBin| match bin.of {
                BinRange::Interval { lower, upper } => {
                    lower.is_none_or(|lower| lower < *x) && upper.is_none_or(|upper| *x <= upper)
                }
                _ => false,
            };
            bins.iter().find(holds).unwrap().woe
        }
        answer => {
            let code = match answer {
                Value::Boolean(yes) => yes.to_string(),
                Value::Category(code) => code.clone(),
                _ => panic!(),
            };
            let holds = |bin: &&WoeBin| matches!(&bin.of, BinRange::Codes { codes } if codes.contains(&code));
            bins.iter().find(holds).unwrap().woe
        }
    };
    -points.pdo / 2f64.ln() * coefficient * woe
}

#[test]
fn points_lost_are_those_of_the_table() {
    let model = scorecard();
    let rows = rows("shap-boosted.json");
    let names: Vec<String> = model.scored_features().map(|feature| feature.name.clone()).collect();
    for name in &names {
        // Over many rows the best answer is met, and it loses nothing.
        let of = |inputs: &Inputs| {
            let lost = model.points_lost(inputs).unwrap().unwrap();
            assert_eq!(lost.iter().map(|l| l.feature.clone()).collect::<Vec<_>>(), names);
            lost.into_iter().find(|l| l.feature == *name).unwrap()
        };
        let points: Vec<f64> = rows.iter().map(|row| points_of(model.bundle(), &row.inputs, name)).collect();
        let best = points.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut least = f64::INFINITY;
        for (row, points) in rows.iter().zip(&points) {
            let lost = of(&row.inputs);
            assert!(lost.against_best >= 0.0, "{name}");
            assert!((lost.against_best - (best - points)).abs() < 1e-9, "{name}: {lost:?} {best} {points}");
            least = least.min(lost.against_best);
            let score = model.score(&row.inputs).unwrap();
            let contribution = score.contributions.iter().find(|c| c.feature == *name).unwrap().value;
            assert!((lost.against_mean - 50.0 / 2f64.ln() * contribution).abs() < 1e-9, "{name}");
        }
        assert_eq!(least, 0.0, "{name}");
    }
    assert_eq!(boosted().points_lost(&rows[0].inputs).unwrap(), None);
}

/// Against the best bin nothing is favourable, and the order is that of the points lost.
#[test]
fn reasons_against_the_best_bin_are_the_points_lost() {
    let mut bundle = scorecard().bundle().clone();
    bundle.reasons.baseline = Baseline::Best;
    let model = changed(bundle);
    let mut differs = 0;
    for row in rows("shap-boosted.json") {
        let score = model.score(&row.inputs).unwrap();
        let mut lost = model.points_lost(&row.inputs).unwrap().unwrap();
        lost.retain(|lost| lost.against_best > 0.0);
        lost.sort_by(|a, b| b.against_best.total_cmp(&a.against_best));
        let expected: Vec<&str> = lost.iter().take(4).map(|lost| lost.feature.as_str()).collect();
        assert_eq!(score.reasons.iter().map(|r| r.feature.as_str()).collect::<Vec<_>>(), expected);
        for reason in &score.reasons {
            assert!(reason.contribution > 0.0);
            assert_eq!(reason.text, model.bundle().reasons.texts[&reason.feature].raises);
        }
        let sum = score.bias + score.contributions.iter().map(|c| c.value).sum::<f64>();
        assert!((sum - score.margin).abs() < 1e-12, "the contributions stay against the mean");
        differs += usize::from(score.reasons != scorecard().score(&row.inputs).unwrap().reasons);
    }
    assert!(differs > 0);
}

#[test]
fn a_policy_may_allow_fewer_adverse_reasons_than_reasons() {
    let mut bundle = scorecard().bundle().clone();
    (bundle.reasons.adverse, bundle.reasons.max) = (1, 3);
    let model = changed(bundle);
    let mut full = 0;
    for row in rows("shap-boosted.json") {
        let score = model.score(&row.inputs).unwrap();
        let adverse = score.reasons.iter().filter(|reason| reason.contribution > 0.0).count();
        assert_eq!(adverse, score.contributions.iter().filter(|c| c.value > 0.0).count().min(1));
        let favourable = score.contributions.iter().filter(|c| c.value < 0.0).count();
        assert_eq!(score.reasons.len() - adverse, favourable.min(3 - adverse));
        full += usize::from(score.reasons.len() == 3);
    }
    assert!(full > 0);
}

#[test]
fn a_protected_attribute_needs_an_argument_by_name() {
    let mut bundle = scorecard().bundle().clone();
    let feature = bundle.schema.features.iter_mut().find(|f| f.name == "seniority_years").unwrap();
    feature.label = Text { es: "Edad de la empresa".to_owned(), en: "Age of the company".to_owned() };
    let refusal = Model::draft(bundle.clone()).unwrap_err();
    assert!(refusal.to_string().contains("\"edad\", a protected attribute"), "{refusal}");
    assert!(refusal.to_string().contains("card.protected"), "{refusal}");
    let argument = "Es la antigüedad de la empresa, no la del cliente.";
    let text = Text { es: argument.to_owned(), en: "It is the company's age, not the client's.".to_owned() };
    bundle.card.protected.insert("seniority_years".to_owned(), text);
    changed(bundle.clone());
    // Asked and not scored is allowed: nothing is decided by it.
    let mut asked = scorecard().bundle().clone();
    let debt = asked.schema.features.iter_mut().find(|f| f.name == "debt").unwrap();
    debt.label = Text { es: "Estado civil".to_owned(), en: "Marital status".to_owned() };
    changed(asked);
}

#[test]
fn a_special_value_has_its_bin_and_an_edge_its_side() {
    let of = |closed: Closed, special: bool| {
        let mut bundle = scorecard().bundle().clone();
        let feature = bundle.schema.features.iter_mut().find(|f| f.name == "assets").unwrap();
        feature.kind = Kind::Number { min: -10.0, max: 100.0, unit: vereda_scoring::bundle::Unit::None };
        let interval = |lower, upper, woe| WoeBin { of: BinRange::Interval { lower, upper }, woe };
        let mut bins = vec![
            interval(None, Some(0.0), 0.125),
            interval(Some(0.0), Some(20.0), 0.25),
            interval(Some(20.0), None, 0.5),
        ];
        if special {
            bins.push(WoeBin { of: BinRange::Values { values: vec![0.0, 33.0] }, woe: -2.0 });
            bins.push(WoeBin { of: BinRange::Values { values: vec![-9.0] }, woe: 4.0 });
        }
        woe(&mut bundle, "assets").transform =
            Transform::Woe { coefficient: 1.0, closed, bins, missing_woe: Some(8.0) };
        bundle.reference.features.insert(
            "assets".to_owned(),
            vereda_scoring::bundle::Distribution::Numeric { edges: vec![], shares: vec![1.0], missing: 0.0 },
        );
        changed(bundle)
    };
    let good = rows("shap-boosted.json")[0].inputs.clone();
    let part = |model: &Model, x: Value| {
        let margin = |x: Value| {
            let mut inputs = good.clone();
            inputs.insert("assets".to_owned(), x);
            model.margin(&inputs).unwrap()
        };
        // The middle bin is 0.25 wherever nothing else holds.
        let difference = margin(x) - margin(Value::Number(10.0)) + 0.25;
        (difference * 1024.0).round() / 1024.0
    };
    let n = Value::Number;
    for (closed, special, expected) in [
        (Closed::Right, false, [0.125, 0.125, 0.25, 0.25, 0.5, 0.5, 0.125, 8.0]),
        (Closed::Left, false, [0.125, 0.25, 0.25, 0.5, 0.5, 0.5, 0.125, 8.0]),
        (Closed::Right, true, [0.125, -2.0, 0.25, 0.25, 0.5, -2.0, 4.0, 8.0]),
        (Closed::Left, true, [0.125, -2.0, 0.25, 0.5, 0.5, -2.0, 4.0, 8.0]),
    ] {
        let model = of(closed, special);
        let answers =
            [n(-1.0), n(-0.0), n(5e-324), n(20.0), n(20.0f64.next_up()), n(33.0), n(-9.0), Value::Missing];
        for (x, expected) in answers.into_iter().zip(expected) {
            assert_eq!(part(&model, x.clone()), expected, "{closed:?} {special} {x:?}");
        }
        let mut inputs = good.clone();
        inputs.insert("assets".to_owned(), n(-9.0));
        let lost = model.points_lost(&inputs).unwrap().unwrap();
        let lost = lost.iter().find(|lost| lost.feature == "assets").unwrap().against_best;
        let expected = 50.0 / 2f64.ln() * if special { 4.0 - -2.0 } else { 0.0 };
        assert!((lost - expected).abs() < 1e-9, "{closed:?} {special}: {lost} {expected}");
    }
}
