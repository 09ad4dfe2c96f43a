//! Bodies that nobody reads to their end: a sender gets to read why.
//!
//! A server that answers early and closes a connection on which bytes still wait makes the kernel reset
//! it, and a reset throws away the answer on the other side, too. So what is left of a body is read and
//! thrown away within bounds, whoever lets go of it and wherever: the one place for what nginx calls
//! `lingering_close`.

use super::body::next_data;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How much is thrown away at most.
const DRAIN_BYTES: u64 = 64 * 1024 * 1024;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Lets the request's body linger.
pub fn linger(request: Request) -> Request {
    // Whoever waits for `100 Continue` has sent nothing that would have to be read.
    if request.headers().contains_key(header::EXPECT) {
        return request;
    }
    request.map(|body| if body.is_end_stream() { body } else { Body::new(Lingering(Some(body))) })
}

/// A body; empty once it has ended.
struct Lingering(Option<Body>);

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let left =
            self.0.take().filter(|body| !body.is_end_stream() && body.size_hint().lower() <= DRAIN_BYTES);
        if let (Some(body), Ok(runtime)) = (left, tokio::runtime::Handle::try_current()) {
            runtime.spawn(drain(body));
        }
    }
}

async fn drain(mut body: Body) {
    let reading = async {
        let mut read = 0;
        while let Ok(Some(data)) = next_data(&mut body).await {
            read += u64::try_from(data.len()).unwrap_or(u64::MAX);
            if read > DRAIN_BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
}
