//! What the database says of a table: columns, types, keys. Asked once a table, then kept.

use std::fmt;

use crate::error::{Delivery, Error, ErrorKind, FieldError, Result};

/// A table's name as the caller wrote it: `products`, `sales.products`, `"odd name"."with.dot"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TableName {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl TableName {
    /// Reads a name; parts in double quotes are taken as they are, with `""` for a quote.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            let shown: String = text.chars().take(80).collect();
            Err(Error::new(ErrorKind::Invalid, format!("{shown:?} is no name of a table: {why}"))
                .with_delivery(Delivery::NotSent))
        };
        if text.contains('\0') {
            return refuse("it contains NUL");
        }
        let mut parts = vec![String::new()];
        let mut chars = text.chars().peekable();
        let mut quoted = false;
        while let Some(each) = chars.next() {
            match each {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    parts.last_mut().expect("one at least").push('"');
                }
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                each => parts.last_mut().expect("one at least").push(each),
            }
        }
        if quoted {
            return refuse("a quote is not closed");
        }
        if parts.iter().any(String::is_empty) {
            return refuse("a part of it is empty");
        }
        let name = parts.pop().expect("one at least");
        let schema = parts.pop();
        if !parts.is_empty() {
            return refuse("it has more than two parts");
        }
        Ok(Self { schema, name })
    }

    /// The name as it goes into a statement.
    pub(crate) fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(&self.name)),
            None => quote(&self.name),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

/// An identifier as it goes into a statement, whatever it contains.
pub(crate) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// Identifiers, quoted and separated by commas.
pub(crate) fn quote_all<'a>(identifiers: impl IntoIterator<Item = &'a str>) -> String {
    identifiers.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

/// A table or view.
#[derive(Debug, Clone)]
pub(crate) struct TableInfo {
    pub(crate) name: TableName,
    pub(crate) columns: Vec<Column>,
    /// The columns of the primary key, as indices into `columns`; empty if there is none.
    pub(crate) key: Vec<usize>,
    /// The columns of every unique constraint or index without an expression or a condition, the primary
    /// key included.
    pub(crate) uniques: Vec<Vec<usize>>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    /// Whether COPY reaches it: a table without row-level security for this user and without rules.
    pub(crate) copies: bool,
}

/// A column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: ColumnType,
    /// The type as the database writes it, such as `numeric(12,2)`.
    pub(crate) type_name: String,
    pub(crate) nullable: bool,
    pub(crate) has_default: bool,
    /// Computed by the database; cannot be written.
    pub(crate) generated: bool,
    /// The sequence that its default takes its values from, ready for a statement.
    pub(crate) sequence: Option<String>,
}

/// What a column refers to.
#[derive(Debug, Clone)]
pub(crate) struct ForeignKey {
    /// The constraint's name, where it has one.
    pub(crate) name: Option<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) table: TableName,
    pub(crate) referred: Vec<String>,
}

/// What a column takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Uuid,
    Json,
    Jsonb,
    /// With the type of its elements.
    Array(Box<ColumnType>),
    Enum,
    /// Goes to the database as text and comes back as text.
    Other,
    /// Takes anything, as SQLite's column without a type.
    Any,
}

impl TableInfo {
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// As [`TableInfo::column`], but with an error that names the nearest column.
    pub(crate) fn require(&self, name: &str) -> Result<usize> {
        self.column(name).ok_or_else(|| {
            let message = self.unknown(name);
            Error::new(ErrorKind::Invalid, message.clone())
                .with_entity(self.name.to_string())
                .with_field_errors(vec![FieldError::new(name, message)])
                .with_delivery(Delivery::NotSent)
        })
    }

    /// What to say of a column that is not there.
    pub(crate) fn unknown(&self, name: &str) -> String {
        let near = nearest(name, self.columns.iter().map(|column| column.name.as_str()));
        let shown: String = name.chars().take(80).collect();
        match near {
            Some(near) => format!("{} has no column {shown:?}; did you mean {near:?}?", self.name),
            None => format!("{} has no column {shown:?}", self.name),
        }
    }
}

/// The name that was probably meant.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = name.chars().count().div_ceil(3).clamp(1, 4);
    names
        .map(|each| (distance(&name.to_lowercase(), &each.to_lowercase()), each))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, each)| each)
}

/// Levenshtein's distance, in two rows.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_schema_and_quotes() {
        let parse = |text| TableName::parse(text).unwrap();
        assert_eq!(parse("products").quoted(), r#""products""#);
        assert_eq!(parse("sales.products").quoted(), r#""sales"."products""#);
        assert_eq!(parse(r#""a.b"."say ""hi""""#).quoted(), r#""a.b"."say ""hi""""#);
        assert_eq!(parse(r#"x"; DROP TABLE y; --""#).quoted(), r#""x; DROP TABLE y; --""#);
        for bad in ["", ".", "a.", "a.b.c", "\"a", "a\0b"] {
            assert_eq!(TableName::parse(bad).unwrap_err().kind(), ErrorKind::Invalid, "{bad}");
        }
    }

    #[test]
    fn a_near_miss_is_found_and_a_far_one_is_not() {
        let names = ["name", "price", "updated_at"];
        assert_eq!(nearest("pirce", names.into_iter()), Some("price"));
        assert_eq!(nearest("Name", names.into_iter()), Some("name"));
        assert_eq!(nearest("update_at", names.into_iter()), Some("updated_at"));
        assert_eq!(nearest("colour", names.into_iter()), None);
    }
}
