//! Names of registries and schemas, descriptions, and how requests give them.

use api::Text;
use kernel::{Asker, Refusal};

use crate::{RegistryKey, SchemaKey, limits, refusals};

/// The registry that a request names.
pub fn registry(name: Option<&Text>, asker: &Asker<'_>) -> Result<RegistryKey, Refusal> {
    let name = name.ok_or_else(|| refusals::bad_request("RegistryName is missing."))?;
    check("registry", name, limits::REGISTRY_NAME, &['.', '-', '_'])?;
    Ok(in_registry(name, asker))
}

/// The schema that a request names.
pub fn schema(registry: Option<&Text>, name: Option<&Text>, asker: &Asker<'_>) -> Result<SchemaKey, Refusal> {
    let registry = self::registry(registry, asker)?;
    let name = name.ok_or_else(|| refusals::bad_request("SchemaName is missing."))?;
    check("schema", name, limits::SCHEMA_NAME, &['.', '-', '_', '@'])?;
    Ok(SchemaKey { registry, name: name.to_string() })
}

/// A registry of the caller by its name.
pub fn in_registry(name: &str, asker: &Asker<'_>) -> RegistryKey {
    let (account, region) = (asker.caller.account.clone(), asker.caller.region.clone());
    RegistryKey { account, region, name: name.to_owned() }
}

/// A description, if it is short enough.
pub fn description(given: Option<&Text>) -> Result<Option<String>, Refusal> {
    match given {
        Some(text) if text.chars().count() > limits::DESCRIPTION => Err(refusals::bad_request(format!(
            "Description is longer than {} characters.",
            limits::DESCRIPTION
        ))),
        given => Ok(given.map(ToString::to_string)),
    }
}

/// The number of a version.
pub fn version(given: &str) -> Result<u64, Refusal> {
    given.parse().map_err(|_| refusals::bad_request(format!("SchemaVersion {given} is no number.")))
}

/// The characters and lengths are those that EventBridge's console tells beside its fields.
fn check(what: &str, name: &str, most: usize, marks: &[char]) -> Result<(), Refusal> {
    let fits = |character: char| character.is_ascii_alphanumeric() || marks.contains(&character);
    if name.is_empty() || name.chars().count() > most || !name.chars().all(fits) {
        let marks: String = marks.iter().collect();
        return Err(refusals::bad_request(format!(
            "{name} is no name of a {what}: it must have 1 to {most} letters, digits and characters of {marks}"
        )));
    }
    Ok(())
}
