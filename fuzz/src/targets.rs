//! What each parser must survive, whatever the bytes: it returns, and what it accepts keeps what every
//! model keeps. The ordinary tests replay the corpus through these same functions.
#![allow(dead_code)]

use std::path::Path;
use std::sync::LazyLock;
use vereda_model::applicants::{self, Columns, OnError};
use vereda_model::import::schema::SchemaFile;
use vereda_model::table::Table;
use vereda_scoring::import::{self, ImportError, Imported, Options};
use vereda_scoring::{Model, bundle};

/// Values at which evaluation could part from the rules.
const EDGES: [f64; 9] =
    [f64::NAN, 0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::from_bits(1)];

/// A document that claims to be a bundle.
pub fn bundle(bytes: &[u8]) {
    let Ok(model) = Model::load(bytes) else { return };
    for golden in &model.bundle().golden {
        let score = model.score(&golden.inputs).expect("golden inputs are accepted");
        assert!(score.probability > 0.0 && score.probability < 1.0, "PD {}", score.probability);
        let sum = score.bias + score.contributions.iter().map(|part| part.value).sum::<f64>();
        assert!((sum - score.margin).abs() <= 1e-6 * score.margin.abs().max(1.0), "{sum} {}", score.margin);
    }
    evaluate(&model);
    // What was accepted can be written and is accepted again.
    let again = bundle::seal(model.bundle()).expect("an accepted bundle can be sealed");
    assert!(Model::load(&again).is_ok());
}

/// Rows of a table for a model that is known to be sound.
pub fn rows(bytes: &[u8]) {
    static MODEL: LazyLock<Model> = LazyLock::new(|| {
        let bytes = include_bytes!("../../models/bundles/reference-scorecard-1.json");
        Model::load(bytes).expect("the reference scorecard")
    });
    let model: &Model = &MODEL;
    let inner = Box::new(std::io::Cursor::new(bytes.to_vec()));
    let Ok(mut table) = Table::read("fuzz".into(), inner, None) else { return };
    let Ok(columns) = Columns::find(model, &table) else { return };
    while let Ok(Some(chunk)) = table.chunk() {
        let mut numbers = Vec::new();
        let each = |line: &_| columns.encode(line, &mut numbers);
        let sifted =
            applicants::sift(&chunk, Path::new("fuzz"), OnError::Skip, each).expect("skipping goes on");
        let margins = model.margins(&numbers).expect("whole rows");
        assert_eq!(sifted.rows.iter().flatten().count(), margins.len());
        for margin in margins {
            // Accepted rows are within the schema.
            let pd = model.probability(margin);
            assert!(margin.is_finite() && pd > 0.0 && pd < 1.0, "margin {margin}, PD {pd}");
        }
    }
}

/// A model of XGBoost, as JSON or UBJSON.
pub fn xgboost(bytes: &[u8]) {
    imported(import::xgboost::read(bytes, &Options::default()));
}

/// A model of LightGBM, as text.
pub fn lightgbm(bytes: &[u8]) {
    imported(import::lightgbm::read(bytes, &Options::default()));
}

/// A scorecard: a table, or the document of an OptBinning scorecard.
pub fn scorecard(bytes: &[u8]) {
    imported(import::scorecard::read(bytes, &Options::default()));
}

/// The document of a scikit-learn pipeline.
pub fn sklearn(bytes: &[u8]) {
    imported(import::sklearn::read(bytes, &Options::default()));
}

/// A schema file that an analyst wrote for a model that is known to be sound.
pub fn schema(bytes: &[u8]) {
    let table = b"# pdo = 50\n# base_points = 600\n# base_odds = 20\nfeature,bin,points\n\
        income,\"(-inf, 1000]\",0\nincome,\"(1000, inf)\",31\nincome,missing,7\njob,fixed,8\njob,other,-9\n";
    let model = import::scorecard::read(table, &Options::default()).expect("a sound table");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(schema) = SchemaFile::parse(text) else { return };
    let Ok(mut draft) = model.draft(schema.schema(), &schema.placements()) else { return };
    if schema.apply(&mut draft).is_ok()
        && let Ok(model) = Model::draft(draft)
    {
        evaluate(&model);
    }
}

/// What an importer accepts becomes a bundle, or is refused in words.
fn imported(read: Result<Imported, ImportError>) {
    let Ok(imported) = read else { return };
    let Ok(draft) = imported.draft(imported.schema(), &imported.placements()) else { return };
    if let Ok(model) = Model::draft(draft) {
        evaluate(&model);
    }
}

fn evaluate(model: &Model) {
    let rows: Vec<f64> =
        EDGES.into_iter().flat_map(|edge| std::iter::repeat_n(edge, model.width())).collect();
    let margins = model.margins(&rows).expect("whole rows");
    let contributions = model.contributions(&rows).expect("whole rows");
    assert_eq!(contributions.len(), EDGES.len() * (model.width() + 1));
    for margin in margins {
        if !margin.is_nan() {
            let pd = model.probability(margin);
            assert!(pd > 0.0 && pd < 1.0, "margin {margin}, PD {pd}");
        }
    }
}
