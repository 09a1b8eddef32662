//! Quotas, each with its source.

/// Registries of an account in a region (AWS General Reference, "Amazon EventBridge Schemas quotas").
pub const REGISTRIES: usize = 200;

/// Schemas of a registry (the same).
pub const SCHEMAS: usize = 200;

/// Versions of a schema (the same). A discoverer that would add another one adds none.
pub const VERSIONS: usize = 100;

/// Discoverers of an account in a region (the same).
pub const DISCOVERERS: usize = 1_000;

/// Items of a page at the most (AWS's model, `Limit`).
pub const PAGE: usize = 100;

/// Characters of a registry's name, at the most (EventBridge's console says it beside the field).
pub const REGISTRY_NAME: usize = 64;

/// Characters of a schema's name, at the most (the same).
pub const SCHEMA_NAME: usize = 385;

/// Characters of a description (AWS's model).
pub const DESCRIPTION: usize = 256;

/// Characters of a schema's content (AWS's model).
pub const CONTENT: usize = 100_000;

/// Events from which GetDiscoveredSchema infers one schema (AWS's model).
pub const EVENTS: usize = 10;

/// Tags of a resource (AWS's General Reference, "Tag naming limits and requirements").
pub const TAGS: usize = 50;

/// Bytes of a registry's policy. AWS says no number.
pub const POLICY_BYTES: usize = 20 << 10;

/// Bytes of the contents of all versions. They are kept in memory, so the server bounds them; AWS does not.
pub const MEMORY_BYTES: usize = 256 << 20;

/// Bytes of contents that one page of a search looks at, about, and that it looks at of one schema: the newest. A page for which few schemas
/// qualify is short, and has a token. Other requests wait for a page.
pub const SEARCHED_BYTES: usize = 256 << 10;

/// Bytes of an event that a discoverer looks at, at the most. AWS looks at events of up to 1000 KiB; here other requests wait meanwhile.
pub const EVENT_BYTES: usize = 128 << 10;

/// Values and properties that a schema describes, at the most. The content of one with more would be longer than a content may be.
pub const SHAPE_SIZE: usize = CONTENT / 16;

/// Which limits are in force.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Limits {
    /// Whether what AWS raises on demand is limited: registries, schemas, discoverers.
    pub quotas: bool,
}

impl kernel::Limits for Limits {
    fn strict() -> Self {
        Limits { quotas: true }
    }
}
