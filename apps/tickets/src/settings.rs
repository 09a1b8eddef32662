//! Where the services and the shop's things are: environment variables, with options of the same meaning.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use toolkit::Clients;
use toolkit::testing::{Server, ServerError};

/// Where SQS and SNS answer if nobody says where.
pub const LOCAL: &str = "http://localhost:4566";

/// What all commands need to know.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Where things are")]
pub struct Settings {
    /// Endpoint of SQS [default: AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL, or http://localhost:4566, where a Posthaste is
    /// started if nothing answers]
    #[arg(long, env = "AWS_SQS_ENDPOINT", global = true, value_name = "URL")]
    pub sqs_endpoint: Option<String>,
    /// Endpoint of SNS [default: AWS_ENDPOINT_URL_SNS, AWS_ENDPOINT_URL, or that of SQS]
    #[arg(long, env = "AWS_SNS_ENDPOINT", global = true, value_name = "URL")]
    pub sns_endpoint: Option<String>,
    /// The region
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1", global = true)]
    pub region: String,
    /// Queue of payment events
    #[arg(long, env = "AWS_SQS_PAYMENT_EVENTS_QUEUE", default_value = "payment-events-queue", global = true)]
    pub payment_events_queue: String,
    /// Queue of ticket events
    #[arg(long, env = "AWS_SQS_TICKET_EVENTS_QUEUE", default_value = "ticket-events-queue", global = true)]
    pub ticket_events_queue: String,
    /// Dead-letter queue of payment events
    #[arg(long, env = "AWS_SQS_PAYMENT_EVENTS_DLQ", default_value = "payment-events-dlq", global = true)]
    pub payment_events_dlq: String,
    /// Dead-letter queue of ticket events
    #[arg(long, env = "AWS_SQS_TICKET_EVENTS_DLQ", default_value = "ticket-events-dlq", global = true)]
    pub ticket_events_dlq: String,
    /// The topic of payment events
    #[arg(
        long,
        env = "AWS_SNS_PAYMENT_EVENTS_TOPIC",
        default_value = "arn:aws:sns:us-east-1:000000000000:payment-events",
        global = true,
        value_name = "ARN"
    )]
    pub payment_events_topic: String,
    /// The topic of ticket events
    #[arg(
        long,
        env = "AWS_SNS_TICKET_EVENTS_TOPIC",
        default_value = "arn:aws:sns:us-east-1:000000000000:ticket-events",
        global = true,
        value_name = "ARN"
    )]
    pub ticket_events_topic: String,
    /// The topic of event-management events
    #[arg(
        long,
        env = "AWS_SNS_EVENT_MANAGEMENT_TOPIC",
        default_value = "arn:aws:sns:us-east-1:000000000000:event-management-events",
        global = true,
        value_name = "ARN"
    )]
    pub event_management_topic: String,
    /// Folder of the shop's database, its archive of dead letters, and the data of a Posthaste that this program starts
    /// [default: tickets-data; for `tickets day` a temporary folder]
    #[arg(long, env = "TICKETS_DATA", global = true, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
}

impl Settings {
    /// Takes endpoints that are not given from the variables that every AWS SDK reads.
    #[must_use]
    pub fn or_as_the_sdks_find_them(mut self) -> Settings {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let found = |service| variable(service).or_else(|| variable("AWS_ENDPOINT_URL"));
        if self.sqs_endpoint.is_none() && self.sns_endpoint.is_none() {
            self.sqs_endpoint = found("AWS_ENDPOINT_URL_SQS");
            self.sns_endpoint = found("AWS_ENDPOINT_URL_SNS");
        }
        self
    }

    /// Starts a Posthaste at the default place, if no endpoint is given and nothing answers there.
    ///
    /// # Errors
    /// When there is no program to start, or it does not start.
    pub fn start_server_if_needed(&self) -> Result<Option<Server>, ServerError> {
        if self.sqs_endpoint.is_some() || self.sns_endpoint.is_some() || answers(LOCAL) {
            return Ok(None);
        }
        let server = Server::kept("127.0.0.1:4566", self.folder().join("posthaste"))?;
        println!("started Posthaste at {} (process {})", server.endpoint(), server.process_id());
        Ok(Some(server))
    }

    /// The folder of the shop's things.
    pub fn folder(&self) -> &Path {
        self.data.as_deref().unwrap_or(Path::new("tickets-data"))
    }

    /// Where SQS and SNS answer.
    pub fn endpoints(&self) -> (&str, &str) {
        let sqs = self.sqs_endpoint.as_deref().or(self.sns_endpoint.as_deref()).unwrap_or(LOCAL);
        (sqs, self.sns_endpoint.as_deref().unwrap_or(sqs))
    }

    /// Clients of both. Credentials come from where every AWS SDK finds them; a server on this machine that is told none
    /// gets a name that local servers take.
    pub async fn clients(&self) -> Clients {
        let (sqs, sns) = self.endpoints();
        let clients = match is_local(sqs) && std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
            true => Clients::local(sqs).await,
            false => Clients::from_env().await,
        };
        clients.in_region(&self.region).with_endpoints(sqs, sns)
    }

    /// The same settings as environment variables, for another process of the shop.
    pub fn as_environment(&self) -> Vec<(&'static str, String)> {
        let (sqs, sns) = self.endpoints();
        vec![
            ("AWS_SQS_ENDPOINT", sqs.to_owned()),
            ("AWS_SNS_ENDPOINT", sns.to_owned()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_SQS_PAYMENT_EVENTS_QUEUE", self.payment_events_queue.clone()),
            ("AWS_SQS_TICKET_EVENTS_QUEUE", self.ticket_events_queue.clone()),
            ("AWS_SQS_PAYMENT_EVENTS_DLQ", self.payment_events_dlq.clone()),
            ("AWS_SQS_TICKET_EVENTS_DLQ", self.ticket_events_dlq.clone()),
            ("AWS_SNS_PAYMENT_EVENTS_TOPIC", self.payment_events_topic.clone()),
            ("AWS_SNS_TICKET_EVENTS_TOPIC", self.ticket_events_topic.clone()),
            ("AWS_SNS_EVENT_MANAGEMENT_TOPIC", self.event_management_topic.clone()),
            ("TICKETS_DATA", self.folder().display().to_string()),
        ]
    }
}

fn is_local(endpoint: &str) -> bool {
    ["http://localhost", "http://127.0.0.1", "http://[::1]"].iter().any(|place| endpoint.starts_with(place))
}

/// Whether anything takes connections there.
fn answers(endpoint: &str) -> bool {
    let host = endpoint.trim_start_matches("http://");
    let mut addresses = host.to_socket_addrs().into_iter().flatten();
    addresses.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
}
