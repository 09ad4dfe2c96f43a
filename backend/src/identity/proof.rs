//! Proofs that whoever sends a token holds the key that it was made for (DPoP, RFC 9449).
//!
//! A proof is a small JWT that a device signs for one request: its method, its address, and the token that
//! comes with it. It holds once, and for about a minute. A device whose clock is wrong is told a nonce that says
//! what time it is here, and a proof with that nonce is as good as one with the right time.

use crate::clock::now_ms;
use crate::commons::Commons;
use aws_lc_rs::hmac;
use axum::http::Uri;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::ThumbprintHash;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use vereda_domain::Millis;
use vereda_domain::api::Thumbprint;

/// The `typ` of a proof.
const TYPE: &str = "dpop+jwt";
/// What proofs are signed with.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::EdDSA, Algorithm::ES256];
/// How far from the time here a proof may have been made, when it has no nonce.
const NEAR_MS: Millis = 60_000;
/// How long a nonce holds.
const NONCE_MS: Millis = 120_000;
/// How long a proof is remembered that was used: longer than any holds.
const REMEMBERED: Duration = Duration::from_millis((2 * NEAR_MS + NONCE_MS) as u64);
/// The most used proofs that one server keeps in its memory: some 1,600 requests of devices a second.
pub const MAX_ENTRIES: u64 = 400_000;
/// The longest proof, in bytes, and the longest name of one.
const LONGEST: usize = 4096;
const LONGEST_ID: usize = 128;

/// The request that a proof is to be for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// Whom it is addressed to, as its `Host` says.
    pub host: &'a str,
    /// Its path.
    pub path: &'a str,
    /// The token that comes with it, if any.
    pub token: Option<&'a str>,
}

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Another time than here, or a nonce that has ended: with this nonce it would hold.
    Stale {
        /// For `DPoP-Nonce`.
        nonce: String,
    },
    /// It came before.
    Replayed,
    /// Anything else; for the log.
    Wrong(&'static str),
}

/// Looks at proofs.
pub struct Proofs {
    used: Arc<dyn Commons>,
    nonces: hmac::Key,
}

impl std::fmt::Debug for Proofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proofs").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: f64,
    ath: Option<String>,
    nonce: Option<String>,
}

impl Proofs {
    /// With what replicas have in common, where it stands which proofs were used, and the secret that
    /// they share.
    pub fn new(used: Arc<dyn Commons>, secret: &[u8; 32]) -> Proofs {
        Proofs { used, nonces: derived(secret, "nonces of proofs") }
    }

    /// The key that has signed this proof, if every part of it holds. It does not hold again.
    ///
    /// # Errors
    /// [`Flaw`].
    pub async fn check(&self, proof: &str, asked: Asked<'_>) -> Result<Thumbprint, Flaw> {
        let (key, claims) = signed(proof)?;
        if claims.htm != asked.method || !is_for(&claims.htu, asked) {
            return Err(Flaw::Wrong("made for another request"));
        }
        let token = asked.token.map(|token| BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token)));
        if token.is_some() && claims.ath != token {
            return Err(Flaw::Wrong("made for another token"));
        }
        let now = now_ms();
        let in_time = match &claims.nonce {
            Some(nonce) => self.holds(nonce, now),
            None => (claims.iat * 1000.0 - now as f64).abs() <= NEAR_MS as f64,
        };
        if !in_time {
            return Err(Flaw::Stale { nonce: self.nonce(now) });
        }
        if claims.jti.is_empty() || claims.jti.len() > LONGEST_ID {
            return Err(Flaw::Wrong("without a name of its own"));
        }
        let name = Sha256::new().chain_update(key.as_str()).chain_update(&claims.jti).finalize();
        if self.used.raise(&format!("proof:{}", hex::encode(name)), REMEMBERED).await > 1 {
            return Err(Flaw::Replayed);
        }
        Ok(key)
    }

    /// What says that it was made at this time, on any replica, and needs no memory.
    fn nonce(&self, at: Millis) -> String {
        let time = at.to_be_bytes();
        let tag = hmac::sign(&self.nonces, &time);
        BASE64_URL_SAFE_NO_PAD.encode([&time, &tag.as_ref()[..16]].concat())
    }

    fn holds(&self, nonce: &str, now: Millis) -> bool {
        let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(nonce) else { return false };
        let Some(Ok(time)) = bytes.get(..8).map(<[u8; 8]>::try_from) else { return false };
        let at = Millis::from_be_bytes(time);
        // Replicas' clocks may be a little apart.
        let age = now.saturating_sub(at);
        (-5_000..=NONCE_MS).contains(&age) && same(nonce.as_bytes(), self.nonce(at).as_bytes())
    }
}

/// A key for one purpose out of the server's secret.
pub(super) fn derived(secret: &[u8; 32], purpose: &str) -> hmac::Key {
    let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), purpose.as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
}

/// Whether these are the same, in a time that does not say where they differ.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// What a proof says, and the key that it names and that has signed it.
fn signed(proof: &str) -> Result<(Thumbprint, Claims), Flaw> {
    if proof.len() > LONGEST {
        return Err(Flaw::Wrong("too long"));
    }
    let header = jsonwebtoken::decode_header(proof).map_err(|_| Flaw::Wrong("not a JWT"))?;
    if header.typ.as_deref() != Some(TYPE) || !ALGORITHMS.contains(&header.alg) {
        return Err(Flaw::Wrong("not a proof signed with EdDSA or ES256"));
    }
    let jwk = header.jwk.ok_or(Flaw::Wrong("without a key"))?;
    if shows_secret(proof) {
        return Err(Flaw::Wrong("it shows its private key"));
    }
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| Flaw::Wrong("of a key of another kind"))?;
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = jsonwebtoken::decode::<Claims>(proof, &key, &validation)
        .map_err(|_| Flaw::Wrong("not signed by its key, or something is missing"))?
        .claims;
    let thumbprint =
        jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| Flaw::Wrong("of a key without a thumbprint"))?;
    Ok((Thumbprint(thumbprint), claims))
}

/// Whether the header of a proof holds more than a public key.
fn shows_secret(proof: &str) -> bool {
    let header = proof.split('.').next().unwrap_or_default();
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    let header: Value = serde_json::from_slice(&header).unwrap_or_default();
    header["jwk"].get("d").is_some()
}

/// Whether an address is this request's, but for its query. What ends TLS may stand in between, so its scheme is
/// not compared.
fn is_for(htu: &str, asked: Asked<'_>) -> bool {
    let Ok(uri) = htu.parse::<Uri>() else { return false };
    let to = uri.authority().map(|authority| authority.as_str());
    to.is_some_and(|to| to.eq_ignore_ascii_case(asked.host)) && uri.path() == asked.path
}
