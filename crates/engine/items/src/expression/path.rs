//! Paths to attributes: `a.b[2].#c`.

use crate::Fault;
use crate::value::{Item, Type, Value};

/// A step of a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// A member of a map.
    Name(Box<str>),
    /// An item of a list.
    Index(usize),
}

/// A path; the first part is the name of an attribute.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Path(pub Vec<Part>);

impl Path {
    /// An attribute of an item. A dot in the name is a dot.
    pub fn of(name: &str) -> Path {
        Path(vec![Part::Name(name.into())])
    }

    /// The name of the attribute.
    pub fn root(&self) -> &str {
        match self.0.first() {
            Some(Part::Name(name)) => name,
            _ => "",
        }
    }

    /// Whether it is the attribute itself.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The value there.
    pub fn find<'i>(&self, item: Item<'i>) -> Option<Value<'i>> {
        let mut found = item.get(self.root())?;
        for part in &self.0[1..] {
            found = match part {
                Part::Name(name) if found.kind() == Type::M => {
                    found.entries().find(|(other, _)| *other == &**name)?.1
                }
                Part::Index(at) if found.kind() == Type::L => found.items().nth(*at)?,
                _ => return None,
            };
        }
        Some(found)
    }
}

/// A path as refusals have it: `[a, b, [0]]`.
pub fn shown(path: &Path) -> String {
    let parts: Vec<String> = path
        .0
        .iter()
        .map(|part| match part {
            Part::Name(name) => name.to_string(),
            Part::Index(at) => format!("[{at}]"),
        })
        .collect();
    format!("[{}]", parts.join(", "))
}

/// Refuses paths of which one lies on another, or which take one value for a map and for a list.
pub fn check_overlap<'p>(what: &str, paths: impl Iterator<Item = &'p Path> + Clone) -> Result<(), Fault> {
    // Sorted, a path stands directly before those that lie on it, and those that differ in a part are neighbours in kind.
    let mut sorted: Vec<(usize, &Path)> = paths.enumerate().collect();
    sorted.sort_by(|one, other| one.1.cmp(other.1));
    for pair in sorted.windows(2) {
        let [(first_at, first), (second_at, second)] = pair else { continue };
        let common = first.0.iter().zip(&second.0).take_while(|(one, other)| one == other).count();
        let overlaps = common == first.0.len() || common == second.0.len();
        let conflicts = !overlaps
            && matches!(
                (&first.0[common], &second.0[common]),
                (Part::Name(_), Part::Index(_)) | (Part::Index(_), Part::Name(_))
            );
        if !overlaps && !conflicts {
            continue;
        }
        let (one, two) = if first_at < second_at { (first, second) } else { (second, first) };
        let why = match overlaps {
            true => "Two document paths overlap with each other; must remove or rewrite one of these paths;",
            false => {
                "Two document paths conflict with each other; must remove or rewrite one of these paths;"
            }
        };
        return Err(Fault::invalid(format!(
            "Invalid {what}: {why} path one: {}, path two: {}",
            shown(one),
            shown(two)
        )));
    }
    Ok(())
}
