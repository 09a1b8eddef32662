//! All services of a server as one value, and the macro that makes it from their list. Names none of them.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use kernel::codec::Malformed;
use kernel::request::{Asking, Request};
use kernel::retained::Page;
use kernel::{
    Arn, Called, Demand, Drawn, Extent, Handed, IdsRemembered, Ledger, Numbers, Offer, ParcelSent,
    RememberedId, Secret, Series, Service, Sources, Stored, Survival, Taken, Targets, Time, Why,
};

use crate::calls::Callable;
use crate::deciding::OpenGroup;
use crate::machine::Machine;

/// All services. [`services!`] implements it: every method asks the service that is meant, or all of them in the order of the list.
pub trait House: Default + Debug + Sized + 'static {
    /// What a client asks for, by service.
    type Command: Debug;
    /// What a client gets, by service.
    type Reply: Debug;
    /// What a service is told from outside.
    type Event: Debug;
    /// What a service wants done outside.
    type Effect: Debug;
    /// The limits of each service.
    type Limits: kernel::Limits;

    /// How they ask each other.
    type Calls: Callable<Command = Self::Command, Reply = Self::Reply>;

    /// How many there are.
    const SERVICES: usize;
    /// What each wants to know of the time that its consequences take ([`Service::CHORES`]).
    const CHORES: &'static [&'static [usize]];

    /// What a record is about, in words for operators.
    fn subject(head: &[u8]) -> &'static str;
    /// What a command may write to the log.
    fn demand(command: &Self::Command) -> Demand;
    /// Decides a request.
    fn request(machine: &mut Machine<Self>, ticket: u64, command: &Self::Command);
    /// Decides an operation that another service calls, and records it in the group of its caller.
    fn called(
        machine: &mut Machine<Self>,
        command: &Self::Command,
        group: &mut OpenGroup,
        room: usize,
    ) -> Result<Self::Reply, Called>;
    /// Tells a service what has happened outside, and does what follows.
    fn event(machine: &mut Machine<Self>, event: Self::Event);
    /// Tells a service of a page that it has ordered from the store, and does what follows.
    fn page_read(machine: &mut Machine<Self>, service: usize, page: Page);
    /// Does what is due, as much of it as may happen until the next flush.
    fn follow_up(machine: &mut Machine<Self>);
    /// Ends a request that waits.
    fn gone(machine: &mut Machine<Self>, ticket: u64);
    /// Records the facts after which nothing is left.
    fn reset(machine: &mut Machine<Self>);
    /// Records what a crash cut off.
    fn mend(machine: &mut Machine<Self>);
    /// Writes a record of a service again, as far as it still holds.
    fn write_again(machine: &mut Machine<Self>, head: &[u8], tail: &[u8], at: Extent);
    /// Records what is known of the takers of a parcel that was written again.
    fn tell_of_takers(machine: &mut Machine<Self>, again: &ParcelSent<'_>);
    /// Records what a parcel says that holds whatever becomes of its takers.
    fn tell_besides(machine: &mut Machine<Self>, parcel: &ParcelSent<'_>, at: Extent);

    /// A record of a service becomes true. The error: no service has such a record.
    fn apply(&mut self, head: &[u8], at: Extent, ledger: &mut Ledger) -> Result<(), Malformed>;
    /// The takers of a parcel have it.
    fn take(&mut self, parcel: &ParcelSent<'_>, at: Extent, ledger: &mut Ledger);
    /// Deduplication ids are remembered.
    fn remember(&mut self, record: &IdsRemembered, at: Extent, ledger: &mut Ledger);
    /// The server has a secret.
    fn identified(&mut self, secret: &Secret);
    /// Tells each series that a service must know how far the store has, with the service.
    fn each_series(&self, each: &mut dyn FnMut(usize, Series));
    /// Whether a series is any service's.
    fn has_series(&self, series: Series) -> bool;
    /// The store has a series of a service up to a number.
    fn kept(&mut self, service: usize, series: Series, through: Option<u64>, ledger: &mut Ledger);
    /// A log is about to be read.
    fn replaying(&mut self, now: Time);
    /// A log has been read.
    fn replayed(&mut self, next: u64, ledger: &mut Ledger);
    /// The server is about to stop.
    fn stop(&mut self);
    /// Whether a request that waited is still to be answered.
    fn owes_answers(&self) -> bool;
    /// Time passes.
    fn advance(&mut self, now: Time, room: &mut usize);
    /// When time must be told at the latest.
    fn next_deadline(&self) -> Option<Time>;
    /// Whether something is due that has not happened yet.
    fn is_behind(&self, circumstances: &Circumstances<'_, Self::Limits>) -> bool;
    /// Whether there is work that can be done between requests.
    fn has_background_work(&self) -> bool;
    /// Does a little of it.
    fn work_in_background(&mut self, now: Time, ledger: &mut Ledger);
    /// Offers a body to the service of the target's ARN.
    fn offer(
        &self,
        offer: &Offer<'_>,
        circumstances: Circumstances<'_, Self::Limits>,
        handed: &mut Handed<'_>,
    ) -> Taken;
    /// Asks the service of an ARN that holds credentials to make a request.
    fn make_request(&self, asking: &Asking<'_>) -> Result<Request, String>;
    /// Draws messages from a source of the service of its ARN.
    fn draw(
        &self,
        from: (&Arn, usize),
        circumstances: Circumstances<'_, Self::Limits>,
        handed: &mut Handed<'_>,
    ) -> Result<Vec<Drawn>, Why>;
    /// Where the record of a drawn message lies.
    fn place_of(&self, from: &Arn, drawn: Drawn) -> Option<Extent>;
    /// A drawn message as JSON.
    fn show(&self, from: &Arn, drawn: Drawn, record: &Stored, secret: &Secret) -> Option<String>;
    /// Drawn messages are gone.
    fn finish(
        &self,
        from: (&Arn, &[Drawn]),
        circumstances: Circumstances<'_, Self::Limits>,
        handed: &mut Handed<'_>,
    );
    /// Tells sources who wishes for them, and those who wish which sources have something.
    fn introduce(&mut self);
    /// What must be done about a record of a service before its segment can go.
    fn survival(&self, head: &[u8], at: Extent, ledger: &Ledger) -> Result<Survival, Malformed>;
    /// A parcel with those of its takers whose payload still lies at `at`.
    fn take_again<'a>(&self, parcel: &ParcelSent<'a>, at: Extent) -> ParcelSent<'a>;
    /// Whether a parcel says something that holds whatever becomes of its takers.
    fn tells_besides(&self, parcel: &ParcelSent<'_>, at: Extent, ledger: &Ledger) -> bool;
    /// The deduplication ids that a record of a service tells and that still count.
    fn ids_in_record(&self, head: &[u8], now: Time, ids: &mut Vec<RememberedId>);
    /// The deduplication ids that a parcel tells and that still count.
    fn ids_in_parcel(&self, parcel: &ParcelSent<'_>, now: Time, ids: &mut Vec<RememberedId>);
    /// Whether an id still counts for any service.
    fn still_counts(&self, id: &RememberedId, now: Time) -> bool;
}

/// One service of a house: code that is generic over services reaches it by this.
pub trait Has<S: Service>: House {
    /// Which of the services it is.
    const INDEX: usize;
    /// The service.
    fn of(&self) -> &S;
    /// The service, to be changed.
    fn of_mut(&mut self) -> &mut S;
    /// Its limits.
    fn limits(limits: &Self::Limits) -> &S::Limits;
    /// Its reply as one of any service.
    fn reply(reply: S::Reply) -> Self::Reply;
    /// Its effect as one of any service.
    fn effect(effect: S::Effect) -> Self::Effect;
}

/// The circumstances of a decision, whichever service decides.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a, L> {
    /// The moment.
    pub now: Time,
    /// All limits.
    pub limits: &'a L,
    /// What identifiers are derived from.
    pub secret: &'a Secret,
    /// Draws the numbers of new things.
    pub numbers: &'a Numbers,
    /// What the disk has room for.
    pub room: Demand,
    /// Whether the log owes the store for retained data as much as it may.
    pub store_lags: bool,
}

/// The services as targets of each other, under the circumstances of a decision.
pub struct Doors<'m, H: House> {
    /// The services.
    pub house: &'m H,
    /// The circumstances.
    pub circumstances: Circumstances<'m, H::Limits>,
}

impl<H: House> Targets for Doors<'_, H> {
    fn offer(&self, offer: &Offer<'_>, handed: &mut Handed<'_>) -> Taken {
        self.house.offer(offer, self.circumstances, handed)
    }

    fn as_sources(&self) -> Option<&dyn Sources> {
        Some(self)
    }

    fn request(&self, asking: &Asking<'_>) -> Result<Request, String> {
        self.house.make_request(asking)
    }
}

impl<H: House> Sources for Doors<'_, H> {
    fn draw(&self, from: &Arn, most: usize, handed: &mut Handed<'_>) -> Result<Vec<Drawn>, Why> {
        self.house.draw((from, most), self.circumstances, handed)
    }

    fn place_of(&self, from: &Arn, drawn: Drawn) -> Option<Extent> {
        self.house.place_of(from, drawn)
    }

    fn show(&self, from: &Arn, drawn: Drawn, record: &Stored) -> Option<String> {
        self.house.show(from, drawn, record, self.circumstances.secret)
    }

    fn finish(&self, from: &Arn, drawn: &[Drawn], handed: &mut Handed<'_>) {
        self.house.finish((from, drawn), self.circumstances, handed);
    }
}

/// Whether no two ranges of kinds overlap, nor any with the kinds that the machine itself has.
pub const fn are_disjoint(kinds: &[RangeInclusive<u8>]) -> bool {
    let mut one = 0;
    while one < kinds.len() {
        let (start, end) = (*kinds[one].start(), *kinds[one].end());
        if start > end || start <= *crate::OWN_FIRST_KINDS.end() {
            return false;
        }
        if start <= *crate::OWN_KINDS.end() && *crate::OWN_KINDS.start() <= end {
            return false;
        }
        let mut other = one + 1;
        while other < kinds.len() {
            if start <= *kinds[other].end() && *kinds[other].start() <= end {
                return false;
            }
            other += 1;
        }
        one += 1;
    }
    true
}

/// Makes a house of services, and everything that is known of them by name, from a list of fields, variants and types:
/// `services! { echo: Echo = crate::echo::State }`. The service's module must export `Command`, `Reply` and so on by
/// [`Service`] alone.
macro_rules! services {
    ($($field:ident: $Service:ident = $state:path),* $(,)?) => {
        /// All services.
        #[derive(Debug, Default)]
        pub struct Services {
            $(pub(crate) $field: $state),*
        }

        /// What a client asks for, by service.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, clippy::large_enum_variant)] // Each is its service's; a box would be an allocation a request.
        pub enum Command {
            $($Service(<$state as kernel::Service>::Command)),*
        }

        /// What a client gets, by service.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, clippy::large_enum_variant)] // Each is its service's.
        pub enum Reply {
            $($Service(<$state as kernel::Service>::Reply)),*
        }

        /// What a service is told from outside.
        #[derive(Debug)]
        #[allow(missing_docs)] // Each is its service's.
        pub enum Event {
            $($Service(<$state as kernel::Service>::Event)),*
        }

        /// What a service wants done outside.
        #[derive(Debug)]
        #[allow(missing_docs)] // Each is its service's.
        pub enum Effect {
            $($Service(<$state as kernel::Service>::Effect)),*
        }

        /// The limits of each service.
        #[derive(Clone, Copy, Debug, Default)]
        #[allow(missing_docs)] // Each is its service's.
        pub struct Limits {
            $(pub $field: <$state as kernel::Service>::Limits),*
        }

        impl kernel::Limits for Limits {
            fn strict() -> Self {
                Limits { $($field: kernel::Limits::strict()),* }
            }
        }

        /// The order of the list.
        #[allow(clippy::enum_variant_names)]
        enum Index {
            $($Service),*
        }

        const _: () = assert!(
            $crate::house::are_disjoint(&[$(<$state as kernel::Service>::KINDS),*]),
            "two services share a kind of record"
        );

        impl Services {
            /// Somebody wishes for a source.
            fn watch(&mut self, source: &kernel::Arn) {
                match &*source.service {
                    $(<$state as kernel::Service>::NAME => kernel::Service::watch(&mut self.$field, source),)*
                    _ => {}
                }
            }

            /// A source has something.
            fn filled(&mut self, source: &kernel::Arn) {
                $(kernel::Service::filled(&mut self.$field, source);)*
            }
        }

        $(impl $crate::house::Has<$state> for Services {
            const INDEX: usize = Index::$Service as usize;

            fn of(&self) -> &$state {
                &self.$field
            }

            fn of_mut(&mut self) -> &mut $state {
                &mut self.$field
            }

            fn limits(limits: &Limits) -> &<$state as kernel::Service>::Limits {
                &limits.$field
            }

            fn reply(reply: <$state as kernel::Service>::Reply) -> Reply {
                Reply::$Service(reply)
            }

            fn effect(effect: <$state as kernel::Service>::Effect) -> Effect {
                Effect::$Service(effect)
            }
        })*

        impl $crate::house::House for Services {
            type Command = Command;
            type Reply = Reply;
            type Event = Event;
            type Effect = Effect;
            type Limits = Limits;
            type Calls = Self;

            const SERVICES: usize = [$(Index::$Service),*].len();
            const CHORES: &'static [&'static [usize]] = &[$(<$state as kernel::Service>::CHORES),*];

            fn subject(head: &[u8]) -> &'static str {
                match head.first() {
                    Some(kind) if $crate::OWN_KINDS.contains(kind) => $crate::record::subject(*kind),
                    $(Some(kind) if <$state as kernel::Service>::KINDS.contains(kind) => {
                        <$state as kernel::Service>::subject(*kind)
                    })*
                    _ => "other records",
                }
            }

            fn demand(command: &Command) -> kernel::Demand {
                match command {
                    $(Command::$Service(command) => <$state as kernel::Service>::demand(command)),*
                }
            }

            fn request(machine: &mut $crate::machine::Machine<Self>, ticket: u64, command: &Command) {
                match command {
                    $(Command::$Service(command) => machine.request_of::<$state>(ticket, command)),*
                }
            }

            fn called(
                machine: &mut $crate::machine::Machine<Self>,
                command: &Command,
                group: &mut $crate::deciding::OpenGroup,
                room: usize,
            ) -> Result<Reply, kernel::Called> {
                match command {
                    $(Command::$Service(command) => machine.called_of::<$state>(command, group, room)),*
                }
            }

            fn event(machine: &mut $crate::machine::Machine<Self>, event: Event) {
                match event {
                    $(Event::$Service(event) => machine.event_of::<$state>(event)),*
                }
            }

            fn page_read(
                machine: &mut $crate::machine::Machine<Self>,
                service: usize,
                page: kernel::retained::Page,
            ) {
                $(if service == Index::$Service as usize {
                    return machine.page_read_of::<$state>(page);
                })*
            }

            fn follow_up(machine: &mut $crate::machine::Machine<Self>) {
                $(machine.follow_up_of::<$state>();)*
                machine.house.introduce();
            }

            fn gone(machine: &mut $crate::machine::Machine<Self>, ticket: u64) {
                $(machine.gone_of::<$state>(ticket);)*
            }

            fn reset(machine: &mut $crate::machine::Machine<Self>) {
                $({
                    let facts = kernel::Service::reset(&mut machine.house.$field, machine.now);
                    machine.note::<$state>(&facts);
                })*
            }

            fn mend(machine: &mut $crate::machine::Machine<Self>) {
                $({
                    let facts = kernel::Service::cut_off(&machine.house.$field);
                    machine.note::<$state>(&facts);
                })*
            }

            fn write_again(
                machine: &mut $crate::machine::Machine<Self>,
                head: &[u8],
                tail: &[u8],
                at: kernel::Extent,
            ) {
                match head.first() {
                    $(Some(kind) if <$state as kernel::Service>::KINDS.contains(kind) => {
                        machine.write_again_of::<$state>(head, tail, at);
                    })*
                    _ => {}
                }
            }

            fn tell_of_takers(
                machine: &mut $crate::machine::Machine<Self>,
                again: &kernel::ParcelSent<'_>,
            ) {
                $({
                    let facts = kernel::Service::told_of_takers(&machine.house.$field, again);
                    machine.note::<$state>(&facts);
                })*
            }

            fn tell_besides(
                machine: &mut $crate::machine::Machine<Self>,
                parcel: &kernel::ParcelSent<'_>,
                at: kernel::Extent,
            ) {
                $({
                    let state = &machine.house.$field;
                    let facts = kernel::Service::told_besides(state, parcel, at, &machine.ledger);
                    machine.note::<$state>(&facts);
                })*
            }

            fn apply(
                &mut self,
                head: &[u8],
                at: kernel::Extent,
                ledger: &mut kernel::Ledger,
            ) -> Result<(), kernel::codec::Malformed> {
                match head.first() {
                    $(Some(kind) if <$state as kernel::Service>::KINDS.contains(kind) => {
                        let record = kernel::service::Record::decode(head)?;
                        kernel::Service::apply(&mut self.$field, &record, at, ledger);
                        Ok(())
                    })*
                    _ => Err(kernel::codec::Malformed),
                }
            }

            fn take(
                &mut self,
                parcel: &kernel::ParcelSent<'_>,
                at: kernel::Extent,
                ledger: &mut kernel::Ledger,
            ) {
                $(kernel::Service::take(&mut self.$field, parcel, at, ledger);)*
            }

            fn remember(
                &mut self,
                record: &kernel::IdsRemembered,
                at: kernel::Extent,
                ledger: &mut kernel::Ledger,
            ) {
                $(kernel::Service::remember(&mut self.$field, record, at, ledger);)*
            }

            fn identified(&mut self, secret: &kernel::Secret) {
                $(kernel::Service::identified(&mut self.$field, secret);)*
            }

            fn each_series(&self, each: &mut dyn FnMut(usize, kernel::Series)) {
                $(kernel::Service::each_series(&self.$field, &mut |series| {
                    each(Index::$Service as usize, series);
                });)*
            }

            fn has_series(&self, series: kernel::Series) -> bool {
                false $(|| kernel::Service::has_series(&self.$field, series))*
            }

            fn kept(
                &mut self,
                service: usize,
                series: kernel::Series,
                through: Option<u64>,
                ledger: &mut kernel::Ledger,
            ) {
                $(if service == Index::$Service as usize {
                    return kernel::Service::kept(&mut self.$field, series, through, ledger);
                })*
            }

            fn replaying(&mut self, now: kernel::Time) {
                $(kernel::Service::replaying(&mut self.$field, now);)*
            }

            fn replayed(&mut self, next: u64, ledger: &mut kernel::Ledger) {
                $(kernel::Service::replayed(&mut self.$field, next, ledger);)*
            }

            fn stop(&mut self) {
                $(kernel::Service::stop(&mut self.$field);)*
            }

            fn owes_answers(&self) -> bool {
                false $(|| kernel::Service::owes_answers(&self.$field))*
            }

            fn advance(&mut self, now: kernel::Time, room: &mut usize) {
                $(kernel::Service::advance(&mut self.$field, now, room);)*
            }

            fn next_deadline(&self) -> Option<kernel::Time> {
                [$(kernel::Service::next_deadline(&self.$field)),*].into_iter().flatten().min()
            }

            fn is_behind(&self, circumstances: &$crate::house::Circumstances<'_, Limits>) -> bool {
                false $(|| {
                    let setting = circumstances.setting::<Self, $state>(0);
                    kernel::Service::is_behind(&self.$field, &setting)
                })*
            }

            fn has_background_work(&self) -> bool {
                false $(|| kernel::Service::has_background_work(&self.$field))*
            }

            fn work_in_background(&mut self, now: kernel::Time, ledger: &mut kernel::Ledger) {
                $(kernel::Service::work_in_background(&mut self.$field, now, ledger);)*
            }

            fn offer(
                &self,
                offer: &kernel::Offer<'_>,
                circumstances: $crate::house::Circumstances<'_, Limits>,
                handed: &mut kernel::Handed<'_>,
            ) -> kernel::Taken {
                let doors = $crate::house::Doors { house: self, circumstances };
                match &*offer.to.service {
                    $(<$state as kernel::Service>::NAME => {
                        let setting = circumstances.setting::<Self, $state>(0);
                        let mut context = kernel::Context::new(setting, &doors, handed);
                        kernel::Service::offer(&self.$field, offer, &mut context)
                    })*
                    _ => kernel::Taken::Refused(kernel::Why::Unserved, "there is no such service"),
                }
            }

            fn make_request(
                &self,
                asking: &kernel::Asking<'_>,
            ) -> Result<kernel::request::Request, String> {
                match &*asking.through.service {
                    $(<$state as kernel::Service>::NAME => kernel::Service::request(&self.$field, asking),)*
                    _ => Err(format!("{} is of no service here", asking.through)),
                }
            }

            fn draw(
                &self,
                (from, most): (&kernel::Arn, usize),
                circumstances: $crate::house::Circumstances<'_, Limits>,
                handed: &mut kernel::Handed<'_>,
            ) -> Result<Vec<kernel::Drawn>, kernel::Why> {
                let doors = $crate::house::Doors { house: self, circumstances };
                match &*from.service {
                    $(<$state as kernel::Service>::NAME => {
                        let setting = circumstances.setting::<Self, $state>(0);
                        let mut context = kernel::Context::new(setting, &doors, handed);
                        kernel::Service::draw(&self.$field, from, most, &mut context)
                    })*
                    _ => Err(kernel::Why::Unserved),
                }
            }

            fn place_of(&self, from: &kernel::Arn, drawn: kernel::Drawn) -> Option<kernel::Extent> {
                match &*from.service {
                    $(<$state as kernel::Service>::NAME => {
                        kernel::Service::place_of(&self.$field, from, drawn)
                    })*
                    _ => None,
                }
            }

            fn show(
                &self,
                from: &kernel::Arn,
                drawn: kernel::Drawn,
                record: &kernel::Stored,
                secret: &kernel::Secret,
            ) -> Option<String> {
                match &*from.service {
                    $(<$state as kernel::Service>::NAME => {
                        kernel::Service::show(&self.$field, from, drawn, record, secret)
                    })*
                    _ => None,
                }
            }

            fn finish(
                &self,
                (from, drawn): (&kernel::Arn, &[kernel::Drawn]),
                circumstances: $crate::house::Circumstances<'_, Limits>,
                handed: &mut kernel::Handed<'_>,
            ) {
                let doors = $crate::house::Doors { house: self, circumstances };
                match &*from.service {
                    $(<$state as kernel::Service>::NAME => {
                        let setting = circumstances.setting::<Self, $state>(0);
                        let mut context = kernel::Context::new(setting, &doors, handed);
                        kernel::Service::finish(&self.$field, from, drawn, &mut context);
                    })*
                    _ => {}
                }
            }

            fn introduce(&mut self) {
                $(while let Some(source) = kernel::Service::next_wish(&mut self.$field) {
                    self.watch(&source);
                })*
                $(while let Some(source) = kernel::Service::next_filled(&mut self.$field) {
                    self.filled(&source);
                })*
            }

            fn survival(
                &self,
                head: &[u8],
                at: kernel::Extent,
                ledger: &kernel::Ledger,
            ) -> Result<kernel::Survival, kernel::codec::Malformed> {
                match head.first() {
                    $(Some(kind) if <$state as kernel::Service>::KINDS.contains(kind) => {
                        let record = kernel::service::Record::decode(head)?;
                        Ok(kernel::Service::survival(&self.$field, &record, at, ledger))
                    })*
                    _ => Err(kernel::codec::Malformed),
                }
            }

            fn take_again<'a>(
                &self,
                parcel: &kernel::ParcelSent<'a>,
                at: kernel::Extent,
            ) -> kernel::ParcelSent<'a> {
                let mut again = parcel.forwarded();
                $(kernel::Service::take_again(&self.$field, parcel, at, &mut again);)*
                again
            }

            fn tells_besides(
                &self,
                parcel: &kernel::ParcelSent<'_>,
                at: kernel::Extent,
                ledger: &kernel::Ledger,
            ) -> bool {
                false $(|| !kernel::Service::told_besides(&self.$field, parcel, at, ledger).is_empty())*
            }

            fn ids_in_record(
                &self,
                head: &[u8],
                now: kernel::Time,
                ids: &mut Vec<kernel::RememberedId>,
            ) {
                match head.first() {
                    $(Some(kind) if <$state as kernel::Service>::KINDS.contains(kind) => {
                        if let Ok(record) = kernel::service::Record::decode(head) {
                            kernel::Service::ids_in_record(&self.$field, &record, now, ids);
                        }
                    })*
                    _ => {}
                }
            }

            fn ids_in_parcel(
                &self,
                parcel: &kernel::ParcelSent<'_>,
                now: kernel::Time,
                ids: &mut Vec<kernel::RememberedId>,
            ) {
                $(kernel::Service::ids_in_parcel(&self.$field, parcel, now, ids);)*
            }

            fn still_counts(&self, id: &kernel::RememberedId, now: kernel::Time) -> bool {
                false $(|| kernel::Service::still_counts(&self.$field, id, now))*
            }
        }
    };
}

pub(crate) use services;

impl<'a, L: Copy> Circumstances<'a, L> {
    /// The same for the decision of one service, about the request of this ticket.
    pub fn setting<H, S>(self, ticket: u64) -> kernel::Setting<'a, S::Limits>
    where
        H: Has<S> + House<Limits = L>,
        S: Service,
    {
        kernel::Setting {
            now: self.now,
            limits: H::limits(self.limits),
            secret: self.secret,
            ticket,
            numbers: self.numbers,
            room: self.room,
            store_lags: self.store_lags,
        }
    }
}
