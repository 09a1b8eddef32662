//! E-mail, with a server that behaves as a test requests.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use delivery::{Carrier, Email, EmailFormat, Origin, Outcome, Parcel, Payload, Settings};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::https::tls_config;
use crate::receiver::{failure, settle};

/// The behaviour of a server.
#[derive(Clone, Default)]
struct Manners {
    /// Its answer to `RCPT TO`.
    recipient: Option<&'static str>,
    /// Whether it offers STARTTLS, and with which certificate.
    starttls: Option<TlsAcceptor>,
    /// TLS from the first byte, if any.
    wrapped: Option<TlsAcceptor>,
    /// It never greets.
    silent: bool,
}

struct Server {
    address: SocketAddr,
    /// The received lines; `*` marks the start of TLS.
    told: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(manners: Manners) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = told.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, manners) = (log.clone(), manners.clone());
                tokio::spawn(async move {
                    if manners.silent {
                        tokio::time::pause();
                        std::future::pending::<()>().await;
                    }
                    if let Some(tls) = &manners.wrapped {
                        let Ok(stream) = tls.accept(stream).await else { return };
                        log.lock().unwrap().push("*".into());
                        converse(stream, &manners, &log, true).await;
                        return;
                    }
                    let Some(stream) = converse(stream, &manners, &log, true).await else { return };
                    let Ok(stream) = manners.starttls.as_ref().unwrap().accept(stream).await else { return };
                    log.lock().unwrap().push("*".into());
                    let manners = Manners { starttls: None, ..manners };
                    converse(stream, &manners, &log, false).await;
                });
            }
        });
        Server { address, told }
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

/// Speaks SMTP. Returns the stream for TLS.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    manners: &Manners,
    log: &Mutex<Vec<String>>,
    greet: bool,
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    if greet {
        stream.write_all(b"220 test ESMTP\r\n").await.ok()?;
    }
    let mut line = String::new();
    let mut in_data = false;
    loop {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let text = line.trim_end_matches(['\r', '\n']).to_owned();
        log.lock().unwrap().push(text.clone());
        if in_data {
            if text == "." {
                in_data = false;
                stream.write_all(b"250 queued\r\n").await.ok()?;
            }
            continue;
        }
        let reply = match text.split([' ', ':']).next().unwrap() {
            "EHLO" if manners.starttls.is_some() => "250-test\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS",
            "EHLO" => "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN",
            "STARTTLS" => {
                stream.write_all(b"220 go on\r\n").await.ok()?;
                return Some(stream.into_inner());
            }
            "AUTH" => "235 welcome",
            "MAIL" | "RSET" | "NOOP" => "250 ok",
            "RCPT" => manners.recipient.unwrap_or("250 ok"),
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "500 what?",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
    }
}

fn email() -> Parcel {
    let email = Email {
        to: "ann@example.org".into(),
        from_name: Some("News".into()),
        subject: Some("hi".into()),
        body: "hello\n.\nworld".into(),
        format: EmailFormat::Text,
        unsubscribe_url: Some("https://example.com/?Action=Unsubscribe".into()),
    };
    Parcel { origin: Origin { message_id: "m".into(), ..Origin::default() }, payload: Payload::Email(email) }
}

fn settings(url: String) -> Settings {
    Settings { smtp: Some(url), mail_from: "sns@example.com".into(), ..Settings::default() }
}

#[tokio::test]
async fn an_e_mail_arrives_and_the_connection_is_used_again() {
    let server = Server::start(Manners::default()).await;
    let carrier = Carrier::new(settings(format!("smtp://{}", server.address))).unwrap();
    for _ in 0..2 {
        assert_eq!(carrier.carry(&email()).await, Outcome::Delivered { status: Some(250) });
        settle().await;
    }
    let told = server.told();
    assert_eq!(told.iter().filter(|line| line.starts_with("EHLO")).count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|line| *line == "DATA").count(), 2);
    for line in [
        "MAIL FROM:<sns@example.com>",
        "RCPT TO:<ann@example.org>",
        "From: News <sns@example.com>",
        "To: ann@example.org",
        "Subject: hi",
        "hello",
        "..",
        "world",
        "https://example.com/?Action=3DUnsubscribe",
    ] {
        assert!(
            told.iter().any(|got| got.strip_suffix(" BODY=8BITMIME").unwrap_or(got) == line),
            "{line}: {told:?}"
        );
    }
    assert_eq!(carrier.outbox().list(&Default::default()), "{\"parcels\":[],\"dropped\":0}");
}

#[tokio::test]
async fn a_server_s_refusal_is_final_or_may_pass_as_its_code_says() {
    for (reply, permanent, status) in
        [("550 no such user", true, 550), ("450 mailbox busy", false, 450), ("421 closing", false, 421)]
    {
        let server = Server::start(Manners { recipient: Some(reply), ..Manners::default() }).await;
        let carrier = Carrier::new(settings(format!("smtp://{}", server.address))).unwrap();
        let (got, number, reason) = failure(carrier.carry(&email()).await);
        assert_eq!((got, number), (permanent, Some(status)), "{reason}");
        assert!(reason.contains(&reply[4..]), "{reason}");
    }
}

#[tokio::test]
async fn no_server_or_a_silent_one_is_a_failure_that_may_pass() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let carrier = Carrier::new(settings(format!("smtp://{address}"))).unwrap();
    let (permanent, status, _) = failure(carrier.carry(&email()).await);
    assert_eq!((permanent, status), (false, None));

    let server = Server::start(Manners { silent: true, ..Manners::default() }).await;
    let carrier = Carrier::new(settings(format!("smtp://{}", server.address))).unwrap();
    let (permanent, status, _) = failure(carrier.carry(&email()).await);
    assert_eq!((permanent, status), (false, None));
}

#[tokio::test]
async fn tls_is_used_where_it_is_offered_and_a_password_goes_no_other_way() {
    let (config, file) = tls_config("localhost");
    let tls = TlsAcceptor::from(config);
    let trusting = |url: String| {
        let settings = Settings { ca_file: Some(file.path().to_owned()), ..settings(url) };
        Carrier::new(settings).unwrap()
    };
    let delivered = Outcome::Delivered { status: Some(250) };

    let offering = Manners { starttls: Some(tls.clone()), ..Manners::default() };
    let wrapped = Manners { wrapped: Some(tls), ..Manners::default() };
    for (scheme, manners) in [("smtp", offering), ("smtps", wrapped)] {
        let server = Server::start(manners).await;
        let url = format!("{scheme}://joe:secret@localhost:{}", server.address.port());
        assert_eq!(trusting(url.clone()).carry(&email()).await, delivered);
        let told = server.told();
        let tls = told.iter().position(|line| line == "*").unwrap();
        let password = told.iter().position(|line| line.starts_with("AUTH PLAIN")).unwrap();
        assert!(tls < password, "{told:?}");
        // An untrusted certificate gives no protection.
        let (permanent, status, reason) = failure(Carrier::new(settings(url)).unwrap().carry(&email()).await);
        assert_eq!((permanent, status), (false, None));
        assert!(reason.contains("certificate"), "{reason}");
        assert!(!reason.contains("secret"));
    }

    let plain = Server::start(Manners::default()).await;
    let url = format!("smtp://joe:secret@localhost:{}", plain.address.port());
    let (permanent, _, _) = failure(trusting(url.clone()).carry(&email()).await);
    assert!(!permanent);
    assert!(!plain.told().iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")));
    assert_eq!(trusting(format!("{url}?tls=none")).carry(&email()).await, delivered);
}

#[test]
fn what_is_no_server_or_sender_is_a_mistake_in_the_settings() {
    for (smtp, from) in [("mail:secret", "sns@example.com"), ("smtp://x", "sns")] {
        let settings = Settings { smtp: Some(smtp.into()), mail_from: from.into(), ..Settings::default() };
        let error = Carrier::new(settings).err().unwrap().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_carrier_may_be_dropped_where_there_is_no_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (server, carrier) = runtime.block_on(async {
        let server = Server::start(Manners::default()).await;
        let carrier = Carrier::new(settings(format!("smtp://{}", server.address))).unwrap();
        assert_eq!(carrier.carry(&email()).await, Outcome::Delivered { status: Some(250) });
        settle().await;
        (server, carrier)
    });
    drop(carrier);
    drop(runtime);
    assert!(server.told().contains(&"DATA".to_owned()));
}
