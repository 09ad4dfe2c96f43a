//! Everything that can be set, in one place: defaults, then a TOML file, then the environment.
//!
//! The environment's name of a setting is `VEREDA_` and its path in upper case, joined by `_`:
//! `sign_in.free_attempts` is `VEREDA_SIGN_IN_FREE_ATTEMPTS`; a list has commas. Nothing outside this module reads the
//! environment.

mod edge;
mod traces;

pub use edge::{AccountRates, AddressRates, Cors, Network, Rates, Tls};
pub use traces::Traces;

use crate::error::ServerError;
use crate::identity::passwords::PasswordCost;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The server's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the API listens. Anything but loopback needs `tls` or `trusted_proxies`.
    pub listen: SocketAddr,
    /// Where metrics and health listen; never for the outside.
    pub metrics_listen: SocketAddr,
    /// The folder of the keys, and of the embedded database. Servers that share a PostgreSQL need
    /// the same keys.
    pub data_dir: PathBuf,
    /// Who is believed about whose request it passes on (X-Forwarded-For, X-Forwarded-Proto), and may
    /// speak plain HTTP from another machine.
    pub trusted_proxies: Vec<Network>,
    /// The certificate of HTTPS.
    pub tls: Tls,
    /// What is logged.
    pub log: Log,
    /// Access and refresh tokens.
    pub tokens: Tokens,
    /// Wrong passwords.
    pub sign_in: SignInLimits,
    /// What a request may take.
    pub limits: Limits,
    /// How many requests are answered.
    pub rates: Rates,
    /// Pages of other origins.
    pub cors: Cors,
    /// Where everything is kept.
    pub database: Database,
    /// What replicas have in common.
    pub redis: Redis,
    /// Scores that are remembered.
    pub predictions: Predictions,
    /// What is told to a collector of traces.
    pub traces: Traces,
    /// How much work a guess at a password is; set by code alone.
    #[serde(skip)]
    pub password_cost: PasswordCost,
}

/// What replicas have in common for a while. See [`crate::commons`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// `redis://host:6379` or `rediss://user:password@host:6379`; empty for memory. Better given by the
    /// environment than by the file: it is a secret.
    pub url: String,
    /// What every key begins with, for a Redis that others use, too.
    pub prefix: String,
    /// How long Redis may take to answer before it counts as lost, in milliseconds.
    pub timeout_ms: u64,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("given", &!self.url.is_empty()).finish_non_exhaustive()
    }
}

/// Scores that are remembered. See [`crate::predictions`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Predictions {
    /// For how long, in seconds; 0 for not at all.
    pub lifetime_s: u64,
    /// How many at most, in the memory of one server.
    pub entries: u64,
}

/// Where everything is kept.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `postgresql://user:password@host/name?sslmode=require`; empty for the SQLite in
    /// [`Config::data_dir`]. Better given by the environment than by the file: it is a secret.
    pub url: String,
    /// The most connections to PostgreSQL.
    pub connections: usize,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.url.is_empty() { "SQLite" } else { "PostgreSQL" };
        f.debug_struct("Database").field("kind", &kind).field("connections", &self.connections).finish()
    }
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How it is written.
    pub format: LogFormat,
    /// As `tracing`'s env-filter has it, such as `info` or `info,vereda_server=debug`.
    pub filter: String,
}

/// How the log is written, to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For a developer's terminal.
    Text,
}

/// Access and refresh tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// Life of an access token in seconds, 60 to 900.
    pub access_s: u64,
    /// Life of an unused refresh token in seconds.
    pub refresh_s: u64,
    /// How long a used refresh token may be presented again by the device that lost the answer.
    pub refresh_grace_s: u64,
}

/// Wrong passwords.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignInLimits {
    /// Wrong passwords for one name from one address before the first delay.
    pub free_attempts: u32,
    /// Wrong passwords from one address, whatever the names, before the first delay.
    pub free_attempts_per_address: u32,
    /// The first delay in seconds; it doubles with every further wrong password.
    pub first_delay_s: u64,
    /// The longest delay in seconds.
    pub max_delay_s: u64,
}

/// What a request may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections to the API that are open at the same time; further ones wait to be taken.
    pub connections: usize,
    /// The largest body of an ordinary request, in bytes.
    pub body_bytes: usize,
    /// The largest model bundle, in bytes.
    pub bundle_bytes: usize,
    /// How long a client may take to send its headers, or stay silent between requests, in
    /// milliseconds.
    pub header_timeout_ms: u64,
    /// How long a request may take in all, its body included, in milliseconds.
    pub request_timeout_ms: u64,
    /// How long requests in flight get at a shutdown, in milliseconds.
    pub drain_ms: u64,
    /// Connections that read the database at the same time.
    pub readers: usize,
    /// Batches and exports that may run at the same time.
    pub streams: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 8787)),
            metrics_listen: SocketAddr::from(([127, 0, 0, 1], 8788)),
            data_dir: PathBuf::from("vereda-data"),
            trusted_proxies: Vec::new(),
            tls: Tls::default(),
            log: Log::default(),
            tokens: Tokens::default(),
            sign_in: SignInLimits::default(),
            limits: Limits::default(),
            rates: Rates::default(),
            cors: Cors::default(),
            database: Database::default(),
            redis: Redis::default(),
            predictions: Predictions::default(),
            traces: Traces::default(),
            password_cost: PasswordCost::default(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Database { url: String::new(), connections: 16 }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Redis { url: String::new(), prefix: "vereda:".into(), timeout_ms: 250 }
    }
}

impl Default for Predictions {
    fn default() -> Self {
        Predictions { lifetime_s: 3600, entries: 10_000 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { format: LogFormat::Json, filter: "info".into() }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Tokens {
            issuer: "vereda-server".into(),
            audience: "vereda-api".into(),
            access_s: 600,
            refresh_s: 30 * 24 * 3600,
            refresh_grace_s: 300,
        }
    }
}

impl Default for SignInLimits {
    fn default() -> Self {
        SignInLimits { free_attempts: 4, free_attempts_per_address: 60, first_delay_s: 2, max_delay_s: 900 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 10_000,
            body_bytes: 256 * 1024,
            bundle_bytes: 32 * 1024 * 1024,
            header_timeout_ms: 15_000,
            request_timeout_ms: 60_000,
            drain_ms: 20_000,
            readers: 4,
            streams: 8,
        }
    }
}

impl Limits {
    /// [`Limits::header_timeout_ms`].
    pub fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    /// [`Limits::request_timeout_ms`].
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

impl Config {
    /// Reads the file, if any, and the environment of this process.
    ///
    /// # Errors
    /// [`ServerError::File`] and [`ServerError::Config`].
    pub fn load(file: Option<&Path>) -> Result<Config, ServerError> {
        let text = match file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|source| ServerError::File {
                doing: "read the configuration",
                path: path.to_owned(),
                source,
            })?,
        };
        Config::from_parts(&text, &std::env::vars().collect())
    }

    /// Settings from the text of a file and from an environment.
    ///
    /// # Errors
    /// [`ServerError::Config`].
    pub fn from_parts(file: &str, environment: &BTreeMap<String, String>) -> Result<Config, ServerError> {
        let wrong =
            |e: &dyn std::fmt::Display| ServerError::Config { what: e.to_string().trim().replace('\n', " ") };
        let mut given: toml::Table = file.parse().map_err(|e: toml::de::Error| wrong(&e))?;
        let known = toml::Table::try_from(Config::default()).map_err(|e| wrong(&e))?;
        override_from(&mut given, &known, "VEREDA", environment)?;
        let config: Config = given.try_into().map_err(|e: toml::de::Error| wrong(&e))?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// [`ServerError::Config`] naming the setting and what is allowed.
    pub fn check(&self) -> Result<(), ServerError> {
        let refuse = |what: &str| Err(ServerError::Config { what: what.to_owned() });
        self.tls.check().or_else(refuse)?;
        self.traces.check().or_else(refuse)?;
        if !self.listen.ip().is_loopback() && !self.tls.is_on() && self.trusted_proxies.is_empty() {
            return refuse(
                "`listen` is not a loopback address: passwords would cross the network in the clear; set \
                 `tls.certificate` and `tls.key`, or put a proxy that ends TLS in front and name its address \
                 in `trusted_proxies`",
            );
        }
        self.rates.check().or_else(refuse)?;
        self.cors.check().or_else(|what| refuse(&what))?;
        if !(60..=900).contains(&self.tokens.access_s) {
            return refuse("`tokens.access_s` must be from 60 to 900");
        }
        if self.tokens.refresh_s < self.tokens.access_s {
            return refuse("`tokens.refresh_s` must not be below `tokens.access_s`");
        }
        if self.tokens.refresh_grace_s > 3600 {
            return refuse("`tokens.refresh_grace_s` must be at most 3600");
        }
        if self.tokens.issuer.is_empty() || self.tokens.audience.is_empty() {
            return refuse("`tokens.issuer` and `tokens.audience` must not be empty");
        }
        if self.sign_in.first_delay_s == 0 || self.sign_in.max_delay_s < self.sign_in.first_delay_s {
            return refuse("`sign_in.first_delay_s` must be at least 1 and at most `sign_in.max_delay_s`");
        }
        if !self.database.url.is_empty() && !self.database.url.starts_with("postgres") {
            return refuse("`database.url` must be empty (SQLite) or begin with postgresql://");
        }
        if self.database.connections == 0 {
            return refuse("`database.connections` must not be 0");
        }
        if !self.redis.url.is_empty() && !self.redis.url.starts_with("redis") {
            return refuse("`redis.url` must be empty (memory) or begin with redis:// or rediss://");
        }
        if self.redis.timeout_ms == 0 || self.limits.streams == 0 {
            return refuse("`redis.timeout_ms` and `limits.streams` must not be 0");
        }
        if self.limits.readers == 0
            || self.limits.connections == 0
            || self.limits.header_timeout_ms == 0
            || self.limits.request_timeout_ms == 0
        {
            return refuse("`limits.readers`, `limits.connections` and the timeouts must not be 0");
        }
        Ok(())
    }
}

/// Puts what the environment says into `given`, for every setting in `known`.
fn override_from(
    given: &mut toml::Table,
    known: &toml::Table,
    prefix: &str,
    environment: &BTreeMap<String, String>,
) -> Result<(), ServerError> {
    for (key, default) in known {
        let name = format!("{prefix}_{}", key.to_uppercase());
        if let toml::Value::Table(inner) = default {
            let entry = given.entry(key.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let toml::Value::Table(table) = entry {
                override_from(table, inner, &name, environment)?;
            }
        } else if let Some(text) = environment.get(&name) {
            let unreadable = |expected: &str| ServerError::Config {
                what: format!("{name} must be {expected}, not {text:?}"),
            };
            let value = match default {
                toml::Value::Integer(_) => {
                    toml::Value::Integer(text.parse().map_err(|_| unreadable("a whole number"))?)
                }
                toml::Value::Boolean(_) => {
                    toml::Value::Boolean(text.parse().map_err(|_| unreadable("true or false"))?)
                }
                toml::Value::Array(_) => {
                    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                    toml::Value::Array(parts.map(|part| toml::Value::String(part.to_owned())).collect())
                }
                _ => toml::Value::String(text.clone()),
            };
            given.insert(key.clone(), value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../vereda-server.example.toml");

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_example_says_the_defaults_and_names_every_setting() {
        assert_eq!(Config::from_parts(EXAMPLE, &env(&[])).unwrap(), Config::default());
        let example: toml::Table = EXAMPLE.parse().unwrap();
        let all = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(example, all, "the example file must name every setting");
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let config = Config::from_parts(
            "[tokens]\naccess_s = 300\n",
            &env(&[
                ("VEREDA_TOKENS_ACCESS_S", "120"),
                ("VEREDA_DATA_DIR", "elsewhere"),
                ("VEREDA_OTHER", "x"),
            ]),
        )
        .unwrap();
        assert_eq!(config.tokens.access_s, 120);
        assert_eq!(config.data_dir, PathBuf::from("elsewhere"));
    }

    #[test]
    fn lists_come_from_the_environment_too() {
        let proxies =
            [("VEREDA_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7,fd00::/8"), ("VEREDA_LISTEN", "0.0.0.0:1")];
        let config = Config::from_parts("", &env(&proxies)).unwrap();
        let named: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(named, ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"]);
        assert!(config.trusted_proxies[0].contains("10.9.8.7".parse().unwrap()));
        assert!(!config.trusted_proxies[1].contains("192.0.2.8".parse().unwrap()));
        let config = Config::from_parts("trusted_proxies = []", &env(&[])).unwrap();
        assert_eq!(config, Config::default());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let refused =
            |file: &str, vars: &[(&str, &str)]| Config::from_parts(file, &env(vars)).unwrap_err().to_string();
        assert!(refused("lissten = \"127.0.0.1:1\"", &[]).contains("lissten"));
        assert!(refused("listen = \"0.0.0.0:8787\"", &[]).contains("trusted_proxies"));
        assert!(refused("[tokens]\naccess_s = 86400", &[]).contains("access_s"));
        assert!(refused("[rates]\nwindow_s = 0", &[]).contains("rates.window_s"));
        assert!(refused("", &[("VEREDA_RATES_ACCOUNT_READ", "many")]).contains("VEREDA_RATES_ACCOUNT_READ"));
        assert!(refused("", &[("VEREDA_TRUSTED_PROXIES", "10.0.0.0/8, a-proxy")]).contains("a-proxy"));
        assert!(refused("[tls]\nkey = \"key.pem\"", &[]).contains("tls.certificate"));
        assert!(refused("[traces]\ncollector = \"127.0.0.1:4318\"", &[]).contains("traces.collector"));
        assert!(refused("", &[("VEREDA_TRACES_SHARE", "1.5")]).contains("traces.share"));
        for origin in ["*", "null", "console.example", "https://console.example/", "https://", "https://a b"]
        {
            let file = format!("[cors]\norigins = [{origin:?}]");
            assert!(refused(&file, &[]).contains("cors.origins"), "{origin}");
        }
        assert!(refused("", &[("VEREDA_LOG_FORMAT", "xml")]).contains("xml"));
    }
}
