//! The operations of a service's engine: the enum of its commands, and the dispatch to each operation.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use super::HEADER;
use super::view::View;

/// The file of a service that contains what its operations share.
const COMMON: &str = "common";

/// The texts of the files in an engine's folder `operations`, by their names without `.rs`.
pub type Sources = BTreeMap<String, String>;

/// Reads an engine's folder `operations`. Returns nothing if the service has no engine yet.
pub fn sources(folder: &Path) -> Result<Option<Sources>, Box<dyn Error>> {
    if !folder.join(format!("{COMMON}.rs")).exists() {
        return Ok(None);
    }
    let mut sources = Sources::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        if name != "mod" && path.extension().is_some_and(|extension| extension == "rs") {
            sources.insert(name.to_owned(), std::fs::read_to_string(&path)?);
        }
    }
    Ok(Some(sources))
}

/// An operation, and the file that contains its type.
struct Operation<'a> {
    name: &'a str,
    module: &'a str,
    /// Whether no client can ask for it.
    internal: bool,
}

impl Operation<'_> {
    /// The path of its type.
    fn path(&self) -> String {
        format!("{}::{}", self.module, self.name)
    }

    /// The same, as an implementation of the trait.
    fn as_trait(&self) -> String {
        let name = if self.internal { "Internal" } else { "Operation" };
        format!("<{} as {name}<State>>", self.path())
    }
}

/// The text of `operations/mod.rs`.
pub fn dispatch(view: &View<'_>, sources: &Sources) -> Result<String, Box<dyn Error>> {
    let model = view.model;
    let asked = model.implemented.iter().map(|name| (name, false));
    let mut operations = asked
        .chain(model.internal.iter().map(|name| (name, true)))
        .map(|(name, internal)| {
            Ok(Operation { name, module: module_of(name, view.service, sources)?, internal })
        })
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    operations.sort_by_key(|operation| operation.name);
    let mut out = head(view, &operations, sources)?;
    commands(&operations, &mut out)?;
    let has_all = model.implemented.len() == view.operations.len();
    operations.retain(|operation| !operation.internal);
    shapes(&operations, has_all, &mut out)?;
    Ok(out)
}

/// The file that contains an operation's type.
fn module_of<'a>(operation: &str, service: &str, sources: &'a Sources) -> Result<&'a str, Box<dyn Error>> {
    let line = format!("pub struct {operation}");
    let begins = |line_of_file: &str| {
        let rest = line_of_file.strip_prefix(&line);
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
    };
    let found = sources.iter().find(|(_, text)| text.lines().any(begins));
    found.map(|(module, _)| module.as_str()).ok_or_else(|| {
        format!("{service} implements {operation}, but no file in crates/engine/{service}/src/operations has `{line}`").into()
    })
}

/// The modules and the uses.
fn head(view: &View<'_>, operations: &[Operation<'_>], sources: &Sources) -> Result<String, Box<dyn Error>> {
    let title = view.metadata("serviceFullName").unwrap_or(view.service);
    let mut out = format!(
        "{HEADER}//! The operations of {title}: one file an operation, or a few operations that are one idea.\n\
         //!\n\
         //! [`kernel::Operation`] says what an operation is. The file `{COMMON}.rs` contains what operations share.\n\n"
    );
    for module in sources.keys() {
        let is_public = operations.iter().any(|operation| operation.module == module);
        let visibility = match is_public {
            true => "pub ",
            false if module == COMMON => "",
            false => "pub(crate) ",
        };
        writeln!(out, "{visibility}mod {module};")?;
    }
    let internal = if operations.iter().any(|operation| operation.internal) { "Internal, " } else { "" };
    writeln!(
        out,
        "\npub use {COMMON}::*;\n\n\
         use api::{}::{{Request, Response}};\n\
         use kernel::codec::Malformed;\n\
         use kernel::{{Api, Asker, Demand, {internal}Operation, Refusal, Service}};\n\n\
         use crate::state::State;\n",
        view.service
    )?;
    Ok(out)
}

/// The enum of the commands, and what the engine asks of a command.
fn commands(operations: &[Operation<'_>], out: &mut String) -> Result<(), Box<dyn Error>> {
    out.push_str(
        "/// A request that has been prepared.\n#[derive(Clone, Debug)]\n\
         #[allow(missing_docs)] // Each is documented where its struct is.\npub enum Command {\n",
    );
    for operation in operations {
        writeln!(out, "{}({}),", operation.name, operation.path())?;
    }
    out.push_str(
        "}\n\nimpl Command {\n/// What the command may write to the log.\npub fn demand(&self) -> Demand {\nmatch self {\n",
    );
    for operation in operations {
        writeln!(out, "Command::{}(_) => {}::DEMAND,", operation.name, operation.as_trait())?;
    }
    out.push_str(
        "}\n}\n\n/// Decides the command.\npub fn decide<'a>(\n&'a self,\nstate: &State,\n\
         context: &mut Context<'a, '_>,\n) -> Decision<'a> {\nmatch self {\n",
    );
    for operation in operations {
        writeln!(out, "Command::{}(command) => command.decide(state, context),", operation.name)?;
    }
    out.push_str(
        "}\n}\n\n/// Decides the next step, when the facts of the step before are applied.\npub fn decide_again<'a>(\n\
         &'a self,\nstep: <State as Service>::Step<'a>,\nstate: &State,\n\
         context: &mut Context<'a, '_>,\n) -> Decision<'a> {\nmatch self {\n",
    );
    for operation in operations {
        let decision = if operation.internal {
            "Decision::silent(Vec::new())"
        } else {
            "command.decide_again(step, state, context)"
        };
        let command = if operation.internal { "_" } else { "command" };
        writeln!(out, "Command::{}({command}) => {decision},", operation.name)?;
    }
    out.push_str("}\n}\n}\n\n");
    Ok(())
}

/// From the API's shapes to commands, and from replies to the API's shapes.
fn shapes(operations: &[Operation<'_>], has_all: bool, out: &mut String) -> Result<(), Box<dyn Error>> {
    out.push_str(
        "/// What must be remembered of a request until it is answered.\n#[derive(Clone, Debug)]\n\
         #[allow(missing_docs)] // Each is documented where its operation is.\npub enum Plan {\n",
    );
    for operation in operations {
        writeln!(out, "{}({}::Plan),", operation.name, operation.as_trait())?;
    }
    out.push_str(
        "}\n\n/// Prepares a request: checks what needs no state, and does what costs by the byte.\n\
         pub fn prepare(request: Request, asker: &Asker<'_>) -> Result<(Command, Plan), Refusal> {\nOk(match request {\n",
    );
    for operation in operations {
        let name = operation.name;
        writeln!(
            out,
            "Request::{name}(input) => {{\nlet (command, plan) = {}::prepare_with_plan(input, asker)?;\n\
             (Command::{name}(command), Plan::{name}(plan))\n}}",
            operation.as_trait()
        )?;
    }
    if !has_all {
        writeln!(
            out,
            "_ => {{\nreturn Err(Refusal::new(\"UnknownOperationException\", \"This server does not have the operation.\"));\n}}"
        )?;
    }
    writeln!(
        out,
        "}})\n}}\n\n/// Turns a reply into the answer.\n///\n\
         /// Errors: the reply is not one of the operation, or a record that was read is damaged.\n\
         pub fn present(\nreply: Reply,\nplan: &Plan,\nmaterials: &<State as Api>::Materials<'_>,\n\
         ) -> Result<Response, Malformed> {{\nOk(match plan {{"
    )?;
    for operation in operations {
        writeln!(
            out,
            "Plan::{0}(plan) => Response::{0}({1}::present(reply, plan, materials)?),",
            operation.name,
            operation.as_trait()
        )?;
    }
    out.push_str("})\n}\n");
    Ok(())
}
