//! Serves the certificate over TLS, for validators that accept it only from AWS's host.
//!
//! Validators of SNS's signatures require that the certificate's URL is
//! `https://sns.REGION.amazonaws.com/….pem`. The certificate that signs messages has all of these host names,
//! so it also authenticates the TLS connection. A client needs only to trust it, and to resolve such a name
//! to this server. This port serves nothing else.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OnceCell, Semaphore};
use tokio_rustls::TlsAcceptor;

use crate::{Notary, NotaryError};

/// Maximum number of concurrent connections; others wait to be accepted.
pub const CERTIFICATE_CONNECTIONS: usize = 16;

/// Timeout of a whole request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Maximum length of a request's head, in bytes.
const HEAD_BYTES: usize = 8 << 10;

/// Serves on a port until it is dropped.
pub async fn serve_certificate(listener: TcpListener, notary: Arc<Notary>) {
    let seats = Arc::new(Semaphore::new(CERTIFICATE_CONNECTIONS));
    let acceptor = Arc::new(OnceCell::new());
    loop {
        // The semaphore is never closed.
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // For example, no descriptors are left: another connection must close first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (notary, acceptor) = (notary.clone(), acceptor.clone());
        tokio::spawn(async move {
            let _seat = seat;
            let served = tokio::time::timeout(PATIENCE, serve(stream, &notary, &acceptor));
            // Errors of a connection, such as a client without TLS, are ignored.
            let _ = served.await;
        });
    }
}

async fn serve(
    stream: TcpStream,
    notary: &Arc<Notary>,
    acceptor: &OnceCell<TlsAcceptor>,
) -> std::io::Result<()> {
    let acceptor = acceptor.get_or_try_init(|| acceptor_of(notary.clone())).await?;
    let mut stream = acceptor.accept(stream).await?;
    let head = read_head(&mut stream).await?;
    let pem = notary.made_certificate().filter(|certificate| {
        let mut words = head.split(' ');
        let is_read = matches!(words.next(), Some("GET" | "HEAD"));
        is_read && words.next().and_then(|path| path.strip_prefix('/')) == Some(&certificate.file_name)
    });
    let (status, kind, body) = match pem {
        Some(certificate) => ("200 OK", "application/x-pem-file", &*certificate.pem),
        None => ("404 Not Found", "text/plain", "There is no such certificate.\n"),
    };
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    if !head.starts_with("HEAD ") {
        answer.push_str(body);
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads a request up to its first empty line.
async fn read_head(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<String> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES || stream.read_buf(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
    }
    String::from_utf8(head).map_err(|_| std::io::ErrorKind::InvalidData.into())
}

/// Creates the key if there is none. This takes a while, so it runs on a blocking thread.
async fn acceptor_of(notary: Arc<Notary>) -> std::io::Result<TlsAcceptor> {
    let config = tokio::task::spawn_blocking(move || config(&notary)).await?;
    Ok(TlsAcceptor::from(Arc::new(config.map_err(std::io::Error::other)?)))
}

fn config(notary: &Notary) -> Result<ServerConfig, NotaryError> {
    let failed = |error: &dyn std::fmt::Display| NotaryError::Key(error.to_string());
    let certificate = CertificateDer::from_pem_slice(notary.certificate()?.pem.as_bytes());
    let certificate = certificate.map_err(|error| failed(&error))?;
    let key = PrivateKeyDer::from_pem_slice(notary.key_pem()?.as_bytes()).map_err(|error| failed(&error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(|error| failed(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use tokio_rustls::TlsConnector;

    use super::*;

    async fn ask(port: u16, trusted: &str, host: &'static str, request: &str) -> std::io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let name = ServerName::try_from(host).unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn the_certificate_vouches_for_the_connection_over_which_it_is_fetched() {
        let notary = Arc::new(Notary::open(None).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(serve_certificate(listener, notary.clone()));
        let certificate = notary.certificate().unwrap().clone();
        let get = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", certificate.file_name);
        for host in ["sns.us-east-1.amazonaws.com", "sns.eu-west-1.amazonaws.com"] {
            let answer = ask(port, &certificate.pem, host, &get).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.ends_with(&certificate.pem), "{answer}");
        }
        let other =
            ask(port, &certificate.pem, "sns.us-east-1.amazonaws.com", "GET / HTTP/1.1\r\n\r\n").await;
        assert!(other.unwrap().starts_with("HTTP/1.1 404 "));
        assert!(ask(port, &certificate.pem, "sqs.us-east-1.amazonaws.com", &get).await.is_err());
        let stranger = Notary::open(None).unwrap();
        let stranger = &stranger.certificate().unwrap().pem;
        assert!(ask(port, stranger, "sns.us-east-1.amazonaws.com", &get).await.is_err());
    }
}
