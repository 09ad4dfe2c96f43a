//! Bringing out what is kept about a client, and finishing erasures: what the texts of events still hold goes
//! after the client did, in small steps between which others write.

use crate::clock::now_ms;
use crate::error::StoreError;
use crate::http::Shared;
use crate::store::{HistoryFilter, HistoryScope, HistorySort, Note, Store, Swept};
use std::time::Duration;
use vereda_domain::api::{ClientData, Deed, Doer};
use vereda_domain::record::Record;
use vereda_domain::{BranchId, ClientId};

/// All that is kept about a client, if there is one and they are of this branch; that it was brought out is
/// written down.
///
/// # Errors
/// When the database does.
pub async fn client_data(
    store: &dyn Store,
    client: ClientId,
    branch: Option<BranchId>,
    by: Doer,
) -> Result<Option<ClientData>, StoreError> {
    let mut records = store.client_records(client).await?.into_iter();
    let Some(Record::Client(record)) = records.next() else { return Ok(None) };
    if branch.is_some_and(|branch| branch != record.branch) {
        return Ok(None);
    }
    let assessments = records.filter_map(|record| match record {
        Record::Assessment(assessment) => Some(assessment),
        Record::Client(_) => None,
    });
    let filter = HistoryFilter {
        client: Some(client),
        sort: HistorySort::OldestScored,
        ..HistoryFilter::all_of(HistoryScope::All)
    };
    let history = store.history(filter).await?.into_iter().map(|row| row.entry);
    let data = ClientData { client: record, assessments: assessments.collect(), history: history.collect() };
    store.note(Note { by, at: now_ms(), deed: Deed::ClientExported { client } }).await?;
    Ok(Some(data))
}

/// Events that are looked at in one step: some milliseconds of the one who writes.
const STEP: u32 = 2000;

/// Finishes the erasures that there are.
///
/// # Errors
/// When the database does; what was gone through is not gone through again.
pub async fn sweep(store: &dyn Store) -> Result<(), StoreError> {
    loop {
        match store.sweep(STEP, now_ms()).await? {
            Swept::Nothing => return Ok(()),
            Swept::More => {}
            Swept::Done(erasure) => {
                tracing::info!(client = %erasure.client, events = erasure.events, "an erasure is done");
            }
        }
    }
}

/// How often a server looks for erasures to finish, when it was not told of one: another replica may have
/// stopped in the middle.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Finishes erasures for as long as the server runs.
pub async fn finish(app: Shared) {
    loop {
        if let Err(error) = sweep(app.store.as_ref()).await {
            tracing::warn!(%error, "an erasure could not be finished; it will be");
        }
        let _ = tokio::time::timeout(LOOK_EVERY, app.sweep.notified()).await;
    }
}
