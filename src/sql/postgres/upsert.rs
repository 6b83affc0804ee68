//! Adding rows and overwriting those that are there, by way of a temporary table.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::copy::no_columns;
use super::decode::Reader;
use super::failure::Trouble;
use super::insert::{done, refers_to_itself};
use super::isolate::{Marks, each};
use super::keys::returned;
use super::session::{Connection, Param};
use super::stage::Staged;
use super::walk::key_of;
use crate::error::{Delivery, Result};
use crate::records::record::RecordId;
use crate::sql::catalog::{TableInfo, quote};
use crate::sql::driver::{Chunk, Done, OnConflict, Returning, RowStatus};

impl Connection {
    pub(super) fn upsert_rows<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        conflict: &OnConflict<'_>,
    ) -> Result<Done<T>> {
        self.ready()?;
        if chunk.rows.is_empty() {
            return Ok(done(Vec::new(), Marks::default()));
        }
        if chunk.columns.is_empty() {
            return Err(no_columns(chunk.table));
        }
        let result = self.within(chunk.isolate, |connection| {
            if conflict.key.is_empty() {
                connection.insert_singly(chunk, true)
            } else {
                connection.upsert_staged(chunk, conflict)
            }
        });
        result.map(|mut done| {
            done.cost = self.cost;
            done
        })
    }

    fn upsert_staged<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        conflict: &OnConflict<'_>,
    ) -> Result<Done<T>> {
        let table = chunk.table;
        let mut marks = Marks::default();
        // Only a plain table tells by itself which of its rows are new; of others it is asked what was there
        // before the statement, which a concurrent writer may have changed since.
        let plain = self.is_plain(table)?;
        let key = if plain { conflict.key } else { &[] };
        let mut stage = self.stage(chunk, key, &[], None, &mut marks)?;
        let by = stage.keys.take();
        let column = |column: &usize| quote(&table.columns[*column].name);
        let action = if conflict.update.is_empty() {
            "NOTHING".to_owned()
        } else {
            let sets = conflict.update.iter().map(|each| format!("{0} = EXCLUDED.{0}", column(each)));
            format!("UPDATE SET {}", sets.collect::<Vec<_>>().join(", "))
        };
        let staged: Vec<String> = conflict.key.iter().map(|each| stage.of(*each)).collect();
        let given: Vec<String> = staged.iter().map(|each| format!("{each} IS NOT NULL")).collect();
        let keys: Vec<String> = conflict
            .key
            .iter()
            .enumerate()
            .map(|(at, each)| format!(", batchcall_t.{} AS batchcall_k{at}", column(each)))
            .collect();
        let equal: Vec<String> = staged
            .iter()
            .enumerate()
            .map(|(at, each)| format!("{each} = batchcall_w.batchcall_k{at}"))
            .collect();
        let back = match chunk.returning {
            Returning::Nothing => &[][..],
            Returning::Keys => &table.key[..],
            Returning::Rows => &(0..table.columns.len()).collect::<Vec<_>>()[..],
        };
        let back: Vec<String> = back.iter().map(|each| format!(", batchcall_w.{}", column(each))).collect();
        let new = if plain { "batchcall_t.xmax = 0" } else { "NULL::bool" };
        let was_there: Vec<String> = conflict
            .key
            .iter()
            .zip(&staged)
            .map(|(each, staged)| format!("batchcall_o.{} = {staged}", column(each)))
            .collect();
        let told = if plain {
            "batchcall_w.batchcall_new".to_owned()
        } else {
            let target = table.name.quoted();
            format!("NOT EXISTS (SELECT FROM {target} AS batchcall_o WHERE {})", was_there.join(" AND "))
        };
        // In the order of the key, so that two writers of the same rows do not wait for each other.
        let order = match &by {
            Some(by) if by.is_ascending() => String::new(),
            _ => format!("ORDER BY {}", staged.join(", ")),
        };
        let write = format!(
            "INSERT INTO {target} AS batchcall_t ({columns}) OVERRIDING SYSTEM VALUE \
             SELECT {values} FROM {stage} AS batchcall_s \
             WHERE batchcall_s.o BETWEEN $1::int4 AND $2::int4 AND {given} {order} \
             ON CONFLICT ({conflict}) DO {action} RETURNING",
            target = table.name.quoted(),
            columns = stage.names(table),
            values = stage.list(),
            stage = stage.name,
            given = given.join(" AND "),
            conflict = conflict.key.iter().map(column).collect::<Vec<_>>().join(", "),
        );
        // The rows come back in no order and without their places; the key tells them.
        let (keys, returned) = (keys.concat(), returned(table, chunk.returning));
        let packed = by.is_some() && chunk.returning == Returning::Nothing;
        let sql = match &by {
            Some(_) if packed => {
                let each = (0..conflict.key.len()).map(|at| format!("array_agg(batchcall_k{at}), "));
                format!(
                    "WITH batchcall_w AS ({write} {new} AS batchcall_new{keys}) \
                     SELECT {}array_agg(batchcall_new) FROM batchcall_w",
                    each.collect::<String>(),
                )
            }
            Some(_) => format!("{write} {}, {new} AS batchcall_new{returned}", keys.trim_start_matches(", ")),
            None => format!(
                "WITH batchcall_w AS ({write} {new} AS batchcall_new{keys}{returned}) \
                 SELECT batchcall_s.o, {told}{back} \
                 FROM batchcall_w JOIN {stage} AS batchcall_s ON {equal} \
                 WHERE batchcall_s.o BETWEEN $1::int4 AND $2::int4",
                stage = stage.name,
                back = back.concat(),
                equal = equal.join(" AND "),
            ),
        };
        let mut move_on: Staged<'_, T> = Staged::new(table, &sql, chunk.rows.len());
        (move_on.by, move_on.packed) = (by, packed);
        move_on.tells_new = true;
        move_on.returning = chunk.returning;
        move_on.otherwise = RowStatus::Unchanged;
        move_on.make_room(chunk.rows.len());
        let rows = 0..chunk.rows.len();
        each(self, rows, chunk.isolate, refers_to_itself(table), &mut marks, &mut move_on)?;
        let plain = if conflict.key.iter().any(|each| table.columns[*each].nullable) {
            without_key(chunk, conflict.key, &marks)
        } else {
            Vec::new()
        };
        let mut all = done(move_on.statuses, marks);
        (all.keys, all.rows) = (move_on.keys, move_on.rows);
        if !plain.is_empty() {
            self.insert_without_key(chunk, &plain, &mut all)?;
        }
        Ok(all)
    }

    fn is_plain(&mut self, table: &TableInfo) -> Result<bool> {
        let sql = "SELECT relkind = 'r' FROM pg_class WHERE oid = to_regclass($1::text)";
        let statement = self.prepared(sql, Some(table)).map_err(Trouble::into_error)?;
        let name = table.name.quoted();
        let params = [Param(Some(name.as_bytes()))];
        let rows =
            self.rows(&statement, &params, Some(table), Delivery::NotSent).map_err(Trouble::into_error)?;
        let reader = Reader::new(statement.columns());
        rows.first().map_or(Ok(false), |row| reader.value(row, 0))
    }

    /// Rows with NULL in their key meet no other row: they are inserted.
    fn insert_without_key<R: Serialize, T: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_, R>,
        places: &[usize],
        all: &mut Done<T>,
    ) -> Result<()> {
        let rows: Vec<&R> = places.iter().map(|place| &chunk.rows[*place]).collect();
        let part = Chunk {
            table: chunk.table,
            columns: chunk.columns,
            rows: &rows,
            isolate: chunk.isolate,
            returning: chunk.returning,
            bulk: chunk.bulk,
        };
        let placed = |index: usize| places.get(index).copied().unwrap_or_default();
        let inserted: Done<T> = self.insert_within(&part).map_err(|error| match error.record_index() {
            Some(index) => error.with_record_index(placed(index)),
            None => error,
        })?;
        for (index, status) in inserted.statuses.into_iter().enumerate() {
            all.statuses[placed(index)] = status;
        }
        for (index, error) in inserted.errors {
            all.errors.push((placed(index), error.with_record_index(placed(index))));
        }
        all.errors.sort_by_key(|(place, _)| *place);
        for (index, key) in inserted.keys.into_iter().enumerate() {
            all.keys[placed(index)] = key;
        }
        for (index, row) in inserted.rows.into_iter().enumerate() {
            all.rows[placed(index)] = row;
        }
        Ok(())
    }
}

/// The places of rows with NULL in their key, without the bad ones.
fn without_key<R: Serialize>(chunk: &Chunk<'_, R>, key: &[usize], marks: &Marks) -> Vec<usize> {
    let names: Vec<&str> = key.iter().map(|column| chunk.table.columns[*column].name.as_str()).collect();
    (0..chunk.rows.len())
        .filter(|place| !marks.is_bad(*place))
        .filter(|place| {
            key_of(&chunk.rows[*place], &names).is_ok_and(|parts| parts.contains(&RecordId::Unknown))
        })
        .collect()
}
