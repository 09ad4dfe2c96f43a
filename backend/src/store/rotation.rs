//! What becomes of a refresh token that is presented: the rules, the same over every database. A
//! store looks the rows up, asks here, and writes what is answered, all in one transaction.

use super::{Deed, Doer, Ended, Note, Rotated, Rotation, UserRow};
use uuid::Uuid;
use vereda_domain::api::Thumbprint;
use vereda_domain::event::Hash;
use vereda_domain::{DeviceId, Millis, UserId};

/// A refresh token as stored, with what is known of its session.
pub(super) struct Token {
    /// The chain of tokens that it is in.
    pub family: Uuid,
    /// When it ends, unused.
    pub expires: Millis,
    /// When it was exchanged.
    pub used: Option<Millis>,
    /// For which.
    pub successor: Option<Hash>,
    /// Whose session.
    pub user: UserId,
    /// On which device.
    pub device: Option<DeviceId>,
    /// The key that it has shown, if any.
    pub key: Option<Thumbprint>,
    /// Whether the family was revoked.
    pub revoked: bool,
    /// Whether the device was.
    pub device_revoked: bool,
}

/// What a store has to write, and what it then answers.
pub(super) enum Step {
    /// Nothing.
    Answer(Rotated),
    /// That the family is revoked, and why.
    Revoke(Rotated, Note),
    /// That the token is used, and its successor, which ends at this time.
    Exchange(Millis, Rotated),
}

/// Decides. `successor_unused`: the token was exchanged before, and what it was exchanged for was not.
pub(super) fn decide(token: &Token, user: UserRow, successor_unused: bool, rotation: &Rotation) -> Step {
    // First of all: whoever does not have the key neither learns nor ends anything.
    if token.key.is_some() && token.key != rotation.key {
        return Step::Answer(Rotated::OtherKey { user: user.id });
    }
    if token.revoked {
        return Step::Answer(if user.disabled { Rotated::Disabled } else { Rotated::Revoked });
    }
    let device = token.device;
    // A device that enrolled before devices had keys shows its own now.
    let key = device.and(token.key.clone().or(rotation.key.clone()));
    let escrow = match (user.disabled, token.device_revoked) {
        // Without a device there is nothing that could have been captured.
        (true, _) if device.is_none() => return Step::Answer(Rotated::Disabled),
        (true, _) => Some(Ended::UserDisabled),
        (false, true) => Some(Ended::DeviceRevoked),
        (false, false) => None,
    };
    if let Some(used) = token.used {
        let lost = successor_unused
            && token.successor == Some(rotation.successor)
            && rotation.now - used <= rotation.grace_ms;
        return if lost {
            Step::Answer(Rotated::Exchanged { user, device, key, again: true, escrow })
        } else {
            // Nobody knows whose hand it was; the token was theirs.
            let deed = Deed::RefreshReused { user: user.id, device };
            let note = Note { by: Doer::User(user.id), at: rotation.now, deed };
            Step::Revoke(Rotated::Reused { user: user.id }, note)
        };
    }
    if token.expires <= rotation.now {
        return Step::Answer(Rotated::Unknown);
    }
    // What only delivers is not prolonged.
    let expires = if escrow.is_some() { rotation.expires.min(token.expires) } else { rotation.expires };
    Step::Exchange(expires, Rotated::Exchanged { user, device, key, again: false, escrow })
}
