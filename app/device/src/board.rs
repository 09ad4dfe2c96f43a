//! What screens watch: one revision that rises with every change, and the line about sync.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use vereda_domain::gateway::{SyncLine, SyncState};

/// How long a watch waits at most.
const WATCH: Duration = Duration::from_secs(25);

pub(crate) struct Board {
    revision: watch::Sender<u64>,
    line: Mutex<SyncLine>,
}

fn blank() -> SyncLine {
    SyncLine { state: SyncState::Idle, waiting: 0, files: 0, quarantined: 0, done_at: None }
}

impl Board {
    pub(crate) fn new() -> Self {
        Board { revision: watch::Sender::new(1), line: Mutex::new(blank()) }
    }

    /// Says that something shown has changed.
    pub(crate) fn bump(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    pub(crate) fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    pub(crate) fn line(&self) -> SyncLine {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the line; says so when it is another one then.
    pub(crate) fn update(&self, change: impl FnOnce(&mut SyncLine)) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let before = line.clone();
        change(&mut line);
        let changed = *line != before;
        drop(line);
        if changed {
            self.bump();
        }
    }

    pub(crate) fn set_state(&self, state: SyncState) {
        self.update(|line| line.state = state);
    }

    /// Nobody's store is open.
    pub(crate) fn clear(&self) {
        self.update(|line| *line = blank());
        self.bump();
    }

    /// Waits for another revision than this.
    pub(crate) async fn changed(&self, since: u64) {
        let mut revision = self.revision.subscribe();
        // Both a timeout and a closed channel mean: answer with what there is.
        let _ = tokio::time::timeout(WATCH, revision.wait_for(|revision| *revision != since)).await;
    }
}
