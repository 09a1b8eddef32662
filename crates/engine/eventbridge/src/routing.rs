//! The way of an event: from its bus to the targets of the rules that match it, and over another bus to theirs.
//!
//! A decision hands an event to a bounded number of targets. If more are to have it, the next step of the decision goes on where it
//! stopped ([`Route`]); all steps are one group of the log as long as the segment has room.

use std::borrow::Cow;
use std::sync::Arc;

use kernel::parcel::{Delivery, Form};
use kernel::{Body, Offer, ParcelSent, Sender, Taken, Why, hex};
use sha2::{Digest, Sha256};

use crate::bus::{Rule, Target};
use crate::deliveries::{INPUT, is_destination};
use crate::ids::{BusKey, RuleId};
use crate::invocation::value;
use crate::letters::Failure;
use crate::limits;
use crate::operations::{Context, Setting};
use crate::rules::entry::{Accepted, Draft};
use crate::rules::input::{About, Input};
use crate::rules::permissions::may_put;
use crate::rules::targets::is_archive;
use crate::state::State;
use crate::tally::offset_tag;

/// An event on its way.
#[derive(Clone, Debug)]
pub struct Route<'a> {
    /// The event, if it was made ready before the turn.
    event: Cow<'a, Accepted>,
    draft: Cow<'a, Draft>,
    /// The buses that it is on, the last one first. It comes to each of them once.
    stops: Vec<Stop>,
}

/// An event on a bus: who is to have it there.
#[derive(Clone, Debug)]
struct Stop {
    bus: Arc<BusKey>,
    /// Whether a rule of another bus sent it here. Then no rule sends it to a third one.
    is_forwarded: bool,
    /// The rules that match it, once they have been looked for.
    rules: Option<Vec<RuleId>>,
    /// The next rule, and the next of its targets.
    next: (usize, usize),
}

/// How far a step has brought an event.
#[derive(Debug)]
pub struct Went {
    /// Whether others are to have it, too.
    pub is_on_its_way: bool,
    /// How many targets the step has found for it.
    pub targets: usize,
}

/// What one step of a route has handed over.
struct Step {
    targets: usize,
    bytes: usize,
    /// What has been handed over is to count before anything else is.
    ends: bool,
    /// The body of the event as it is, which targets share.
    whole: Option<Body>,
}

impl Step {
    fn ends(self, is_on_its_way: bool) -> Went {
        Went { is_on_its_way, targets: self.targets }
    }

    /// The body of the event as it is. It is stored once, however many share it.
    fn whole<'a>(&mut self, rule: &Rule, route: &Route<'a>, context: &mut Context<'a, '_>) -> Body {
        *self.whole.get_or_insert_with(|| {
            let parcel = parcel(rule, &context.setting);
            context.body(parcel, route.payload())
        })
    }

    fn has_room(&self) -> bool {
        !self.ends && self.targets < limits::STEP_TARGETS && self.bytes < limits::STEP_BYTES
    }
}

impl<'a> Route<'a> {
    /// The way of an event that has come to its bus.
    pub fn new(draft: Cow<'a, Draft>, event: Cow<'a, Accepted>) -> Self {
        let stop = Stop { bus: draft.bus.clone(), is_forwarded: false, rules: None, next: (0, 0) };
        Route { event, draft, stops: vec![stop] }
    }

    /// The way of an event to the targets of these rules alone, on their bus.
    pub fn to_rules(draft: Cow<'a, Draft>, event: Cow<'a, Accepted>, rules: Vec<RuleId>) -> Self {
        let mut route = Route::new(draft, event);
        if let Some(stop) = route.stops.last_mut() {
            stop.rules = Some(rules);
        }
        route
    }

    /// The event's id.
    pub fn id(&self) -> &str {
        &self.event.id
    }

    /// Bytes of the event.
    pub fn bytes(&self) -> usize {
        self.event.payload.len()
    }
}

impl State {
    /// Hands an event to the next targets that are to have it.
    pub(crate) fn go_on<'a>(&self, route: &mut Route<'a>, context: &mut Context<'a, '_>) -> Went {
        let mut step = Step { targets: 0, bytes: 0, ends: false, whole: None };
        while let Some(stop) = route.stops.last_mut() {
            let rules = stop.rules.get_or_insert_with(|| {
                let bus = self.bus(&stop.bus);
                bus.map_or_else(Vec::new, |bus| bus.interests.matching(&route.event.event))
            });
            let (at, target) = stop.next;
            let rule = rules.get(at).map(|id| self.rules.get(id));
            // A rule that is gone by now has no targets.
            let target = match rule {
                None => {
                    route.stops.pop();
                    continue;
                }
                Some(rule) => rule.and_then(|rule| Some((rule, rule.targets.get(target)?))),
            };
            let Some((rule, target)) = target else {
                stop.next = (at + 1, 0);
                continue;
            };
            if !step.has_room() {
                return step.ends(true);
            }
            stop.next.1 += 1;
            let is_forwarded = stop.is_forwarded;
            step.targets += 1;
            let handed = self.hand_to(rule, target, is_forwarded, route, &mut step, context);
            if let Err(failure) = handed {
                let undelivered = self.give_up(rule, target, &failure, &route.event, &route.draft, context);
                context.undelivered(undelivered);
            }
        }
        step.ends(false)
    }

    /// Hands an event to a target of a rule.
    ///
    /// Errors: why the target does not get it.
    fn hand_to<'a>(
        &self,
        rule: &Rule,
        target: &Target,
        is_forwarded: bool,
        route: &mut Route<'a>,
        step: &mut Step,
        context: &mut Context<'a, '_>,
    ) -> Result<(), Failure> {
        if is_archive(&target.arn) {
            return self.archive(rule, target, route, step, context);
        }
        if let Some(bus) = BusKey::from_arn(&target.arn) {
            return self.forward(rule, bus, is_forwarded, route, &context.setting);
        }
        let Setting { limits, numbers, .. } = context.setting;
        let about =
            About { rule_arn: &rule.arn, rule_name: &rule.declared.key.name, ingested: route.event.at };
        let input = target.input.render(&route.event.text, &about).ok_or(Failure::INVALID_INPUT)?;
        let fifo = target.arn.resource.ends_with(".fifo");
        let key = (target.arn.service == "kinesis").then(|| match &target.partition_key_path {
            Some(path) => value(path, &route.event.text),
            // AWS's documentation of KinesisParameters: "The default is to use the eventId as the partition key."
            None => route.id().to_owned(),
        });
        let group = key.as_deref().or(target.group.as_deref());
        let is_whole = target.input == Input::Whole && group.is_none();
        let body = match is_whole {
            true => step.whole(rule, route, context),
            false => {
                let payload: Cow<'a, [u8]> = match target.input {
                    Input::Whole => route.payload(),
                    _ => Cow::Owned(route.draft.stored(input.to_string().into()).encode()),
                };
                let parcel = ParcelSent {
                    group: group.map(|group| Cow::Owned(group.to_owned())),
                    // Such a message has no other id than its content (facts/eventbridge.md § 6).
                    deduplication_id: (fifo && group.is_some())
                        .then(|| Cow::Owned(hex(&Sha256::digest(input.as_bytes())))),
                    ..parcel(rule, &context.setting)
                };
                context.body(parcel, payload)
            }
        };
        if !is_whole {
            step.bytes += input.len();
        }
        // What one message of a FIFO queue does to the next shows only once it is recorded.
        step.ends |= fifo;
        let form = Form { recipient: target.number, raw: true, protocol: 0, replayed: false };
        let offer = Offer {
            to: &target.arn,
            body,
            must_be_allowed: limits
                .policies
                .then_some(Sender { arn: &rule.arn, service: "events.amazonaws.com" }),
            size: input.len(),
            attributes: 0,
            form,
            deduplicates_by_content: true,
            is_dead_letter: false,
        };
        let taken = match is_destination(&target.arn) {
            true if self.destination(&target.arn).is_none() => {
                return Err(Failure::no_destination(&target.arn));
            }
            // It gets requests.
            true => Taken::Refused(Why::Unserved, ""),
            false => context.offer(&offer),
        };
        // So does what a target has recorded.
        step.ends |= context.has_followers();
        match taken {
            Taken::Taken | Taken::Duplicate => Ok(()),
            Taken::Refused(Why::Unserved, _) => {
                let body = match target.input {
                    Input::Whole => body,
                    // Its dead letter is the event.
                    _ => {
                        let mut stored = route.draft.stored(route.event.text.clone());
                        stored.texts = vec![(INPUT.into(), input.as_ref().into())];
                        context.body(parcel(rule, &context.setting), stored.encode())
                    }
                };
                let delivery = Delivery { number: numbers.draw(), form, ..Delivery::default() };
                context.parcel(body).deliveries.push(delivery);
                Ok(())
            }
            Taken::Refused(why, reason) => Err(Failure::of_offer(why, reason, &target.arn)),
        }
    }

    /// Owes an event to the archive that a rule is for. The archive is one more taker of the event as it is.
    fn archive<'a>(
        &self,
        rule: &Rule,
        target: &Target,
        route: &Route<'a>,
        step: &mut Step,
        context: &mut Context<'a, '_>,
    ) -> Result<(), Failure> {
        let archive = self.archiving.of_rule(rule.id()).ok_or_else(|| Failure::no_archive(&target.arn))?;
        let body = step.whole(rule, route, context);
        let accepted = route.event.at.signed_millis();
        let offset = offset_tag(route.draft.time.unwrap_or(accepted), context.setting.now);
        let form =
            Form { recipient: archive.id.0, raw: true, protocol: Delivery::TO_ARCHIVE, replayed: false };
        let number = context.setting.numbers.draw();
        let delivery = Delivery { number, form, progress: offset.into(), ..Delivery::default() };
        context.parcel(body).deliveries.push(delivery);
        Ok(())
    }

    /// Sends an event on to another bus: once, since AWS lets no event come to a third one.
    fn forward(
        &self,
        rule: &Rule,
        bus: BusKey,
        is_forwarded: bool,
        route: &mut Route<'_>,
        setting: &Setting<'_>,
    ) -> Result<(), Failure> {
        if is_forwarded {
            return Err(Failure::third_hop(route.id(), &bus, rule.bus()));
        }
        if !self.has_bus(&bus) {
            return Err(Failure::no_bus(&bus));
        }
        let policy = self.bus(&bus).and_then(|bus| bus.policy());
        if setting.limits.policies && !may_put(policy, &bus, &rule.bus().account, Some(&rule.arn)) {
            return Err(Failure::not_permitted(&bus));
        }
        route.stops.push(Stop { bus: Arc::new(bus), is_forwarded: true, rules: None, next: (0, 0) });
        Ok(())
    }
}

impl<'a> Route<'a> {
    /// The event as it is stored.
    fn payload(&self) -> Cow<'a, [u8]> {
        match &self.event {
            Cow::Borrowed(event) => Cow::Borrowed(&event.payload),
            Cow::Owned(event) => Cow::Owned(event.payload.clone()),
        }
    }
}

/// A parcel of a rule.
pub(crate) fn parcel(rule: &Rule, setting: &Setting<'_>) -> ParcelSent<'static> {
    ParcelSent::new(setting.numbers.draw(), rule.id().0, setting.now)
}
