//! The fields of a row, whatever type it is.
//!
//! Rows with the same columns go to the database together, so before anything is sent each row is asked
//! for the names of its fields; and where rows are told apart by a key, for its values (`part`).

use serde::ser::{Impossible, SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::catalog::TableInfo;
use crate::error::FieldError;

/// Is shown every field of a row.
pub(crate) trait Visitor {
    fn field<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) -> Result<(), Refused>;

    /// A field of a struct, whose name stays where it is.
    #[inline]
    fn constant<V: Serialize + ?Sized>(&mut self, name: &'static str, value: &V) -> Result<(), Refused> {
        self.field(name, value)
    }
}

/// Why a row cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

impl serde::ser::Error for Refused {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// The columns that rows have, found by their names. Rows mostly have those of the row before.
#[derive(Debug)]
pub(crate) struct Shapes<'t> {
    table: &'t TableInfo,
    shapes: Vec<Shape>,
    /// The fields of the last row in its order, and its shape.
    last: Option<(Vec<Known>, usize)>,
}

/// The columns that a row sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Sorted.
    pub(crate) columns: Vec<usize>,
    /// Whether rows of this shape have fields that are left out: a null where the column takes none, but
    /// has a default.
    pub(crate) partial: bool,
}

/// A field of the last row.
#[derive(Debug, Clone)]
struct Known {
    name: String,
    /// Where the name lies, if it stays there.
    address: Option<usize>,
    /// Whether a null stands for the default.
    defaults: bool,
    null: bool,
}

impl<'t> Shapes<'t> {
    pub(crate) fn new(table: &'t TableInfo) -> Self {
        Self { table, shapes: Vec::new(), last: None }
    }

    /// The number of the row's shape, or everything that is wrong with its fields.
    pub(crate) fn of<R: Serialize + ?Sized>(&mut self, row: &R) -> Result<usize, Vec<FieldError>> {
        let known: &[Known] = self.last.as_ref().map_or(&[], |(names, _)| names);
        let mut names = Names { known, same: 0, others: Vec::new(), table: self.table };
        row.serialize(Fields(&mut names)).map_err(|refused| vec![FieldError::new("", refused.0)])?;
        let Names { same, others, .. } = names;
        if let Some((_, shape)) = &self.last
            && others.is_empty()
            && same == known.len()
        {
            return Ok(*shape);
        }
        let all: Vec<Known> = known[..same].iter().cloned().chain(others).collect();
        let shape = self.shape(&all)?;
        let number = self.shapes.iter().position(|each| *each == shape).unwrap_or_else(|| {
            self.shapes.push(shape);
            self.shapes.len() - 1
        });
        self.last = Some((all, number));
        Ok(number)
    }

    fn shape(&self, fields: &[Known]) -> Result<Shape, Vec<FieldError>> {
        let mut problems = Vec::new();
        let mut shape = Shape { columns: Vec::with_capacity(fields.len()), partial: false };
        for Known { name, null, .. } in fields {
            match self.table.column(name) {
                Some(column) if self.table.columns[column].generated => {
                    let message = format!("{}.{name} is computed by the database", self.table.name);
                    problems.push(FieldError::new(name, message));
                }
                Some(column) if shape.columns.contains(&column) => {
                    problems.push(FieldError::new(name, format!("{name} is given twice")));
                }
                Some(_) if *null => shape.partial = true,
                Some(column) => shape.columns.push(column),
                None => problems.push(FieldError::new(name, self.table.unknown(name))),
            }
        }
        shape.columns.sort_unstable();
        if problems.is_empty() { Ok(shape) } else { Err(problems) }
    }

    pub(crate) fn into_shapes(self) -> Vec<Shape> {
        self.shapes
    }

    /// A shape by its number.
    pub(crate) fn get(&self, shape: usize) -> &Shape {
        &self.shapes[shape]
    }
}

/// Compares a row's fields with those of the row before.
struct Names<'k> {
    known: &'k [Known],
    /// How many are the same, from the first on.
    same: usize,
    /// The fields from the first other one on.
    others: Vec<Known>,
    table: &'k TableInfo,
}

impl Visitor for Names<'_> {
    fn field<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) -> Result<(), Refused> {
        let known = self.known.get(self.same).filter(|known| known.name == name);
        if let Some(known) = known.filter(|_| self.others.is_empty())
            && (!known.defaults || is_null(value) == known.null)
        {
            self.same += 1;
            return Ok(());
        }
        self.other(name, None, value);
        Ok(())
    }

    #[inline]
    fn constant<V: Serialize + ?Sized>(&mut self, name: &'static str, value: &V) -> Result<(), Refused> {
        // The same constant is mostly at the same address, which saves comparing it.
        let address = Some(name.as_ptr().addr());
        let same = self.others.is_empty()
            && self.known.get(self.same).is_some_and(|known| {
                ((known.address == address && known.name.len() == name.len()) || known.name == name)
                    && (!known.defaults || is_null(value) == known.null)
            });
        if same {
            self.same += 1;
        } else {
            self.other(name, address, value);
        }
        Ok(())
    }
}

impl Names<'_> {
    fn other<V: Serialize + ?Sized>(&mut self, name: &str, address: Option<usize>, value: &V) {
        let defaults = self.table.column(name).is_some_and(|column| {
            let column = &self.table.columns[column];
            !column.nullable && column.has_default
        });
        let null = defaults && is_null(value);
        self.others.push(Known { name: name.to_owned(), address, defaults, null });
    }
}

/// Whether a value is `None`, `()` or null.
fn is_null<V: Serialize + ?Sized>(value: &V) -> bool {
    // Only columns with a default are asked; their values are small.
    matches!(serde_json::to_value(value), Ok(Value::Null))
}

/// The part of a row that consists of these fields.
#[derive(Debug)]
pub(crate) struct Only<'r, R: ?Sized> {
    pub(crate) row: &'r R,
    pub(crate) table: &'r TableInfo,
    pub(crate) columns: &'r [usize],
}

impl<R: Serialize + ?Sized> Serialize for Only<'_, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut chosen = Chosen {
            table: self.table,
            columns: self.columns,
            map: serializer.serialize_map(None)?,
            error: None,
        };
        match self.row.serialize(Fields(&mut chosen)) {
            Ok(()) => chosen.map.end(),
            Err(refused) => Err(chosen.error.unwrap_or_else(|| serde::ser::Error::custom(refused))),
        }
    }
}

/// Hands on the chosen fields.
struct Chosen<'r, M: SerializeMap> {
    table: &'r TableInfo,
    columns: &'r [usize],
    map: M,
    error: Option<M::Error>,
}

impl<M: SerializeMap> Visitor for Chosen<'_, M> {
    fn field<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) -> Result<(), Refused> {
        if self.columns.iter().any(|column| self.table.columns[*column].name == name) {
            self.map.serialize_entry(name, value).map_err(|error| {
                let refused = Refused(error.to_string());
                self.error = Some(error);
                refused
            })?;
        }
        Ok(())
    }
}

/// Shows a visitor the fields of a struct or map.
pub(crate) struct Fields<'v, V>(pub(crate) &'v mut V);

/// A map whose next value belongs to `key`.
pub(crate) struct MapFields<'v, V> {
    visitor: &'v mut V,
    key: Option<String>,
}

const NO_ROW: &str = "a row is a struct or a map";

macro_rules! refuse {
    ($($method:ident($type:ty)),*) => {$(
        fn $method(self, _: $type) -> Result<(), Refused> {
            Err(Refused(NO_ROW.to_owned()))
        }
    )*};
}

impl<'v, V: Visitor> Serializer for Fields<'v, V> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Impossible<(), Refused>;
    type SerializeTuple = Impossible<(), Refused>;
    type SerializeTupleStruct = Impossible<(), Refused>;
    type SerializeTupleVariant = Impossible<(), Refused>;
    type SerializeMap = MapFields<'v, V>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Refused>;

    refuse!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
        serialize_unit_struct(&'static str)
    );

    fn serialize_none(self) -> Result<(), Refused> {
        Err(Refused(NO_ROW.to_owned()))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        Err(Refused(NO_ROW.to_owned()))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Refused> {
        Err(Refused(NO_ROW.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Refused> {
        Err(Refused(NO_ROW.to_owned()))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Refused> {
        Err(Refused(NO_ROW.to_owned()))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Refused> {
        Err(Refused(NO_ROW.to_owned()))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Refused> {
        Err(Refused(NO_ROW.to_owned()))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Refused> {
        Err(Refused(NO_ROW.to_owned()))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Refused> {
        Ok(MapFields { visitor: self.0, key: None })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Refused> {
        Err(Refused(NO_ROW.to_owned()))
    }
}

impl<V: Visitor> SerializeStruct for Fields<'_, V> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.0.constant(name, value)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

impl<V: Visitor> SerializeMap for MapFields<'_, V> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        match key.serialize(serde_json::value::Serializer) {
            Ok(Value::String(name)) => {
                self.key = Some(name);
                Ok(())
            }
            _ => Err(Refused("the keys of a row are texts, the names of columns".to_owned())),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let name = self.key.take().ok_or_else(|| Refused("a value without a key".to_owned()))?;
        self.visitor.field(&name, value)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}
