//! Access tokens (JWT, EdDSA, RFC 9068 style) and refresh tokens (opaque).

use crate::clock::now_ms;
use crate::config::Tokens as Settings;
use crate::error::ServerError;
use crate::identity::keys::{SigningKey, random};
use crate::identity::proof::{derived, same};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use uuid::Uuid;
use vereda_domain::api::{Role, Thumbprint};
use vereda_domain::event::Hash;
use vereda_domain::{BranchId, DeviceId, Millis, UserId};

/// The `typ` of an access token (RFC 9068), so that no other kind of JWT passes for one.
const TYPE: &str = "at+jwt";
/// How far clocks of replicas may be apart, in seconds.
const LEEWAY_S: u64 = 5;
/// The longest life of an access token, in seconds.
const LONGEST_S: u64 = 900;
/// How long a ticket holds, in seconds: after that a device looks once more who answers.
const TICKET_S: u64 = 24 * 3600;
/// Tokens whose signature is not computed again; some 500 bytes each.
const REMEMBERED: u64 = 10_000;

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// For whom.
    pub aud: String,
    /// The user.
    pub sub: UserId,
    /// What they may do.
    pub role: Role,
    /// Where, if anywhere.
    pub branch: Option<BranchId>,
    /// On which device, if any.
    pub device: Option<DeviceId>,
    /// Whether it only delivers what was captured: access has ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub escrow: bool,
    /// What a service may do with it, as names with spaces between (RFC 9068).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Of a page's session, which holds in its cookie alone: SHA-256 of what the page shows with what it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csrf: Option<Hash>,
    /// The key without which it opens nothing (RFC 9449, section 6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Names this token.
    pub jti: Uuid,
    /// Not before, in seconds since 1970.
    pub nbf: u64,
    /// Until, in seconds since 1970.
    pub exp: u64,
    /// Issued at, in seconds since 1970.
    pub iat: u64,
}

/// Whose hands a token is good in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// Whoever holds this key.
    pub jkt: Thumbprint,
}

/// What a new token is to say of somebody: see [`Claims`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The user.
    pub sub: UserId,
    /// What they may do.
    pub role: Role,
    /// Where, if anywhere.
    pub branch: Option<BranchId>,
    /// On which device, if any.
    pub device: Option<DeviceId>,
    /// Whether it only delivers what was captured.
    pub escrow: bool,
    /// What a service may do with it.
    pub scope: Option<String>,
    /// For a page: SHA-256 of what it shows with what it changes.
    pub csrf: Option<Hash>,
    /// The key without which it opens nothing.
    pub key: Option<Thumbprint>,
}

impl Grant {
    /// Of a session without a device.
    pub fn new(sub: UserId, role: Role, branch: Option<BranchId>) -> Grant {
        Grant { sub, role, branch, device: None, escrow: false, scope: None, csrf: None, key: None }
    }
}

/// Signs and verifies.
pub struct Tokens {
    settings: Settings,
    ring: RwLock<Arc<Ring>>,
    refresh: hmac::Key,
    tickets: hmac::Key,
}

/// The keys of one moment.
struct Ring {
    keys: Vec<SigningKey>,
    /// Those keys with their ids, in that order.
    signing: Vec<(Millis, String, EncodingKey)>,
    /// By key id: the only place where a verifying key can come from.
    verifying: HashMap<String, DecodingKey>,
    /// Tokens that these keys have signed, by SHA-256: to verify one takes longer than to score. Whoever
    /// reads this memory finds no token in it, and other keys begin with none.
    verified: Cache<Hash, Claims>,
    public: JwkSet,
}

impl Ring {
    fn new(keys: Vec<SigningKey>) -> Result<Ring, ServerError> {
        let (mut signing, mut verifying, mut public) = (Vec::new(), HashMap::new(), JwkSet::default());
        for SigningKey { from, pkcs8 } in &keys {
            let key = EncodingKey::from_ed_der(pkcs8);
            let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).map_err(|e| crypto(&e))?;
            let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|e| crypto(&e))?;
            jwk.common.key_id = Some(kid.clone());
            jwk.common.public_key_use = Some(PublicKeyUse::Signature);
            jwk.common.key_algorithm = Some(KeyAlgorithm::EdDSA);
            verifying.insert(kid.clone(), DecodingKey::from_jwk(&jwk).map_err(|e| crypto(&e))?);
            public.keys.push(jwk);
            signing.push((*from, kid, key));
        }
        if signing.is_empty() {
            return Err(crypto(&"there is no signing key"));
        }
        let life = Duration::from_secs(LONGEST_S + LEEWAY_S);
        let verified = Cache::builder().max_capacity(REMEMBERED).time_to_live(life).build();
        Ok(Ring { keys, signing, verifying, verified, public })
    }

    /// The last key whose time has come; before that of any, the first one.
    fn signs(&self, now: Millis) -> Option<(&str, &EncodingKey)> {
        let current = self.signing.iter().rev().find(|(from, _, _)| *from <= now);
        current.or(self.signing.first()).map(|(_, kid, key)| (kid.as_str(), key))
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("keys", &self.ring().keys).finish_non_exhaustive()
    }
}

impl Tokens {
    /// With these signing keys, oldest first.
    ///
    /// # Errors
    /// [`ServerError::Crypto`] when there is none, or one is not an Ed25519 key.
    pub fn new(settings: Settings, keys: Vec<SigningKey>, refresh: [u8; 32]) -> Result<Tokens, ServerError> {
        let ring = RwLock::new(Arc::new(Ring::new(keys)?));
        let tickets = derived(&refresh, "tickets of devices");
        let refresh = hmac::Key::new(hmac::HMAC_SHA256, &refresh);
        Ok(Tokens { settings, ring, refresh, tickets })
    }

    /// Goes on with these keys; whether they are others than before.
    ///
    /// # Errors
    /// As [`Tokens::new`]; those of before then stay.
    pub fn renew(&self, keys: Vec<SigningKey>) -> Result<bool, ServerError> {
        if self.ring().keys == keys {
            return Ok(false);
        }
        let ring = Arc::new(Ring::new(keys)?);
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        Ok(true)
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The public keys, for `/.well-known/jwks.json`: of those that will sign, too, so that whoever keeps them
    /// for a while knows a key before it signs.
    pub fn public(&self) -> JwkSet {
        self.ring().public.clone()
    }

    /// Life of an access token in seconds.
    pub fn access_s(&self) -> u64 {
        self.settings.access_s
    }

    /// A signed access token.
    ///
    /// # Errors
    /// [`ServerError::Crypto`].
    pub fn issue(&self, grant: Grant) -> Result<String, ServerError> {
        let Grant { sub, role, branch, device, escrow, scope, csrf, key } = grant;
        let now_ms = now_ms();
        let now = u64::try_from(now_ms / 1000).unwrap_or(0);
        let claims = Claims {
            iss: self.settings.issuer.clone(),
            aud: self.settings.audience.clone(),
            sub,
            role,
            branch,
            device,
            escrow,
            scope,
            csrf,
            cnf: key.map(|jkt| Confirmation { jkt }),
            jti: Uuid::new_v4(),
            nbf: now,
            exp: now + self.settings.access_s,
            iat: now,
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        let ring = self.ring();
        let (kid, key) = ring.signs(now_ms).ok_or_else(|| crypto(&"there is no signing key"))?;
        header.kid = Some(kid.to_owned());
        jsonwebtoken::encode(&header, &claims, key).map_err(|e| crypto(&e))
    }

    /// What a token says, if every part of it holds.
    ///
    /// # Errors
    /// Why not, for the log; the caller is told nothing but that it does not hold.
    pub fn verify(&self, token: &str) -> Result<Claims, String> {
        self.verify_at(token, u64::try_from(now_ms() / 1000).unwrap_or(0))
    }

    /// The same at this time, in seconds since 1970.
    fn verify_at(&self, token: &str, now: u64) -> Result<Claims, String> {
        let ring = self.ring();
        let name = Hash::of(token.as_bytes());
        let remembered = ring.verified.get(&name);
        let claims = match &remembered {
            Some(claims) => claims.clone(),
            None => self.signed(&ring, token)?,
        };
        if claims.exp.saturating_add(LEEWAY_S) < now || claims.nbf > now.saturating_add(LEEWAY_S) {
            return Err("its time is over, or has not come".into());
        }
        // A key shared with something that signs longer-lived tokens must not open this door.
        if claims.exp.saturating_sub(claims.iat) > LONGEST_S || claims.iat > claims.exp {
            return Err("lives longer than 15 minutes".into());
        }
        if remembered.is_none() {
            ring.verified.insert(name, claims.clone());
        }
        Ok(claims)
    }

    /// What a token says that one of these keys has signed for this server, whatever its time.
    fn signed(&self, ring: &Ring, token: &str) -> Result<Claims, String> {
        let header = jsonwebtoken::decode_header(token).map_err(|e| e.to_string())?;
        if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(TYPE) {
            return Err("not an access token signed with EdDSA".into());
        }
        let key = header.kid.as_deref().and_then(|kid| ring.verifying.get(kid)).ok_or("unknown key id")?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // Both are compared by whoever asks, by the same clock that they were written by.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(jsonwebtoken::decode(token, key, &validation).map_err(|e| e.to_string())?.claims)
    }

    /// What lets a device ask whether anything is new, and nothing else: some 50 bytes, where a token and a
    /// proof are a thousand. Good for the device as long as its user is who they are now.
    pub fn ticket(&self, device: DeviceId, user: UserId, role: Role, branch: Option<BranchId>) -> String {
        let now = u64::try_from(now_ms() / 1000).unwrap_or(0);
        self.ticket_until(now + TICKET_S, device, user, role, branch)
    }

    fn ticket_until(
        &self,
        until_s: u64,
        device: DeviceId,
        user: UserId,
        role: Role,
        branch: Option<BranchId>,
    ) -> String {
        let shown = [device.0.as_bytes().as_slice(), &until_s.to_be_bytes()].concat();
        let branch = branch.map(|branch| branch.0).unwrap_or_default();
        let meant = [&shown, user.0.as_bytes().as_slice(), branch.as_bytes(), role.as_str().as_bytes()];
        let tag = hmac::sign(&self.tickets, &meant.concat());
        BASE64_URL_SAFE_NO_PAD.encode([&shown, &tag.as_ref()[..16]].concat())
    }

    /// The device that a ticket says it is of, while that may be: see [`Tokens::is_ticket`].
    pub fn ticket_device(&self, ticket: &str) -> Option<DeviceId> {
        let (device, until_s) = read_ticket(ticket)?;
        let now = u64::try_from(now_ms() / 1000).unwrap_or(0);
        (until_s > now && until_s <= now + TICKET_S + LEEWAY_S).then_some(device)
    }

    /// Whether it is a ticket of this device, for this user as they are now.
    pub fn is_ticket(
        &self,
        ticket: &str,
        device: DeviceId,
        user: UserId,
        role: Role,
        branch: Option<BranchId>,
    ) -> bool {
        read_ticket(ticket).is_some_and(|(_, until_s)| {
            let ours = self.ticket_until(until_s, device, user, role, branch);
            same(ticket.as_bytes(), ours.as_bytes())
        })
    }

    /// A new refresh token: 256 random bits.
    ///
    /// # Errors
    /// [`ServerError::Random`].
    pub fn new_refresh(&self) -> Result<String, ServerError> {
        Ok(hex::encode(random::<32>()?))
    }

    /// The token that follows this one. Derived rather than drawn, so that a device whose answer was
    /// lost gets the same one again though only hashes are stored; without the server's secret it
    /// cannot be told from random.
    pub fn next_refresh(&self, token: &str) -> String {
        hex::encode(hmac::sign(&self.refresh, token.as_bytes()))
    }

    /// What is stored of a refresh token.
    pub fn refresh_hash(token: &str) -> Hash {
        Hash::of(token.as_bytes())
    }
}

/// The device and the end that a ticket shows.
fn read_ticket(ticket: &str) -> Option<(DeviceId, u64)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(ticket).ok()?;
    let device = Uuid::from_slice(bytes.get(..16)?).ok()?;
    let until_s = u64::from_be_bytes(bytes.get(16..24)?.try_into().ok()?);
    Some((DeviceId(device), until_s))
}

fn crypto(error: &dyn std::fmt::Display) -> ServerError {
    ServerError::Crypto { doing: "use the signing keys", what: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::keys;

    #[test]
    fn a_remembered_token_holds_for_its_time_and_its_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        keys::make_folder(dir.path()).unwrap();
        let signing = keys::signing_keys(dir.path()).unwrap();
        let tokens = Tokens::new(Settings::default(), signing.clone(), [7; 32]).unwrap();
        let grant = Grant::new(UserId(Uuid::now_v7()), Role::Service, None);
        let token = tokens.issue(grant).unwrap();
        let claims = tokens.verify(&token).unwrap();
        let remembered = || tokens.ring().verified.get(&Hash::of(token.as_bytes()));
        assert_eq!(remembered().as_ref(), Some(&claims));
        assert_eq!(tokens.verify(&token).unwrap(), claims);
        assert!(tokens.verify_at(&token, claims.exp + LEEWAY_S + 1).is_err(), "its time is over");
        assert!(tokens.verify_at(&token, claims.nbf - LEEWAY_S - 1).is_err(), "its time has not come");
        // Another first letter of the signature.
        let (said, signature) = token.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { 'B' } else { 'A' };
        let forged = format!("{said}.{other}{}", &signature[1..]);
        for _ in 0..2 {
            assert!(tokens.verify(&forged).is_err(), "what was refused is not remembered");
        }
        let others = tempfile::tempdir().unwrap();
        keys::make_folder(others.path()).unwrap();
        assert!(tokens.renew(keys::signing_keys(others.path()).unwrap()).unwrap());
        assert_eq!(remembered(), None);
        assert!(tokens.verify(&token).is_err(), "its key is gone");
    }
}
