//! The proof that comes with a request, that whoever sends it holds a key: see [`crate::identity::proof`].

use super::caller::Sent;
use super::problem::{ApiError, ApiResult};
use super::{App, Shared};
use crate::identity::proof::{Asked, Flaw};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use vereda_domain::api::{PROOF, ProblemCode, Thumbprint};

/// The key that a request without a token has shown, if any: a device shows its own when it signs in, and when it
/// goes on with its session.
pub struct ShownKey(pub Option<Thumbprint>);

impl FromRequestParts<Shared> for ShownKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> ApiResult<ShownKey> {
        if !parts.headers.contains_key(PROOF) {
            return Ok(ShownKey(None));
        }
        let sent = Sent { method: &parts.method, uri: &parts.uri, headers: &parts.headers };
        key(app, sent, None).await.map(|key| ShownKey(Some(key)))
    }
}

/// The key that a request has shown, with its token if it has one.
pub async fn key(app: &App, sent: Sent<'_>, token: Option<&str>) -> ApiResult<Thumbprint> {
    let flaw = match one(sent.headers) {
        Ok(proof) => match app.proofs.check(proof, asked(sent, token)).await {
            Ok(key) => return Ok(key),
            Err(flaw) => flaw,
        },
        Err(why) => Flaw::Wrong(why),
    };
    let (reason, refusal) = match flaw {
        Flaw::Stale { nonce } => {
            let detail = "The proof was made at another time than it is here: make one with this nonce.";
            let refusal = ApiError::new(ProblemCode::UseDpopNonce, detail)
                .challenge("DPoP error=\"use_dpop_nonce\"")
                .oauth("use_dpop_nonce");
            ("stale", refusal.nonce(nonce))
        }
        Flaw::Replayed => ("replayed", invalid("used before")),
        Flaw::Wrong(why) => ("wrong", invalid(why)),
    };
    app.metrics.proof_refused(reason);
    Err(refusal)
}

/// The one proof that a request has.
fn one(headers: &HeaderMap) -> Result<&str, &'static str> {
    let mut proofs = headers.get_all(PROOF).into_iter();
    match (proofs.next(), proofs.next()) {
        (Some(proof), None) => proof.to_str().map_err(|_| "not a JWT"),
        _ => Err("no proof, or more than one"),
    }
}

/// The request that its proof is to be for.
fn asked<'a>(Sent { method, uri, headers }: Sent<'a>, token: Option<&'a str>) -> Asked<'a> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(uri.authority().map(|authority| authority.as_str())).unwrap_or_default();
    Asked { method: method.as_str(), host, path: uri.path(), token }
}

fn invalid(why: &str) -> ApiError {
    let detail =
        "Send one proof of the device's key, made for this request alone, as `DPoP: ...` (RFC 9449).";
    ApiError::new(ProblemCode::InvalidDpopProof, detail)
        .challenge("DPoP error=\"invalid_dpop_proof\", algs=\"EdDSA ES256\"")
        .oauth("invalid_dpop_proof")
        .because(why)
}
