//! Who comes on the day, and what goes wrong.

use crate::services::Order;

/// Something to sell tickets for.
pub struct Event {
    pub id: &'static str,
    pub name: &'static str,
    pub organiser: &'static str,
    pub cents: i64,
}

/// The first begins later than announced, the third is called off.
pub const EVENTS: [Event; 3] = [
    Event { id: "e-quartet", name: "Nightjar Quartet", organiser: "strings@venue.example", cents: 4_500 },
    Event { id: "e-harbour", name: "Harbour Lights", organiser: "harbour@venue.example", cents: 2_500 },
    Event { id: "e-lecture", name: "The Last Lecture", organiser: "lectures@venue.example", cents: 1_250 },
];

/// Mail servers that make trouble: one says "later" at the first attempt, one knows none of its users, one is down until it is mended.
pub const MAIL_TROUBLES: [(&str, &str); 3] =
    [("busy.example", "busy"), ("nowhere.example", "unknown"), ("down.example", "down")];

/// A body that is no event. (Short, so that it is its own key in the log.)
pub const UNREADABLE: &str = "Dear Sirs, we have paid.";

/// A customer, and whether they will want their money back.
pub struct Customer {
    pub order: Order,
    pub changes_mind: bool,
}

/// The n-th customer, counted from 1. Every eighth is of the same kind, and every third wants the same event.
pub fn customer(number: u32) -> Customer {
    let name = ["ana", "ben", "chi", "dee", "eli", "fay", "gus", "hal"][number as usize % 8];
    let domain = match name {
        "dee" => "busy.example",
        "eli" => "nowhere.example",
        "fay" => "down.example",
        _ => "mail.example",
    };
    let order = Order {
        id: format!("o-{number:04}"),
        event_id: EVENTS[number as usize % EVENTS.len()].id.to_owned(),
        user_id: format!("u-{name}-{number}"),
        email: format!("{name}{number}@{domain}"),
        seats: 1 + number % 3,
        card: if name == "chi" { "declined-4000" } else { "good-4242" }.to_owned(),
    };
    Customer { order, changes_mind: name == "gus" }
}
