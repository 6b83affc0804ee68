//! A table's columns and keys, from the system catalogue.

use postgres::types::Type;

use super::decode::Reader;
use super::failure::Trouble;
use super::session::{Connection, Param};
use super::wire::column_type;
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::sql::catalog::{Column, ForeignKey, TableInfo, TableName, nearest};

const TABLE: &str = "SELECT c.oid, c.relname::text, \
    c.relkind IN ('r', 'p', 'f') \
      AND NOT row_security_active(c.oid) \
      AND NOT EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid AND w.ev_type = '3') \
    FROM pg_class c WHERE c.oid = to_regclass($1::text) AND c.relkind IN ('r', 'p', 'f', 'v', 'm')";

const NAMES: &str = "SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname::text \
      ELSE n.nspname || '.' || c.relname END \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') \
      AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' \
    ORDER BY 1 LIMIT 10000";

const COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), \
      NOT (a.attnotnull OR t.typnotnull), \
      (a.atthasdef AND a.attgenerated = '') OR a.attidentity <> '', \
      a.attgenerated <> '', \
      CASE WHEN a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%' \
        THEN quote_literal(pg_get_serial_sequence($1::oid::regclass::text, a.attname)) END, \
      a.attnum \
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
    WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

const INDEXES: &str = "SELECT i.indisprimary, (i.indkey::int2[])[0:i.indnkeyatts - 1] \
    FROM pg_index i WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid \
      AND i.indexprs IS NULL AND i.indpred IS NULL ORDER BY i.indisprimary DESC, i.indexrelid";

const FOREIGN_KEYS: &str = "SELECT \
      (SELECT array_agg(a.attname::text ORDER BY k.o) FROM unnest(c.conkey) WITH ORDINALITY k(n, o) \
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n), \
      CASE WHEN pg_table_is_visible(c.confrelid) THEN NULL ELSE n.nspname::text END, r.relname::text, \
      (SELECT array_agg(a.attname::text ORDER BY k.o) FROM unnest(c.confkey) WITH ORDINALITY k(n, o) \
        JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n), \
      c.conname::text \
    FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid JOIN pg_namespace n ON n.oid = r.relnamespace \
    WHERE c.conrelid = $1::oid AND c.contype = 'f' ORDER BY c.conname";

type ColumnRow = (String, String, bool, bool, bool, Option<String>, i16);
type ForeignKeyRow = (Vec<String>, Option<String>, String, Vec<String>, String);

impl Connection {
    pub(super) fn table_info(&mut self, name: &TableName) -> Result<TableInfo> {
        self.ready()?;
        let quoted = name.quoted();
        let found: Vec<(u32, String, bool)> = self.catalogue(TABLE, quoted.as_bytes())?;
        let Some((oid, _, copies)) = found.into_iter().next() else {
            return Err(self.unknown_table(name));
        };
        let oid = oid.to_be_bytes();
        let columns: Vec<ColumnRow> = self.catalogue(COLUMNS, &oid)?;
        let names: Vec<&str> = columns.iter().map(|column| column.1.as_str()).collect();
        let types = self.types_of(&names)?;
        let numbers: Vec<i16> = columns.iter().map(|column| column.6).collect();
        let mut columns: Vec<Column> =
            columns.into_iter().zip(types.iter()).map(|(column, ty)| read_column(column, ty)).collect();
        let place = |number: &i16| numbers.iter().position(|each| each == number);
        let mut key = Vec::new();
        let mut uniques = Vec::new();
        for (primary, index) in self.catalogue::<(bool, Vec<i16>)>(INDEXES, &oid)? {
            let Some(index) = index.iter().map(place).collect::<Option<Vec<usize>>>() else { continue };
            if primary {
                key.clone_from(&index);
            }
            if !uniques.contains(&index) {
                uniques.push(index);
            }
        }
        for column in &key {
            columns[*column].nullable = false;
        }
        let foreign_keys = self
            .catalogue::<ForeignKeyRow>(FOREIGN_KEYS, &oid)?
            .into_iter()
            .map(|(columns, schema, name, referred, constraint)| ForeignKey {
                name: Some(constraint),
                columns,
                table: TableName { schema, name },
                referred,
            })
            .collect();
        Ok(TableInfo { name: name.clone(), columns, key, uniques, foreign_keys, copies })
    }

    fn catalogue<T: serde::de::DeserializeOwned>(&mut self, sql: &str, param: &[u8]) -> Result<Vec<T>> {
        let params = if sql.contains("$1") { &[Param(Some(param))][..] } else { &[] };
        let statement = self.prepared(sql, None).map_err(Trouble::into_error)?;
        let rows = self.rows(&statement, params, None, Delivery::NotSent).map_err(Trouble::into_error)?;
        let reader = Reader::new(statement.columns());
        rows.iter().map(|row| reader.read(row, 0)).collect()
    }

    fn unknown_table(&mut self, name: &TableName) -> Error {
        let names: Vec<String> = self.catalogue(NAMES, &[]).unwrap_or_default();
        let wanted = name.to_string();
        let message = match nearest(&wanted, names.iter().map(String::as_str)) {
            Some(near) => format!("there is no table {wanted:?}; did you mean {near:?}?"),
            None => format!("there is no table {wanted:?}"),
        };
        Error::new(ErrorKind::NotFound, message).with_entity(wanted).with_delivery(Delivery::Answered)
    }
}

fn read_column(
    (name, type_name, nullable, has_default, generated, sequence, _): ColumnRow,
    ty: &Type,
) -> Column {
    Column { name, ty: column_type(ty), type_name, nullable, has_default, generated, sequence }
}
