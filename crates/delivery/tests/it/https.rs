//! HTTP and HTTPS.

use std::sync::Arc;

use delivery::{Carrier, Guard, Outcome, Settings};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use crate::receiver::{Answer, Receiver, failure, post, settle};

fn carrier() -> Carrier {
    Carrier::new(Settings::default()).unwrap()
}

#[tokio::test]
async fn a_post_arrives_as_sns_sends_it() {
    let receiver = Receiver::start(vec![Answer::status(200)]).await;
    let outcome = post(&carrier(), &receiver.url()).await;
    assert_eq!(outcome, Outcome::Delivered { status: Some(200) });
    let received = &receiver.received()[0];
    assert!(received.head.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{}", received.head);
    assert_eq!(received.header("host"), Some(receiver.address.to_string().as_str()));
    assert_eq!(received.header("user-agent"), Some("Amazon Simple Notification Service Agent"));
    assert_eq!(received.header("accept-encoding"), Some("gzip,deflate"));
    assert_eq!(received.header("connection"), Some("Keep-Alive"));
    assert_eq!(received.header("content-type"), Some("text/plain; charset=UTF-8"));
    assert_eq!(received.header("x-amz-sns-message-id"), Some("m"));
    assert_eq!(received.header("authorization"), None);
    assert_eq!(received.body, "{\"Message\":\"hello\"}");
}

#[tokio::test]
async fn a_status_decides_whether_it_is_tried_again() {
    for (status, permanent) in
        [(400, true), (404, true), (410, true), (429, false), (500, false), (503, false)]
    {
        let receiver = Receiver::start(vec![Answer::status(status)]).await;
        let (got, number, reason) = failure(post(&carrier(), &receiver.url()).await);
        assert_eq!((got, number), (permanent, Some(status)), "{reason}");
        assert_eq!(receiver.received().len(), 1);
    }
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let target = Receiver::start(vec![Answer::status(200)]).await;
    let moved = format!("HTTP/1.1 307 X\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.url());
    let receiver = Receiver::start(vec![Answer::Write(moved)]).await;
    let (permanent, status, _) = failure(post(&carrier(), &receiver.url()).await);
    assert_eq!((permanent, status), (false, Some(307)));
    assert!(target.received().is_empty());
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let receiver = Receiver::start(vec![Answer::status(200)]).await;
    let carrier = carrier();
    for _ in 0..3 {
        assert_eq!(post(&carrier, &receiver.url()).await, Outcome::Delivered { status: Some(200) });
        settle().await;
    }
    let connections: Vec<usize> = receiver.received().iter().map(|received| received.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_nothing() {
    let bye = "HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\nok";
    let receiver = Receiver::start(vec![Answer::WriteAndClose(bye.into())]).await;
    let carrier = carrier();
    for _ in 0..5 {
        assert_eq!(post(&carrier, &receiver.url()).await, Outcome::Delivered { status: Some(200) });
        settle().await;
    }
    assert_eq!(receiver.received().len(), 5);
}

#[tokio::test]
async fn only_so_many_sockets_are_open_and_kept_ones_make_room() {
    let receivers = [
        Receiver::start(vec![Answer::status(200)]).await,
        Receiver::start(vec![Answer::status(200)]).await,
        Receiver::start(vec![Answer::status(200)]).await,
    ];
    let carrier = Carrier::new(Settings { sockets: 1, ..Settings::default() }).unwrap();
    for _ in 0..2 {
        for receiver in &receivers {
            // The only socket is kept for the previous receiver.
            assert_eq!(post(&carrier, &receiver.url()).await, Outcome::Delivered { status: Some(200) });
            settle().await;
        }
    }
    let connections = receivers[0].received().iter().map(|received| received.connection).collect::<Vec<_>>();
    assert_eq!(connections, [0, 1]);
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_is_given_up_after_the_timeout() {
    for said in ["", "HTTP/1.1 2", "HTTP/1.1 200 X\r\ncontent-le"] {
        let receiver = Receiver::start(vec![Answer::Stall(said.into())]).await;
        let before = tokio::time::Instant::now();
        let (permanent, status, reason) = failure(post(&carrier(), &receiver.url()).await);
        assert_eq!((permanent, status), (false, None));
        assert_eq!(reason, "the endpoint did not answer within 15 s");
        assert!(
            before.elapsed().as_secs() >= 15 && before.elapsed().as_secs() < 25,
            "{:?}",
            before.elapsed()
        );
        assert_eq!(receiver.received().len(), 1);
        // A cancelled attempt occupies no room.
        tokio::time::resume();
        receiver.abandoned.notified().await;
    }
}

#[tokio::test]
async fn an_answer_s_body_need_not_end() {
    for length in ["content-length: 1000000000", "transfer-encoding: chunked"] {
        let receiver =
            Receiver::start(vec![Answer::Stall(format!("HTTP/1.1 200 X\r\n{length}\r\n\r\n"))]).await;
        assert_eq!(post(&carrier(), &receiver.url()).await, Outcome::Delivered { status: Some(200) });
        receiver.abandoned.notified().await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_failure_that_may_pass() {
    for said in [
        "",
        "HTTP/1.1 200",
        "garbage\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let receiver = Receiver::start(vec![Answer::WriteAndClose(said.into())]).await;
        let (permanent, status, reason) = failure(post(&carrier(), &receiver.url()).await);
        assert_eq!((permanent, status), (false, None), "{said}: {reason}");
        assert_eq!(receiver.received().len(), 1);
    }
}

#[tokio::test]
async fn an_endless_head_is_a_failure_that_may_pass() {
    let head = format!("HTTP/1.1 200 X\r\n{}", "x-header: y\r\n".repeat(1000));
    let receiver = Receiver::start(vec![Answer::WriteAndClose(head)]).await;
    let (permanent, status, _) = failure(post(&carrier(), &receiver.url()).await);
    assert_eq!((permanent, status), (false, None));
}

#[tokio::test]
async fn nobody_there_is_a_failure_that_may_pass() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let (permanent, status, reason) = failure(post(&carrier(), &format!("http://{address}/")).await);
    assert_eq!((permanent, status), (false, None));
    assert!(reason.starts_with(&format!("cannot connect to {address}: ")), "{reason}");
    let (permanent, _, reason) = failure(post(&carrier(), "http://no-such-host.invalid/").await);
    assert!(!permanent && reason.starts_with("no-such-host.invalid cannot be resolved: "), "{reason}");
}

#[tokio::test]
async fn what_is_no_address_of_a_receiver_is_refused_for_good() {
    for url in [
        "",
        "hook",
        "ftp://example.com/",
        "http://",
        "http:///",
        "file:///etc/passwd",
        "http://[::1",
        "http://a b/",
    ] {
        let (permanent, status, reason) = failure(post(&carrier(), url).await);
        assert_eq!((permanent, status), (true, None), "{url}: {reason}");
    }
}

#[tokio::test]
async fn a_name_and_a_password_are_told_to_those_who_ask() {
    let ask = "HTTP/1.1 401 X\r\nwww-authenticate: Basic realm=\"here\"\r\ncontent-length: 0\r\n\r\n";
    let receiver = Receiver::start(vec![Answer::Write(ask.into()), Answer::status(200)]).await;
    let url = format!("http://us%40er:p%3Ass@{}/", receiver.address);
    assert_eq!(post(&carrier(), &url).await, Outcome::Delivered { status: Some(200) });
    let received = receiver.received();
    assert_eq!(received[0].header("authorization"), None);
    // us@er:p:ss
    assert_eq!(received[1].header("authorization"), Some("Basic dXNAZXI6cDpzcw=="));
    assert_eq!(received[1].header("host"), Some(receiver.address.to_string().as_str()));
    assert_eq!(received[1].body, received[0].body);

    // Digest is preferred, so that the password is not sent.
    let ask = "HTTP/1.1 401 X\r\nwww-authenticate: Basic realm=\"here\"\r\n\
               www-authenticate: Digest realm=\"here\", nonce=\"n\", qop=\"auth\"\r\ncontent-length: 0\r\n\r\n";
    let receiver = Receiver::start(vec![Answer::Write(ask.into()), Answer::status(204)]).await;
    let url = format!("http://user:pass@{}/", receiver.address);
    assert_eq!(post(&carrier(), &url).await, Outcome::Delivered { status: Some(204) });
    let authorization = receiver.received()[1].header("authorization").unwrap().to_owned();
    assert!(authorization.starts_with("Digest username=\"user\", realm=\"here\", nonce=\"n\", uri=\"/\""));

    // A receiver that rejects the answer is not tried again, nor is one without a supported challenge.
    for ask in [ask, "HTTP/1.1 401 X\r\ncontent-length: 0\r\n\r\n"] {
        let receiver = Receiver::start(vec![Answer::Write(ask.into())]).await;
        let url = format!("http://user:secret@{}/", receiver.address);
        let (permanent, status, reason) = failure(post(&carrier(), &url).await);
        assert_eq!((permanent, status), (true, Some(401)));
        assert!(!reason.contains("secret"));
        assert!(receiver.received().len() <= 2);
    }
}

#[tokio::test]
async fn a_guarded_carrier_calls_no_neighbour_whatever_it_is_called() {
    let receiver = Receiver::start(vec![Answer::status(200)]).await;
    let port = receiver.address.port();
    let settings = Settings { guard: Guard::Neighbours, ..Settings::default() };
    let carrier = Carrier::new(settings).unwrap();
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "127。0。0。1",
    ] {
        let (permanent, status, reason) = failure(post(&carrier, &format!("http://{host}:{port}/")).await);
        assert_eq!((permanent, status), (true, None), "{host}: {reason}");
        assert!(reason.contains("are not allowed by this server's settings"), "{host}: {reason}");
    }
    assert!(receiver.received().is_empty());
}

/// TLS for a server with this name, and a file with the certificate that makes it trusted.
pub fn tls_config(name: &str) -> (Arc<ServerConfig>, NamedTempFile) {
    let certified = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), certified.cert.pem()).unwrap();
    (Arc::new(config), file)
}

async fn tls_receiver(name: &str, answers: Vec<Answer>) -> (Receiver, NamedTempFile) {
    let (config, file) = tls_config(name);
    (Receiver::start_with(answers, Some(TlsAcceptor::from(config))).await, file)
}

fn trusting(file: &NamedTempFile) -> Carrier {
    Carrier::new(Settings { ca_file: Some(file.path().to_owned()), ..Settings::default() }).unwrap()
}

#[tokio::test]
async fn a_trusted_certificate_lets_a_parcel_through_and_the_connection_is_used_again() {
    let (receiver, file) = tls_receiver("localhost", vec![Answer::status(200)]).await;
    let carrier = trusting(&file);
    let url = format!("https://localhost:{}/hook", receiver.address.port());
    for _ in 0..2 {
        assert_eq!(post(&carrier, &url).await, Outcome::Delivered { status: Some(200) });
        settle().await;
    }
    let received = receiver.received();
    assert_eq!(received.iter().map(|received| received.connection).collect::<Vec<_>>(), [0, 0]);
    assert!(received[0].head.starts_with("POST /hook HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_or_for_another_name_lets_nothing_through() {
    let (receiver, _) = tls_receiver("localhost", vec![Answer::status(200)]).await;
    let (other, file) = tls_receiver("elsewhere.example", vec![Answer::status(200)]).await;
    let carrier = trusting(&file);
    for receiver in [receiver, other] {
        let url = format!("https://localhost:{}/", receiver.address.port());
        let (permanent, status, reason) = failure(post(&carrier, &url).await);
        assert_eq!((permanent, status), (false, None));
        assert!(reason.contains("certificate"), "{reason}");
        assert!(receiver.received().is_empty());
    }
}

#[tokio::test]
async fn a_receiver_without_tls_is_a_failure_that_may_pass() {
    let receiver = Receiver::start(vec![Answer::status(200)]).await;
    let (_other, file) = tls_receiver("localhost", vec![Answer::status(200)]).await;
    let url = format!("https://localhost:{}/", receiver.address.port());
    let outcome = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        tokio::time::pause();
        failure(post(&trusting(&file), &url).await)
    });
    let (permanent, status, _) = outcome.await.unwrap();
    assert_eq!((permanent, status), (false, None));
}

#[test]
fn a_file_without_certificates_is_a_mistake_in_the_settings() {
    let file = NamedTempFile::new().unwrap();
    for path in [file.path().to_owned(), "/no/such/file".into()] {
        let settings = Settings { ca_file: Some(path.clone()), ..Settings::default() };
        let error = Carrier::new(settings).err().unwrap().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}
