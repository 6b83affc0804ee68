//! The pieces of a filter: words, literals, brackets.

use super::filter::Refusal;

/// A piece of a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
}

impl Token {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Text(text) => text,
            Self::Open => "(",
            Self::Close => ")",
            Self::Comma => ",",
        }
    }
}

/// Cuts a filter into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '(' | ')' | ',' => {
                tokens.push(match first {
                    '(' => Token::Open,
                    ')' => Token::Close,
                    _ => Token::Comma,
                });
                &rest[1..]
            }
            '\'' => {
                let (literal, after) =
                    quoted(&rest[1..]).ok_or("There is an unterminated string literal.")?;
                tokens.push(Token::Text(literal));
                after
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "(),'".contains(c)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_owned()));
                &rest[end..]
            }
        }
        .trim_start();
    }
    Ok(tokens)
}

/// A literal up to its closing quote, `''` being a quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut literal = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('\'')?;
        literal.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                literal.push('\'');
                rest = after;
            }
            None => return Some((literal, rest)),
        }
    }
}
