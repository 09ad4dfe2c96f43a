//! The description of the API as a page, which loads nothing from elsewhere.

use super::problem::{ApiError, ApiResult};
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// What the page may do: load what this server has, and call it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files that the page loads.
pub const FILES: &[&str] = &["start.js", "swagger-ui.js", "swagger-ui.css"];

/// `GET /api/docs`.
pub async fn page() -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, include_str!("docs/page.html"))
}

/// `GET /api/docs/{file}`. Swagger UI is kept and sent packed: every browser unpacks it.
pub async fn file(Path(name): Path<String>) -> ApiResult<Response> {
    let (media, packed, bytes): (_, _, &'static [u8]) = match name.as_str() {
        "start.js" => ("text/javascript", false, include_bytes!("docs/start.js")),
        "swagger-ui.js" => ("text/javascript", true, include_bytes!("docs/swagger-ui.js.gz")),
        "swagger-ui.css" => ("text/css", true, include_bytes!("docs/swagger-ui.css.gz")),
        _ => return Err(ApiError::not_found()),
    };
    // Asked for again after an update, but not sent again within a visit.
    let headers = [(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, "public, max-age=3600")];
    let mut response = (headers, bytes).into_response();
    if packed {
        response.headers_mut().insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
