//! Event streams: how the events that follow an answer are written.

use std::error::Error;
use std::fmt::Write as _;

use super::view::{View, variant};

/// The writers of a service's events.
pub fn events(view: &View<'_>, body: &mut String) -> Result<(), Box<dyn Error>> {
    for shape in view.event_streams() {
        let stream = view.type_name(shape);
        writeln!(
            body,
            "impl WriteEvent for {stream} {{\nfn write_event(&self, event: &mut Event) {{\nmatch self {{"
        )?;
        for member in view.members(&view.shapes[shape]) {
            writeln!(body, "{stream}::{}(value) => {{", variant(member.name))?;
            let kind = if member.shape["exception"] == true { "exception" } else { "event" };
            writeln!(body, "event.{kind}({:?});", member.name)?;
            let members = view.members(member.shape);
            for header in members.iter().filter(|member| member.is_event_header) {
                writeln!(body, "event.header({:?}, &value.{});", header.name, header.field)?;
            }
            match members.iter().find(|member| member.is_event_payload) {
                None => body.push_str("event.document(value);\n"),
                Some(payload) => {
                    let write = match payload.shape["type"].as_str() {
                        Some("blob") => "blob",
                        Some("string") => "text",
                        Some("structure") => "structure",
                        _ => return Err(format!("{} cannot be an event's payload", payload.name).into()),
                    };
                    writeln!(body, "event.{write}(&value.{});", payload.field)?;
                }
            }
            body.push_str("}\n");
        }
        body.push_str("}\n}\n}\n\n");
    }
    Ok(())
}
