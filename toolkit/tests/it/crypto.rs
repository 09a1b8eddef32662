//! Sealed and signed bodies: readable by the right readers only, whatever is done to them on the way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use toolkit::body::{Attribute, Attributes, BodyStep};
use toolkit::consumer::{CATEGORY, ConsumerSettings, Delivery, REASON};
use toolkit::crypto::{
    AuditAction, AuditEvent, Encryption, KeyProvider, LocalKeys, SIGNATURE, SIGNATURE_KEY, Signatory,
    Signing, SigningKeys,
};
use toolkit::{Consumer, Publisher, QueueSpec};

use crate::common::{Step, receive, server};

const SECRET: &[u8] = b"a secret that is thirty-two bytes";

fn signing() -> Signing {
    let keys = SigningKeys::new().hmac("h-1", SECRET).unwrap();
    Signing::new(keys).sign_as(Signatory::hmac("h-1", SECRET).unwrap())
}

#[tokio::test]
async fn bodies_are_sealed_and_signed_on_their_way_and_strangers_become_dead_letters() {
    let (_server, clients) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    LocalKeys::rotate(&path, "old").unwrap();
    let queue = QueueSpec::new("q").dead_letters("dead", 10).ensure(&clients).await.unwrap();
    let sealing = |path| Encryption::new(LocalKeys::read(path).unwrap());
    let before = Publisher::queue(&clients, &queue).step(signing()).step(sealing(&path));
    before.publish(Step { number: 1 }).await.unwrap();
    // The keys are rotated while the message is under way.
    LocalKeys::rotate(&path, "new").unwrap();
    assert!(LocalKeys::rotate(&path, "new").is_err());
    let after = Publisher::queue(&clients, &queue).step(signing()).step(sealing(&path));
    after.publish(Step { number: 2 }).await.unwrap();
    for message in receive(&clients, &queue).await {
        assert!(!message.body().unwrap().contains("number"));
        let receipt = message.receipt_handle().unwrap();
        let call = clients.sqs.change_message_visibility().queue_url(&queue.url).receipt_handle(receipt);
        call.visibility_timeout(0).send().await.unwrap();
    }
    // One that is not sealed, one that is sealed and not signed.
    Publisher::queue(&clients, &queue).publish(Step { number: 3 }).await.unwrap();
    Publisher::queue(&clients, &queue).step(sealing(&path)).publish(Step { number: 4 }).await.unwrap();

    let audited: Arc<Mutex<Vec<AuditEvent>>> = Arc::default();
    let hook = {
        let audited = audited.clone();
        move |event: &AuditEvent| audited.lock().unwrap().push(event.clone())
    };
    let seen: Arc<Mutex<Vec<u32>>> = Arc::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery<Step>| {
            seen.lock().unwrap().push(delivery.data().number);
            async {}
        }
    };
    let settings = ConsumerSettings { wait: Duration::from_secs(1), ..ConsumerSettings::default() };
    let consumer = Consumer::new(&clients, &queue).settings(settings);
    let running = consumer.step(signing()).step(sealing(&path).audit(hook)).start(handler).await.unwrap();
    while running.counts().deleted < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.shutdown().await;
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
    let mut opened: Vec<String> = audited.lock().unwrap().iter().map(|event| event.key_id.clone()).collect();
    opened.sort_unstable();
    assert_eq!(opened, ["new", "new", "old"]);
    assert!(audited.lock().unwrap().iter().all(|event| event.action == AuditAction::Decrypt));
    let dead = clients.queue("dead").await.unwrap();
    let mut reasons = Vec::new();
    while reasons.len() < 2 {
        for letter in receive(&clients, &dead).await {
            let attributes = letter.message_attributes().unwrap();
            assert_eq!(attributes[CATEGORY].string_value(), Some("unreadable"));
            reasons.push(attributes[REASON].string_value().unwrap().to_owned());
        }
    }
    reasons.sort_unstable();
    assert_eq!(reasons, ["the body is not encrypted", "there is no key "]);
}

#[tokio::test]
async fn no_byte_of_a_sealed_body_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    LocalKeys::rotate(&path, "k").unwrap();
    let encryption = Encryption::new(LocalKeys::read(&path).unwrap());
    let none = Attributes::new();
    let sealed = encryption.outgoing("the amount is 5".to_owned(), &mut Attributes::new()).await.unwrap();
    assert_eq!(encryption.incoming(sealed.clone(), &none).await.unwrap(), "the amount is 5");
    for place in 0..sealed.len() {
        let mut changed = sealed.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(encryption.incoming(changed, &none).await.is_err(), "byte {place}");
    }
    // A reader with other keys of the same name.
    let other = folder.path().join("other.json");
    LocalKeys::rotate(&other, "k").unwrap();
    let stranger = Encryption::new(LocalKeys::read(&other).unwrap());
    assert!(stranger.incoming(sealed, &none).await.is_err());
}

#[tokio::test]
async fn a_signature_fits_one_body_and_one_key() {
    let (private, public) = SigningKeys::generate_ed25519().unwrap();
    let (_, other) = SigningKeys::generate_ed25519().unwrap();
    let keys = SigningKeys::new().ed25519("e-1", &public).unwrap().hmac("h-1", SECRET).unwrap();
    let shop = Signing::new(keys).sign_as(Signatory::ed25519("e-1", &private).unwrap());
    let mut attributes = Attributes::new();
    let body = shop.outgoing("pay 5".to_owned(), &mut attributes).await.unwrap();
    assert!(shop.incoming(body.clone(), &attributes).await.is_ok());
    assert!(shop.incoming("pay 6".to_owned(), &attributes).await.is_err());
    let strangers = Signing::new(SigningKeys::new().ed25519("e-1", &other).unwrap());
    assert!(strangers.incoming(body.clone(), &attributes).await.is_err());
    assert!(
        strangers.outgoing(body.clone(), &mut Attributes::new()).await.is_err(),
        "it has no key to sign with"
    );
    // The same bytes under a key of another kind.
    attributes.insert(SIGNATURE_KEY.to_owned(), Attribute::from("h-1"));
    assert!(shop.incoming(body.clone(), &attributes).await.is_err());
    attributes.remove(SIGNATURE);
    assert!(shop.incoming(body, &attributes).await.is_err());
    assert!(SigningKeys::new().hmac("short", b"short").is_err());
}

#[tokio::test]
async fn programs_that_run_take_up_a_rotated_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    LocalKeys::rotate(&path, "old").unwrap();
    let provider = LocalKeys::read(&path).unwrap();
    assert_eq!(provider.new_data_key().await.unwrap().key_id, "old");
    let reader = Encryption::new(LocalKeys::read(&path).unwrap());
    LocalKeys::rotate(&path, "new").unwrap();
    // Another process has been started since.
    let other = Encryption::new(LocalKeys::read(&path).unwrap());
    let sealed = other.outgoing("hello".to_owned(), &mut Attributes::new()).await.unwrap();
    assert!(sealed.contains("\"new\""), "{sealed}");
    assert_eq!(reader.incoming(sealed, &Attributes::new()).await.unwrap(), "hello");
    assert_eq!(provider.new_data_key().await.unwrap().key_id, "new");
    // Half a file, or none, is no reason to forget what is known.
    std::fs::write(&path, "{").unwrap();
    assert_eq!(provider.new_data_key().await.unwrap().key_id, "new");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(provider.new_data_key().await.unwrap().key_id, "new");
}

#[tokio::test]
async fn each_use_of_a_key_is_an_audit_event_and_each_refusal_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    LocalKeys::rotate(&path, "k").unwrap();
    let events: Arc<Mutex<Vec<AuditEvent>>> = Arc::default();
    let hook = || {
        let events = events.clone();
        move |event: &AuditEvent| events.lock().unwrap().push(event.clone())
    };
    let signing = signing().audit(hook());
    let sealing = Encryption::new(LocalKeys::read(&path).unwrap()).audit(hook());
    let mut attributes = Attributes::new();
    let signed = signing.outgoing("pay 5".to_owned(), &mut attributes).await.unwrap();
    let sealed = sealing.outgoing(signed, &mut attributes).await.unwrap();
    let opened = sealing.incoming(sealed.clone(), &attributes).await.unwrap();
    signing.incoming(opened, &attributes).await.unwrap();
    // Somebody changes the amount, and somebody seals with a key of his own.
    assert!(signing.incoming("pay 500".to_owned(), &attributes).await.is_err());
    let foreign = sealed.replace("\"k\"", "\"other\"");
    assert!(sealing.incoming(foreign, &attributes).await.is_err());
    let seen: Vec<(AuditAction, String, bool)> = events
        .lock()
        .unwrap()
        .iter()
        .map(|event| (event.action, event.key_id.clone(), event.refused.is_some()))
        .collect();
    let expected = [
        (AuditAction::Sign, "h-1", false),
        (AuditAction::Encrypt, "k", false),
        (AuditAction::Decrypt, "k", false),
        (AuditAction::Verify, "h-1", false),
        (AuditAction::Verify, "h-1", true),
        (AuditAction::Decrypt, "other", true),
    ];
    assert_eq!(seen, expected.map(|(action, key, refused)| (action, key.to_owned(), refused)));
}
