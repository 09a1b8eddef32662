//! The smallest service, which remembers the last text and gives it back, and the machine's own tests with it.

use std::ops::RangeInclusive;

use kernel::codec::{Malformed, Reader, put_str, put_u64};
use kernel::service::{Decision, Fact, Outcome};
use kernel::{
    Call, Called, Caller, Context, Demand, Extent, Ledger, Offer, ParcelSent, Refusal, Secret, Service,
    Setting, Survival, Taken,
};

use crate::calls::Callable;
use crate::house::services;

services! { echo: Echo = State }

/// The last text, its number, and who waits for the next.
#[derive(Debug, Default)]
pub struct State {
    last: Option<(u64, String, Extent)>,
    waiting: Vec<u64>,
    heard: Vec<Heard>,
}

/// A request that is answered now: with the text, or with what became of a call of this operation with this input.
#[derive(Debug)]
pub struct Heard(u64, Option<(&'static str, &'static str)>);

/// What can be asked.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Remember this.
    Say(&'static str),
    /// Remember both, one after the other.
    SayTwice(&'static str, &'static str),
    /// Tell the next text, when there is one.
    Listen,
    /// Refuse.
    Refuse,
    /// Call this operation with this input, say `called`, and tell what became of the call.
    Call(&'static str, &'static str),
    /// Offer a text to the echo, and say another one.
    Offer(&'static str, &'static str),
}

/// A text was said.
#[derive(Debug)]
pub struct Said<'a>(u64, &'a str);

impl<'a> kernel::service::Record<'a> for Said<'a> {
    fn is_configuration(&self) -> bool {
        true
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*State::KINDS.start());
        put_u64(out, self.0);
        put_str(out, self.1);
    }

    fn decode(head: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(head.get(1..).ok_or(Malformed)?);
        Ok(Said(reader.u64()?, reader.str()?))
    }
}

/// A call of this service itself.
fn call<'a>(operation: &str, input: &str) -> Outcome<'a, State> {
    let caller =
        Caller { account: String::new(), region: String::new(), principal: String::new(), signed: true };
    Outcome::Call(Box::new(Call {
        service: State::NAME.to_owned(),
        operation: operation.to_owned(),
        input: input.to_owned(),
        caller,
        base: String::new(),
        room: 100,
    }))
}

impl Callable for Services {
    type Command = Command;
    type Reply = Reply;
    type Plan = ();

    fn prepare_call(call: &Call) -> Result<(Command, ()), Called> {
        let input = || &*call.input.clone().leak();
        let ask = match &*call.operation {
            "say" | "again" => Ask::Say(input()),
            "sayTwice" => Ask::SayTwice(input(), "twice"),
            "listen" => Ask::Listen,
            "refuse" => Ask::Refuse,
            _ => return Err(Called::Impossible("there is no such operation".into())),
        };
        Ok((Command::Echo(ask), ()))
    }

    fn present_call(Reply::Echo(reply): Reply, (): &(), _: &str, _: &Secret) -> Called {
        Called::Answered(reply)
    }
}

impl Service for State {
    const NAME: &'static str = "echo";
    const KINDS: RangeInclusive<u8> = 200..=200;
    const OVERLONG: &'static str = "TooLong";
    const CHORES: &'static [usize] = &[1];
    type Limits = ();
    type Command = Ask;
    type Reply = String;
    type Record<'a> = Said<'a>;
    type Step<'a> = &'a str;
    type Waiter = Heard;
    type Event = ();
    type Due = Heard;
    type Effect = &'static str;

    fn subject(_: u8) -> &'static str {
        "texts"
    }

    fn demand(_: &Ask) -> Demand {
        Demand::Change
    }

    fn decide<'a>(&self, ask: &'a Ask, context: &mut Context<'a, '_, ()>) -> Decision<'a, Self> {
        let number = context.setting.numbers.draw();
        let before = || self.last.as_ref().map(|(_, text, _)| text.clone()).unwrap_or_default();
        match ask {
            Ask::Say(text) => Decision::done(vec![Said(number, text).into()], before()),
            Ask::SayTwice(one, other) => {
                let again = Outcome::Again { step: *other, room: 100 };
                Decision::with(vec![Said(number, one).into()], again)
            }
            Ask::Listen => Decision::with(Vec::new(), Outcome::Wait(Heard(context.setting.ticket, None))),
            Ask::Call(operation, input) => {
                let heard = Heard(context.setting.ticket, Some((operation, input)));
                Decision::with(Vec::new(), Outcome::Wait(heard))
            }
            Ask::Refuse => Refusal::new("Refused", "no").into(),
            Ask::Offer(offered, said) => {
                let parcel = ParcelSent::new(context.setting.numbers.draw(), 0, context.setting.now);
                let body = context.body(parcel, offered.as_bytes());
                let taken = context.offer(&Offer {
                    to: &kernel::Arn::new(State::NAME, "", "", "echo"),
                    body,
                    must_be_allowed: None,
                    size: offered.len(),
                    attributes: 0,
                    form: kernel::parcel::Form::default(),
                    deduplicates_by_content: false,
                    is_dead_letter: false,
                });
                let reply = format!("{taken:?} {}", context.has_followers());
                Decision::done(vec![Said(number, said).into()], reply)
            }
        }
    }

    fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_, ()>) -> Taken {
        let text = String::from_utf8_lossy(context.payload(offer.body)).into_owned();
        let said = Said(context.setting.numbers.draw(), &text);
        context.record(&Fact::from(said));
        Taken::Taken
    }

    fn decide_again<'a>(
        &self,
        ask: &'a Ask,
        other: &'a str,
        context: &mut Context<'a, '_, ()>,
    ) -> Decision<'a, Self> {
        assert!(matches!(ask, Ask::SayTwice(..)));
        let before = self.last.as_ref().map(|(_, text, _)| text.clone()).unwrap_or_default();
        let said = Said(context.setting.numbers.draw(), other);
        let effects = vec![(kernel::Rests::OnEverything, "twice")];
        Decision { effects, ..Decision::done(vec![said.into()], before) }
    }

    fn wait(&mut self, heard: Heard) {
        match heard.1 {
            None => self.waiting.push(heard.0),
            Some(_) => self.heard.push(heard),
        }
    }

    fn gone(&mut self, ticket: u64) -> Option<String> {
        let at = self.waiting.iter().position(|&waiting| waiting == ticket)?;
        self.waiting.remove(at);
        Some("gone".to_owned())
    }

    fn apply(&mut self, record: &Said<'_>, at: Extent, ledger: &mut Ledger) {
        ledger.hold(at);
        if let Some((_, _, old)) = self.last.replace((record.0, record.1.to_owned(), at)) {
            ledger.release(old);
        }
        self.heard.extend(self.waiting.drain(..).map(|ticket| Heard(ticket, None)));
    }

    fn reset(&mut self, _: kernel::Time) -> Vec<Fact<'static, Said<'static>>> {
        vec![Said(0, "").into()]
    }

    fn is_behind(&self, _: &Setting<'_, ()>) -> bool {
        !self.heard.is_empty()
    }

    fn take_due(&mut self, _: usize, _: &Setting<'_, ()>) -> Option<Heard> {
        self.heard.pop()
    }

    fn consequence<'a>(&self, due: &'a mut Heard, _: &mut Context<'a, '_, ()>) -> Decision<'a, Self> {
        if let Some((operation, input)) = due.1 {
            return Decision::with(Vec::new(), call(operation, input));
        }
        let text = self.last.as_ref().map(|(_, text, _)| text.clone()).unwrap_or_default();
        Decision { ticket: Some(due.0), ..Decision::answer(text) }
    }

    fn called<'a>(
        &self,
        due: &'a mut Heard,
        called: Called,
        context: &mut Context<'a, '_, ()>,
    ) -> Decision<'a, Self> {
        if let (Some((operation @ "again", input)), Called::Answered(_)) = (due.1, &called) {
            return Decision::with(Vec::new(), call(operation, input));
        }
        let fact = Said(context.setting.numbers.draw(), "called");
        let decision = Decision::done(vec![fact.into()], format!("{called:?}"));
        Decision { ticket: Some(due.0), ..decision }
    }

    fn hear(&mut self, (): (), _: &Setting<'_, ()>) -> Option<Heard> {
        Some(Heard(self.waiting.pop()?, None))
    }

    fn survival(&self, _: &Said<'_>, at: Extent, _: &Ledger) -> Survival {
        match &self.last {
            Some((_, _, last)) if *last == at => Survival::Fact,
            _ => Survival::Dead,
        }
    }

    fn write_again<'a>(
        &self,
        record: Said<'a>,
        _: &'a [u8],
        at: Extent,
        ledger: &Ledger,
    ) -> Vec<Fact<'a, Said<'a>>> {
        match self.survival(&record, at, ledger) {
            Survival::Dead => Vec::new(),
            _ => vec![record.into()],
        }
    }
}

mod tests {
    use std::sync::Arc;

    use journal::engines::Memory;
    use journal::{Journal, Writer};
    use kernel::{Place, Stored, Time};

    use super::*;
    use crate::{Input, Machine, Options, Output, Recovery};

    const NOW: Time = Time(1_700_000_000_000);

    /// What was answered, by ticket.
    type Answers = Vec<(u64, Result<String, Refusal>)>;

    /// A machine over a log in memory.
    struct Server {
        storage: Arc<Memory>,
        machine: Machine<Services>,
        writer: Writer,
        reader: journal::Reader,
        next_ticket: u64,
    }

    impl Server {
        fn new() -> Server {
            let mut server = Server::start(Arc::new(Memory::new()));
            server.machine.handle(NOW, Input::Identify { secret: Secret([7; 32]) });
            server.settle();
            server
        }

        fn start(storage: Arc<Memory>) -> Server {
            let options = journal::Options { segment_bytes: 4096, ..journal::Options::default() };
            let mut journal = Journal::open(storage.clone(), &options).unwrap();
            let mut recovery = Recovery::of(Options::default(), journal.appender(), journal.recovered(), NOW);
            journal.configuration(|entry| recovery.read(entry.extent, entry.head)).unwrap();
            journal.flow(|entry| recovery.read(entry.extent, entry.head)).unwrap();
            let mut machine = recovery.finish().unwrap();
            machine.handle(NOW, Input::Durable(journal.recovered().durable));
            let reader = journal.reader();
            Server { storage, machine, writer: journal.into_writer(), reader, next_ticket: 0 }
        }

        /// The same from what the log says.
        fn restart(self) -> Server {
            let Server { storage, machine, writer, reader, .. } = self;
            drop((machine, writer, reader));
            Server::start(storage)
        }

        fn put(&mut self, ask: Ask) -> u64 {
            self.next_ticket += 1;
            let ticket = self.next_ticket;
            self.machine.handle(NOW, Input::Request { ticket, command: Command::Echo(ask) });
            ticket
        }

        /// Writes, reads and drops what the machine wants; what it answers, and what it wants done outside.
        fn settle(&mut self) -> (Answers, Vec<&'static str>) {
            let (mut answers, mut effects) = (Vec::new(), Vec::new());
            loop {
                self.machine.flush(NOW);
                let mut has_done = false;
                while let Some(output) = self.machine.poll() {
                    has_done = true;
                    match output {
                        Output::Reply { ticket, answer } => {
                            answers.push((ticket, answer.map(|Reply::Echo(text)| text)));
                        }
                        Output::Effect(Effect::Echo(effect)) => effects.push(effect),
                        errand => self.run(errand),
                    }
                }
                if !has_done && !self.machine.has_background_work() {
                    return (answers, effects);
                }
            }
        }

        fn run(&mut self, errand: Output<Services>) {
            let news = match errand {
                Output::Append(mut batch) => {
                    self.writer.write(&mut batch).unwrap();
                    self.machine.recycle(batch);
                    let durable = self.writer.sync().unwrap();
                    self.writer.tidy().unwrap();
                    Input::Durable(durable)
                }
                Output::Survey { segment } => {
                    let mut records = Vec::new();
                    let seen = |entry: journal::Entry<'_>| records.push((entry.extent, entry.head.to_vec()));
                    self.reader.survey(segment, seen).unwrap();
                    Input::Surveyed { segment, records }
                }
                Output::Fetch(extents) => {
                    let read = extents.iter().zip(self.reader.read_many(&extents));
                    Input::Fetched(
                        read.map(|(&extent, record)| {
                            let record = record.unwrap();
                            Stored { extent, head: record.head.to_vec(), tail: record.tail.to_vec() }
                        })
                        .collect(),
                    )
                }
                Output::Discard { segment } => {
                    assert!(self.writer.discard(segment).unwrap());
                    Input::Discarded { segment }
                }
                other => panic!("{other:?}"),
            };
            self.machine.handle(NOW, news);
        }

        fn ask(&mut self, ask: Ask) -> Result<String, Refusal> {
            let ticket = self.put(ask);
            let (answers, _) = self.settle();
            answers.into_iter().find(|(to, _)| *to == ticket).unwrap().1
        }

        fn last(&self) -> Option<(u64, &str)> {
            self.machine.house.echo.last.as_ref().map(|(number, text, _)| (*number, &**text))
        }
    }

    #[test]
    fn an_answer_leaves_when_its_facts_are_durable_and_not_before() {
        let mut server = Server::new();
        let ticket = server.put(Ask::Say("a"));
        server.machine.flush(NOW);
        let Some(Output::Append(mut batch)) = server.machine.poll() else { panic!("nothing is written") };
        assert!(server.machine.poll().is_none());
        server.writer.write(&mut batch).unwrap();
        let durable = server.writer.sync().unwrap();
        server.machine.handle(NOW, Input::Durable(durable));
        let answered = server.machine.poll();
        assert!(matches!(answered, Some(Output::Reply { ticket: to, answer: Ok(_) }) if to == ticket));
    }

    #[test]
    fn a_restart_finds_what_was_said_and_goes_on_with_the_next_number() {
        let mut server = Server::new();
        assert_eq!(server.ask(Ask::Say("a")), Ok(String::new()));
        assert_eq!(server.ask(Ask::Say("b")), Ok("a".to_owned()));
        let (last, next) = (server.last().map(|(number, _)| number), server.machine.next_number());
        let mut server = server.restart();
        assert_eq!(server.last(), last.map(|number| (number, "b")));
        assert_eq!(server.machine.next_number(), next);
        assert_eq!(server.ask(Ask::Say("c")), Ok("b".to_owned()));
        assert!(server.last().map(|(number, _)| number) > last);
    }

    #[test]
    fn the_next_step_of_a_request_sees_the_one_before_and_both_are_one_group() {
        let mut server = Server::new();
        let ticket = server.put(Ask::SayTwice("a", "b"));
        server.machine.flush(NOW);
        let Some(Output::Append(batch)) = server.machine.poll() else { panic!("nothing is written") };
        assert_eq!(batch.pieces.len(), 1, "both records are in one frame");
        server.run(Output::Append(batch));
        let (answers, effects) = server.settle();
        assert_eq!(answers, [(ticket, Ok("a".to_owned()))]);
        assert_eq!(effects, ["twice"]);
        assert_eq!(server.restart().last().map(|(_, text)| text.to_owned()), Some("b".to_owned()));
    }

    #[test]
    fn a_target_that_answers_with_a_fact_does_so_in_the_group_of_the_offer() {
        let mut server = Server::new();
        let ticket = server.put(Ask::Offer("offered", "said"));
        server.machine.flush(NOW);
        let Some(Output::Append(batch)) = server.machine.poll() else { panic!("nothing is written") };
        assert_eq!(batch.pieces.len(), 1, "both records are in one frame");
        server.run(Output::Append(batch));
        assert_eq!(server.settle().0, [(ticket, Ok("Taken true".to_owned()))]);
        // The target's fact comes behind those of who offers.
        assert_eq!(server.last().map(|(_, text)| text), Some("offered"));
        let next = server.machine.next_number();
        let server = server.restart();
        assert_eq!(server.last().map(|(_, text)| text), Some("offered"));
        assert_eq!(server.machine.next_number(), next);
    }

    #[test]
    fn a_call_and_what_its_caller_makes_of_it_are_one_group() {
        for (operation, said) in [("say", "a"), ("sayTwice", "twice")] {
            let mut server = Server::new();
            server.ask(Ask::Say("before")).unwrap();
            let ticket = server.put(Ask::Call(operation, "a"));
            server.machine.flush(NOW);
            let mut appended = None;
            while let Some(output) = server.machine.poll() {
                assert!(appended.is_none(), "{output:?} beside the batch");
                let Output::Append(batch) = output else { panic!("{output:?}") };
                assert_eq!(batch.pieces.len(), 1, "all records are in one frame");
                appended = Some(batch);
            }
            server.run(Output::Append(appended.unwrap()));
            let (answers, _) = server.settle();
            // The answer to the call is the text before it, and the caller's own record comes after it.
            let before = if operation == "say" { "before" } else { "a" };
            assert_eq!(answers, [(ticket, Ok(format!("Answered({before:?})")))]);
            assert_eq!(server.last().map(|(_, text)| text.to_owned()), Some("called".to_owned()));
            let before = server.ask(Ask::Say("after"));
            assert_eq!(before, Ok("called".to_owned()), "{said}");
            assert_eq!(server.restart().last().map(|(_, text)| text.to_owned()), Some("after".to_owned()));
        }
    }

    #[test]
    fn a_caller_is_told_what_became_of_its_call() {
        let mut server = Server::new();
        let refused = server.ask(Ask::Call("refuse", "")).unwrap();
        assert!(refused.starts_with("Refused("), "{refused}");
        let waits = server.ask(Ask::Call("listen", "")).unwrap();
        assert_eq!(waits, r#"Impossible("the operation waits")"#);
        assert_eq!(server.last().map(|(_, text)| text), Some("called"));
        // Nobody waits after it.
        assert_eq!(server.ask(Ask::Say("a")), Ok("called".to_owned()));
        let unknown = server.ask(Ask::Call("sing", "")).unwrap();
        assert_eq!(unknown, r#"Impossible("there is no such operation")"#);
        let again = server.ask(Ask::Call("again", "x")).unwrap();
        assert_eq!(again, r#"Impossible("too many calls follow from each other")"#);
    }

    #[test]
    fn what_is_refused_uses_up_no_number() {
        let mut server = Server::new();
        let next = server.machine.next_number();
        let refused = server.ask(Ask::Refuse).map_err(|refusal| refusal.shape);
        assert_eq!((refused, server.machine.next_number()), (Err("Refused"), next));
    }

    #[test]
    fn a_request_that_waits_is_answered_by_what_follows_or_when_its_client_has_gone() {
        let mut server = Server::new();
        let (first, second) = (server.put(Ask::Listen), server.put(Ask::Listen));
        assert_eq!(server.settle().0, []);
        server.machine.handle(NOW, Input::Gone { ticket: first });
        assert_eq!(server.settle().0, [(first, Ok("gone".to_owned()))]);
        let said = server.put(Ask::Say("a"));
        let mut answers = server.settle().0;
        answers.sort_by_key(|(ticket, _)| *ticket);
        assert_eq!(answers, [(second, Ok("a".to_owned())), (said, Ok(String::new()))]);
        let third = server.put(Ask::Listen);
        server.machine.handle(NOW, Input::Event(Event::Echo(())));
        assert_eq!(server.settle().0, [(third, Ok("a".to_owned()))]);
    }

    #[test]
    fn a_log_that_is_written_and_written_stays_short_and_keeps_what_was_said_last_and_the_secret() {
        const LONG: &str =
            "a text of some length, so that segments fill before long and there are many of them";
        let mut server = Server::new();
        for _ in 0..500 {
            server.ask(Ask::Say(LONG)).unwrap();
        }
        server.ask(Ask::Say("last")).unwrap();
        let segments = server.machine.ledger().segments().count();
        assert!(segments <= 6, "{segments} segments");
        let server = server.restart();
        assert_eq!(server.last().map(|(_, text)| text), Some("last"));
        assert_eq!(server.machine.secret(), Some(&Secret([7; 32])));
    }

    #[test]
    fn before_the_server_has_its_secret_every_request_is_refused() {
        let mut server = Server::start(Arc::new(Memory::new()));
        let refused = server.ask(Ask::Say("a")).map_err(|refusal| refusal.shape);
        assert_eq!((refused, server.last()), (Err("InternalErrorException"), None));
    }

    #[test]
    fn a_record_that_no_service_knows_is_told_with_its_place() {
        let mut machine = Machine::<Services>::new(Options::default(), appender());
        machine.replaying(NOW);
        let at = Extent { place: Place::new(1, 64), len: 9 };
        for head in [&[199, 1][..], &[], &[128]] {
            assert_eq!(machine.replay(at, head), Err(Malformed));
        }
        let mut recovery = Recovery::<Services>::begin(Options::default(), appender(), [], 0, NOW);
        recovery.read(at, &[199, 1]);
        recovery.read(at, &[199, 1]);
        let unknown = recovery.finish().unwrap_err();
        assert_eq!((unknown.first, unknown.records), (at, 2));
    }

    fn appender() -> journal::Appender {
        journal::Appender::new(1, 64 << 20, Place::new(1, 0), 1)
    }
}
