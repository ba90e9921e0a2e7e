//! TLS: a certificate and its key from files, read again when they change.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use andon_task::digest::Digest;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(5);

/// Where the certificate and its key lie, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and those that lead to a root after it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read '{}'", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Everybody on the machine may read the key.
    #[error("everybody on this machine may read the key '{}': chmod 600", .0.display())]
    Readable(PathBuf),
    /// A file does not hold what it is to hold.
    #[error("'{}' holds no {what} in PEM: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it is to hold.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key do not belong together, or the key is of a kind that nobody
    /// uses.
    #[error("the certificate '{}' cannot be used with its key: {reason}", path.display())]
    Mismatch {
        /// The certificate.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What a listener needs for TLS.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.files).finish()
    }
}

/// The certificate that is shown now.
struct Current(RwLock<Shown>);

struct Shown {
    certified: Arc<CertifiedKey>,
    /// The digest of both files.
    digest: Digest,
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current(…)")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Replaced whole: a panic elsewhere leaves nothing half-done.
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&shown.certified))
    }
}

impl Tls {
    /// Reads the files. TLS 1.2 and 1.3, with the cipher suites of rustls.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = Arc::new(Current(RwLock::new(read(&files)?)));
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Mismatch {
                path: files.certificate.clone(),
                reason: error.to_string(),
            })?;
        let mut config = builder
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            files,
            current,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Shows what the files hold now, if that changed. What cannot be used leaves what
    /// was shown before.
    fn look_again(&self) -> Result<bool, TlsError> {
        let shown = read(&self.files)?;
        let mut current = self
            .current
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let changed = shown.digest != current.digest;
        *current = shown;
        Ok(changed)
    }
}

/// Looks at the files for as long as the service runs.
pub(crate) async fn keep_fresh(tls: Tls) {
    let mut failing = false;
    loop {
        tokio::time::sleep(PERIOD).await;
        let again = tls.clone();
        let looked = tokio::task::spawn_blocking(move || again.look_again()).await;
        match looked {
            Ok(Ok(true)) => tracing::info!("another certificate is shown from now on"),
            Ok(Err(ref error)) if !failing => {
                tracing::warn!(%error, "the certificate stays as it was");
            }
            _ => {}
        }
        failing = !matches!(looked, Ok(Ok(_)));
    }
}

fn read(files: &TlsFiles) -> Result<Shown, TlsError> {
    let (certificate, key) = (read_file(&files.certificate)?, read_file(&files.key)?);
    refuse_readable(&files.key)?;
    let content = |path: &Path, what: &'static str, reason: String| TlsError::Content {
        path: path.to_owned(),
        what,
        reason,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| content(&files.certificate, "certificate", error.to_string()))?;
    if chain.is_empty() {
        let reason = "there is no section CERTIFICATE".to_owned();
        return Err(content(&files.certificate, "certificate", reason));
    }
    let digest = Digest::of_parts([certificate.as_slice(), key.as_slice()]);
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|error| content(&files.key, "private key", error.to_string()))?;
    let provider = rustls::crypto::ring::default_provider();
    let certified =
        CertifiedKey::from_der(chain, key, &provider).map_err(|error| TlsError::Mismatch {
            path: files.certificate.clone(),
            reason: error.to_string(),
        })?;
    Ok(Shown {
        certified: Arc::new(certified),
        digest,
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The group may read it: that is how service accounts get keys.
fn refuse_readable(path: &Path) -> Result<(), TlsError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let readable = std::fs::metadata(path).is_ok_and(|file| file.mode() & 0o007 != 0);
        if readable {
            return Err(TlsError::Readable(path.to_owned()));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
