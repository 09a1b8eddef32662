//! Measures finding the subscriptions that match a message, and parsing policies.
//!
//! `cargo bench -p posthaste-patterns [-- NAME]`. Each number is the best of many short rounds: the cost
//! without interference by other work, not the cost on a busy machine.

// A benchmark needs a clock, which the engine must not have.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use patterns::{Event, FilterPolicy, PatternSet, Scope};

/// Shorter than the time slices of a busy machine.
const ROUND: Duration = Duration::from_micros(500);
const ROUNDS: usize = 500;

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    // A test run only verifies that everything works.
    let small = std::env::args().any(|argument| argument == "--test");
    let bench = |name: &str, task: &mut dyn FnMut()| {
        if name.contains(&wanted) {
            run(name, small, task);
        }
    };

    let attributes =
        [("store", "String", "store-7"), ("price", "Number", "120.5"), ("kind", "String", "order")];
    bench("an event of three attributes", &mut || {
        black_box(Event::from_attributes(black_box(attributes)));
    });
    let small = r#"{"store": "store-7", "price": 120.5, "kind": "order", "customer": {"id": 17, "interests": ["rugby", "chess"]}}"#;
    bench("an event of a body of 110 bytes", &mut || {
        black_box(Event::from_json(black_box(small)));
    });
    let elements: Vec<String> = (0..5000).map(|n| format!(r#"{{"id": {n}, "name": "item {n}"}}"#)).collect();
    let large = format!(r#"{{"store": "store-7", "items": [{}]}}"#, elements.join(", "));
    bench("an event of a body of 170 KB, 5,000 objects in an array", &mut || {
        black_box(Event::from_json(black_box(&large)));
    });

    let event = Event::from_attributes(attributes);
    type Policies<'p> = (&'p str, &'p dyn Fn(usize) -> String);
    let kinds: [Policies<'_>; 10] = [
        ("one exact value each", &|n| format!(r#"{{"store": ["store-{n}"]}}"#)),
        ("a common value and one of its own each", &|n| {
            format!(r#"{{"kind": ["order"], "store": ["store-{n}", "shop-{n}"]}}"#)
        }),
        ("an exact value and a range each", &|n| {
            format!(r#"{{"price": [{{"numeric": [">", 100]}}], "store": ["store-{n}"]}}"#)
        }),
        ("a key of its own each", &|n| {
            if n == 7 { r#"{"kind": ["order"]}"#.to_owned() } else { format!(r#"{{"key-{n}": ["x"]}}"#) }
        }),
        ("a prefix each", &|n| format!(r#"{{"store": [{{"prefix": "store-{n}"}}]}}"#)),
        ("a suffix each", &|n| format!(r#"{{"store": [{{"suffix": "-{n}"}}]}}"#)),
        ("a range each", &|n| {
            let bottom = if n == 7 { 120 } else { 1000 + n };
            format!(r#"{{"price": [{{"numeric": [">=", {bottom}, "<", {}]}}]}}"#, bottom + 1)
        }),
        ("a wildcard each", &|n| format!(r#"{{"store": [{{"wildcard": "*e-{n}*"}}]}}"#)),
        ("alternatives each", &|n| {
            format!(r#"{{"$or": [{{"store": [{{"prefix": "store-{n}"}}]}}, {{"kind": ["kind-{n}"]}}]}}"#)
        }),
        ("all but what is there", &|n| {
            format!(r#"{{"kind": [{{"anything-but": ["{}"]}}]}}"#, if n == 7 { "x" } else { "order" })
        }),
    ];
    for (kind, policy) in kinds {
        for numbers in [7..8, 0..1000, 0..10_000] {
            let mut set = PatternSet::new();
            let count = numbers.len();
            for number in numbers {
                let policy = FilterPolicy::parse(&policy(number), Scope::MessageAttributes).unwrap();
                set.insert(number, policy.matcher());
            }
            assert_eq!(set.matching(&event), [7]);
            bench(&format!("{count} of {kind}, one matches"), &mut || {
                black_box(set.matching(black_box(&event)));
            });
        }
    }
    let items = Event::from_json(&large);
    for (name, policy) in [
        ("an element that has both", r#"{"items": {"id": [4999], "name": ["item 4999"]}}"#),
        (
            "no element that has both",
            r#"{"items": {"id": [{"numeric": [">", -1]}], "name": [{"prefix": "x"}]}}"#,
        ),
        (
            "no two of an element",
            r#"{"items": {"id": [{"numeric": [">", -1]}], "none": [{"exists": false}], "name": ["item"]}}"#,
        ),
    ] {
        let policy = FilterPolicy::parse(policy, Scope::MessageBody).unwrap();
        bench(&format!("a policy on 5,000 objects: {name}"), &mut || {
            black_box(policy.matches(black_box(&items)));
        });
    }

    let text = r#"{"store": ["store-1"], "price": [{"numeric": [">", 100]}], "kind": [{"anything-but": ["a", "b"]}]}"#;
    bench("reading a policy of 100 bytes", &mut || {
        let _ = black_box(FilterPolicy::parse(black_box(text), Scope::MessageAttributes));
    });
    let policies: Vec<FilterPolicy> = (0..1000)
        .map(|n| {
            FilterPolicy::parse(&format!(r#"{{"store": ["store-{n}"]}}"#), Scope::MessageAttributes).unwrap()
        })
        .collect();
    bench("putting 1,000 policies into a set", &mut || {
        let mut set = PatternSet::new();
        for (number, policy) in policies.iter().enumerate() {
            set.insert(number, policy.matcher());
        }
        black_box(set);
    });
}

fn run(name: &str, small: bool, task: &mut dyn FnMut()) {
    if small {
        return task();
    }
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut count = 0u32;
        while start.elapsed() < ROUND {
            task();
            count += 1;
        }
        best = best.min(start.elapsed().as_secs_f64() / f64::from(count));
    }
    println!("{name:<68} {:>10.0} ns", best * 1e9);
}
