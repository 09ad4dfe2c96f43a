//! Many events at once, for measurements of stores that took years to fill. Not in the app.

use crate::app::App;
use crate::error::DeviceError;
use crate::session::blocking;
use crate::store::{chain, project};
use vereda_domain::event::EventBody;

impl App {
    /// Appends these events to the open store's chain in one transaction, as if each had been captured:
    /// what an edit replaces is looked up here, as a screen's edit does.
    ///
    /// # Errors
    /// As capturing one; nothing is kept then.
    pub async fn capture_many(&self, bodies: Vec<EventBody>) -> Result<(), DeviceError> {
        let session = self.session()?;
        blocking(move || {
            let (identity, now) = (session.identity(), session.now());
            session.store.write(|db| {
                for mut body in bodies {
                    if let EventBody::ClientEdited { client, edits } = &mut body {
                        let known = project::client(db, *client)?.ok_or(DeviceError::NotFound("client"))?;
                        for (field, edit) in edits {
                            edit.replaces = known.heads(*field);
                        }
                    }
                    chain::append(db, &identity, body, now)?;
                }
                Ok(())
            })?;
            session.captured()
        })
        .await
    }

    /// How many events wait, and how many there are, in the open store.
    ///
    /// # Errors
    /// When it is locked or cannot be read.
    pub async fn chain_size(&self) -> Result<(u64, u64), DeviceError> {
        let session = self.session()?;
        session.read(|db| Ok((chain::counts(db)?.0, chain::head(db)?.seq))).await
    }

    /// How many records, of clients and of assessments, are in the open store.
    ///
    /// # Errors
    /// When it is locked or cannot be read.
    pub async fn records(&self) -> Result<u64, DeviceError> {
        let session = self.session()?;
        let count = |db: &rusqlite::Connection| {
            Ok(db.query_row("SELECT count(*) FROM records", [], |row| row.get::<_, i64>(0))?)
        };
        Ok(session.read(count).await?.unsigned_abs())
    }
}
