//! What web pages can make a browser send, and what proxies say.

use crate::server::{Server, eventually};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const EVIL: (&str, &str) = ("Origin", "https://evil.example");

#[test]
fn a_page_from_elsewhere_can_neither_ask_nor_read_nor_reset() {
    let server = Server::start(&["--virtual-clock"]);
    assert_eq!(server.query("Action=CreateQueue&QueueName=q").status, 200);
    assert_eq!(server.query("Action=SendMessage&QueueUrl=/000000000000/q&MessageBody=x").status, 200);
    let purge = "/000000000000/q?Action=PurgeQueue";
    let cross_site = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")];
    let rebound = [("Host", "evil.example:4566"), ("Origin", "http://evil.example:4566")];
    for (method, path, headers, body) in [
        ("GET", purge, &cross_site[..], ""),
        ("GET", purge, &[("Sec-Fetch-Site", "same-site")], ""),
        ("GET", purge, &[EVIL], ""),
        ("GET", purge, &[("Host", "evil.example:4566")], ""),
        ("POST", "/", &[EVIL, FORM], "Action=PurgeQueue&QueueUrl=/000000000000/q"),
        ("POST", "/", &[("Origin", "null"), FORM], "Action=PurgeQueue&QueueUrl=/000000000000/q"),
        ("POST", "/", &rebound, ""),
        ("OPTIONS", "/", &[EVIL, ("Access-Control-Request-Method", "POST")], ""),
        ("POST", "/_posthaste/reset", &[EVIL], ""),
        ("POST", "/_posthaste/reset", &cross_site, ""),
        ("POST", "/_posthaste/clock", &[EVIL], "{\"advance\":\"1h\"}"),
        ("POST", "/_posthaste/sms", &[EVIL], "{}"),
        ("POST", "/_localstack/state/reset", &[EVIL], ""),
        ("GET", "/_localstack/health", &[EVIL], ""),
        ("GET", "/_posthaste/health", &cross_site, ""),
        ("GET", "/_posthaste/failures", &rebound, ""),
        ("GET", "/_posthaste/outbox", &rebound, ""),
        ("DELETE", "/_posthaste/outbox", &[EVIL], ""),
        ("GET", "/_aws/sqs/messages?QueueUrl=/000000000000/q", &[EVIL], ""),
    ] {
        let answer = server.ask(method, path, headers, body);
        assert_eq!(answer.status, 403, "{method} {path} {headers:?}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    let told = server.ask("POST", "/", &[EVIL, FORM], "Action=ListQueues").body;
    assert!(
        told.contains("<Code>AccessDenied</Code>") && told.contains("--allow-origin https://evil.example"),
        "{told}"
    );
    let headers = [("Host", "queue:4566"), ("X-Amz-Target", "AmazonSQS.ListQueues")];
    let told = server.ask("POST", "/", &headers, "{}").body;
    assert!(told.contains("AccessDeniedException") && told.contains("--allow-host queue"), "{told}");

    let received = server.query("Action=ReceiveMessage&QueueUrl=/000000000000/q");
    assert!(received.body.contains("<Body>x</Body>"), "nothing was purged: {received:?}");
}

#[test]
fn pages_and_names_that_were_named_are_let_in() {
    let options = ["--allow-origin", "http://localhost:3000", "--allow-host", "queues.test,*.dev.test"];
    let server = Server::start(&options);
    let page = ("Origin", "http://localhost:3000");
    let preflight =
        server.ask("OPTIONS", "/", &[page, ("Access-Control-Request-Headers", "x-amz-target")], "");
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("x-amz-target"));
    let answer = server.ask("POST", "/", &[page, FORM], "Action=ListQueues");
    assert_eq!((answer.status, answer.header("vary")), (200, Some("origin")));
    for host in ["queues.test", "a.dev.test:80"] {
        assert_eq!(server.ask("POST", "/", &[("Host", host), FORM], "Action=ListQueues").status, 200);
    }
    assert_eq!(server.ask("POST", "/", &[EVIL, FORM], "Action=ListQueues").status, 403);
    assert_eq!(server.sqs("ListQueues", "{}").status, 200);
}

#[test]
fn a_link_of_an_e_mail_works_from_any_page() {
    let server = Server::start(&[]);
    server.query("Action=CreateTopic&Name=t&Version=2010-03-31");
    let topic = "arn:aws:sns:us-east-1:000000000000:t";
    server.query(&format!(
        "Action=Subscribe&TopicArn={topic}&Protocol=email&Endpoint=a%40example.org&Version=2010-03-31"
    ));
    // The e-mail goes out after the answer.
    let link = eventually(|| {
        let outbox = server.ask("GET", "/_posthaste/outbox", &[], "").body;
        Some(outbox.split("\"subscribe_url\":\"").nth(1)?.split('"').next()?.to_owned())
    });
    let path = link.strip_prefix(&format!("http://{}", server.address)).unwrap();
    let mail_program = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
    let answer = server.ask("GET", path, &mail_program, "");
    assert!(answer.status == 200 && answer.body.contains("<SubscriptionArn>"), "{answer:?}");
}

#[test]
fn behind_a_proxy_urls_are_the_proxy_s() {
    let forwarded = [
        FORM,
        ("X-Forwarded-Host", "sqs.example.com"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "8443"),
    ];
    let create = "Action=CreateQueue&QueueName=q";
    let server = Server::start(&["--allow-host", "sqs.example.com"]);
    let answer = server.ask("POST", "/", &forwarded, create);
    assert!(
        answer.body.contains("<QueueUrl>https://sqs.example.com:8443/000000000000/q</QueueUrl>"),
        "{answer:?}"
    );
    server.query("Action=CreateTopic&Name=t&Version=2010-03-31");
    let subscribe = "Action=Subscribe&TopicArn=arn:aws:sns:us-east-1:000000000000:t&Protocol=email-json&\
                     Endpoint=a%40example.org&Version=2010-03-31";
    assert_eq!(server.ask("POST", "/", &forwarded, subscribe).status, 200);
    // It is signed, and the key is only made now.
    let parcel = eventually(|| {
        let outbox = server.ask("GET", "/_posthaste/outbox", &[], "").body;
        outbox.contains("SigningCertURL").then_some(outbox)
    });
    for url in [
        "SigningCertURL\\\":\\\"https://sqs.example.com:8443/Simple",
        "SubscribeURL\\\":\\\"https://sqs.example.com:8443/?",
    ] {
        assert!(parcel.replace("\\\" : \\\"", "\\\":\\\"").contains(url), "{parcel}");
    }

    let told = Server::start(&["--public-url", "https://queues.example.com/"]);
    for headers in [&[FORM][..], &[FORM, ("Host", "queues.example.com")]] {
        let answer = told.ask("POST", "/", headers, create);
        assert!(
            answer.body.contains("<QueueUrl>https://queues.example.com/000000000000/q</QueueUrl>"),
            "{answer:?}"
        );
    }
    assert_eq!(told.ask("POST", "/", &forwarded, create).status, 403, "nobody has named that proxy");
}
