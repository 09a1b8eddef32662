//! Who takes part, how each is installed, and how each is started.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Server, free_port};
use crate::workspace::{cargo, run, show, target};

/// A server that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Posthaste that writes to files and leaves the rest to the operating system.
    OursOs,
    /// Posthaste that waits for the disk.
    OursFsync,
    /// Posthaste without files.
    OursMemory,
    /// The bare hyper server with constant answers.
    Bare,
    /// npm `fauxqs`.
    Fauxqs,
    /// PyPI `moto`, as a server.
    Moto,
    /// PyPI `ministack`.
    Ministack,
    /// `elasticmq-server` of Maven Central.
    ElasticMq,
}

use Contender::*;

const FAUXQS: &str = "1.9.2";
const MOTO: &str = "5.2.5";
const MINISTACK: &str = "1.5.33";
const ELASTICMQ: &str = "1.7.1";

impl Contender {
    /// All of them, in the order in which they run: those whose ratios matter most stand together.
    pub const ALL: [Contender; 8] = [Bare, OursOs, OursFsync, OursMemory, ElasticMq, Fauxqs, Ministack, Moto];

    /// The name for `--only` and for the tables.
    pub fn name(self) -> &'static str {
        match self {
            OursOs => "ours-os",
            OursFsync => "ours-fsync",
            OursMemory => "ours-memory",
            Bare => "bare",
            Fauxqs => "fauxqs",
            Moto => "moto",
            Ministack => "ministack",
            ElasticMq => "elasticmq",
        }
    }

    /// What it is, for the page.
    pub fn description(self) -> String {
        match self {
            OursOs => "posthaste serve --durability os".into(),
            OursFsync => "posthaste serve --durability fsync".into(),
            OursMemory => "posthaste serve --in-memory".into(),
            Bare => "a hyper server that reads the request and answers constant bytes".into(),
            Fauxqs => format!("npm fauxqs {FAUXQS}, with its request log off; in memory"),
            Moto => format!("PyPI moto {MOTO}, moto_server; in memory"),
            Ministack => format!("PyPI ministack {MINISTACK}; in memory"),
            ElasticMq => format!("Maven elasticmq-server {ELASTICMQ}; in memory"),
        }
    }

    /// One of Posthaste's own.
    pub fn is_ours(self) -> bool {
        matches!(self, OursOs | OursFsync | OursMemory)
    }

    /// Somebody else's server.
    pub fn is_peer(self) -> bool {
        !self.is_ours() && self != Bare
    }

    /// It has topics.
    pub fn serves_sns(self) -> bool {
        !matches!(self, Bare | ElasticMq)
    }

    /// Seconds of load before a measurement counts: machines that compile what is hot need more.
    pub fn warmup_seconds(self) -> f64 {
        match self {
            ElasticMq => 5.0,
            Fauxqs => 2.0,
            _ => 1.0,
        }
    }
}

/// The contenders that `--only` names; all without it.
pub fn select(only: &[String]) -> Result<Vec<Contender>, Box<dyn Error>> {
    for name in only {
        if !["ours", "peers"].contains(&name.as_str()) && !Contender::ALL.iter().any(|one| one.name() == name)
        {
            return Err(format!("--only knows no {name}").into());
        }
    }
    let wanted = |one: &Contender| {
        only.is_empty()
            || only.iter().any(|name| match name.as_str() {
                "ours" => one.is_ours(),
                "peers" => one.is_peer(),
                name => one.name() == name,
            })
    };
    Ok(Contender::ALL.into_iter().filter(wanted).collect())
}

/// Where things are built and installed.
pub struct Kitchen {
    /// The program `posthaste`.
    pub posthaste: PathBuf,
    /// The load generator.
    pub client: PathBuf,
    bare: PathBuf,
    peers: PathBuf,
    scratch: tempfile::TempDir,
}

impl Kitchen {
    /// Builds the client and the bare server; `posthaste` is there already.
    pub fn build(posthaste: PathBuf) -> Result<Kitchen, Box<dyn Error>> {
        let target = target();
        show("the client", &mut cargo(&["build", "--release", "--package", "posthaste-bench"]))?;
        let release = target.join("release");
        // The data of a run lie beside the build, on a real disk: /tmp is memory on many machines.
        std::fs::create_dir_all(target.join("bench-data"))?;
        Ok(Kitchen {
            posthaste,
            client: release.join("posthaste-bench"),
            bare: release.join("bare_hyper"),
            peers: target.join("bench-peers"),
            scratch: tempfile::TempDir::new_in(target.join("bench-data"))?,
        })
    }

    /// Installs a peer from its registry, unless that version is there already.
    pub fn install(&mut self, contender: Contender) -> Result<(), Box<dyn Error>> {
        let home = self.peers.join(contender.name());
        let stamp = home.join("installed");
        let description = contender.description();
        if !contender.is_peer() || std::fs::read_to_string(&stamp).is_ok_and(|text| text == description) {
            return Ok(());
        }
        eprintln!("installing {description}");
        if home.exists() {
            std::fs::remove_dir_all(&home)?;
        }
        std::fs::create_dir_all(&home)?;
        let pip = |package: String| -> Result<(), Box<dyn Error>> {
            run(Command::new("python3").args(["-m", "venv"]).arg(home.join("venv")))?;
            run(Command::new(home.join("venv/bin/pip")).args(["install", "--quiet", &package])).map(drop)
        };
        match contender {
            Fauxqs => {
                let package = format!("fauxqs@{FAUXQS}");
                let mut npm = Command::new("npm");
                run(npm
                    .args(["install", "--silent", "--no-audit", "--no-fund", &package, "--prefix"])
                    .arg(&home))?;
            }
            Moto => pip(format!("moto[server]=={MOTO}"))?,
            Ministack => pip(format!("ministack=={MINISTACK}"))?,
            ElasticMq => {
                std::fs::write(home.join("pom.xml"), elasticmq_pom())?;
                let mut maven = Command::new("mvn");
                maven.args([
                    "--quiet",
                    "--batch-mode",
                    "dependency:copy-dependencies",
                    "-DoutputDirectory=jars",
                ]);
                run(maven.current_dir(&home))?;
            }
            OursOs | OursFsync | OursMemory | Bare => {}
        }
        Ok(std::fs::write(stamp, description)?)
    }

    /// An empty directory for a server's data; all of them go when the run ends.
    pub fn data(&self) -> Result<tempfile::TempDir, Box<dyn Error>> {
        Ok(tempfile::TempDir::new_in(self.scratch.path())?)
    }

    /// Starts a contender on a port of its own. `data` is used by ours alone, and may hold an earlier run's.
    pub fn start(&self, contender: Contender, data: &Path) -> Result<Server, Box<dyn Error>> {
        let address = free_port()?;
        let port = address.port().to_string();
        let home = self.peers.join(contender.name());
        let mut command = match contender {
            OursOs | OursFsync | OursMemory => {
                let mut command = Command::new(&self.posthaste);
                command.args(["serve", "--listen", &address.to_string()]);
                match contender {
                    OursMemory => command.arg("--in-memory"),
                    OursFsync => command.args(["--durability", "fsync", "--data"]).arg(data),
                    _ => command.args(["--durability", "os", "--data"]).arg(data),
                };
                command
            }
            Bare => {
                let mut command = Command::new(&self.bare);
                command.args(["--listen", &address.to_string()]);
                command
            }
            Fauxqs => {
                // Its own program always logs each request; as a library it need not.
                let code = format!(
                    "import('fauxqs').then(all => all.startFauxqs({{ port: {port}, host: '127.0.0.1', logger: false }}))"
                );
                let mut command = Command::new("node");
                command.args(["--eval", &code]).current_dir(&home);
                command
            }
            Moto => {
                let mut command = Command::new(home.join("venv/bin/moto_server"));
                command.args(["--host", "127.0.0.1", "--port", &port]);
                command
            }
            Ministack => {
                let mut command = Command::new(home.join("venv/bin/ministack"));
                command.env("GATEWAY_PORT", &port).env("LOG_LEVEL", "ERROR").env("SERVICES", "sqs,sns");
                command
            }
            ElasticMq => {
                let mut command = Command::new("java");
                command.arg(format!("-Drest-sqs.bind-port={port}"));
                command.args(["-Drest-sqs.bind-hostname=127.0.0.1", "-Drest-stats.enabled=false"]);
                command.args([format!("-Dnode-address.port={port}"), "-cp".into()]);
                command.arg(home.join("jars/*")).arg("org.elasticmq.server.Main");
                command
            }
        };
        // Nobody's settings for another server may change this one.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("POSTHASTE_"))
        {
            command.env_remove(name);
        }
        let log = self.scratch.path().join(format!("{}-{port}.log", contender.name()));
        let started = Server::start(command, address, &log);
        started.map_err(|error| format!("{}: {error}", contender.name()).into())
    }
}

fn elasticmq_pom() -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\
         <modelVersion>4.0.0</modelVersion><groupId>bench</groupId><artifactId>bench</artifactId><version>1</version>\
         <dependencies><dependency><groupId>org.elasticmq</groupId><artifactId>elasticmq-server_2.13</artifactId>\
         <version>{ELASTICMQ}</version></dependency></dependencies></project>\n"
    )
}
