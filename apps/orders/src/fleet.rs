//! The system as processes that can be killed: a server, and a process for each service.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use toolkit::Clients;
use toolkit::health::{HealthCheck, Thresholds};
use toolkit::testing::Server;

use crate::audit::Books;
use crate::model::now_ms;
use crate::places::{Conduct, DEAD_LETTERS, Events, People, Places};
use crate::services::{Error, Service};
use crate::store::Stores;
use crate::waiting::{Unrest, wait};

/// Server and services, each a process. All end with this value.
pub struct Fleet {
    server: Option<Server>,
    /// Where the server listens, or [`AWS`].
    endpoint: String,
    /// Clients of it.
    pub clients: Clients,
    /// The queues and topics.
    pub places: Places,
    /// The databases.
    pub stores: Stores,
    queues: HealthCheck,
    graves: HealthCheck,
    arguments: Vec<String>,
    services: BTreeMap<Service, Child>,
}

/// Whom to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// A service.
    Service(Service),
    /// The server.
    Server,
}

impl std::fmt::Display for Victim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Victim::Service(service) => write!(f, "{service}"),
            Victim::Server => f.write_str("server"),
        }
    }
}

impl Fleet {
    /// Starts all of it. Without an endpoint, a server of its own, whose data goes with it. `arguments` go to the services.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(
        endpoint: Option<String>,
        stores: &Stores,
        (events, workflow): (Events, Conduct),
        mut arguments: Vec<String>,
    ) -> Result<Fleet, Error> {
        std::fs::create_dir_all(&stores.folder)?;
        let server = match endpoint {
            Some(_) => None,
            None => Some(Server::on_disk()?),
        };
        let said = endpoint.as_deref().or(server.as_ref().map(Server::endpoint));
        let endpoint = said.unwrap_or(AWS).to_owned();
        let clients = clients(&endpoint).await;
        let places = Places::ensure(&clients, &People::default(), events).await?;
        let (mut queues, mut graves) = (HealthCheck::new(&clients), HealthCheck::new(&clients));
        for (queue, dead) in DEAD_LETTERS {
            queues = queues.queue(&clients.queue(queue).await?, Thresholds::default());
            graves = graves.queue(&clients.queue(dead).await?, Thresholds { degraded: 1, unhealthy: 100 });
        }
        if events == Events::Eventbridge {
            arguments.extend(["--events", "eventbridge"].map(str::to_owned));
        }
        if workflow == Conduct::Stepfunctions {
            arguments.extend(["--workflow", "stepfunctions"].map(str::to_owned));
        }
        let (stores, services) = (stores.clone(), BTreeMap::new());
        let mut fleet =
            Fleet { server, endpoint, clients, places, stores, queues, graves, arguments, services };
        for service in Service::ALL {
            fleet.launch(service).await?;
        }
        Ok(fleet)
    }

    /// Whether the server is this fleet's own, and can be killed.
    pub fn owns_server(&self) -> bool {
        self.server.is_some()
    }

    /// `kill -9`.
    pub async fn kill(&mut self, victim: Victim) {
        match victim {
            Victim::Server => {
                if let Some(server) = &mut self.server {
                    server.kill();
                }
            }
            Victim::Service(service) => {
                if let Some(mut child) = self.services.remove(&service) {
                    // It may have ended by itself; then there is nothing to kill.
                    let _ = child.kill().await;
                }
            }
        }
    }

    /// Starts again what was killed.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn revive(&mut self, victim: Victim) -> Result<(), Error> {
        match victim {
            Victim::Server => match &mut self.server {
                Some(server) => Ok(server.restart()?),
                None => Ok(()),
            },
            Victim::Service(service) => self.launch(service).await,
        }
    }

    async fn launch(&mut self, service: Service) -> Result<(), Error> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["run", service.as_str(), "--until-stdin-closes", "--no-setup"])
            .arg("--data")
            .arg(&self.stores.folder)
            .args(["--endpoint", &self.endpoint]);
        if let Some(url) = &self.stores.url {
            command.args(["--database", url, "--schema", &self.stores.schema]);
        }
        if self.stores.full_sync {
            command.arg("--full-sync");
        }
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        // It says one line when it is ready. (A server that is away at that moment is waited for by the SDK's own retries.)
        let Some(stdout) = child.stdout.take() else { return Err("a service without output".into()) };
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await??;
        if line.is_none() {
            return Err(format!("the {service} service ended before it was ready").into());
        }
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.services.insert(service, child);
        Ok(())
    }

    /// Waits until every order has ended, nothing waits anywhere, and the ends since `from_ms` have been told; gives what is left
    /// after `most`.
    ///
    /// # Errors
    /// When a database cannot be asked.
    pub async fn settle(&self, books: &Books, from_ms: i64, most: Duration) -> Result<Unrest, Error> {
        wait(most, async || {
            let first = self.unrest(books, from_ms).await?;
            if !first.is_rest() {
                return Ok(first);
            }
            // Twice, since a message may have been between an outbox and a queue.
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.unrest(books, from_ms).await
        })
        .await
    }

    async fn unrest(&self, books: &Books, from_ms: i64) -> Result<Unrest, Error> {
        let mut unrest = Unrest {
            orders: books.open_orders(i64::MAX).await?,
            outboxes: books.waiting().await?,
            queues: messages(&self.queues).await,
            dead: messages(&self.graves).await,
            untold: 0,
        };
        // The dearest question, asked last.
        if unrest.is_rest() {
            unrest.untold = books.untold(from_ms, now_ms()).await?;
        }
        Ok(unrest)
    }

    /// What is left of what came before a kill.
    ///
    /// # Errors
    /// When a database cannot be asked.
    pub async fn unrest_of_before(&self, books: &Books, killed_ms: i64) -> Result<Unrest, Error> {
        let orders = books.open_orders(killed_ms).await?;
        let mut unrest = Unrest { orders, dead: messages(&self.graves).await, ..Unrest::default() };
        if unrest.is_rest() {
            // Ends of the last minute before the kill, which may have been on their way to the customer.
            unrest.untold = books.untold(killed_ms - 60_000, killed_ms).await?;
        }
        Ok(unrest)
    }
}

/// The queues with messages in them, and how many.
async fn messages(check: &HealthCheck) -> Vec<(String, u64)> {
    let checks = check.look().await.checks.into_iter();
    // One that does not answer may have any number.
    let counts = checks.map(|check| (check.messages().unwrap_or(1), check.queue));
    counts.filter(|(count, _)| *count > 0).map(|(count, queue)| (queue, count)).collect()
}

/// The endpoint that is wherever the environment says: AWS, if it says nothing.
pub const AWS: &str = "aws";

/// Clients of an endpoint: of a server's URL, or [`AWS`].
pub async fn clients(endpoint: &str) -> Clients {
    match endpoint {
        AWS => Clients::from_env().await,
        url => Clients::local(url).await,
    }
}
