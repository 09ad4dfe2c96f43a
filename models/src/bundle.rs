//! Reading a bundle from a file.

use crate::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use vereda_scoring::{MAX_BYTES, Model};

/// A bundle that passed every check, with the bytes it came from.
pub struct Checked {
    /// The model.
    pub model: Model,
    /// Exactly what is hashed and published.
    pub bytes: Vec<u8>,
}

/// Reads and checks a bundle, golden vectors included.
///
/// # Errors
/// [`Error::File`], [`Error::Bundle`].
pub fn read(path: &Path) -> Result<Checked, Error> {
    let file = |source| Error::File { action: "read", path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there is too much, without reading all of it.
    File::open(path).map_err(file)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(file)?;
    let model = Model::load(&bytes).map_err(|source| Error::Bundle { path: path.to_owned(), source })?;
    Ok(Checked { model, bytes })
}
