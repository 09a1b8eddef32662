//! Checks of the repository's structure.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::model;
use crate::workspace::{self, cargo, root};

/// The packages on which each of our packages may depend, except in tests. Services and the machine are apart; other packages that are
/// not listed may depend on any.
const ARROWS: &[(&str, &[&str])] = &[
    ("posthaste-api", &[]),
    ("posthaste-kernel", &[]),
    ("posthaste-patterns", &[]),
    ("posthaste-collections", &["posthaste-kernel"]),
    ("posthaste-archives", &["posthaste-collections", "posthaste-kernel"]),
    ("posthaste-deliveries", &["posthaste-kernel"]),
    ("posthaste-items", &["posthaste-json-text", "posthaste-kernel"]),
    ("posthaste-json-text", &[]),
    ("posthaste-md5-lanes", &[]),
    ("posthaste-notification", &["posthaste-kernel"]),
    ("posthaste-resources", &["posthaste-kernel"]),
    ("posthaste-schedules", &["posthaste-kernel"]),
    ("posthaste-states-language", &["posthaste-kernel"]),
    ("posthaste-journal", &["posthaste-kernel"]),
    ("posthaste-retained", &["posthaste-kernel", "posthaste-journal"]),
    ("posthaste-delivery", &[]),
    ("posthaste-wire", &["posthaste-api", "posthaste-kernel"]),
    ("posthaste-stdio", &[]),
    ("posthaste-bench", &["posthaste-stdio"]),
    ("posthaste-toolkit", &[]),
    ("posthaste-tickets", &["posthaste-toolkit"]),
];

/// The packages on which a service may depend: what services share, and no other service.
const ARROWS_OF_SERVICES: &[&str] = &[
    "posthaste-api",
    "posthaste-archives",
    "posthaste-collections",
    "posthaste-deliveries",
    "posthaste-items",
    "posthaste-json-text",
    "posthaste-kernel",
    "posthaste-md5-lanes",
    "posthaste-notification",
    "posthaste-patterns",
    "posthaste-resources",
    "posthaste-schedules",
    "posthaste-states-language",
];

/// The package that combines the services, and the packages on which it may depend besides them.
const MACHINE: (&str, &[&str]) =
    ("posthaste-machine", &["posthaste-journal", "posthaste-kernel", "posthaste-wire"]);

/// Allowed licences of dependencies; one of several alternatives is enough.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "MIT-0",
    "MPL-2.0",
];

/// Checks the repository. The error lists all faults.
pub fn run() -> Result<(), Box<dyn Error>> {
    let mut faults = Vec::new();
    packages(&mut faults)?;
    first_lines(&root(), &mut faults)?;
    folders(&mut faults)?;
    record_kinds(&mut faults)?;
    names_of_services(&mut faults)?;
    links(&root(), &mut faults)?;
    if faults.is_empty() {
        println!("tidy");
        return Ok(());
    }
    Err(faults.join("\n       ").into())
}

fn packages(faults: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    let metadata = workspace::run(&mut cargo(&["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let services: Vec<String> =
        model::services()?.into_iter().map(|service| format!("posthaste-{service}")).collect();
    let may_know = |name: &str, on: &str| {
        if services.iter().any(|service| service == name) {
            ARROWS_OF_SERVICES.contains(&on)
        } else if name == MACHINE.0 {
            MACHINE.1.contains(&on) || services.iter().any(|service| service == on)
        } else {
            ARROWS.iter().find(|(of, _)| *of == name).is_none_or(|(_, allowed)| allowed.contains(&on))
        }
    };
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            if on.starts_with("posthaste-") && dependency["kind"].is_null() && !may_know(name, on) {
                faults.push(format!("{name} depends on {on}, which it must not know"));
            }
        }
        let licence = package["license"].as_str().unwrap_or_default().replace('/', " OR ");
        let one_is_fine = licence.split(" OR ").any(|alternative| {
            alternative.split(" AND ").all(|part| LICENCES.contains(&part.trim().trim_matches(['(', ')'])))
        });
        if !one_is_fine {
            faults.push(format!(
                "{name} has the licence \"{licence}\", which is not on the list in xtask/src/tidy.rs"
            ));
        }
    }
    Ok(())
}

/// Checks that every file begins with a sentence about its content.
fn first_lines(folder: &Path, faults: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    for path in entries(folder)? {
        if path.is_dir() {
            first_lines(&path, faults)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)?;
            let mut lines =
                text.lines().filter(|line| !line.is_empty() && !line.starts_with("// Generated by"));
            if !lines.next().is_some_and(|line| line.starts_with("//! ")) {
                faults.push(format!("{} does not open with a `//!` sentence", path.display()));
            }
        }
    }
    Ok(())
}

/// Checks that ARCHITECTURE.md contains all top-level folders, and that the folders in its headings exist.
fn folders(faults: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    for path in entries(&root())?.into_iter().filter(|path| path.is_dir()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !map.contains(&format!("`{name}/")) {
            faults.push(format!("ARCHITECTURE.md does not say what {name}/ is"));
        }
    }
    for heading in map.lines().filter(|line| line.starts_with("### `")) {
        let named = heading.trim_start_matches("### `").split('`').next().unwrap_or_default();
        if !root().join(named).exists() {
            faults.push(format!("ARCHITECTURE.md has a heading for {named}, which is not there"));
        }
    }
    Ok(())
}

/// Checks that each number of a record kind is listed once over all services, and that all written numbers are listed.
fn record_kinds(faults: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    let mut of_all = BTreeSet::new();
    for service in model::services()? {
        // The only place that writes its kinds has the table of them.
        let file = format!("crates/engine/{service}/src/records/mod.rs");
        let text = std::fs::read_to_string(root().join(&file))?;
        let mut listed = BTreeSet::new();
        for line in text.lines().filter(|line| line.starts_with("//! | ")) {
            if let Ok(number) =
                line.trim_start_matches("//! | ").split(' ').next().unwrap_or_default().parse::<u32>()
                && !(listed.insert(number) && of_all.insert(number))
            {
                faults.push(format!("record kind {number} is listed twice, the second time in {file}"));
            }
        }
        let written: BTreeSet<u32> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("out.push(")?.strip_suffix(");")?.parse().ok())
            .collect();
        if let Some(number) = written.difference(&listed).next() {
            faults.push(format!("record kind {number} is written, but not in the table of {file}"));
        }
    }
    Ok(())
}

/// Folders whose files know no service by name, with the words that give one away.
const NAMELESS: &[(&str, &[&str])] = &[
    ("crates/engine/kernel/src", &["queue", "topic", "subscri"]),
    ("crates/engine/machine/src", &["queue", "topic", "subscri"]),
    ("crates/engine/deliveries/src", &["queue", "topic", "subscri"]),
    ("crates/journal/src", &["topic", "subscri", "sqs", "sns"]),
    ("crates/retained/src", &["topic", "subscri", "sqs", "sns"]),
];

/// The one file there that lists the services.
const LIST_OF_SERVICES: &str = "services.rs";

/// What all services share names none of them.
fn names_of_services(faults: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    let mut folders: Vec<(PathBuf, &[&str])> =
        NAMELESS.iter().map(|&(folder, words)| (root().join(folder), words)).collect();
    while let Some((folder, words)) = folders.pop() {
        for path in entries(&folder)? {
            if path.is_dir() {
                folders.push((path, words));
                continue;
            }
            if path.ends_with(LIST_OF_SERVICES) {
                continue;
            }
            let text = std::fs::read_to_string(&path)?.to_lowercase();
            for (at, line) in text.lines().enumerate() {
                if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                    faults.push(format!("{}:{} says `{word}`: it knows no service", path.display(), at + 1));
                }
            }
        }
    }
    Ok(())
}

/// Checks that links between our documents lead to existing files.
fn links(folder: &Path, faults: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    for path in entries(folder)? {
        if path.is_dir() {
            links(&path, faults)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let text = std::fs::read_to_string(&path)?;
            for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next()) {
                let external = target.contains("://") || target.starts_with("mailto:") || target.is_empty();
                if !external && !path.parent().is_some_and(|parent| parent.join(target).exists()) {
                    faults.push(format!("{} links to {target}, which is not there", path.display()));
                }
            }
        }
    }
    Ok(())
}

/// Returns the entries that git tracks or would track, without folders that tools create.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    const MADE: &[&str] =
        &["target", "node_modules", "posthaste-data", "tickets-data", "corpus", "artifacts", "__pycache__"];
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with('.') && !MADE.contains(&name.as_str()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
