//! The schema that an analyst writes for a model, as TOML: what is asked and said that no model
//! knows.

use crate::Error;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use vereda_scoring::bundle::{
    Bundle, Decision, Direction, Estimator, Feature, GroupText, Kind, ReasonText, Schema, Section, Text,
};
use vereda_scoring::import::{Imported, Placement};

/// The most bytes a schema file may have.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Everything that a bundle says beside the estimator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaFile {
    /// The bundle's id.
    pub id: String,
    /// The bundle's version.
    pub version: u32,
    /// ISO 4217, or `XXX`.
    pub currency: String,
    /// What people call the model.
    pub name: Text,
    /// What it is for.
    pub purpose: Text,
    /// What it must not be used for.
    pub limits: Vec<Text>,
    /// Which protected attributes were kept out or why one is in.
    pub fairness: Text,
    /// Who made it.
    pub author: String,
    /// `YYYY-MM-DD`; the day of the import if absent.
    pub created: Option<String>,
    /// The rows it was trained on.
    pub data: Data,
    /// How many reasons are given, 1 to 8.
    pub max_reasons: u32,
    /// The form's sections, in order.
    pub section: Vec<Section>,
    /// The features, in the order in which they are asked within their sections.
    pub feature: Vec<Entry>,
    /// Seven PDs; taken from the rows if absent.
    pub cuts: Option<Vec<f64>>,
    /// Eight, T1 first.
    pub group: Vec<Group>,
}

/// What is known about the training data.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Its name.
    pub name: String,
    /// Where it comes from and under what licence.
    pub source: Text,
}

/// One question.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What the model calls it; `name` if absent.
    pub column: Option<String>,
    /// Its name in the bundle.
    pub name: String,
    /// The section it stands in.
    pub section: String,
    /// The question in a few words.
    pub label: Text,
    /// How to ask it; may be absent.
    #[serde(default)]
    pub help: Text,
    /// What kind of answer it takes.
    pub kind: Kind,
    /// Whether "not known" is an answer.
    pub missing_allowed: bool,
    /// Whether a what-if may vary it.
    #[serde(default)]
    pub adjustable: bool,
    /// Which way the PD moves as it grows: a claim, which is checked.
    pub monotone: Option<Direction>,
    /// What is said when it raises and when it lowers the PD; for scored features.
    pub reasons: Option<ReasonText>,
    /// Why it may be scored although its name or label speaks of a protected attribute.
    pub protected: Option<Text>,
}

/// One risk group.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// In a few words.
    pub label: Text,
    /// What policy suggests.
    pub decision: Decision,
    /// The same in words.
    pub action: Text,
    /// `#rrggbb`.
    pub colour: String,
}

impl SchemaFile {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::SchemaFile`].
    pub fn read(path: &Path) -> Result<SchemaFile, Error> {
        let file = |source| Error::File { action: "read", path: path.to_owned(), source };
        let refuse = |problem| Error::SchemaFile { path: path.to_owned(), problem };
        if std::fs::metadata(path).map_err(file)?.len() > MAX_BYTES {
            return Err(refuse(format!("it has more than {MAX_BYTES} bytes")));
        }
        SchemaFile::parse(&std::fs::read_to_string(path).map_err(file)?).map_err(refuse)
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// Where it is not TOML of this shape, in words.
    pub fn parse(text: &str) -> Result<SchemaFile, String> {
        toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
    }

    /// The options of its categories by the model's column, in the order of the codes.
    pub fn categories(&self) -> BTreeMap<String, Vec<String>> {
        let options = |entry: &Entry| match &entry.kind {
            Kind::Category { options, .. } => {
                Some(options.iter().map(|option| option.code.clone()).collect::<Vec<_>>())
            }
            _ => None,
        };
        self.feature.iter().filter_map(|e| Some((e.column().to_owned(), options(e)?))).collect()
    }

    /// Where the model's columns stand.
    pub fn placements(&self) -> Vec<Placement> {
        self.feature
            .iter()
            .map(|entry| Placement { column: entry.column().to_owned(), feature: entry.name.clone() })
            .collect()
    }

    /// What the form asks.
    pub fn schema(&self) -> Schema {
        let features = self.feature.iter().map(|entry| Feature {
            name: entry.name.clone(),
            kind: entry.kind.clone(),
            missing_allowed: entry.missing_allowed,
            label: entry.label.clone(),
            help: entry.help.clone(),
            section: entry.section.clone(),
            adjustable: entry.adjustable,
        });
        Schema {
            currency: self.currency.clone(),
            sections: self.section.clone(),
            features: features.collect(),
        }
    }

    /// Puts everything that it says into a draft made under [`SchemaFile::schema`].
    ///
    /// # Errors
    /// A monotone claim about a model that is no tree ensemble.
    pub fn apply(&self, bundle: &mut Bundle) -> Result<(), String> {
        bundle.id = self.id.clone();
        bundle.version = self.version;
        bundle.name = self.name.clone();
        bundle.reasons.max = self.max_reasons;
        for entry in &self.feature {
            // Sentences for a feature that is not scored would never be said: the draft has no place
            // for them.
            if let (Some(texts), Some(given)) = (bundle.reasons.texts.get_mut(&entry.name), &entry.reasons) {
                *texts = given.clone();
            }
            if let Some(argument) = &entry.protected {
                bundle.card.protected.insert(entry.name.clone(), argument.clone());
            }
            let Some(direction) = entry.monotone else { continue };
            match &mut bundle.estimator {
                Estimator::TreeEnsemble(ensemble) => {
                    ensemble.monotone.insert(entry.name.clone(), direction);
                }
                Estimator::Logistic { .. } | Estimator::Linear { .. } => {
                    return Err(format!(
                        "feature {:?} claims to be monotone, which only tree ensembles need to",
                        entry.name
                    ));
                }
            }
        }
        if let Some(cuts) = &self.cuts {
            bundle.groups.cuts = cuts.clone();
        }
        bundle.groups.groups = self
            .group
            .iter()
            .map(|group| GroupText {
                label: group.label.clone(),
                decision: group.decision,
                action: group.action.clone(),
                colour: group.colour.clone(),
            })
            .collect();
        let card = &mut bundle.card;
        card.purpose = self.purpose.clone();
        card.limits = self.limits.clone();
        card.fairness = self.fairness.clone();
        card.author = self.author.clone();
        card.data.name = self.data.name.clone();
        card.data.source = self.data.source.clone();
        if let Some(created) = &self.created {
            card.created = created.clone();
        }
        Ok(())
    }
}

impl Entry {
    fn column(&self) -> &str {
        self.column.as_deref().unwrap_or(&self.name)
    }
}

/// A text as TOML: `{ es = "..", en = ".." }`.
fn text(text: &Text) -> String {
    format!("{{ es = {}, en = {} }}", quoted(&text.es), quoted(&text.en))
}

fn quoted(words: &str) -> String {
    toml::Value::String(words.to_owned()).to_string()
}

/// A float as TOML, which needs a point or an exponent.
fn float(x: f64) -> String {
    format!("{x:?}")
}

/// A value as serde names it, such as `"refer"`.
fn word(value: &impl serde::Serialize) -> String {
    toml::Value::try_from(value).map_or_else(|_| quoted("?"), |value| value.to_string())
}

/// The draft of a model as a schema file, ready to be edited.
pub fn write(imported: &Imported, bundle: &Bundle) -> String {
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = write_all(&mut out, imported, bundle);
    out
}

fn write_all(out: &mut String, imported: &Imported, bundle: &Bundle) -> std::fmt::Result {
    let card = &bundle.card;
    writeln!(
        out,
        "# What is asked, and what is said about the answers. Everything marked EDIT is to be written."
    )?;
    writeln!(out, "# Then: vereda-model import ... --schema THIS.toml --out BUNDLE.json")?;
    for note in &imported.notes {
        writeln!(out, "# Note: {note}")?;
    }
    writeln!(out, "\nid = {}", quoted(&bundle.id))?;
    writeln!(out, "# Above every version published before, whatever its id.")?;
    writeln!(out, "version = {}", bundle.version)?;
    writeln!(out, "# ISO 4217; XXX if the data do not state it.")?;
    writeln!(out, "currency = {}", quoted(&bundle.schema.currency))?;
    writeln!(out, "name = {}", text(&bundle.name))?;
    writeln!(out, "purpose = {}", text(&card.purpose))?;
    writeln!(out, "# What the model must not be used for and where it is weak, a sentence each.")?;
    writeln!(out, "limits = [")?;
    for limit in &card.limits {
        writeln!(out, "  {},", text(limit))?;
    }
    writeln!(out, "]")?;
    writeln!(out, "# Which protected attributes were kept out, or why one is in.")?;
    writeln!(out, "fairness = {}", text(&card.fairness))?;
    writeln!(out, "author = {}", quoted(&card.author))?;
    writeln!(out, "# created = \"YYYY-MM-DD\"  (the day of the import if absent)")?;
    writeln!(out, "data = {{ name = {}, source = {} }}", quoted(&card.data.name), text(&card.data.source))?;
    writeln!(out, "max_reasons = {}", bundle.reasons.max)?;
    writeln!(
        out,
        "# Seven PDs between the eight groups; from the rows of --calibrate or --reference if absent."
    )?;
    let cuts: Vec<String> = bundle.groups.cuts.iter().map(|cut| float(*cut)).collect();
    writeln!(out, "# cuts = [{}]", cuts.join(", "))?;

    writeln!(out, "\n# The form's steps, in order.")?;
    for section in &bundle.schema.sections {
        writeln!(out, "[[section]]\nid = {}\nlabel = {}", quoted(&section.id), text(&section.label))?;
    }
    for feature in &bundle.schema.features {
        write_feature(out, imported, bundle, feature)?;
    }
    writeln!(out, "\n# Eight groups, T1 (lowest PD) first. decision: approve, refer or refuse.")?;
    for group in &bundle.groups.groups {
        writeln!(out, "[[group]]")?;
        writeln!(out, "label = {}", text(&group.label))?;
        writeln!(out, "decision = {}", word(&group.decision))?;
        writeln!(out, "action = {}", text(&group.action))?;
        writeln!(out, "colour = {}", quoted(&group.colour))?;
    }
    Ok(())
}

fn write_feature(
    out: &mut String,
    imported: &Imported,
    bundle: &Bundle,
    feature: &Feature,
) -> std::fmt::Result {
    let column = imported.columns.iter().find(|column| column.name == feature.name);
    writeln!(out, "\n[[feature]]")?;
    writeln!(out, "column = {}", quoted(column.map_or(&feature.name, |column| &column.column)))?;
    writeln!(out, "name = {}", quoted(&feature.name))?;
    writeln!(out, "section = {}", quoted(&feature.section))?;
    writeln!(out, "label = {}", text(&feature.label))?;
    writeln!(out, "# help = {}", text(&feature.help))?;
    writeln!(out, "missing_allowed = {}", feature.missing_allowed)?;
    writeln!(out, "adjustable = {}", feature.adjustable)?;
    match bundle.reasons.texts.get(&feature.name) {
        Some(reasons) => {
            writeln!(out, "reasons.raises = {}", text(&reasons.raises))?;
            writeln!(out, "reasons.lowers = {}", text(&reasons.lowers))?;
            writeln!(
                out,
                "# protected = {{ es = \"\", en = \"\" }}  (why it may be scored, if it speaks of age, sex, ...)"
            )?;
            if let Estimator::TreeEnsemble(_) = &bundle.estimator {
                writeln!(
                    out,
                    "# monotone = \"rises\"  (or \"falls\": the PD, as the feature grows; checked)"
                )?;
            }
        }
        None => writeln!(out, "# The model does not use it: it may be removed.")?,
    }
    match &feature.kind {
        Kind::Number { min, max, unit } => {
            writeln!(out, "# unit: none, currency, years, months, percent or count. Ends are accepted.")?;
            writeln!(
                out,
                "kind = {{ type = \"number\", min = {}, max = {}, unit = {} }}",
                float(*min),
                float(*max),
                word(unit)
            )
        }
        Kind::Integer { min, max, unit } => {
            writeln!(out, "# unit: none, currency, years, months, percent or count. Ends are accepted.")?;
            writeln!(out, "kind = {{ type = \"integer\", min = {min}, max = {max}, unit = {} }}", word(unit))
        }
        Kind::Boolean => writeln!(out, "kind = {{ type = \"boolean\" }}"),
        Kind::Category { options, unseen } => {
            writeln!(
                out,
                "# In the order of the model's codes: the first option is code 0. unseen: what any other"
            )?;
            writeln!(out, "# text means; \"refuse\", or \"missing\" where missing_allowed.")?;
            writeln!(out, "kind = {{ type = \"category\", unseen = {}, options = [", word(unseen))?;
            for option in options {
                writeln!(out, "  {{ code = {}, label = {} }},", quoted(&option.code), text(&option.label))?;
            }
            writeln!(out, "] }}")
        }
    }
}
