//! Where results go: standard output, or a file that appears whole or not at all.

use crate::Error;
use std::fs::File;
use std::io::{BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A place to write to. Without [`Output::finish`], a file stays as it was before.
pub struct Output {
    name: PathBuf,
    sink: Sink,
}

enum Sink {
    Stdout(BufWriter<Stdout>),
    /// Written beside the target and renamed over it at the end.
    Replace {
        writer: BufWriter<NamedTempFile>,
        target: PathBuf,
    },
    /// A pipe or a device, which cannot be replaced.
    Direct(BufWriter<File>),
}

impl Output {
    /// A file, or standard output if there is no path.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(path: Option<&Path>) -> Result<Output, Error> {
        let Some(path) = path else {
            return Ok(Output {
                name: "standard output".into(),
                sink: Sink::Stdout(BufWriter::new(std::io::stdout())),
            });
        };
        let fails = |source| Error::File { action: "write", path: path.to_owned(), source };
        // What a link points at is replaced, not the link.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let sink = match std::fs::metadata(&target) {
            Ok(there) if there.is_dir() => {
                return Err(fails(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
            }
            Ok(there) if !there.is_file() => {
                let file = File::options().write(true).open(&target).map_err(fails)?;
                Sink::Direct(BufWriter::new(file))
            }
            existing => {
                let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
                let mut builder = tempfile::Builder::new();
                builder.prefix(".vereda-model-");
                #[cfg(unix)]
                {
                    use std::os::unix::fs::PermissionsExt as _;
                    // Less the umask, as for any file that a program makes.
                    builder.permissions(std::fs::Permissions::from_mode(0o666));
                }
                let file = builder.tempfile_in(folder.unwrap_or(Path::new("."))).map_err(fails)?;
                if let Ok(existing) = existing {
                    file.as_file().set_permissions(existing.permissions()).map_err(fails)?;
                }
                Sink::Replace { writer: BufWriter::new(file), target }
            }
        };
        Ok(Output { name: path.to_owned(), sink })
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let done = match &mut self.sink {
            Sink::Stdout(writer) => writer.write_all(bytes),
            Sink::Replace { writer, .. } => writer.write_all(bytes),
            Sink::Direct(writer) => writer.write_all(bytes),
        };
        done.map_err(|source| Error::File { action: "write", path: self.name.clone(), source })
    }

    /// Puts everything in its place: on the disk before it takes the old file's name.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn finish(self) -> Result<(), Error> {
        let done = match self.sink {
            Sink::Stdout(mut writer) => writer.flush(),
            Sink::Direct(mut writer) => writer.flush(),
            Sink::Replace { writer, target } => {
                writer.into_inner().map_err(std::io::IntoInnerError::into_error).and_then(|file| {
                    file.as_file().sync_all()?;
                    file.persist(&target).map(drop).map_err(|error| error.error)
                })
            }
        };
        done.map_err(|source| Error::File { action: "write", path: self.name, source })
    }
}

/// Writes all of a result at once: to a file if there is a path, else to standard output.
///
/// # Errors
/// [`Error::File`].
pub fn write(path: Option<&Path>, bytes: &[u8]) -> Result<(), Error> {
    let mut output = Output::open(path)?;
    output.write(bytes)?;
    output.finish()
}
