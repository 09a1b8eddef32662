//! `orders`: an order-processing system of five services on queues and topics, and what it takes to run, load, break and audit it.

mod audit;
mod fleet;
mod generate;
mod load;
mod model;
mod places;
mod services;
mod store;
mod trials;
mod waiting;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use toolkit::Clients;
use toolkit::testing::Server;

use audit::{Books, audit};
use fleet::{AWS, Fleet, clients};
use generate::{Counter, Generator, Mix};
use model::{Item, Order, Payment, now_ms};
use places::{Conduct, DEAD_LETTERS, Events, People, Places};
use services::gateway::Behaviour;
use services::{Error, RunningService, Service, Settings, Surroundings};
use store::Stores;
use waiting::{Unrest, many};

/// These services make many small allocations; mimalloc is faster for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An order-processing system on SQS and SNS or EventBridge: five services, their queues and topics, and their databases.
///
/// `orders run` starts everything: a Posthaste server, all queues and topics, and the services. `orders submit`, in another
/// terminal, sends orders and shows how they end.
///
/// With --endpoint every command also works against AWS, or any server with AWS's protocols.
#[derive(Parser)]
#[command(name = "orders", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    surroundings: Place,
}

const EXAMPLES: &str = "Examples:
  orders run                              start the services and a server
  orders submit --count 20                submit 20 orders of all kinds and follow each to its end
  orders load --times 10 --seconds 60     run ten times the target rates and print a table
  orders trials --trials 100              kill -9 at random moments, then audit
  orders run payment --endpoint http://127.0.0.1:4566 --database postgres://localhost/shop";

#[derive(Args)]
#[command(next_help_heading = "Locations")]
struct Place {
    /// Endpoint of SQS and SNS. `aws`: the one of the environment, as for the AWS command line. Default: the server of a
    /// running `orders run` with the same --data, else a new server.
    #[arg(long, env = "AWS_ENDPOINT_URL", global = true, value_name = "URL|aws")]
    endpoint: Option<String>,
    /// Folder of the SQLite databases, of the archive of dead letters, and of the data of a server that this program starts.
    #[arg(long, global = true, default_value = "orders-data", value_name = "FOLDER")]
    data: PathBuf,
    /// Use a PostgreSQL database instead of SQLite, with a schema for each service.
    #[arg(long, env = "ORDERS_DATABASE", global = true, value_name = "URL")]
    database: Option<String>,
    /// PostgreSQL: the prefix of the schemas' names.
    #[arg(long, global = true, default_value = "orders", value_name = "NAME", value_parser = schema)]
    schema: String,
    /// How events travel between services: by topics and their subscriptions, or by an event bus and its rules. The same for all
    /// commands of one system.
    #[arg(long, env = "ORDERS_EVENTS", global = true, value_enum, default_value_t)]
    events: Events,
    /// What leads an order from step to step: the order service's own saga, or a state machine of Step Functions. The same for all
    /// commands of one system.
    #[arg(long, env = "ORDERS_WORKFLOW", global = true, value_enum, default_value_t)]
    workflow: Conduct,
    /// ARN of the role of the state machine. A local server takes any.
    #[arg(long, global = true, default_value = "arn:aws:iam::000000000000:role/orders", value_name = "ARN")]
    workflow_role: String,
    /// SQLite: sync at every commit, to protect against power failures. (A crash of a program loses nothing without it.)
    #[arg(long, global = true)]
    full_sync: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Create all queues, dead-letter queues, topics and subscriptions, or update their settings.
    Setup(PeopleArgs),
    /// Run the named services, or all. Starts a server if no endpoint is given.
    Run(RunArgs),
    /// Submit orders and follow each to its end.
    Submit(SubmitArgs),
    /// Run the load of the targets, kill each part, audit, and print targets and results. Exit status 1 if a target is missed.
    Load(LoadArgs),
    /// Repeatedly kill services and the server at random moments, wait until all work ends, and audit. Exit status 1 if a rule is violated.
    Trials(TrialArgs),
    /// Check that money, stock and orders agree in all databases. Exit status 1 if not.
    Audit(AuditArgs),
    /// Show the dead letters of all queues, and requeue them on demand.
    DeadLetters(DeadLetterArgs),
}

#[derive(Args)]
struct PeopleArgs {
    /// E-mail address that gets every event after it confirmed the subscription.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Telephone number that gets critical events by text message.
    #[arg(long, value_name = "NUMBER")]
    sms: Option<String>,
}

impl PeopleArgs {
    fn people(&self) -> People {
        People { email: self.email.clone(), phone: self.sms.clone() }
    }
}

#[derive(Args)]
struct RunArgs {
    /// Services to run. Default: all.
    services: Vec<Service>,
    #[command(flatten)]
    people: PeopleArgs,
    #[command(flatten)]
    settings: SettingArgs,
    /// Do not create queues and topics: they exist.
    #[arg(long)]
    no_setup: bool,
    /// Stop when standard input closes: for a parent process.
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

const GATEWAY: &str = "The simulated gateway";

#[derive(Args)]
struct SettingArgs {
    /// Visibility timeout in seconds: how long the messages of a dead consumer stay hidden. Running consumers renew it.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    hidden_for: u64,
    /// How long stock stays reserved for an order that is not paid.
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    reservation: u64,
    /// Number of products of a new inventory.
    #[arg(long, default_value_t = 2_000)]
    products: u32,
    /// Stock of each product of a new inventory.
    #[arg(long, default_value_t = 1_000_000)]
    stock: i64,
    /// Interval of the checks of dead letters and queue depths. (A crash can cause dead letters, and recovery may take two minutes at most.)
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    look_every: u64,
    /// Number of waiting messages in a queue that raises an alert.
    #[arg(long, default_value_t = 10_000, value_name = "MESSAGES", value_parser = clap::value_parser!(u64).range(1..))]
    alert_depth: u64,
    /// Share of the gateway's calls that fail without an effect.
    #[arg(long, default_value_t = Behaviour::default().failing, value_name = "SHARE", value_parser = share, help_heading = GATEWAY)]
    gateway_failing: f64,
    /// Share of the gateway's calls that hang.
    #[arg(long, default_value_t = Behaviour::default().stalling, value_name = "SHARE", value_parser = share, help_heading = GATEWAY)]
    gateway_stalling: f64,
    /// Share of the gateway's calls that succeed but lose the answer.
    #[arg(long, default_value_t = Behaviour::default().losing, value_name = "SHARE", value_parser = share, help_heading = GATEWAY)]
    gateway_losing: f64,
    /// How long a call hangs.
    #[arg(long, default_value_t = Behaviour::default().stall.as_secs(), value_name = "SECONDS", help_heading = GATEWAY)]
    gateway_stall: u64,
}

impl SettingArgs {
    fn settings(&self) -> Settings {
        Settings {
            hidden_for: Duration::from_secs(self.hidden_for),
            reservation: Duration::from_secs(self.reservation),
            products: self.products,
            stock: self.stock,
            look_every: Duration::from_secs(self.look_every),
            alert_depth: self.alert_depth,
            gateway: Behaviour {
                failing: self.gateway_failing,
                stalling: self.gateway_stalling,
                losing: self.gateway_losing,
                stall: Duration::from_secs(self.gateway_stall),
                ..Behaviour::default()
            },
        }
    }
}

#[derive(Args)]
struct SubmitArgs {
    /// Number of orders, of all kinds.
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// Submit one order of this product instead.
    #[arg(long)]
    product: Option<String>,
    /// Quantity of the product.
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    quantity: i64,
    /// Price per piece, in cents.
    #[arg(long, default_value_t = 1_999)]
    price: i64,
    /// Card to charge. The gateway declines cards that begin with `declined`. Default: on account.
    #[arg(long)]
    card: Option<String>,
    /// Country of delivery. No carrier delivers to XX.
    #[arg(long, default_value = "DE")]
    country: String,
    /// Submit as a VIP customer.
    #[arg(long)]
    vip: bool,
}

#[derive(Args)]
struct LoadArgs {
    /// Multiple of the target rates (100 orders, 50 payments, 200 stock updates, 500 notifications a second).
    #[arg(long, default_value_t = 10.0, value_parser = above_zero)]
    times: f64,
    /// Duration of the load, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How long to wait until all orders end, after the load and after each kill.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    patience: u64,
    /// Do not kill anything afterwards.
    #[arg(long)]
    no_kills: bool,
    /// Use the databases of --data and --database, and keep them.
    #[arg(long)]
    keep: bool,
}

#[derive(Args)]
struct TrialArgs {
    /// Number of trials.
    #[arg(long, default_value_t = 10)]
    trials: u32,
    /// Orders per trial.
    #[arg(long, default_value_t = 150)]
    orders: u32,
    /// Kills per trial.
    #[arg(long, default_value_t = 4)]
    kills: u32,
    /// Seed of the first trial.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
struct AuditArgs {
    /// How long to repeat a failed check. While orders are in progress, the databases may disagree for a moment.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    patience: u64,
}

#[derive(Args)]
struct DeadLetterArgs {
    /// Requeue all of them, whatever the reason.
    #[arg(long)]
    requeue: bool,
    /// Messages to requeue per second.
    #[arg(long, default_value_t = 10.0, value_parser = above_zero)]
    rate: f64,
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|error| error.to_string())?;
    if number > 0.0 && number.is_finite() {
        Ok(number)
    } else {
        Err("the number must be above zero".to_owned())
    }
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|error| error.to_string())?;
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err("a share must be from 0 to 1".to_owned()) }
}

/// Parses a name that PostgreSQL accepts without quotes.
fn schema(name: &str) -> Result<String, String> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    match name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(plain)
        && name.len() <= 40
    {
        true => Ok(name.to_owned()),
        false => Err("a name must begin with a lower-case letter and have at most 40 lower-case letters, digits and underscores".to_owned()),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A single service uses one thread: if each service is a process, more threads only compete for the same processors.
    let alone = matches!(&cli.command, Command::Run(run) if run.services.len() == 1);
    let mut builder = match alone {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    let endpoint = cli.surroundings.known_endpoint();
    let result = match builder.enable_all().build() {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            let fault = error.downcast_ref::<toolkit::Fault>();
            match endpoint.filter(|_| fault.is_some_and(|fault| fault.code == "Connection")) {
                Some(endpoint) => eprintln!("orders: {endpoint} does not answer ({error})"),
                None => eprintln!("orders: {error}"),
            }
            if error.is::<Interrupted>() { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    }
}

/// The run was interrupted by Ctrl-C. All started processes have been stopped, and temporary data was removed.
#[derive(Debug)]
struct Interrupted;

impl std::error::Error for Interrupted {}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted; all started processes have been stopped")
    }
}

/// Cancels `work` at Ctrl-C. This also stops the services and the server of a fleet.
async fn until_interrupted<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::select! {
        result = work => result,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            Err(Interrupted.into())
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Error> {
    let place = cli.surroundings;
    let good = match cli.command {
        Command::Setup(args) => setup(&place, &args.people()).await.map(|()| true),
        Command::Run(args) => serve(&place, &args).await.map(|()| true),
        Command::Submit(args) => submit(&place, &args).await.map(|()| true),
        Command::Load(args) => drive(place, &args).await,
        Command::Trials(args) => {
            let trials = trials::Trials {
                trials: args.trials,
                orders: args.orders,
                kills: args.kills,
                seed: args.seed,
                events: place.events,
                workflow: place.workflow,
            };
            trials::run(trials, place.database.as_deref()).await.map(|bad| bad == 0)
        }
        Command::Audit(args) => look_through_the_books(&place, &args).await,
        Command::DeadLetters(args) => dead_letters(&place, &args).await.map(|()| true),
    };
    Ok(if good? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Place {
    fn stores(&self) -> Result<Stores, Error> {
        std::fs::create_dir_all(&self.data)?;
        let (folder, url, schema) = (self.data.clone(), self.database.clone(), self.schema.clone());
        Ok(Stores { folder, url, schema, full_sync: self.full_sync })
    }

    /// The file into which a running `orders run` writes its server's address.
    fn note(&self) -> PathBuf {
        self.data.join("endpoint")
    }

    /// The endpoint given by the user, or else the one of a running system.
    fn known_endpoint(&self) -> Option<String> {
        let noted = || std::fs::read_to_string(self.note()).ok();
        self.endpoint.clone().or_else(noted)
    }

    /// Clients of a running system.
    async fn clients(&self) -> Result<Clients, Error> {
        match self.known_endpoint() {
            Some(endpoint) => Ok(clients(&endpoint).await),
            None => Err("nothing runs here: start `orders run` first, or say --endpoint".into()),
        }
    }
}

async fn setup(place: &Place, people: &People) -> Result<(), Error> {
    let clients = place.clients().await?;
    let places = Places::ensure(&clients, people, place.events).await?;
    println!("{:<22} {:<9} {:>7} {:>9} {:>6}  dead letters", "queue", "kind", "hidden", "kept", "waits");
    for (queue, _) in DEAD_LETTERS {
        println!("{}", as_it_is(&clients, queue).await?);
    }
    match place.events {
        Events::Topics => places.channels().iter().for_each(|topic| println!("{topic}")),
        // They are one.
        Events::Eventbridge => println!("{}", places.order_status),
    }
    println!(
        "Alarms: none. They are CloudWatch's; they will be made here when the server offers CloudWatch."
    );
    Ok(())
}

/// The settings of a queue, read from the server.
async fn as_it_is(clients: &Clients, queue: &str) -> Result<String, Error> {
    let url = clients.queue(queue).await?.url;
    let call = clients.sqs.get_queue_attributes().queue_url(url).attribute_names("All".into());
    let found = call.send().await.map_err(toolkit::Fault::from)?.attributes.unwrap_or_default();
    let get = |name: &str| found.get(&name.into()).cloned().unwrap_or_default();
    let seconds = |name: &str| get(name).parse::<u64>().unwrap_or_default();
    let policy: serde_json::Value = serde_json::from_str(&get("RedrivePolicy")).unwrap_or_default();
    let dead =
        policy["deadLetterTargetArn"].as_str().and_then(|arn| arn.rsplit(':').next()).unwrap_or("none");
    let receives = policy["maxReceiveCount"].to_string();
    Ok(format!(
        "{queue:<22} {:<9} {:>5} s {:>4} days {:>4} s  {dead} after {} receives",
        if get("FifoQueue") == "true" { "FIFO" } else { "standard" },
        seconds("VisibilityTimeout"),
        seconds("MessageRetentionPeriod") / 86_400,
        seconds("ReceiveMessageWaitTimeSeconds"),
        receives.trim_matches('"'),
    ))
}

async fn serve(place: &Place, args: &RunArgs) -> Result<(), Error> {
    let stores = place.stores()?;
    // All of it in one process, if nobody says where the queues are.
    let server = match &place.endpoint {
        None => {
            if let Some(other) = place.known_endpoint().filter(|noted| answers(noted)) {
                return Err(format!(
                    "another `orders run` works in {} already; its server is {other}",
                    place.data.display()
                )
                .into());
            }
            let server = Server::kept("127.0.0.1:0", place.data.join("posthaste"))?;
            std::fs::write(place.note(), server.endpoint())?;
            println!("Posthaste listens at {}", server.endpoint());
            Some(server)
        }
        Some(_) => None,
    };
    let said = place.endpoint.as_deref().or(server.as_ref().map(Server::endpoint));
    let clients = clients(said.unwrap_or(AWS)).await;
    let places = match args.no_setup {
        false => Places::ensure(&clients, &args.people.people(), place.events).await?,
        true => {
            // The server may be on its way back.
            let mut tries = 0;
            loop {
                tries += 1;
                match Places::find(&clients, place.events).await {
                    Ok(places) => break places,
                    Err(fault) if fault.retryable && tries < 60 => {
                        tokio::time::sleep(Duration::from_millis(500)).await
                    }
                    Err(fault) => return Err(fault.into()),
                }
            }
        }
    };
    let workflow_role = (place.workflow == Conduct::Stepfunctions).then(|| place.workflow_role.clone());
    let around = Surroundings { clients, places, stores, settings: args.settings.settings(), workflow_role };
    let wanted = if args.services.is_empty() { Service::ALL.to_vec() } else { args.services.clone() };
    let mut running: Vec<RunningService> = Vec::new();
    for service in wanted {
        running.push(services::start(service, &around).await?);
        println!("{service} is ready");
    }
    if args.services.is_empty() {
        println!(
            "All services are ready. In another terminal: orders submit --count 20. Here: Ctrl-C ends all of it."
        );
    }
    let nothing_more = async {
        match args.until_stdin_closes {
            true => stdin_closed().await,
            false => std::future::pending().await,
        }
    };
    tokio::select! {
        result = toolkit::shutdown_signal() => result?,
        () = nothing_more => return Ok(()),
    }
    println!(
        "Stopping; what is being handled is finished first. (Ctrl-C again ends it now; nothing is lost.)"
    );
    let mut ends = tokio::task::JoinSet::new();
    for service in running {
        ends.spawn(service.shutdown());
    }
    tokio::select! {
        _ = ends.join_all() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    if server.is_some() {
        // It may be gone already.
        let _ = std::fs::remove_file(place.note());
    }
    Ok(())
}

/// Whether a server accepts connections at this address.
fn answers(endpoint: &str) -> bool {
    let host = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let mut addresses = std::net::ToSocketAddrs::to_socket_addrs(host).into_iter().flatten();
    addresses.any(|address| std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
}

/// Completes when the parent process has ended.
async fn stdin_closed() {
    let (closed, wait) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own, since a read of the standard input cannot be broken off.
    std::thread::spawn(move || {
        let _until_it_ends = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(closed);
    });
    let _ = wait.await;
}

async fn submit(place: &Place, args: &SubmitArgs) -> Result<(), Error> {
    let clients = place.clients().await?;
    let counter = Counter::new(&clients, &Places::find(&clients, place.events).await?);
    let run = format!("o{:x}", now_ms());
    let orders: Vec<Order> = match &args.product {
        Some(product) => {
            let item = Item { product_id: product.clone(), quantity: args.quantity, unit_price: args.price };
            vec![Order {
                order_id: format!("{run}-0"),
                customer_id: "customer-0".into(),
                tier: if args.vip { "vip" } else { "regular" }.into(),
                total_amount: args.quantity.saturating_mul(item.unit_price),
                items: vec![item],
                payment: args.card.clone().map_or(Payment::Account, Payment::Card),
                country: args.country.clone(),
                submitted_ms: now_ms(),
            }]
        }
        None => {
            let mix = Mix { trouble: 0.1, ..Mix::trials(40) };
            let mut generator = Generator::new(mix, run, fastrand::u64(..));
            (0..args.count).map(|_| generator.order()).collect()
        }
    };
    let mut open = counter.submit(orders).await;
    println!("{} accepted", many(open.len() as i64, "order"));
    let books = Books::open(&place.stores()?).await?;
    let sql = "SELECT state, cents, ended_ms - submitted_ms, reason FROM orders WHERE id = $1 AND ended_ms IS NOT NULL";
    let (begun, mut said) = (tokio::time::Instant::now(), 0);
    while !open.is_empty() && begun.elapsed() < Duration::from_secs(120) {
        if begun.elapsed().as_secs() >= said + 10 {
            said += 10;
            let states = books.open_orders(i64::MAX).await?;
            let unrest = Unrest { orders: states, ..Unrest::default() };
            println!("after {said} s: {} under way; all that is open: {unrest}", open.len());
        }
        let mut still = Vec::new();
        for id in open {
            match audit::read(&books.orders, sql, &[(&id).into()]).await?.first() {
                Some(row) => println!(
                    "{id}  {:<9} after {:.2} s  {:>9.2}  {}",
                    row.text(0)?,
                    row.int(2)? as f64 / 1000.0,
                    row.int(1)? as f64 / 100.0,
                    row.maybe_text(3)?.unwrap_or_default()
                ),
                None => still.push(id),
            }
        }
        open = still;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    match open.len() {
        0 => Ok(()),
        left => {
            let first: Vec<&str> = open.iter().map(String::as_str).take(5).collect();
            let more = if left > 5 { ", …" } else { "" };
            Err(format!("not ended after 120 s: {} ({}{more})", many(left as i64, "order"), first.join(", "))
                .into())
        }
    }
}

async fn look_through_the_books(place: &Place, args: &AuditArgs) -> Result<bool, Error> {
    if place.database.is_none() && !place.data.join("order.db").exists() {
        return Err(
            format!("there are no books in {}: nothing has run there yet", place.data.display()).into()
        );
    }
    let books = Books::open(&place.stores()?).await?;
    let begun = tokio::time::Instant::now();
    let findings = loop {
        let findings = audit(&books, None).await?;
        if findings.holds() || begun.elapsed().as_secs() >= args.patience {
            break findings;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    print!("{findings}");
    Ok(findings.holds())
}

async fn drive(place: Place, args: &LoadArgs) -> Result<bool, Error> {
    if args.keep {
        return until_interrupted(drive_on(&place, args, &place.stores()?)).await;
    }
    let scratch = Stores::scratch(place.database.as_deref(), place.full_sync)?;
    let result = until_interrupted(drive_on(&place, args, &scratch.stores)).await;
    scratch.remove().await?;
    result
}

async fn drive_on(place: &Place, args: &LoadArgs, stores: &Stores) -> Result<bool, Error> {
    let products = 2_000;
    let mut arguments = vec!["--products".to_owned(), products.to_string()];
    arguments.extend(["--workflow-role".to_owned(), place.workflow_role.clone()]);
    let mut fleet =
        Fleet::start(place.endpoint.clone(), stores, (place.events, place.workflow), arguments).await?;
    let load = load::Load {
        times: args.times,
        seconds: args.seconds.max(1),
        patience: Duration::from_secs(args.patience),
        products,
        kills: !args.no_kills,
    };
    load::run(load, &mut fleet).await
}

async fn dead_letters(place: &Place, args: &DeadLetterArgs) -> Result<(), Error> {
    let clients = place.clients().await?;
    if args.requeue {
        let moved = services::dead_letters::put_back(&clients, args.rate, |_| true).await?;
        println!("{moved} put back");
        return Ok(());
    }
    let mut monitor = toolkit::dead_letters::DeadLetterMonitor::new(&clients);
    for (_, dead) in DEAD_LETTERS {
        monitor = monitor.watch(&clients.queue(dead).await?);
    }
    for report in monitor.look().await? {
        println!("{:<26} {} dead letters", report.queue, report.depth);
        for letter in &report.new {
            let what = letter.envelope.as_ref().map_or("unreadable", |(id, _)| id.as_str());
            println!("  {:<18} {what}: {}", letter.category.as_str(), letter.reason);
        }
    }
    Ok(())
}
