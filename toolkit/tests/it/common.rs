//! What the tests share: a message, a server, a look into a queue, a sink that fails on demand.

use std::sync::Mutex;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use toolkit::publisher::{Prepared, QueueSink, Receipt, Sink};
use toolkit::testing::Server;
use toolkit::{Clients, Envelope, Fault, Message, Queue, QueueSpec};

/// A numbered message.
#[derive(Clone, Serialize, Deserialize, Debug, PartialEq, Eq)]
pub struct Step {
    pub number: u32,
}

impl Message for Step {
    const TYPES: &'static [&'static str] = &["step"];
}

pub async fn server() -> (Server, Clients) {
    let server = Server::in_memory().unwrap();
    let clients = server.clients().await;
    (server, clients)
}

pub async fn queue(clients: &Clients, name: &str) -> Queue {
    QueueSpec::new(name).ensure(clients).await.unwrap()
}

/// Takes everything out of a queue, in the order it comes.
pub async fn drain(clients: &Clients, queue: &Queue) -> Vec<Envelope<Step>> {
    let mut all = Vec::new();
    loop {
        let received = receive(clients, queue).await;
        if received.is_empty() {
            return all;
        }
        for message in received {
            all.push(Envelope::decode(message.body().unwrap()).unwrap());
            let receipt = message.receipt_handle().unwrap();
            clients.sqs.delete_message().queue_url(&queue.url).receipt_handle(receipt).send().await.unwrap();
        }
    }
}

/// One receive with all that can be known.
pub async fn receive(clients: &Clients, queue: &Queue) -> Vec<aws_sdk_sqs::types::Message> {
    let call = clients.sqs.receive_message().queue_url(&queue.url).max_number_of_messages(10);
    let call = call
        .message_attribute_names("All")
        .message_system_attribute_names(aws_sdk_sqs::types::MessageSystemAttributeName::All);
    call.send().await.unwrap().messages.unwrap_or_default()
}

pub fn numbers(envelopes: &[Envelope<Step>]) -> Vec<u32> {
    envelopes.iter().map(|envelope| envelope.data.number).collect()
}

/// What a [`Faulty`] sink does with a request: given its number from 0 and its messages.
pub type Whim = dyn FnMut(usize, &[&Prepared]) -> Trouble + Send;

/// What goes wrong with a request.
pub enum Trouble {
    /// Nothing.
    None,
    /// It never arrives.
    Lost,
    /// It is refused as a whole, for good.
    Refused,
    /// It arrives, and its answer does not.
    AnswerLost,
    /// These entries are refused; whether for good is said beside.
    Entries(Vec<usize>, bool),
}

/// A queue behind a bad connection.
pub struct Faulty {
    pub inner: QueueSink,
    pub whim: Mutex<(usize, Box<Whim>)>,
}

impl Faulty {
    pub fn new(
        clients: &Clients,
        queue: &Queue,
        whim: impl FnMut(usize, &[&Prepared]) -> Trouble + Send + 'static,
    ) -> Faulty {
        let inner = QueueSink { sqs: clients.sqs.clone(), url: queue.url.clone() };
        Faulty { inner, whim: Mutex::new((0, Box::new(whim))) }
    }
}

#[async_trait]
impl Sink for Faulty {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn is_fifo(&self) -> bool {
        self.inner.is_fifo()
    }
    fn max_bytes(&self) -> usize {
        self.inner.max_bytes()
    }
    async fn send(&self, batch: &[&Prepared]) -> Result<Vec<Result<Receipt, Fault>>, Fault> {
        let trouble = {
            let mut whim = self.whim.lock().unwrap();
            let number = whim.0;
            whim.0 += 1;
            (whim.1)(number, batch)
        };
        match trouble {
            Trouble::None => self.inner.send(batch).await,
            Trouble::Lost => Err(Fault::passing("Connection", "lost")),
            Trouble::Refused => Err(Fault::permanent("InvalidParameterValue", "no")),
            Trouble::AnswerLost => {
                self.inner.send(batch).await?;
                Err(Fault::passing("Connection", "the answer was lost"))
            }
            Trouble::Entries(bad, for_good) => {
                let good: Vec<&Prepared> =
                    batch.iter().enumerate().filter(|(n, _)| !bad.contains(n)).map(|(_, m)| *m).collect();
                let mut sent = match good.is_empty() {
                    true => Vec::new(),
                    false => self.inner.send(&good).await?,
                }
                .into_iter();
                let fault = match for_good {
                    true => Fault::permanent("InvalidMessageContents", "no"),
                    false => Fault::passing("InternalError", "later"),
                };
                let result = |n| if bad.contains(&n) { Err(fault.clone()) } else { sent.next().unwrap() };
                Ok((0..batch.len()).map(result).collect())
            }
        }
    }
}
