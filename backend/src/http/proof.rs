//! The proof that comes with a request, that whoever sends it holds a key: see [`crate::identity::proof`].

use super::caller::Sent;
use super::problem::{ApiError, ApiResult};
use super::{App, Shared};
use crate::identity::proof::{Asked, Flaw};
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use vereda_domain::api::{PROOF, ProblemCode, Thumbprint};

/// The key that a request without a token has shown, if any: a device shows its own when it signs in, and when it
/// goes on with its session.
pub struct Shown(pub Option<Thumbprint>);

impl FromRequestParts<Shared> for Shown {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> ApiResult<Shown> {
        if !parts.headers.contains_key(PROOF) {
            return Ok(Shown(None));
        }
        let sent = Sent { method: &parts.method, uri: &parts.uri, headers: &parts.headers };
        key(app, sent, None).await.map(|key| Shown(Some(key)))
    }
}

/// The key that a request has shown, with its token if it has one.
pub async fn key(
    app: &App,
    Sent { method, uri, headers }: Sent<'_>,
    token: Option<&str>,
) -> ApiResult<Thumbprint> {
    let wrong =
        |why: &str| invalid("The proof does not hold for this request: make another one.").because(why);
    let mut proofs = headers.get_all(PROOF).into_iter();
    let (Some(proof), None) = (proofs.next(), proofs.next()) else {
        return Err(
            invalid("Send one proof, as `DPoP: ...` (RFC 9449).").because("no proof, or more than one")
        );
    };
    let proof = proof.to_str().map_err(|_| wrong("not a JWT"))?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(uri.authority().map(|authority| authority.as_str())).unwrap_or_default();
    let asked = Asked { method: method.as_str(), host, path: uri.path(), token };
    let (reason, refusal) = match app.proofs.check(proof, asked).await {
        Ok(key) => return Ok(key),
        Err(Flaw::Stale { nonce }) => {
            let detail = "The proof was made at another time than it is here: make one with this nonce.";
            let refusal = ApiError::new(ProblemCode::UseDpopNonce, detail)
                .challenge("DPoP error=\"use_dpop_nonce\"")
                .oauth("use_dpop_nonce");
            ("stale", refusal.nonce(nonce))
        }
        Err(Flaw::Replayed) => ("replayed", wrong("used before")),
        Err(Flaw::Wrong(why)) => ("wrong", wrong(why)),
    };
    app.metrics.proof_refused(reason);
    Err(refusal)
}

fn invalid(detail: &str) -> ApiError {
    ApiError::new(ProblemCode::InvalidDpopProof, detail)
        .challenge("DPoP error=\"invalid_dpop_proof\", algs=\"EdDSA ES256\"")
        .oauth("invalid_dpop_proof")
}
