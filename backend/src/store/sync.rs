//! Chains of events, the records that they add up to, and the order in which those changed.

use super::*;

/// An event as it is stored for the first time.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its place in the device's chain.
    pub seq: u64,
    /// The hash of `text`.
    pub hash: Hash,
    /// Exactly as received.
    pub text: String,
    /// Whether it was applied.
    pub outcome: EventOutcome,
    /// The record it changes, if that can be read.
    pub key: Option<RecordKey>,
    /// The record it waits for, if it is to be applied when that arrives.
    pub waits_for: Option<RecordKey>,
    /// The standing of its actor when it arrived.
    pub rank: Rank,
}

/// An event that was stored earlier and waits for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Whose chain.
    pub device: DeviceId,
    /// Its place there.
    pub seq: u64,
    /// Exactly as received.
    pub text: String,
    /// What it waits for.
    pub waits_for: RecordKey,
    /// The standing of its actor when it arrived.
    pub rank: Rank,
}

/// An event stored earlier, as its repetition must be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the chain.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
    /// What became of it.
    pub outcome: EventOutcome,
}

/// What is needed to decide on a push, all from one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The branch's sequence at that moment: the condition of [`Append::branch_seq`].
    pub branch_seq: u64,
    /// The end of the device's chain.
    pub head: ChainHead,
    /// The events of the chain in the range asked for.
    pub stored: Vec<StoredEvent>,
    /// The records asked for that exist, and those that waiting events change.
    pub records: BTreeMap<RecordKey, Record>,
    /// Events that wait for any of them, or for what those would bring.
    pub waiting: Vec<Waiting>,
    /// Clients among those asked for whose data was erased.
    pub erased: BTreeSet<ClientId>,
}

/// What is found of the records that a push touches.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// See [`Snapshot::records`].
    pub records: BTreeMap<RecordKey, Record>,
    /// See [`Snapshot::waiting`].
    pub waiting: Vec<Waiting>,
    /// See [`Snapshot::erased`].
    pub erased: BTreeSet<ClientId>,
}

impl Found {
    /// Takes in a record as it is stored.
    pub(crate) fn take(&mut self, key: RecordKey, body: &str) -> Result<()> {
        match (read_record(body)?, key) {
            (Some(record), _) => drop(self.records.insert(key, record)),
            (None, RecordKey::Client(client)) => drop(self.erased.insert(client)),
            (None, RecordKey::Assessment(_)) => {}
        }
        Ok(())
    }
}

/// What the column of a record holds, once its client was erased: the row stays, so that everybody who had the
/// record hears of it.
pub(crate) const ERASED_BODY: &str = "";

/// A record from its column; none if it was erased.
pub(crate) fn read_record(body: &str) -> Result<Option<Record>> {
    if body == ERASED_BODY {
        return Ok(None);
    }
    Record::read(body).map(Some).map_err(|e| StoreError::corrupt("record", e))
}

/// A record with what pulls are filtered by.
#[derive(Debug, Clone)]
pub struct RecordRow {
    /// The record as it is now.
    pub record: Record,
    /// The officer in whose portfolio it is.
    pub owner: UserId,
    /// The client it is about.
    pub client: ClientId,
}

/// A client who moved to another officer's portfolio, with all that is about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reassigned {
    /// Who.
    pub client: ClientId,
    /// From whose.
    pub from: UserId,
    /// To whose.
    pub to: UserId,
}

/// What a push adds, all or nothing.
#[derive(Debug, Clone)]
pub struct Append {
    /// In which branch.
    pub branch: BranchId,
    /// The branch's sequence must still be this.
    pub branch_seq: u64,
    /// Whose chain.
    pub device: DeviceId,
    /// The chain must still end here.
    pub head: ChainHead,
    /// What follows, without gaps.
    pub events: Vec<NewEvent>,
    /// Earlier events that are not waiting any more.
    pub settled: Vec<(DeviceId, u64, EventOutcome)>,
    /// Records as they are now, in the order in which they changed.
    pub records: Vec<RecordRow>,
    /// Clients who changed hands.
    pub reassigned: Vec<Reassigned>,
    /// The assessments among `records` as the history shows them, with when they were scored.
    pub history: Vec<NewScore>,
    /// By the server's clock.
    pub now: Millis,
    /// The device's clock minus the server's.
    pub drift_ms: Millis,
}

/// Whether a push was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Durably.
    Done,
    /// Somebody else was faster: take a new [`Snapshot`].
    Stale,
}

/// Which changes to bring.
#[derive(Debug, Clone, Copy)]
pub struct PullQuery {
    /// Of which branch.
    pub branch: BranchId,
    /// Only of this officer's portfolio.
    pub owner: Option<UserId>,
    /// After this place in the branch's sequence.
    pub cursor: u64,
    /// The furthest [`PullPage::end`] that the caller was told; 0 if none.
    pub seen: u64,
    /// At most so many.
    pub limit: u32,
    /// Whether to count what follows the page.
    pub count: bool,
    /// Up to this place, if not to the end.
    pub until: Option<u64>,
    /// Only assessments that have a later one of their client, and nothing else.
    pub earlier: bool,
}

/// SQL: a row `r` of records is an assessment with a later one of its client. What is no assessment has no time, and
/// nothing later; and what is not the last never is again.
pub(crate) const HAS_LATER: &str =
    "EXISTS (SELECT 1 FROM records o WHERE o.client = r.client AND o.hlc > r.hlc)";

impl PullQuery {
    /// SQL that goes on a condition of rows `r` of records, to leave those that a page holds; and on one of purges.
    pub(crate) fn among(&self) -> (String, &'static str) {
        if self.earlier { (format!(" AND {HAS_LATER}"), " AND false") } else { (String::new(), "") }
    }

    /// What the caller says of the branch's sequence.
    pub(crate) fn told(&self) -> [u64; 2] {
        [self.cursor, self.seen]
    }

    /// The last place to look at.
    pub(crate) fn until(&self) -> i64 {
        codec::to_i64(self.until.unwrap_or(u64::MAX))
    }

    /// Where to go on after the last page, when the sequence ends here.
    pub(crate) fn end(&self, end: u64) -> u64 {
        self.until.unwrap_or(end).min(end)
    }
}

/// When an assessment was made, by the clocks that records are ordered by; `None` for what is none.
pub(crate) fn hlc_of(record: &Record) -> Option<String> {
    match record {
        Record::Assessment(assessment) => Some(assessment.hlc.to_string()),
        Record::Client(_) => None,
    }
}

/// The most bytes of records in one page of changes, unless a single one is larger.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Which quarantined events to list.
#[derive(Debug, Clone, Copy)]
pub struct QuarantineQuery {
    /// Of which branch.
    pub branch: BranchId,
    /// Only of this user's devices.
    pub user: Option<UserId>,
    /// At most so many.
    pub limit: u32,
}

/// One page of changes, or of a portfolio.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PullPage {
    /// In the order of the branch's sequence, or of [`Place`].
    pub changes: Vec<PageChange>,
    /// Where to go on; of a portfolio, the end of the branch's sequence.
    pub cursor: u64,
    /// Where the branch's sequence ended when this page was read.
    pub end: u64,
    /// Whether the caller's places are of a history that this store was set back from: nothing is brought, and
    /// everything is to be brought again from the beginning.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
    /// Where a portfolio goes on, while there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Place>,
    /// Whether there is more.
    pub more: bool,
    /// How many changes that is, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
}

impl PullPage {
    /// For whom everything begins anew.
    pub(crate) fn anew(end: u64) -> PullPage {
        PullPage { end, anew: true, more: true, ..PullPage::default() }
    }
}

/// Where the sequence of a branch ends, and whether what somebody says of it can be so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// The last place that was given out, or leapt to.
    pub end: u64,
    /// Whether every place that was said is of this history.
    pub holds: bool,
}

impl Standing {
    /// Nothing was said yet.
    pub(crate) fn of(end: u64) -> Standing {
        Standing { end, holds: true }
    }

    /// Somebody says that they were told of this place; `landing` is where the last leap from before it went.
    pub(crate) fn told(&mut self, place: u64, landing: Option<u64>) {
        self.holds &= place <= self.end && landing.is_none_or(|landing| landing <= place);
    }
}

/// SQL: where the last leap from before a place went.
pub(crate) const LANDING: &str =
    "SELECT to_seq FROM leaps WHERE branch = $1 AND from_seq < $2 ORDER BY from_seq DESC LIMIT 1";

/// How far sequences leap when a server starts.
///
/// A server that was set back to a backup would give out places a second time, and whoever has a cursor from before
/// could not tell. So each start leaps over all places that a history which was lost may have given out: to the
/// microseconds since 1970, which no branch has as many changes as; or, where the clock was set back, by a random
/// number, which hardly lands where another history went on.
#[derive(Debug, Clone, Copy)]
pub struct Leap {
    /// To this place.
    pub to: u64,
    /// Or by so much, where a sequence is at that place or beyond.
    pub or_by: u64,
}

impl Leap {
    /// Where a sequence that ends here goes on.
    pub(crate) fn from(self, end: u64) -> u64 {
        if end < self.to { self.to } else { end + self.or_by.max(1) }
    }
}

/// One change, as it goes out: a [`vereda_domain::api::Change`] whose record is not read on the way from
/// the database to the network.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum PageChange {
    /// The record as it is now.
    State {
        /// As it is stored.
        record: Box<RawValue>,
    },
    /// The record is not for this user any more.
    Purge {
        /// Which.
        key: RecordKey,
        /// See [`Change::Purge`].
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        erased: bool,
    },
}

impl PageChange {
    /// From the columns of a row: a record's text, or the key of one that left.
    pub(crate) fn of(body: Option<String>, key: impl FnOnce() -> Result<RecordKey>) -> Result<PageChange> {
        match body {
            Some(body) if body != ERASED_BODY => RawValue::from_string(body)
                .map(|record| PageChange::State { record })
                .map_err(|e| StoreError::corrupt("record", e)),
            gone => key().map(|key| PageChange::Purge { key, erased: gone.is_some() }),
        }
    }

    /// What it says.
    ///
    /// # Errors
    /// When the stored record cannot be read.
    pub fn read(&self) -> Result<Change> {
        Ok(match self {
            PageChange::State { record } => Change::State {
                record: Record::read(record.get()).map_err(|e| StoreError::corrupt("record", e))?,
            },
            PageChange::Purge { key, erased } => Change::Purge { key: *key, erased: *erased },
        })
    }
}

/// Chains of events, the records they add up to, and the order in which those changed.
#[async_trait]
pub trait SyncStore: Send + Sync {
    /// The end of a device's chain.
    async fn head(&self, device: DeviceId) -> Result<ChainHead>;
    /// What is needed to decide on the events `first..=last` of a device.
    async fn snapshot(
        &self,
        branch: BranchId,
        device: DeviceId,
        first: u64,
        last: u64,
        keys: Vec<RecordKey>,
    ) -> Result<Snapshot>;
    /// Adds a push. Every changed record takes the next place in the branch's sequence within the
    /// same transaction, so that no cursor ever skips one.
    async fn append(&self, append: Append) -> Result<Appended>;
    /// Lets the sequence of every branch leap, and notes from where to where: as a server starts, before it answers.
    async fn leap(&self, leap: Leap) -> Result<()>;
    /// Changes past a cursor. Whoever was told of places that are beyond the sequence, or leapt over, begins anew.
    async fn pull(&self, query: PullQuery) -> Result<PullPage>;
    /// Everybody with their last assessment, and what left. What changes meanwhile has a place in the branch's
    /// sequence past the `cursor` of the first page.
    async fn portfolio(&self, query: PortfolioQuery) -> Result<PullPage>;
    /// Events that are quarantined now, latest first.
    async fn quarantined(&self, query: QuarantineQuery) -> Result<Vec<Quarantined>>;
}
