//! After a restart: the queue of the last load must have the whole archive, each message once and in order.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use conformance_crash::http::{Client, Failure};
use conformance_crash::patience::Patience;
use serde_json::{Value, json};

use crate::load::{self, Ledger, PUBLISHERS, lock};

/// How long nothing may come while something is missing: a replay waits for the disk.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a queue has given of each publisher.
#[derive(Default)]
pub struct Seen([u64; PUBLISHERS]);

impl Seen {
    /// A message came. Errors: it is not the next one of its publisher.
    fn take(&mut self, body: &str) -> Result<(), String> {
        let mut words = body.split(' ').map(str::parse::<u64>);
        let (Some(Ok(publisher)), Some(Ok(number))) = (words.next(), words.next()) else {
            return Err(format!("nobody has published {body:?}"));
        };
        let next = self.0.get_mut(publisher as usize).ok_or("there is no such publisher")?;
        if number != *next {
            return Err(format!("of publisher {publisher} came {number}, and {next} was the next"));
        }
        *next += 1;
        Ok(())
    }

    /// Whether all is there that was acknowledged. Errors: something is there that nobody has published.
    fn is_complete(&self, ledger: &Ledger) -> Result<bool, String> {
        for publisher in 0..PUBLISHERS {
            let most = ledger.acknowledged[publisher] + u64::from(ledger.in_doubt[publisher]);
            if self.0[publisher] > most {
                return Err(format!(
                    "publisher {publisher} has published {most}, and {} came",
                    self.0[publisher]
                ));
            }
        }
        Ok((0..PUBLISHERS).all(|publisher| self.0[publisher] >= ledger.acknowledged[publisher]))
    }
}

/// Receives the queue of a trial empty.
pub fn run(address: SocketAddr, trial: u32, ledger: &Mutex<Ledger>) -> Result<(), String> {
    let mut client = Client::new(address);
    let url = format!("http://localhost/000000000000/{}", load::queue(trial));
    let (mut seen, mut patience) = (Seen::default(), Patience::new(PATIENCE));
    loop {
        let bodies =
            receive(&mut client, &url).map_err(|failure| format!("the audit failed: {failure:?}"))?;
        for body in &bodies {
            seen.take(body)?;
        }
        lock(ledger).audited += bodies.len() as u64;
        if !bodies.is_empty() {
            patience = Patience::new(PATIENCE);
            continue;
        }
        // Empty twice: what is in doubt had its time.
        if seen.is_complete(&lock(ledger).clone())? {
            break;
        }
        if patience.is_over() {
            return Err(format!("{:?} came, and the publishers were told {:?}", seen.0, lock(ledger)));
        }
    }
    load::forget(&mut client, trial)
}

/// The next messages of a queue, which are deleted.
pub fn receive(client: &mut Client, url: &str) -> Result<Vec<String>, Failure> {
    let input = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1 });
    let answer = client.call("ReceiveMessage", &input)?;
    let messages = answer["Messages"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |message: &Value, name: &str| message[name].as_str().unwrap_or_default().to_owned();
    let entries: Vec<Value> = { messages.iter().enumerate() }
        .map(|(n, message)| json!({ "Id": n.to_string(), "ReceiptHandle": text(message, "ReceiptHandle") }))
        .collect();
    if !entries.is_empty() {
        client.call("DeleteMessageBatch", &json!({ "QueueUrl": url, "Entries": entries }))?;
    }
    Ok(messages.iter().map(|message| text(message, "Body")).collect())
}

/// Feeds the checker a good history and doctored ones; gives how many of the latter it noticed, all of them, or what it
/// failed to notice.
pub fn test() -> Result<usize, String> {
    let ledger = Ledger { acknowledged: [2, 1, 0], in_doubt: [false, true, false], audited: 0 };
    let verdict = |bodies: &[&str]| {
        let mut seen = Seen::default();
        bodies.iter().try_for_each(|body| seen.take(body))?;
        seen.is_complete(&ledger)
    };
    for good in [&["0 0 x", "1 0 ", "0 1 x"][..], &["0 0 ", "0 1 ", "1 0 ", "1 1 "]] {
        if verdict(good) != Ok(true) {
            return Err(format!("it complains of {good:?}"));
        }
    }
    let doctored: [(&str, &[&str]); 6] = [
        ("a missing message", &["0 0 ", "0 1 "]),
        ("a gap", &["0 1 ", "1 0 "]),
        ("a message twice", &["0 0 ", "0 0 ", "0 1 ", "1 0 "]),
        ("a wrong order", &["0 1 ", "0 0 ", "1 0 "]),
        ("a message that nobody has published", &["0 0 ", "0 1 ", "1 0 ", "2 0 "]),
        ("a strange body", &["0 0 ", "x"]),
    ];
    match doctored.iter().find(|(_, bodies)| verdict(bodies) == Ok(true)) {
        Some((what, _)) => Err(format!("it did not notice {what}")),
        None => Ok(doctored.len()),
    }
}
