//! Reading SQL as far as needed: where a `:name` stands for a parameter, and how many statements there
//! are. Text in quotes, dollar quotes and comments is passed over.

/// A statement whose named parameters are numbered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) sql: String,
    /// The name of `$1`, of `$2` and so on.
    pub(super) names: Vec<String>,
}

/// Replaces `:name` by `$1`, `$2`; the same name is the same number.
pub(super) fn number(sql: &str) -> Named {
    let mut named = Named { sql: String::with_capacity(sql.len()), names: Vec::new() };
    let bytes = sql.as_bytes();
    let mut at = 0;
    let mut copied = 0;
    while at < bytes.len() {
        if let Some(end) = passed_over(sql, at) {
            at = end;
        } else if bytes[at] == b':' {
            if bytes.get(at + 1) == Some(&b':') {
                at += 2;
                continue;
            }
            let name = word(&sql[at + 1..]);
            // `a[1:n]` is a slice of an array, not a parameter.
            let follows_value = at > 0 && (is_word(bytes[at - 1]) || matches!(bytes[at - 1], b')' | b']'));
            if name.is_empty() || name.as_bytes()[0].is_ascii_digit() || follows_value {
                at += 1;
                continue;
            }
            let index = named.names.iter().position(|each| each == name).unwrap_or_else(|| {
                named.names.push(name.to_owned());
                named.names.len() - 1
            });
            named.sql.push_str(&sql[copied..at]);
            named.sql.push_str(&format!("${}", index + 1));
            at += 1 + name.len();
            copied = at;
        } else {
            at += 1;
        }
    }
    named.sql.push_str(&sql[copied..]);
    named
}

/// How many statements there are between the semicolons.
pub(super) fn statements(sql: &str) -> usize {
    let bytes = sql.as_bytes();
    let (mut at, mut count, mut empty) = (0, 0, true);
    while at < bytes.len() {
        let comment = bytes[at..].starts_with(b"--") || bytes[at..].starts_with(b"/*");
        if let Some(end) = passed_over(sql, at) {
            empty &= comment;
            at = end;
        } else {
            if bytes[at] == b';' {
                count += usize::from(!empty);
                empty = true;
            } else if !bytes[at].is_ascii_whitespace() {
                empty = false;
            }
            at += 1;
        }
    }
    count + usize::from(!empty)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn word(text: &str) -> &str {
    let end = text.bytes().position(|byte| !is_word(byte)).unwrap_or(text.len());
    &text[..end]
}

/// The end of the quoted text or comment that begins here, if one does.
fn passed_over(sql: &str, at: usize) -> Option<usize> {
    let bytes = sql.as_bytes();
    let rest = &bytes[at..];
    let inside_word = at > 0 && is_word(bytes[at - 1]);
    match rest {
        [b'\'', ..] => {
            // `E'..'` knows backslashes, if the E is not the end of a word.
            let escapes =
                at > 0 && matches!(bytes[at - 1], b'e' | b'E') && (at < 2 || !is_word(bytes[at - 2]));
            Some(at + quoted(rest, b'\'', escapes))
        }
        [b'"', ..] => Some(at + quoted(rest, b'"', false)),
        [b'-', b'-', ..] => Some(at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(at + comment(rest)),
        [b'$', ..] if !inside_word => {
            let tag = word(&sql[at + 1..]);
            let starts_with_digit = tag.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
            if starts_with_digit || rest.get(1 + tag.len()) != Some(&b'$') {
                return None;
            }
            let quote = &sql[at..at + tag.len() + 2];
            let body = &sql[at + quote.len()..];
            let end = body.find(quote).map_or(body.len(), |end| end + quote.len());
            Some(at + quote.len() + end)
        }
        _ => None,
    }
}

fn quoted(text: &[u8], quote: u8, escapes: bool) -> usize {
    let mut at = 1;
    while at < text.len() {
        if escapes && text[at] == b'\\' {
            at += 2;
        } else if text[at] == quote {
            if text.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 2;
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Comments nest.
fn comment(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < text.len() {
        match &text[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_numbers_where_they_are_parameters() {
        for (sql, expected, names) in [
            ("SELECT :a, :b, :a", "SELECT $1, $2, $1", &["a", "b"][..]),
            ("SELECT ':a', \":b\", :c::text", "SELECT ':a', \":b\", $1::text", &["c"]),
            ("SELECT $$ :a $$, $x$ :b $$ $x$, :c", "SELECT $$ :a $$, $x$ :b $$ $x$, $1", &["c"]),
            (
                "SELECT 1 -- :a\n, /* :b /* :c */ :d */ :e",
                "SELECT 1 -- :a\n, /* :b /* :c */ :d */ $1",
                &["e"],
            ),
            ("SELECT E'\\':a', 'it''s :b', :c", "SELECT E'\\':a', 'it''s :b', $1", &["c"]),
            ("SELECT x[1:n], '10:30'::time, a := :b", "SELECT x[1:n], '10:30'::time, a := $1", &["b"]),
            ("SELECT a$b$ :c", "SELECT a$b$ $1", &["c"]),
            ("SELECT (:größe)", "SELECT ($1)", &["größe"]),
        ] {
            let named = number(sql);
            assert_eq!(
                (named.sql.as_str(), named.names),
                (expected, names.iter().map(|n| (*n).to_owned()).collect())
            );
        }
    }

    #[test]
    fn statements_are_counted() {
        for (sql, count) in [
            ("", 0),
            (" ; ;", 0),
            ("SELECT 1", 1),
            ("SELECT 1;", 1),
            ("SELECT 1; -- done", 1),
            ("SELECT ';'; SELECT $$;$$", 2),
            ("DO $$ BEGIN; END $$", 1),
        ] {
            assert_eq!(statements(sql), count, "{sql}");
        }
    }
}
