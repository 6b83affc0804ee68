//! What SQLite says of a table: read once a table, before the first chunk of it.

use rusqlite::{Connection, Row};

use super::super::catalog::{Column, ColumnType, ForeignKey, TableInfo, TableName, nearest, quote};
use super::failure;
use crate::error::{Delivery, Error, ErrorKind, Result};

/// The table's columns and keys.
pub(super) fn describe(db: &Connection, name: &TableName) -> Result<TableInfo> {
    let failed = |error| failure::error(error, Some(name));
    let (columns, key) = columns(db, name).map_err(failed)?;
    if columns.is_empty() {
        return Err(unknown(db, name).map_err(failed)?);
    }
    let mut info = TableInfo {
        name: name.clone(),
        columns,
        key,
        uniques: Vec::new(),
        foreign_keys: Vec::new(),
        copies: true,
    };
    if !info.key.is_empty() {
        info.uniques.push(info.key.clone());
    }
    for unique in uniques(db, &info).map_err(failed)? {
        if !info.uniques.contains(&unique) {
            info.uniques.push(unique);
        }
    }
    info.foreign_keys = foreign_keys(db, name).map_err(failed)?;
    Ok(info)
}

/// A pragma of one table, in its schema; a name in it is text, whatever it contains.
fn pragma<T>(
    db: &Connection,
    pragma: &str,
    schema: Option<&str>,
    of: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let sql = match schema {
        Some(schema) => format!("PRAGMA {}.{pragma}({})", quote(schema), quote(of)),
        None => format!("PRAGMA {pragma}({})", quote(of)),
    };
    db.prepare(&sql)?.query_map((), read)?.collect()
}

fn columns(db: &Connection, name: &TableName) -> rusqlite::Result<(Vec<Column>, Vec<usize>)> {
    let mut key = Vec::new();
    let columns = pragma(db, "table_xinfo", name.schema.as_deref(), &name.name, |row| {
        let type_name: String = row.get("type")?;
        let hidden: i64 = row.get("hidden")?;
        let place: i64 = row.get("pk")?;
        let has_default = row.get::<_, Option<String>>("dflt_value")?.is_some();
        // 1 is a hidden column of a virtual table: there, and not among those of `SELECT *`.
        let column = (hidden != 1).then_some(Column {
            name: row.get("name")?,
            ty: column_type(&type_name),
            type_name,
            nullable: !row.get::<_, bool>("notnull")?,
            has_default,
            generated: hidden == 2 || hidden == 3,
            sequence: None,
        });
        Ok(column.map(|column| (column, place)))
    })?;
    let mut all = Vec::new();
    for (index, (column, place)) in columns.into_iter().flatten().enumerate() {
        if place > 0 {
            key.push((place, index));
        }
        all.push(column);
    }
    key.sort_unstable();
    let key: Vec<usize> = key.into_iter().map(|(_, index)| index).collect();
    if let [only] = key[..] {
        // `INTEGER PRIMARY KEY` is the row's number and is given out by SQLite.
        if is_rowid(db, name, &all[only])? {
            all[only].nullable = false;
            all[only].has_default = true;
        }
    }
    Ok((all, key))
}

/// Whether the key column is another name of the row's number.
///
/// A key of any other kind has an index of its own, and so has a key `INTEGER PRIMARY KEY DESC`.
pub(super) fn is_rowid(db: &Connection, name: &TableName, column: &Column) -> rusqlite::Result<bool> {
    if !column.type_name.eq_ignore_ascii_case("INTEGER") {
        return Ok(false);
    }
    let origins: Vec<String> =
        pragma(db, "index_list", name.schema.as_deref(), &name.name, |row| row.get("origin"))?;
    Ok(!origins.iter().any(|origin| origin == "pk"))
}

/// Whether it is a view.
pub(super) fn is_view(db: &Connection, name: &TableName) -> rusqlite::Result<bool> {
    let mut stmt = db.prepare_cached(
        "SELECT type = 'view' FROM pragma_table_list(?1) WHERE ?2 IS NULL OR schema = ?2 COLLATE NOCASE",
    )?;
    let mut rows = stmt.query((&name.name, &name.schema))?;
    rows.next()?.map_or(Ok(false), |row| row.get(0))
}

/// Whether its rows have numbers: not those of a view, a virtual table or one `WITHOUT ROWID`.
pub(super) fn has_rowid(db: &Connection, name: &TableName) -> rusqlite::Result<bool> {
    let mut stmt = db.prepare_cached(
        "SELECT type = 'table' AND NOT wr FROM pragma_table_list(?1) \
         WHERE ?2 IS NULL OR schema = ?2 COLLATE NOCASE",
    )?;
    let mut rows = stmt.query((&name.name, &name.schema))?;
    rows.next()?.map_or(Ok(false), |row| row.get(0))
}

/// The unique indices without an expression and without a condition.
fn uniques(db: &Connection, info: &TableInfo) -> rusqlite::Result<Vec<Vec<usize>>> {
    let schema = info.name.schema.as_deref();
    let indices = pragma(db, "index_list", schema, &info.name.name, |row| {
        Ok((row.get::<_, String>("name")?, row.get::<_, bool>("unique")?, row.get::<_, bool>("partial")?))
    })?;
    let mut uniques = Vec::new();
    for (index, ..) in indices.into_iter().filter(|(_, unique, partial)| *unique && !*partial) {
        let names = pragma(db, "index_info", schema, &index, |row| row.get::<_, Option<String>>("name"))?;
        let columns: Option<Vec<usize>> =
            names.iter().map(|name| name.as_ref().and_then(|name| info.column(name))).collect();
        uniques.extend(columns);
    }
    Ok(uniques)
}

fn foreign_keys(db: &Connection, name: &TableName) -> rusqlite::Result<Vec<ForeignKey>> {
    let schema = name.schema.as_deref();
    let parts = pragma(db, "foreign_key_list", schema, &name.name, |row| {
        let id: i64 = row.get("id")?;
        let seq: i64 = row.get("seq")?;
        let names: (String, String, Option<String>) = (row.get("table")?, row.get("from")?, row.get("to")?);
        Ok(((id, seq), names))
    })?;
    let mut parts = parts;
    parts.sort_by_key(|(place, _)| *place);
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    for ((id, _), (table, from, to)) in parts {
        if keys.last().is_none_or(|(last, _)| *last != id) {
            let table = TableName { schema: name.schema.clone(), name: table };
            keys.push((id, ForeignKey { name: None, columns: Vec::new(), table, referred: Vec::new() }));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(from);
            key.referred.extend(to);
        }
    }
    let mut found = Vec::new();
    for (_, mut key) in keys {
        if key.referred.is_empty() {
            // Without named columns it refers to the primary key.
            let (columns, primary) = columns(db, &key.table)?;
            key.referred = primary.iter().map(|index| columns[*index].name.clone()).collect();
        }
        found.push(key);
    }
    Ok(found)
}

/// There is no such table: the error, with the name that was probably meant.
fn unknown(db: &Connection, name: &TableName) -> rusqlite::Result<Error> {
    let mut tables = db
        .prepare("SELECT schema, name FROM pragma_table_list WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")?;
    let tables: Vec<(String, String)> =
        tables.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    let here = tables
        .iter()
        .filter(|(schema, _)| name.schema.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(schema)))
        .map(|(_, table)| table.as_str());
    let message = match nearest(&name.name, here) {
        Some(near) => format!("there is no table {name}; did you mean {near:?}?"),
        None => format!("there is no table {name}"),
    };
    Ok(Error::new(ErrorKind::NotFound, message)
        .with_entity(name.to_string())
        .with_delivery(Delivery::Answered))
}

/// What a column declared so takes: by the names that databases have for types, then by SQLite's own rules of
/// affinity.
pub(super) fn column_type(declared: &str) -> ColumnType {
    let upper = declared.to_ascii_uppercase();
    let plain = upper.split('(').next().unwrap_or_default().trim();
    let tail = upper.rsplit(')').next().unwrap_or_default().trim();
    match plain {
        "" | "ANY" => return ColumnType::Any,
        "BOOLEAN" | "BOOL" => return ColumnType::Bool,
        "DATE" => return ColumnType::Date,
        "TIME" | "TIME WITHOUT TIME ZONE" => return ColumnType::Time,
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" | "DATETIME WITH TIME ZONE" => {
            return ColumnType::TimestampTz;
        }
        "TIMESTAMP" if tail == "WITH TIME ZONE" => return ColumnType::TimestampTz,
        "DATETIME" | "TIMESTAMP" | "TIMESTAMP WITHOUT TIME ZONE" => return ColumnType::Timestamp,
        "UUID" | "GUID" => return ColumnType::Uuid,
        "JSON" => return ColumnType::Json,
        "JSONB" => return ColumnType::Jsonb,
        "NUMERIC" | "DECIMAL" | "DEC" | "NUMBER" => return ColumnType::Numeric,
        "BYTEA" | "BINARY" | "VARBINARY" => return ColumnType::Bytes,
        "FLOATING POINT" => return ColumnType::Float8,
        _ => {}
    }
    let has = |part: &str| upper.contains(part);
    if has("INT") || has("SERIAL") {
        ColumnType::Int8
    } else if has("CHAR") || has("CLOB") || has("TEXT") || has("STRING") {
        ColumnType::Text
    } else if has("BLOB") {
        ColumnType::Bytes
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        ColumnType::Float8
    } else {
        ColumnType::Any
    }
}
