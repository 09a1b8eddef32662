//! Options of the server: from flags, the environment and a file, in this order of precedence.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};
use serde::Deserialize;

use crate::budget;
use crate::door::Door;
use crate::logging::{self, LogFormat};

/// Default memory budget for requests and answers.
const MEMORY_BUDGET: usize = 256 << 20;

/// Options of `posthaste serve`. The environment and the file accept the same options.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ServeOptions {
    /// Address to listen on [default: 127.0.0.1:4566]
    #[arg(long, value_name = "HOST:PORT", env = "POSTHASTE_LISTEN")]
    pub listen: Option<String>,

    /// Directory of the data [default: ./posthaste-data]
    #[arg(long, value_name = "DIR", env = "POSTHASTE_DATA")]
    pub data: Option<PathBuf>,

    /// Keep all data in memory: nothing survives a stop. For tests
    #[arg(long, env = "POSTHASTE_IN_MEMORY", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = yes_or_no)]
    pub in_memory: Option<bool>,

    /// What an acknowledgement guarantees. `fsync`: the write is on disk. `os`: the write survives a crash of
    /// this program, but not of the machine [default: fsync; in memory: os]
    #[arg(long, value_enum, env = "POSTHASTE_DURABILITY")]
    pub durability: Option<DurabilityOption>,

    /// Use a clock that moves only on `POST /_posthaste/clock`. For tests
    #[arg(long, env = "POSTHASTE_VIRTUAL_CLOCK", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = yes_or_no)]
    pub virtual_clock: Option<bool>,

    /// Enforce also AWS's rules that get in a developer's way: the 60-second rules, the SMS sandbox, quotas,
    /// and queue policies for messages from topics
    #[arg(long, env = "POSTHASTE_STRICT", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = yes_or_no)]
    pub strict: Option<bool>,

    /// Region of unsigned requests [default: us-east-1]
    #[arg(long, env = "POSTHASTE_REGION")]
    pub region: Option<String>,

    /// URL by which clients and subscribers reach this server. Queue URLs and the links in notifications
    /// begin with it [default: the address of each request, or of the proxy that X-Forwarded-Host, -Proto and
    /// -Port name]
    #[arg(long, value_name = "URL", env = "POSTHASTE_PUBLIC_URL")]
    pub public_url: Option<String>,

    /// Address on which to serve the certificate of notifications over TLS, for validators that accept it
    /// only from AWS's host. Use port 443 of an address to which the validating machine resolves AWS's host
    /// name
    #[arg(long, value_name = "HOST:PORT", env = "POSTHASTE_CERTIFICATE_LISTEN")]
    pub certificate_listen: Option<String>,

    /// URL that notifications give for the certificate; `{region}` stands for the topic's region [default:
    /// with --certificate-listen https://sns.{region}.amazonaws.com, else the base URL of the other links]
    #[arg(long, value_name = "URL", env = "POSTHASTE_CERTIFICATE_URL")]
    pub certificate_url: Option<String>,

    /// SMTP server for e-mail: smtp://USER:PASSWORD@HOST:PORT or smtps://… [default: none; e-mail goes to the
    /// outbox, GET /_posthaste/outbox]
    #[arg(long, value_name = "URL", env = "POSTHASTE_SMTP", help_heading = "Deliveries")]
    pub smtp: Option<String>,

    /// Sender address of e-mail; default: no-reply@sns.amazonaws.com
    #[arg(long, value_name = "ADDRESS", env = "POSTHASTE_MAIL_FROM", help_heading = "Deliveries")]
    pub mail_from: Option<String>,

    /// URL that gets text messages as JSON [default: none; they go to the outbox]
    #[arg(long, value_name = "URL", env = "POSTHASTE_SMS_GATEWAY", help_heading = "Deliveries")]
    pub sms_gateway: Option<String>,

    /// URL that gets mobile push notifications as JSON [default: none; they go to the outbox]
    #[arg(long, value_name = "URL", env = "POSTHASTE_PUSH_GATEWAY", help_heading = "Deliveries")]
    pub push_gateway: Option<String>,

    /// URL that gets calls of Lambda functions as JSON [default: none; they go to the outbox]
    #[arg(long, value_name = "URL", env = "POSTHASTE_LAMBDA_GATEWAY", help_heading = "Deliveries")]
    pub lambda_gateway: Option<String>,

    /// URL that gets records for Firehose as JSON [default: none; they go to the outbox]
    #[arg(long, value_name = "URL", env = "POSTHASTE_FIREHOSE_GATEWAY", help_heading = "Deliveries")]
    pub firehose_gateway: Option<String>,

    /// PEM file with certificates to trust in addition to the machine's, for deliveries over TLS
    #[arg(long, value_name = "FILE", env = "POSTHASTE_CA_FILE", help_heading = "Deliveries")]
    pub ca_file: Option<PathBuf>,

    /// Addresses that subscribers' URLs must not lead to. `none`: all addresses are allowed. `neighbours`:
    /// refuse this machine and its link, where clouds serve their metadata. `non-public`: refuse private
    /// networks, too [default: none, because the subscribers of a local server are on the same machine; use
    /// at least `neighbours` for a server that others can reach]
    #[arg(
        long,
        value_enum,
        value_name = "WHICH",
        env = "POSTHASTE_REFUSE_ADDRESSES",
        help_heading = "Deliveries"
    )]
    pub refuse_addresses: Option<RefusedAddresses>,

    /// Read the whole log in the background, at this many bytes a second (`1M`, `512K`), at most once a day,
    /// to find damage on the disk [default: off, because reading competes for the disk and its cache]
    #[arg(long, value_name = "RATE", env = "POSTHASTE_SCRUB")]
    pub scrub: Option<String>,

    /// Threads that serve HTTP [default: one per core]
    #[arg(long, value_name = "N", env = "POSTHASTE_HTTP_THREADS")]
    pub http_threads: Option<usize>,

    /// Memory for the bodies of requests and answers in progress, over all connections, such as 256MiB or
    /// 1GiB. Deliveries may use half as much in addition. A request without room waits, and gets a 503 if
    /// that takes too long [default: 256MiB]
    #[arg(long, value_name = "SIZE", env = "POSTHASTE_MEMORY_BUDGET")]
    pub memory_budget: Option<String>,

    /// Memory for the items of DynamoDB's tables and their indexes, such as 512MiB or 4GiB. What needs more is
    /// refused; deletes go on [default: 1GiB]
    #[arg(long, value_name = "SIZE", env = "POSTHASTE_DYNAMODB_MEMORY")]
    pub dynamodb_memory: Option<String>,

    /// TOML file that declares queues and topics; applied at every start
    #[arg(long, value_name = "FILE", env = "POSTHASTE_INIT")]
    pub init: Option<PathBuf>,

    /// Additional host name of this server, such as queues.test or *.queues.test; `*` accepts any name. May
    /// be repeated. The server knows localhost, IP addresses and the host of --public-url; with
    /// --insecure-public also names without a dot, as containers have
    #[arg(
        long,
        value_name = "NAME",
        env = "POSTHASTE_ALLOW_HOST",
        value_delimiter = ',',
        help_heading = "Browsers"
    )]
    pub allow_host: Option<Vec<String>>,

    /// Origin of web pages that may use this server, such as http://localhost:3000 or http://localhost:*; `*`
    /// allows all pages. May be repeated
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "POSTHASTE_ALLOW_ORIGIN",
        value_delimiter = ',',
        help_heading = "Browsers"
    )]
    pub allow_origin: Option<Vec<String>>,

    /// Allow listening on an address that others can reach, although the server checks no credentials
    #[arg(long, env = "POSTHASTE_INSECURE_PUBLIC", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = yes_or_no)]
    pub insecure_public: Option<bool>,

    /// What goes into the log on standard error: `error`, `warn`, `info`, `debug` (a line for each request), `trace` or `off`; after a
    /// comma the level of a module, such as warn,posthaste::web=debug [default: info]
    #[arg(long, value_name = "LEVEL", env = "POSTHASTE_LOG", help_heading = "Log")]
    pub log: Option<String>,

    /// The form of the log: `text`, or `json`, one object a line [default: text]
    #[arg(long, value_enum, value_name = "FORM", env = "POSTHASTE_LOG_FORMAT", help_heading = "Log")]
    pub log_format: Option<LogFormat>,

    /// TOML file with these options
    #[arg(long, value_name = "FILE", env = "POSTHASTE_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
}

/// `fsync` or `os`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DurabilityOption {
    /// An acknowledged write is on disk.
    Fsync,
    /// An acknowledged write survives a crash of this program, but not of the machine.
    Os,
}

/// Addresses that subscribers' URLs must not lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedAddresses {
    /// All addresses are allowed: a developer's receivers are on the same machine.
    None,
    /// Refuses this machine and its link.
    Neighbours,
    /// Refuses private networks, too.
    NonPublic,
}

/// The resolved options.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Directory of the data; `None`: in memory.
    pub data: Option<PathBuf>,
    /// What an acknowledgement guarantees.
    pub durability: DurabilityOption,
    /// Whether the clock moves only on request.
    pub virtual_clock: bool,
    /// Whether all of AWS's limits are enforced.
    pub strict: bool,
    /// Region of unsigned requests.
    pub region: String,
    /// URL by which clients and subscribers reach this server, without a slash at its end.
    pub public_url: Option<String>,
    /// Decides which requests are accepted by host name and origin.
    pub door: Door,
    /// Addresses on which to serve the certificate of notifications over TLS.
    pub certificate_listen: Vec<SocketAddr>,
    /// URL that notifications give for it, without a slash at its end.
    pub certificate_url: Option<String>,
    /// Settings of deliveries to endpoints outside.
    pub delivery: delivery::Settings,
    /// Bytes of the log to read per second in search of damage; `None`: off.
    pub scrub: Option<u64>,
    /// Threads that serve HTTP.
    pub http_threads: usize,
    /// Bytes of memory for requests and answers in progress.
    pub memory_budget: usize,
    /// Bytes of memory for the items of DynamoDB's tables and their indexes.
    pub dynamodb_memory: usize,
    /// The file that declares queues and topics.
    pub init: Option<PathBuf>,
    /// What goes into the log, and in which form.
    pub log: logging::Settings,
}

/// Why the options are not valid.
#[derive(Debug)]
pub enum OptionsError {
    /// The file cannot be read.
    Unreadable(PathBuf, std::io::Error),
    /// The file is malformed; the text names line and field.
    Malformed(PathBuf, String),
    /// The server cannot listen on the address.
    Address(String, String),
    /// Others can reach the address.
    Public(SocketAddr),
    /// Not the name of a region.
    Region(String),
    /// Not a valid rate.
    Scrub(String),
    /// Not a valid URL.
    PublicUrl(String),
    /// Not a valid size, or too small.
    MemoryBudget(String),
    /// The size of the memory for items is no size.
    DynamodbMemory(String),
    /// Not a valid host name or origin; the text names it.
    Door(String),
    /// A part of `--log` that names no level.
    Log(String),
    /// Both a directory and memory were selected for the data.
    DirectoryAndMemory,
}

impl std::fmt::Display for OptionsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OptionsError::Unreadable(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            OptionsError::Malformed(path, error) => write!(f, "{}: {error}", path.display()),
            OptionsError::Address(address, why) => write!(
                f,
                "cannot listen on \"{address}\": {why}. Use --listen HOST:PORT, for example --listen 127.0.0.1:4566"
            ),
            OptionsError::Public(address) => write!(
                f,
                "refusing to listen on {address}: others can reach that address, and the server checks no credentials. \
                 Listen on 127.0.0.1, or add --insecure-public if only people you trust can reach it (for example \
                 inside a container whose port is published on the loopback address)"
            ),
            OptionsError::Region(region) => {
                write!(f, "\"{region}\" is not the name of a region, such as us-east-1")
            }
            OptionsError::Scrub(rate) => {
                write!(f, "--scrub {rate} is not a number of bytes per second: use 512K, 1M or 4M, for example; 0 turns it off")
            }
            OptionsError::PublicUrl(url) => {
                write!(f, "\"{url}\" is not a valid public URL: use https://HOST or http://HOST:PORT")
            }
            OptionsError::MemoryBudget(size) => write!(
                f,
                "--memory-budget {size} is not valid: use a size of at least {} MiB, such as 256MiB or 1GiB",
                budget::LEAST >> 20
            ),
            OptionsError::DynamodbMemory(size) => {
                write!(f, "--dynamodb-memory {size} is not valid: use a size such as 512MiB or 4GiB")
            }
            OptionsError::Log(part) => write!(
                f,
                "--log: \"{part}\" is no level: say error, warn, info, debug, trace or off, or MODULE=LEVEL, such as \
                 posthaste::web=debug"
            ),
            OptionsError::Door(text) => f.write_str(text),
            OptionsError::DirectoryAndMemory => {
                f.write_str("--data and --in-memory (or POSTHASTE_DATA and POSTHASTE_IN_MEMORY) contradict each other: remove one of them")
            }
        }
    }
}

impl std::error::Error for OptionsError {}

/// Reads a TOML file. Errors name the file, the line and the field.
pub fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, OptionsError> {
    let text = std::fs::read_to_string(path).map_err(|error| OptionsError::Unreadable(path.into(), error))?;
    toml::from_str(&text).map_err(|error| OptionsError::Malformed(path.into(), error.to_string()))
}

impl ServeOptions {
    /// Resolves conflicts between flags and the environment: a flag for a directory overrides a variable for
    /// memory, and the reverse.
    pub fn settle(mut self, matches: &ArgMatches) -> Self {
        let by_flag = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        if by_flag("data") && !by_flag("in_memory") {
            self.in_memory = None;
        }
        if self.in_memory == Some(true) && by_flag("in_memory") && !by_flag("data") {
            self.data = None;
        }
        self
    }

    /// Resolves all options. Flags and the environment override the file; the rest gets defaults.
    pub fn decide(self) -> Result<Settings, OptionsError> {
        let file = match &self.config {
            Some(path) => read_toml::<ServeOptions>(path)?,
            None => ServeOptions::default(),
        };
        let listen = self.listen.or(file.listen).unwrap_or_else(|| "127.0.0.1:4566".into());
        let addresses: Vec<SocketAddr> = listen
            .to_socket_addrs()
            .map_err(|error| OptionsError::Address(listen.clone(), error.to_string()))?
            .collect();
        if addresses.is_empty() {
            return Err(OptionsError::Address(listen, "the name has no address".into()));
        }
        let is_public = self.insecure_public.or(file.insecure_public).unwrap_or(false);
        if !is_public && let Some(public) = addresses.iter().find(|address| !is_loopback(address.ip())) {
            return Err(OptionsError::Public(*public));
        }
        // This listener serves nothing but a certificate, to which every notification links.
        let certificates: Vec<SocketAddr> = match self.certificate_listen.or(file.certificate_listen) {
            None => Vec::new(),
            Some(listen) => listen
                .to_socket_addrs()
                .map_err(|error| OptionsError::Address(listen.clone(), error.to_string()))?
                .collect(),
        };
        let certificate_url = match self.certificate_url.or(file.certificate_url) {
            Some(url) => Some(public_url(url)?),
            None => (!certificates.is_empty()).then(|| "https://sns.{region}.amazonaws.com".to_owned()),
        };
        let public_url = self.public_url.or(file.public_url).map(public_url).transpose()?;
        // An empty variable names nothing.
        let list = |list: Option<Vec<String>>| {
            list.map(|list| list.into_iter().filter(|text| !text.is_empty()).collect())
        };
        let allow_host: Vec<String> = list(self.allow_host).or(file.allow_host).unwrap_or_default();
        let allow_origin: Vec<String> = list(self.allow_origin).or(file.allow_origin).unwrap_or_default();
        let door = Door::new(&allow_host, &allow_origin, public_url.as_deref(), is_public)
            .map_err(OptionsError::Door)?;
        let size = self.memory_budget.or(file.memory_budget).filter(|size| !size.is_empty());
        let memory_budget = match size {
            None => MEMORY_BUDGET,
            Some(size) => budget::parse_size(&size)
                .filter(|&bytes| bytes >= budget::LEAST)
                .ok_or(OptionsError::MemoryBudget(size))?,
        };
        let size = self.dynamodb_memory.or(file.dynamodb_memory).filter(|size| !size.is_empty());
        let dynamodb_memory = match size {
            None => machine::Limits::default().dynamodb.memory,
            Some(size) => budget::parse_size(&size).ok_or(OptionsError::DynamodbMemory(size))?,
        };
        let region = self.region.or(file.region).unwrap_or_else(|| "us-east-1".into());
        if !is_region(&region) {
            return Err(OptionsError::Region(region));
        }
        let log = self.log.or(file.log).unwrap_or_default();
        // A flag for memory or a directory overrides the other one in the file.
        let data = match (self.data, self.in_memory) {
            (Some(_), Some(true)) => return Err(OptionsError::DirectoryAndMemory),
            (Some(data), _) => Some(data),
            (None, Some(true)) => None,
            (None, _) if file.in_memory == Some(true) => None,
            (None, _) => Some(file.data.unwrap_or_else(|| "posthaste-data".into())),
        };
        // Without a disk there is nothing to wait for, and no need for a thread that waits.
        let by_itself = if data.is_some() { DurabilityOption::Fsync } else { DurabilityOption::Os };
        let by_default = delivery::Settings::default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Settings {
            listen: addresses,
            data,
            durability: self.durability.or(file.durability).unwrap_or(by_itself),
            virtual_clock: self.virtual_clock.or(file.virtual_clock).unwrap_or(false),
            strict: self.strict.or(file.strict).unwrap_or(false),
            region,
            public_url,
            door,
            certificate_url,
            certificate_listen: certificates,
            delivery: delivery::Settings {
                guard: match self.refuse_addresses.or(file.refuse_addresses) {
                    None | Some(RefusedAddresses::None) => delivery::Guard::Off,
                    Some(RefusedAddresses::Neighbours) => delivery::Guard::Neighbours,
                    Some(RefusedAddresses::NonPublic) => delivery::Guard::NonPublic,
                },
                ca_file: self.ca_file.or(file.ca_file),
                smtp: self.smtp.or(file.smtp),
                mail_from: self.mail_from.or(file.mail_from).unwrap_or(by_default.mail_from.clone()),
                sms_gateway: self.sms_gateway.or(file.sms_gateway),
                push_gateway: self.push_gateway.or(file.push_gateway),
                lambda_gateway: self.lambda_gateway.or(file.lambda_gateway),
                firehose_gateway: self.firehose_gateway.or(file.firehose_gateway),
                ..by_default
            },
            scrub: self.scrub.or(file.scrub).map(scrub_rate).transpose()?.filter(|&rate| rate > 0),
            http_threads: self.http_threads.or(file.http_threads).unwrap_or(cores).clamp(1, 64),
            memory_budget,
            dynamodb_memory,
            init: self.init.or(file.init),
            log: logging::Settings {
                levels: logging::levels(&log).map_err(OptionsError::Log)?,
                format: self.log_format.or(file.log_format).unwrap_or(LogFormat::Text),
            },
        })
    }
}

/// Parses a switch of a flag or a variable.
fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        // Compose files pass an unset variable as an empty one.
        "false" | "0" | "no" | "off" | "" => Ok(false),
        _ => Err("use true or false".to_owned()),
    }
}

/// Parses bytes per second; `K` means 1024, `M` means 1024 times 1024.
fn scrub_rate(text: String) -> Result<u64, OptionsError> {
    let (digits, unit) = match text.trim().strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1 << 10),
        None => match text.trim().strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 1 << 20),
            None => (text.trim(), 1),
        },
    };
    let rate = digits.parse::<u64>().ok().and_then(|rate| rate.checked_mul(unit));
    rate.ok_or(OptionsError::Scrub(text))
}

/// Without a slash at its end.
fn public_url(url: String) -> Result<String, OptionsError> {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    let is_url = !host.trim_end_matches('/').is_empty()
        && url
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'"' | b'<' | b'>'))
        && !host.starts_with([':', '/']);
    if is_url { Ok(url.trim_end_matches('/').to_owned()) } else { Err(OptionsError::PublicUrl(url)) }
}

/// Whether this can be the name of a region.
pub fn is_region(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn with(listen: &str) -> Result<Settings, OptionsError> {
        ServeOptions { listen: Some(listen.into()), ..ServeOptions::default() }.decide()
    }

    #[test]
    fn a_public_address_is_refused_unless_it_is_said_plainly() {
        assert!(matches!(with("0.0.0.0:4566"), Err(OptionsError::Public(_))));
        assert!(matches!(with("[::]:4566"), Err(OptionsError::Public(_))));
        assert!(with("127.0.0.1:0").is_ok());
        assert!(with("[::1]:4566").is_ok());
        let said = ServeOptions {
            listen: Some("0.0.0.0:1".into()),
            insecure_public: Some(true),
            ..Default::default()
        };
        assert!(said.decide().is_ok());
    }

    #[test]
    fn a_mistake_in_the_file_names_line_and_field() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("posthaste.toml");
        std::fs::write(&path, "strict = true\nlissten = \"127.0.0.1:1\"\n").unwrap();
        let options = ServeOptions { config: Some(path), ..Default::default() };
        let text = options.decide().unwrap_err().to_string();
        assert!(
            text.contains("posthaste.toml") && text.contains("line 2") && text.contains("lissten"),
            "{text}"
        );
    }

    fn told(
        arguments: &[&str],
        environment: &[(&'static str, &'static str)],
    ) -> Result<Settings, OptionsError> {
        let mut command = ServeOptions::augment_args(clap::Command::new("posthaste"));
        for (id, value) in environment {
            // As if the variable had been set: where a value comes from is all that matters.
            command = command.mut_arg(*id, |arg| arg.env(None).default_value(*value));
        }
        let matches = command.get_matches_from(std::iter::once(&"posthaste").chain(arguments));
        ServeOptions::from_arg_matches(&matches).unwrap().settle(&matches).decide()
    }

    #[test]
    fn flags_outdo_the_environment_about_where_the_data_is() {
        let data = |arguments: &[&str], environment: &[(&'static str, &'static str)]| {
            told(arguments, environment).unwrap().data.map(|data| data.display().to_string())
        };
        assert_eq!(data(&["--in-memory"], &[("data", "d")]), None);
        assert_eq!(data(&["--data", "d"], &[("in_memory", "1")]), Some("d".to_owned()));
        assert_eq!(data(&["--in-memory=no", "--data", "d"], &[]), Some("d".to_owned()));
        assert_eq!(data(&[], &[("in_memory", ""), ("data", "d")]), Some("d".to_owned()));
        assert!(matches!(told(&["--data", "d", "--in-memory"], &[]), Err(OptionsError::DirectoryAndMemory)));
    }

    #[test]
    fn a_rate_of_scrubbing_is_a_number_with_or_without_a_unit() {
        let rate = |text: &str| scrub_rate(text.to_owned());
        assert_eq!(rate("4096").unwrap(), 4096);
        assert_eq!(rate("512K").unwrap(), 512 << 10);
        assert_eq!(rate("1M").unwrap(), 1 << 20);
        for none in ["", "M", "-1", "1G", "99999999999999999999", "99999999999999M"] {
            assert!(matches!(rate(none), Err(OptionsError::Scrub(_))), "{none}");
        }
    }

    #[test]
    fn a_public_url_must_be_one() {
        let url = |url: &str| public_url(url.to_owned());
        assert_eq!(url("https://sns.example.com/").unwrap(), "https://sns.example.com");
        assert_eq!(url("http://10.0.0.1:4566").unwrap(), "http://10.0.0.1:4566");
        for none in ["", "foo", "ftp://x", "http://", "http:///x", "https://:80", "http://a b"] {
            assert!(matches!(url(none), Err(OptionsError::PublicUrl(_))), "{none}");
        }
    }

    #[test]
    fn flags_outdo_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("posthaste.toml");
        std::fs::write(&path, "listen = \"127.0.0.1:1\"\ndata = \"elsewhere\"\ndurability = \"os\"\n")
            .unwrap();
        let options = ServeOptions {
            config: Some(path),
            in_memory: Some(true),
            strict: Some(true),
            ..Default::default()
        };
        let settings = options.decide().unwrap();
        assert_eq!(settings.data, None);
        assert_eq!(settings.durability, DurabilityOption::Os);
        assert!(settings.strict);
        assert_eq!(settings.listen[0].port(), 1);
    }

    #[test]
    fn in_memory_no_disk_is_waited_for_unless_somebody_says_so() {
        let decide = |durability| {
            let options = ServeOptions { in_memory: Some(true), durability, ..Default::default() };
            options.decide().unwrap().durability
        };
        assert_eq!(decide(None), DurabilityOption::Os);
        assert_eq!(decide(Some(DurabilityOption::Fsync)), DurabilityOption::Fsync);
        assert_eq!(ServeOptions::default().decide().unwrap().durability, DurabilityOption::Fsync);
    }
}
