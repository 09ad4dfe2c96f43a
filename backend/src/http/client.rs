//! Where a request comes from: the one place that says so, for the sign-in's delays, the rates and the log.
//!
//! Whoever connects is the client, unless it is a proxy that the configuration trusts. X-Forwarded-For is
//! then read from its end, where the proxy nearest to this server wrote, past every address that is trusted,
//! too; the first that is not is the client. What stands before it may be anybody's invention.

use super::App;
use super::problem::{ApiError, ApiResult};
use crate::config::Network;
use crate::listener::Peer;
use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum_server::tls::TlsInfo;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use vereda_domain::api::ProblemCode;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The client's address, in its canonical form.
    pub address: IpAddr,
    /// Whether it came by HTTPS: to this server, or to a trusted proxy, as that one says.
    pub secure: bool,
    /// Whether it came in the clear from another machine that is no trusted proxy.
    exposed: bool,
}

impl Client {
    fn new(peer: IpAddr, tls: bool, headers: &HeaderMap, trusted: &[Network]) -> Client {
        let peer = peer.to_canonical();
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        let mut client = Client { address: peer, secure: tls, exposed: false };
        if !is_trusted(peer) {
            client.exposed = !tls && !peer.is_loopback();
            return client;
        }
        for hop in entries(headers, &FORWARDED_FOR) {
            match address_of(hop) {
                Some(address) => client.address = address,
                // A proxy that hides whom it speaks for: it is the nearest that is known.
                None => break,
            }
            if !is_trusted(client.address) {
                break;
            }
        }
        client.secure |=
            entries(headers, &FORWARDED_PROTO).next().is_some_and(|p| p.eq_ignore_ascii_case("https"));
        client
    }

    /// Of a request that [`locate`] has seen.
    pub fn of(extensions: &axum::http::Extensions) -> Client {
        let nobody = Client { address: Ipv4Addr::UNSPECIFIED.into(), secure: false, exposed: false };
        extensions.get::<Client>().copied().unwrap_or(nobody)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Client::of(&parts.extensions))
    }
}

/// The entries of a list that proxies add to, last first. A header that cannot be read ends it.
fn entries<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let lists: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect();
    lists.into_iter().rev().flat_map(|list| list.rsplit(',')).map(str::trim)
}

/// An address as proxies write it: some add the port, some put brackets around IPv6.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address =
        bare.parse().ok().or_else(|| text.parse().ok().map(|with_port: SocketAddr| with_port.ip()))?;
    Some(address.to_canonical())
}

/// Says of a request where it comes from, to whoever asks [`Client::of`].
pub fn locate(app: &App, request: &mut Request) -> Client {
    let extensions = request.extensions();
    let peer = extensions.get::<ConnectInfo<Peer>>().map(|info| info.0.0.ip());
    let tls = extensions.get::<Arc<TlsInfo>>().is_some();
    let client = match peer {
        Some(peer) => Client::new(peer, tls, request.headers(), &app.config.trusted_proxies),
        None => Client::of(extensions),
    };
    request.extensions_mut().insert(client);
    client
}

impl Client {
    /// Takes nothing in the clear from another machine, unless it is a trusted proxy; whether the server is
    /// well may be asked by anybody.
    pub fn may_ask(&self, path: &str) -> ApiResult<()> {
        if self.exposed && !matches!(path, "/healthz" | "/readyz") {
            let detail = "Plain HTTP is for the proxies that this server knows: use its https:// address.";
            return Err(ApiError::new(ProblemCode::Forbidden, detail));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> Client {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        Client::new(peer.parse().unwrap(), false, &headers, &trusted)
    }

    #[test]
    fn the_last_address_that_is_not_trusted_is_the_client() {
        let proxies = &["10.0.0.0/8", "fd00::/8"][..];
        for (peer, forwarded, expected) in [
            // Nobody is trusted.
            ("198.51.100.7", &["203.0.113.9"][..], "198.51.100.7"),
            // One proxy, and a caller who invents others.
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["192.0.2.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["192.0.2.1", "203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["10.0.0.9, 192.0.2.1,203.0.113.9"], "203.0.113.9"),
            // Two proxies, and then only proxies.
            ("10.0.0.1", &["192.0.2.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["192.0.2.1, 203.0.113.9", "10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[], "10.0.0.1"),
            // What proxies write beside an address, and what is none.
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["192.0.2.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, _hidden, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            // The same address in another guise.
            ("::ffff:10.0.0.1", &["203.0.113.9, ::ffff:10.0.0.2"], "203.0.113.9"),
            ("::ffff:198.51.100.7", &["203.0.113.9"], "198.51.100.7"),
            ("fd00::1", &["2001:db8::1"], "2001:db8::1"),
        ] {
            assert_eq!(
                client(peer, forwarded, proxies).address.to_string(),
                expected,
                "{peer} {forwarded:?}"
            );
        }
        assert_eq!(client("10.0.0.1", &["203.0.113.9"], &[]).address.to_string(), "10.0.0.1");
    }

    #[test]
    fn who_speaks_in_the_clear_is_known() {
        assert!(client("198.51.100.7", &[], &["10.0.0.1"]).exposed);
        assert!(client("10.0.0.2", &["10.0.0.1"], &["10.0.0.1"]).exposed, "a neighbour of the proxy");
        assert!(!client("10.0.0.1", &["198.51.100.7"], &["10.0.0.1"]).exposed);
        assert!(!client("127.0.0.1", &[], &[]).exposed && !client("::1", &[], &[]).exposed);
        let direct = Client::new("198.51.100.7".parse().unwrap(), true, &HeaderMap::new(), &[]);
        assert!(direct.secure && !direct.exposed);
    }

    #[test]
    fn only_a_trusted_proxy_says_that_it_was_https() {
        let with = |peer: &str, proto: &'static str| {
            let headers =
                HeaderMap::from_iter([(FORWARDED_PROTO, axum::http::HeaderValue::from_static(proto))]);
            Client::new(peer.parse().unwrap(), false, &headers, &["10.0.0.1".parse().unwrap()]).secure
        };
        assert!(with("10.0.0.1", "https") && with("10.0.0.1", "http, HTTPS"));
        assert!(!with("10.0.0.1", "http") && !with("10.0.0.1", "https, http"));
        assert!(!with("10.0.0.2", "https") && !with("127.0.0.1", "https"));
    }
}
