//! The steps of one run.

use super::http::{AccessToken, Server, Wanted};
use super::{files, model};
use crate::error::{DeviceError, Result};
use crate::session::Session;
use crate::store::chain::BATCH_BYTES;
use crate::store::remote::{Page, Part};
use crate::store::{Gather, chain, files as kept, meta, models, project, remote};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vereda_domain::Millis;
use vereda_domain::api::{MAX_PULL_CHANGES, MAX_PUSH_BYTES, ProblemCode, Push, Pushed};
use vereda_domain::gateway::SyncState;

/// How many changes a page brings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageSizes {
    /// The first page of a run. What follows grows while it is quick: a large page costs fewer flushes, and a small
    /// one brings something over a bad network before that goes away.
    pub first: u32,
    /// However quick the network: two of them are in memory, read.
    pub most: u32,
}

/// Of every app but simulated ones.
pub(crate) const PAGES: PageSizes = PageSizes { first: 500, most: 2000 };
const _: () = assert!(PAGES.first <= PAGES.most && PAGES.most <= MAX_PULL_CHANGES);
/// A page or a push that took less than this may be followed by a larger one; one that took three
/// times as long is followed by a smaller one. Screens that write wait for a page to be applied.
const QUICK: Duration = Duration::from_millis(250);
/// The most that one push carries, however quick the network.
const MOST_BYTES: usize = 2 * 1024 * 1024;
const _: () = assert!(MOST_BYTES <= MAX_PUSH_BYTES);

/// How much to take next, after so much took so long.
fn next_size(size: usize, took: Duration, least: usize, most: usize) -> usize {
    match took {
        took if took < QUICK => size.saturating_mul(2).min(most),
        took if took > 3 * QUICK => (size / 2).max(least),
        _ => size,
    }
}

/// What a run did.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub sent: u64,
    pub received: u64,
    /// Changes that this run brings, as far as it is known.
    pub to_receive: u64,
    /// Device minus server.
    pub drift_ms: Option<Millis>,
    pub model_refused: Option<String>,
}

pub(crate) async fn run(session: &Arc<Session>, stats: &mut Stats) -> Result<()> {
    let server = session.server()?;
    // While the network is away, every retry would flicker.
    session.board.update(|line| {
        if !matches!(line.state, SyncState::Offline { .. }) {
            line.state = SyncState::Connecting;
        }
    });
    if idle(session, &server, stats).await? {
        return Ok(());
    }
    let before = session.now();
    let info = server.info().await?;
    let after = session.now();
    measured(session, stats, drift(before, after, info.server_ms)).await;
    session.board.set_state(SyncState::Connecting);

    if let Err(error) = push(session, &server, stats).await {
        let DeviceError::Forked(seq) = error else { return Err(error) };
        tracing::warn!(seq, "this device's chain forked; it goes on under a new identity");
        session.fork(&server).await?;
        push(session, &server, stats).await?;
    }
    if let Some(why) = session.escrow().await {
        files::send(session, &server, false).await?;
        return Err(DeviceError::Ended(why));
    }
    let mut received = receive(session, &server, stats).await;
    if matches!(received, Err(DeviceError::SetBack)) {
        begin_anew(session).await?;
        received = receive(session, &server, stats).await;
    }
    match &received {
        // Access has ended while a token still holds: what was captured is delivered first.
        Err(DeviceError::Refused(problem))
            if matches!(problem.code, ProblemCode::UserDisabled | ProblemCode::DeviceRevoked) => {}
        Err(_) => return received,
        Ok(()) => {}
    }
    files::send(session, &server, received.is_ok()).await?;
    if let Err(error) = tidy(session).await {
        // On a full disk, for one: everything is found as well, and slower.
        tracing::warn!(%error, "the full-text index cannot be made one piece");
    }
    received?;
    match earlier(session, &server, stats).await {
        // They may have been scored by versions that nothing here named before.
        Ok(true) => model::update(session, &server, stats).await,
        Ok(false) => Ok(()),
        Err(DeviceError::SetBack) => {
            begin_anew(session).await?;
            session.wake.notify_one();
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// The server was set back to a backup.
async fn begin_anew(session: &Arc<Session>) -> Result<()> {
    tracing::warn!("the server was set back to a backup; everything is pulled from the beginning");
    session.write(|db| remote::begin_anew(db)).await?;
    session.blocking(Session::count).await
}

/// Makes what searches go through one piece, in steps between which others write.
async fn tidy(session: &Arc<Session>) -> Result<()> {
    if !session.read(project::in_pieces).await? {
        return Ok(());
    }
    let mut first = true;
    while session.blocking(move |session| session.store.write(|db| project::merge(db, first))).await? {
        first = false;
    }
    Ok(())
}

async fn receive(session: &Arc<Session>, server: &Server, stats: &mut Stats) -> Result<()> {
    pull(session, server, stats).await?;
    aside(session, server).await?;
    model::update(session, server, stats).await
}

/// Asks, in one small request, whether anything is new when nothing waits here.
async fn idle(session: &Arc<Session>, server: &Server, stats: &mut Stats) -> Result<bool> {
    let now = session.now();
    let points = session
        .read(move |db| {
            let waits = chain::counts(db)?.0 > 0
                || kept::counts(db)?.0 > 0
                || meta::get(db, &meta::FIRST_PULL)?.is_some()
                // A run that pulled assessments may have ended before it fetched the models that they name.
                || !models::missing(db, now)?.is_empty();
            // Who never sent anything has no receipt, and an empty chain at the server; who never got
            // anything has no cursor, and is at the beginning.
            let seq = meta::get(db, &meta::RECEIPT)?.map_or(0, |receipt| receipt.seq);
            let cursor = meta::get(db, &meta::CURSOR)?.unwrap_or(0);
            let model: String =
                models::active(db)?.map(|model| model.sha256.chars().take(8).collect()).unwrap_or_default();
            Ok((!waits).then_some((seq, cursor, model)))
        })
        .await?;
    let Some((seq, cursor, model)) = points else { return Ok(false) };
    // Only with a ticket at hand: a run that has to sign in first also looks who answers.
    let Some(ticket) = session.ticket_at_hand().await else { return Ok(false) };
    let before = session.now();
    match server.idle(&ticket, seq, cursor, &model).await {
        Ok(Some(server_ms)) => {
            stats.drift_ms = Some(drift(before, session.now(), server_ms));
            Ok(true)
        }
        Err(DeviceError::Unreachable(why)) => Err(DeviceError::Unreachable(why)),
        // Anything else is for the whole run to find out.
        Ok(None) | Err(_) => Ok(false),
    }
}

/// Notes by how much the clock is off, now and not at the end: a first pull may take long, and what is captured
/// meanwhile has its time from that clock.
async fn measured(session: &Arc<Session>, stats: &mut Stats, drift_ms: Millis) {
    stats.drift_ms = Some(drift_ms);
    let noted = session.write(move |db| meta::set(db, &meta::DRIFT_MS, &drift_ms)).await;
    if let Err(error) = noted {
        // On a full disk, for one: what was captured is delivered all the same.
        tracing::warn!(%error, "the drift of the clock cannot be noted");
    }
}

/// Device minus server, taking the answer to come from the middle of the time it took. What a server
/// says may be any number: none may end the engine.
fn drift(before: Millis, after: Millis, server: Millis) -> Millis {
    (before + (after - before) / 2).saturating_sub(server)
}

/// How long one request waits for its turn at a server that has too many.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks, and when the server says that there are too many, waits as long as it says and asks again. A run
/// that began anew each time would use up on its first questions what it waited for.
async fn in_turn<T, F: Future<Output = Result<T>>>(ask: impl Fn() -> F) -> Result<T> {
    let begun = Instant::now();
    loop {
        let problem = match ask().await {
            Err(DeviceError::Refused(problem)) if problem.code == ProblemCode::TooManyRequests => problem,
            other => return other,
        };
        let wait = super::jitter(Duration::from_secs(problem.retry_after_s.unwrap_or(1).max(1)));
        if begun.elapsed() + wait > PATIENCE {
            return Err(DeviceError::Refused(problem));
        }
        tracing::info!(wait_s = wait.as_secs(), "the server has too many requests; this one waits");
        tokio::time::sleep(wait).await;
    }
}

/// Asks with an access token, and once more with a new one when the server does not take it.
pub(crate) async fn with_token<T, F>(
    session: &Arc<Session>,
    server: &Server,
    ask: impl Fn(AccessToken) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let token = session.access(server, None).await?;
    match in_turn(|| ask(token.clone())).await {
        Err(DeviceError::Refused(problem)) if problem.code == ProblemCode::Unauthenticated => {
            let token = session.access(server, Some(&token)).await?;
            in_turn(|| ask(token.clone())).await
        }
        other => other,
    }
}

async fn push(session: &Arc<Session>, server: &Server, stats: &mut Stats) -> Result<()> {
    let head = with_token(session, server, |token| async move { server.head(&token).await }).await?;
    let rewound = session
        .write(move |db| {
            if !chain::contains(db, &head)? {
                return Err(DeviceError::Forked(head.seq));
            }
            let rewound = chain::rewind(db, &head)?;
            if rewound > 0 {
                remote::begin_anew(db)?;
            }
            Ok(rewound)
        })
        .await?;
    if rewound > 0 {
        tracing::warn!(events = rewound, "the server has lost events that it had; they are sent again");
        session.blocking(Session::count).await?;
    }

    let total = session.read(chain::counts).await?.0;
    let mut resumed = false;
    let mut most = BATCH_BYTES;
    // Where the last push ended, and what the server said to it, as long as that is not noted.
    let (mut after, mut answer) = (None, None);
    loop {
        // The answer to one push is written down while the next is on its way. A cut in between looks as
        // one before the answer came: the server is asked for its head, and says again what became of them.
        session.board.set_state(SyncState::Sending { done: stats.sent.min(total), total });
        let (pushed, noted) =
            tokio::join!(push_next(session, server, after, most), note(session, answer.take()));
        stats.sent += noted?;
        let sent = match pushed {
            Err(DeviceError::Refused(problem)) if problem.code == ProblemCode::ChainGap && !resumed => {
                resumed = true;
                let Some(resume) = problem.resume else {
                    return Err(DeviceError::ChainBroken("it does not say where to go on".into()));
                };
                session
                    .write(move |db| {
                        if !chain::contains(db, &resume)? {
                            return Err(DeviceError::Forked(resume.seq));
                        }
                        chain::rewind(db, &resume)
                    })
                    .await?;
                after = None;
                continue;
            }
            Err(DeviceError::Refused(problem)) if problem.code == ProblemCode::Conflict => {
                return Err(DeviceError::Forked(problem.resume.map_or(0, |head| head.seq)));
            }
            other => other?,
        };
        match sent {
            Some(sent) => {
                most = next_size(most, sent.took, BATCH_BYTES, MOST_BYTES);
                (after, answer) = (Some(sent.last), Some(sent.pushed));
            }
            // What the server left out of its answers, if anything, is asked for by what is noted.
            None if after.is_some() => after = None,
            None => return Ok(()),
        }
    }
}

/// One push that was answered.
struct Sent {
    /// Of its events.
    last: u64,
    pushed: Pushed,
    took: Duration,
}

/// Sends what is next, if anything is.
async fn push_next(
    session: &Arc<Session>,
    server: &Server,
    after: Option<u64>,
    most: usize,
) -> Result<Option<Sent>> {
    let begun = Instant::now();
    let batch = session.read(move |db| chain::batch(db, after, most)).await?;
    if batch.events.is_empty() {
        return Ok(None);
    }
    crate::fail::point("push.sending");
    let push = Arc::new(Push { events: batch.events, device_ms: session.now() });
    let ask = |token: AccessToken| {
        let push = push.clone();
        async move { server.push(&token, &push).await }
    };
    let pushed = with_token(session, server, ask).await?;
    crate::fail::point("push.answered");
    Ok(Some(Sent { last: batch.last, pushed, took: begun.elapsed() }))
}

/// Notes what the server said to a push. Gives how many events that is new for.
async fn note(session: &Arc<Session>, answer: Option<Pushed>) -> Result<u64> {
    let Some(pushed) = answer else { return Ok(0) };
    let acknowledged = session
        .blocking(move |session| {
            let identity = session.identity();
            let acknowledged = session.store.write(|db| {
                let acknowledged = chain::acknowledge(db, &identity, &pushed.results, &pushed.receipt)?;
                remote::purge(db)?;
                Ok(acknowledged)
            })?;
            session.count()?;
            Ok(acknowledged)
        })
        .await?;
    if acknowledged == 0 {
        return Err(DeviceError::Server("it acknowledged nothing of what was sent".into()));
    }
    Ok(acknowledged)
}

/// Asks what is kept aside, when something was: it may have settled itself since.
async fn aside(session: &Arc<Session>, server: &Server) -> Result<()> {
    if session.read(chain::counts).await?.1 == 0 {
        return Ok(());
    }
    let (list, all) =
        with_token(session, server, |token| async move { server.quarantined(&token).await }).await?;
    session
        .blocking(move |session| {
            let device = session.device();
            session.store.write(|db| chain::aside(db, device, &list, all))?;
            session.count()
        })
        .await
}

async fn pull(session: &Arc<Session>, server: &Server, stats: &mut Stats) -> Result<()> {
    let version = session.version.clone();
    session
        .blocking(move |session| {
            let (identity, now) = (session.identity(), session.now());
            session.store.write(|db| {
                // A newer app may read what an older one could not.
                if remote::unread(db)? > 0 && meta::get(db, &meta::TRIED_BY)?.as_ref() != Some(&version) {
                    let read = remote::retry_unread(db, &identity, now)?;
                    tracing::info!(read, "changes that an earlier version could not read");
                    meta::set(db, &meta::TRIED_BY, &version)?;
                }
                Ok(())
            })
        })
        .await?;
    let part = session.read(Part::due).await?;
    let first = matches!(part, Part::Portfolio { .. });
    whole(session, server, part, stats).await?;
    // What changed while everybody came is past where that began.
    if first && let Some(cursor) = session.read(|db| meta::get(db, &meta::CURSOR)).await? {
        whole(session, server, Part::Changes { cursor }, stats).await?;
    }
    Ok(())
}

/// All of a part.
async fn whole(session: &Arc<Session>, server: &Server, part: Part, stats: &mut Stats) -> Result<()> {
    let seen = session.read(|db| meta::get(db, &meta::SEEN)).await?.unwrap_or(0);
    let wanted = Wanted { part, seen, limit: session.pages.first, count: true };
    let page = fetch(session, server, &wanted).await?;
    stats.to_receive = stats.received + page.changes.len() as u64 + page.remaining.unwrap_or(0);
    if !page.more {
        let received = apply(session, wanted.part, page).await?;
        count(session, stats, received);
        return Ok(());
    }
    session
        .blocking(|session| {
            session.store.gather(Gather::Many)?;
            session.store.write(|db| project::unindex_empty(db))
        })
        .await?;
    let pulled = pages(session, server, wanted, page, stats).await;
    let settled = session
        .blocking(|session| {
            session.store.write(|db| project::index(db))?;
            session.store.gather(Gather::Few)
        })
        .await;
    pulled.and(settled)
}

fn count(session: &Arc<Session>, stats: &mut Stats, received: u64) {
    stats.received += received;
    if received > 0 {
        let (done, total) = (stats.received, stats.to_receive.max(stats.received));
        session.board.set_state(SyncState::Receiving { done, total });
    }
}

/// Writes one page, and moves the cursor, in one transaction. Gives how many changes it had.
async fn apply(session: &Arc<Session>, part: Part, page: Page) -> Result<u64> {
    let received = page.changes.len() as u64;
    // Where a first pull stands is noted with its pages, as soon as there is anything at all.
    let stays = match part {
        Part::Changes { cursor } => page.cursor == cursor,
        Part::Portfolio { .. } => page.cursor == 0,
        Part::Earlier { .. } => false,
    };
    if stays && received == 0 {
        return Ok(0);
    }
    session
        .blocking(move |session| {
            let (identity, now) = (session.identity(), session.now());
            session.store.write(|db| remote::apply(db, &identity, &part, &page, now))
        })
        .await?;
    Ok(received)
}

/// Page after page: the next is on its way while one is written. A cut loses at most what was not
/// written yet.
async fn pages(
    session: &Arc<Session>,
    server: &Server,
    wanted: Wanted,
    mut page: Page,
    stats: &mut Stats,
) -> Result<()> {
    let Wanted { mut part, mut seen, mut limit, .. } = wanted;
    loop {
        let begun = Instant::now();
        seen = seen.max(page.end);
        let next = part.following(&page).filter(|_| page.more);
        let next = next.map(|part| Wanted { part, seen, limit, count: false });
        let ahead = async {
            match &next {
                Some(next) => fetch(session, server, next).await.map(Some),
                None => Ok(None),
            }
        };
        let (received, fetched) = tokio::join!(apply(session, part, page), ahead);
        count(session, stats, received?);
        let (Some(fetched), Some(next)) = (fetched?, next) else { return Ok(()) };
        (part, page) = (next.part, fetched);
        limit = next_limit(session.pages, limit, begun.elapsed());
    }
}

/// How many changes to ask for next, after so many took so long.
fn next_limit(pages: PageSizes, limit: u32, took: Duration) -> u32 {
    let next = next_size(limit as usize, took, pages.first as usize, pages.most as usize);
    u32::try_from(next).unwrap_or(pages.most)
}

/// What a first pull left for later, page by page, as long as nothing captured here waits to be sent: then
/// the next run goes on with it. Says whether anything came.
async fn earlier(session: &Arc<Session>, server: &Server, stats: &mut Stats) -> Result<bool> {
    let (mut limit, mut done, mut total) = (session.pages.first, 0, None);
    loop {
        let next = session
            .read(|db| Ok((Part::later(db)?, meta::get(db, &meta::SEEN)?.unwrap_or(0), chain::counts(db)?.0)))
            .await?;
        let (Some(part), seen, 0) = next else { return Ok(done > 0) };
        if total.is_none() {
            // Everybody is here, which is worth saying before the server has counted the others.
            session.board.set_state(SyncState::ReceivingEarlier { done, total });
        }
        let begun = Instant::now();
        let wanted = Wanted { part, seen, limit, count: total.is_none() };
        let page = fetch(session, server, &wanted).await?;
        let all = *total.get_or_insert(page.changes.len() as u64 + page.remaining.unwrap_or(0));
        let received = apply(session, wanted.part, page).await?;
        (done, stats.received) = (done + received, stats.received + received);
        session.board.set_state(SyncState::ReceivingEarlier { done: done.min(all), total });
        limit = next_limit(session.pages, limit, begun.elapsed());
    }
}

/// One page.
async fn fetch(session: &Arc<Session>, server: &Server, wanted: &Wanted) -> Result<Page> {
    let ask = |token: AccessToken| async move { server.pull(&token, wanted).await };
    let page = with_token(session, server, ask).await?;
    crate::fail::point("pull.received");
    if page.anew {
        return Err(DeviceError::SetBack);
    }
    if page.more && wanted.part.following(&page).is_none() {
        return Err(DeviceError::Server("its pages do not go on".into()));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quick_grows_and_what_is_slow_shrinks_between_their_ends() {
        let (quick, fair, slow) = (QUICK / 2, 2 * QUICK, 4 * QUICK);
        let sizes: Vec<usize> = [quick, quick, quick, fair, slow, slow, slow]
            .into_iter()
            .scan(500, |size, took| {
                *size = next_size(*size, took, 500, 3000);
                Some(*size)
            })
            .collect();
        assert_eq!(sizes, [1000, 2000, 3000, 3000, 1500, 750, 500]);
    }

    #[test]
    fn any_time_that_a_server_says_gives_a_drift() {
        assert_eq!(drift(1_000, 1_200, 600), 500);
        assert_eq!(drift(1_000, 1_200, Millis::MIN), Millis::MAX);
        assert!(drift(1_000, 1_200, Millis::MAX) < 0);
    }
}
