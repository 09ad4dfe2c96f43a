//! The app's own catalogues, so that a test can say by key what a screen must show.

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;

/// The languages of the app.
pub const LANGUAGES: [&str; 2] = ["es", "en"];

/// The messages of one language that stand on one line.
#[derive(Debug)]
pub struct Texts(BTreeMap<String, String>);

impl Texts {
    /// Reads `app/ui/i18n/<language>`.
    ///
    /// # Errors
    /// When there is no such catalogue.
    pub fn of(language: &str) -> Result<Texts> {
        let folder = crate::root().join("app/ui/i18n").join(language);
        let mut texts = BTreeMap::new();
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            for line in std::fs::read_to_string(entry?.path())?.lines() {
                if let Some((key, text)) = line.split_once(" = ")
                    && !key.starts_with([' ', '#'])
                {
                    texts.insert(key.to_owned(), text.to_owned());
                }
            }
        }
        Ok(Texts(texts))
    }

    /// The fixed parts of a message, between what it is filled with.
    ///
    /// # Errors
    /// When the catalogue has no such message.
    pub fn parts(&self, key: &str) -> Result<Vec<String>> {
        let text = self.0.get(key).with_context(|| format!("no text {key} on one line"))?;
        let parts = text.split('{').flat_map(|part| part.rsplit('}').next()).map(plain);
        let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
        anyhow::ensure!(!parts.is_empty(), "the text {key} has no fixed part");
        Ok(parts)
    }
}

/// With single, ordinary spaces.
pub fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
