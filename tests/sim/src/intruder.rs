//! A device that sends what no honest one does, so that it is known what must be quarantined.

use crate::server::{PASSWORD, Server};
use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use serde::Serialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vereda_domain::DeviceId;
use vereda_domain::api::{PROOF, PROOF_NONCE};
use vereda_domain::event::Hash;
use vereda_domain::hlc::Clock;
use vereda_prover::Prover;

/// No connection is kept for the next request, and no certificates are read: it speaks to this process.
fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().pool_max_idle_per_host(0).tls_certs_only([]).build()?)
}

/// Its chain is sound; what it says is not.
pub struct Intruder {
    device: DeviceId,
    http: reqwest::Client,
    prover: Prover,
    clock: Clock,
    token: String,
    actor: Json,
    seq: u64,
    prev: Hash,
}

impl Intruder {
    /// Enrols.
    ///
    /// # Errors
    /// When the server does not let it.
    pub async fn enrol(server: &Server) -> Result<Intruder> {
        let device = DeviceId(Uuid::now_v7());
        let mut intruder = Intruder {
            device,
            http: client()?,
            prover: Prover::new()?,
            clock: Clock::new(device),
            token: String::new(),
            actor: Json::Null,
            seq: 0,
            prev: Hash::ZERO,
        };
        intruder.sign_in(server).await?;
        Ok(intruder)
    }

    /// A token that holds, whatever time it is at the server now.
    async fn sign_in(&mut self, server: &Server) -> Result<()> {
        let body = json!({
            "username": "intruso", "password": PASSWORD,
            "device": {"id": self.device, "name": "intruso", "platform": "linux"},
        });
        let url = server.url("/api/auth/sign-in");
        let session: Json = self.post(&url, None, &body).await?.error_for_status()?.json().await?;
        self.token = session["access_token"].as_str().context("a token")?.to_owned();
        self.actor = session["user"]["id"].clone();
        Ok(())
    }

    /// Sends something with a proof of its key, which says what time it is at the server once that has told it.
    async fn post(
        &self,
        url: &str,
        token: Option<&str>,
        body: &(impl Serialize + ?Sized),
    ) -> Result<reqwest::Response> {
        let mut nonce: Option<String> = None;
        loop {
            let mut claims = Prover::claims("POST", url, token)?;
            if let Some(nonce) = &nonce {
                claims["nonce"] = nonce.as_str().into();
            }
            let proof = self.prover.sign(&self.prover.header()?, &claims)?;
            let mut request = self.http.post(url).header(PROOF, proof).json(body);
            if let Some(token) = token {
                request = request.header("authorization", format!("DPoP {token}"));
            }
            let response = request.send().await?;
            match response.headers().get(PROOF_NONCE) {
                Some(told) if nonce.is_none() => nonce = Some(told.to_str()?.to_owned()),
                _ => return Ok(response),
            }
        }
    }

    /// Pushes one event with this body, which must be taken in and quarantined.
    ///
    /// # Errors
    /// When it is refused, or applied.
    pub async fn push(&mut self, server: &Server, body: Json, now: i64) -> Result<()> {
        self.sign_in(server).await?;
        let event = json!({
            "device": self.device, "seq": self.seq + 1, "prev": self.prev, "hlc": self.clock.tick(now), "at": now,
            "actor": self.actor, "branch": server.branch, "body": body,
        });
        let text = serde_json::to_string(&event)?;
        let push = format!(r#"{{"events":[{text}],"device_ms":{now}}}"#);
        let push: &serde_json::value::RawValue = serde_json::from_str(&push)?;
        let response = self.post(&server.url("/api/sync/push"), Some(&self.token), push).await?;
        ensure!(
            response.status() == StatusCode::OK,
            "a bad event was refused whole: {}",
            response.text().await?
        );
        let answer: Json = response.json().await?;
        ensure!(answer["results"][0]["outcome"] == "quarantined", "a bad event was applied: {answer}");
        self.seq += 1;
        self.prev = Hash::of(text.as_bytes());
        Ok(())
    }

    /// The end of its chain.
    pub fn end(&self) -> (u64, Hash) {
        (self.seq, self.prev)
    }

    /// The server has forgotten what came after this end, and nobody sends that again.
    pub fn set_back(&mut self, end: (u64, Hash)) {
        (self.seq, self.prev) = end;
    }

    /// How many events it pushed.
    pub fn pushed(&self) -> u64 {
        self.seq
    }

    /// Its chain.
    pub fn device(&self) -> DeviceId {
        self.device
    }
}

/// A body that must not be applied.
pub fn body(rng: &mut fastrand::Rng) -> Json {
    let id = Uuid::now_v7();
    match rng.u8(0..3) {
        0 => json!({"type": "client_praised", "client": id, "how": "much"}),
        1 => {
            json!({"type": "client_captured", "client": id, "fields": {"phone": "\u{7}\u{7}"}, "consent": 7})
        }
        _ => {
            json!({"type": "decided", "assessment": id, "client": id, "decision": "approve", "override_reason": null})
        }
    }
}
