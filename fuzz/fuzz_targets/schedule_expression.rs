//! Any text is a schedule expression or is refused; one that is read runs later than any moment, if at all.
#![no_main]

use kernel::Time;
use libfuzzer_sys::fuzz_target;
use schedules::{Dialect, Expression, Zone};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, zone) = text.split_once('\0').unwrap_or((text, "Europe/Berlin"));
    let zone = Zone::named(zone).unwrap_or(Zone::UTC);
    let after = Time(data.iter().fold(0, |after: u64, &byte| after.wrapping_mul(257) + u64::from(byte)) >> 20);
    let rule = Expression::parse(text, Dialect::Rule);
    let scheduler = Expression::parse(text, Dialect::Scheduler);
    assert!(rule.is_err() || rule == scheduler, "Scheduler accepts what rules accept");
    if let Ok(expression) = scheduler {
        let next = expression.next(after, Time(0), &zone);
        assert!(next.is_none_or(|next| next > after));
    }
});
