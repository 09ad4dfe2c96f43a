//! Pictures and signatures: sent in pieces after the events that name them, fetched when they are looked
//! at.

use super::http::Server;
use super::run::with_token;
use crate::error::{DeviceError, Result};
use crate::session::Session;
use crate::store::files::{self, Waiting};
use crate::store::{chain, meta, remote};
use crate::sync::http::AccessToken;
use std::sync::Arc;
use vereda_domain::api::{FileStatus, ProblemCode};
use vereda_domain::attachment::{CHUNK_BYTES, FileInfo};
use vereda_domain::event::Hash;
use vereda_domain::gateway::{FileRequest, SyncState};

/// Sends what waits, the oldest first. What is captured meanwhile goes before the rest of it. When this run has pulled, all
/// that this device was told is of the history that the server has now, and what it says of files goes with it.
pub(crate) async fn send(session: &Arc<Session>, server: &Server, pulled: bool) -> Result<()> {
    let total = session.read(files::counts).await?.1;
    let mut done = 0;
    let mut last = None;
    loop {
        let after = last.take();
        let Some(file) = session.read(move |db| files::next(db, after.as_ref())).await? else {
            return Ok(());
        };
        match upload(session, server, &file, pulled, (done, total)).await {
            Ok(true) => {}
            Ok(false) => {
                session.wake.notify_one();
                return Ok(());
            }
            // The event that names it was put aside there; it may settle itself.
            Err(DeviceError::Refused(problem)) if problem.code == ProblemCode::NotFound => {
                tracing::warn!(file = %file.sha256, "the server does not know of this file yet; it waits");
            }
            Err(error) => return Err(error),
        }
        done += file.length;
        last = Some(file);
    }
}

/// Sends one file from where the server has it; `false` when an event was captured meanwhile.
async fn upload(
    session: &Arc<Session>,
    server: &Server,
    file: &Waiting,
    pulled: bool,
    (before, total): (u64, u64),
) -> Result<bool> {
    let (client, sha256) = (file.client, file.sha256);
    let ask = |token: AccessToken| async move { server.file_status(&token, client, sha256).await };
    let mut status = with_token(session, server, ask).await?;
    // It may send it from its beginning once more, if what it got was damaged on its way.
    let mut repeated = 0;
    while !status.complete {
        session
            .board
            .set_state(SyncState::SendingFiles { done: (before + status.received).min(total), total });
        if session.read(chain::counts).await?.0 > 0 {
            return Ok(false);
        }
        let from = status.received;
        let piece = session.read(move |db| files::piece(db, client, sha256, from, CHUNK_BYTES)).await?;
        if piece.is_empty() || repeated > 2 {
            return Err(DeviceError::Server("it does not take a file as it was announced".into()));
        }
        crate::fail::point("files.sending");
        let ask = |token: AccessToken| {
            let piece = piece.clone();
            async move { server.file_piece(&token, client, sha256, from, piece).await }
        };
        status = with_token(session, server, ask).await?;
        crate::fail::point("files.answered");
        repeated += u32::from(!went_on(from, &status));
    }
    let file = file.clone();
    session
        .blocking(move |session| {
            session.store.write(|db| {
                files::sent(db, &file)?;
                if pulled {
                    meta::see(db, status.end)?;
                }
                // It may have been all that a client who is not this officer's any more stayed for.
                remote::purge(db)
            })?;
            session.count()
        })
        .await?;
    Ok(true)
}

fn went_on(from: u64, status: &FileStatus) -> bool {
    status.complete || status.received > from
}

/// The bytes of a client's file, from here or from the server, of which a copy is kept.
pub(crate) async fn fetch(session: &Arc<Session>, request: FileRequest) -> Result<(FileInfo, Vec<u8>)> {
    let FileRequest { client, sha256 } = request;
    let (info, here) = session
        .read(move |db| Ok((files::info(db, client, sha256)?, files::bytes(db, client, sha256)?)))
        .await?;
    if let Some(bytes) = here {
        return Ok((info, bytes));
    }
    let server = session.server()?;
    let server = &server;
    let ask = |token: AccessToken| async move { server.file(&token, client, sha256).await };
    let bytes = with_token(session, server, ask).await?;
    if Hash::of(&bytes) != sha256 {
        return Err(DeviceError::Server("its file is not the one that its hash names".into()));
    }
    let (kept, of, now) = (bytes.clone(), info.clone(), session.now());
    session.write(move |db| files::copy(db, client, &of, &kept, now)).await?;
    session.board.bump();
    Ok((info, bytes))
}
