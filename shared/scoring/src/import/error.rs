//! Why a trained model cannot become an estimator.

/// What is wrong with a model file, where, and what to do about it. An importer never approximates:
/// what it does not know to be the same model, it refuses by name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// More of something than any bundle may have.
    #[error("{place}: there are {found} {what} and at most {limit} are accepted; {mend}")]
    TooLarge {
        /// Where in the file; empty for the file as a whole.
        place: String,
        /// What there is too much of, such as `trees`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are accepted.
        limit: usize,
        /// What to do.
        mend: &'static str,
    },
    /// Not the format that was expected, or a file that ends too early.
    #[error("this is not {format}: {problem}; {mend}")]
    Syntax {
        /// What was expected, such as `XGBoost's JSON`.
        format: &'static str,
        /// What the parser met and where.
        problem: String,
        /// What to do.
        mend: &'static str,
    },
    /// The format as expected, but something in it is absent, of the wrong type, or contradicts the
    /// rest: no library writes such a file.
    #[error("{place}: {problem}; save the model again with the library that trained it")]
    Shape {
        /// Path in the file, such as `learner.gradient_booster.model.trees[3].left_children[0]`.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// A model of a kind that has no exact counterpart in a bundle.
    #[error("{what} cannot become a bundle: {why}; {mend}")]
    Unsupported {
        /// What it is, by the name that the library gives it, such as `objective multi:softprob`.
        what: String,
        /// Why not.
        why: &'static str,
        /// What to do.
        mend: &'static str,
    },
    /// The options or the schema that were given do not fit the model.
    #[error("{place}: {problem}; {mend}")]
    Mismatch {
        /// What was given, such as `feature "job"`.
        place: String,
        /// Why it does not fit.
        problem: String,
        /// What to do.
        mend: &'static str,
    },
}

impl ImportError {
    /// A name for programs, which does not change with the wording.
    pub fn code(&self) -> &'static str {
        match self {
            ImportError::TooLarge { .. } => "import_too_large",
            ImportError::Syntax { .. } => "import_syntax",
            ImportError::Shape { .. } => "import_shape",
            ImportError::Unsupported { .. } => "import_unsupported",
            ImportError::Mismatch { .. } => "import_mismatch",
        }
    }

    /// A refusal by name.
    pub(crate) fn unsupported(what: impl Into<String>, why: &'static str, mend: &'static str) -> Self {
        ImportError::Unsupported { what: printable(&what.into()), why, mend }
    }

    /// A file that contradicts itself.
    pub(crate) fn shape(place: impl Into<String>, problem: impl Into<String>) -> Self {
        ImportError::Shape { place: printable(&place.into()), problem: printable(&problem.into()) }
    }

    /// Something given that does not fit the model.
    pub(crate) fn mismatch(place: impl Into<String>, problem: impl Into<String>, mend: &'static str) -> Self {
        ImportError::Mismatch { place: printable(&place.into()), problem: printable(&problem.into()), mend }
    }
}

/// Words from the file, made safe to show: bounded, and unable to move a terminal.
pub(crate) fn printable(words: &str) -> String {
    words.chars().take(300).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
