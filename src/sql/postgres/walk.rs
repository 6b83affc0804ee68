//! The outside of a row or of a set of parameters: a struct or map whose fields have names, or a list
//! whose values have places. What is done with each value is the visitor's.

use serde::Serialize;
use serde::ser::{
    Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct, Serializer,
};

use super::refusal::Refusal;
use crate::records::record::RecordId;
use crate::sql::part::part_of;

type Result<T = ()> = std::result::Result<T, Refusal>;

/// The index of a field that nobody asks for.
pub(super) const NONE: usize = usize::MAX;

/// What is done with the values of a row.
pub(super) trait Visit {
    /// The index of a field, or [`NONE`].
    fn named(&mut self, name: &str) -> Result<usize>;
    /// The same for the name of a struct's field, which stays where it is.
    #[inline]
    fn constant(&mut self, name: &'static str) -> Result<usize> {
        self.named(name)
    }
    /// The index of the next value of a list.
    fn placed(&mut self) -> Result<usize>;
    fn value<T: Serialize + ?Sized>(&mut self, index: usize, value: &T) -> Result;
}

/// Takes a row apart.
pub(super) struct Walk<'a, V>(pub(super) &'a mut V);

/// The fields of a struct or map, or the values of a list.
pub(super) struct Parts<'a, V> {
    visit: &'a mut V,
    index: usize,
}

/// How values are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Named(Vec<String>),
    Placed(usize),
    /// A struct or list of none.
    Empty,
}

/// The names of a row's fields, in their order, or how many values it has.
pub(super) fn shape<R: Serialize + ?Sized>(row: &R) -> Result<Shape> {
    struct Names(Vec<String>, usize);
    impl Visit for Names {
        fn named(&mut self, name: &str) -> Result<usize> {
            self.0.push(name.to_owned());
            Ok(NONE)
        }
        fn placed(&mut self) -> Result<usize> {
            self.1 += 1;
            Ok(NONE)
        }
        fn value<T: Serialize + ?Sized>(&mut self, _index: usize, _value: &T) -> Result {
            Ok(())
        }
    }
    let mut names = Names(Vec::new(), 0);
    row.serialize(Walk(&mut names))?;
    Ok(match names {
        Names(names, 0) if names.is_empty() => Shape::Empty,
        Names(names, 0) => Shape::Named(names),
        Names(_, count) => Shape::Placed(count),
    })
}

/// The values of the columns that name a row; `Unknown` stands for NULL and for what is not there.
pub(super) fn key_of<R: Serialize + ?Sized>(row: &R, columns: &[&str]) -> Result<Vec<RecordId>> {
    struct Wanted<'a>(&'a [&'a str], Vec<RecordId>);
    impl Visit for Wanted<'_> {
        fn named(&mut self, name: &str) -> Result<usize> {
            Ok(self.0.iter().position(|column| *column == name).unwrap_or(NONE))
        }
        fn placed(&mut self) -> Result<usize> {
            Ok(NONE)
        }
        fn value<T: Serialize + ?Sized>(&mut self, index: usize, value: &T) -> Result {
            if let Some(part) = self.1.get_mut(index) {
                let value = part_of(value).map_err(|error| Refusal::new(error.to_string()))?;
                *part = value.unwrap_or(RecordId::Unknown);
            }
            Ok(())
        }
    }
    let mut wanted = Wanted(columns, vec![RecordId::Unknown; columns.len()]);
    row.serialize(Walk(&mut wanted))?;
    Ok(wanted.1)
}

fn no_row<T>(what: &str) -> Result<T> {
    Err(Refusal::new(format!("{what} is neither a struct or map nor a list of values")))
}

macro_rules! refuse {
    ($($method:ident $ty:ty,)*) => {$(
        fn $method(self, _value: $ty) -> Result {
            no_row(concat!("a single ", stringify!($ty)))
        }
    )*};
}

impl<'a, V: Visit> Serializer for Walk<'a, V> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Parts<'a, V>;
    type SerializeTuple = Parts<'a, V>;
    type SerializeTupleStruct = Parts<'a, V>;
    type SerializeTupleVariant = Impossible<(), Refusal>;
    type SerializeMap = Parts<'a, V>;
    type SerializeStruct = Parts<'a, V>;
    type SerializeStructVariant = Impossible<(), Refusal>;

    refuse! {
        serialize_bool bool,
        serialize_i8 i8,
        serialize_i16 i16,
        serialize_i32 i32,
        serialize_i64 i64,
        serialize_u8 u8,
        serialize_u16 u16,
        serialize_u32 u32,
        serialize_u64 u64,
        serialize_f32 f32,
        serialize_f64 f64,
        serialize_char char,
        serialize_str &str,
        serialize_bytes &[u8],
    }

    fn serialize_none(self) -> Result {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result {
        Ok(())
    }

    fn serialize_unit_variant(self, name: &'static str, _index: u32, _variant: &'static str) -> Result {
        no_row(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result {
        no_row(name)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Parts<'a, V>> {
        Ok(Parts { visit: self.0, index: NONE })
    }

    fn serialize_tuple(self, _length: usize) -> Result<Parts<'a, V>> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Parts<'a, V>> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        no_row(name)
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Parts<'a, V>> {
        self.serialize_seq(None)
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Parts<'a, V>> {
        self.serialize_seq(None)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant> {
        no_row(name)
    }
}

impl<V: Visit> SerializeStruct for Parts<'_, V> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result {
        let index = self.visit.constant(name)?;
        self.visit.value(index, value)
    }

    fn end(self) -> Result {
        Ok(())
    }
}

impl<V: Visit> SerializeMap for Parts<'_, V> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        self.index = key.serialize(Name(self.visit))?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.visit.value(self.index, value)
    }

    fn end(self) -> Result {
        Ok(())
    }
}

macro_rules! placed {
    ($($list:ident $method:ident,)*) => {$(
        impl<V: Visit> $list for Parts<'_, V> {
            type Ok = ();
            type Error = Refusal;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
                let index = self.visit.placed()?;
                self.visit.value(index, value)
            }

            fn end(self) -> Result {
                Ok(())
            }
        }
    )*};
}
placed! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
}

/// The key of a map, which names a field.
struct Name<'a, V>(&'a mut V);

fn no_name<T>() -> Result<T> {
    Err(Refusal::new("the key of a map names a column, so it is text"))
}

macro_rules! refuse_name {
    ($($method:ident $ty:ty,)*) => {$(
        fn $method(self, _value: $ty) -> Result<usize> {
            no_name()
        }
    )*};
}

impl<V: Visit> Serializer for Name<'_, V> {
    type Ok = usize;
    type Error = Refusal;
    type SerializeSeq = Impossible<usize, Refusal>;
    type SerializeTuple = Impossible<usize, Refusal>;
    type SerializeTupleStruct = Impossible<usize, Refusal>;
    type SerializeTupleVariant = Impossible<usize, Refusal>;
    type SerializeMap = Impossible<usize, Refusal>;
    type SerializeStruct = Impossible<usize, Refusal>;
    type SerializeStructVariant = Impossible<usize, Refusal>;

    refuse_name! {
        serialize_bool bool,
        serialize_i8 i8,
        serialize_i16 i16,
        serialize_i32 i32,
        serialize_i64 i64,
        serialize_u8 u8,
        serialize_u16 u16,
        serialize_u32 u32,
        serialize_u64 u64,
        serialize_f32 f32,
        serialize_f64 f64,
        serialize_bytes &[u8],
    }

    fn serialize_char(self, name: char) -> Result<usize> {
        self.0.named(name.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, name: &str) -> Result<usize> {
        self.0.named(name)
    }

    fn serialize_none(self) -> Result<usize> {
        no_name()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, name: &T) -> Result<usize> {
        name.serialize(self)
    }

    fn serialize_unit(self) -> Result<usize> {
        no_name()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<usize> {
        no_name()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<usize> {
        self.0.named(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, name: &T) -> Result<usize> {
        name.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<usize> {
        no_name()
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Self::SerializeSeq> {
        no_name()
    }

    fn serialize_tuple(self, _length: usize) -> Result<Self::SerializeTuple> {
        no_name()
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleStruct> {
        no_name()
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        no_name()
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap> {
        no_name()
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Self::SerializeStruct> {
        no_name()
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant> {
        no_name()
    }
}
