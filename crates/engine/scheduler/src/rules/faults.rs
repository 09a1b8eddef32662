//! Constraints of Scheduler's model, besides those that other services have too.

pub use resources::Faults;

/// Texts that only Scheduler has.
pub trait Constrained {
    /// A name of a schedule, of a group, or the beginning of one.
    fn name(&mut self, value: &str, path: &str);

    /// A token of idempotency.
    fn client_token(&mut self, value: Option<&str>);
}

impl Constrained for Faults {
    fn name(&mut self, value: &str, path: &str) {
        self.length(value, path, 1, 64);
        let fits =
            value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        self.pattern(value, path, "[0-9a-zA-Z-_.]+", fits);
    }

    fn client_token(&mut self, value: Option<&str>) {
        let Some(value) = value else { return };
        self.length(value, "clientToken", 1, 64);
        let fits = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        self.pattern(value, "clientToken", "[a-zA-Z0-9-_]+", fits);
    }
}
