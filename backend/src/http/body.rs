//! Reading requests: bodies with a bound, JSON with the place of what is wrong with it.

use crate::http::problem::{ApiError, ApiResult};
use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::pin::Pin;
use vereda_domain::api::ProblemCode;
use vereda_scoring::{ExpectedType, FieldError, FieldProblem};

/// The largest body that a route takes, in bytes; put into the request by the route table.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(pub usize);

/// A body of JSON, of a request or an answer.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// What most answers have room in, so that it is asked for once and not again at each doubling.
const ANSWER_BYTES: usize = 2048;

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut text = Vec::with_capacity(ANSWER_BYTES);
        match serde_json::to_writer(&mut text, &self.0) {
            Ok(()) => ([(header::CONTENT_TYPE, JSON)], text).into_response(),
            Err(error) => ApiError::internal(format!("an answer cannot be written: {error}")).into_response(),
        }
    }
}

/// The media type of JSON.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        is_json(&request)?;
        if request.headers().contains_key(header::CONTENT_ENCODING) {
            return Err(unsupported("Send the body as it is, without Content-Encoding."));
        }
        parse(&bytes(request).await?).map(Json)
    }
}

/// The bytes of a body of JSON, for those who need them as they were sent.
#[derive(Debug)]
pub struct JsonBytes(pub Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for JsonBytes {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        is_json(&request)?;
        let packed = is_packed(&request)?;
        let limit = request.extensions().get::<BodyLimit>().map_or(0, |l| l.0);
        let body = bytes(request).await?;
        if packed { unpack(&body, limit).map(JsonBytes) } else { Ok(JsonBytes(body)) }
    }
}

/// The bytes of a body that are not JSON.
#[derive(Debug)]
pub struct Piece(pub Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for Piece {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        let media = request.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes());
        if media.is_none_or(|media| !media.eq_ignore_ascii_case(b"application/octet-stream"))
            || request.headers().contains_key(header::CONTENT_ENCODING)
        {
            return Err(unsupported("Send bytes as they are, with Content-Type: application/octet-stream."));
        }
        bytes(request).await.map(Piece)
    }
}

/// A form, of which what is not asked for is not looked at.
#[derive(Debug)]
pub struct Form<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        if essence(&request) != FORM || request.headers().contains_key(header::CONTENT_ENCODING) {
            return Err(unsupported(&format!("Send a form, with Content-Type: {FORM}.")));
        }
        serde_urlencoded::from_bytes(&bytes(request).await?).map(Form).map_err(|error| {
            // The reader's words name a field and a reason.
            let detail = format!("The form cannot be read: {error}.");
            ApiError::new(ProblemCode::BadRequest, detail).oauth("invalid_request")
        })
    }
}

/// The media type of a form.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The media type of a body, without what follows it.
fn essence(request: &Request) -> String {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(request: &Request) -> ApiResult<()> {
    if essence(request) != "application/json" {
        return Err(unsupported("Send JSON, with Content-Type: application/json."));
    }
    Ok(())
}

fn unsupported(detail: &str) -> ApiError {
    ApiError::new(ProblemCode::UnsupportedMedia, detail)
}

fn is_packed(request: &Request) -> ApiResult<bool> {
    let encodings: Vec<_> = request.headers().get_all(header::CONTENT_ENCODING).iter().collect();
    match encodings.as_slice() {
        [] => Ok(false),
        [one] if one.as_bytes().eq_ignore_ascii_case(b"zstd") => Ok(true),
        _ => Err(unsupported("Send the body as it is, or packed once with zstd.")),
    }
}

/// The largest window that a packed body may ask for, as a power of two: 8 MiB, what RFC 9659 allows.
const WINDOW_LOG: u32 = 23;

/// Unpacks zstd. Never holds more than the limit and one window, whatever the body would become.
fn unpack(packed: &[u8], limit: usize) -> ApiResult<Vec<u8>> {
    use std::io::Read;
    let bad = |error: std::io::Error| {
        let detail = "The body is not what zstd makes, or its window is larger than 8 MiB.";
        ApiError::new(ProblemCode::BadRequest, detail).because(error)
    };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(bad)?;
    decoder.window_log_max(WINDOW_LOG).map_err(bad)?;
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(&mut plain).map_err(bad)?;
    if plain.len() > limit {
        let detail = format!("The body must have at most {limit} bytes when it is unpacked.");
        return Err(ApiError::new(ProblemCode::TooLarge, detail));
    }
    Ok(plain)
}

async fn bytes(request: Request) -> ApiResult<Vec<u8>> {
    let limit = request.extensions().get::<BodyLimit>().map_or(0, |l| l.0);
    let mut body = request.into_body();
    let too_large =
        || ApiError::new(ProblemCode::TooLarge, format!("The body must have at most {limit} bytes."));
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let mut collected = Vec::new();
    while let Some(data) = next_data(&mut body).await? {
        if collected.len() + data.len() > limit {
            return Err(too_large());
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected)
}

/// The next piece of a body.
pub async fn next_data(body: &mut Body) -> ApiResult<Option<axum::body::Bytes>> {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => {
                let detail = "The body ended too early or could not be read. Send it again.";
                return Err(ApiError::new(ProblemCode::BadRequest, detail).because(error));
            }
        }
    }
}

/// Reads JSON, naming the place of the first thing that is wrong.
///
/// # Errors
/// [`ProblemCode::BadRequest`] for what is not JSON (or nested too deep), else
/// [`ProblemCode::InvalidInput`].
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> ApiResult<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => invalid(&place, &inner.to_string()),
            _ => not_json(&inner),
        }
    })?;
    json.end().map_err(|e| not_json(&e))?;
    Ok(value)
}

fn not_json(error: &serde_json::Error) -> ApiError {
    // The parser's words hold a place and a reason, and nothing of the server's.
    ApiError::new(ProblemCode::BadRequest, format!("The body is not readable JSON: {error}."))
}

/// A refusal of one field, from what serde says about it.
fn invalid(place: &str, message: &str) -> ApiError {
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let (field, problem) = if message.starts_with("unknown field") {
        (last_or(place, quoted), FieldProblem::Unknown)
    } else if message.starts_with("missing field") {
        let field = if place == "." { quoted.to_owned() } else { format!("{place}.{quoted}") };
        (field, FieldProblem::Required)
    } else if let Some((_, allowed)) = message.split_once("expected one of ") {
        let allowed = allowed.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (place.to_owned(), FieldProblem::NotAnOption { allowed })
    } else {
        (place.to_owned(), expected_type(message))
    };
    let detail = format!("`{field}`: {}.", message.split(" at line ").next().unwrap_or_default());
    ApiError::new(ProblemCode::InvalidInput, detail).fields(vec![FieldError { field, problem }])
}

fn last_or(place: &str, name: &str) -> String {
    if place.ends_with(name) { place.to_owned() } else { name.to_owned() }
}

fn expected_type(message: &str) -> FieldProblem {
    let expected = message.split("expected ").nth(1).unwrap_or_default();
    let expected = expected.split(" at line ").next().unwrap_or_default();
    if expected.starts_with("a boolean") {
        FieldProblem::WrongType { expected: ExpectedType::Boolean }
    } else if expected.starts_with('f') {
        FieldProblem::WrongType { expected: ExpectedType::Number }
    } else if expected.starts_with(['i', 'u']) {
        FieldProblem::WrongType { expected: ExpectedType::Integer }
    } else {
        one_of(&[if expected.is_empty() { "a value of the documented form" } else { expected }])
    }
}

/// What a field takes, in words.
pub fn one_of(allowed: &[&str]) -> FieldProblem {
    FieldProblem::NotAnOption { allowed: allowed.iter().map(|&a| a.to_owned()).collect() }
}

/// A refusal of one field.
pub fn field_error(field: &str, problem: FieldProblem) -> ApiError {
    let detail = format!("`{field}` {problem}.");
    ApiError::new(ProblemCode::InvalidInput, detail)
        .fields(vec![FieldError { field: field.to_owned(), problem }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use vereda_domain::api::{Predict, SignIn};

    fn refused<T: DeserializeOwned + std::fmt::Debug>(text: &str) -> (ProblemCode, Vec<FieldError>) {
        let error = parse::<T>(text.as_bytes()).unwrap_err();
        let response = error.clone().into_document("x");
        assert!(response.status().is_client_error());
        (error.code(), error.field_errors().to_vec())
    }

    #[test]
    fn what_is_wrong_is_named() {
        let (code, fields) = refused::<SignIn>(r#"{"username":"a","password":"b","role":"admin"}"#);
        assert_eq!(code, ProblemCode::InvalidInput);
        assert_eq!(fields, [FieldError { field: "role".into(), problem: FieldProblem::Unknown }]);
        let (_, fields) = refused::<SignIn>(r#"{"username":"a"}"#);
        assert_eq!(fields, [FieldError { field: "password".into(), problem: FieldProblem::Required }]);
        let (_, fields) = refused::<SignIn>(r#"{"username":7,"password":"b"}"#);
        assert_eq!(fields[0].field, "username");
        let (_, fields) = refused::<SignIn>(r#"{"username":"a","password":"b","device":{"id":"x"}}"#);
        assert_eq!(fields[0].field, "device.id");
        let (_, fields) = refused::<Predict>(r#"{"features":{"age":[1]}}"#);
        assert_eq!(fields[0].field, "features.age");
    }

    #[test]
    fn what_is_not_json_or_too_deep_is_not_read() {
        assert_eq!(refused::<SignIn>("{").0, ProblemCode::BadRequest);
        assert_eq!(refused::<SignIn>("").0, ProblemCode::BadRequest);
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let (code, _) = refused::<Predict>(&format!(r#"{{"features":{{"a":{deep}}}}}"#));
        assert!(matches!(code, ProblemCode::BadRequest | ProblemCode::InvalidInput));
    }
}
