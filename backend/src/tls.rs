//! HTTPS from certificate files, which are read again when they change: a certificate is renewed every few
//! weeks, and nobody restarts a server for it.
//!
//! Whatever is wrong with new files, the old certificate stays in use, and a log line and a metric say so.
//! Connections that are open keep theirs.

use crate::config;
use crate::error::ServerError;
use crate::metrics::Metrics;
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// The certificate in use, and where the next one will be.
pub struct Certificates {
    files: config::Tls,
    serving: RustlsConfig,
    /// What the files held when they were last looked at, good or not.
    seen: Seen,
    metrics: Arc<Metrics>,
}

type Seen = [u8; 32];

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// [`ServerError::File`], [`ServerError::Certificate`].
    pub fn open(files: &config::Tls, metrics: Arc<Metrics>) -> Result<Certificates, ServerError> {
        let (seen, made) = read(files);
        let serving = RustlsConfig::from_config(made?);
        metrics.certificate(true);
        Ok(Certificates { files: files.clone(), serving, seen, metrics })
    }

    /// For the listener: follows what is in use.
    pub fn serving(&self) -> RustlsConfig {
        self.serving.clone()
    }

    /// Looks at the files every few seconds, and at once when told to.
    pub async fn watch(mut self, now: Arc<Notify>) {
        loop {
            let _ = tokio::time::timeout(LOOK, now.notified()).await;
            let files = self.files.clone();
            let Ok((seen, made)) = tokio::task::spawn_blocking(move || read(&files)).await else { continue };
            if seen == self.seen {
                continue;
            }
            self.seen = seen;
            self.metrics.certificate(made.is_ok());
            match made {
                Ok(made) => {
                    self.serving.reload_from_config(made);
                    tracing::info!("new connections get the new certificate");
                }
                Err(error) => {
                    tracing::error!(%error, "the new certificate cannot be used; the old one stays")
                }
            }
        }
    }
}

/// What the files hold, and what is made of it.
fn read(files: &config::Tls) -> (Seen, Result<Arc<ServerConfig>, ServerError>) {
    let mut hash = Sha256::new();
    let mut contents = |path: &Path| {
        let read = std::fs::read(path);
        match &read {
            Ok(bytes) => hash.update(Sha256::digest(bytes)),
            Err(error) => hash.update(error.to_string()),
        }
        read.map_err(|source| ServerError::File { doing: "read", path: path.to_owned(), source })
    };
    let (certificate, key) = (contents(&files.certificate), contents(&files.key));
    let made = certificate.and_then(|certificate| make(files, &certificate, &key?));
    (hash.finalize().into(), made)
}

fn make(files: &config::Tls, certificate: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, ServerError> {
    let wrong = |path: &Path, what: String| ServerError::Certificate { path: path.to_owned(), what };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|error| wrong(&files.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(&files.certificate, "it holds no certificate in PEM".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(&files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut made = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| wrong(&files.certificate, error.to_string()))?
        .with_no_client_auth()
        // It checks that they belong together.
        .with_single_cert(chain, key)
        .map_err(|error| wrong(&files.certificate, error.to_string()))?;
    made.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(made))
}
