//! One method per command of `vereda_domain::gateway`, each named as its command.

use crate::app::App;
use crate::error::{DeviceError, Result};
use crate::picture;
use crate::session::Session;
use crate::store::{
    assess, chain, client, drafts, files, log, meta, models, portfolio, project, remote, review,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rusqlite::Connection;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use vereda_domain::ClientId;
use vereda_domain::client::ClientFields;
use vereda_domain::gateway::*;
use vereda_domain::record::ClientRecord;
use vereda_scoring::{Estimate, Inputs, Model};

/// The longest that somebody waits for a sync they asked for; it goes on behind.
const SYNC_NOW: Duration = Duration::from_secs(120);
/// The most items and runs that the sync page shows.
const SYNC_ITEMS: u32 = 200;
const SYNC_RUNS: u32 = 50;

/// What a command returns.
type Answer<T> = std::result::Result<T, GatewayError>;

impl App {
    /// What to show first; works in every phase.
    pub async fn status(&self) -> Answer<Status> {
        Ok(self.status_now().await?)
    }

    /// Answers as soon as anything that screens show has changed since, or after 25 s.
    pub async fn watch(&self, request: WatchRequest) -> Answer<WatchResponse> {
        self.0.board.changed(request.since).await;
        Ok(WatchResponse {
            revision: self.0.board.revision(),
            sync: self.0.board.line(),
            locked: self.untouched().is_err(),
        })
    }

    /// First start, or another user on this device.
    pub async fn enrol(&self, request: EnrolRequest) -> Answer<Status> {
        Ok(self.enrol_user(request).await?)
    }

    /// Opens a user's store with their PIN; needs no network.
    pub async fn unlock(&self, request: UnlockRequest) -> Answer<Status> {
        Ok(self.unlock_user(request).await?)
    }

    /// Opens it with a finger or a face, if that was turned on; needs no network.
    pub async fn unlock_guarded(&self, request: UnlockGuardedRequest) -> Answer<Status> {
        Ok(self.unlock_with_guarded(request).await?)
    }

    /// Closes it.
    pub async fn lock(&self) -> Answer<Status> {
        Ok(self.lock_now().await?)
    }

    /// Signs in again with the password after the server ended the session.
    pub async fn sign_in_again(&self, request: SignInAgainRequest) -> Answer<Status> {
        Ok(self.sign_in_with_password(request).await?)
    }

    /// A window of the portfolio.
    pub async fn portfolio(&self, request: PortfolioRequest) -> Answer<PortfolioPage> {
        self.read(move |_, db| portfolio::page(db, &request)).await
    }

    /// Unfinished interviews.
    pub async fn drafts(&self) -> Answer<Vec<DraftRow>> {
        self.with(|session| {
            let found = session.store.read(|db| {
                drafts::all(db)?
                    .into_iter()
                    .map(|(draft, answered)| Ok((portfolio::name(db, draft.client)?, draft, answered)))
                    .collect::<Result<Vec<_>>>()
            })?;
            found
                .into_iter()
                .map(|(name, draft, answered)| {
                    let model = session.models.get(&session.store, &draft.model_sha256)?;
                    Ok(DraftRow {
                        id: draft.id,
                        client: draft.client,
                        name,
                        saved_at: draft.saved_at,
                        answered,
                        questions: u32::try_from(model.bundle().schema.features.len()).unwrap_or(u32::MAX),
                    })
                })
                .collect()
        })
        .await
    }

    /// One client with their history.
    pub async fn client(&self, request: ClientRequest) -> Answer<ClientView> {
        self.read(move |session, db| client::view(db, &session.identity(), request.client)).await
    }

    /// Who a new client might already be.
    pub async fn duplicates(&self, request: ClientFields) -> Answer<Vec<Duplicate>> {
        self.read(move |_, db| portfolio::duplicates(db, &request)).await
    }

    /// A new client.
    pub async fn create_client(&self, request: CreateClientRequest) -> Answer<ClientView> {
        self.capture(move |session, db| client::create(db, &session.identity(), request, session.now())).await
    }

    /// Changes to a client; settles conflicts on the fields it names.
    pub async fn edit_client(&self, request: EditClientRequest) -> Answer<ClientView> {
        self.capture(move |session, db| client::edit(db, &session.identity(), request, session.now())).await
    }

    /// Adds a picture, a signature or a place to a client.
    pub async fn attach(&self, request: AttachRequest) -> Answer<ClientView> {
        let AttachRequest { client, what } = request;
        // A large photograph takes a second: outside of the transaction.
        let (attachment, bytes) = self.with(move |_| picture::read(what)).await?;
        self.capture(move |session, db| {
            let identity = session.identity();
            files::attach(db, &identity, client, attachment, bytes.as_deref(), session.now())?;
            client::view(db, &identity, client)
        })
        .await
    }

    /// The bytes of a client's file: from this device, or else from the server.
    pub async fn file(&self, request: FileRequest) -> Answer<FileView> {
        let session = self.session()?;
        let (info, bytes) = crate::sync::files::fetch(&session, request).await?;
        Ok(FileView { media: info.media, data: BASE64.encode(bytes) })
    }

    /// The unfinished interview of a client, or a new one.
    pub async fn start_interview(&self, request: ClientRequest) -> Answer<DraftView> {
        self.with(move |session| {
            let existing = session.store.read(|db| drafts::of_client(db, request.client))?;
            let id = match existing {
                Some(id) => id,
                None => {
                    let model = session.models.active(&session.store)?;
                    let identity = session.identity();
                    let id = session.store.write(|db| {
                        let client: ClientRecord = client::to_change(db, &identity, request.client)?;
                        match drafts::of_client(db, client.id)? {
                            Some(id) => Ok(id),
                            None => drafts::start(db, client.id, model.sha256(), session.now()),
                        }
                    })?;
                    session.board.bump();
                    id
                }
            };
            draft_view(session, id)
        })
        .await
    }

    /// An unfinished interview.
    pub async fn draft(&self, request: DraftRequest) -> Answer<DraftView> {
        self.with(move |session| draft_view(session, request.draft)).await
    }

    /// Keeps one answer, right or wrong, durably.
    pub async fn save_field(&self, request: SaveFieldRequest) -> Answer<FieldSaved> {
        self.with(move |session| {
            let SaveFieldRequest { draft: id, field, value } = request;
            let draft = session.store.read(|db| drafts::get(db, id))?;
            let model = session.models.get(&session.store, &draft.model_sha256)?;
            if model.feature(&field).is_none() {
                return Err(DeviceError::BadRequest("the form has no such question"));
            }
            let saved_at = session.now();
            let inputs = session.store.write(|db| {
                drafts::save(db, id, &field, value.as_ref(), saved_at)?;
                Ok(drafts::answers(db, id)?.0)
            })?;
            let problem = value.and_then(|value| model.check_field(&field, &value).err());
            Ok(FieldSaved { saved_at, problem, estimate: model.estimate(&inputs) })
        })
        .await
    }

    /// Keeps where the officer is.
    pub async fn save_focus(&self, request: SaveFocusRequest) -> Answer<()> {
        self.with(move |session| session.store.write(|db| drafts::focus(db, request.draft, &request.field)))
            .await
    }

    /// Throws an unfinished interview away.
    pub async fn discard_draft(&self, request: DraftRequest) -> Answer<()> {
        self.with(move |session| {
            session.store.write(|db| drafts::discard(db, request.draft))?;
            session.board.bump();
            Ok(())
        })
        .await
    }

    /// Scores an interview and keeps the assessment.
    pub async fn score(&self, request: DraftRequest) -> Answer<AssessmentView> {
        // One transaction reads, scores, keeps and answers: nothing can be saved in between.
        self.capture(move |session, db| {
            let identity = session.identity();
            let draft = drafts::get(db, request.draft)?;
            let model = session.models.get(&session.store, &draft.model_sha256)?;
            let inputs = drafts::answers(db, draft.id)?.0;
            let score = model.score(&inputs).map_err(|error| DeviceError::InvalidInput(error.errors))?;
            let id = assess::keep(db, &identity, &draft, &model, inputs, score, session.now())?;
            assess::view(db, &identity, id, &model)
        })
        .await
    }

    /// What the score would be; keeps nothing.
    pub async fn what_if(&self, request: WhatIfRequest) -> Answer<Estimate> {
        self.with(move |session| {
            let (sha256, mut inputs): (String, Inputs) = session.store.read(|db| match request.base {
                WhatIfBase::Draft(id) => Ok((drafts::get(db, id)?.model_sha256, drafts::answers(db, id)?.0)),
                WhatIfBase::Assessment(id) => {
                    let assessment = assess::get(db, id)?.assessment;
                    Ok((assessment.model.sha256, assessment.inputs))
                }
            })?;
            inputs.extend(request.changes);
            Ok(session.models.get(&session.store, &sha256)?.estimate(&inputs))
        })
        .await
    }

    /// One assessment.
    pub async fn assessment(&self, request: AssessmentRequest) -> Answer<AssessmentView> {
        self.with(move |session| {
            let model = model_of(session, request.assessment)?;
            session.store.read(|db| assess::view(db, &session.identity(), request.assessment, &model))
        })
        .await
    }

    /// Records a decision.
    pub async fn decide(&self, request: DecideRequest) -> Answer<AssessmentView> {
        self.with(move |session| {
            let id = request.assessment;
            let model = model_of(session, id)?;
            let identity = session.identity();
            session.store.write(|db| assess::decide(db, &identity, &model, request, session.now()))?;
            session.captured()?;
            session.store.read(|db| assess::view(db, &identity, id, &model))
        })
        .await
    }

    /// A window of the branch's assessments.
    pub async fn review(&self, request: ReviewRequest) -> Answer<ReviewPage> {
        self.read(move |session, db| review::page(db, &request, session.now())).await
    }

    /// Everything about sync.
    pub async fn sync(&self) -> Answer<SyncView> {
        let session = self.untouched()?;
        Ok(session.blocking(sync_view).await?)
    }

    /// Syncs now, and answers when that is done.
    pub async fn sync_now(&self) -> Answer<SyncView> {
        let session = self.session()?;
        let (done, wait) = oneshot::channel();
        if session.requests.send(done).await.is_ok() {
            // A run that takes longer goes on; one that is cut off by locking says so below.
            let _ = tokio::time::timeout(SYNC_NOW, wait).await;
        }
        let session = self.untouched()?;
        Ok(session.blocking(sync_view).await?)
    }

    /// The sync log as text without personal data.
    pub async fn sync_log(&self) -> Answer<String> {
        let session = self.untouched()?;
        let config = &self.0.config;
        let head = format!(
            "vereda {} on {}, device {}, protocol {}, {}",
            config.version,
            config.platform,
            session.device(),
            vereda_domain::api::PROTOCOL,
            log::stamp(session.now())
        );
        Ok(session.read(move |db| log::text(db, &head)).await?)
    }

    /// What was not sent, as an encrypted file for branch staff to import at the server.
    pub async fn export_unsent(&self, request: ExportRequest) -> Answer<ExportFile> {
        self.with(move |session| {
            let (events, files) = session.store.read(|db| Ok((chain::unsent(db)?, files::unsent(db)?)))?;
            crate::export::export(&session.identity(), events, files, &request.sealed_for, session.now())
        })
        .await
    }

    /// For a manager: the branch's devices, and what the server put aside.
    pub async fn branch(&self) -> Answer<BranchView> {
        let session = self.untouched()?;
        Ok(crate::sync::branch::view(&session).await?)
    }

    /// The active model and its history.
    pub async fn model(&self) -> Answer<ModelView> {
        self.with(|session| {
            let (active, updates) =
                session.store.read(|db| Ok((models::active(db)?, models::updates(db)?)))?;
            let active = match active {
                None => None,
                Some(active) => {
                    let model = session.models.get(&session.store, &active.sha256)?;
                    Some(ActiveModel {
                        model: model.reference(),
                        activated_at: active.activated_at,
                        golden: active.golden,
                        about: ModelAbout::from(model.bundle()),
                    })
                }
            };
            Ok(ModelView { active, updates })
        })
        .await
    }

    /// Changes settings.
    pub async fn set_settings(&self, request: Settings) -> Answer<Settings> {
        Ok(self.keep_settings(request).await?)
    }

    /// Lets a finger or a face open the store that is open now, or not any more.
    pub async fn set_guarded(&self, request: SetGuardedRequest) -> Answer<Status> {
        match request {
            SetGuardedRequest::On { pin, prompt } => self.turn_guarded_on(pin, prompt).await?,
            SetGuardedRequest::Off => self.turn_guarded_off().await?,
        }
        Ok(self.status_now().await?)
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        Ok(self.session()?.blocking(work).await?)
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session, &Connection) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        self.with(move |session| session.store.read(|db| work(session, db))).await
    }

    /// Writes something that appends an event, perhaps.
    async fn capture<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session, &Connection) -> Result<T> + Send + 'static,
    ) -> Answer<T> {
        self.with(move |session| {
            let result = session.store.write(|db| work(session, db))?;
            session.captured()?;
            Ok(result)
        })
        .await
    }
}

fn model_of(session: &Session, id: vereda_domain::AssessmentId) -> Result<Arc<Model>> {
    let record = session.store.read(|db| assess::get(db, id))?;
    session.models.get(&session.store, &record.assessment.model.sha256)
}

fn draft_view(session: &Session, id: vereda_domain::DraftId) -> Result<DraftView> {
    let (draft, (inputs, saved_at), name) = session.store.read(|db| {
        let draft = drafts::get(db, id)?;
        let name = name_of(db, draft.client)?;
        Ok((draft, drafts::answers(db, id)?, name))
    })?;
    let model = session.models.get(&session.store, &draft.model_sha256)?;
    let bundle = model.bundle();
    // Only what was answered and is wrong: what is missing is no problem before the end.
    let problems = inputs.iter().filter_map(|(field, value)| model.check_field(field, value).err()).collect();
    Ok(DraftView {
        id,
        client: draft.client,
        name,
        model: model.reference(),
        model_name: bundle.name.clone(),
        schema: bundle.schema.clone(),
        groups: bundle.groups.clone(),
        problems,
        estimate: model.estimate(&inputs),
        inputs,
        saved_at,
        focus: draft.focus,
    })
}

fn name_of(db: &Connection, id: ClientId) -> Result<String> {
    let client = project::client(db, id)?;
    Ok(client
        .map(|client| client.value(vereda_domain::client::ClientField::Name).to_owned())
        .unwrap_or_default())
}

fn sync_view(session: &Session) -> Result<SyncView> {
    session.count()?;
    let identity = session.identity();
    session.store.read(|db| {
        Ok(SyncView {
            line: session.board.line(),
            items: chain::open_items(db, SYNC_ITEMS)?,
            receipt: meta::get(db, &meta::RECEIPT)?,
            drift_ms: meta::get(db, &meta::DRIFT_MS)?,
            last_error: meta::get(db, &meta::LAST_ERROR)?,
            server: identity.server.clone(),
            device: identity.device.to_string(),
            unread: remote::unread(db)?,
            log: log::latest(db, SYNC_RUNS)?,
        })
    })
}
