//! Values of records as the cells that `load` takes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::verbs::FieldInfo;

/// Records with the same fields, as columns and rows.
#[derive(Debug, PartialEq)]
pub(super) struct Sheet {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Value>>,
    /// The place of each row's record.
    pub(super) places: Vec<usize>,
}

/// Puts records into sheets: one for each set of fields, because an empty cell would empty the field. What
/// cannot be said in cells is left over.
pub(super) fn sheets<'a>(
    records: impl IntoIterator<Item = (usize, &'a Map<String, Value>)>,
    fields: &BTreeMap<String, FieldInfo>,
) -> (Vec<Sheet>, Vec<usize>) {
    let mut sheets: Vec<Sheet> = Vec::new();
    let mut left = Vec::new();
    for (place, record) in records {
        let cells: Option<Vec<(String, Value)>> =
            record.iter().map(|(name, value)| cell(name, value, fields.get(name.as_str()))).collect();
        let Some(cells) = cells else {
            left.push(place);
            continue;
        };
        let (columns, row): (Vec<String>, Vec<Value>) = cells.into_iter().unzip();
        match sheets.iter_mut().find(|sheet| sheet.columns == columns) {
            Some(sheet) => {
                sheet.rows.push(row);
                sheet.places.push(place);
            }
            None => sheets.push(Sheet { columns, rows: vec![row], places: vec![place] }),
        }
    }
    (sheets, left)
}

/// A field and its value as a column and a cell.
fn cell(name: &str, value: &Value, field: Option<&FieldInfo>) -> Option<(String, Value)> {
    // Such as `country_id/id`: a column already, as are `id` and `.id`.
    if name.contains('/') || name == "id" || name == ".id" {
        return Some((name.to_owned(), Value::from(text(value)?)));
    }
    let kind = field.map_or("", |field| field.kind.as_str());
    let by_id = || format!("{name}/.id");
    match (kind, value) {
        ("many2one", Value::Number(id)) => Some((by_id(), id.to_string().into())),
        ("many2one", value) if is_nothing(value) => Some((by_id(), "".into())),
        ("many2many", Value::Array(commands)) => {
            let ids = match commands.as_slice() {
                [] => String::new(),
                [only] => match only.as_array()?.as_slice() {
                    [code, _, Value::Array(ids)] if *code == 6 => {
                        ids.iter().map(Value::to_string).collect::<Vec<_>>().join(",")
                    }
                    _ => return None,
                },
                _ => return None,
            };
            Some((by_id(), ids.into()))
        }
        ("boolean", value) => Some((name.to_owned(), if *value == true { "1" } else { "0" }.into())),
        (_, value) => Some((name.to_owned(), text(value)?.into())),
    }
}

fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => Some(String::new()),
        Value::Bool(true) => Some("1".into()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields() -> BTreeMap<String, FieldInfo> {
        serde_json::from_value(json!({
            "name": {"type": "char"}, "active": {"type": "boolean"}, "credit": {"type": "float"},
            "parent_id": {"type": "many2one", "relation": "res.partner"},
            "category_id": {"type": "many2many"}, "child_ids": {"type": "one2many"},
        }))
        .unwrap()
    }

    #[test]
    fn values_become_the_cells_that_mean_the_same() {
        let record = json!({
            ".id": 7, "name": "A", "active": false, "credit": 2.5, "parent_id": 3, "category_id": [[6, 0, [1, 2]]],
            "country_id/id": "base.be",
        });
        let record = record.as_object().unwrap().clone();
        let (sheets, left) = sheets([(0, &record)], &fields());
        assert!(left.is_empty());
        let row: BTreeMap<_, _> = sheets[0].columns.iter().cloned().zip(sheets[0].rows[0].clone()).collect();
        assert_eq!(
            json!(row),
            json!({".id": "7", "name": "A", "active": "0", "credit": "2.5", "parent_id/.id": "3",
                   "category_id/.id": "1,2", "country_id/id": "base.be"})
        );
    }

    #[test]
    fn records_with_other_fields_go_into_another_sheet() {
        let records = [json!({"name": "A"}), json!({"name": "B", "credit": 1}), json!({"name": "C"})];
        let records: Vec<_> = records.iter().map(|record| record.as_object().unwrap()).collect();
        let (sheets, _) = sheets(records.into_iter().enumerate(), &fields());
        let places: Vec<_> = sheets.iter().map(|sheet| sheet.places.clone()).collect();
        assert_eq!(places, [vec![0, 2], vec![1]], "an empty cell would empty the field");
    }

    #[test]
    fn what_cannot_be_said_in_cells_is_left_over() {
        let record = json!({"child_ids": [[0, 0, {"name": "x"}]]});
        let (sheets, left) = sheets([(5, record.as_object().unwrap())], &fields());
        assert!(sheets.is_empty());
        assert_eq!(left, [5]);
    }
}
