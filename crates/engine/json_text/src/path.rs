//! The paths of InputPath and InputPathsMap: dots, brackets, indices and the star (AWS's documentation, "Amazon EventBridge input
//! transformation": "dot notation, dashes, alphanumeric characters, array indices, and wildcards").

use std::borrow::Cow;

use crate::{Parts, is_name};

/// A path into an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Member(String),
    Index(usize),
    All,
}

impl Path {
    /// Reads a path; none if the text is not one.
    pub fn parse(text: &str) -> Option<Path> {
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(name) = rest.strip_prefix('.') {
                let end = name.find(['.', '[']).unwrap_or(name.len());
                let (name, behind) = name.split_at(end);
                steps.push(match name {
                    "" => return None,
                    "*" => Step::All,
                    name => Step::Member(name.to_owned()),
                });
                rest = behind;
                continue;
            }
            let inner = rest.strip_prefix('[')?;
            let (step, behind) = match inner.chars().next()? {
                quote @ ('\'' | '"') => {
                    let (name, behind) = inner[1..].split_once(quote)?;
                    (Step::Member(name.to_owned()), behind.strip_prefix(']')?)
                }
                _ => {
                    let (index, behind) = inner.split_once(']')?;
                    let step = if index == "*" { Step::All } else { Step::Index(index.parse().ok()?) };
                    (step, behind)
                }
            };
            steps.push(step);
            rest = behind;
        }
        Some(Path { steps })
    }

    /// What the path leads to in JSON without blanks: JSON, too. A path with stars leads to an array of all that it finds.
    pub fn find<'a>(&self, json: &'a str) -> Option<Cow<'a, str>> {
        let has_stars = self.steps.contains(&Step::All);
        let mut found = vec![json];
        for step in &self.steps {
            found = match step {
                Step::All => found.iter().flat_map(|json| Parts::of(json)).map(|(_, value)| value).collect(),
                step => found.iter().filter_map(|json| step.take(json)).collect(),
            };
        }
        match found[..] {
            [] => None,
            [one] if !has_stars => Some(Cow::Borrowed(one)),
            _ => Some(Cow::Owned(format!("[{}]", found.join(",")))),
        }
    }
}

impl Step {
    fn take<'a>(&self, json: &'a str) -> Option<&'a str> {
        let mut parts = Parts::of(json);
        match self {
            Step::Member(name) if json.starts_with('{') => {
                // Of members of the same name the last one counts.
                parts.filter(|(other, _)| is_name(other, name)).last().map(|(_, value)| value)
            }
            Step::Index(index) if json.starts_with('[') => parts.nth(*index).map(|(_, value)| value),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_json() {
        let event = r#"{"detail-type":"x","detail":{"a":{"b.c":[1,{"d":"e"}]},"list":[{"n":1},{"n":2},{}]},"resources":[]}"#;
        for (path, found) in [
            ("$", Some(event)),
            ("$.detail-type", Some("\"x\"")),
            ("$.detail.a['b.c'][1].d", Some("\"e\"")),
            ("$.detail.a[\"b.c\"][0]", Some("1")),
            ("$['detail']['a']", Some(r#"{"b.c":[1,{"d":"e"}]}"#)),
            ("$.detail.list[*].n", Some("[1,2]")),
            ("$.detail.list[1].*", Some("[2]")),
            ("$.resources", Some("[]")),
            ("$.resources[0]", None),
            ("$.detail.b", None),
            ("$.detail-type.b", None),
            ("$.detail.list.n", None),
        ] {
            assert_eq!(Path::parse(path).unwrap().find(event).as_deref(), found, "{path}");
        }
        for wrong in ["", "detail", "$detail", "$.", "$..a", "$[", "$[a]", "$['a", "$['a'", "$.a[-1]", "$[]"]
        {
            assert_eq!(Path::parse(wrong), None, "{wrong}");
        }
    }
}
