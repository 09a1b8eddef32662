//! Discoverers of the whole server over a disk that loses what was not synced: a discoverer is there with its rule or not at all, and the
//! schemas say what the events showed, also after cleaning.

use api::eventbridge::{self as buses, CreateEventBusInput, PutEventsInput, PutEventsRequestEntry};
use api::schemas::{CreateDiscovererInput, DeleteDiscovererInput, Request};
use eventbridge::{BusKey, RuleKey};
use kernel::{Asker, Caller};
use machine::{Answer, Command, Input, Options};
use simulator::dice::Dice;
use simulator::test_server::TestServer;

const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";

struct Story {
    server: TestServer,
    dice: Dice,
}

fn caller() -> Caller {
    Caller { account: ACCOUNT.into(), region: REGION.into(), principal: ACCOUNT.into(), signed: true }
}

fn discoverer_id(bus: &str) -> String {
    format!("events-event-bus-{bus}")
}

impl Story {
    fn new(seed: u64) -> Story {
        let server = TestServer::new(seed, 64 << 10, Options::default());
        Story { server, dice: Dice::from_seed(seed) }
    }

    fn send(&mut self, command: Command) {
        self.server.handle(Input::Request { ticket: 1, command });
    }

    fn ask(&mut self, command: Command) -> Answer {
        self.send(command);
        self.server.settle().pop().expect("an answer")
    }

    fn bus_command(request: buses::Request) -> Command {
        let (caller, trace) = (caller(), None);
        let asker = Asker { caller: &caller, base: "http://localhost:4566", trace };
        Command::Eventbridge(eventbridge::operations::prepare(request, &asker).unwrap().0)
    }

    fn command(request: Request) -> Command {
        let (caller, trace) = (caller(), None);
        let asker = Asker { caller: &caller, base: "http://localhost:4566", trace };
        Command::Schemas(schemas::operations::prepare(request, &asker).unwrap().0)
    }

    fn create_bus(&mut self, name: &str) {
        let input = CreateEventBusInput { name: Some(name.to_owned().into()), ..Default::default() };
        self.ask(Self::bus_command(buses::Request::CreateEventBus(input))).unwrap();
    }

    fn create_discoverer(bus: &str) -> Command {
        let source = format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{bus}");
        let input = CreateDiscovererInput { source_arn: Some(source.into()), ..Default::default() };
        Self::command(Request::CreateDiscoverer(input))
    }

    fn delete_discoverer(bus: &str) -> Command {
        let input = DeleteDiscovererInput { discoverer_id: Some(discoverer_id(bus).into()) };
        Self::command(Request::DeleteDiscoverer(input))
    }

    fn put(&mut self, bus: &str, detail: &str) {
        let entry = PutEventsRequestEntry {
            event_bus_name: Some(bus.to_owned().into()),
            source: Some("shop".into()),
            detail_type: Some("t".into()),
            detail: Some(detail.to_owned().into()),
            ..Default::default()
        };
        let input = PutEventsInput { entries: Some(vec![entry]), endpoint_id: None };
        self.ask(Self::bus_command(buses::Request::PutEvents(input))).unwrap();
    }

    /// Whether the bus has the rule of a discoverer, and whether there is the discoverer.
    fn are_there(&self, bus: &str) -> (bool, bool) {
        let machine = &self.server.server.machine;
        let name = format!("Schemas-{}", discoverer_id(bus));
        let on = BusKey { account: ACCOUNT.into(), region: REGION.into(), name: bus.into() };
        let has_rule = machine.eventbridge().rule(&RuleKey { bus: on, name }).is_some();
        (has_rule, machine.schemas().discoverers().any(|it| it.key.id == discoverer_id(bus)))
    }

    /// The versions of the only schema: numbers and contents.
    fn versions(&self) -> Vec<(u64, String)> {
        let schemas = self.server.server.machine.schemas();
        let Some(schema) = schemas.schemas().next() else { return Vec::new() };
        schemas.versions_of(schema.id).map(|it| (it.key.version, it.content.to_string())).collect()
    }
}

#[test]
fn a_discoverer_is_there_with_its_rule_or_not_at_all() {
    let mut outcomes = [0; 2];
    for seed in 0..40 {
        let mut story = Story::new(seed);
        story.create_bus("b");
        for step in 0..6 {
            let is_there = story.are_there("b").1;
            story.send(if is_there { Story::delete_discoverer("b") } else { Story::create_discoverer("b") });
            // The power goes while some of it is written, or some time after.
            story.server.flush();
            let written = story.dice.below(3);
            for _ in 0..written {
                story.server.write();
            }
            if story.dice.percent(40) {
                story.server.sync();
            }
            story.server.crash();
            let (has_rule, has_discoverer) = story.are_there("b");
            assert_eq!(has_rule, has_discoverer, "seed {seed}, step {step}");
            outcomes[usize::from(has_discoverer == is_there)] += 1;
        }
    }
    assert!(outcomes.iter().all(|&count| count > 20), "both happen: {outcomes:?}");
}

#[test]
fn versions_are_what_events_showed_whatever_is_cleaned_and_cut_off() {
    let mut story = Story::new(1);
    story.create_bus("b");
    story.create_bus("noise");
    story.ask(Story::create_discoverer("b")).unwrap();
    let mut expected = 0;
    for round in 0..40_u64 {
        if round % 4 == 0 {
            story.put("b", &format!("{{\"p{round}\": {round}}}"));
            expected += 1;
        }
        // What is seen again adds nothing, and fills the log no more than other events.
        story.put("b", "{\"p0\": 7}");
        expected += u64::from(round == 4);
        let before = story.versions();
        for bus in 0..20 {
            story.create_bus(&format!("bus-{round}-{bus}"));
            let name = Some(format!("bus-{round}-{bus}").into());
            let delete = buses::Request::DeleteEventBus(buses::DeleteEventBusInput { name });
            story.ask(Story::bus_command(delete)).unwrap();
        }
        let now = story.server.now;
        story.server.server.tidy(now).unwrap();
        if round % 5 == 0 {
            story.server.crash();
        }
        assert_eq!(story.versions(), before, "round {round}");
    }
    let versions = story.versions();
    assert!(versions.len() >= 10, "{versions:?} {expected}");
    let numbers: Vec<u64> = versions.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=versions.len() as u64).collect::<Vec<_>>());
    let (_, last) = versions.last().unwrap();
    for round in (0..40).step_by(4) {
        assert!(last.contains(&format!("\"p{round}\"")), "{last}");
    }
    story.ask(Story::delete_discoverer("b")).unwrap();
    story.put("b", "{\"more\": 1}");
    assert_eq!(story.versions(), versions);
}
