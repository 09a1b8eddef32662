//! Any text is an event pattern or is refused; one that is read can be compared with any event.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patterns::{Event, EventPattern, PatternSet};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (pattern, event) = text.split_once('\0').unwrap_or((text, text));
    let Ok(parsed) = EventPattern::parse(pattern) else { return };
    let event = Event::from_json(event);
    let mut set = PatternSet::new();
    set.insert(1, parsed.matcher());
    assert_eq!(set.matching(&event).len(), usize::from(parsed.matches(&event)));
    assert!(set.remove(1) && set.is_empty());
});
