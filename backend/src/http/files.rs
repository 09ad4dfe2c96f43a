//! Files of clients: what an event named, sent in pieces after it.

use super::Shared;
use super::body::{Json, Piece, field_error, one_of};
use super::caller::Caller;
use super::problem::{ApiError, ApiResult};
use super::query::{Form, Param, Query};
use super::route::Reach;
use crate::clock::now_ms;
use crate::store::{FileKey, FileState};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use vereda_domain::api::FileStatus;
use vereda_domain::attachment::FileInfo;
use vereda_domain::event::Hash;
use vereda_scoring::FieldProblem;

/// Where a piece belongs.
pub const FROM: Param = Param::new("from", Form::Count, "How many bytes of the file come before this piece.");

/// A file that the record of a client of the caller's branch names. Anything else is not there.
async fn named(app: &Shared, caller: &Caller, path: (String, String)) -> ApiResult<Named> {
    let client = path.0.parse().map_err(|_| ApiError::not_found())?;
    let sha256: Hash = path.1.parse().map_err(|_| ApiError::not_found())?;
    let record = app.store.client_record(client).await?.ok_or_else(ApiError::not_found)?;
    if record.branch != caller.branch()? {
        return Err(ApiError::not_found());
    }
    let info = record.file(sha256).cloned().ok_or_else(ApiError::not_found)?;
    let own = caller.reach != Reach::Own || record.officer == caller.user;
    Ok(Named { key: FileKey { client, sha256 }, info, own })
}

struct Named {
    key: FileKey,
    info: FileInfo,
    /// Whether the client is in the caller's portfolio. Whoever captured a file delivers it even if the
    /// client has moved on since; only what is seen is not for them any more.
    own: bool,
}

impl Named {
    fn status(&self, state: FileState) -> FileStatus {
        FileStatus { received: state.received, bytes: self.info.bytes, complete: state.whole, end: state.end }
    }

    /// Looks at a file that has all its bytes: it is whole, or begins anew.
    async fn settled(&self, app: &Shared, state: FileState) -> ApiResult<FileStatus> {
        if state.whole || state.received < self.info.bytes {
            return Ok(self.status(state));
        }
        let bytes = app.store.file_bytes(self.key).await?;
        if Hash::of(&bytes) == self.key.sha256 {
            return Ok(self.status(app.store.finish_file(self.key, now_ms()).await?));
        }
        tracing::warn!(file = %self.key.sha256, "the pieces of a file are not what its hash says; it begins anew");
        app.store.discard_file(self.key).await?;
        Ok(self.status(FileState::default()))
    }
}

/// How much of it is here.
pub async fn status(
    State(app): State<Shared>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> ApiResult<Json<FileStatus>> {
    let file = named(&app, &caller, path).await?;
    let state = app.store.file(file.key).await?;
    file.settled(&app, state).await.map(Json)
}

/// Takes a piece of it. One that does not begin where the file ends changes nothing: the answer says
/// where to go on.
pub async fn piece(
    State(app): State<Shared>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    query: Query,
    Piece(piece): Piece,
) -> ApiResult<Json<FileStatus>> {
    let from: Option<u64> = query.parsed(&FROM)?;
    let from = from.ok_or_else(|| field_error(FROM.name, FieldProblem::Required))?;
    let file = named(&app, &caller, path).await?;
    let end = from.checked_add(piece.len() as u64);
    if piece.is_empty() || end.is_none_or(|end| end > file.info.bytes) {
        return Err(field_error("body", one_of(&["bytes of the file, no more than it has"])));
    }
    let state = app.store.add_piece(file.key, from, piece).await?;
    file.settled(&app, state).await.map(Json)
}

/// All of it.
pub async fn file(
    State(app): State<Shared>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> ApiResult<Response> {
    let file = named(&app, &caller, path).await?;
    if !file.own || !app.store.file(file.key).await?.whole {
        return Err(ApiError::not_found());
    }
    let bytes = app.store.file_bytes(file.key).await?;
    let headers = [
        (header::CONTENT_TYPE, file.info.media.as_str()),
        // Bytes from a device: nothing in them may be run, nor stay in a shared cache.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::CACHE_CONTROL, "private, no-store"),
    ];
    Ok((headers, bytes).into_response())
}
