//! `posthaste repair DIR`: makes a damaged data directory usable again. It keeps valid records and sets damaged bytes aside.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use journal::Repaired;
use journal::engines::Files;
use machine::Services;
use machine::house::House;
use stdio::outln;

use crate::store::REPAIRED;

/// Repairs a directory and prints what it did.
pub fn run(directory: &Path) -> Result<(), Box<dyn Error>> {
    if !directory.is_dir() {
        return Err(format!("{} is not a directory", directory.display()).into());
    }
    let files = Arc::new(Files::open(directory)?);
    // Before anything changes, so that no crash leaves a repaired directory without it.
    let mark = directory.join(REPAIRED);
    let was_marked = mark.exists();
    std::fs::write(&mark, MARK)?;
    let mut behind: BTreeMap<&'static str, u64> = BTreeMap::new();
    let repaired =
        journal::repair(files, |entry| *behind.entry(Services::subject(entry.head)).or_default() += 1)?;
    if repaired.holes.is_empty() && repaired.missing.is_empty() && !repaired.manifest {
        if !was_marked {
            std::fs::remove_file(&mark)?;
        }
        return Ok(outln!("Nothing had to be repaired.")?);
    }
    Ok(print(&repaired, &behind)?)
}

/// The content of the mark that a repaired directory gets.
const MARK: &str = "\
`posthaste repair` has left out damaged bytes of this directory's log. They may have declared topics with archives, whose messages lie
in the folder `retained`. While this file exists, the server keeps archives whose topics it does not know. Delete this file to let its
next start delete them.
";

fn print(repaired: &Repaired, behind: &BTreeMap<&'static str, u64>) -> std::io::Result<()> {
    if repaired.manifest {
        outln!("The manifest was rebuilt. Missing segments count as dropped.")?;
    }
    for number in &repaired.missing {
        outln!(
            "LOST       segment {number} is missing or has no valid record: the log continues without it"
        )?;
    }
    for hole in &repaired.holes {
        outln!(
            "SET ASIDE  {}, offset {}: {} bytes ({}), now in {}",
            hole.file,
            hole.offset,
            hole.bytes,
            hole.what,
            hole.set_aside
        )?;
        if hole.kept > 0 {
            outln!("           {} valid records in these bytes are kept", hole.kept)?;
        }
    }
    let all: u64 = behind.values().sum();
    let kinds: Vec<String> = behind.iter().map(|(kind, count)| format!("{count} of {kind}")).collect();
    outln!("Valid records kept behind the first damaged place: {all} ({}).", kinds.join(", "))?;
    outln!(
        "Messages whose records were set aside are lost. Messages whose receives, deletes or deliveries were set aside may be \
         received or delivered again."
    )
}
