//! `posthaste repair DIR`: makes a damaged data directory one that starts again. What is sound stays; what is not is set aside.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use journal::Repaired;
use journal::engines::Files;
use kernel::parcel::{PARCEL_PART, PARCEL_SENT};
use stdio::outln;

/// Repairs a directory and says what was done.
pub fn run(directory: &Path) -> Result<(), Box<dyn Error>> {
    if !directory.is_dir() {
        return Err(format!("{} is no directory", directory.display()).into());
    }
    let files = Arc::new(Files::open(directory)?);
    let mut behind: BTreeMap<&'static str, u64> = BTreeMap::new();
    let repaired = journal::repair(files, |entry| *behind.entry(kind(entry.head)).or_default() += 1)?;
    Ok(print(&repaired, &behind)?)
}

fn print(repaired: &Repaired, behind: &BTreeMap<&'static str, u64>) -> std::io::Result<()> {
    if repaired.holes.is_empty() && repaired.missing.is_empty() && !repaired.manifest {
        return outln!("Nothing had to be repaired.");
    }
    if repaired.manifest {
        outln!("The manifest was made again. Segments that are not there count as dropped.")?;
    }
    for number in &repaired.missing {
        outln!(
            "LOST       segment {number} is missing, or nothing of it is sound: the log goes on without it"
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
            outln!("           of its records {} were sound and are kept", hole.kept)?;
        }
    }
    let all: u64 = behind.values().sum();
    let kinds: Vec<String> = behind.iter().map(|(kind, count)| format!("{count} of {kind}")).collect();
    outln!("Behind the first such place {all} sound records were kept: {}.", kinds.join(", "))?;
    outln!(
        "Messages whose records were set aside are lost. Messages whose receives, deletes or deliveries were set aside may be \
         given or delivered again."
    )
}

/// What a record is about, in words.
fn kind(head: &[u8]) -> &'static str {
    match head.first() {
        Some(&(PARCEL_SENT | PARCEL_PART)) => "published messages",
        Some(1..=4) => "queues and move tasks",
        Some(16) => "sent messages",
        Some(17 | 18) => "receives and changes of visibility",
        Some(19) => "deletes and expiry",
        Some(20 | 21) => "moves",
        Some(kind) if sns::records::KINDS.contains(kind) => "topics, subscriptions and deliveries",
        _ => "other things",
    }
}
