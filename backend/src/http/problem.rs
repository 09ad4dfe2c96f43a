//! Refusals: RFC 9457 problem documents.
//!
//! A handler returns [`ApiError`]; the outermost layer writes it down, with the request's id, so that
//! a refusal by a handler, by the router, by a timeout or after a panic all look the same. What
//! went wrong inside goes to the log, never to the caller.

use super::body::one_of;
use crate::error::{ServerError, StoreError};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use vereda_domain::api::{PROOF_NONCE, Problem, ProblemCode};
use vereda_domain::event::ChainHead;
use vereda_scoring::FieldError;

/// The media type of a refusal.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A refusal.
#[derive(Debug, Clone)]
pub struct ApiError(Box<Refusal>);

#[derive(Debug, Clone)]
struct Refusal {
    status: StatusCode,
    code: ProblemCode,
    detail: String,
    fields: Vec<FieldError>,
    resume: Option<ChainHead>,
    retry_after_s: Option<u64>,
    /// What `WWW-Authenticate` says.
    challenge: Option<String>,
    /// What a proof has to repeat, for `DPoP-Nonce`.
    nonce: Option<String>,
    /// What RFC 6749 calls it.
    oauth: Option<&'static str>,
    /// For the log alone.
    cause: Option<String>,
}

/// What a handler answers.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// With what the caller should do about it.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> ApiError {
        ApiError(Box::new(Refusal {
            status: status_of(code),
            code,
            detail: detail.into(),
            fields: Vec::new(),
            resume: None,
            retry_after_s: None,
            challenge: None,
            nonce: None,
            oauth: None,
            cause: None,
        }))
    }

    /// Which fields are wrong.
    pub fn fields(mut self, fields: Vec<FieldError>) -> ApiError {
        self.0.fields = fields;
        self
    }

    /// Where to go on.
    pub fn resume(mut self, head: ChainHead) -> ApiError {
        self.0.resume = Some(head);
        self
    }

    /// When to try again.
    pub fn retry_after(mut self, seconds: u64) -> ApiError {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// How to ask, for `WWW-Authenticate`; without it, a 401 asks for a bearer token.
    pub fn challenge(mut self, challenge: impl Into<String>) -> ApiError {
        self.0.challenge = Some(challenge.into());
        self
    }

    /// What a proof has to repeat.
    pub fn nonce(mut self, nonce: String) -> ApiError {
        self.0.nonce = Some(nonce);
        self
    }

    /// What RFC 6749 calls this refusal, for those who ask for a token.
    pub fn oauth(mut self, error: &'static str) -> ApiError {
        self.0.oauth = Some(error);
        self
    }

    /// With another status than the code usually has.
    pub fn status(mut self, status: StatusCode) -> ApiError {
        self.0.status = status;
        self
    }

    /// What the log says about it; the caller never sees it.
    pub fn because(mut self, cause: impl std::fmt::Display) -> ApiError {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// The server's fault; the caller learns nothing but the request's id.
    pub fn internal(cause: impl std::fmt::Display) -> ApiError {
        ApiError::new(
            ProblemCode::Internal,
            "Something went wrong in the server. Try again; if it stays, give the request id to support.",
        )
        .because(cause)
    }

    /// Nothing here, or not for this caller.
    pub fn not_found() -> ApiError {
        ApiError::new(ProblemCode::NotFound, "There is nothing here by that name.")
    }

    /// Why, for programs.
    pub fn code(&self) -> ProblemCode {
        self.0.code
    }

    /// Which fields are wrong.
    pub fn field_errors(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// What to do about it.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What the log says about it.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The stand-in for an answer of the framework's own with this status.
    pub fn for_status(status: StatusCode) -> ApiError {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => return ApiError::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => {
                (ProblemCode::MethodNotAllowed, "This address takes another method; see the Allow header.")
            }
            StatusCode::REQUEST_TIMEOUT => {
                (ProblemCode::Unavailable, "The request took too long. Try again, with less at a time.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => (ProblemCode::TooLarge, "The body is too large."),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => (ProblemCode::UnsupportedMedia, "The body must be JSON."),
            StatusCode::SERVICE_UNAVAILABLE => {
                (ProblemCode::Unavailable, "The server cannot now. Try again in a moment.")
            }
            status if status.is_server_error() => {
                return ApiError::internal(format!("the framework answered {status}"));
            }
            _ => (ProblemCode::BadRequest, "The request cannot be read."),
        };
        ApiError::new(code, detail).status(status)
    }

    /// The document, for this request.
    pub fn into_document(self, request_id: &str) -> Response {
        let refusal = *self.0;
        let problem = Problem {
            kind: "about:blank".into(),
            title: title_of(refusal.code).into(),
            status: refusal.status.as_u16(),
            detail: refusal.detail,
            code: refusal.code,
            request_id: request_id.to_owned(),
            fields: refusal.fields,
            resume: refusal.resume,
            retry_after_s: refusal.retry_after_s,
            error: refusal.oauth.map(str::to_owned),
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (refusal.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = refusal.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let bearer = (refusal.status == StatusCode::UNAUTHORIZED).then(|| "Bearer".to_owned());
        if let Some(Ok(challenge)) = refusal.challenge.or(bearer).map(HeaderValue::try_from) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(Ok(nonce)) = refusal.nonce.map(HeaderValue::try_from) {
            headers.insert(PROOF_NONCE, nonce);
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// When to try again at a server whose disk is full: somebody must make room first.
const FULL_RETRY_S: u64 = 60;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Closed => {
                ApiError::new(ProblemCode::Unavailable, "The server is shutting down. Try again in a moment.")
            }
            StoreError::Busy => ApiError::new(
                ProblemCode::Unavailable,
                "Too many are writing at once. Try again in a moment.",
            ),
            error @ StoreError::Unreachable { .. } => ApiError::new(
                ProblemCode::Unavailable,
                "The server cannot reach its database. Try again in a moment.",
            )
            .because(error),
            error @ StoreError::Full { .. } => {
                ApiError::new(ProblemCode::Unavailable, "The server has no room. Try again in a moment.")
                    .retry_after(FULL_RETRY_S)
                    .because(error)
            }
            error => ApiError::internal(error),
        }
    }
}

impl From<ServerError> for ApiError {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Store(error) => error.into(),
            ServerError::People(why) => ApiError::new(ProblemCode::Conflict, sentence(&why)),
            ServerError::Field { field, allowed } => {
                let detail = format!("`{field}` must be {allowed}.");
                let error = FieldError { field: field.into(), problem: one_of(&[&allowed]) };
                ApiError::new(ProblemCode::InvalidInput, detail).fields(vec![error])
            }
            ServerError::NoSuch(_) => ApiError::not_found(),
            error @ ServerError::SetupToken => {
                ApiError::new(ProblemCode::WrongCredentials, sentence(&error.to_string()))
            }
            ServerError::Model { version, missing } => {
                let detail = format!(
                    "Model version {version} cannot be used by this version of the server. An analyst has to \
                     publish a newer one."
                );
                ApiError::new(ProblemCode::Unavailable, detail).because(missing)
            }
            error => ApiError::internal(error),
        }
    }
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).chain(['.']).collect()).unwrap_or_default()
}

fn status_of(code: ProblemCode) -> StatusCode {
    match code {
        ProblemCode::BadRequest => StatusCode::BAD_REQUEST,
        ProblemCode::InvalidInput | ProblemCode::InvalidBundle => StatusCode::UNPROCESSABLE_ENTITY,
        ProblemCode::Unauthenticated
        | ProblemCode::UseDpopNonce
        | ProblemCode::InvalidDpopProof
        | ProblemCode::WrongCredentials
        | ProblemCode::SessionRevoked
        | ProblemCode::UserDisabled
        | ProblemCode::DeviceRevoked => StatusCode::UNAUTHORIZED,
        ProblemCode::Forbidden => StatusCode::FORBIDDEN,
        ProblemCode::NotFound | ProblemCode::NoModel => StatusCode::NOT_FOUND,
        ProblemCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ProblemCode::Conflict | ProblemCode::ChainGap | ProblemCode::VersionNotAbove => StatusCode::CONFLICT,
        ProblemCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ProblemCode::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ProblemCode::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ProblemCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ProblemCode::Internal | ProblemCode::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn title_of(code: ProblemCode) -> &'static str {
    match code {
        ProblemCode::BadRequest => "The request cannot be read",
        ProblemCode::InvalidInput => "Fields are wrong",
        ProblemCode::Unauthenticated => "Sign in first",
        ProblemCode::UseDpopNonce => "The proof is of another time",
        ProblemCode::InvalidDpopProof => "The proof does not hold",
        ProblemCode::WrongCredentials => "Wrong name or password",
        ProblemCode::SessionRevoked => "The session has ended",
        ProblemCode::UserDisabled => "The user is disabled",
        ProblemCode::DeviceRevoked => "The device is revoked",
        ProblemCode::Forbidden => "Not for this role",
        ProblemCode::NotFound => "Not found",
        ProblemCode::MethodNotAllowed => "Another method is needed",
        ProblemCode::Conflict => "Contradicts what is stored",
        ProblemCode::ChainGap => "Events are missing before these",
        ProblemCode::VersionNotAbove => "The version is not above the newest",
        ProblemCode::InvalidBundle => "The bundle cannot be used",
        ProblemCode::NoModel => "No model was published yet",
        ProblemCode::TooLarge => "Too large",
        ProblemCode::UnsupportedMedia => "Unsupported media type",
        ProblemCode::TooManyRequests => "Too many attempts",
        ProblemCode::Unavailable => "The server cannot now",
        ProblemCode::Internal | ProblemCode::Unknown => "The server failed",
    }
}
