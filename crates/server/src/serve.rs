//! Starts and stops the server: connects socket, clock, disk and machine.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use delivery::{Carrier, Notary};
use kernel::{Dice, Secret};
use machine::{Input, Limits, Options};
use stdio::outln;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::admin::Admin;
use crate::alarm::Alarm;
use crate::budget::Budget;
use crate::clock::Clock;
use crate::damage::Damages;
use crate::deliverer::{Deliverer, Tools};
use crate::descriptors;
use crate::engine::{self, Handle, Message};
use crate::failures::Failures;
use crate::init;
use crate::listener;
use crate::mailbox::{ReplyQueue, Tickets};
use crate::mover::{self, Retained, Surroundings};
use crate::options::{DurabilityOption, Settings};
use crate::scrub::Scrub;
use crate::signing::Signing;
use crate::store;
use crate::web::Desk;

/// How long a stopping server waits for requests in progress.
const GRACE: Duration = Duration::from_secs(10);

/// The same for a server that has failed, which answers nothing but errors.
const GRACE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long waiting clients have to receive the error of a failed server.
const HEARING: Duration = Duration::from_millis(200);

/// A failed server that does not stop orderly within this time exits.
const ENDING: Duration = Duration::from_secs(5);

/// Runs the server until it is told to stop.
pub fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let files = descriptors::raise();
    // Errors in files and addresses are detected before anything is opened or changed.
    let init = settings.init.as_deref().map(|path| init::read(path, &settings.region)).transpose()?;
    let listeners = listener::bind(&settings.listen).map_err(|error| {
        let addresses: Vec<String> = settings.listen.iter().map(ToString::to_string).collect();
        format!(
            "cannot listen on {}: {error}. Does another server use this address? Use another one: --listen HOST:PORT",
            addresses.join(", ")
        )
    })?;
    let certificates = listener::bind(&settings.certificate_listen).map_err(|error| {
        let addresses: Vec<String> = settings.certificate_listen.iter().map(ToString::to_string).collect();
        format!("cannot listen on {} for the certificate: {error}", addresses.join(", "))
    })?;
    // Nearly all descriptors that the server opens later are the journal's, which are counted separately.
    let threads = settings.http_threads;
    let handed_out = if certificates.is_empty() { 0 } else { delivery::CERTIFICATE_CONNECTIONS };
    let open = descriptors::open_now() + handed_out;
    let shares = descriptors::share_out(files, open, threads, settings.data.is_some())?;
    let mut limits = if settings.strict { <Limits as kernel::Limits>::strict() } else { Limits::default() };
    limits.sns.attempts = shares.attempts;
    limits.eventbridge.attempts = shares.attempts;
    limits.dynamodb.memory = settings.dynamodb_memory;
    let options = Options { limits, ..Options::default() };
    let clock = Arc::new(if settings.virtual_clock { Clock::standing() } else { Clock::real() });
    let opened = store::open(settings.data.as_ref(), settings.durability, options, clock.now())?;
    clock.not_before(opened.now);
    for note in &opened.notes {
        warn!("{note}");
    }
    // One for each HTTP thread, and one for this thread.
    let reply_queues: Vec<Arc<ReplyQueue>> = (0..=settings.http_threads).map(|_| Arc::default()).collect();
    let own = reply_queues[settings.http_threads].clone();
    let engine = Handle::new(reply_queues.clone());
    let reader = opened.reader.clone();
    let cut: Option<Arc<str>> = opened.cut.as_deref().map(Arc::from);
    let secret = Arc::new(OnceLock::new());
    let damages = Arc::new(Damages::default());
    let retained_damages = Arc::new(Damages::default());
    opened.retained_damage.iter().for_each(|damage| retained_damages.put(damage));
    let retained_desk = Arc::new(mover::Desk::default());
    let (machine, store, mover) =
        opened.start(settings.durability, &engine, retained_desk.clone(), damages.clone())?;
    match machine.secret() {
        Some(known) => secret.get_or_init(|| *known),
        None => {
            let new = Secret(random()?);
            engine.put(Message::Input(Input::Identify { secret: new }));
            secret.get_or_init(|| new)
        }
    };
    let body_readers = machine.sns().body_readers();
    let journal = store.pipeline();
    let scrub = match settings.scrub {
        Some(rate) => Some(Scrub::start(rate, reader.clone(), &journal, damages.clone())?),
        None => None,
    };
    let notary = Arc::new(Notary::open(settings.data.as_deref())?);
    let signing = Arc::new(Signing::new(notary, settings.certificate_url.as_deref()));
    let carrier = Carrier::new(delivery::Settings { sockets: shares.sockets, ..settings.delivery.clone() })?;
    let outbox = carrier.outbox();
    let failures = Arc::new(Failures::default());
    let deliverer = Deliverer::new(Tools {
        carrier,
        reader: reader.clone(),
        secret: secret.clone(),
        signing: signing.clone(),
        failures: failures.clone(),
        damages: damages.clone(),
        engine: engine.clone(),
        clock: clock.clone(),
        budget: Budget::new(settings.memory_budget / 2),
    });
    let surroundings = Surroundings {
        engine: engine.clone(),
        clock: clock.clone(),
        log: Arc::downgrade(&journal),
        damages: retained_damages.clone(),
    };
    let retained_reader = mover.reader();
    let retained = Retained::start(mover, retained_desk.clone(), surroundings)?;
    let thread = engine::start(engine.clone(), machine, (store, retained), deliverer, clock.clone())?;

    let budget = Budget::new(settings.memory_budget);
    let (stop, stopping) = watch::channel(false);
    let (porter, desks) = listener::open(settings.http_threads, shares.connections);
    let addresses: Vec<_> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let mut http = Vec::new();
    for (number, (desk, reply_queue)) in desks.into_iter().zip(reply_queues).enumerate() {
        let (engine, reader, secret, clock) = (engine.clone(), reader.clone(), secret.clone(), clock.clone());
        let (journal, settings, stopping) = (journal.clone(), settings.clone(), stopping.clone());
        let (cut, damages) = (cut.clone(), damages.clone());
        let (retained_desk, retained_damages) = (retained_desk.clone(), retained_damages.clone());
        let (signing, outbox, failures) = (signing.clone(), outbox.clone(), failures.clone());
        let (budget, retained_reader) = (budget.clone(), retained_reader.clone());
        let body_readers = body_readers.clone();
        let seed = u64::from_le_bytes(random()?);
        http.push(std::thread::Builder::new().name(format!("http-{number}")).spawn(move || {
            let _alarm = Alarm::new(&engine, "an HTTP thread");
            listener::run_thread(async move {
                let tickets = Tickets::new(number);
                tokio::task::spawn_local(tickets.clone().deliver(reply_queue, engine.clone()));
                tokio::task::spawn_local(tickets.clone().take_turns(engine.clone()));
                let admin = Admin {
                    engine: engine.clone(),
                    clock,
                    journal,
                    durability: settings.durability,
                    data: settings.data.as_ref().map(|data| data.display().to_string()),
                    outbox,
                    failures,
                    damages: damages.clone(),
                    retained: retained_desk,
                    retained_damages,
                    cut: cut.as_deref().map(str::to_owned),
                    started,
                    tickets: tickets.clone(),
                    region: settings.region.clone(),
                };
                let shared = Rc::new(Desk {
                    engine,
                    tickets,
                    reader,
                    retained: retained_reader,
                    damages,
                    secret,
                    signing,
                    door: settings.door,
                    budget: budget.clone(),
                    public_url: settings.public_url,
                    region: settings.region,
                    body_readers,
                    admin: Rc::new(admin),
                    dice: RefCell::new(Dice::from_seed(seed)),
                });
                let (engine, busy) = (shared.engine.clone(), shared.clone());
                let grace = move || if engine.has_failed() { GRACE_AFTER_FAILURE } else { GRACE };
                let serve = move |request, line| shared.clone().serve(request, line);
                let turn_away = move |request, line| busy.turn_away_busy(request, &line);
                listener::serve(desk, budget, serve, turn_away, stopping, grace).await;
            })
        })?);
    }

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let outcome: Result<(), Box<dyn Error>> = local.block_on(&runtime, async {
        let mut signals = Signals::new()?;
        if let Some(init) = init {
            let tickets = Tickets::new(settings.http_threads);
            tokio::task::spawn_local(tickets.clone().deliver(own, engine.clone()));
            tokio::task::spawn_local(tickets.clone().take_turns(engine.clone()));
            let base = settings.public_url.clone().unwrap_or_else(|| url_of(&addresses));
            init::apply(&init, &engine, &tickets, &base).await?;
        }
        let acceptors: Vec<_> = listeners
            .into_iter()
            .map(|listener| tokio::spawn(porter.clone().accept(listener, stopping.clone(), engine.clone())))
            .collect();
        for listener in certificates {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::spawn(delivery::serve_certificate(listener, signing.notary().clone()));
        }
        announce(&settings, &addresses);
        signals.wait(&engine).await;
        info!("stopping");
        // First long polls end, then requests in progress are answered, then the sockets close.
        engine.put(Message::EndPolls);
        stop.send_replace(true);
        for acceptor in acceptors {
            acceptor.await??;
        }
        Ok(())
    });
    if engine.has_failed() {
        end_soon()?;
    }
    stop.send_replace(true);
    drop(porter);
    for thread in http {
        match thread.join() {
            Ok(ended) => ended?,
            // The thread's own alarm has reported the panic already.
            Err(_) => engine.fail("an HTTP thread panicked"),
        }
    }
    engine.put(Message::Stop);
    thread.join().map_err(|_| "the engine's thread panicked")?;
    if let Some(reason) = engine.failure_reason() {
        return Err(format!(
            "stopped: {reason}. All acknowledged data is in the log; start the server again"
        )
        .into());
    }
    outcome?;
    drop(scrub);
    match Arc::into_inner(journal) {
        Some(journal) => drop(journal.close()?),
        None => return Err("the journal is still in use".into()),
    }
    Ok(())
}

/// Ends the process after a while, so that a thread that hangs does not keep it alive.
fn end_soon() -> std::io::Result<()> {
    std::thread::Builder::new().name("end".into()).spawn(|| {
        std::thread::sleep(ENDING);
        error!("stopped; a thread did not end in time");
        std::process::exit(1);
    })?;
    Ok(())
}

fn random<const N: usize>() -> Result<[u8; N], Box<dyn Error>> {
    let mut bytes = [0; N];
    let mut source = std::fs::File::open("/dev/urandom")?;
    std::io::Read::read_exact(&mut source, &mut bytes)?;
    Ok(bytes)
}

/// Returns the URL by which a client on this machine reaches the server.
fn url_of(addresses: &[std::net::SocketAddr]) -> String {
    match addresses.first() {
        Some(address) if address.ip().is_unspecified() => format!("http://127.0.0.1:{}", address.port()),
        Some(address) => format!("http://{address}"),
        None => String::new(),
    }
}

/// Prints one line when the server is ready.
fn announce(settings: &Settings, addresses: &[std::net::SocketAddr]) {
    let url = url_of(addresses);
    let data = match (&settings.data, settings.durability) {
        (None, _) => "in memory: nothing survives".to_owned(),
        (Some(data), DurabilityOption::Fsync) => format!("data in {}, durability fsync", data.display()),
        (Some(data), DurabilityOption::Os) => format!("data in {}, durability os", data.display()),
    };
    let clock = if settings.virtual_clock { ", virtual clock" } else { "" };
    // The server also starts if this line cannot be written, for example to a file on a full disk.
    let _ = outln!(
        "posthaste {} is ready at {url} ({data}{clock}). Try: aws --endpoint-url {url} sqs create-queue --queue-name first",
        env!("CARGO_PKG_VERSION")
    );
}

/// The signals that stop the server.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self, engine: &Handle) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = engine.failure() => {
                // Waiting clients are getting the error; give them time to receive it.
                tokio::time::sleep(HEARING).await;
            }
        }
    }
}
