//! `$filter`: enough of OData 3 and 4 to select records as Acumatica does.

use std::cmp::Ordering;

use serde_json::Value;

use super::date;
use super::options::Dialect;
use super::record::Node;
use super::schema::{Kind, Shape};
use super::token::{Token, tokens};

/// A condition on a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare(Operand, Comparison, Operand),
    /// Function, what is searched in, what is searched for.
    Search(Search, Operand, Operand),
    /// A boolean field by itself.
    Holds(Operand),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Path(Vec<String>),
    Custom(String, String),
    Text(String),
    Number(f64),
    Bool(bool),
    /// Milliseconds since 1970.
    Date(i64),
    Null,
}

/// Why a filter cannot be used.
pub(super) type Refusal = String;

impl Filter {
    pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Self, Refusal> {
        let mut parser = Parser { tokens: tokens(text)?, at: 0, dialect };
        let filter = parser.or()?;
        match parser.peek() {
            None => Ok(filter),
            Some(token) => Err(format!("Syntax error near '{}' in '{text}'.", token.text())),
        }
    }

    /// Checks the paths against the shape: an unknown field is an error, not an empty list.
    pub(super) fn check(&self, shape: &'static Shape) -> Result<(), Refusal> {
        match self {
            Self::And(a, b) | Self::Or(a, b) => a.check(shape).and_then(|()| b.check(shape)),
            Self::Not(a) => a.check(shape),
            Self::Holds(a) => a.check(shape),
            Self::Compare(a, _, b) | Self::Search(_, a, b) => a.check(shape).and_then(|()| b.check(shape)),
        }
    }

    pub(super) fn holds(&self, node: &Node, shape: &'static Shape) -> bool {
        match self {
            Self::And(a, b) => a.holds(node, shape) && b.holds(node, shape),
            Self::Or(a, b) => a.holds(node, shape) || b.holds(node, shape),
            Self::Not(a) => !a.holds(node, shape),
            Self::Holds(a) => a.value(node, shape) == Operand::Bool(true),
            Self::Compare(a, comparison, b) => {
                compare(&a.value(node, shape), *comparison, &b.value(node, shape))
            }
            Self::Search(search, a, b) => {
                let (Operand::Text(a), Operand::Text(b)) = (a.value(node, shape), b.value(node, shape))
                else {
                    return false;
                };
                // As SQL Server's default collation: without regard to case.
                let (a, b) = (a.to_lowercase(), b.to_lowercase());
                match search {
                    Search::Contains => a.contains(&b),
                    Search::StartsWith => a.starts_with(&b),
                    Search::EndsWith => a.ends_with(&b),
                }
            }
        }
    }
}

impl Operand {
    fn check(&self, shape: &'static Shape) -> Result<(), Refusal> {
        let Self::Path(path) = self else { return Ok(()) };
        let found = match path.as_slice() {
            [name] => matches!(name.as_str(), "id" | "note") || shape.field(name).is_some(),
            [link, name] => {
                if shape.detail(link).is_some() {
                    // "Filters on detail entities are not supported", Integration Development Guide 2026 R1.
                    return Err(format!("Filtering by the detail entity '{link}' is not supported."));
                }
                shape.link(link).is_some_and(|(_, linked)| linked.field(name).is_some())
            }
            [link, sub, name] => shape
                .link(link)
                .and_then(|(_, linked)| linked.link(sub))
                .is_some_and(|(_, linked)| linked.field(name).is_some()),
            _ => false,
        };
        if found {
            Ok(())
        } else {
            Err(format!("The field '{}' is not found in the entity '{}'.", path.join("/"), shape.name))
        }
    }

    /// The operand for this record: paths replaced by values.
    fn value(&self, node: &Node, shape: &'static Shape) -> Self {
        match self {
            Self::Path(path) => follow(path, node, shape),
            Self::Custom(view, field) => node
                .custom
                .iter()
                .find(|((v, f), _)| v == view && f == field)
                .map_or(Self::Null, |(_, value)| from_value(value, None)),
            other => other.clone(),
        }
    }
}

fn follow(path: &[String], node: &Node, shape: &'static Shape) -> Operand {
    match path {
        [name] if name == "id" => Operand::Text(node.id.to_string()),
        [name] if name == "note" => node.note.clone().map_or(Operand::Null, Operand::Text),
        [name] => match (node.values.get(name.as_str()), shape.field(name)) {
            (Some(value), Some(field)) => from_value(value, Some(field.kind)),
            _ => Operand::Null,
        },
        [link, rest @ ..] => match (node.linked.get(link.as_str()), shape.link(link)) {
            (Some(linked), Some((_, shape))) => follow(rest, linked, shape),
            _ => Operand::Null,
        },
        [] => Operand::Null,
    }
}

fn from_value(value: &Value, kind: Option<Kind>) -> Operand {
    match value {
        Value::String(text) if kind == Some(Kind::Date) => {
            date::parse(text).map_or(Operand::Null, Operand::Date)
        }
        Value::String(text) => Operand::Text(text.clone()),
        Value::Bool(is) => Operand::Bool(*is),
        Value::Number(number) => number.as_f64().map_or(Operand::Null, Operand::Number),
        _ => Operand::Null,
    }
}

fn compare(a: &Operand, comparison: Comparison, b: &Operand) -> bool {
    let order = match (a, b) {
        (Operand::Text(a), Operand::Text(b)) => Some(a.to_lowercase().cmp(&b.to_lowercase())),
        (Operand::Number(a), Operand::Number(b)) => a.partial_cmp(b),
        (Operand::Date(a), Operand::Date(b)) => Some(a.cmp(b)),
        (Operand::Bool(a), Operand::Bool(b)) => Some(a.cmp(b)),
        (Operand::Null, Operand::Null) => Some(Ordering::Equal),
        _ => None,
    };
    match (comparison, order) {
        (Comparison::Eq, order) => order == Some(Ordering::Equal),
        (Comparison::Ne, order) => order != Some(Ordering::Equal),
        (_, None) => false,
        (Comparison::Gt, Some(order)) => order.is_gt(),
        (Comparison::Ge, Some(order)) => order.is_ge(),
        (Comparison::Lt, Some(order)) => order.is_lt(),
        (Comparison::Le, Some(order)) => order.is_le(),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    dialect: Dialect,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, Refusal> {
        let token = self.tokens.get(self.at).cloned().ok_or("The filter ends too early.")?;
        self.at += 1;
        Ok(token)
    }

    fn word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, token: &Token) -> Result<(), Refusal> {
        let found = self.next()?;
        if found == *token {
            Ok(())
        } else {
            Err(format!("'{}' expected, '{}' found.", token.text(), found.text()))
        }
    }

    fn or(&mut self) -> Result<Filter, Refusal> {
        let mut left = self.and()?;
        while self.word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Filter, Refusal> {
        let mut left = self.unary()?;
        while self.word("and") {
            left = Filter::And(Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Filter, Refusal> {
        if self.word("not") {
            return Ok(Filter::Not(Box::new(self.unary()?)));
        }
        if self.peek() == Some(&Token::Open) {
            self.at += 1;
            let inner = self.or()?;
            self.expect(&Token::Close)?;
            return Ok(inner);
        }
        if let Some(search) = self.search()? {
            // `substringof('x', Field) eq true` is common usage.
            if self.word("eq") {
                return match self.next()? {
                    Token::Word(word) if word == "true" => Ok(search),
                    Token::Word(word) if word == "false" => Ok(Filter::Not(Box::new(search))),
                    other => Err(format!("'true' expected, '{}' found.", other.text())),
                };
            }
            return Ok(search);
        }
        let left = self.operand()?;
        let comparison = match self.peek() {
            Some(Token::Word(word)) => match word.as_str() {
                "eq" => Comparison::Eq,
                "ne" => Comparison::Ne,
                "gt" => Comparison::Gt,
                "ge" => Comparison::Ge,
                "lt" => Comparison::Lt,
                "le" => Comparison::Le,
                _ => return Ok(Filter::Holds(left)),
            },
            _ => return Ok(Filter::Holds(left)),
        };
        self.at += 1;
        Ok(Filter::Compare(left, comparison, self.operand()?))
    }

    fn search(&mut self) -> Result<Option<Filter>, Refusal> {
        let (Some(Token::Word(name)), Some(Token::Open)) = (self.peek(), self.tokens.get(self.at + 1)) else {
            return Ok(None);
        };
        let name = name.clone();
        let search = match (name.as_str(), self.dialect) {
            ("substringof", Dialect::Four) | ("contains", Dialect::Five) => Search::Contains,
            ("startswith", _) => Search::StartsWith,
            ("endswith", _) => Search::EndsWith,
            (custom, _) if custom.starts_with("cf.") => return Ok(None),
            _ => return Err(format!("An unknown function with name '{name}' was found.")),
        };
        self.at += 2;
        let first = self.operand()?;
        self.expect(&Token::Comma)?;
        let second = self.operand()?;
        self.expect(&Token::Close)?;
        // OData 3 turns the arguments of this one around.
        let (within, what) = if name == "substringof" { (second, first) } else { (first, second) };
        Ok(Some(Filter::Search(search, within, what)))
    }

    fn operand(&mut self) -> Result<Operand, Refusal> {
        let word = match self.next()? {
            Token::Text(text) => return Ok(Operand::Text(text)),
            Token::Word(word) => word,
            Token::Open => {
                let inner = self.operand()?;
                self.expect(&Token::Close)?;
                return Ok(inner);
            }
            other => return Err(format!("A value expected, '{}' found.", other.text())),
        };
        match word.as_str() {
            "null" => return Ok(Operand::Null),
            "true" => return Ok(Operand::Bool(true)),
            "false" => return Ok(Operand::Bool(false)),
            "datetimeoffset" | "date" | "datetime" | "guid"
                if matches!(self.peek(), Some(Token::Text(_))) =>
            {
                let Token::Text(text) = self.next()? else { return Err("A literal expected.".into()) };
                return match word.as_str() {
                    "guid" => Ok(Operand::Text(text)),
                    // The guide asks for datetimeoffset'..' on contract 4 and for a bare date on contract 5.
                    "datetimeoffset" | "date" if self.dialect == Dialect::Four => date::parse(&text)
                        .map(Operand::Date)
                        .ok_or_else(|| format!("Unrecognized '{word}' literal '{text}'.")),
                    _ => Err(format!("Unrecognized '{word}' literal '{text}'.")),
                };
            }
            name if name.starts_with("cf.") => return self.custom(),
            _ => {}
        }
        if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            if self.dialect == Dialect::Five
                && let Some(millis) = date::parse(&word)
            {
                return Ok(Operand::Date(millis));
            }
            let digits = word.trim_end_matches(['m', 'M', 'd', 'D', 'f', 'F', 'L', 'l']);
            return digits
                .parse()
                .map(Operand::Number)
                .map_err(|_| format!("Unrecognized literal '{word}'."));
        }
        Ok(Operand::Path(word.split('/').map(str::to_owned).collect()))
    }

    /// `cf.Type(f='View.Field')`, without `f=` on contract 5.
    fn custom(&mut self) -> Result<Operand, Refusal> {
        self.expect(&Token::Open)?;
        if self.dialect == Dialect::Four {
            self.expect(&Token::Word("f=".into()))?;
        }
        let Token::Text(name) = self.next()? else { return Err("A custom field expected.".into()) };
        self.expect(&Token::Close)?;
        let (view, field) = name.split_once('.').ok_or("A custom field is named View.Field.")?;
        Ok(Operand::Custom(view.to_owned(), field.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::entity;
    use super::*;

    fn customer() -> (Node, &'static Shape) {
        let shape = entity("Customer").unwrap().shape;
        let mut node = Node::new(shape);
        node.values.insert("CustomerName", "O'Brien & Sons".into());
        node.values.insert("CreditLimit", 500.0.into());
        node.values.insert("CreatedDateTime", "2023-12-14T19:57:21.193+00:00".into());
        node.linked.get_mut("MainContact").unwrap().values.insert("Email", "info@obrien.example".into());
        (node, shape)
    }

    fn holds(text: &str) -> bool {
        let (node, shape) = customer();
        let filter = Filter::parse(text, Dialect::Four).unwrap();
        filter.check(shape).unwrap();
        filter.holds(&node, shape)
    }

    #[test]
    fn comparisons_functions_and_brackets_are_understood() {
        for yes in [
            "Status eq 'Active'",
            "CustomerName eq 'O''Brien & Sons'",
            "CreditLimit gt 400 and CreditLimit le 500m",
            "not (Status eq 'On Hold') and (CreditLimit lt 1 or CreditLimit ge 500)",
            "substringof('brien', CustomerName)",
            "startswith(CustomerName, 'O') eq true",
            "endswith(MainContact/Email,'.example')",
            "CreatedDateTime gt datetimeoffset'2023-12-14T21:00:00+02:00'",
            "((Status eq 'Active') and (AccountRef eq null))",
        ] {
            assert!(holds(yes), "{yes}");
        }
        assert!(!holds("Status ne 'Active' or CreditLimit eq 3"));
    }

    #[test]
    fn what_the_contract_does_not_know_is_refused() {
        for (text, dialect) in [
            ("contains(CustomerName, 'x')", Dialect::Four),
            ("substringof('x', CustomerName)", Dialect::Five),
            ("CreatedDateTime gt datetime'2023-12-14'", Dialect::Four),
            ("Status eq 'Active", Dialect::Four),
            ("Status eq", Dialect::Four),
            ("(Status eq 'x'", Dialect::Four),
        ] {
            assert!(Filter::parse(text, dialect).is_err(), "{text}");
        }
        let (_, shape) = customer();
        for text in ["Statsu eq 'Active'", "Contacts/Email eq 'x'"] {
            assert!(Filter::parse(text, Dialect::Four).unwrap().check(shape).is_err(), "{text}");
        }
    }
}
