//! What every request asks for, kept in memory: who somebody is, and which model is the newest.
//!
//! To read them costs a request more than its score: whenever anybody has written, a connection that reads drops all
//! that it kept of the file. What this process writes is seen at once: whatever may change people or models
//! forgets everything here, after its commit and before it is answered. What another process writes to the
//! same file, as `vereda-server user` does, is seen within [`LIFE`].

use super::lock;
use crate::store::UserRow;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use vereda_domain::UserId;
use vereda_domain::api::ModelManifest;

/// How long something is believed without looking.
const LIFE: Duration = Duration::from_millis(100);
/// How many people are kept at most; then all are looked up again.
const PEOPLE: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Known(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// How often everything was forgotten.
    age: u64,
    users: HashMap<UserId, (Instant, Option<UserRow>)>,
    model: Option<(Instant, Option<ModelManifest>)>,
}

/// The moment before something was read: what was read is kept only if nothing was forgotten since.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    age: u64,
    at: Instant,
}

impl Known {
    /// Forgets everything.
    pub fn forget(&self) {
        let mut kept = lock(&self.0);
        kept.age += 1;
        kept.users.clear();
        kept.model = None;
    }

    /// A user, or that there is none; else the moment to name to [`Known::keep_user`].
    pub fn user(&self, id: UserId) -> Result<Option<UserRow>, Before> {
        let kept = lock(&self.0);
        kept.look(kept.users.get(&id))
    }

    /// Keeps what was read of a user.
    pub fn keep_user(&self, before: Before, id: UserId, user: &Option<UserRow>) {
        let mut kept = lock(&self.0);
        if kept.age == before.age {
            if kept.users.len() >= PEOPLE {
                kept.users.clear();
            }
            kept.users.insert(id, (before.at, user.clone()));
        }
    }

    /// The newest model, or that there is none; else the moment to name to [`Known::keep_model`].
    pub fn model(&self) -> Result<Option<ModelManifest>, Before> {
        let kept = lock(&self.0);
        kept.look(kept.model.as_ref())
    }

    /// Keeps what was read of the newest model.
    pub fn keep_model(&self, before: Before, model: &Option<ModelManifest>) {
        let mut kept = lock(&self.0);
        if kept.age == before.age {
            kept.model = Some((before.at, model.clone()));
        }
    }
}

impl Kept {
    fn look<T: Clone>(&self, found: Option<&(Instant, T)>) -> Result<T, Before> {
        let now = Instant::now();
        match found {
            Some((at, value)) if now.duration_since(*at) < LIFE => Ok(value.clone()),
            _ => Err(Before { age: self.age, at: now }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let known = Known::default();
        let id = UserId(Uuid::from_u128(1));
        let before = known.user(id).unwrap_err();
        known.forget();
        known.keep_user(before, id, &None);
        assert!(known.user(id).is_err(), "read before the change, kept after it");
        let before = known.user(id).unwrap_err();
        known.keep_user(before, id, &None);
        assert_eq!(known.user(id).ok().map(|user| user.is_none()), Some(true));
        known.forget();
        assert!(known.user(id).is_err());
        let long_ago = Before { at: Instant::now().checked_sub(LIFE).unwrap(), ..known.model().unwrap_err() };
        known.keep_model(long_ago, &None);
        assert!(known.model().is_err(), "another process may have written since");
    }
}
