//! The database: tables of rows, and the index of external ids.

use std::collections::HashMap;
use std::sync::Arc;

use super::cell::Cell;
use super::models::{DATA, MODELS, PARTNER, USERS};
use super::schema::{Column, Field, Kind, ModelId, Place};

/// A record.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// What is set, by the number of the field.
    cells: Vec<(u8, Cell)>,
    /// The commit that changed it last.
    pub(super) stamp: u64,
    pub(super) created: (Arc<str>, i64),
    pub(super) written: (Arc<str>, i64),
}

static UNSET: Cell = Cell::Unset;

impl Row {
    pub(super) fn new(now: &Arc<str>, user: i64, stamp: u64) -> Self {
        Self { cells: Vec::new(), stamp, created: (Arc::clone(now), user), written: (Arc::clone(now), user) }
    }

    pub(super) fn get(&self, number: u8) -> &Cell {
        self.cells.iter().find(|(n, _)| *n == number).map_or(&UNSET, |(_, cell)| cell)
    }

    pub(super) fn set(&mut self, number: u8, cell: Cell) {
        match self.cells.iter().position(|(n, _)| *n == number) {
            Some(at) if cell == Cell::Unset => drop(self.cells.swap_remove(at)),
            Some(at) => self.cells[at].1 = cell,
            None if cell == Cell::Unset => {}
            None => self.cells.push((number, cell)),
        }
    }

    pub(super) fn reserve(&mut self, cells: usize) {
        self.cells.reserve_exact(cells);
    }
}

/// The records of a model, by their ids: those that were deleted or rolled back leave a gap.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Option<Row>>,
}

impl Table {
    pub(super) fn get(&self, id: i64) -> Option<&Row> {
        self.rows.get(usize::try_from(id).ok()?)?.as_ref()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, &Row)> {
        let rows = self.rows.iter().enumerate();
        rows.filter_map(|(id, row)| Some((i64::try_from(id).ok()?, row.as_ref()?)))
    }
}

/// All tables.
#[derive(Debug)]
pub(super) struct Store {
    tables: Vec<Table>,
    /// How many transactions were committed that changed something.
    pub(super) stamp: u64,
    /// `module.name` and the id of its row in `ir.model.data`.
    names: HashMap<String, i64>,
    /// The rows of `ir.model.data` that point to a record.
    pointing: HashMap<(ModelId, i64), Vec<i64>>,
}

impl Default for Store {
    fn default() -> Self {
        let tables = MODELS.iter().map(|_| Table { rows: vec![None] }).collect();
        Self { tables, stamp: 0, names: HashMap::new(), pointing: HashMap::new() }
    }
}

/// Where an external id leads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// The row of `ir.model.data`.
    pub(super) data: i64,
    pub(super) model: Option<ModelId>,
    pub(super) id: i64,
    pub(super) is_fixed: bool,
}

impl Store {
    pub(super) fn table(&self, model: ModelId) -> &Table {
        &self.tables[model]
    }

    pub(super) fn row(&self, model: ModelId, id: i64) -> Option<&Row> {
        self.tables[model].get(id)
    }

    /// The next id; it is used up even where the transaction is rolled back.
    pub(super) fn next_id(&mut self, model: ModelId) -> i64 {
        let rows = &mut self.tables[model].rows;
        rows.push(None);
        i64::try_from(rows.len() - 1).expect("memory is smaller")
    }

    /// Puts a row, or takes it away, and keeps the index of external ids. Returns what was there.
    pub(super) fn put(&mut self, model: ModelId, id: i64, row: Option<Row>) -> Option<Row> {
        if model == DATA {
            self.unlist(id);
        }
        let table = &mut self.tables[model];
        let place = usize::try_from(id).ok().and_then(|at| table.rows.get_mut(at))?;
        let old = std::mem::replace(place, row);
        if model == DATA {
            self.list(id);
        }
        old
    }

    /// A row that is changed in place; not for `ir.model.data`, whose index would not follow.
    pub(super) fn row_mut(&mut self, model: ModelId, id: i64) -> Option<&mut Row> {
        debug_assert!(model != DATA, "its rows are put");
        self.tables[model].rows.get_mut(usize::try_from(id).ok()?)?.as_mut()
    }

    fn list(&mut self, data: i64) {
        if let Some((name, target)) = self.external(data) {
            self.names.insert(name, data);
            if let Some(model) = target.model {
                self.pointing.entry((model, target.id)).or_default().push(data);
            }
        }
    }

    fn unlist(&mut self, data: i64) {
        if let Some((name, target)) = self.external(data) {
            self.names.remove(&name);
            let place = target.model.map(|model| (model, target.id));
            if let Some(list) = place.and_then(|place| self.pointing.get_mut(&place)) {
                list.retain(|id| *id != data);
                if list.is_empty() {
                    self.pointing.remove(&place.expect("it was found"));
                }
            }
        }
    }

    /// The external id in a row of `ir.model.data`, and where it leads.
    fn external(&self, data: i64) -> Option<(String, Target)> {
        let row = self.row(DATA, data)?;
        let model = &MODELS[DATA];
        let text = |name| row.get(model.number(name)).as_text().unwrap_or_default();
        let target = Target {
            data,
            model: super::schema::model(text("model")),
            id: row.get(model.number("res_id")).as_int().unwrap_or_default(),
            is_fixed: *row.get(model.number("noupdate")) == Cell::Bool(true),
        };
        Some((format!("{}.{}", text("module"), text("name")), target))
    }

    /// Where an external id leads.
    pub(super) fn target(&self, name: &str) -> Option<Target> {
        self.external(*self.names.get(name)?).map(|(_, target)| target)
    }

    /// The row of `ir.model.data` of an external id.
    pub(super) fn data(&self, name: &str) -> Option<i64> {
        self.names.get(name).copied()
    }

    /// The first external id of a record.
    pub(super) fn external_id(&self, model: ModelId, id: i64) -> Option<String> {
        let data = self.pointing.get(&(model, id))?.first()?;
        self.external(*data).map(|(name, _)| name)
    }

    /// The rows of `ir.model.data` that point to a record.
    pub(super) fn pointing(&self, model: ModelId, id: i64) -> &[i64] {
        self.pointing.get(&(model, id)).map_or(&[], Vec::as_slice)
    }

    /// The value of a field of a record, wherever it is; not of one2many fields.
    pub(super) fn cell(&self, model: ModelId, id: i64, (number, field): Column) -> Cell {
        let Some(row) = self.row(model, id) else { return Cell::Unset };
        self.cell_of(model, id, row, (number, field))
    }

    pub(super) fn cell_of(&self, model: ModelId, id: i64, row: &Row, (number, field): Column) -> Cell {
        match field.place {
            Place::Stored => match field.kind {
                Kind::One2many(..) => Cell::Ids(self.children(id, field).into()),
                _ => row.get(number).clone(),
            },
            Place::Id => Cell::Int(id),
            Place::DisplayName => Cell::text(&self.display_name(model, id)),
            Place::CreateDate => Cell::text(&row.created.0),
            Place::CreateUid => Cell::Int(row.created.1),
            Place::WriteDate => Cell::text(&row.written.0),
            Place::WriteUid => Cell::Int(row.written.1),
            Place::OfPartner => {
                let partner = row.get(MODELS[USERS].number("partner_id")).as_int().unwrap_or_default();
                match MODELS[PARTNER].field(field.name) {
                    Some(column) => self.cell(PARTNER, partner, column),
                    None => Cell::Unset,
                }
            }
        }
    }

    /// The ids of a one2many field.
    pub(super) fn children(&self, id: i64, field: &Field) -> Vec<i64> {
        let Kind::One2many(model, inverse) = field.kind else { return Vec::new() };
        let number = MODELS[model].number(inverse);
        let rows = self.table(model).iter();
        rows.filter(|(_, row)| *row.get(number) == Cell::Int(id)).map(|(id, _)| id).collect()
    }

    /// The name of a record, with those above it where its model shows them.
    pub(super) fn display_name(&self, model: ModelId, id: i64) -> String {
        let Some(row) = self.row(model, id) else { return String::new() };
        let shape = &MODELS[model];
        let (number, field) = shape.field(shape.names).expect("each model has a name");
        let name = match field.place {
            Place::Stored => row.get(number).as_text().unwrap_or_default().to_owned(),
            _ => self.cell_of(model, id, row, (number, field)).as_text().unwrap_or_default().to_owned(),
        };
        let parent = shape.field("parent_id").and_then(|(number, _)| row.get(number).as_int());
        match parent {
            Some(parent) if parent != id && model == PARTNER => {
                let company = self.row(PARTNER, parent).map(|row| row.get(shape.number("name")));
                format!("{}, {name}", company.and_then(Cell::as_text).unwrap_or_default())
            }
            Some(parent) if parent != id => format!("{} / {name}", self.display_name(model, parent)),
            _ => name,
        }
    }
}
