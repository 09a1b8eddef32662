//! E-mail, through the operator's SMTP server.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lettre::address::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, SinglePart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use percent_encoding::percent_decode_str;
use tokio::sync::OnceCell;
use url::Url;

use crate::parcel::{Cause, Email, EmailFormat, Origin, Outcome};
use crate::trust::Trust;

/// Timeout of an attempt: mail servers let unknown clients wait before they greet them.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum number of concurrent connections.
const CONNECTIONS: u32 = 8;

/// Sends e-mail.
pub(crate) struct Smtp {
    server: Server,
    from: Address,
    trust: Arc<Trust>,
    /// Created for the first e-mail, because that reads the machine's certificates.
    transport: OnceCell<AsyncSmtpTransport<Tokio1Executor>>,
}

/// The parsed setting `smtp://user:password@host:port?tls=required`.
#[derive(Clone)]
struct Server {
    host: String,
    port: u16,
    user: Option<(String, String)>,
    security: Security,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Security {
    /// No TLS, even if the server offers it.
    None,
    /// STARTTLS if the server offers it.
    Offered,
    /// STARTTLS is required.
    Required,
    /// TLS from the first byte.
    Wrapped,
}

impl Server {
    fn parse(text: &str) -> Result<Server, String> {
        let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no host")?.to_owned();
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = (!url.username().is_empty())
            .then(|| (plain(url.username()), plain(url.password().unwrap_or_default())));
        let asked = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value.into_owned());
        let security = match (url.scheme(), asked.as_deref()) {
            ("smtps", None) => Security::Wrapped,
            // A password must not be sent without TLS.
            ("smtp", None) if user.is_some() => Security::Required,
            ("smtp", None | Some("opportunistic")) => Security::Offered,
            ("smtp", Some("required")) => Security::Required,
            ("smtp", Some("none")) => Security::None,
            ("smtp", Some(_)) => return Err("says tls= without required, opportunistic or none".into()),
            ("smtps", Some(_)) => return Err("says tls=, which smtps: implies".into()),
            _ => return Err("begins neither with smtp: nor with smtps:".into()),
        };
        let port = url.port().unwrap_or(match security {
            Security::Wrapped => 465,
            _ if user.is_some() => 587,
            _ => 25,
        });
        // An IPv6 address has brackets in a URL, and none elsewhere.
        let host = host.trim_matches(['[', ']']).to_owned();
        Ok(Server { host, port, user, security })
    }
}

impl Smtp {
    /// Sends through this server, from this address.
    pub fn new(server: &str, from: &str, trust: Arc<Trust>) -> Result<Smtp, String> {
        // The error does not repeat the text, because the text may contain a password.
        let server = Server::parse(server).map_err(|error| format!("the SMTP server's URL {error}"))?;
        let from = from.parse().map_err(|error| format!("\"{from}\" is not an e-mail address: {error}"))?;
        Ok(Smtp { server, from, trust, transport: OnceCell::new() })
    }

    /// Makes one attempt.
    pub async fn send(&self, email: &Email, origin: &Origin) -> Outcome {
        let message = match self.compose(email, origin) {
            Ok(message) => message,
            Err(reason) => return Outcome::refused(reason),
        };
        let transport = match self.transport.get_or_try_init(|| self.connect()).await {
            Ok(transport) => transport,
            Err(reason) => return Outcome::missed(reason),
        };
        match tokio::time::timeout(TIMEOUT, transport.send(message)).await {
            Ok(Ok(response)) => Outcome::Delivered { status: Some(response.code().into()) },
            Ok(Err(error)) => {
                let status = error.status().map(u16::from);
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                // 5yz: "the SMTP client SHOULD NOT repeat the exact request" (RFC 5321, 4.2.1).
                Outcome::Failed {
                    permanent: error.is_permanent(),
                    status,
                    reason: format!("{error}{cause}"),
                    cause: Cause::Other,
                    retry_after: None,
                }
            }
            Err(_) => {
                Outcome::missed(format!("the SMTP server did not answer within {} s", TIMEOUT.as_secs()))
            }
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
        let server = self.server.clone();
        let trusted = self.trust.extra().to_vec();
        // This reads files.
        let tls = tokio::task::spawn_blocking(move || tls(&server, &trusted))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("TLS with the SMTP server failed: {error}"))?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(self.server.host.clone())
            .port(self.server.port)
            .tls(tls)
            .timeout(Some(TIMEOUT))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS));
        if let Some((name, password)) = self.server.user.clone() {
            builder = builder.credentials(Credentials::new(name, password));
        }
        Ok(builder.build())
    }

    fn compose(&self, email: &Email, origin: &Origin) -> Result<Message, String> {
        let to: Address = email
            .to
            .parse()
            .map_err(|error| format!("\"{}\" is not an e-mail address: {error}", email.to))?;
        let name = email.from_name.as_deref().map(one_line).filter(|name| !name.is_empty());
        let subject = match (&email.subject, &origin.confirmation) {
            (Some(subject), _) => subject.clone(),
            // The subject of SNS's e-mails.
            (None, None) => "AWS Notification Message".into(),
            (None, Some(_)) => "AWS Notification - Subscription Confirmation".into(),
        };
        let subscription = origin.subscription_arn.as_deref().and_then(|arn| arn.rsplit(':').next());
        // The same id in each attempt, so that a duplicate can be recognised.
        let id = format!("<{}.{}@{}>", origin.message_id, subscription.unwrap_or("0"), self.from.domain());
        let mut builder: MessageBuilder = Message::builder()
            .from(Mailbox::new(name.or(Some("AWS Notifications".into())), self.from.clone()))
            .to(Mailbox::new(None, to))
            .subject(one_line(&subject))
            .date(UNIX_EPOCH + Duration::from_millis(origin.at_ms))
            .message_id(Some(one_line(&id)));
        if let Some(url) = &email.unsubscribe_url {
            let name = HeaderName::new_from_ascii_str("List-Unsubscribe");
            builder = builder.raw_header(HeaderValue::new(name, one_line(&format!("<{url}>"))));
        }
        let part = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text(email));
        builder.singlepart(part).map_err(|error| format!("the e-mail is not valid: {error}"))
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        // lettre closes its connections in a task, which panics without a runtime, for example at the end of
        // the program. Then the connections are dropped without QUIT.
        if tokio::runtime::Handle::try_current().is_err() {
            std::mem::forget(self.transport.take());
        }
    }
}

fn tls(
    server: &Server,
    trusted: &[rustls::pki_types::CertificateDer<'static>],
) -> Result<Tls, lettre::transport::smtp::Error> {
    let parameters = || {
        let mut builder = TlsParameters::builder(server.host.clone());
        for certificate in trusted {
            builder = builder.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
        }
        builder.build_rustls()
    };
    Ok(match server.security {
        Security::None => Tls::None,
        Security::Offered => Tls::Opportunistic(parameters()?),
        Security::Required => Tls::Required(parameters()?),
        Security::Wrapped => Tls::Wrapper(parameters()?),
    })
}

/// Returns the text of an e-mail; for people it ends with the unsubscribe link.
fn text(email: &Email) -> String {
    match (&email.format, &email.unsubscribe_url) {
        (EmailFormat::Text, Some(url)) => format!(
            "{}\n\n--\nIf you wish to stop receiving notifications from this topic, please click or visit the link \
             below to unsubscribe:\n{url}\n",
            email.body
        ),
        _ => email.body.clone(),
    }
}

/// A header ends with its line, and contains no control characters.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_server_s_url_says_how_to_get_there() {
        // (URL, host, port, user, security)
        let joe = Some(("joe@example.com", "s:cret"));
        for (url, host, port, user, security) in [
            ("smtp://localhost", "localhost", 25, None, Security::Offered),
            ("smtp://localhost:1025", "localhost", 1025, None, Security::Offered),
            ("smtp://[::1]:1025?tls=none", "::1", 1025, None, Security::None),
            ("smtp://mail.example.com?tls=required", "mail.example.com", 25, None, Security::Required),
            ("smtps://mail.example.com", "mail.example.com", 465, None, Security::Wrapped),
            ("smtp://joe%40example.com:s%3Acret@mail", "mail", 587, joe, Security::Required),
            ("smtp://joe%40example.com:s%3Acret@mail?tls=opportunistic", "mail", 587, joe, Security::Offered),
            ("smtps://joe%40example.com:s%3Acret@mail:2465", "mail", 2465, joe, Security::Wrapped),
        ] {
            let server = Server::parse(url).unwrap();
            assert_eq!((server.host.as_str(), server.port, server.security), (host, port, security), "{url}");
            let got = server.user.as_ref().map(|(name, password)| (name.as_str(), password.as_str()));
            assert_eq!(got, user, "{url}");
        }
        for url in [
            "",
            "mail.example.com",
            "http://x",
            "smtp:",
            "smtp://",
            "smtp://x?tls=maybe",
            "smtps://x?tls=none",
        ] {
            assert!(Server::parse(url).is_err(), "{url}");
        }
    }

    fn composed(email: &Email, origin: &Origin) -> Result<String, String> {
        let trust = Arc::new(Trust::new(None).unwrap());
        let smtp = Smtp::new("smtp://localhost", "sns@example.com", trust).unwrap();
        smtp.compose(email, origin).map(|message| String::from_utf8(message.formatted()).unwrap())
    }

    fn email() -> Email {
        Email {
            to: "ann@example.org".into(),
            from_name: None,
            subject: None,
            body: "hello".into(),
            format: EmailFormat::Text,
            unsubscribe_url: Some("https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe".into()),
        }
    }

    #[test]
    fn an_e_mail_says_when_it_was_sent_and_is_the_same_at_each_attempt() {
        let origin = Origin {
            at_ms: 1_700_000_000_000,
            subscription_arn: Some("arn:aws:sns:us-east-1:000000000000:t:sub".into()),
            message_id: "m".into(),
            ..Origin::default()
        };
        let text = composed(&email(), &origin).unwrap();
        for line in [
            "From: \"AWS Notifications\" <sns@example.com>",
            "To: ann@example.org",
            "Subject: AWS Notification Message",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000",
            "Message-ID: <m.sub@example.com>",
            "List-Unsubscribe: <https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe>",
            "Content-Type: text/plain; charset=utf-8",
            "hello",
        ] {
            assert!(text.lines().any(|got| got == line), "{line} is missing in {text}");
        }
        assert_eq!(text, composed(&email(), &origin).unwrap());
    }

    #[test]
    fn nothing_that_a_publisher_writes_becomes_a_header() {
        let sly = Email {
            subject: Some("a\r\nBcc: bob@example.org\r\n\r\nx".into()),
            from_name: Some("b\nBcc: bob@example.org".into()),
            unsubscribe_url: Some("https://x\r\nBcc: bob@example.org".into()),
            ..email()
        };
        let origin = Origin { message_id: "m>\r\nBcc: bob@example.org".into(), ..Origin::default() };
        let text = composed(&sly, &origin).unwrap();
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{text}");
        for to in
            ["", "ann", "ann@", "ann@example.org, bob@example.org", "ann@example.org\r\nBcc: bob@example.org"]
        {
            assert!(composed(&Email { to: to.into(), ..email() }, &origin).is_err(), "{to}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_for_an_e_mail(odd in "\\PC*|.*|(\\x00|\\n|\"|<|é| ){0,40}", to in "[a-z]+@[a-z]+|.*") {
            let email = Email {
                to,
                from_name: Some(odd.clone()),
                subject: Some(odd.clone()),
                body: odd.clone(),
                unsubscribe_url: Some(odd.clone()),
                ..email()
            };
            let origin = Origin { message_id: odd.clone(), subscription_arn: Some(odd), ..Origin::default() };
            // A refusal is an acceptable result; a panic is not.
            let _ = composed(&email, &origin);
        }
    }

    #[test]
    fn only_e_mail_for_people_ends_with_a_link() {
        assert!(
            text(&email())
                .contains("unsubscribe:\nhttps://sns.us-east-1.amazonaws.com/?Action=Unsubscribe\n")
        );
        assert_eq!(text(&Email { format: EmailFormat::Json, ..email() }), "hello");
    }
}
