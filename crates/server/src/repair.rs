//! `posthaste repair DIR`: makes a damaged data directory usable again. It keeps valid records and sets damaged bytes aside.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use journal::Repaired;
use journal::engines::Files;
use kernel::parcel::{PARCEL_PART, PARCEL_SENT};
use stdio::outln;

/// Repairs a directory and prints what it did.
pub fn run(directory: &Path) -> Result<(), Box<dyn Error>> {
    if !directory.is_dir() {
        return Err(format!("{} is not a directory", directory.display()).into());
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

/// Returns the subject of a record, for operators.
fn kind(head: &[u8]) -> &'static str {
    match head.first() {
        Some(&(PARCEL_SENT | PARCEL_PART)) => "published messages",
        Some(1..=4) => "queues and move tasks",
        Some(16) => "sent messages",
        Some(17 | 18) => "receives and changes of visibility",
        Some(19) => "deletes and expiry",
        Some(20 | 21) => "moves",
        Some(kind) if eventbridge::records::KINDS.contains(kind) => "buses, rules and deliveries",
        Some(kind) if sns::records::KINDS.contains(kind) => "topics, subscriptions and deliveries",
        Some(kind) if scheduler::records::KINDS.contains(kind) => "schedules and their groups",
        _ => "other records",
    }
}
