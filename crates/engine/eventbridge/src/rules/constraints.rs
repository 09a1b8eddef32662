//! What AWS's model says of a request's texts and numbers, in the words of AWS's framework.

use kernel::Refusal;

use super::endpoints;
use crate::refusals;

/// A kind of text: how long it is, and of what it consists.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The least characters.
    pub least: usize,
    /// The most characters.
    pub most: usize,
    /// The characters, as AWS's model writes them; none: any.
    pub characters: Option<Characters>,
}

impl Kind {
    /// What a text is not.
    fn faults(&self, value: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let length = value.chars().count();
        if length < self.least {
            faults.push(format!("have length greater than or equal to {}", self.least));
        }
        if length > self.most {
            faults.push(format!("have length less than or equal to {}", self.most));
        }
        if let Some((pattern, belongs)) = self.characters
            && !value.chars().all(belongs)
        {
            faults.push(format!("satisfy regular expression pattern: {pattern}"));
        }
        faults
    }
}

/// A set of characters: as AWS's model writes it, and whether a character belongs to it.
pub type Characters = (&'static str, fn(char) -> bool);

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// Names of rules, ids of targets.
pub const NAME: Kind = Kind { least: 1, most: 64, characters: Some((r"[\.\-_A-Za-z0-9]+", is_plain)) };
/// Names of archives.
pub const ARCHIVE_NAME: Kind =
    Kind { least: 1, most: 48, characters: Some((r"[\.\-_A-Za-z0-9]+", is_plain)) };
/// Names of buses, also of partners'.
pub const BUS_NAME: Kind =
    Kind { least: 1, most: 256, characters: Some((r"[/\.\-_A-Za-z0-9]+", |c| is_plain(c) || c == '/')) };
/// Names of buses that are not partners'.
pub const OWN_BUS_NAME: Kind =
    Kind { least: 1, most: 256, characters: Some((r"[\.\-_A-Za-z0-9]+", is_plain)) };
/// Labels of statements of a policy.
pub const STATEMENT: Kind = Kind {
    least: 1,
    most: 64,
    characters: Some(("[a-zA-Z0-9-_]+", |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))),
};
/// ARNs of resources and roles.
pub const ARN: Kind = Kind { least: 1, most: 1600, characters: None };

/// Names, passwords and keys in credentials (AWS's model: `AuthHeaderParameters`).
pub const AUTH_TEXT: Kind = Kind {
    least: 1,
    most: 512,
    characters: Some((r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$", |c| {
        c == '\t' || !(c < ' ' || c == ':' || c == '\x7f')
    })),
};
/// Names of headers (AWS's model: `HeaderKey`).
pub const HEADER_KEY: Kind = Kind {
    least: 0,
    most: 512,
    characters: Some((r"^[!#$%&'*+-.^_`|~0-9a-zA-Z]+$", |c| {
        c.is_ascii_alphanumeric() || "!#$%&'*+,-.^_`|~".contains(c)
    })),
};
/// Values of headers (AWS's model: `HeaderValue`).
pub const HEADER_VALUE: Kind = Kind {
    least: 0,
    most: 512,
    characters: Some((r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$", |c| {
        c == '\t' || (' '..='~').contains(&c)
    })),
};
/// Names of a query's parameters (AWS's model: `QueryStringKey`).
pub const QUERY_KEY: Kind =
    Kind { least: 0, most: 512, characters: Some((r"[^\x00-\x1F\x7F]+", |c| !(c < ' ' || c == '\x7f'))) };
/// Values of a query's parameters (AWS's model: `QueryStringValue`).
pub const QUERY_VALUE: Kind = Kind {
    least: 0,
    most: 512,
    characters: Some((r"[^\x00-\x09\x0B\x0C\x0E-\x1F\x7F]+", |c| {
        matches!(c, '\n' | '\r') || !(c < ' ' || c == '\x7f')
    })),
};

/// A text of any content and a greatest length.
pub const fn text(most: usize) -> Kind {
    Kind { least: 0, most, characters: None }
}

/// What of a request contradicts the model.
#[derive(Debug, Default)]
pub struct Constraints(Vec<String>);

impl Constraints {
    fn add(&mut self, value: &str, path: &str, constraint: &str) {
        self.0.push(format!(
            "Value {value} at '{path}' failed to satisfy constraint: Member must {constraint}"
        ));
    }

    /// A member that must be there.
    pub fn required<T>(&mut self, path: &str, value: Option<&T>) -> &mut Self {
        if value.is_none() {
            self.add("null", path, "not be null");
        }
        self
    }

    /// A text that need not be there.
    pub fn text(&mut self, path: &str, value: Option<&api::Text>, kind: Kind) -> &mut Self {
        for fault in value.map_or_else(Vec::new, |value| kind.faults(value)) {
            self.add(&format!("'{}'", value.map_or("", |value| value)), path, &fault);
        }
        self
    }

    /// A text that must not be shown, and need not be there.
    pub fn secret(&mut self, path: &str, value: Option<&api::Text>, kind: Kind) -> &mut Self {
        for fault in value.map_or_else(Vec::new, |value| kind.faults(value)) {
            self.0.push(format!("Value at '{path}' failed to satisfy constraint: Member must {fault}"));
        }
        self
    }

    /// A text contradicts a pattern.
    pub fn contradicts(&mut self, path: &str, value: &str, pattern: &str) {
        self.add(&format!("'{value}'"), path, &format!("satisfy regular expression pattern: {pattern}"));
    }

    /// The ARN of a connection (AWS's model: `ConnectionArn`), which need not be there.
    pub fn connection_arn(&mut self, path: &str, value: Option<&api::Text>) -> &mut Self {
        const PATTERN: &str = r"^arn:aws([a-z]|\-)*:events:([a-z]|\d|\-)*:([0-9]{12})?:connection\/[\.\-_A-Za-z0-9]+\/[\-A-Za-z0-9]+$";
        let Some(value) = value else { return self };
        self.text(path, Some(value), ARN);
        let arn = value.parse().ok();
        if arn.and_then(|arn| crate::ResourceKey::from_arn(&arn, "connection")).is_none() {
            self.contradicts(path, value, PATTERN);
        }
        self
    }

    /// An endpoint, which need not be there.
    pub fn endpoint(&mut self, path: &str, value: Option<&api::Text>) -> &mut Self {
        let Some(value) = value else { return self };
        self.text(path, Some(value), Kind { least: 1, ..text(2048) });
        if !value.is_empty() && !endpoints::has_characters(value) {
            self.contradicts(path, value, endpoints::PATTERN);
        }
        self
    }

    /// A text that must be there.
    pub fn required_text(&mut self, path: &str, value: Option<&api::Text>, kind: Kind) -> &mut Self {
        self.required(path, value).text(path, value, kind)
    }

    /// A text that is one of a few.
    pub fn one_of(&mut self, path: &str, value: Option<&api::Text>, words: &[&str]) -> &mut Self {
        if let Some(value) = value.filter(|value| !words.contains(&&***value)) {
            self.add(&format!("'{value}'"), path, &format!("satisfy enum value set: [{}]", words.join(", ")));
        }
        self
    }

    /// A number between two.
    pub fn between(&mut self, path: &str, value: Option<i32>, least: i32, most: i32) -> &mut Self {
        match value {
            Some(value) if value < least => {
                let text = format!("have value greater than or equal to {least}");
                self.add(&format!("'{value}'"), path, &text);
            }
            Some(value) if value > most => {
                self.add(&format!("'{value}'"), path, &format!("have value less than or equal to {most}"));
            }
            _ => {}
        }
        self
    }

    /// A list of so many items, which is shown as `shown`.
    pub fn length(
        &mut self,
        path: &str,
        length: usize,
        (least, most): (usize, usize),
        shown: impl FnOnce() -> String,
    ) -> &mut Self {
        let text = match length {
            _ if length < least => format!("have length greater than or equal to {least}"),
            _ if length > most => format!("have length less than or equal to {most}"),
            _ => return self,
        };
        self.add(&format!("'{}'", shown()), path, &text);
        self
    }

    /// The name of a bus or its ARN.
    pub fn bus(&mut self, path: &str, value: Option<&api::Text>) -> &mut Self {
        const PATTERN: &str =
            r"(arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus\/)?[/\.\-_A-Za-z0-9]+";
        let Some(value) = value else { return self };
        self.text(path, Some(value), Kind { least: 1, most: 1600, characters: None });
        if !value.is_empty() && !super::names::is_bus(value) {
            self.contradicts(path, value, PATTERN);
        }
        self
    }

    /// The refusal, if anything contradicts the model.
    pub fn check(&mut self) -> Result<(), Refusal> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(refusals::invalid(format_args!("1 validation error detected: {}", self.0[0]))),
            count => {
                let all = self.0.join("; ");
                Err(refusals::invalid(format_args!("{count} validation errors detected: {all}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contradicts_the_model_is_told_in_awss_words() {
        let mut none = Constraints::default();
        none.required_text("name", Some(&"a.b-c_d".into()), NAME).bus("bus", Some(&"aws.partner/x/y".into()));
        assert_eq!(none.between("limit", Some(100), 1, 100).check(), Ok(()));
        let text = |constraints: &mut Constraints| constraints.check().unwrap_err().message.into_owned();
        assert_eq!(
            text(Constraints::default().required_text("name", None, NAME)),
            "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"
        );
        assert_eq!(
            text(Constraints::default().text("name", Some(&"a/b".into()), NAME).between(
                "limit",
                Some(0),
                1,
                100
            )),
            r"2 validation errors detected: Value 'a/b' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+; Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"
        );
        let state = |state: &str| {
            Constraints::default().one_of("state", Some(&state.into()), &["ENABLED", "DISABLED"]).check()
        };
        assert!(state("ENABLED").is_ok());
        assert!(state("on").unwrap_err().message.ends_with("satisfy enum value set: [ENABLED, DISABLED]"));
    }
}
