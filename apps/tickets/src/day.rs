//! A day of the shop's business, played from a script in front of you: customers here, the services as processes of their own.

mod audit;
mod script;
mod staff;
mod terminal;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use toolkit::dead_letters::DeadLetterMonitor;
use toolkit::health::{HealthCheck, Thresholds};
use toolkit::sql::StoreError;
use toolkit::testing::Server;
use toolkit::{Clients, Publisher};

use crate::dead_letters::put_back;
use crate::events::{Money, PaymentEvent, Subject};
use crate::operate::may_succeed;
use crate::run::patiently;
use crate::services::{Order, Shop, Trouble};
use crate::settings::Settings;
use crate::store::{LogLine, Status, Store};
use crate::topology::{self, Topology};
use script::Customer;
use staff::Staff;
use terminal::Terminal;

/// Options of `tickets day`.
#[derive(Args, Clone, Debug)]
pub struct DayOptions {
    /// Number of customers
    #[arg(long, default_value_t = 24)]
    orders: u32,
    /// Number of kills during the work (kill -9): alternately a service, and the server if this program started it
    #[arg(long, default_value_t = 0)]
    kills: u32,
    /// How long the messages of a killed service stay hidden. (The queues' own timeout is 30 seconds; a demonstration need not wait so long)
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    visibility: u64,
    /// How long the day may make no progress before missing messages count as lost
    #[arg(long, default_value_t = 150, value_name = "SECONDS")]
    patience: u64,
    /// Show the duplicates, too
    #[arg(long)]
    all: bool,
}

/// Plays it. The exit code is 1 if a message was lost or handled twice, or the books do not balance.
///
/// # Errors
/// When it cannot begin: no server, queues that are not empty, a folder with another day in it.
pub async fn day(
    mut settings: Settings,
    options: &DayOptions,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    // Somebody else's queue, even an empty one, is not the place for a show unless its owner says so.
    let given = settings.sqs_endpoint.is_some() || settings.sns_endpoint.is_some();
    let server = if given { None } else { Some(Server::on_disk()?) };
    if let Some(server) = &server {
        settings.sqs_endpoint = Some(server.endpoint().to_owned());
    }
    let folder = match &settings.data {
        Some(_) => None,
        None => Some(tempfile::tempdir()?),
    };
    if let Some(folder) = &folder {
        settings.data = Some(folder.path().to_owned());
    }

    let terminal = Terminal::new(options.all);
    let (sqs, _) = settings.endpoints();
    let whose = if server.is_some() { "started for this day" } else { "as given" };
    terminal.headline(&format!(
        "The shop opens. Endpoint {sqs}, {whose}; data in {}",
        settings.folder().display()
    ));
    let whole = async {
        let mut day = Day::begin(settings, options.clone(), server, terminal).await?;
        day.business().await?;
        day.mend_and_requeue().await?;
        day.close().await
    };
    tokio::select! {
        result = whole => result,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            // Services, the server and the folder of this day end with it.
            eprintln!("tickets: interrupted; all started processes have been stopped");
            Ok(ExitCode::from(130))
        }
    }
}

/// A day in progress.
struct Day {
    options: DayOptions,
    server: Option<Server>,
    clients: Clients,
    topology: Topology,
    shop: Shop,
    staff: Staff,
    terminal: Terminal,
    /// The keys of messages that nobody can handle: they must end among the dead letters.
    hopeless: Vec<String>,
    killed: Vec<String>,
}

impl Day {
    async fn begin(
        settings: Settings,
        options: DayOptions,
        server: Option<Server>,
        terminal: Terminal,
    ) -> Result<Day, Box<dyn std::error::Error>> {
        let store = Store::open(settings.folder()).await?;
        let orders: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM orders").fetch_one(&store.pool).await?;
        if orders > 0 {
            let folder = settings.folder().display();
            return Err(
                format!("{folder} holds {orders} orders already: name another folder by --data").into()
            );
        }
        let clients = settings.clients().await;
        let topology = patiently(|| topology::ensure(&clients, &settings)).await?;
        let shop = Shop::new(&store, &topology.publishers(&clients));
        terminal.follow(&store);
        let staff = Staff::new(&settings, options.visibility);
        let (hopeless, killed) = (Vec::new(), Vec::new());
        let mut day = Day { options, server, clients, topology, shop, staff, terminal, hopeless, killed };
        let waiting = day.messages().await?;
        if waiting > 0 {
            return Err(
                format!("{waiting} messages lie in the queues already: the day needs empty ones").into()
            );
        }
        day.staff.hire_all()?;
        Ok(day)
    }

    /// What happens, until nothing moves any more.
    async fn business(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        self.headline("Three events are announced").await?;
        for (domain, kind) in script::MAIL_TROUBLES {
            let sql = "INSERT INTO mail_troubles (domain, kind) VALUES ($1, $2)";
            sqlx::query(sql).bind(domain).bind(kind).execute(&self.shop.store.pool).await?;
        }
        for event in script::EVENTS {
            let mut tx = self.shop.store.begin().await?;
            let events = &self.shop.events;
            events.create(&mut tx, event.id, event.name, event.organiser, Money(event.cents)).await?;
            events.put_on_sale(&mut tx, event.id).await?;
            tx.commit().await?;
        }

        self.headline(&format!("{} customers come", self.options.orders)).await?;
        let customers: Vec<Customer> = (1..=self.options.orders).map(script::customer).collect();
        for (place, customer) in customers.iter().enumerate() {
            self.book(&customer.order).await?;
            if place == customers.len() / 2 {
                self.partner_sends_nonsense().await?;
            }
            let due = (place + 1) * self.options.kills as usize / customers.len().max(1);
            while self.killed.len() < due {
                self.kill_somebody().await?;
            }
        }

        self.headline("Some change their mind; a concert begins later; a lecture is called off").await?;
        for customer in customers.iter().filter(|customer| customer.changes_mind) {
            let mut tx = self.shop.store.begin().await?;
            let id = &customer.order.id;
            self.shop.payments.cancel(&mut tx, id, "changed their mind", None).await?;
            tx.commit().await?;
        }
        let mut tx = self.shop.store.begin().await?;
        self.shop.events.update(&mut tx, script::EVENTS[0].id, "doors open an hour later").await?;
        self.shop.events.call_off(&mut tx, script::EVENTS[2].id, "the speaker has lost his voice").await?;
        tx.commit().await?;
        self.settle().await
    }

    /// The fault behind the dead letters is mended, and they are put back: until none is left that may succeed.
    async fn mend_and_requeue(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        self.headline("The mail server that was down is mended; its dead letters are put back").await?;
        let mend = "DELETE FROM mail_troubles WHERE kind = 'down'";
        sqlx::query(mend).execute(&self.shop.store.pool).await?;
        let begun = Instant::now();
        while audit::waiting_for_requeue(&self.shop.store).await? > 0 && self.patient(begun) {
            self.put_back().await?;
            self.settle().await?;
        }
        // Copies of what was handled by its other copy may lie there still. The monitor's look would hide them from this one.
        self.staff.dismiss("monitor")?;
        while self.put_back().await? > 0 && self.patient(begun) {
            self.settle().await?;
        }
        Ok(())
    }

    /// Sends everybody home and counts.
    async fn close(mut self) -> Result<ExitCode, Box<dyn std::error::Error>> {
        self.staff.dismiss_all()?;
        self.terminal.catch_up(&self.shop.store).await?;
        let mut left = Vec::new();
        let monitor = DeadLetterMonitor::new(&self.clients)
            .watch(&self.topology.payment_dlq)
            .watch(&self.topology.ticket_dlq);
        for report in monitor.look().await? {
            left.extend(report.new);
        }
        let audit = audit::audit(&self.shop.store, &left, &self.hopeless).await?;
        self.terminal.table(&audit, &left, &self.killed);
        Ok(if audit.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn book(&self, order: &Order) -> Result<(), Trouble> {
        let mut tx = self.shop.store.begin().await?;
        self.shop.payments.checkout(&mut tx, order).await?;
        tx.commit().await?;
        Ok(())
    }

    /// One message about an order that nobody placed, and one that is no event at all.
    async fn partner_sends_nonsense(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        let queue = &self.topology.payment_queue;
        let publisher = Publisher::queue(&self.clients, queue).source("partner");
        let (order_id, user_id) = ("o-unknown".to_owned(), "u-unknown".to_owned());
        let event = PaymentEvent::PaymentCompleted { order_id, user_id, amount: Money(10_000) };
        let subject = event.subject().to_owned();
        let prepared = publisher.prepare(event).await?;
        let line = |key: &str, event_type: &str, subject: String| LogLine {
            key: key.to_owned(),
            message_id: String::new(),
            event_type: event_type.to_owned(),
            subject,
            status: Status::Issued,
            attempt: 0,
            detail: format!("a partner writes to {}", queue.name()),
        };
        let store = &self.shop.store;
        store.log(&line(&prepared.id, &prepared.message_type, subject)).await?;
        self.hopeless.push(prepared.id.clone());
        for result in publisher.publish_prepared(vec![prepared]).await? {
            result?;
        }
        store.log(&line(script::UNREADABLE, "(unreadable)", String::new())).await?;
        self.hopeless.push(script::UNREADABLE.to_owned());
        patiently(async || {
            let call = self.clients.sqs.send_message().queue_url(&queue.url).message_body(script::UNREADABLE);
            Ok(call.send().await?)
        })
        .await?;
        Ok(())
    }

    /// In the middle of work: when something has been handled since the last time, and something waits.
    async fn kill_somebody(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        let victims = ["payments", "server", "tickets", "relay"];
        let victims = victims.iter().filter(|victim| **victim != "server" || self.server.is_some());
        let victims: Vec<&str> = victims.copied().collect();
        let victim = victims[self.killed.len() % victims.len()];
        let (begun, before) = (Instant::now(), audit::handled(&self.shop.store).await?);
        while audit::handled(&self.shop.store).await? < before + 2
            && audit::unfinished(&self.shop.store).await? > 0
            && self.patient(begun)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        match (victim, &mut self.server) {
            ("server", Some(server)) => {
                let process = server.process_id();
                server.restart()?;
                self.headline(&format!("kill -9 {process}: the server")).await?;
            }
            (service, _) => {
                let process = self.staff.kill(service)?;
                self.staff.hire(service)?;
                self.headline(&format!("kill -9 {process}: {service}")).await?;
            }
        }
        self.killed.push(victim.to_owned());
        Ok(())
    }

    async fn put_back(&self) -> Result<u64, Box<dyn std::error::Error>> {
        let store = &self.shop.store;
        Ok(put_back(&self.clients, &self.topology, store, 100.0, may_succeed).await?.moved)
    }

    /// Waits until each message has been handled or is a dead letter, and no queue holds anything. Gives up when nothing has happened
    /// for as long as the day's patience: the audit will say what is missing.
    async fn settle(&self) -> Result<(), Box<dyn std::error::Error>> {
        let (mut progress, mut since, mut said) = (0, Instant::now(), 0);
        loop {
            let store = &self.shop.store;
            let now = audit::lines(store).await?;
            if now != progress {
                (progress, since, said) = (now, Instant::now(), 0);
            }
            let (unfinished, outbox) = (audit::unfinished(store).await?, store.outbox.waiting().await?);
            let quiet = unfinished == 0 && outbox == 0;
            if quiet && self.messages_to_handle().await? == 0 || !self.patient(since) {
                return Ok(());
            }
            let silence = since.elapsed().as_secs();
            if silence >= said + 10 {
                said = silence;
                let queues = self.messages_to_handle().await?;
                let waits = format!(
                    "{unfinished} messages not handled, {outbox} in the outbox, {queues} in the queues"
                );
                self.headline(&format!("Nothing for {silence} s; still waiting: {waits}")).await?;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Says what comes now, after what has been.
    async fn headline(&self, text: &str) -> Result<(), StoreError> {
        self.terminal.catch_up(&self.shop.store).await?;
        self.terminal.headline(text);
        Ok(())
    }

    fn patient(&self, since: Instant) -> bool {
        since.elapsed() < Duration::from_secs(self.options.patience)
    }

    /// How many messages the two queues hold, those in flight among them.
    async fn messages_to_handle(&self) -> Result<u64, Box<dyn std::error::Error>> {
        let mut check = HealthCheck::new(&self.clients);
        for (queue, _) in self.topology.pairs() {
            check = check.queue(queue, Thresholds::default());
        }
        held(&check).await
    }

    /// How many messages lie anywhere.
    async fn messages(&self) -> Result<u64, Box<dyn std::error::Error>> {
        let mut check = HealthCheck::new(&self.clients);
        for (queue, dead_letters) in self.topology.pairs() {
            check = check.queue(queue, Thresholds::default()).queue(dead_letters, Thresholds::default());
        }
        held(&check).await
    }
}

/// How many messages the queues hold; one that does not answer may hold some.
async fn held(check: &HealthCheck) -> Result<u64, Box<dyn std::error::Error>> {
    let checks = check.look().await.checks;
    let each = checks.iter().map(|queue| queue.messages().unwrap_or(1));
    Ok(each.sum())
}
