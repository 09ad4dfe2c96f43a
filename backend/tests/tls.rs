//! HTTPS: certificates that are replaced while the server runs, and those that cannot be used.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client, tls};
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use vereda_server::{Config, Running, ServerError};

/// An authority and the files of what it certifies.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn certify(&self) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A client that believes nobody else.
    fn client(&self, min: tls::Version, max: tls::Version) -> Client {
        let root = Certificate::from_pem(self.0.pem().as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([root]).tls_version_min(min).tls_version_max(max);
        client.build().unwrap()
    }

    /// One that opens a connection for every request.
    async fn reaches(&self, url: &str) -> bool {
        let client = self.client(tls::Version::TLS_1_2, tls::Version::TLS_1_3);
        client.get(url).send().await.is_ok_and(|response| response.status() == 200)
    }
}

struct Served {
    running: Running,
    certificate: PathBuf,
    key: PathBuf,
    _dir: TempDir,
}

impl Served {
    async fn with(pair: &Pair) -> Served {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("certificate.pem"), dir.path().join("key.pem"));
        std::fs::write(&certificate, &pair.certificate).unwrap();
        std::fs::write(&key, &pair.key).unwrap();
        let mut config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            metrics_listen: "127.0.0.1:0".parse().unwrap(),
            data_dir: dir.path().join("data"),
            ..Config::default()
        };
        (config.tls.certificate, config.tls.key) = (certificate.clone(), key.clone());
        let running = vereda_server::start(config).await.unwrap();
        Served { running, certificate, key, _dir: dir }
    }

    fn url(&self) -> String {
        format!("{}/api/server", self.running.api_url())
    }

    fn replace(&self, certificate: &str, key: &str) {
        std::fs::write(&self.certificate, certificate).unwrap();
        std::fs::write(&self.key, key).unwrap();
    }

    async fn says(&self, line: &str) -> bool {
        let metrics = reqwest::get(format!("{}/metrics", self.running.metrics_url())).await.unwrap();
        metrics.text().await.unwrap().lines().any(|is| is == line)
    }
}

async fn until<F: Future<Output = bool>>(what: &str, check: impl Fn() -> F) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !check().await {
        assert!(Instant::now() < patience, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_while_connections_run() {
    let (old, new) = (Authority::new(), Authority::new());
    let served = Served::with(&old.certify()).await;
    assert!(served.url().starts_with("https://"));
    let stays = old.client(tls::Version::TLS_1_3, tls::Version::TLS_1_3);
    let response = stays.get(served.url()).send().await.unwrap();
    assert_eq!(response.headers()["strict-transport-security"], "max-age=31536000; includeSubDomains");
    let first = response.remote_addr();
    response.bytes().await.unwrap();
    assert!(!new.reaches(&served.url()).await);
    let pair = new.certify();
    served.replace(&pair.certificate, &pair.key);
    // By itself, within seconds.
    until("the new certificate is not taken", || async { new.reaches(&served.url()).await }).await;
    assert!(!old.reaches(&served.url()).await, "new connections get the new one alone");
    // The connection that was open goes on: a new one would not be believed.
    let response = stays.get(served.url()).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.remote_addr()), (200, first));
    assert!(served.says("vereda_tls_current 1").await);
}

#[tokio::test]
async fn files_that_cannot_be_used_change_nothing_and_are_told_of() {
    let authority = Authority::new();
    let good = authority.certify();
    let served = Served::with(&good).await;
    assert!(served.says("vereda_tls_current 1").await);
    let other = authority.certify();
    let cut = &other.certificate[..other.certificate.len() / 2];
    let broken = [
        // Not PEM, cut off, no certificate at all, no key, and two that do not belong together.
        ("what is this", other.key.as_str()),
        (cut, &other.key),
        ("", &other.key),
        (&other.certificate, ""),
        (&other.certificate, &good.key),
    ];
    for (n, (certificate, key)) in broken.into_iter().enumerate() {
        served.replace(certificate, key);
        // Between the two writes it may have looked, too, and found another pair that cannot be used.
        until("it is not told of", || async {
            served.running.look_at_certificate();
            served.says("vereda_tls_current 0").await && !served.says(&failures(n)).await
        })
        .await;
        assert!(authority.reaches(&served.url()).await, "the old one is used");
        served.replace(&good.certificate, &good.key);
        until("the old files are not taken again", || async {
            served.running.look_at_certificate();
            served.says("vereda_tls_current 1").await
        })
        .await;
    }
    std::fs::remove_file(&served.certificate).unwrap();
    until("a missing file is not told of", || async {
        served.running.look_at_certificate();
        served.says("vereda_tls_current 0").await
    })
    .await;
    assert!(authority.reaches(&served.url()).await);
    served.running.shutdown().await;
}

fn failures(n: usize) -> String {
    format!("vereda_tls_reloads_total{{result=\"failed\"}} {n}")
}

#[tokio::test]
async fn both_versions_are_spoken_and_plain_http_is_not() {
    let authority = Authority::new();
    let served = Served::with(&authority.certify()).await;
    for version in [tls::Version::TLS_1_2, tls::Version::TLS_1_3] {
        let response = authority.client(version, version).get(served.url()).send().await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let plain = served.url().replace("https://", "http://");
    assert!(reqwest::get(&plain).await.is_err());
    until("it is not counted", || served.says("vereda_tls_failures_total 1")).await;
    assert!(authority.reaches(&served.url()).await);
}

#[tokio::test]
async fn a_server_does_not_start_with_what_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let pair = Authority::new().certify();
    let mut config = Config {
        // Not loopback: HTTPS makes it possible.
        listen: "0.0.0.0:0".parse().unwrap(),
        metrics_listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: dir.path().join("data"),
        ..Config::default()
    };
    config.tls.certificate = dir.path().join("certificate.pem");
    let error = vereda_server::start(config.clone()).await.err().unwrap();
    assert!(matches!(error, ServerError::Config { .. }), "no key is named: {error}");
    config.tls.key = dir.path().join("key.pem");
    let error = vereda_server::start(config.clone()).await.err().unwrap();
    assert!(
        matches!(error, ServerError::File { .. }) && error.to_string().contains("certificate.pem"),
        "{error}"
    );
    std::fs::write(&config.tls.certificate, &pair.certificate).unwrap();
    std::fs::write(&config.tls.key, Authority::new().certify().key).unwrap();
    let error = vereda_server::start(config.clone()).await.err().unwrap();
    assert!(matches!(error, ServerError::Certificate { .. }), "{error}");
    std::fs::write(&config.tls.key, &pair.key).unwrap();
    vereda_server::start(config).await.unwrap().shutdown().await;
}
