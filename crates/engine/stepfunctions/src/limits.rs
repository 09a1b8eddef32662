//! Quotas, each with its source.

/// Bytes of a definition (facts/stepfunctions.md § 3).
pub const DEFINITION_BYTES: usize = 1 << 20;

/// Events of one execution (facts/stepfunctions.md § 3).
pub const EVENTS: u32 = 25_000;

/// Open executions of an account in a region (facts/stepfunctions.md § 3).
pub const OPEN_EXECUTIONS: usize = 1_000_000;

/// Seconds that an express execution takes at the most (facts/stepfunctions.md § 3).
pub const EXPRESS_SECONDS: u64 = 5 * 60;

/// Seconds that any execution takes at the most: a year (facts/stepfunctions.md § 3). Then it times out (developer guide, "Quotas").
pub const SECONDS: u64 = 365 * 24 * 60 * 60;

/// Days for which closed executions are kept (facts/stepfunctions.md § 3).
pub const KEPT_DAYS: u64 = 90;

/// Bytes of memory that closed executions take at the most. Beyond that those that ended first are forgotten before their time; AWS keeps
/// all.
pub const CLOSED_BYTES: usize = 256 << 20;

/// Items of a page if a request does not say it, and at the most (facts/stepfunctions.md § 2).
pub const PAGE: usize = 100;
/// See [`PAGE`].
pub const LONGEST_PAGE: usize = 1000;

/// Tags of a resource (facts/stepfunctions.md § 2).
pub const TAGS: usize = 50;

/// Bytes of the variables that one flow of an execution sees. AWS has 10 MiB for a whole execution; here they are in the record of each
/// step, and a group of the log has 4 MiB.
pub const VARIABLE_BYTES: usize = 512 << 10;

/// Bytes of all texts of definitions. They are kept in memory, so the server bounds them; AWS does not.
pub const DEFINITIONS_BYTES: usize = 256 << 20;

/// Iterations of an inline Map that run side by side (facts/stepfunctions.md § 3).
pub const CONCURRENCY: u32 = 40;

/// Bytes of the answer to an HTTP task (developer guide, "Call HTTPS APIs": 256 KiB).
pub const ANSWER_BYTES: usize = 256 << 10;

/// Workers that wait for tasks of one activity (facts/stepfunctions.md § 3).
pub const POLLS: usize = 1000;

/// Which limits are in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Whether what AWS raises on demand is limited: open executions.
    pub quotas: bool,
}

impl Limits {
    /// As AWS has them.
    pub const fn strict() -> Self {
        Limits { quotas: true }
    }

    /// Without those that only slow a developer down.
    pub const fn relaxed() -> Self {
        Limits { quotas: false }
    }
}

impl kernel::Limits for Limits {
    fn strict() -> Self {
        Limits::strict()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits::relaxed()
    }
}
