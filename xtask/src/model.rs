//! AWS's models of its services, our corrections, and our additions.

use std::error::Error;
use std::path::Path;

use serde_json::{Map, Value};

use crate::workspace::root;

/// Copies AWS's model of a service to `models/SERVICE/service.json`, without its documentation.
pub fn take_over(service: &str, file: &Path) -> Result<(), Box<dyn Error>> {
    let mut model: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    strip(&mut model);
    if let Some(metadata) = model.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("uid");
    }
    let folder = root().join("models").join(service);
    std::fs::create_dir_all(&folder)?;
    let mut text = serde_json::to_string_pretty(&model)?.replace("\n  ", "\n ");
    text.push('\n');
    std::fs::write(folder.join("service.json"), text)?;
    println!("models/{service}/service.json is written; now: cargo xtask codegen");
    Ok(())
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, value| !(value.is_string() && name.starts_with("documentation")));
            members.shift_remove("deprecatedMessage");
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// The services, by their folders under `models`: the names of their crates, sorted.
pub fn services() -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("models"))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// A service's model with our corrections.
pub struct Model {
    /// The folder under `models`, or under `crates/wire/fixtures`.
    pub service: String,
    /// Whether it is no service at all, but proves a protocol that no service speaks yet.
    pub is_fixture: bool,
    /// The model.
    pub json: Value,
    /// The operations that the server implements.
    pub implemented: Vec<String>,
    /// Our own operations, which AWS does not have.
    pub additions: Vec<String>,
    /// The operations that only the server itself asks for: they have no shapes.
    pub internal: Vec<String>,
}

impl Model {
    /// Reads `models/SERVICE`.
    pub fn read(service: &str) -> Result<Model, Box<dyn Error>> {
        Model::read_from(&root().join("models").join(service), service, false)
    }

    /// Reads `crates/wire/fixtures/SERVICE`.
    pub fn read_fixture(service: &str) -> Result<Model, Box<dyn Error>> {
        Model::read_from(&root().join("crates/wire/fixtures").join(service), service, true)
    }

    fn read_from(folder: &Path, service: &str, is_fixture: bool) -> Result<Model, Box<dyn Error>> {
        let mut json: Value = serde_json::from_slice(&std::fs::read(folder.join("service.json"))?)?;
        if is_fixture {
            return Ok(Model {
                service: service.to_owned(),
                is_fixture,
                json,
                implemented: Vec::new(),
                additions: Vec::new(),
                internal: Vec::new(),
            });
        }
        let patches: Vec<Value> = serde_json::from_slice(&std::fs::read(folder.join("patches.json"))?)?;
        for patch in &patches {
            let at = patch["at"].as_str().ok_or("a patch says in \"at\" where it belongs")?;
            if patch["why"].as_str().is_none_or(str::is_empty)
                || patch["source"].as_str().is_none_or(str::is_empty)
            {
                return Err(format!("the patch at {at} does not say why, or on whose word").into());
            }
            let (parent, name) = at.rsplit_once('/').ok_or("a patch's \"at\" is a JSON pointer")?;
            let parent = json.pointer_mut(parent).and_then(Value::as_object_mut);
            let parent = parent.ok_or_else(|| format!("there is nothing to patch at {at}"))?;
            // If AWS's model now contains our correction, the patch must be removed.
            if parent.get(name) == Some(&patch["set"]) {
                return Err(format!("the patch at {at} changes nothing: the model says so already").into());
            }
            parent.insert(name.to_owned(), patch["set"].clone());
        }
        let implemented = std::fs::read_to_string(folder.join("implemented.txt"))?;
        let mut implemented: Vec<String> = implemented.lines().map(str::to_owned).collect();
        for operation in &implemented {
            if json["operations"].get(operation).is_none() {
                return Err(format!("{service} has no operation {operation}").into());
            }
        }
        let additions = add(&mut json, &folder.join("additions.json"))?;
        implemented.extend(additions.iter().cloned());
        let internal = folder.join("internal.txt");
        let internal = if internal.exists() { std::fs::read_to_string(internal)? } else { String::new() };
        let internal: Vec<String> = internal.lines().map(str::to_owned).collect();
        if let Some(operation) = internal.iter().find(|name| json["operations"].get(name.as_str()).is_some())
        {
            return Err(format!(
                "{operation} in models/{service}/internal.txt has shapes: it is not internal"
            )
            .into());
        }
        Ok(Model { service: service.to_owned(), is_fixture, json, implemented, additions, internal })
    }

    /// Returns the model's shapes by name.
    pub fn shapes(&self) -> Result<&Map<String, Value>, Box<dyn Error>> {
        self.json["shapes"].as_object().ok_or_else(|| "the model has no shapes".into())
    }

    /// Returns the model's operations by name.
    pub fn operations(&self) -> Result<&Map<String, Value>, Box<dyn Error>> {
        self.json["operations"].as_object().ok_or_else(|| "the model has no operations".into())
    }
}

/// Adds the operations and shapes of a file, if it exists, to AWS's. Returns the names of the operations.
fn add(model: &mut Value, file: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let additions: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    // No operation of AWS has this target.
    let target = additions["targetPrefix"].as_str().ok_or("additions have a targetPrefix of their own")?;
    model["metadata"]["additionsTargetPrefix"] = target.into();
    for part in ["operations", "shapes"] {
        for (name, value) in additions[part].as_object().into_iter().flatten() {
            if model[part].get(name).is_some() {
                return Err(format!("AWS's model has {name}, which is to be added").into());
            }
            model[part][name] = value.clone();
        }
    }
    Ok(additions["operations"].as_object().into_iter().flat_map(Map::keys).cloned().collect())
}
