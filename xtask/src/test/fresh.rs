//! The tests as a machine would run them that has never run them before: a fresh clone, and no cache of any tool.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::{root, run as ask, show};

/// What a tool keeps between its runs, and the variable that says where. Each gets an empty folder.
///
/// Compilers and the tools themselves are the machine's. So are settings of the network (proxies, mirrors, certificates): those
/// that users keep in files of their own are passed on where a tool would look for them beside its cache.
const CACHES: &[(&str, &str)] = &[
    ("CARGO_HOME", "cargo"),
    ("GOPATH", "go"),
    ("GOMODCACHE", "go/pkg/mod"),
    ("GOCACHE", "go-build"),
    ("npm_config_cache", "npm"),
    ("PIP_CACHE_DIR", "pip"),
    ("XDG_CACHE_HOME", "cache"),
    ("XDG_DATA_HOME", "data"),
];

/// Variables that would make a tool, or the tests, use something that is on this machine only.
const UNSET: &[&str] = &[
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "RUSTC_WRAPPER",
    "POSTHASTE_BIN",
    "POSTHASTE_ENDPOINT",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "NODE_PATH",
    "MAVEN_ARGS",
    "LOGS",
];

/// Clones what is committed into a temporary folder, and runs its `cargo xtask test` there with these words.
///
/// # Errors
///
/// If it fails; then the folder is kept, and the error says where it is.
pub fn run(words: &[&str]) -> Result<(), Box<dyn Error>> {
    let changed = ask(Command::new("git").args(["status", "--porcelain"]).current_dir(root()))?;
    if !changed.trim().is_empty() {
        println!("── what is not committed is not tested:\n{}", changed.trim_end());
    }
    let folder = tempfile::Builder::new().prefix("posthaste-fresh-").tempdir()?;
    let clone = folder.path().join("posthaste");
    // Whatever git would take from this repository must be in what it sends: no hard links, no borrowed objects.
    show("git clone", Command::new("git").args(["clone", "--quiet", "--no-local"]).arg(root()).arg(&clone))?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["xtask", "test"]).args(words).current_dir(&clone);
    environment(&mut command, folder.path())?;
    println!("── cargo xtask test {}: in {}, with empty caches", words.join(" "), clone.display());
    let result = show("a fresh clone with empty caches", &mut command);
    if result.is_err() {
        return result.map_err(|error| format!("{error}; all is kept in {}", folder.keep().display()).into());
    }
    Ok(())
}

/// Gives a command empty caches below `folder`.
fn environment(command: &mut Command, folder: &Path) -> std::io::Result<()> {
    for (variable, name) in CACHES {
        let cache = folder.join("caches").join(name);
        std::fs::create_dir_all(&cache)?;
        command.env(variable, cache);
    }
    // Cargo keeps its settings (a mirror, a proxy) beside its cache.
    for (from, name) in cargo_settings() {
        std::fs::copy(from, folder.join("caches/cargo").join(name))?;
    }
    // Maven has no variable for it, but its Java has. The user's settings.xml stays where it is: it may name a mirror.
    let repository = format!("-Dmaven.repo.local={}", folder.join("caches/maven").display());
    let options = std::env::var("MAVEN_OPTS").unwrap_or_default();
    command.env("MAVEN_OPTS", format!("{options} {repository}").trim_start());
    // Cargo gives what it runs some of its own variables; in another workspace they would be wrong.
    let own = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name == "CARGO_PRIMARY_PACKAGE"
    });
    for name in own {
        command.env_remove(name);
    }
    for name in UNSET {
        command.env_remove(name);
    }
    // Go protects its cache from being deleted.
    command.env("GOFLAGS", "-modcacherw");
    Ok(())
}

/// The files of the user's settings of cargo that exist.
fn cargo_settings() -> Vec<(PathBuf, &'static str)> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let files =
        home.into_iter().flat_map(|home| ["config.toml", "config"].map(|name| (home.join(name), name)));
    files.filter(|(path, _)| path.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_cache_lies_in_the_folder_and_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("true");
        environment(&mut command, folder.path()).unwrap();
        let set: HashMap<_, _> = command.get_envs().collect();
        for (variable, _) in CACHES {
            let path = set[std::ffi::OsStr::new(variable)].map(Path::new).unwrap();
            assert!(path.starts_with(folder.path()), "{variable}");
        }
        let maven = set[std::ffi::OsStr::new("MAVEN_OPTS")].unwrap().to_string_lossy();
        assert!(maven.contains(&format!("-Dmaven.repo.local={}", folder.path().display())), "{maven}");
        assert_eq!(set[std::ffi::OsStr::new("POSTHASTE_BIN")], None);
    }
}
