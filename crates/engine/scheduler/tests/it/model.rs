//! Random stories against a small model: each schedule runs once for each of its moments, whatever is restarted or cleaned
//! meanwhile, and after a rest once for all that it missed.

use std::collections::BTreeMap;

use kernel::Time;
use proptest::prelude::*;

use crate::world::{MINUTE, NOW, World, wanted};

#[derive(Clone, Debug)]
enum Step {
    Rate { name: u8, minutes: u64 },
    At { name: u8, minute: u64 },
    Delete { name: u8 },
    Advance { minutes: u64 },
    Rest { minutes: u64 },
    Clean,
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..6u8;
    prop_oneof![
        2 => (name.clone(), 1..30u64).prop_map(|(name, minutes)| Step::Rate { name, minutes }),
        2 => (name.clone(), 0..200u64).prop_map(|(name, minute)| Step::At { name, minute }),
        1 => name.prop_map(|name| Step::Delete { name }),
        3 => (0..40u64).prop_map(|minutes| Step::Advance { minutes }),
        1 => (0..40u64).prop_map(|minutes| Step::Rest { minutes }),
        2 => Just(Step::Clean),
    ]
}

/// The moment at which a schedule runs next, and its period if it recurs.
#[derive(Clone, Copy, Debug)]
struct Modelled {
    next: Option<Time>,
    period: Option<u64>,
}

impl Modelled {
    /// Runs at `now` if it is due.
    fn run(&mut self, now: Time) -> Option<Time> {
        let scheduled = self.next.filter(|&next| next <= now)?;
        self.next = self.period.map(|period| {
            let mut next = scheduled;
            while next <= now {
                next = next + period;
            }
            next
        });
        Some(scheduled)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn schedules_run_as_the_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        let mut model: BTreeMap<u8, Modelled> = BTreeMap::new();
        let mut expected: Vec<(Time, String)> = Vec::new();
        let mut tick = |model: &mut BTreeMap<u8, Modelled>, now: Time| {
            let ran = model.values_mut().filter_map(|schedule| schedule.run(now));
            let text = |at: Time| format!("{} 1", kernel::iso8601::write(at.0 as i64));
            expected.extend(ran.map(|scheduled| (now, text(scheduled))).collect::<Vec<_>>());
        };
        for step in steps {
            match step {
                Step::Rate { name, minutes } => {
                    let made = world.create(wanted(&format!("s{name}"), &format!("rate({minutes} minutes)")));
                    prop_assert_eq!(made.is_ok(), !model.contains_key(&name));
                    let period = Some(minutes * MINUTE);
                    model.entry(name).or_insert(Modelled { next: Some(world.now), period });
                }
                Step::At { name, minute } => {
                    let at = NOW + minute * MINUTE;
                    let text = kernel::iso8601::write(at.0 as i64);
                    let made = world.create(wanted(&format!("s{name}"), &format!("at({})", &text[..19])));
                    prop_assert_eq!(made.is_ok(), !model.contains_key(&name));
                    let next = Some(at).filter(|&at| at >= world.now);
                    model.entry(name).or_insert(Modelled { next, period: None });
                }
                Step::Delete { name } => {
                    prop_assert_eq!(world.delete(&format!("s{name}")).is_ok(), model.remove(&name).is_some());
                }
                Step::Advance { minutes } => {
                    for minute in 0..=minutes {
                        tick(&mut model, world.now + minute * MINUTE);
                    }
                    world.advance(minutes * MINUTE);
                }
                Step::Rest { minutes } => {
                    tick(&mut model, world.now + minutes * MINUTE);
                    world.restart(minutes * MINUTE);
                }
                Step::Clean => {
                    world.clean();
                    world.check_replay();
                }
            }
        }
        let mut got: Vec<(Time, String)> =
            world.messages.iter().map(|message| (message.at, message.text.clone())).collect();
        got.sort();
        expected.sort();
        prop_assert_eq!(got, expected);
        world.check_replay();
    }
}
