//! Calls over HTTP connections of this library, in place of the SDK's HTTP client, where there is no TLS.

use std::io::Write;
use std::time::Duration;

use aws_sdk_sqs::config::SharedHttpClient;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use tokio_util::sync::CancellationToken;

use super::{LAST_ANSWER, Protocol, Route, Signed};
use crate::clients;

pub(super) use super::connection::Connections;

/// How long a connection may take, as the SDK has it, where nothing is configured.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3100);

/// The connections to `host`. `None`: the SDK's client is needed, for TLS or because it is the application's own.
pub(super) fn connections(
    scheme: &str,
    host: &str,
    http_client: &SharedHttpClient,
    timeouts: Option<&TimeoutConfig>,
) -> Option<Connections> {
    if scheme != "http" || !clients::is_known(http_client) {
        return None;
    }
    // A port stands at the end; in brackets it would be part of an address.
    let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
    let address = if has_port { host.to_owned() } else { format!("{host}:80") };
    let timeout = timeouts.and_then(TimeoutConfig::connect_timeout);
    Some(Connections::to(address, timeout.unwrap_or(CONNECT_TIMEOUT)))
}

impl Route {
    /// What `read` makes of an answer that says 200.
    pub(super) async fn ask_over<R>(
        &self,
        connections: &Connections,
        signed: &Signed<'_>,
        body: &[u8],
        stop: Option<&CancellationToken>,
        read: impl FnOnce(&[u8]) -> Option<R>,
    ) -> Option<R> {
        let mut connection = connections.take().await.ok()?;
        self.write_head(signed, body.len(), &mut connection.head)?;
        connection.send(body).await.ok()?;
        let answer = match stop {
            None => connection.answer().await.ok()?,
            Some(stop) => tokio::select! {
                biased;
                answer = connection.answer() => answer.ok()?,
                () = stop.cancelled() => {
                    connection.no_more().await.ok()?;
                    // What has come of it so far stands in the connection's buffer.
                    tokio::time::timeout(LAST_ANSWER, connection.answer()).await.ok()?.ok()?
                }
            },
        };
        let result =
            self.check(answer.status, answer.is_posthaste).and_then(|()| read(connection.body(&answer)));
        connections.give_back(connection, &answer);
        result
    }

    /// The same request, as it goes over the wire before its body.
    fn write_head(&self, signed: &Signed<'_>, body_length: usize, head: &mut Vec<u8>) -> Option<()> {
        let json = match self.protocol {
            Protocol::Json => ["x-amzn-query-mode: true\r\nx-amz-target: ", signed.target, "\r\n"],
            Protocol::Query => [""; 3],
        };
        head.clear();
        let lines = [
            ["POST ", &self.path, " HTTP/1.1\r\n"],
            ["host: ", &self.host, "\r\n"],
            ["content-type: ", self.protocol.content_type(), "\r\n"],
            ["x-amz-date: ", signed.time, "\r\n"],
            ["user-agent: ", &self.user_agent, "\r\n"],
            ["authorization: ", signed.authorization, "\r\n"],
        ];
        for part in lines.iter().flatten().chain(&json) {
            head.extend_from_slice(part.as_bytes());
        }
        if let Some(token) = signed.token {
            if token.bytes().any(|byte| byte.is_ascii_control()) {
                return None;
            }
            write!(head, "x-amz-security-token: {token}\r\n").ok()?;
        }
        write!(head, "content-length: {body_length}\r\n\r\n").ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use aws_sdk_sqs::config::http::HttpRequest;

    use super::*;

    /// What goes over a connection of ours is what goes over one of the SDK's.
    pub(in crate::direct) fn same_headers(route: &Route, signed: &Signed<'_>, theirs: &HttpRequest) {
        let mut head = Vec::new();
        route.write_head(signed, 2, &mut head).unwrap();
        let mut headers = [httparse::EMPTY_HEADER; 20];
        let mut ours = httparse::Request::new(&mut headers);
        assert_eq!(ours.parse(&head).unwrap(), httparse::Status::Complete(head.len()));
        assert_eq!(ours.method, Some(theirs.method()));
        assert!(theirs.uri().ends_with(ours.path.unwrap()));
        let text = |value| std::str::from_utf8(value).unwrap();
        let ours: BTreeMap<&str, &str> =
            ours.headers.iter().map(|header| (header.name, text(header.value))).collect();
        let mut expected: BTreeMap<&str, &str> = theirs.headers().iter().collect();
        expected.extend([("host", &*route.host), ("content-length", "2")]);
        assert_eq!(ours, expected);
    }
}
