//! Templates of JSON or text with placeholders such as `<name>`.

/// A piece of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece<V> {
    /// It stands for itself.
    Literal(String),
    /// A value is put here.
    Variable {
        /// Which value.
        variable: V,
        /// Whether it stands between quotes.
        in_string: bool,
    },
}

/// Takes a template apart. `variable` reads the text between `<` and `>`: none, if it is no placeholder and stands for itself.
///
/// Errors: those of `variable`.
pub fn split<V, E>(
    template: &str,
    variable: impl Fn(&str) -> Result<Option<V>, E>,
) -> Result<Vec<Piece<V>>, E> {
    let (mut pieces, mut literal, mut in_string) = (Vec::new(), String::new(), false);
    let mut rest = template;
    while let Some(next) = rest.chars().next() {
        let placeholder = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        if let Some((name, behind)) = placeholder
            && let Some(variable) = variable(name)?
        {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            pieces.push(Piece::Variable { variable, in_string });
            rest = behind;
            continue;
        }
        let taken = match next {
            '\\' if in_string => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            next => next.len_utf8(),
        };
        in_string ^= next == '"';
        let (now, behind) = rest.split_at(taken);
        literal.push_str(now);
        rest = behind;
    }
    pieces.push(Piece::Literal(literal));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(template: &str) -> Vec<Piece<String>> {
        let variable = |name: &str| match name {
            "bad" => Err(()),
            name => Ok(name.strip_prefix('$').map(str::to_owned)),
        };
        split(template, variable).unwrap()
    }

    #[test]
    fn placeholders_know_whether_they_stand_in_a_string() {
        let variable =
            |variable: &str, in_string| Piece::Variable { variable: variable.to_owned(), in_string };
        let literal = |text: &str| Piece::Literal(text.to_owned());
        assert_eq!(
            pieces(r#"{"ü\"<$a>":<$b>,<c>}"#),
            [
                literal(r#"{"ü\""#),
                variable("a", true),
                literal("\":"),
                variable("b", false),
                literal(",<c>}")
            ]
        );
        assert_eq!(pieces("<"), [literal("<")]);
        assert_eq!(split::<(), ()>("<bad>", |_| Err(())), Err(()));
    }
}
