//! What to read: filters, fields, pages - built once, spelled for the server when sent.

mod date;
mod dialect;
mod expand;
mod field;
mod filter;
mod literal;
mod scan;

pub(crate) use date::lenient;
pub use date::{Date, DateTime};
pub use dialect::Dialect;
pub use field::{CustomKind, Field, custom_field, field};
pub use filter::Filter;
pub use literal::Operand;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::expand::Tree;
use self::field::{custom_name, field_path, lacks};
use crate::{Error, ErrorKind, Result};

/// What a value keeps in an address: nothing that ends it (`&`, `#`) or is read as something else (`+`, `%`).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b'$')
    .remove(b'*');

/// Which records to read, which of their fields, in which order, and how many.
///
/// A query knows no dialect until it is sent: the client asks for [`to_query_string`](Self::to_query_string)
/// with the dialect of its endpoint. What a dialect lacks is refused then, before anything is sent.
///
/// ```
/// use batchcall::acumatica::{Dialect, Query, field};
///
/// let query = Query::new()
///     .filter(field("Status").eq("Open"))
///     .select(["OrderNbr", "Details/OrderQty"])
///     .top(50);
/// assert_eq!(
///     query.to_query_string(Dialect::Contract4)?,
///     "$filter=Status%20eq%20'Open'&$select=OrderNbr,Details/OrderQty&$expand=Details&$top=50"
/// );
/// assert_eq!(
///     query.to_query_string(Dialect::Contract5)?,
///     "$filter=Status%20eq%20'Open'&$select=OrderNbr&$expand=Details($select%3DOrderQty)&$top=50"
/// );
/// # Ok::<(), batchcall::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use]
pub struct Query {
    filter: Option<Filter>,
    select: Vec<String>,
    expand: Vec<String>,
    custom: Vec<String>,
    order: Vec<(String, bool)>,
    skip: Option<u64>,
    top: Option<u64>,
    count: bool,
    search: Option<String>,
    apply: Option<String>,
    params: Vec<(String, String)>,
}

impl Query {
    /// A query for everything: every record, the fields that the server returns by itself.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only records that meet the condition; of several calls the last counts. Defaults to every record.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Adds a condition to the one there is. Defaults to every record.
    ///
    /// ```
    /// use batchcall::acumatica::{Dialect, Query, field};
    ///
    /// let open = Query::new().filter(field("Status").eq("Open"));
    /// let next = open.and_filter(field("OrderNbr").gt("SO0042"));
    /// assert_eq!(next.to_pairs(Dialect::Contract4)?[0].1, "Status eq 'Open' and OrderNbr gt 'SO0042'");
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn and_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(match self.filter.take() {
            Some(present) => present & filter,
            None => filter,
        });
        self
    }

    /// Adds fields to return: `OrderNbr`, of linked and detail entities `Details/OrderQty`, whose entity
    /// is then expanded too. Defaults to all fields of the entity.
    pub fn select<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.select.extend(fields.into_iter().map(Into::into));
        self
    }

    /// Adds linked and detail entities to return: `Details`, `MainContact/Address` (with `MainContact`),
    /// `files`. Without it the server never returns them. Defaults to none.
    pub fn expand<S: Into<String>>(mut self, entities: impl IntoIterator<Item = S>) -> Self {
        self.expand.extend(entities.into_iter().map(Into::into));
        self
    }

    /// Adds fields that the endpoint does not define, as `View.Field`, or `Entity/View.Field` for those of
    /// linked and detail entities, which are then expanded too. User-defined fields are
    /// `View.AttributeID`. Defaults to none.
    ///
    /// Contract 5 has them in `$select`; where nothing else is selected, `*` goes with them, so that
    /// they add to the other fields as they do for contract 4.
    ///
    /// ```
    /// use batchcall::acumatica::{Dialect, Query};
    ///
    /// let query = Query::new().custom(["Document.UsrColor"]);
    /// assert_eq!(query.to_query_string(Dialect::Contract4)?, "$custom=Document.UsrColor");
    /// assert_eq!(query.to_query_string(Dialect::Contract5)?, "$select=*,Document.UsrColor");
    /// # Ok::<(), batchcall::Error>(())
    /// ```
    pub fn custom<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.custom.extend(fields.into_iter().map(Into::into));
        self
    }

    /// At most this many records. Defaults to all, which for a large table is slow.
    pub fn top(mut self, records: u64) -> Self {
        self.top = Some(records);
        self
    }

    /// Leaves out the first records, before [`top`](Self::top) counts. Defaults to none.
    pub fn skip(mut self, records: u64) -> Self {
        self.skip = Some(records);
        self
    }

    /// Orders by a field, the smallest first; further calls order what is equal so far. Defaults to the
    /// server's order.
    pub fn order_by(mut self, field: impl Into<String>) -> Self {
        self.order.push((field.into(), false));
        self
    }

    /// Orders by a field, the largest first; further calls order what is equal so far. Defaults to the
    /// server's order.
    pub fn order_by_desc(mut self, field: impl Into<String>) -> Self {
        self.order.push((field.into(), true));
        self
    }

    /// Asks for the total number of records, too. Only inquiries have it; contract-based endpoints refuse
    /// it. Defaults to `false`.
    pub fn count(mut self, count: bool) -> Self {
        self.count = count;
        self
    }

    /// Searches for text in all columns. Only inquiries have it; contract-based endpoints refuse it.
    /// Defaults to no search.
    pub fn search(mut self, text: impl Into<String>) -> Self {
        self.search = Some(text.into());
        self
    }

    /// Aggregates on the server: `groupby((Branch),aggregate(Total with sum as Total))`, sent as it is. Only
    /// inquiries have it; contract-based endpoints refuse it. Defaults to none.
    pub fn apply(mut self, transformation: impl Into<String>) -> Self {
        self.apply = Some(transformation.into());
        self
    }

    /// Adds any other parameter, for what the builder does not offer: `param("$skiptoken", token)`. The
    /// value is percent-encoded like every other. Defaults to none.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    /// The condition, where one is set.
    #[must_use]
    pub fn condition(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// The parameters by name, in a fixed order, not percent-encoded.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for what the dialect lacks, for names that are none, and for a parameter
    /// that is given twice.
    pub fn to_pairs(&self, dialect: Dialect) -> Result<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        if let Some(filter) = &self.filter {
            pairs.push(("$filter".to_owned(), filter.render(dialect)?));
        }
        let mut fields = |name: &str, value: String| {
            if !value.is_empty() {
                pairs.push((name.to_owned(), value));
            }
        };
        if dialect == Dialect::Contract4 {
            let (select, expand, custom) = self.flat()?;
            fields("$select", select.join(","));
            fields("$expand", expand.join(","));
            fields("$custom", custom.join(","));
        } else {
            let tree = self.tree(dialect)?;
            fields("$select", tree.select());
            fields("$expand", tree.expand());
        }
        let order = self
            .order
            .iter()
            .map(|(field, descending)| Ok(field_path(field)? + if *descending { " desc" } else { "" }));
        fields("$orderby", order.collect::<Result<Vec<_>>>()?.join(","));
        fields("$skip", self.skip.map_or_else(String::new, |records| records.to_string()));
        fields("$top", self.top.map_or_else(String::new, |records| records.to_string()));
        let inquiries = [
            ("$count", self.count.then(|| "true".to_owned())),
            ("$search", self.search.clone()),
            ("$apply", self.apply.clone()),
        ];
        for (name, value) in inquiries {
            if let Some(value) = value {
                if dialect != Dialect::OData4 {
                    return Err(lacks(dialect, name, "; only inquiries have it"));
                }
                fields(name, value);
            }
        }
        for (name, value) in &self.params {
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("{name:?} is not the name of a parameter"),
                ));
            }
            if pairs.iter().any(|(present, _)| present.eq_ignore_ascii_case(name)) {
                return Err(Error::new(ErrorKind::Invalid, format!("the parameter {name} is given twice")));
            }
            pairs.push((name.clone(), value.clone()));
        }
        Ok(pairs)
    }

    /// The parameters as an address has them after the `?`, percent-encoded; empty for a query for
    /// everything.
    ///
    /// # Errors
    ///
    /// As [`to_pairs`](Self::to_pairs).
    pub fn to_query_string(&self, dialect: Dialect) -> Result<String> {
        let mut text = String::new();
        for (name, value) in self.to_pairs(dialect)? {
            if !text.is_empty() {
                text.push('&');
            }
            text.extend(utf8_percent_encode(&name, VALUE));
            text.push('=');
            text.extend(utf8_percent_encode(&value, VALUE));
        }
        Ok(text)
    }

    /// Contract 4: three lists of paths with slashes. An entity in a path is expanded with its parents.
    fn flat(&self) -> Result<(Vec<String>, Vec<String>, Vec<String>)> {
        let (mut select, mut expand, mut custom) = (Vec::new(), Vec::new(), Vec::new());
        for path in &self.expand {
            add_with_parents(&mut expand, &field_path(path)?);
        }
        for path in &self.select {
            let path = field_path(path)?;
            if let Some((entity, _)) = path.rsplit_once('/') {
                add_with_parents(&mut expand, entity);
            }
            add(&mut select, path);
        }
        for text in &self.custom {
            let (entity, name) = split_custom(text)?;
            match entity {
                Some(entity) => {
                    add_with_parents(&mut expand, &entity);
                    add(&mut custom, format!("{entity}/{name}"));
                }
                None => add(&mut custom, name),
            }
        }
        Ok((select, expand, custom))
    }

    /// OData 4: every entity has its own `$select` and `$expand`.
    fn tree(&self, dialect: Dialect) -> Result<Tree> {
        let mut tree = Tree::default();
        for path in &self.expand {
            tree.entity(&field_path(path)?);
        }
        for path in &self.select {
            let path = field_path(path)?;
            match path.rsplit_once('/') {
                Some((entity, name)) => tree.entity(entity).add(name),
                None => tree.add(&path),
            }
        }
        for text in &self.custom {
            if dialect == Dialect::OData4 {
                return Err(lacks(dialect, "custom fields", ""));
            }
            let (entity, name) = split_custom(text)?;
            match entity {
                Some(entity) => tree.entity(&entity).add_custom(&name),
                None => tree.add_custom(&name),
            }
        }
        Ok(tree)
    }
}

/// `Entity/View.Field` in its two parts, each checked.
fn split_custom(text: &str) -> Result<(Option<String>, String)> {
    let (entity, name) = match text.rsplit_once('/') {
        Some((entity, name)) => (Some(field_path(entity)?), name),
        None => (None, text),
    };
    let Some((view, field)) = name.split_once('.') else {
        let message = format!("{text:?} is not a custom field, write View.Field or Entity/View.Field");
        return Err(Error::new(ErrorKind::Invalid, message));
    };
    Ok((entity, format!("{}.{}", custom_name(view)?, custom_name(field)?)))
}

fn add(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn add_with_parents(list: &mut Vec<String>, path: &str) {
    for (end, _) in path.match_indices('/') {
        add(list, path[..end].to_owned());
    }
    add(list, path.to_owned());
}

#[cfg(test)]
mod tests;
