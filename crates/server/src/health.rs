//! `posthaste health`: reports by its exit code whether a server answers and is healthy. For containers and scripts.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use stdio::outln;

/// Timeout for the server's answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Maximum length of the answer.
const ANSWER_BYTES: u64 = 64 << 10;

/// Asks the server at `url` (`http://host:port` or `host:port`), or else at `listen`, the value of `--listen`.
pub fn run(url: Option<&str>, listen: Option<&str>) -> Result<(), Box<dyn Error>> {
    let address = match url {
        Some(url) => address_of(url)?,
        None => reachable(listen.unwrap_or("127.0.0.1:4566")),
    };
    let failed = |error: std::io::Error| format!("no healthy server at {address}: {error}");
    let answer = ask(&address).map_err(failed)?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    if status == "200" {
        outln!("{body}")?;
        return Ok(());
    }
    Err(format!("the server at {address} is not healthy: status {status}: {body}").into())
}

fn ask(address: &str) -> std::io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let left = || deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut connected = Err(std::io::ErrorKind::NotFound.into());
    for address in address.to_socket_addrs()? {
        connected = TcpStream::connect_timeout(&address, left());
        if connected.is_ok() {
            break;
        }
    }
    let mut stream = connected?;
    stream.set_write_timeout(Some(left()))?;
    // The server always accepts the name `localhost`.
    stream.write_all(b"GET /_posthaste/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    stream.set_read_timeout(Some(left()))?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}

fn address_of(url: &str) -> Result<String, String> {
    if url.starts_with("https://") {
        return Err(format!(
            "{url}: the health check does not use TLS: use http://HOST:PORT of the server itself"
        ));
    }
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let authority = rest.split('/').next().unwrap_or_default();
    let has_port =
        authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']') && !port.is_empty());
    match authority {
        "" => Err(format!("\"{url}\" names no server: say http://HOST:PORT")),
        _ if has_port => Ok(authority.to_owned()),
        _ => Ok(format!("{authority}:80")),
    }
}

/// Returns the address by which a client on this machine reaches a server that listens there.
fn reachable(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => listen.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_as_people_name_one() {
        for (url, address) in [
            ("http://127.0.0.1:4566", "127.0.0.1:4566"),
            ("http://posthaste:4566/_posthaste/health", "posthaste:4566"),
            ("localhost:4566", "localhost:4566"),
            ("http://[::1]", "[::1]:80"),
        ] {
            assert_eq!(address_of(url).unwrap(), address);
        }
        assert!(address_of("https://x").is_err() && address_of("http://").is_err());
        assert_eq!(reachable("0.0.0.0:4566"), "127.0.0.1:4566");
        assert_eq!(reachable("[::]:4566"), "[::1]:4566");
        assert_eq!(reachable("10.0.0.1:1"), "10.0.0.1:1");
    }
}
