//! Connects to a host: resolves its name, checks the addresses, opens TCP and, for https, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use crate::guard::Guard;
use crate::trust::Trust;

/// How long to wait for an address if the name has another.
const NEXT_ADDRESS: Duration = Duration::from_secs(3);

/// The destination of a connection. Requests to the same origin may share connections.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Origin {
    pub tls: bool,
    pub host: Host<String>,
    pub port: u16,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum DialError {
    /// The guard refuses the address.
    Refused { host: String, address: IpAddr, class: &'static str },
    /// The name has no address.
    Resolve(String, io::Error),
    /// No address accepts the connection.
    Connect(SocketAddr, io::Error),
    /// The TLS handshake failed, for example because the certificate is not trusted.
    Tls(io::Error),
    /// The machine's certificates cannot be read, so no certificate is trusted.
    Trust(String),
}

impl std::fmt::Display for DialError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DialError::Refused { host, address, class } => write!(
                f,
                "{host} is at {address}, {class}: deliveries to such addresses are not allowed by this server's settings"
            ),
            DialError::Resolve(host, error) => write!(f, "{host} cannot be resolved: {error}"),
            DialError::Connect(address, error) => write!(f, "cannot connect to {address}: {error}"),
            DialError::Tls(error) => write!(f, "TLS with the endpoint failed: {error}"),
            DialError::Trust(error) => f.write_str(error),
        }
    }
}

/// Connects to an origin.
pub(crate) async fn dial(origin: &Origin, guard: Guard, trust: &Trust) -> Result<Stream, DialError> {
    let addresses = addresses(origin, guard).await?;
    let stream = connect(&origin.host, &addresses).await?;
    // A request is written at once, so delaying the last segment (Nagle) would only cost time.
    let _ = stream.set_nodelay(true);
    if !origin.tls {
        return Ok(Stream::Plain(stream));
    }
    let config: Arc<ClientConfig> = trust.config().await.map_err(DialError::Trust)?;
    let name = match &origin.host {
        Host::Domain(name) => ServerName::try_from(name.clone())
            .map_err(|error| DialError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?,
        Host::Ipv4(address) => ServerName::from(IpAddr::V4(*address)),
        Host::Ipv6(address) => ServerName::from(IpAddr::V6(*address)),
    };
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(DialError::Tls)?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// Connects to the first address that answers.
async fn connect(host: &Host<String>, addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
    let mut failed =
        DialError::Resolve(host.to_string(), io::Error::new(io::ErrorKind::NotFound, "it has no address"));
    for (number, address) in addresses.iter().enumerate() {
        let connected = match number + 1 == addresses.len() {
            true => TcpStream::connect(address).await,
            // If an address does not answer at all, the next one must still be tried.
            false => tokio::time::timeout(NEXT_ADDRESS, TcpStream::connect(address))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = DialError::Connect(*address, error),
        }
    }
    Err(failed)
}

/// Returns the addresses of an origin after checking all of them. If one is refused, all are: a name that is
/// both inside and outside is an attack or a mistake.
async fn addresses(origin: &Origin, guard: Guard) -> Result<Vec<SocketAddr>, DialError> {
    let addresses: Vec<SocketAddr> = match &origin.host {
        Host::Ipv4(address) => vec![(*address, origin.port).into()],
        Host::Ipv6(address) => vec![(*address, origin.port).into()],
        Host::Domain(name) => tokio::net::lookup_host((name.as_str(), origin.port))
            .await
            .map_err(|error| DialError::Resolve(name.clone(), error))?
            .collect(),
    };
    for address in &addresses {
        if let Some(class) = guard.refuses(address.ip()) {
            return Err(DialError::Refused { host: origin.host.to_string(), address: address.ip(), class });
        }
    }
    Ok(addresses)
}

/// A connection, with or without TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
