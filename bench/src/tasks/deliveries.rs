//! `deliver`: publishes at a modest rate to an HTTP receiver of this program's own, perhaps while many deliveries wait for
//! another that has died.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Measured, Plan, Run};
use crate::error::Error;
use crate::hubs::Hub;
use crate::ledger::Ledger;
use crate::receiver::{Books, Receiver};
use crate::report::Pending;
use crate::topics::Subscriber;
use crate::usage;

/// A subscription that is not confirmed by then will not be.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(10);
/// The first attempts on the dead endpoint are over when the server has used less than this of a look's time.
const QUIET_CPU_NANOS: u64 = 2_000_000;
const LOOK: Duration = Duration::from_millis(500);

/// The endpoints of `deliver`.
pub(super) struct Receivers {
    healthy: Receiver,
    /// There if deliveries are to be pending.
    dead: Option<Dead>,
}

/// An endpoint that was there to confirm its subscription, and is gone.
struct Dead {
    topic: Hub,
    address: std::net::SocketAddr,
    ledger: Arc<Ledger>,
}

/// What `deliver` measured.
pub(super) struct Delivered {
    pub(super) measured: Measured,
    pub(super) pending: Option<Pending>,
    pub(super) failures: Vec<String>,
}

impl Run<'_> {
    /// A healthy endpoint, and a dead one if deliveries are to be pending.
    pub(super) fn prepare_receivers(&mut self) -> Result<(), Error> {
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let healthy = Receiver::start(any, self.books(&self.ledger)).map_err(Error::System)?;
        // Each is noted as soon as it is there, so that it is removed if the next step fails.
        let arn = self.endpoint.create_topic(&self.name("healthy"), false)?;
        self.hub = Some(Hub::Topic { arn: arn.clone(), kind: None });
        self.subscribe_receiver(&arn, &healthy, None)?;
        self.receivers = Some(Receivers { healthy, dead: None });
        if self.arguments.pending > 0 {
            let ledger = Arc::new(Ledger::new(0));
            let receiver = Receiver::start(any, self.books(&ledger)).map_err(Error::System)?;
            let arn = self.endpoint.create_topic(&self.name("dead"), false)?;
            let topic = Hub::Topic { arn: arn.clone(), kind: None };
            let dead = Some(Dead { topic, address: receiver.address, ledger });
            if let Some(receivers) = &mut self.receivers {
                receivers.dead = dead;
            }
            self.subscribe_receiver(&arn, &receiver, Some(self.arguments.retry_seconds))?;
        }
        Ok(())
    }

    fn subscribe_receiver(
        &self,
        topic_arn: &str,
        receiver: &Receiver,
        retry_seconds: Option<u64>,
    ) -> Result<(), Error> {
        self.endpoint.subscribe(topic_arn, &Subscriber::Http(&receiver.url()), None, retry_seconds)?;
        if receiver.wait_confirmed(CONFIRM_PATIENCE) { Ok(()) } else { Err(Error::Unconfirmed) }
    }

    pub(super) fn end_receivers(&self, receivers: &Receivers) -> Result<(), Error> {
        match &receivers.dead {
            Some(dead) if !self.arguments.keep => self.endpoint.delete_hub(&dead.topic),
            _ => Ok(()),
        }
    }

    fn books(&self, ledger: &Arc<Ledger>) -> Books {
        Books {
            ledger: ledger.clone(),
            run: self.number,
            filler: self.filler.as_bytes().to_vec(),
            clock: self.clock,
        }
    }

    /// Measures the deliveries to the healthy endpoint. `usual` is the phase that does.
    pub(super) fn deliver(&self, usual: Plan<'_>) -> Result<Delivered, Error> {
        let Some(receivers) = &self.receivers else { return Err(Error::Unconfirmed) };
        let mut failures = Vec::new();
        let mut pending = None;
        let begin = Instant::now();
        if let Some(dead) = &receivers.dead {
            pending = Some(self.let_pend(dead)?);
        }
        let mut measured = self.phase(Plan { receiver: Some(&receivers.healthy), ..usual })?;
        if let (Some(dead), Some(pending)) = (&receivers.dead, &mut pending) {
            if begin.elapsed().as_secs() >= self.arguments.retry_seconds {
                failures.push("the retries began before the measurement ended: raise --retry-seconds".into());
            }
            // Whoever was to get nothing until now is back, and is owed all of it.
            let retry = Duration::from_secs(self.arguments.retry_seconds);
            let back = Receiver::start(dead.address, self.books(&dead.ledger)).map_err(Error::System)?;
            self.wait_for(&dead.ledger, "retries", retry * 2 + Duration::from_secs(10));
            pending.came = dead.ledger.arrived();
            if pending.came < dead.ledger.acknowledged() {
                failures.push(format!(
                    "of {} pending deliveries {} came once the endpoint was back",
                    pending.messages, pending.came
                ));
            }
            measured.tally.errors.extend(back.take().errors);
        }
        self.wait_for(&self.ledger, "last ones", Duration::from_secs_f64(self.arguments.timeout.min(15.0)));
        if self.ledger.outstanding() > 0 {
            failures.push(format!("{} messages were never delivered", self.ledger.outstanding()));
        }
        measured.tally.add(receivers.healthy.take());
        Ok(Delivered { measured, pending, failures })
    }

    /// Publishes to the dead endpoint, waits until its first attempts have failed, and looks what the wait costs.
    fn let_pend(&self, dead: &Dead) -> Result<Pending, Error> {
        let pid = self.arguments.server_pid;
        // What a server takes once, for its first publishes and deliveries, is not the price of those that wait.
        let warm =
            Plan { label: "warm-up", messages: Some(self.arguments.pending.min(1000)), ..self.prefill() };
        self.phase(warm)?;
        self.wait_for(&self.ledger, "warm-up", CONFIRM_PATIENCE);
        self.wait_quiet();
        let before = pid.and_then(usage::own_bytes);
        let messages = Some(self.arguments.pending);
        let (hub, ledger) = (Some(&dead.topic), &*dead.ledger);
        self.phase(Plan { label: "pending", hub, ledger, messages, ..self.prefill() })?;
        self.wait_quiet();
        let after = pid.and_then(usage::own_bytes);
        let idle = Duration::from_secs(self.arguments.retry_seconds).mul_f64(0.2).min(Duration::from_secs(5));
        let cpu = pid.and_then(usage::scheduled_nanos);
        std::thread::sleep(idle);
        let idle_cpu = pid.and_then(usage::scheduled_nanos).zip(cpu);
        Ok(Pending {
            messages: dead.ledger.acknowledged(),
            own_bytes_added: after.zip(before).map(|(after, before)| after.saturating_sub(before)),
            idle_seconds: idle.as_secs_f64(),
            idle_cpu_millis: idle_cpu.map(|(after, before)| after.saturating_sub(before) as f64 / 1e6),
            came: 0,
        })
    }

    /// Waits until the server does next to nothing; for two looks if its process is not known.
    fn wait_quiet(&self) {
        let begin = Instant::now();
        let patience = Duration::from_secs(self.arguments.retry_seconds) / 4;
        let mut looks = 0;
        while begin.elapsed() < patience {
            let cpu = || self.arguments.server_pid.and_then(usage::scheduled_nanos);
            let before = cpu();
            std::thread::sleep(LOOK);
            looks += 1;
            match cpu().zip(before) {
                Some((after, before)) if after.saturating_sub(before) < QUIET_CPU_NANOS => return,
                None if looks == 2 => return,
                _ => {}
            }
        }
    }

    /// Waits until all that was acknowledged by these books has come.
    fn wait_for(&self, ledger: &Ledger, label: &str, patience: Duration) {
        let begin = Instant::now();
        let bar = self.counting_bar(label, ledger.acknowledged());
        while ledger.arrived() < ledger.acknowledged() && begin.elapsed() < patience {
            bar.set_position(ledger.arrived());
            std::thread::sleep(Duration::from_millis(10));
        }
        bar.finish_and_clear();
    }
}
