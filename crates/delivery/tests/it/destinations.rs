//! Requests to API destinations.

use std::time::Duration;

use bytes::Bytes;
use delivery::{
    Carrier, Cause, Guard, HttpRequest, Origin, Outcome, Parcel, Payload, Settings, TokenRequest, WebRequest,
};

use crate::receiver::{Answer, Receiver};

fn carrier() -> Carrier {
    Carrier::new(Settings::default()).unwrap()
}

fn request(url: &str, token: Option<TokenRequest>) -> HttpRequest {
    HttpRequest {
        destination_arn: "arn:aws:events:r:1:api-destination/n/u".into(),
        request: WebRequest {
            method: "PATCH".into(),
            url: url.into(),
            headers: vec![("X-Key".into(), "s3cret".into()), ("Connection".into(), "close".into())],
            body: Bytes::from_static(b"{}"),
        },
        token,
    }
}

fn token(url: &str, version: u64) -> Option<TokenRequest> {
    let request = WebRequest {
        method: "POST".into(),
        url: url.into(),
        headers: vec![("content-type".into(), "application/x-www-form-urlencoded".into())],
        body: Bytes::from_static(b"client_secret=s3cret"),
    };
    Some(TokenRequest { owner: 1, version, request })
}

fn granted(token: &str, expires: u64) -> Answer {
    let body = format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{expires}}}"#);
    Answer::Write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

async fn send(carrier: &Carrier, request: HttpRequest) -> Outcome {
    carrier.carry(&Parcel { origin: Origin::default(), payload: Payload::Request(request) }).await
}

const DELIVERED: Outcome = Outcome::Delivered { status: Some(200) };

fn authorizations(receiver: &Receiver) -> Vec<String> {
    let all = receiver.received();
    all.iter().map(|it| it.header("authorization").unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_request_has_its_method_headers_and_body() {
    let receiver = Receiver::start(vec![Answer::status(200)]).await;
    let request = request(&receiver.url(), None);
    assert_eq!(send(&carrier(), request.clone()).await, DELIVERED);
    let received = &receiver.received()[0];
    assert!(received.head.starts_with("PATCH /hook?a=b HTTP/1.1\r\n"), "{}", received.head);
    assert_eq!(received.header("x-key"), Some("s3cret"));
    assert_eq!(received.header("connection"), Some("close"));
    assert_eq!(received.header("content-length"), Some("2"));
    assert_eq!(received.header("user-agent"), None, "nothing is added");
    let payload = Payload::Request(request);
    assert_eq!(
        (payload.protocol(), payload.endpoint()),
        ("api-destination", "arn:aws:events:r:1:api-destination/n/u")
    );
    assert!(!format!("{payload:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_token_is_fetched_once_and_kept() {
    let receiver = Receiver::start(vec![Answer::status(200)]).await;
    let auth = Receiver::start(vec![granted("one", 3600), granted("two", 30), granted("three", 3600)]).await;
    let carrier = carrier();
    let at_version = |version| request(&receiver.url(), token(&auth.url(), version));
    // Many at once wait for the same token.
    let all = tokio::join!(
        send(&carrier, at_version(1)),
        send(&carrier, at_version(1)),
        send(&carrier, at_version(1)),
    );
    assert_eq!(all, (DELIVERED, DELIVERED, DELIVERED));
    assert_eq!(auth.received().len(), 1);
    assert_eq!(auth.received()[0].body, "client_secret=s3cret");
    assert_eq!(authorizations(&receiver), ["Bearer one"; 3]);
    // With other credentials it is another token; one that expires within a minute is used once.
    assert_eq!(send(&carrier, at_version(2)).await, DELIVERED);
    assert_eq!(send(&carrier, at_version(2)).await, DELIVERED);
    assert_eq!(authorizations(&receiver)[3..], ["Bearer two", "Bearer three"]);
    assert_eq!(carrier.authorize(&token(&auth.url(), 2).unwrap()).await, Ok(()));
    assert_eq!(auth.received().len(), 3);
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let receiver = Receiver::start(vec![Answer::status(401), Answer::status(200), Answer::status(407)]).await;
    let auth = Receiver::start(vec![granted("old", 3600), granted("new", 3600)]).await;
    let carrier = carrier();
    assert_eq!(send(&carrier, request(&receiver.url(), token(&auth.url(), 1))).await, DELIVERED);
    assert_eq!(authorizations(&receiver), ["Bearer old", "Bearer new"]);
    let outcome = send(&carrier, request(&receiver.url(), token(&auth.url(), 1))).await;
    let Outcome::Failed { permanent, status, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((permanent, status), (false, Some(407)));
    assert_eq!(auth.received().len(), 3);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let receiver = Receiver::start(vec![Answer::status(200)]).await;
    let empty = Answer::Write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".into());
    let endless = "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n".to_owned() + &"x".repeat(100_000);
    for (answer, text) in [
        (Answer::status(400), "400"),
        (empty, "has no token"),
        (granted("a\\nb", 1), "has no token"),
        (Answer::Write(endless), "longer than"),
    ] {
        let auth = Receiver::start(vec![answer]).await;
        let carrier = carrier();
        let outcome = send(&carrier, request(&receiver.url(), token(&auth.url(), 1))).await;
        let Outcome::Failed { permanent, status, reason, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!((permanent, status), (false, None));
        assert!(reason.contains(text) && !reason.contains("s3cret"), "{reason}");
        assert!(carrier.authorize(&token(&auth.url(), 1).unwrap()).await.is_err());
    }
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn who_waits_for_a_token_shares_its_failure() {
    let auth = Receiver::start(vec![Answer::Stall(String::new())]).await;
    let carrier = carrier();
    let begun = tokio::time::Instant::now();
    let wanted = request("http://127.0.0.1:1/", token(&auth.url(), 1));
    let all = tokio::join!(
        send(&carrier, wanted.clone()),
        send(&carrier, wanted.clone()),
        send(&carrier, wanted.clone()),
    );
    for outcome in [all.0, all.1, all.2] {
        let Outcome::Failed { permanent: false, cause, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(cause, Cause::TimedOut);
    }
    assert_eq!(auth.received().len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(10), "one after the other they would wait longer");
    tokio::time::resume();
}

#[tokio::test]
async fn an_endpoint_has_five_seconds_and_is_guarded() {
    let receiver = Receiver::start(vec![Answer::Stall(String::new())]).await;
    let carrier_of_all = carrier();
    let outcome = send(&carrier_of_all, request(&receiver.url(), None)).await;
    let Outcome::Failed { permanent: false, cause, reason, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((cause, &*reason), (Cause::TimedOut, "the endpoint did not answer within 5 s"));
    tokio::time::resume();
    let guarded = Carrier::new(Settings { guard: Guard::Neighbours, ..Settings::default() }).unwrap();
    for request in
        [request("http://127.0.0.1:1/", None), request("http://h/", token("http://127.0.0.1:1/", 1))]
    {
        let outcome = send(&guarded, request).await;
        let Outcome::Failed { permanent: true, .. } = outcome else { panic!("{outcome:?}") };
    }
    let later = "HTTP/1.1 503 X\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n";
    let receiver = Receiver::start(vec![Answer::Write(later.into())]).await;
    let outcome = send(&carrier_of_all, request(&receiver.url(), None)).await;
    let Outcome::Failed { retry_after, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
}
