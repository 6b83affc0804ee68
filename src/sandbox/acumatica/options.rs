//! Query options: `$filter`, `$select`, `$expand`, `$custom`, `$top`, `$skip`.

use super::filter::Filter;
use super::schema::Shape;
use crate::sandbox::http::Head;

/// How an endpoint speaks: the contract version decides on the dialect of OData.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Contract 4, OData 3.
    Four,
    /// Contract 5, OData 4.01.
    Five,
}

/// What a request asks of the answer.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) filter: Option<Filter>,
    /// Paths with `/`; empty for all fields.
    pub(super) select: Vec<String>,
    pub(super) expand: Vec<String>,
    /// `View.Field`.
    pub(super) custom: Vec<String>,
    pub(super) top: Option<usize>,
    pub(super) skip: usize,
}

impl Options {
    pub(super) fn parse(head: &Head, shape: &'static Shape, dialect: Dialect) -> Result<Self, String> {
        let mut options = Self::default();
        for (name, value) in head.query() {
            match name.as_str() {
                "$filter" if !value.trim().is_empty() => {
                    let filter = Filter::parse(&value, dialect)?;
                    filter.check(shape)?;
                    options.filter = Some(filter);
                }
                "$select" => options.select = list(&value),
                "$custom" => options.custom = list(&value),
                "$expand" => options.expand(&value, dialect)?,
                "$top" => options.top = Some(count(&name, &value)?),
                "$skip" => options.skip = count(&name, &value)?,
                // What the server does not know it ignores.
                _ => {}
            }
        }
        if dialect == Dialect::Five {
            // Custom fields are selected like any other: `View.Field`, or behind `custom/`.
            let (custom, plain): (Vec<_>, Vec<_>) =
                options.select.drain(..).partition(|path| path.contains('.') || path.starts_with("custom/"));
            options.select = plain;
            options
                .custom
                .extend(custom.into_iter().map(|path| path.trim_start_matches("custom/").to_owned()));
        }
        for path in &options.select {
            check(path, shape)?;
        }
        Ok(options)
    }

    fn expand(&mut self, value: &str, dialect: Dialect) -> Result<(), String> {
        for part in split(value) {
            let (name, inner) = match part.split_once('(') {
                None => (part, None),
                Some((name, inner)) if dialect == Dialect::Five => (name, inner.strip_suffix(')')),
                Some(_) => return Err(format!("Syntax error in $expand near '{part}'.")),
            };
            self.expand.push(name.to_owned());
            for option in inner.into_iter().flat_map(|inner| inner.split(';')) {
                match option.split_once('=') {
                    Some(("$select", fields)) => {
                        self.select.extend(list(fields).into_iter().map(|field| format!("{name}/{field}")));
                    }
                    Some(("$expand", parts)) => {
                        self.expand.extend(list(parts).into_iter().map(|part| format!("{name}/{part}")));
                    }
                    _ => return Err(format!("Syntax error in $expand near '{option}'.")),
                }
            }
        }
        Ok(())
    }

    /// Whether a nested part is asked for; `A/B` asks for `A` as well.
    pub(super) fn expands(&self, path: &str) -> bool {
        self.expand.iter().any(|asked| {
            asked.len() >= path.len()
                && asked.is_char_boundary(path.len())
                && asked[..path.len()].eq_ignore_ascii_case(path)
                && matches!(asked.as_bytes().get(path.len()), None | Some(b'/'))
        })
    }
}

fn count(name: &str, value: &str) -> Result<usize, String> {
    value.trim().parse().map_err(|_| format!("Invalid value '{value}' for {name} query option."))
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Splits at commas outside of brackets.
fn split(value: &str) -> Vec<&str> {
    let mut depth = 0;
    value
        .split(|c| {
            depth += match c {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            c == ',' && depth == 0
        })
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

/// An unknown field in `$select` is HTTP 500 with a `KeyNotFoundException` (reports from the field).
fn check(path: &str, shape: &'static Shape) -> Result<(), String> {
    let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let known = match rest {
        None => {
            matches!(name, "*" | "id" | "note" | "rowNumber" | "files" | "custom" | "attributes")
                || shape.field(name).is_some()
                || shape.link(name).is_some()
                || shape.detail(name).is_some()
        }
        Some(rest) => {
            let part = shape.link(name).or_else(|| shape.detail(name));
            return match part {
                Some((_, shape)) => check(rest, shape),
                None if name == "files" => Ok(()),
                None => Err(missing(path)),
            };
        }
    };
    if known { Ok(()) } else { Err(missing(path)) }
}

fn missing(path: &str) -> String {
    format!("The given key was not present in the dictionary: '{path}'.")
}
