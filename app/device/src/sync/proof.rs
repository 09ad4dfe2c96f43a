//! The device's own key, and the proofs that it makes with it (DPoP, RFC 9449): a token that somebody else got hold
//! of opens nothing without the key, which is in the encrypted store and leaves it for nobody.
//!
//! Proofs carry the time. A device whose clock is wrong is told a nonce by the server, and repeats it until the server
//! wants another one.

use crate::clock::WallClock;
use crate::error::{DeviceError, Result};
use crate::store::{Store, meta};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::{Method, Url};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;
use zeroize::Zeroizing;

/// A key for the tokens of one device.
pub(crate) struct DeviceKey {
    pair: Ed25519KeyPair,
    /// PKCS #8, in hexadecimal digits.
    kept: Zeroizing<String>,
    clock: WallClock,
    nonce: Mutex<Option<String>>,
}

/// What a proof says.
#[derive(Serialize)]
struct Claims<'a> {
    jti: String,
    htm: &'a str,
    htu: String,
    /// In seconds since 1970.
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
}

impl DeviceKey {
    /// A new one, which nothing keeps yet.
    pub(crate) fn generate(clock: WallClock) -> Result<DeviceKey> {
        let pair = Ed25519KeyPair::generate().map_err(|_| unusable("none can be made"))?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| unusable("it cannot be kept"))?;
        let kept = Zeroizing::new(hex::encode(pkcs8.as_ref()));
        Ok(DeviceKey { pair, kept, clock, nonce: Mutex::default() })
    }

    /// The one that a store keeps. One from before devices had keys gets its own now.
    pub(crate) fn of(store: &Store, clock: WallClock) -> Result<DeviceKey> {
        if let Some(kept) = store.read(|db| meta::get(db, &meta::DEVICE_KEY))?.map(Zeroizing::new) {
            let damaged = || DeviceError::StoreDamaged("the device's key cannot be read".into());
            let pkcs8 = Zeroizing::new(hex::decode(kept.as_bytes()).map_err(|_| damaged())?);
            let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| damaged())?;
            return Ok(DeviceKey { pair, kept, clock, nonce: Mutex::default() });
        }
        let key = DeviceKey::generate(clock)?;
        store.write(|db| key.keep(db))?;
        Ok(key)
    }

    /// Keeps it in a store.
    pub(crate) fn keep(&self, db: &Connection) -> Result<()> {
        meta::set(db, &meta::DEVICE_KEY, &*self.kept)
    }

    /// What the server said to repeat, if anything.
    pub(crate) fn repeat(&self, nonce: Option<String>) {
        if nonce.is_some() {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = nonce;
        }
    }

    /// A proof for one request, with its token if it has one.
    pub(crate) fn proof(&self, method: &Method, url: &Url, token: Option<&str>) -> Result<String> {
        let mut address = url.clone();
        address.set_query(None);
        address.set_fragment(None);
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key());
        let header = json!({
            "typ": "dpop+jwt", "alg": "EdDSA", "jwk": { "kty": "OKP", "crv": "Ed25519", "x": x },
        });
        let claims = Claims {
            jti: Uuid::new_v4().simple().to_string(),
            htm: method.as_str(),
            htu: address.into(),
            iat: self.clock.now().div_euclid(1000),
            ath: token.map(|token| BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token))),
            nonce: self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        let said = [serde_json::to_vec(&header)?, serde_json::to_vec(&claims)?];
        let said = said.map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.pair.sign(said.as_bytes()));
        Ok(format!("{said}.{signature}"))
    }
}

fn unusable(why: &str) -> DeviceError {
    DeviceError::Internal(format!("the device's own key: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Device;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_store_has_one_key_and_one_from_before_gets_one() {
        let (_device, session) = Device::ready().await;
        let kept = |session: &crate::session::Session| {
            session.store.read(|db| meta::get(db, &meta::DEVICE_KEY)).unwrap()
        };
        let first = kept(&session).unwrap();
        let clock = session.clock.clone();
        assert_eq!(*DeviceKey::of(&session.store, clock.clone()).unwrap().kept, first);
        session.store.write(|db| meta::clear(db, &meta::DEVICE_KEY)).unwrap();
        let second = DeviceKey::of(&session.store, clock.clone()).unwrap();
        assert_eq!(kept(&session).as_ref(), Some(&*second.kept));
        assert_ne!(*second.kept, first);
        session.store.write(|db| meta::set(db, &meta::DEVICE_KEY, &"00".to_owned())).unwrap();
        assert!(matches!(DeviceKey::of(&session.store, clock), Err(DeviceError::StoreDamaged(_))));
    }
}
