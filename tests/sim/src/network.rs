//! One device's way to the server: a proxy that understands requests, so that it can harm them whole.

use crate::time::Time;
use anyhow::Result;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::CONTENT_LENGTH;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

type Error = Box<dyn std::error::Error + Send + Sync>;
/// Where the server is now.
pub type Address = Arc<Mutex<SocketAddr>>;
type Body = BoxBody<Bytes, Error>;

/// How the network is for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// No signal.
    Down,
    /// Everything arrives.
    Fair,
    /// Anything may happen to a request.
    Foul,
    /// The same, and a request takes as long as it does at so many bits a second: time passes for
    /// everybody, and who has waited for too long gives up.
    Slow {
        /// Bits a second, each way.
        bits_per_s: u32,
    },
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Deliver,
    /// It never arrives.
    LoseRequest,
    /// It arrives; the answer does not.
    LoseAnswer,
    /// It arrives twice.
    Twice,
    /// It seems lost, and arrives later, out of order.
    Late,
    /// The answer ends in its middle.
    CutAnswer,
    /// A captive portal answers in the server's place.
    Portal,
    /// A gateway gives up.
    Gateway,
}

const FATES: [(Fate, u32); 8] = [
    (Fate::Deliver, 58),
    (Fate::LoseRequest, 8),
    (Fate::LoseAnswer, 10),
    (Fate::Twice, 8),
    (Fate::Late, 5),
    (Fate::CutAnswer, 6),
    (Fate::Portal, 2),
    (Fate::Gateway, 3),
];

/// There and back over a slow link, besides the time that the bytes take.
const ROUND_TRIP_MS: u64 = 800;
/// So long the app waits for a request to be sent and its answer to begin.
const GIVES_UP_MS: u64 = 5 * 60 * 1000;

/// The way of one device.
#[derive(Clone)]
pub struct Network(Arc<State>);

struct State {
    here: SocketAddr,
    server: Address,
    time: Time,
    weather: Mutex<Weather>,
    rng: Mutex<fastrand::Rng>,
    late: Mutex<Vec<Request<Full<Bytes>>>>,
    carried: AtomicU64,
    harmed: AtomicU64,
    slow: AtomicU64,
    passed: Notify,
    /// Ends with [`Network::close`]: a campaign makes thousands of these.
    accepting: OnceLock<AbortHandle>,
    client: Client<HttpConnector, Full<Bytes>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Network {
    /// A way to this server, with fates by this seed.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn to(server: Address, time: &Time, seed: u64) -> Result<Network> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let state = Arc::new(State {
            here: listener.local_addr()?,
            server,
            time: time.clone(),
            weather: Mutex::new(Weather::Fair),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            late: Mutex::default(),
            carried: AtomicU64::new(0),
            harmed: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            passed: Notify::new(),
            accepting: OnceLock::new(),
            client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector),
        });
        let accepting = tokio::spawn(accept(listener, state.clone())).abort_handle();
        state.accepting.get_or_init(|| accepting);
        Ok(Network(state))
    }

    /// What the device takes for the server's address.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.here)
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        *lock(&self.0.weather) = weather;
    }

    /// How many requests set out, and how many of them came to harm.
    pub fn counts(&self) -> (u64, u64) {
        (self.0.carried.load(Ordering::SeqCst), self.0.harmed.load(Ordering::SeqCst))
    }

    /// How many requests went over a slow link.
    pub fn slow(&self) -> u64 {
        self.0.slow.load(Ordering::SeqCst)
    }

    /// Waits until so many more requests have set out.
    pub async fn after(&self, requests: u64) {
        let goal = self.counts().0 + requests;
        loop {
            let passed = self.0.passed.notified();
            if self.counts().0 >= goal {
                return;
            }
            passed.await;
        }
    }

    /// Delivers what was held back, in any order; the answers reach nobody.
    pub async fn deliver_late(&self) {
        let mut late = std::mem::take(&mut *lock(&self.0.late));
        lock(&self.0.rng).shuffle(&mut late);
        for request in late {
            // The server may be away; then it is lost for good.
            let _ = self.0.forward(request).await;
        }
    }

    /// Takes no more connections.
    pub fn close(&self) {
        if let Some(accepting) = self.0.accepting.get() {
            accepting.abort();
        }
        self.0.passed.notify_waiters();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(|request| state.clone().carry(request));
            // One request each: every one finds its own fate.
            let _ = hyper::server::conn::http1::Builder::new()
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl State {
    /// An error closes the connection without an answer.
    async fn carry(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Error> {
        let weather = *lock(&self.weather);
        if weather == Weather::Down {
            return Err("no signal".into());
        }
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await?.to_bytes();
        let again = || {
            let mut copy = Request::new(Full::new(bytes.clone()));
            *copy.method_mut() = parts.method.clone();
            *copy.uri_mut() = parts.uri.clone();
            *copy.headers_mut() = parts.headers.clone();
            copy
        };
        let fate = if weather == Weather::Fair { Fate::Deliver } else { self.draw() };
        self.carried.fetch_add(1, Ordering::SeqCst);
        self.harmed.fetch_add(u64::from(fate != Fate::Deliver), Ordering::SeqCst);
        self.passed.notify_waiters();
        if let Weather::Slow { bits_per_s } = weather {
            self.slow.fetch_add(1, Ordering::SeqCst);
            let sending = self.pass(bytes.len(), bits_per_s);
            if sending > GIVES_UP_MS {
                self.harmed.fetch_add(1, Ordering::SeqCst);
                return Err("the device has given up".into());
            }
        }
        match fate {
            Fate::Deliver => Ok(whole(self.forward(again()).await?)),
            Fate::LoseRequest => Err("the request was lost".into()),
            Fate::LoseAnswer => {
                self.forward(again()).await?;
                Err("the answer was lost".into())
            }
            Fate::Twice => {
                self.forward(again()).await?;
                Ok(whole(self.forward(again()).await?))
            }
            Fate::Late => {
                lock(&self.late).push(again());
                Err("the request is late".into())
            }
            Fate::CutAnswer => {
                let answer = self.forward(again()).await?;
                let kept = lock(&self.rng).usize(0..=answer.body().len().saturating_sub(1));
                Ok(cut(answer, kept))
            }
            Fate::Portal => Ok(stranger(StatusCode::OK, "<html><h1>Welcome! Accept our terms.</h1></html>")),
            Fate::Gateway => Ok(stranger(StatusCode::BAD_GATEWAY, "<html><h1>502 Bad Gateway</h1></html>")),
        }
    }

    /// So many bytes, with headers, go over a slow link. Gives how long that took, in milliseconds.
    fn pass(&self, bytes: usize, bits_per_s: u32) -> u64 {
        const HEADERS: u64 = 1000;
        let bits = (bytes as u64 + HEADERS) * 8;
        let took = ROUND_TRIP_MS / 2 + bits * 1000 / u64::from(bits_per_s.max(1));
        self.time.pass(i64::try_from(took).unwrap_or(i64::MAX));
        took
    }

    fn draw(&self) -> Fate {
        let mut left = lock(&self.rng).u32(0..FATES.iter().map(|(_, weight)| weight).sum());
        for (fate, weight) in FATES {
            if left < weight {
                return fate;
            }
            left -= weight;
        }
        Fate::Deliver
    }

    async fn forward(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Error> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        *request.uri_mut() = format!("http://{}{path}", *lock(&self.server)).parse()?;
        let (parts, body) = self.client.request(request).await?.into_parts();
        let answer = Response::from_parts(parts, body.collect().await?.to_bytes());
        let weather = *lock(&self.weather);
        if let Weather::Slow { bits_per_s } = weather {
            self.pass(answer.body().len(), bits_per_s);
        }
        Ok(answer)
    }
}

fn whole(answer: Response<Bytes>) -> Response<Body> {
    answer.map(|bytes| Full::new(bytes).map_err(|never| match never {}).boxed())
}

/// The length is announced as it was; the connection ends before.
fn cut(answer: Response<Bytes>, kept: usize) -> Response<Body> {
    let (mut parts, bytes) = answer.into_parts();
    parts.headers.insert(CONTENT_LENGTH, bytes.len().into());
    let piece = Frame::data(bytes.slice(..kept.min(bytes.len())));
    let frames = [Ok(piece), Err(Error::from("cut"))];
    let body = StreamBody::new(Frames(frames.into_iter().collect()));
    Response::from_parts(parts, BodyExt::boxed(body))
}

/// A stream of frames that are there already.
struct Frames(std::collections::VecDeque<Result<Frame<Bytes>, Error>>);

impl futures_core::Stream for Frames {
    type Item = Result<Frame<Bytes>, Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

fn stranger(status: StatusCode, page: &'static str) -> Response<Body> {
    let body = Full::new(Bytes::from_static(page.as_bytes())).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
