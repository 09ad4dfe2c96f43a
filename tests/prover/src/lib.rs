//! Proofs of a key (DPoP, RFC 9449), made from the RFC and not from the app's own code, so that tests of the server
//! hold it to the standard.

use anyhow::{Context as _, Result, anyhow};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Holds a key, and proves it.
pub struct Prover {
    key: EncodingKey,
    algorithm: Algorithm,
}

impl Prover {
    /// With a new Ed25519 key.
    ///
    /// # Errors
    /// When none can be made.
    pub fn new() -> Result<Prover> {
        let pair = Ed25519KeyPair::generate().map_err(|_| anyhow!("no key can be made"))?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| anyhow!("a key cannot be written"))?;
        Ok(Prover { key: EncodingKey::from_ed_der(pkcs8.as_ref()), algorithm: Algorithm::EdDSA })
    }

    /// With a new P-256 key, as a phone's hardware keeps it.
    ///
    /// # Errors
    /// When none can be made.
    pub fn p256() -> Result<Prover> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        let pkcs8 = pair.and_then(|pair| pair.to_pkcs8v1()).map_err(|_| anyhow!("no key can be made"))?;
        Ok(Prover { key: EncodingKey::from_ec_der(pkcs8.as_ref()), algorithm: Algorithm::ES256 })
    }

    /// What a proof says that is made now for this request.
    ///
    /// # Errors
    /// When the clock is before 1970.
    pub fn claims(method: &str, url: &str, token: Option<&str>) -> Result<Value> {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        Ok(Prover::claims_at(now, method, url, token))
    }

    /// What a proof says that is made at this time, in seconds since 1970.
    pub fn claims_at(now: i64, method: &str, url: &str, token: Option<&str>) -> Value {
        let address = url.split(['?', '#']).next().unwrap_or_default();
        let mut claims = json!({
            "jti": Uuid::new_v4().to_string(), "htm": method, "htu": address, "iat": now,
        });
        if let Some(token) = token {
            claims["ath"] = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token)).into();
        }
        claims
    }

    /// The header of a proof.
    ///
    /// # Errors
    /// When the key cannot be shown.
    pub fn header(&self) -> Result<Header> {
        let mut header = Header::new(self.algorithm);
        header.typ = Some("dpop+jwt".into());
        header.jwk = Some(Jwk::from_encoding_key(&self.key, self.algorithm).context("the public key")?);
        Ok(header)
    }

    /// A proof that says this.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign(&self, header: &Header, claims: &Value) -> Result<String> {
        jsonwebtoken::encode(header, claims, &self.key).context("signing a proof")
    }

    /// A proof for one request, made now.
    ///
    /// # Errors
    /// See [`Prover::claims`] and [`Prover::sign`].
    pub fn proof(&self, method: &str, url: &str, token: Option<&str>) -> Result<String> {
        self.sign(&self.header()?, &Prover::claims(method, url, token)?)
    }

    /// The headers of one request, made now: the proof, and the token if there is one.
    ///
    /// # Errors
    /// See [`Prover::proof`].
    pub fn headers(&self, method: &str, url: &str, token: Option<&str>) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert("dpop", self.proof(method, url, token)?.try_into()?);
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, format!("DPoP {token}").try_into()?);
        }
        Ok(headers)
    }
}
