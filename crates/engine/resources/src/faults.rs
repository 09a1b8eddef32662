//! Constraints of AWS's models: what violates them is collected, and refused in one text.

use kernel::Refusal;

/// The violations found so far, in the order in which they were looked for.
#[derive(Debug, Default)]
pub struct Faults(Vec<String>);

impl Faults {
    /// The refusal that names all violations, if there are any: `2 validation errors detected: …; …`.
    pub fn refusal(self) -> Result<(), Refusal> {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        match self.0.len() {
            0 => Ok(()),
            count => {
                let text = format!("{count} validation error{plural} detected: {}", self.0.join("; "));
                Err(Refusal::new("ValidationException", text))
            }
        }
    }

    /// A value violates a constraint.
    pub fn add(&mut self, value: &str, path: &str, constraint: &str) {
        self.0.push(format!("Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"));
    }

    /// A required member is absent.
    pub fn missing(&mut self, path: &str) {
        self.0.push(format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"));
    }

    /// A required text; empty if it is absent.
    pub fn required<'v>(&mut self, value: Option<&'v str>, path: &str) -> &'v str {
        if value.is_none() {
            self.missing(path);
        }
        value.unwrap_or_default()
    }

    /// A text has at least `least` and at most `most` characters.
    pub fn length(&mut self, value: &str, path: &str, least: usize, most: usize) {
        let count = value.chars().count();
        if count > most {
            self.add(value, path, &format!("Member must have length less than or equal to {most}"));
        } else if count < least {
            self.add(value, path, &format!("Member must have length greater than or equal to {least}"));
        }
    }

    /// A text matches a pattern, as `fits` says.
    pub fn pattern(&mut self, value: &str, path: &str, pattern: &str, fits: bool) {
        if !fits {
            self.add(value, path, &format!("Member must satisfy regular expression pattern: {pattern}"));
        }
    }

    /// A number lies in a range.
    pub fn range(&mut self, value: i32, path: &str, least: i32, most: i32) {
        if value > most {
            self.add(
                &value.to_string(),
                path,
                &format!("Member must have value less than or equal to {most}"),
            );
        } else if value < least {
            let text = format!("Member must have value greater than or equal to {least}");
            self.add(&value.to_string(), path, &text);
        }
    }

    /// A text is one of a few.
    pub fn one_of(&mut self, value: &str, path: &str, values: &[&str]) {
        if !values.contains(&value) {
            let text = format!("Member must satisfy enum value set: [{}]", values.join(", "));
            self.add(value, path, &text);
        }
    }
}
