//! The trusted certificates of receivers: the machine's, and those of a file of the operator.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

/// The TLS configuration. Created for the first TLS connection, because most servers never open one.
pub(crate) struct Trust {
    extra: Vec<CertificateDer<'static>>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Trust {
    /// Reads the operator's file at the start, so that a mistake in it shows at once.
    pub fn new(extra: Option<&PathBuf>) -> Result<Trust, String> {
        let mut certificates = Vec::new();
        if let Some(path) = extra {
            let file = CertificateDer::pem_file_iter(path)
                .map_err(|error| format!("cannot read the certificates in {}: {error}", path.display()))?;
            for certificate in file {
                certificates.push(certificate.map_err(|error| format!("{}: {error}", path.display()))?);
            }
            if certificates.is_empty() {
                return Err(format!("{} holds no certificate", path.display()));
            }
        }
        Ok(Trust { extra: certificates, config: OnceCell::new() })
    }

    /// Returns the certificates of the operator's file.
    pub fn extra(&self) -> &[CertificateDer<'static>] {
        &self.extra
    }

    /// Returns the TLS configuration.
    pub async fn config(&self) -> Result<Arc<ClientConfig>, String> {
        self.config.get_or_try_init(|| self.read()).await.cloned()
    }

    async fn read(&self) -> Result<Arc<ClientConfig>, String> {
        let native = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
            .await
            .map_err(|error| format!("the machine's certificates cannot be read: {error}"))?;
        let mut roots = RootCertStore::empty();
        let (read, _) = roots.add_parsable_certificates(native.certs);
        let (added, _) = roots.add_parsable_certificates(self.extra.iter().cloned());
        if read + added == 0 {
            let why = native.errors.first().map(ToString::to_string).unwrap_or_default();
            return Err(format!("this machine has no trusted certificates: {why}"));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
