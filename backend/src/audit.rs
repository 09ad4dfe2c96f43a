//! Whether the record of who did what is whole.
//!
//! Each entry names the hash of the one before, so nothing in the middle can be changed, removed or put in
//! without a trace. Whoever can write to the database could still write all of it anew, or take away its end:
//! that shows against a head that was noted elsewhere, which is why `audit verify` prints one.

use crate::error::ServerError;
use crate::store::{AuditRow, Store};
use vereda_domain::api::AuditEntry;
use vereda_domain::event::{ChainHead, Hash};

/// How many entries are read at a time.
const PAGE: u32 = 1000;

/// Reads all of it; where it ends. `known`: a head of before, which it must still hold.
///
/// # Errors
/// [`ServerError::Audit`] naming the first entry that is not as it was written, and when the store fails.
pub async fn verify(store: &dyn Store, known: Option<ChainHead>) -> Result<ChainHead, ServerError> {
    let mut head = ChainHead::EMPTY;
    loop {
        let rows = store.audit(head.seq, PAGE).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            head = follow(head, &row).map_err(|what| ServerError::Audit { seq: head.seq + 1, what })?;
            if known.is_some_and(|known| known.seq == head.seq && known.hash != head.hash) {
                let what = "its hash is another than the one that was noted".into();
                return Err(ServerError::Audit { seq: head.seq, what });
            }
        }
    }
    match known {
        Some(known) if known.seq > head.seq => {
            let what = format!("it is missing: the log ends with entry {}", head.seq);
            Err(ServerError::Audit { seq: known.seq, what })
        }
        _ => Ok(head),
    }
}

/// The head with this entry behind it, or why it does not belong there.
fn follow(head: ChainHead, row: &AuditRow) -> Result<ChainHead, String> {
    if row.seq != head.seq + 1 {
        return Err(format!("it is missing: entry {} follows", row.seq));
    }
    if Hash::of(row.text.as_bytes()) != row.hash {
        return Err("its text is not what was hashed".into());
    }
    let entry: AuditEntry = serde_json::from_str(&row.text).map_err(|e| format!("it cannot be read: {e}"))?;
    if entry.seq != row.seq || entry.prev != head.hash {
        return Err("it does not follow the entry before it".into());
    }
    Ok(ChainHead { seq: row.seq, hash: row.hash })
}
