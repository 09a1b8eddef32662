//! Data keys from AWS KMS: as its API gives them, when its keys are rotated, and when it is away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use toolkit::Clients;
use toolkit::body::{Attributes, BodyStep};
use toolkit::crypto::{Encryption, KmsKeys};

/// A stand-in for KMS: two operations of its API, and what it has wrapped under which key.
#[derive(Clone, Default)]
struct Kms {
    wrapped: Arc<Mutex<HashMap<String, (String, String)>>>,
}

impl Kms {
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let kms = self.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(kms.clone().serve(connection));
            }
        });
        address
    }

    async fn serve(self, connection: TcpStream) {
        let mut connection = BufReader::new(connection);
        loop {
            let (mut operation, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if connection.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                let line = line.trim().to_ascii_lowercase();
                match line.split_once(": ") {
                    Some(("x-amz-target", target)) => target.clone_into(&mut operation),
                    Some(("content-length", text)) => length = text.parse().unwrap(),
                    _ if line.is_empty() => break,
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            connection.read_exact(&mut body).await.unwrap();
            let (status, answer) = self.answer(&operation, &serde_json::from_slice(&body).unwrap());
            let answer = answer.to_string();
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            connection.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
        }
    }

    fn answer(&self, operation: &str, input: &Value) -> (u16, Value) {
        let key = input["KeyId"].as_str().unwrap().to_owned();
        let mut wrapped = self.wrapped.lock().unwrap();
        match operation {
            "trentservice.generatedatakey" => {
                let plain = BASE64.encode([u8::try_from(wrapped.len()).unwrap(); 32]);
                let blob = BASE64.encode(format!("blob {}", wrapped.len()));
                wrapped.insert(blob.clone(), (key.clone(), plain.clone()));
                let arn = format!("arn:aws:kms:us-east-1:000000000000:key/{key}");
                (200, json!({ "KeyId": arn, "Plaintext": plain, "CiphertextBlob": blob }))
            }
            "trentservice.decrypt" => match wrapped.get(input["CiphertextBlob"].as_str().unwrap()) {
                Some((own, plain)) if *own == key => (200, json!({ "KeyId": key, "Plaintext": plain })),
                Some(_) => (400, json!({ "__type": "IncorrectKeyException", "message": "another key" })),
                None => (400, json!({ "__type": "InvalidCiphertextException", "message": "not ours" })),
            },
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_body_sealed_by_kms_is_opened_by_it_also_when_its_key_is_an_older_one() {
    let kms = Kms::default();
    let config = Clients::local(&kms.listen().await).await.config;
    let none = Attributes::new();
    let before = Encryption::new(KmsKeys::new(&config, "old"));
    let sealed = before.outgoing("hello".to_owned(), &mut Attributes::new()).await.unwrap();
    assert!(sealed.contains("key/old") && !sealed.contains("hello"), "{sealed}");

    let after = Encryption::new(KmsKeys::new(&config, "new").older("old"));
    assert_eq!(after.incoming(sealed.clone(), &none).await.unwrap(), "hello");
    let next = after.outgoing("again".to_owned(), &mut Attributes::new()).await.unwrap();
    assert!(next.contains("key/new"), "{next}");
    // One who may use the new key only.
    let stranger = Encryption::new(KmsKeys::new(&config, "new"));
    let refused = stranger.incoming(sealed.clone(), &none).await.unwrap_err();
    assert!(!refused.retryable && refused.why.contains("none of the known keys"), "{refused}");
    // What KMS has not wrapped.
    kms.wrapped.lock().unwrap().clear();
    let refused = stranger.incoming(sealed.clone(), &none).await.unwrap_err();
    assert!(!refused.retryable && refused.why.contains("InvalidCiphertext"), "{refused}");

    // Where nobody answers, the message is to come again.
    let nobody = Clients::local("http://127.0.0.1:9").await.config;
    let away = Encryption::new(KmsKeys::new(&nobody, "new"));
    assert!(away.incoming(sealed, &none).await.unwrap_err().retryable);
}
