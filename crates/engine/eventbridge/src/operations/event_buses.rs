//! CreateEventBus, DeleteEventBus, DescribeEventBus, UpdateEventBus and ListEventBuses.

use api::eventbridge::{
    CreateEventBusInput, CreateEventBusOutput, DeadLetterConfig, DeleteEventBusInput, DeleteEventBusOutput,
    DescribeEventBusInput, DescribeEventBusOutput, EventBus, ListEventBusesInput, ListEventBusesOutput,
    LogConfig, UpdateEventBusInput, UpdateEventBusOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::tags::Tags;

use super::{Context, Decision, Reply, bus_of, bus_redeclared, decided, done, owned, shown, timestamp};
use crate::ids::DEFAULT_BUS;
use crate::records::{BusDeclared, Record};
use crate::rules::constraints::{ARN, BUS_NAME, Constraints, text};
use crate::rules::pages::{self, Page};
use crate::rules::{names, tags};
use crate::state::State;
use crate::{BusId, BusKey, limits, refusals};

/// What can be said of a bus besides its name.
#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    description: Option<String>,
    kms_key: Option<String>,
    dead_letters: Option<DeadLetterConfig>,
    log: Option<LogConfig>,
}

/// AWS's model: `IncludeDetail`, `Level`.
const DETAILS: [&str; 2] = ["NONE", "FULL"];
const LEVELS: [&str; 4] = ["OFF", "ERROR", "INFO", "TRACE"];

impl Said {
    /// Checks what is said, together with what was checked before.
    fn of(
        (description, kms_key): (Option<api::Text>, Option<api::Text>),
        (dead_letters, log): (Option<DeadLetterConfig>, Option<LogConfig>),
        constraints: &mut Constraints,
    ) -> Result<Said, Refusal> {
        let letters = dead_letters.as_ref().and_then(|letters| letters.arn.as_ref());
        let detail = log.as_ref().and_then(|log| log.include_detail.as_ref());
        let level = log.as_ref().and_then(|log| log.level.as_ref());
        constraints
            .text("description", description.as_ref(), text(512))
            .text("kmsKeyIdentifier", kms_key.as_ref(), text(2048))
            .text("deadLetterConfig.arn", letters, ARN)
            .one_of("logConfig.includeDetail", detail, &DETAILS)
            .one_of("logConfig.level", level, &LEVELS)
            .check()?;
        let (description, kms_key) = (owned(description.as_ref()), owned(kms_key.as_ref()));
        Ok(Said { description, kms_key, dead_letters, log })
    }
}

/// CreateEventBus.
#[derive(Clone, Debug)]
pub struct CreateEventBus {
    /// Which.
    pub bus: BusKey,
    /// What is said of it.
    pub said: Said,
    /// What it is to be marked with.
    pub tags: Tags,
}

impl Operation<State> for CreateEventBus {
    type Input = CreateEventBusInput;
    type Output = CreateEventBusOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateEventBusInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let said = Said::of(
            (input.description, input.kms_key_identifier),
            (input.dead_letter_config, input.log_config),
            Constraints::default().required_text("name", input.name.as_ref(), BUS_NAME),
        )?;
        if let Some(source) = &input.event_source_name {
            // There are no partners here.
            return Err(refusals::missing(format_args!("Event source {source} does not exist.")));
        }
        if input.name.as_deref().is_some_and(|name| name.contains('/')) {
            return Err(refusals::invalid("Event bus name must not contain '/'."));
        }
        let bus = names::bus(input.name.as_deref(), asker.caller);
        Ok(CreateEventBus { bus, said, tags: tags::check(input.tags.as_deref())? })
    }

    /// Makes it, unless it is there (facts/eventbridge.md § 2).
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.try_decide(state, context))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<CreateEventBusOutput, Malformed> {
        let Reply::Bus(bus) = reply else { return Err(Malformed) };
        Ok(CreateEventBusOutput {
            event_bus_arn: Some(bus.key.arn().to_string().into()),
            description: shown(bus.description),
            kms_key_identifier: shown(bus.kms_key),
            dead_letter_config: bus.dead_letters,
            log_config: bus.log,
        })
    }
}

impl CreateEventBus {
    fn try_decide<'a>(&'a self, state: &State, context: &Context<'a, '_>) -> Result<Decision<'a>, Refusal> {
        if state.has_bus(&self.bus) {
            return Err(refusals::exists(format_args!("Event bus {} already exists.", self.bus.name)));
        }
        let buses = state.buses_of(&self.bus.account, &self.bus.region, "").count();
        if context.setting.limits.quotas && buses >= limits::BUSES {
            return Err(refusals::too_many());
        }
        tags::check_count(&self.tags)?;
        let id = BusId(context.setting.numbers.draw());
        let mut declared = BusDeclared::new(id, self.bus.clone(), context.setting.now);
        self.said.apply(&mut declared);
        declared.tags.clone_from(&self.tags);
        let reply = Reply::Bus(Box::new(declared.clone()));
        Ok(done(Record::BusDeclared(Box::new(declared)), reply))
    }
}

impl Said {
    fn apply(&self, declared: &mut BusDeclared) {
        declared.description.clone_from(&self.description);
        declared.kms_key.clone_from(&self.kms_key);
        declared.dead_letters.clone_from(&self.dead_letters);
        declared.log.clone_from(&self.log);
    }
}

/// DeleteEventBus.
#[derive(Clone, Debug)]
pub struct DeleteEventBus {
    /// Which.
    pub bus: BusKey,
}

impl Operation<State> for DeleteEventBus {
    type Input = DeleteEventBusInput;
    type Output = DeleteEventBusOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Purge;

    fn prepare(input: DeleteEventBusInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default().required_text("name", input.name.as_ref(), BUS_NAME).check()?;
        let bus = names::bus(input.name.as_deref(), asker.caller);
        if bus.is_default() {
            return Err(refusals::invalid("Cannot delete event bus default."));
        }
        Ok(DeleteEventBus { bus })
    }

    /// Deletes it, unless it has rules. That there is none is as good (facts/eventbridge.md § 2; the text about rules as recorded by
    /// users of AWS).
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(bus) = state.bus(&self.bus) else { return Decision::answer(Reply::Done) };
        match &bus.declared {
            None => Decision::answer(Reply::Done),
            Some(_) if !bus.rules.is_empty() => {
                refusals::invalid("EventBus can't be deleted since it has rules.").into()
            }
            Some(declared) => done(Record::BusDeleted(declared.deletion()), Reply::Done),
        }
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<DeleteEventBusOutput, Malformed> {
        reply.done()
    }
}

/// DescribeEventBus.
#[derive(Clone, Debug)]
pub struct DescribeEventBus {
    /// Which.
    pub bus: BusKey,
}

impl Operation<State> for DescribeEventBus {
    type Input = DescribeEventBusInput;
    type Output = DescribeEventBusOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeEventBusInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default().bus("name", input.name.as_ref()).check()?;
        Ok(DescribeEventBus { bus: names::bus(input.name.as_deref(), asker.caller) })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(bus_of(state, &self.bus).map(|bus| Decision::answer(Reply::Bus(Box::new(bus)))))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<DescribeEventBusOutput, Malformed> {
        let Reply::Bus(bus) = reply else { return Err(Malformed) };
        Ok(DescribeEventBusOutput {
            arn: Some(bus.key.arn().to_string().into()),
            name: Some(bus.key.name.into()),
            description: shown(bus.description),
            kms_key_identifier: shown(bus.kms_key),
            dead_letter_config: bus.dead_letters,
            policy: shown(bus.policy),
            log_config: bus.log,
            creation_time: timestamp(bus.created),
            last_modified_time: timestamp(bus.modified),
            managed_by: None,
        })
    }
}

/// UpdateEventBus.
#[derive(Clone, Debug)]
pub struct UpdateEventBus {
    /// Which.
    pub bus: BusKey,
    /// What is said of it now. What is not said is taken away.
    pub said: Said,
}

impl Operation<State> for UpdateEventBus {
    type Input = UpdateEventBusInput;
    type Output = UpdateEventBusOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateEventBusInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let said = Said::of(
            (input.description, input.kms_key_identifier),
            (input.dead_letter_config, input.log_config),
            Constraints::default().text("name", input.name.as_ref(), BUS_NAME),
        )?;
        Ok(UpdateEventBus { bus: names::bus(input.name.as_deref(), asker.caller), said })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let changed = bus_redeclared(state, &self.bus, &context.setting, |declared| {
            self.said.apply(declared);
            Ok(())
        });
        decided(changed.and_then(|declared| match declared {
            Some(declared) => {
                let reply = Reply::Bus(Box::new(declared.clone()));
                Ok(done(Record::BusDeclared(Box::new(declared)), reply))
            }
            None => Ok(Decision::answer(Reply::Bus(Box::new(bus_of(state, &self.bus)?)))),
        }))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<UpdateEventBusOutput, Malformed> {
        let Reply::Bus(bus) = reply else { return Err(Malformed) };
        Ok(UpdateEventBusOutput {
            arn: Some(bus.key.arn().to_string().into()),
            name: Some(bus.key.name.into()),
            description: shown(bus.description),
            kms_key_identifier: shown(bus.kms_key),
            dead_letter_config: bus.dead_letters,
            log_config: bus.log,
        })
    }
}

/// ListEventBuses.
#[derive(Clone, Debug)]
pub struct ListEventBuses {
    /// Whose.
    pub account: String,
    /// Where.
    pub region: String,
    /// What their names begin with.
    pub prefix: String,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListEventBuses {
    type Input = ListEventBusesInput;
    type Output = ListEventBusesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListEventBusesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Constraints::default().text("namePrefix", input.name_prefix.as_ref(), BUS_NAME).check()?;
        Ok(ListEventBuses {
            account: asker.caller.account.clone(),
            region: asker.caller.region.clone(),
            prefix: input.name_prefix.as_deref().unwrap_or_default().to_owned(),
            page: pages::page(input.next_token.as_ref(), input.limit)?,
        })
    }

    /// Tells them by name. The default bus is among them whether anything was said of it or not.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let default = BusKey {
            account: self.account.clone(),
            region: self.region.clone(),
            name: DEFAULT_BUS.to_owned(),
        };
        let from = self.page.after.as_deref().filter(|after| **after >= *self.prefix).unwrap_or(&self.prefix);
        let known = state.buses_of(&self.account, &self.region, from).map(|(key, _)| key);
        let known =
            known.take_while(|key| key.name.starts_with(&self.prefix)).filter(|key| !key.is_default());
        let (before, behind): (Vec<&BusKey>, Vec<&BusKey>) =
            known.take(self.page.most + 2).partition(|key| key.name < default.name);
        let own = Some(&default).filter(|default| default.name.starts_with(&self.prefix));
        let keys = before.into_iter().chain(own).chain(behind);
        let keys = keys.filter(|key| self.page.after.as_ref().is_none_or(|after| key.name > *after));
        let listed = self.page.fill(keys.filter_map(|key| Some((&key.name, bus_of(state, key).ok()?))));
        Decision::answer(Reply::Buses(listed))
    }

    fn present(reply: Reply, _: &(), (): &()) -> Result<ListEventBusesOutput, Malformed> {
        let Reply::Buses(listed) = reply else { return Err(Malformed) };
        let bus = |bus: BusDeclared| EventBus {
            arn: Some(bus.key.arn().to_string().into()),
            name: Some(bus.key.name.into()),
            description: shown(bus.description),
            policy: shown(bus.policy),
            creation_time: timestamp(bus.created),
            last_modified_time: timestamp(bus.modified),
            managed_by: None,
        };
        Ok(ListEventBusesOutput {
            event_buses: Some(listed.items.into_iter().map(bus).collect()),
            next_token: shown(listed.next_token),
        })
    }
}
