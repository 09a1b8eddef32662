//! How a schema follows from events: the shape of what was seen ([`Shape`]), and that shape as a document, written and read.

mod document;
pub use document::{Dialect, Subject, read, write};

mod shape;
pub use shape::Shape;

#[cfg(test)]
mod testing;

/// A name without what code cannot have in one, each word with a capital: `Instance State-change` is `InstanceStateChange`, as in the names of
/// AWS's own schemas.
pub fn pascal_case(text: &str) -> String {
    let words = text.split(|character: char| !character.is_alphanumeric());
    let mut name = String::with_capacity(text.len());
    for word in words {
        let mut characters = word.chars();
        name.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(characters.as_str());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_as_aws_makes_them() {
        for (given, name) in [
            ("EC2 Instance State-change Notification", "EC2InstanceStateChangeNotification"),
            ("order.placed", "OrderPlaced"),
            ("ReviewCreated", "ReviewCreated"),
            ("größe ändern", "Größeändern"),
            ("--", ""),
        ] {
            assert_eq!(pascal_case(given), name);
        }
    }
}
