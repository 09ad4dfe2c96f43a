//! `import`: a bundle from a model that another library trained.

mod calibrate;
mod rows;
pub mod schema;

use crate::{Error, output};
use rows::Rows;
use schema::SchemaFile;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use vereda_scoring::Model;
use vereda_scoring::bundle::{self, Bundle, Text};
use vereda_scoring::import::{
    self, ImportError, Imported, Iterations, MAX_MODEL_BYTES, Options, PLACEHOLDER,
};

/// What `import` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The library that wrote the model.
    #[arg(long, value_enum)]
    format: Format,
    /// The model's file.
    model: PathBuf,
    /// What is asked and said, as --write-schema writes it and an analyst completes it. Without it, a
    /// schema is derived from the model, with texts that are marked as still to be written.
    #[arg(long, value_name = "TOML")]
    schema: Option<PathBuf>,
    /// Write the schema that the model implies, to be edited and given back as --schema.
    #[arg(long, value_name = "TOML")]
    write_schema: Option<PathBuf>,
    /// Rows with known outcomes that the training did not see: the PDs are calibrated on them, and
    /// the reference distributions, the groups (unless the schema has cuts) and the card's figures come
    /// from them.
    #[arg(long, value_name = "CSV", requires = "target")]
    calibrate: Option<PathBuf>,
    /// The column of --calibrate that says what happened: 1 or true for a default, 0 or false for
    /// none.
    #[arg(long, value_name = "COLUMN", requires = "calibrate")]
    target: Option<String>,
    /// How the PDs are calibrated.
    #[arg(long, value_enum, default_value = "auto", requires = "calibrate")]
    calibration: calibrate::Method,
    /// Rows for the reference distributions, in place of those of --calibrate; no outcome is needed.
    #[arg(long, value_name = "CSV")]
    reference: Option<PathBuf>,
    /// Rows with the training library's own margins (log-odds): all are compared, and some become the
    /// bundle's golden vectors. Without them, golden vectors are computed here, and the card says so.
    #[arg(long, value_name = "CSV")]
    golden: Option<PathBuf>,
    /// The column of --golden that holds the margins.
    #[arg(long, value_name = "COLUMN", default_value = "margin")]
    margin: String,
    /// Which iterations of an early-stopped model count.
    #[arg(long, value_enum, default_value = "best")]
    iterations: IterationsArgument,
    /// Where to write the bundle.
    #[arg(long, value_name = "BUNDLE", required_unless_present = "write_schema")]
    out: Option<PathBuf>,
}

/// Libraries whose models are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// JSON or UBJSON of XGBoost 1.7 to 3.x.
    Xgboost,
    /// Text of LightGBM 3 and 4.
    Lightgbm,
    /// A table of points or WoE as CSV, or the JSON of models/python/vereda_optbinning.py.
    Scorecard,
    /// The JSON of models/python/vereda_sklearn.py.
    Sklearn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum IterationsArgument {
    /// Up to the best one, as scikit-learn's wrapper predicts.
    Best,
    /// All that were saved, as Booster.predict does.
    All,
}

/// Imports and writes.
///
/// # Errors
/// When the model, the schema or a table is refused, or a file cannot be read or written.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let given = arguments.schema.as_deref().map(SchemaFile::read).transpose()?;
    let options = Options {
        iterations: match arguments.iterations {
            IterationsArgument::Best => Iterations::Best,
            IterationsArgument::All => Iterations::All,
        },
        categories: given.as_ref().map(SchemaFile::categories).unwrap_or_default(),
    };
    let bytes = read(&arguments.model)?;
    let imported = match arguments.format {
        Format::Xgboost => import::xgboost::read(&bytes, &options),
        Format::Lightgbm => import::lightgbm::read(&bytes, &options),
        Format::Scorecard => import::scorecard::read(&bytes, &options),
        Format::Sklearn => import::sklearn::read(&bytes, &options),
    };
    let refuse = |source: ImportError| Error::Import { path: arguments.model.clone(), source };
    let imported = imported.map_err(refuse)?;
    eprintln!("{}: {}, {} columns", arguments.model.display(), imported.library, imported.columns.len());
    for note in &imported.notes {
        eprintln!("note: {note}");
    }
    if let Some(path) = &arguments.write_schema {
        let draft = imported.draft(imported.schema(), &imported.placements()).map_err(refuse)?;
        output::write(Some(path), schema::write(&imported, &draft).as_bytes())?;
        eprintln!("schema written to {}: edit what is marked {:?}", path.display(), PLACEHOLDER.en.trim());
    }
    let Some(out) = &arguments.out else { return Ok(()) };

    let (draft, placements) = match &given {
        None => (imported.draft(imported.schema(), &imported.placements()), imported.placements()),
        Some(schema) => (imported.draft(schema.schema(), &schema.placements()), schema.placements()),
    };
    let mut bundle = draft.map_err(refuse)?;
    bundle.card.created = today();
    if let Some((schema, path)) = given.as_ref().zip(arguments.schema.as_ref()) {
        schema.apply(&mut bundle).map_err(|problem| Error::SchemaFile { path: path.clone(), problem })?;
    }
    complete(arguments, &imported, given.as_ref(), &placements, &mut bundle)?;
    let sealed = bundle::seal(&bundle).map_err(|source| Error::Bundle { path: out.clone(), source })?;
    output::write(Some(out), &sealed)?;
    let unwritten = unwritten(&bundle);
    if unwritten > 0 {
        eprintln!(
            "{unwritten} texts are still marked {:?}: write them in a schema (--write-schema) before anybody is \
             asked",
            PLACEHOLDER.en.trim()
        );
    }
    eprintln!("{} written: {} golden vectors, sha256 {}", out.display(), bundle.golden.len(), hash(&sealed));
    Ok(())
}

/// Fills in what rows tell: calibration, groups, reference, figures, golden vectors.
fn complete(
    arguments: &Arguments,
    imported: &Imported,
    given: Option<&SchemaFile>,
    placements: &[import::Placement],
    bundle: &mut Bundle,
) -> Result<(), Error> {
    let draft = |bundle: &Bundle| {
        let path = arguments.out.clone().unwrap_or_default();
        Model::draft(bundle.clone()).map_err(|source| Error::Bundle { path, source })
    };
    let mut model = draft(bundle)?;
    let observed_rows = match (&arguments.calibrate, &arguments.target) {
        (Some(path), Some(target)) => {
            let rows = Rows::read(&model, placements, path, Some(target))?;
            let observed = rows.observed(&model, target)?;
            let chosen = calibrate::choose(&observed, &bundle.calibration, arguments.calibration)
                .map_err(|problem| Error::Rows { path: path.clone(), problem })?;
            for (name, loss) in &chosen.tried {
                eprintln!("calibration {name}: log-loss {loss:.5} out of fold over {} rows", observed.len());
            }
            eprintln!("calibration taken: {}", chosen.name);
            bundle.calibration = chosen.calibration;
            Some((rows, observed, path))
        }
        _ => None,
    };
    let reference = match &arguments.reference {
        Some(path) => Some(Rows::read(&model, placements, path, None)?),
        None => None,
    };
    let reference = reference.as_ref().or(observed_rows.as_ref().map(|(rows, _, _)| rows));
    model = draft(bundle)?;
    if let (Some(rows), true) = (reference, given.is_none_or(|schema| schema.cuts.is_none())) {
        match rows.cuts(&model)? {
            Some(cuts) => bundle.groups.cuts = cuts,
            None => {
                eprintln!("the rows have fewer than eight different PDs: the groups keep their default cuts")
            }
        }
        model = draft(bundle)?;
    }
    if let Some(rows) = reference {
        rows.reference(&model, bundle)?;
        model = draft(bundle)?;
    }
    if let Some((rows, observed, path)) = &observed_rows {
        let method = format!("{} rows that calibrated the model", rows.count());
        (bundle.card.metrics, bundle.card.calibration) = rows::card(&model, observed, &method);
        describe_data(bundle, path, rows.count())?;
    } else if let (Some(path), Some(rows)) = (&arguments.reference, reference) {
        describe_data(bundle, path, rows.count())?;
    } else {
        // Nothing is known about the data: the file that is known is the model's.
        describe_data(bundle, &arguments.model, 0)?;
    }
    bundle.golden = match &arguments.golden {
        Some(path) => {
            let rows = Rows::read(&model, placements, path, Some(&arguments.margin))?;
            let (golden, compared) = rows.golden(&model, imported.agreement, &arguments.margin)?;
            eprintln!("{compared} margins of the training library agree");
            golden
        }
        None => {
            bundle.card.limits.push(Text {
                es: "Los vectores de prueba se calcularon al importar, no con la biblioteca que entrenó el \
                     modelo: no prueban que ambas den lo mismo."
                    .to_owned(),
                en: "The golden vectors were computed on import, not by the library that trained the model: \
                     they do not prove that the two agree."
                    .to_owned(),
            });
            match reference {
                Some(rows) => rows.own_golden(&model)?,
                None => rows::made_up(&model),
            }
        }
    };
    Ok(())
}

/// Which file the figures come from. A name that the schema gives stays.
fn describe_data(bundle: &mut Bundle, path: &Path, rows: usize) -> Result<(), Error> {
    let data = &mut bundle.card.data;
    data.sha256 = hash(&read(path)?);
    data.rows = rows as u64;
    if data.name == "?" {
        data.name =
            path.file_name().map_or_else(|| "?".to_owned(), |name| name.to_string_lossy().into_owned());
    }
    Ok(())
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// How many texts nobody has written yet.
fn unwritten(bundle: &Bundle) -> usize {
    let schema = &bundle.schema;
    let texts = schema
        .features
        .iter()
        .map(|feature| &feature.label)
        .chain(schema.sections.iter().map(|section| &section.label))
        .chain(bundle.groups.groups.iter().flat_map(|group| [&group.label, &group.action]))
        .chain(bundle.reasons.texts.values().flat_map(|texts| [&texts.raises, &texts.lowers]))
        .chain([&bundle.name, &bundle.card.purpose, &bundle.card.fairness, &bundle.card.data.source]);
    texts.filter(|text| PLACEHOLDER.marks(text)).count()
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let file = |source| Error::File { action: "read", path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there is too much, without reading all of it.
    let limit = MAX_MODEL_BYTES as u64 + 1;
    std::fs::File::open(path).map_err(file)?.take(limit).read_to_end(&mut bytes).map_err(file)?;
    Ok(bytes)
}

/// `YYYY-MM-DD` in UTC.
fn today() -> String {
    time::OffsetDateTime::now_utc().date().to_string()
}
