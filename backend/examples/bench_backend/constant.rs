//! What HTTP alone costs on this machine: a server of the same libraries that answers each request with the
//! same bytes, as many as a score has. Nobody who is asked by the same wrk on the same cores can be faster.

use crate::Failure;
use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::post;
use tokio::net::TcpListener;

/// The variable that makes this program such a server, with the address to listen on.
pub const LISTEN: &str = "BENCH_CONSTANT";
/// About what a PD with its group and reasons in two languages takes, in bytes.
const BYTES: usize = 1100;

/// Answers until it is stopped.
pub async fn serve(listen: &str) -> Result<(), Failure> {
    let text = Bytes::from(format!("{{\"text\":\"{}\"}}", "x".repeat(BYTES)));
    let answer = async move |_body: Bytes| ([(header::CONTENT_TYPE, "application/json")], text);
    let router = Router::new().route("/api/predict", post(answer));
    Ok(axum::serve(TcpListener::bind(listen).await?, router).await?)
}
