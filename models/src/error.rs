//! What can go wrong on the command line.

use crate::applicants::Reject;
use std::path::PathBuf;
use vereda_domain::api::{Problem, ProblemCode};
use vereda_scoring::import::ImportError;
use vereda_scoring::{LoadError, RowsError};

/// Why a command did not do what was asked, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read or written.
    #[error("cannot {action} {path}: {source}; check the path and its permissions", path = path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A bundle that is refused.
    #[error("{path} is not a usable bundle: {source} [{code}]", path = path.display(), code = source.code())]
    Bundle {
        /// Which file.
        path: PathBuf,
        /// What is wrong and where.
        source: LoadError,
    },
    /// A trained model that cannot become a bundle.
    #[error("{path}: {source} [{code}]", path = path.display(), code = source.code())]
    Import {
        /// Which file.
        path: PathBuf,
        /// What is wrong and where.
        source: ImportError,
    },
    /// A schema file that is refused.
    #[error("{path}: {problem}; --write-schema writes one that is complete", path = path.display())]
    SchemaFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong and where.
        problem: String,
    },
    /// A table that does not serve its purpose as a whole.
    #[error("{path}: {problem}", path = path.display())]
    Rows {
        /// Which file.
        path: PathBuf,
        /// Why not, and what to do.
        problem: String,
    },
    /// A table without a column for a feature.
    #[error(
        "{path} has no column {columns}; the first line must name every feature of the model: {expected}",
        path = path.display(),
        columns = columns.join(", "),
        expected = expected.join(", ")
    )]
    Columns {
        /// Which file.
        path: PathBuf,
        /// What is absent.
        columns: Vec<String>,
        /// What should be there.
        expected: Vec<String>,
    },
    /// A table that names a column twice.
    #[error("{path} has two columns {column}; rename one", path = path.display())]
    RepeatedColumn {
        /// Which file.
        path: PathBuf,
        /// Its name.
        column: String,
    },
    /// A table that is not CSV.
    #[error("{path} cannot be read as CSV: {source}; write it as UTF-8 with commas and one header line", path = path.display())]
    Csv {
        /// Which file.
        path: PathBuf,
        /// What the parser met.
        source: csv::Error,
    },
    /// A table without a column that was asked for.
    #[error("{path} has no column {column}; it has {header}", path = path.display(), header = header.join(", "))]
    NoColumn {
        /// Which file.
        path: PathBuf,
        /// What was asked for.
        column: String,
        /// What is there.
        header: Vec<String>,
    },
    /// A row that the model cannot score.
    #[error(
        "{path}, {reject}; correct the row, or give --on-error skip to set such rows aside in a file",
        path = path.display()
    )]
    Row {
        /// Which file.
        path: PathBuf,
        /// Where in it, and what is wrong.
        reject: Reject,
    },
    /// A model that breaks what every model keeps to.
    #[error("{path}: {violation}; do not use this bundle, and send it to the people who make this program", path = path.display())]
    Invariant {
        /// Which bundle.
        path: PathBuf,
        /// What it breaks, and for which inputs.
        violation: String,
    },
    /// Numbers that do not make whole rows of a model.
    #[error("the table does not fit the model: {0}")]
    Numbers(#[from] RowsError),
    /// A result that cannot be written as JSON.
    #[error("the result cannot be written as JSON: {0}")]
    Json(serde_json::Error),
    /// An address that is none, or over which a password must not go.
    #[error(
        "{0} is not a server's address: write https://host, or http://localhost:port for one on this machine"
    )]
    Address(String),
    /// No password was given and none can be asked for.
    #[error("no password: {0}; set VEREDA_PASSWORD, or give --password-file")]
    Password(String),
    /// The server was not reached, or what answered is no server of ours.
    #[error("{action} failed: {cause}; check the address and the network, nothing was published")]
    Network {
        /// What was attempted.
        action: &'static str,
        /// Why it failed.
        cause: String,
    },
    /// The server refused.
    #[error("{action} was refused: {}{}", problem_text(.problem), hint(.problem.code))]
    Refused {
        /// What was attempted.
        action: &'static str,
        /// The server's words.
        problem: Box<Problem>,
    },
    /// The server stored something else than what was sent.
    #[error(
        "the server says that it holds {found} where {sent} was sent; do not roll it out, and look at the server's log"
    )]
    Different {
        /// SHA-256 that the server gave.
        found: String,
        /// SHA-256 of what was sent.
        sent: String,
    },
}

impl Error {
    /// Whether a reader of the output has had enough (`| head`), which is no failure.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::File { action: "write", source, .. }
            if source.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// 3 when it may work later without a change (network, server), 1 when what was given is wrong.
    /// 2 is for wrong arguments.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Network { .. } | Error::Different { .. } => 3,
            Error::Refused { problem, .. } if problem.status >= 500 || problem.status == 429 => 3,
            _ => 1,
        }
    }
}

/// Only printable: the text comes over the network and goes to a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(1000).collect()
}

fn problem_text(problem: &Problem) -> String {
    let code = serde_json::to_value(problem.code).ok();
    let code = code.as_ref().and_then(|code| code.as_str()).unwrap_or("unknown");
    let mut text = format!("{} ({code}, {})", printable(&problem.title), problem.status);
    if !problem.detail.is_empty() {
        text.push_str(&format!(": {}", printable(&problem.detail)));
    }
    for field in &problem.fields {
        text.push_str(&format!("\n  {}", printable(&field.to_string())));
    }
    if !problem.request_id.is_empty() {
        text.push_str(&format!("\n  request {} in the server's log", printable(&problem.request_id)));
    }
    text
}

fn hint(code: ProblemCode) -> &'static str {
    match code {
        ProblemCode::WrongCredentials => "\n  check --user and the password",
        ProblemCode::Forbidden => "\n  only a risk analyst publishes models",
        ProblemCode::VersionNotAbove => "\n  raise the bundle's version and export it again",
        _ => "",
    }
}
