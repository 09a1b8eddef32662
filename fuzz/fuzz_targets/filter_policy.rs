//! Any text is a filter policy or is refused; one that is read can be compared with any attributes and any body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patterns::{Event, FilterPolicy, PatternSet, Scope};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (policy, message) = text.split_once('\0').unwrap_or((text, text));
    let name = message.split('"').nth(1).unwrap_or("a");
    let types = ["String", "String.Array", "Number"];
    for scope in [Scope::MessageAttributes, Scope::MessageBody] {
        let parsed = match FilterPolicy::parse(policy, scope) {
            Err(fault) => {
                assert!(!fault.reason().is_empty());
                continue;
            }
            Ok(parsed) => parsed,
        };
        let mut set = PatternSet::new();
        set.insert(1, parsed.matcher());
        let attributes = types.map(|data_type| Event::from_attributes([(name, data_type, message)]));
        for event in attributes.into_iter().chain([Event::from_json(message)]) {
            let wanted = parsed.matcher().matches(&event);
            assert_eq!(set.matching(&event).len(), usize::from(wanted));
        }
    }
});
