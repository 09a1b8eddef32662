//! Minified JSON: AWS's texts quote a policy in this form, and count columns in it.

use super::{Malformed, Token, Tokens};

/// Returns the first value of a text without blanks, with strings escaped as Jackson does. Numbers keep their
/// spelling.
pub(crate) fn minify(text: &str) -> Result<String, Malformed> {
    let mut tokens = Tokens::new(text);
    let mut out = String::with_capacity(text.len());
    let mut depth = 0u32;
    loop {
        let token = tokens.next()?;
        if !matches!(token, Token::ObjectEnd | Token::ArrayEnd)
            && !out.is_empty()
            && !out.ends_with(['{', '[', ':'])
        {
            out.push(',');
        }
        match token {
            Token::Name => {
                quote(&mut out, tokens.name());
                out.push(':');
                continue;
            }
            Token::String => quote(&mut out, &tokens.text()?),
            Token::ObjectStart | Token::ArrayStart => depth += 1,
            Token::ObjectEnd | Token::ArrayEnd => depth -= 1,
            _ => {}
        }
        if token != Token::String {
            out.push_str(&tokens.text()?);
        }
        if depth == 0 {
            return Ok(out);
        }
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04X}", u32::from(char))),
            char => out.push(char),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_between_tokens_go_and_those_in_strings_stay() {
        for (text, minified) in [
            (
                " { \"a b\" :\n[ 1.50 , \"x y\",{ } ,[ ], true,null ] , \"c\": {\"d\" : \"\"} } tail",
                r#"{"a b":[1.50,"x y",{},[],true,null],"c":{"d":""}}"#,
            ),
            (r#"["\u0041\u001f\/\"\\\n"]"#, r#"["A\u001F/\"\\\n"]"#),
            (" 1 ", "1"),
            ("\"{\"", "\"{\""),
            (r#"["[",":"]"#, r#"["[",":"]"#),
        ] {
            assert_eq!(minify(text).unwrap(), minified);
        }
    }
}
