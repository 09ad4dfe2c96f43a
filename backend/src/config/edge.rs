//! Settings of the edge: certificates, proxies, rates, and pages of other origins.

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The certificate of HTTPS. See [`crate::tls`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// A PEM file: the server's certificate, and those between it and the root. Empty for plain HTTP.
    pub certificate: PathBuf,
    /// A PEM file: the private key of the certificate.
    pub key: PathBuf,
}

impl Tls {
    /// Whether the server speaks HTTPS itself.
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }

    /// What is wrong, if anything is.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.is_on() == self.key.as_os_str().is_empty() {
            return Err("`tls.certificate` and `tls.key` must both be given, or neither");
        }
        Ok(())
    }
}

/// An address, or a network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Whether an address, in its canonical form, is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let alone = text.parse().map(|address: IpAddr| IpNet::from(address.to_canonical()));
        alone.or_else(|_| text.parse()).map(Network).map_err(|_| {
            format!("{text:?} must be an address or a network, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8")
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Network, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How many requests are answered. See [`crate::rates`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// In how many seconds an allowance that was used up is whole again.
    pub window_s: u64,
    /// For one user or system, wherever from.
    pub account: AccountRates,
    /// For one address (with IPv6, one /64), whoever calls from there.
    pub address: AddressRates,
}

/// Requests in [`Rates::window_s`] of one account, by class of route; 0 for any number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountRates {
    /// What reads.
    pub read: u32,
    /// What changes something.
    pub write: u32,
    /// What asks for scores.
    pub score: u32,
    /// What devices do.
    pub sync: u32,
}

/// Requests in [`Rates::window_s`] from one address, by class of route; 0 for any number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddressRates {
    /// What anybody may read.
    pub public: u32,
    /// Names with passwords.
    pub sign_in: u32,
    /// Refresh and sign-out.
    pub session: u32,
    /// What reads.
    pub read: u32,
    /// What changes something.
    pub write: u32,
    /// What asks for scores.
    pub score: u32,
    /// What devices do.
    pub sync: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Rates { window_s: 60, account: AccountRates::default(), address: AddressRates::default() }
    }
}

// A device that catches up sends some hundred requests in a minute. A branch may have 2,000 of them
// behind one address, which all come at once when its network is back.

impl Default for AccountRates {
    fn default() -> Self {
        AccountRates { read: 12_000, write: 6_000, score: 600_000, sync: 12_000 }
    }
}

impl Default for AddressRates {
    fn default() -> Self {
        AddressRates {
            public: 60_000,
            sign_in: 6_000,
            session: 12_000,
            read: 120_000,
            write: 30_000,
            score: 600_000,
            sync: 600_000,
        }
    }
}

impl Rates {
    /// The most requests in a window; so many that time is counted in whole microseconds.
    const MOST: u32 = 1_000_000;

    /// What is wrong, if anything is.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let (of, at) = (&self.account, &self.address);
        let all = [of.read, of.write, of.score, of.sync, at.public, at.sign_in, at.session, at.read];
        if all.iter().chain(&[at.write, at.score, at.sync]).any(|&rate| rate > Rates::MOST) {
            return Err(
                "`rates.account` and `rates.address` must be at most 1000000 each, or 0 for any number",
            );
        }
        if !(1..=86_400).contains(&self.window_s) {
            return Err("`rates.window_s` must be from 1 to 86400");
        }
        Ok(())
    }
}

/// Pages of other origins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Origins whose pages may call the API, such as `https://console.example`; none by default.
    pub origins: Vec<String>,
}

impl Cors {
    /// What is wrong, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        let plain = |origin: &&String| !is_origin(origin);
        match self.origins.iter().find(plain) {
            None => Ok(()),
            Some(wrong) => Err(format!(
                "`cors.origins` has {wrong:?}; each must be a scheme, a host and perhaps a port, as browsers \
                 send it: \"https://console.example\""
            )),
        }
    }
}

fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b);
        !host.is_empty() && host.bytes().all(plain)
    })
}
