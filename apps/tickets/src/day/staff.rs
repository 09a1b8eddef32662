//! The services of a day, each a process of its own: hired, killed, hired again, sent home.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::process::{Child, Command, Stdio};

use crate::settings::Settings;

const SERVICES: [&str; 4] = ["relay", "payments", "tickets", "monitor"];

/// The processes. They end with this value, however it ends: each reads from a pipe that closes then.
pub struct Staff {
    settings: Settings,
    visibility: u64,
    at_work: BTreeMap<&'static str, Child>,
}

impl Staff {
    /// Nobody yet.
    pub fn new(settings: &Settings, visibility: u64) -> Staff {
        Staff { settings: settings.clone(), visibility, at_work: BTreeMap::new() }
    }

    /// Starts all services.
    pub fn hire_all(&mut self) -> io::Result<()> {
        SERVICES.iter().try_for_each(|service| self.hire(service))
    }

    /// Starts one. What it logs is in the data folder, in `<service>.log`.
    pub fn hire(&mut self, service: &str) -> io::Result<()> {
        let Some(service) = SERVICES.into_iter().find(|known| *known == service) else {
            return Err(io::Error::other(format!("there is no service {service}")));
        };
        let log = self.settings.folder().join(format!("{service}.log"));
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["run", "--until-stdin-ends", "--only", service, "--poll-wait", "1"]);
        command.args(["--monitor-every", "1", "--report-every", "2"]);
        command.arg("--visibility").arg(self.visibility.to_string()).envs(self.settings.as_environment());
        let child = command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).spawn()?;
        self.at_work.insert(service, child);
        Ok(())
    }

    /// Ends one as a crash does. Gives its process id.
    pub fn kill(&mut self, service: &str) -> io::Result<u32> {
        let Some(mut child) = self.at_work.remove(service) else {
            return Err(io::Error::other(format!("{service} is not at work")));
        };
        let process = child.id();
        child.kill()?;
        child.wait()?;
        Ok(process)
    }

    /// Lets one finish what it is at.
    pub fn dismiss(&mut self, service: &str) -> io::Result<()> {
        if let Some(mut child) = self.at_work.remove(service) {
            drop(child.stdin.take());
            let status = child.wait()?;
            if !status.success() {
                return Err(io::Error::other(format!("{service} ended with {status}; see {service}.log")));
            }
        }
        Ok(())
    }

    /// Lets all of them finish.
    pub fn dismiss_all(&mut self) -> io::Result<()> {
        // At once, so that they need not wait for each other.
        self.at_work.values_mut().for_each(|child| drop(child.stdin.take()));
        SERVICES.iter().try_for_each(|service| self.dismiss(service))
    }
}

impl Drop for Staff {
    fn drop(&mut self) {
        for child in self.at_work.values_mut() {
            // One that ended by itself needs no killing.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
