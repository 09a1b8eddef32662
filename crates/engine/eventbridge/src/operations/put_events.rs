//! PutEvents: up to ten events, each of which goes to all targets of the rules that match it.

use std::borrow::Cow;
use std::sync::Arc;

use api::eventbridge::{PutEventsInput, PutEventsOutput, PutEventsResultEntry};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Dice, Operation, Refusal, Time, uuid_text};

use super::{Command, Context, Decision, Outcome, Reply};
use crate::ids::event_id;
use crate::routing::{Route, Went};
use crate::rules::constraints::{Constraints, text};
use crate::rules::entry::{self, Accepted, Draft, Fault};
use crate::rules::names;
use crate::rules::permissions::may_put;
use crate::state::State;
use crate::{BusKey, refusals};

/// Bytes of the head of a parcel and of what is stored beside an event, about.
const HEAD_BYTES: usize = 4 << 10;

/// PutEvents.
#[derive(Clone, Debug)]
pub struct PutEvents {
    /// Who puts them.
    pub account: String,
    /// The entries.
    pub entries: Vec<Result<Entry, Fault>>,
}

/// An entry that is right in itself.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What is put.
    pub draft: Draft,
    /// The event that becomes of it, if that was made where the request was read. Nothing depends on whether it is here.
    pub accepted: Option<Box<Accepted>>,
}

/// How far it has come.
#[derive(Debug)]
pub struct Progress<'a> {
    /// The results of the entries that are done.
    results: Vec<Result<String, Fault>>,
    /// The event that is under way.
    route: Option<Route<'a>>,
}

impl Operation<State> for PutEvents {
    type Input = PutEventsInput;
    type Output = PutEventsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    /// Reads the request, and makes events of it, but for what only their acceptance tells.
    fn prepare(input: PutEventsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default()
            .required("entries", input.entries.as_ref())
            .text("endpointId", input.endpoint_id.as_ref(), text(50))
            .check()?;
        let entries = input.entries.unwrap_or_default();
        entry::check_all(&entries)?;
        if input.endpoint_id.is_some() {
            // Global endpoints are not there.
            return Err(refusals::missing("Endpoint does not exist."));
        }
        // The entries of one bus share its key.
        let mut buses: Vec<(Option<&str>, Arc<BusKey>)> = Vec::new();
        let mut made = Vec::with_capacity(entries.len());
        for entry in &entries {
            let name = entry.event_bus_name.as_deref();
            let bus = match buses.iter().find(|(other, _)| *other == name) {
                Some((_, bus)) => bus.clone(),
                None => {
                    let bus = Arc::new(names::bus(name, asker.caller));
                    buses.push((name, bus.clone()));
                    bus
                }
            };
            made.push(Draft::of(entry, bus, asker).map(|draft| Entry { draft, accepted: None }));
        }
        let account = asker.caller.account.clone();
        Ok(PutEvents { account, entries: made })
    }

    /// Hands the first event to those who are to have it. The others are steps of their own: what one does counts
    /// for the next.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let results = Vec::with_capacity(self.entries.len());
        self.go_on(Box::new(Progress { results, route: None }), state, context)
    }

    fn decide_again<'a>(
        &'a self,
        step: Box<Progress<'a>>,
        state: &State,
        context: &mut Context<'a, '_>,
    ) -> Decision<'a> {
        self.go_on(step, state, context)
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<PutEventsOutput, Malformed> {
        let Reply::Put(results) = reply else { return Err(Malformed) };
        let failed = results.iter().filter(|result| result.is_err()).count();
        let entry = |result| match result {
            Ok(id) => PutEventsResultEntry { event_id: Some(String::into(id)), ..Default::default() },
            Err(Fault { code, message }) => PutEventsResultEntry {
                error_code: Some(code.into()),
                error_message: Some(message.into()),
                event_id: None,
            },
        };
        Ok(PutEventsOutput {
            failed_entry_count: i32::try_from(failed).ok(),
            entries: Some(results.into_iter().map(entry).collect()),
        })
    }
}

impl PutEvents {
    /// Goes on until something is to be recorded or all is done.
    fn go_on<'a>(
        &'a self,
        mut progress: Box<Progress<'a>>,
        state: &State,
        context: &mut Context<'a, '_>,
    ) -> Decision<'a> {
        loop {
            let mut route = match progress.route.take() {
                Some(route) => route,
                None => match self.entries.get(progress.results.len()) {
                    None => return Decision::answer(Reply::Put(progress.results)),
                    Some(Err(fault)) => {
                        progress.results.push(Err(fault.clone()));
                        continue;
                    }
                    Some(Ok(entry)) => match self.check(&entry.draft.bus, state, context) {
                        Err(fault) => {
                            progress.results.push(Err(fault));
                            continue;
                        }
                        Ok(()) => entry.route(progress.results.len(), context),
                    },
                },
            };
            let Went { is_on_its_way, targets } = state.go_on(&mut route, context);
            let (bytes, id) = (route.bytes(), route.id().to_owned());
            match is_on_its_way {
                true => progress.route = Some(route),
                false => progress.results.push(Ok(id)),
            }
            let is_over = !is_on_its_way && progress.results.len() == self.entries.len();
            if targets == 0 && !is_over {
                // Nobody is to have it, so there is nothing to record.
                continue;
            }
            if is_over {
                let outcome = Outcome::Reply(Ok(Reply::Put(progress.results)));
                return Decision::with(Vec::new(), outcome);
            }
            let rest = self.entries.get(progress.results.len()..).unwrap_or_default().iter().flatten();
            let rest = rest.map(|entry| entry.bytes() + HEAD_BYTES).sum::<usize>();
            let room = rest + if is_on_its_way { bytes + HEAD_BYTES } else { 0 };
            let outcome = Outcome::Again { step: progress, room };
            return Decision::with(Vec::new(), outcome);
        }
    }
}

impl PutEvents {
    /// Whether an event can be put on a bus now.
    fn check(&self, bus: &BusKey, state: &State, context: &Context<'_, '_>) -> Result<(), Fault> {
        if context.setting.store_lags && state.archiving.keeps_of(bus) {
            // AWS's documentation of PutEventsResultEntry has the code, which clients try again.
            let message = "The store that keeps archived events has no room on its disk, or is too slow, and too many events wait for it.";
            return Err(Fault { code: "ThrottlingException", message: message.to_owned() });
        }
        self.check_permission(bus, state, context)
    }

    /// Whether the account may put events on a bus. An entry that it may not put fails alone (AWS's documentation of
    /// PutEventsResultEntry lists the error).
    fn check_permission(&self, bus: &BusKey, state: &State, context: &Context<'_, '_>) -> Result<(), Fault> {
        let policy = state.bus(bus).and_then(|bus| bus.policy());
        if !context.setting.limits.policies || may_put(policy, bus, &self.account, None) {
            return Ok(());
        }
        let message = format!(
            "User: arn:aws:iam::{}:root is not authorized to perform: events:PutEvents on resource: {} because no resource-based policy allows the events:PutEvents action",
            self.account,
            bus.arn()
        );
        Err(Fault { code: "AccessDeniedException", message })
    }
}

impl Entry {
    fn route<'a>(&'a self, place: usize, context: &Context<'a, '_>) -> Route<'a> {
        let event = match &self.accepted {
            Some(accepted) => Cow::Borrowed(&**accepted),
            None => {
                let setting = &context.setting;
                let id = event_id(setting.secret, setting.now, place, setting.numbers.draw());
                Cow::Owned(self.draft.accept(id, setting.now))
            }
        };
        Route::new(Cow::Borrowed(&self.draft), event)
    }

    fn bytes(&self) -> usize {
        self.accepted.as_ref().map_or(0, |accepted| accepted.payload.len())
    }
}

impl Command {
    /// Makes events of what was put, where the request was read: at `now`, with ids from `dice`. What costs by the byte then costs the
    /// engine's turn nothing.
    pub fn accept_events(&mut self, now: Time, dice: &mut Dice) {
        let Command::PutEvents(put) = self else { return };
        let mut entries: Vec<&mut Entry> = put.entries.iter_mut().flatten().collect();
        let mut id = || {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&dice.roll().to_le_bytes());
            bytes[8..].copy_from_slice(&dice.roll().to_le_bytes());
            uuid_text(bytes)
        };
        let accepted = Draft::accept_all(entries.iter().map(|entry| (&entry.draft, id())), now);
        for (entry, accepted) in entries.iter_mut().zip(accepted) {
            entry.accepted = Some(Box::new(accepted));
        }
    }
}
