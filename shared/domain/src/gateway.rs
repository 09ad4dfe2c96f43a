//! Requests and answers between the screens and what serves them.
//!
//! [`commands!`] is the one list of commands: the screens call them by type, the host registers one
//! handler each, the window's capabilities name each, and a test compares the lists. Views hold
//! what a screen shows and nothing that a screen must work out again; texts for people are in the
//! catalogues, so a view says *what*, never *in which words* (a bundle's own texts apart).

use crate::api::{Receipt, Role};
use crate::attachment::{Attachment, MediaType};
use crate::client::{ClientField, ClientFields, ClientProblem, Consent};
use crate::event::{Assessment, Hash, OverrideReason};
use crate::record::{Rank, Rescore};
use crate::{AssessmentId, ClientId, Decision, DeviceId, DraftId, Millis, UserId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use vereda_scoring::bundle::{Bundle, Group, Groups, Schema, Text};
use vereda_scoring::{Estimate, FieldError, Inputs, ModelRef, Value};

/// One command: a name, what goes in, what comes out.
pub trait Command {
    /// The name it is called by.
    const NAME: &'static str;
    /// What goes in.
    type Request: Serialize + DeserializeOwned;
    /// What comes out.
    type Response: Serialize + DeserializeOwned;
}

macro_rules! commands {
    ($($(#[$doc:meta])* $marker:ident = $name:literal: $request:ty => $response:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $marker;
            impl Command for $marker {
                const NAME: &'static str = $name;
                type Request = $request;
                type Response = $response;
            }
        )*
        /// The names of all commands.
        pub const COMMANDS: &[&str] = &[$($name),*];
    };
}

commands! {
    /// What to show first; works in every phase.
    GetStatus = "status": () => Status;
    /// Answers as soon as anything that screens show has changed since, or after 25 s.
    Watch = "watch": WatchRequest => WatchResponse;
    /// First start, or another user on this device: signs in at a server and sets a PIN.
    Enrol = "enrol": EnrolRequest => Status;
    /// Opens a user's store with their PIN; needs no network.
    Unlock = "unlock": UnlockRequest => Status;
    /// Opens it with a finger or a face, if that was turned on; needs no network.
    UnlockGuarded = "unlock_guarded": UnlockGuardedRequest => Status;
    /// Closes it.
    Lock = "lock": () => Status;
    /// Signs in again with the password after the server ended the session.
    SignInAgain = "sign_in_again": SignInAgainRequest => Status;
    /// A window of the portfolio.
    GetPortfolio = "portfolio": PortfolioRequest => PortfolioPage;
    /// Unfinished interviews.
    GetDrafts = "drafts": () => Vec<DraftRow>;
    /// One client with their history.
    GetClient = "client": ClientRequest => ClientView;
    /// Who a new client might already be.
    FindDuplicates = "duplicates": ClientFields => Vec<Duplicate>;
    /// A new client.
    CreateClient = "create_client": CreateClientRequest => ClientView;
    /// Changes to a client; settles conflicts on the fields it names.
    EditClient = "edit_client": EditClientRequest => ClientView;
    /// Adds a picture, a signature or a place to a client.
    Attach = "attach": AttachRequest => ClientView;
    /// The bytes of a client's file: from this device, or else from the server.
    GetFile = "file": FileRequest => FileView;
    /// The unfinished interview of a client, or a new one.
    StartInterview = "start_interview": ClientRequest => DraftView;
    /// An unfinished interview.
    GetDraft = "draft": DraftRequest => DraftView;
    /// Keeps one answer, right or wrong, durably.
    SaveField = "save_field": SaveFieldRequest => FieldSaved;
    /// Keeps where the officer is.
    SaveFocus = "save_focus": SaveFocusRequest => ();
    /// Throws an unfinished interview away.
    DiscardDraft = "discard_draft": DraftRequest => ();
    /// Scores an interview and keeps the assessment.
    Score = "score": DraftRequest => AssessmentView;
    /// What the score would be; keeps nothing.
    WhatIf = "what_if": WhatIfRequest => Estimate;
    /// One assessment.
    GetAssessment = "assessment": AssessmentRequest => AssessmentView;
    /// Records a decision.
    Decide = "decide": DecideRequest => AssessmentView;
    /// A window of the branch's assessments.
    GetReview = "review": ReviewRequest => ReviewPage;
    /// Everything about sync.
    GetSync = "sync": () => SyncView;
    /// Syncs now.
    SyncNow = "sync_now": () => SyncView;
    /// The sync log as text without personal data.
    GetSyncLog = "sync_log": () => String;
    /// What was not sent, as an encrypted file for branch staff to import at the server.
    ExportUnsent = "export_unsent": ExportRequest => ExportFile;
    /// For a manager: the branch's devices, and what the server put aside. Needs the network.
    GetBranch = "branch": () => BranchView;
    /// The active model and its history.
    GetModel = "model": () => ModelView;
    /// Changes settings.
    SetSettings = "set_settings": Settings => Settings;
    /// Lets a finger or a face open the store that is open now, or not any more.
    SetGuarded = "set_guarded": SetGuardedRequest => Status;
}

/// A refusal as a screen gets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayError {
    /// Which; the catalogue has a title and a way out for each.
    pub code: ErrorCode,
    /// For support, in English, without personal data.
    pub message: String,
    /// Which inputs are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
    /// Which client fields are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client_fields: Vec<(ClientField, ClientProblem)>,
    /// When to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Millis>,
}

impl GatewayError {
    /// Found by a screen itself, which has nothing to add to the code.
    pub fn of(code: ErrorCode) -> GatewayError {
        GatewayError {
            code,
            message: String::new(),
            fields: Vec::new(),
            client_fields: Vec::new(),
            retry_at: None,
        }
    }
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal,)*) => {
        /// What went wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $name)] $code,)*
        }
        impl ErrorCode {
            /// Every code; the catalogues have `error-<name>` and `error-<name>-do` for each.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$code),*];
            /// The name in JSON and in the catalogues.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$code => $name),* }
            }
        }
    };
}

error_codes! {
    /// The address is not one of a web server.
    BadAddress = "bad-address",
    /// Nothing answers there.
    Unreachable = "unreachable",
    /// Something answers, but it is not a Vereda server, or one of another protocol.
    ForeignServer = "foreign-server",
    /// Plain HTTP to somewhere else than this machine.
    InsecureAddress = "insecure-address",
    /// Wrong user name or password.
    WrongCredentials = "wrong-credentials",
    /// Too many attempts; see `retry_at`.
    TooManyAttempts = "too-many-attempts",
    /// The server disabled this user.
    UserDisabled = "user-disabled",
    /// The device was revoked.
    DeviceRevoked = "device-revoked",
    /// This role does not work on this app.
    RoleNotForApp = "role-not-for-app",
    /// The server does not accept this session any more: sign in again.
    SessionExpired = "session-expired",
    /// Wrong PIN.
    WrongPin = "wrong-pin",
    /// A PIN has six digits or more and is not a sequence or a repetition.
    WeakPin = "weak-pin",
    /// The platform's key store does not answer.
    KeyStoreUnavailable = "key-store-unavailable",
    /// The key store has lost this device's secret.
    KeyMissing = "key-missing",
    /// No finger or face opens the store now: the device has no sensor for it, or it is off.
    GuardedUnavailable = "guarded-unavailable",
    /// The dialog for a finger or a face was closed.
    GuardedCancelled = "guarded-cancelled",
    /// The device refuses fingers and faces for a while.
    GuardedLockedOut = "guarded-locked-out",
    /// Who the device recognises has changed: it was turned off.
    GuardedInvalidated = "guarded-invalidated",
    /// What the device gave for a finger or a face does not open the store.
    GuardedWrong = "guarded-wrong",
    /// The store cannot be decrypted or is damaged.
    StoreDamaged = "store-damaged",
    /// The store was written by a newer version of the app.
    StoreTooNew = "store-too-new",
    /// No space left.
    StorageFull = "storage-full",
    /// The data's folder or file cannot be written.
    StorageReadOnly = "storage-read-only",
    /// The store is locked: unlock first.
    Locked = "locked",
    /// Not here any more.
    NotFound = "not-found",
    /// Fields are wrong: see `fields` or `client_fields`.
    InvalidInput = "invalid-input",
    /// No model has arrived yet.
    NoModel = "no-model",
    /// Not a picture that can be read, or too large a one.
    BadPicture = "bad-picture",
    /// Nothing was drawn.
    EmptyDrawing = "empty-drawing",
    /// The device does not say where it is: switched off, not permitted, or no sky.
    NoPosition = "no-position",
    /// The client has as many attachments as one can have.
    TooManyAttachments = "too-many-attachments",
    /// A decision against the suggestion needs a reason.
    OverrideNeedsReason = "override-needs-reason",
    /// Not for this role.
    Forbidden = "forbidden",
    /// A server error.
    ServerError = "server-error",
    /// A bug here; nothing captured is lost.
    Internal = "internal",
    /// The device's clock is far from the server's.
    ClockOff = "clock-off",
    /// A model was refused.
    ModelRefused = "model-refused",
    /// The server refused to go on with this device's chain.
    ChainBroken = "chain-broken",
}

/// What to show first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Where in its life the app is.
    pub phase: Phase,
    /// Who is signed in, or whose store would be unlocked.
    pub user: Option<UserView>,
    /// Everybody with a store on this device.
    pub users: Vec<UserView>,
    /// As chosen.
    pub settings: Settings,
    /// The one line about the state of the world.
    pub sync: SyncLine,
    /// Rises whenever anything shown changes.
    pub revision: u64,
    /// The device's clock.
    pub now: Millis,
    /// Of the app.
    pub version: String,
    /// What the device is called.
    pub device_name: String,
    /// Whether a finger or a face can be used.
    #[serde(default)]
    pub guarded: GuardedView,
}

/// Whether a finger or a face can be used here, and whose store it opens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardedView {
    /// Whether the device can recognise anybody at the moment.
    pub available: bool,
    /// Who has turned it on.
    pub on: Vec<UserId>,
}

/// Where in its life the app is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// No user has a store here yet.
    New,
    /// A PIN is needed.
    Locked {
        /// After wrong PINs: not before this time.
        retry_at: Option<Millis>,
    },
    /// Everything works.
    Open,
}

/// A user of this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    /// Their id.
    pub id: UserId,
    /// What they sign in with.
    pub username: String,
    /// What people call them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where.
    pub branch: String,
    /// At which server.
    pub server: String,
}

/// See [`Watch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchRequest {
    /// The last revision seen.
    pub since: u64,
}

/// See [`Watch`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WatchResponse {
    /// The revision now.
    pub revision: u64,
    /// The line now, so that most changes need no second call.
    pub sync: SyncLine,
    /// Whether the store was locked meanwhile (auto-lock).
    pub locked: bool,
}

/// See [`Enrol`].
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// Such as `https://vereda.example.org`.
    pub server: String,
    /// The user's name.
    pub username: String,
    /// Their password; not kept.
    pub password: String,
    /// Opens the store from now on.
    pub pin: String,
}

impl std::fmt::Debug for EnrolRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrolRequest").field("server", &self.server).finish_non_exhaustive()
    }
}

/// See [`Unlock`].
#[derive(Clone, Serialize, Deserialize)]
pub struct UnlockRequest {
    /// Whose store.
    pub user: UserId,
    /// Their PIN.
    pub pin: String,
}

impl std::fmt::Debug for UnlockRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnlockRequest").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What the platform's dialog for a finger or a face says, as far as the platform lets it be said. The
/// words are in the catalogues, which the screens have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Above.
    pub title: String,
    /// What for.
    pub reason: String,
    /// On the button that closes it.
    pub cancel: String,
}

/// See [`UnlockGuarded`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockGuardedRequest {
    /// Whose store.
    pub user: UserId,
    /// How they are asked.
    pub prompt: Prompt,
}

/// See [`SetGuarded`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "set", rename_all = "snake_case")]
pub enum SetGuardedRequest {
    /// From now on, once a finger or a face was recognised.
    On {
        /// The PIN again: whoever finds a store open must not give themselves a way in.
        pin: String,
        /// How they are asked.
        prompt: Prompt,
    },
    /// Not any more.
    Off,
}

impl std::fmt::Debug for SetGuardedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SetGuardedRequest::On { .. } => "SetGuardedRequest::On(..)",
            SetGuardedRequest::Off => "SetGuardedRequest::Off",
        })
    }
}

/// See [`SignInAgain`].
#[derive(Clone, Serialize, Deserialize)]
pub struct SignInAgainRequest {
    /// The signed-in user's password.
    pub password: String,
}

impl std::fmt::Debug for SignInAgainRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignInAgainRequest(..)")
    }
}

/// What each user of a device chooses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// In which language.
    pub language: Language,
    /// Light or dark.
    pub theme: Theme,
    /// 100, 125, 150 or 200 per cent.
    pub text_percent: u16,
    /// Locks after so many minutes without a touch.
    pub auto_lock_minutes: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { language: Language::System, theme: Theme::System, text_percent: 100, auto_lock_minutes: 5 }
    }
}

/// In which language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// As the system is set; Spanish if that is neither.
    System,
    /// Spanish.
    Es,
    /// English.
    En,
}

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// As the system is set.
    System,
    /// For sunlight.
    Light,
    /// For the evening.
    Dark,
}

/// The one line about the state of the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncLine {
    /// What sync is doing.
    pub state: SyncState,
    /// Events that the server has not acknowledged.
    pub waiting: u64,
    /// Pictures and signatures whose bytes the server does not have yet.
    #[serde(default)]
    pub files: u64,
    /// Events that the server put aside for a person to look at.
    pub quarantined: u64,
    /// When everything was last sent and received.
    pub done_at: Option<Millis>,
}

/// What sync is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SyncState {
    /// Nothing; all is well.
    Idle,
    /// The server cannot be reached; tries again by itself.
    Offline {
        /// When.
        next_try: Option<Millis>,
    },
    /// Looking for the server, signing in.
    Connecting,
    /// Sending.
    Sending {
        /// So many are acknowledged.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// Receiving.
    Receiving {
        /// So many changes have arrived.
        done: u64,
        /// Of about so many; what changes meanwhile comes on top.
        total: u64,
    },
    /// Everybody is here with their last assessment; the earlier ones are coming.
    ReceivingEarlier {
        /// So many have arrived.
        done: u64,
        /// Of so many, once that is known.
        total: Option<u64>,
    },
    /// Sending pictures and signatures, after the events that name them.
    SendingFiles {
        /// So many bytes are at the server.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// Fetching or checking a model.
    UpdatingModel,
    /// Somebody must do something.
    Blocked {
        /// Why.
        code: ErrorCode,
    },
}

/// See [`GetPortfolio`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortfolioRequest {
    /// Words of a name, a document or a phone; empty for everybody.
    pub query: String,
    /// How many rows to leave out first.
    pub offset: u32,
    /// How many to give, up to 200.
    pub limit: u32,
}

/// A window of the portfolio, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortfolioPage {
    /// How many there are in all.
    pub total: u32,
    /// The window.
    pub rows: Vec<ClientRow>,
}

/// One client in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientRow {
    /// Who.
    pub id: ClientId,
    /// Name.
    pub name: String,
    /// Document.
    pub document: String,
    /// Phone.
    pub phone: String,
    /// Place.
    pub place: String,
    /// Who looks after them.
    pub officer: String,
    /// The last assessment.
    pub last: Option<LastScore>,
    /// Whether something about them waits to be sent.
    pub waiting: bool,
    /// Whether a field has a conflict to settle.
    pub conflict: bool,
}

/// The last assessment of a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastScore {
    /// Which.
    pub assessment: AssessmentId,
    /// T1..T8.
    pub group: Group,
    /// PD.
    pub probability: f64,
    /// When.
    pub at: Millis,
    /// The decision that holds.
    pub decision: Option<Decision>,
}

/// An unfinished interview in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DraftRow {
    /// Which.
    pub id: DraftId,
    /// Of whom.
    pub client: ClientId,
    /// Their name.
    pub name: String,
    /// When a field was last saved.
    pub saved_at: Millis,
    /// How many questions have an answer.
    pub answered: u32,
    /// Of how many.
    pub questions: u32,
}

/// Names a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRequest {
    /// Who.
    pub client: ClientId,
}

/// Names an unfinished interview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftRequest {
    /// Which.
    pub draft: DraftId,
}

/// Names an assessment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssessmentRequest {
    /// Which.
    pub assessment: AssessmentId,
}

/// One client with their history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientView {
    /// As in the list.
    pub row: ClientRow,
    /// When they were captured.
    pub captured_at: Millis,
    /// What they agreed to, latest last.
    pub consents: Vec<Consent>,
    /// Values that lost against a concurrent write, to be settled.
    pub conflicts: Vec<Conflict>,
    /// Pictures, signatures and places, latest first.
    pub attachments: Vec<AttachmentView>,
    /// What happened, latest first.
    pub timeline: Vec<TimelineItem>,
    /// Their scores, oldest first.
    pub scores: Vec<LastScore>,
    /// An unfinished interview.
    pub draft: Option<DraftId>,
    /// Whether this user may edit and assess them.
    pub editable: bool,
}

/// See [`Attach`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct AttachRequest {
    /// To whom.
    pub client: ClientId,
    /// What.
    pub what: NewAttachment,
}

impl std::fmt::Debug for AttachRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttachRequest").field("client", &self.client).finish_non_exhaustive()
    }
}

/// What is attached, as a screen has it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NewAttachment {
    /// A photograph of the identity document.
    Document {
        /// The file as the camera or the folder gives it, in base64.
        data: String,
    },
    /// A photograph of the business.
    Business {
        /// As above.
        data: String,
    },
    /// A signature.
    Signature {
        /// What was drawn without lifting the finger: points from the left upper corner, in widths of
        /// the pad, whose height is [`PAD_HEIGHT`].
        strokes: Vec<Vec<(f32, f32)>>,
    },
    /// Where the client is.
    Position {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// In metres, with 68 % confidence.
        accuracy_m: f64,
    },
}

/// How high the pad for signatures is, in widths of it.
pub const PAD_HEIGHT: f32 = 0.4;
/// The largest picture that is read, in bytes: a phone's largest photographs have less.
pub const MAX_PICTURE_BYTES: usize = 30 * 1024 * 1024;

/// One attachment of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentView {
    /// What.
    pub attachment: Attachment,
    /// By whom.
    pub actor: String,
    /// When.
    pub at: Millis,
    /// Whether its bytes are still to be sent; never of a place.
    pub waiting: bool,
    /// Whether it can be shown without the network.
    pub here: bool,
}

/// See [`GetFile`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRequest {
    /// Whose.
    pub client: ClientId,
    /// Which.
    pub sha256: Hash,
}

/// See [`GetFile`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    /// What it is.
    pub media: MediaType,
    /// Its bytes, in base64.
    pub data: String,
}

impl std::fmt::Debug for FileView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileView").field("media", &self.media).finish_non_exhaustive()
    }
}

/// A value that lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Of which field.
    pub field: ClientField,
    /// The value that holds.
    pub holds: String,
    /// The value that lost.
    pub lost: String,
    /// Who wrote it.
    pub actor: String,
    /// When.
    pub at: Millis,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimelineItem {
    /// When, by the clock of whoever did it.
    pub at: Millis,
    /// Who, as people call them.
    pub actor: String,
    /// What.
    pub what: TimelineKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum TimelineKind {
    /// Taken down for the first time.
    Captured,
    /// A field was changed.
    Edited {
        /// Which.
        field: ClientField,
        /// To what.
        value: String,
    },
    /// A picture, a signature or a place was added.
    Attached {
        /// [`Attachment::kind`].
        kind: String,
    },
    /// Scored.
    Assessed {
        /// Which.
        assessment: AssessmentId,
        /// T1..T8.
        group: Group,
        /// PD.
        probability: f64,
        /// By which version.
        model_version: u32,
    },
    /// Decided.
    Decided {
        /// On which.
        assessment: AssessmentId,
        /// How.
        decision: Decision,
        /// The decider's standing.
        rank: Rank,
        /// Why not as suggested.
        override_reason: Option<OverrideReason>,
    },
    /// Computed again on the server.
    Rescored {
        /// Which.
        assessment: AssessmentId,
        /// What came out.
        result: Rescore,
    },
}

/// Who a new client might already be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The client that is here already.
    pub row: ClientRow,
    /// What makes them alike.
    pub why: DuplicateReason,
}

/// What makes two clients alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateReason {
    /// The same document.
    Document,
    /// The same phone.
    Phone,
    /// Nearly the same name.
    Name,
}

/// See [`CreateClient`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateClientRequest {
    /// What is known.
    pub fields: ClientFields,
    /// What was agreed to.
    pub consent: Consent,
}

/// See [`EditClient`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditClientRequest {
    /// Who.
    pub client: ClientId,
    /// The new values.
    pub fields: ClientFields,
}

/// An unfinished interview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DraftView {
    /// Which.
    pub id: DraftId,
    /// Of whom.
    pub client: ClientId,
    /// Their name.
    pub name: String,
    /// The model it was begun with; it keeps that model's form.
    pub model: ModelRef,
    /// What the model is called.
    pub model_name: Text,
    /// The form.
    pub schema: Schema,
    /// What the groups are called.
    pub groups: Groups,
    /// The answers so far, right or wrong.
    pub inputs: Inputs,
    /// When each was saved.
    pub saved_at: BTreeMap<String, Millis>,
    /// What is wrong with those that are wrong.
    pub problems: Vec<FieldError>,
    /// The field the officer was at.
    pub focus: Option<String>,
    /// What the score would be now.
    pub estimate: Estimate,
}

/// See [`SaveField`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SaveFieldRequest {
    /// Of which interview.
    pub draft: DraftId,
    /// Which feature.
    pub field: String,
    /// The answer; a text that is no number stays as it was typed, as a category. `null` is "not
    /// known" and absent is [`None`]: the answer was taken out.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub value: Option<Value>,
}

/// Reads a value that is there, `null` included, which an [`Option`] alone would take for absent.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// See [`SaveFocus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaveFocusRequest {
    /// Of which interview.
    pub draft: DraftId,
    /// Which feature.
    pub field: String,
}

/// What became of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldSaved {
    /// When it was durable.
    pub saved_at: Millis,
    /// What is wrong with it; it is kept all the same.
    pub problem: Option<FieldError>,
    /// What the score would be now.
    pub estimate: Estimate,
}

/// See [`WhatIf`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhatIfRequest {
    /// Starting from this.
    pub base: WhatIfBase,
    /// With these answers instead.
    pub changes: Inputs,
}

/// What a what-if starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", content = "id", rename_all = "snake_case")]
pub enum WhatIfBase {
    /// An unfinished interview.
    Draft(DraftId),
    /// An assessment, with the model that made it.
    Assessment(AssessmentId),
}

/// One assessment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssessmentView {
    /// What was scored and what came out.
    pub assessment: Assessment,
    /// The client's name.
    pub client_name: String,
    /// The officer's name.
    pub officer: String,
    /// When, by the officer's clock.
    pub at: Millis,
    /// What the model is called.
    pub model_name: Text,
    /// When the model was made (its card's date).
    pub model_created: String,
    /// The form.
    pub schema: Schema,
    /// The cuts and what the groups are called.
    pub groups: Groups,
    /// What the group suggests.
    pub suggested: Decision,
    /// The decision that holds.
    pub decision: Option<TimelineItem>,
    /// What happened to it, latest first.
    pub timeline: Vec<TimelineItem>,
    /// The server's second opinion.
    pub rescore: Option<Rescore>,
    /// Whether the server holds it.
    pub delivery: Delivery,
    /// Whether this user may decide.
    pub may_decide: bool,
}

/// Whether the server holds something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "delivery", rename_all = "snake_case")]
pub enum Delivery {
    /// It waits here.
    Waiting,
    /// It is there.
    Delivered,
    /// It is there and was put aside.
    Quarantined {
        /// Why.
        detail: String,
    },
}

/// See [`Decide`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecideRequest {
    /// On which.
    pub assessment: AssessmentId,
    /// How.
    pub decision: Decision,
    /// Required when not as suggested.
    pub override_reason: Option<OverrideReason>,
}

/// See [`GetReview`]. Absent means any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewRequest {
    /// Only those that no manager has decided.
    pub undecided: bool,
    /// T1..T8.
    pub group: Option<Group>,
    /// By whom.
    pub officer: Option<UserId>,
    /// Only those whose re-score differs.
    pub mismatch: bool,
    /// Only those decided against the suggestion.
    pub overridden: bool,
    /// Not older than so many days.
    pub max_age_days: Option<u32>,
    /// How many rows to leave out first.
    pub offset: u32,
    /// How many to give, up to 200.
    pub limit: u32,
}

/// A window of the branch's assessments, latest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewPage {
    /// How many there are in all.
    pub total: u32,
    /// The window.
    pub rows: Vec<ReviewRow>,
    /// Who can be filtered by.
    pub officers: Vec<(UserId, String)>,
}

/// One assessment in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReviewRow {
    /// Which.
    pub assessment: AssessmentId,
    /// Of whom.
    pub client: ClientId,
    /// Their name.
    pub client_name: String,
    /// By whom.
    pub officer: String,
    /// When.
    pub at: Millis,
    /// T1..T8.
    pub group: Group,
    /// PD.
    pub probability: f64,
    /// By which version.
    pub model_version: u32,
    /// The decision that holds.
    pub decision: Option<Decision>,
    /// Whose decision that is.
    pub rank: Option<Rank>,
    /// Whether it went against the suggestion.
    pub overridden: bool,
    /// Whether the server's result differs.
    pub mismatch: bool,
    /// Whether the decision on it waits to be sent.
    pub waiting: bool,
}

/// Everything about sync.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncView {
    /// As on every screen.
    pub line: SyncLine,
    /// What waits or was put aside, oldest first, up to 200.
    pub items: Vec<SyncItem>,
    /// What the server has acknowledged.
    pub receipt: Option<Receipt>,
    /// The device's clock minus the server's at the last contact.
    pub drift_ms: Option<Millis>,
    /// The last failure.
    pub last_error: Option<SyncError>,
    /// At which server.
    pub server: String,
    /// This device.
    pub device: String,
    /// Changes that this version of the app cannot read; kept for the next one.
    #[serde(default)]
    pub unread: u64,
    /// The last runs, latest first, up to 50.
    pub log: Vec<SyncLogEntry>,
}

/// Something that waits or was put aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncItem {
    /// Its place in the chain.
    pub seq: u64,
    /// When it was captured.
    pub at: Millis,
    /// `client_captured`, `client_edited`, `attached`, `assessed` or `decided`.
    pub kind: String,
    /// About whom.
    pub client_name: String,
    /// The client.
    pub client: ClientId,
    /// Why it was put aside; absent when it only waits.
    pub quarantine: Option<String>,
}

/// A failure of sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncError {
    /// Which.
    pub code: ErrorCode,
    /// For support, in English.
    pub message: String,
    /// When.
    pub at: Millis,
}

/// One run of sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncLogEntry {
    /// When it ended.
    pub at: Millis,
    /// How long it took.
    pub took_ms: Millis,
    /// Events sent.
    pub sent: u64,
    /// Records received.
    pub received: u64,
    /// How it ended; absent when well.
    pub error: Option<SyncError>,
}

/// See [`ExportUnsent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRequest {
    /// Who can open it.
    pub sealed_for: SealedFor,
}

/// Who can open an export.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sealed_for", rename_all = "snake_case")]
pub enum SealedFor {
    /// Whoever holds the private part of the institution's key.
    Key {
        /// The public part: `age1...`.
        key: String,
    },
    /// Whoever knows the words.
    Passphrase {
        /// 12 characters or more.
        passphrase: String,
    },
}

impl std::fmt::Debug for SealedFor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SealedFor::Key { .. } => "SealedFor::Key",
            SealedFor::Passphrase { .. } => "SealedFor::Passphrase(..)",
        })
    }
}

/// What was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportFile {
    /// What to call the file.
    pub name: String,
    /// How many events are in it.
    pub events: u64,
    /// How many pictures and signatures.
    pub files: u64,
    /// The file: age, as ASCII text.
    pub text: String,
}

/// See [`GetBranch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchView {
    /// Whose clock is farthest off first.
    pub devices: Vec<BranchDevice>,
    /// Events that the server put aside, latest first.
    pub aside: Vec<AsideView>,
}

/// One device of a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchDevice {
    /// Which.
    pub device: DeviceId,
    /// Whose, as people call them.
    pub user: String,
    /// What people call it.
    pub name: String,
    /// When the server last heard of it.
    pub seen_at: Millis,
    /// Its clock minus the server's at its last push.
    pub drift_ms: Option<Millis>,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// One event that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsideView {
    /// In whose chain.
    pub device: DeviceId,
    /// Its place there.
    pub seq: u64,
    /// Whose work, as people call them.
    pub user: String,
    /// When the server received it.
    pub at: Millis,
    /// The reason's name, then what support wants to know.
    pub why: String,
}

/// The active model and its history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    /// Absent until one has arrived.
    pub active: Option<ActiveModel>,
    /// What arrived, latest first.
    pub updates: Vec<ModelUpdate>,
}

/// The active model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActiveModel {
    /// Which.
    pub model: ModelRef,
    /// Since when it scores here.
    pub activated_at: Millis,
    /// How many golden vectors it reproduced on this device.
    pub golden: u32,
    /// The document without its estimator's innards: name, schema, groups, card.
    pub about: ModelAbout,
}

/// What a person may want to know of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelAbout {
    /// Its name.
    pub name: Text,
    /// Its features.
    pub schema: Schema,
    /// Its groups.
    pub groups: Groups,
    /// Its card.
    pub card: vereda_scoring::bundle::Card,
}

impl From<&Bundle> for ModelAbout {
    fn from(bundle: &Bundle) -> Self {
        ModelAbout {
            name: bundle.name.clone(),
            schema: bundle.schema.clone(),
            groups: bundle.groups.clone(),
            card: bundle.card.clone(),
        }
    }
}

/// One model that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUpdate {
    /// Its id, as the server announced it.
    pub id: String,
    /// Its version, as announced.
    pub version: u32,
    /// Its hash, as announced.
    pub sha256: String,
    /// When it arrived.
    pub at: Millis,
    /// What became of it.
    pub outcome: ModelOutcome,
}

/// What became of a model that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ModelOutcome {
    /// It scores now, or did.
    Activated,
    /// It was refused; the one before it goes on.
    Refused {
        /// Why.
        reason: ModelRefusal,
        /// For support, in English: the place in the bundle.
        detail: String,
    },
}

/// Why a model was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelRefusal {
    /// The bytes are not those that were announced.
    HashMismatch,
    /// Of a format that this app does not know: update the app.
    UnknownFormat,
    /// It does not hold what it must.
    Invalid,
    /// It does not reproduce its golden vectors here.
    GoldenMismatch,
    /// Older than the active one.
    Rollback,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_known_is_not_taken_out() {
        let draft = DraftId(uuid::Uuid::nil());
        for value in [None, Some(Value::Missing), Some(Value::Number(1.5))] {
            let request = SaveFieldRequest { draft, field: "income".into(), value };
            let text = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<SaveFieldRequest>(&text).unwrap(), request, "{text}");
        }
    }
}
