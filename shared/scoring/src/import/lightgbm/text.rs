//! The outer form of the file: a header, one block per tree, and what stands after them.

use super::super::ImportError;
use std::collections::BTreeMap;
use std::str::FromStr;

/// The name that errors give to the format.
pub(super) const FORMAT: &str = "LightGBM's text format";
const SAVE_AGAIN: &str = "give the file that Booster.save_model wrote";

/// `key=value` lines; a line without `=` is a key with an empty value.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    /// Where it stands, for errors: `header` or `Tree=3`.
    pub(super) place: String,
    values: BTreeMap<&'a str, &'a str>,
}

/// A file, taken apart by lines.
#[derive(Debug, Default)]
pub(super) struct Document<'a> {
    /// Everything before the first tree.
    pub(super) header: Block<'a>,
    /// The trees, in the order of the file.
    pub(super) trees: Vec<Block<'a>>,
    /// The `[key: value]` lines: what the training was told.
    pub(super) parameters: BTreeMap<&'a str, &'a str>,
    /// The JSON behind `pandas_categorical:`, if there is one.
    pub(super) pandas_categorical: Option<&'a str>,
}

/// Takes a file apart.
pub(super) fn document<'a>(bytes: &'a [u8], most_trees: usize) -> Result<Document<'a>, ImportError> {
    let syntax = |problem: String| ImportError::Syntax { format: FORMAT, problem, mend: SAVE_AGAIN };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| syntax(format!("it is not UTF-8 text at byte {}", error.valid_up_to())))?;
    let mut lines = text.lines().map(str::trim_end);
    match lines.find(|line| !line.is_empty()) {
        Some("tree") => {}
        Some(first) if first.starts_with('{') => {
            return Err(syntax("it is JSON, perhaps of dump_model".to_owned()));
        }
        Some(first) => {
            let first: String = super::super::error::printable(first).chars().take(40).collect();
            return Err(syntax(format!("it begins with {first:?} and not with \"tree\"")));
        }
        None => return Err(syntax("it is empty".to_owned())),
    }
    let mut document = Document::default();
    document.header.place = "header".to_owned();
    let mut ended = false;
    for line in lines {
        if let Some(json) = line.strip_prefix("pandas_categorical:") {
            document.pandas_categorical = Some(json);
        } else if ended {
            // Feature importances and parameters; only the latter say something about columns.
            let inside = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
            if let Some((key, value)) = inside.and_then(|inside| inside.split_once(": ")) {
                document.parameters.insert(key, value);
            }
        } else if line == "end of trees" {
            ended = true;
        } else if line.starts_with("Tree=") {
            if document.trees.len() == most_trees {
                return Err(ImportError::TooLarge {
                    place: String::new(),
                    what: "trees",
                    found: most_trees + 1,
                    limit: most_trees,
                    mend: "train with fewer trees, or save fewer iterations",
                });
            }
            document.trees.push(Block { place: line.to_owned(), values: BTreeMap::new() });
        } else if !line.is_empty() {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            let block = document.trees.last_mut().unwrap_or(&mut document.header);
            if block.values.insert(key, value).is_some() {
                return Err(ImportError::shape(block.place.clone(), format!("{key} is given twice")));
            }
        }
    }
    if !ended {
        return Err(syntax("it ends before \"end of trees\"".to_owned()));
    }
    Ok(document)
}

impl<'a> Block<'a> {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.values.get(key).copied()
    }

    /// The value of a key that every file has.
    pub(super) fn need(&self, key: &str) -> Result<&'a str, ImportError> {
        self.get(key).ok_or_else(|| self.wrong(key, "is absent"))
    }

    /// One number.
    pub(super) fn number<T: FromStr>(&self, key: &str) -> Result<T, ImportError> {
        let text = self.need(key)?;
        text.trim().parse().map_err(|_| self.wrong(key, format!("{text:?} is not such a number")))
    }

    /// Exactly `count` numbers.
    pub(super) fn numbers<T: FromStr>(&self, key: &str, count: usize) -> Result<Vec<T>, ImportError> {
        let mut numbers = Vec::new();
        for word in self.need(key)?.split_ascii_whitespace() {
            numbers
                .push(word.parse().map_err(|_| self.wrong(key, format!("{word:?} is not such a number")))?);
        }
        if numbers.len() != count {
            return Err(self.wrong(key, format!("has {} numbers and needs {count}", numbers.len())));
        }
        Ok(numbers)
    }

    /// Exactly `count` finite numbers.
    pub(super) fn reals(&self, key: &str, count: usize) -> Result<Vec<f64>, ImportError> {
        let numbers: Vec<f64> = self.numbers(key, count)?;
        match numbers.iter().find(|number| !number.is_finite()) {
            Some(number) => Err(self.wrong(key, format!("{number} is not a finite number"))),
            None => Ok(numbers),
        }
    }

    /// Something that contradicts the format.
    pub(super) fn wrong(&self, key: &str, problem: impl Into<String>) -> ImportError {
        ImportError::shape(format!("{}: {key}", self.place), problem)
    }
}
