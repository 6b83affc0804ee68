//! The fields of a row, or of a set of parameters, to the parameters of a statement.
//!
//! One serializer for all three: a row of a table, parameters by name, parameters by place. A [`Sink`] says
//! what a field is for.

use serde::ser::{
    Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct,
    Serializer,
};

use super::bind::Misfit;

/// Is shown the fields one by one.
pub(super) trait Sink {
    /// `lasting` says that the name stays where it is for as long as the program runs.
    fn named<T: Serialize + ?Sized>(&mut self, name: &str, lasting: bool, value: &T) -> Result<(), Misfit>;
    fn placed<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit>;
}

/// Takes a struct, map, tuple or list apart.
pub(super) struct Fields<'a, S>(pub(super) &'a mut S);

/// A map's field without its value yet.
pub(super) struct Entries<'a, S> {
    sink: &'a mut S,
    name: String,
}

fn no<T>() -> Result<T, Misfit> {
    Err(Misfit::new("expected a struct, map, tuple or list"))
}

macro_rules! no {
    ($($method:ident: $ty:ty),*) => {$(
        fn $method(self, _: $ty) -> Result<(), Misfit> {
            no()
        }
    )*};
}

impl<'a, S: Sink> Serializer for Fields<'a, S> {
    type Ok = ();
    type Error = Misfit;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Impossible<(), Misfit>;
    type SerializeMap = Entries<'a, S>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Misfit>;

    no!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32,
        serialize_f64: f64, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8]);

    fn serialize_none(self) -> Result<(), Misfit> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Misfit> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Misfit> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Misfit> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Misfit> {
        no()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Misfit> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Misfit> {
        no()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Misfit> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Misfit> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Misfit> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Misfit> {
        no()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'a, S>, Misfit> {
        Ok(Entries { sink: self.0, name: String::new() })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Misfit> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Misfit> {
        no()
    }
}

impl<S: Sink> SerializeStruct for Fields<'_, S> {
    type Ok = ();
    type Error = Misfit;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Misfit> {
        self.0.named(name, true, value)
    }

    fn end(self) -> Result<(), Misfit> {
        Ok(())
    }
}

impl<S: Sink> SerializeMap for Entries<'_, S> {
    type Ok = ();
    type Error = Misfit;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Misfit> {
        key.serialize(Name(&mut self.name))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        self.sink.named(&self.name, false, value)
    }

    fn end(self) -> Result<(), Misfit> {
        Ok(())
    }
}

macro_rules! placed {
    ($($kind:ident::$method:ident),*) => {$(
        impl<S: Sink> $kind for Fields<'_, S> {
            type Ok = ();
            type Error = Misfit;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
                self.0.placed(value)
            }

            fn end(self) -> Result<(), Misfit> {
                Ok(())
            }
        }
    )*};
}
placed!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field
);

/// A field's name: the key of a map.
struct Name<'a>(&'a mut String);

macro_rules! no_name {
    ($($method:ident: $ty:ty),*) => {$(
        fn $method(self, _: $ty) -> Result<(), Misfit> {
            Err(Misfit::new("the name of a field is text"))
        }
    )*};
}

type Never = Impossible<(), Misfit>;

impl Serializer for Name<'_> {
    type Ok = ();
    type Error = Misfit;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    no_name!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32,
        serialize_f64: f64, serialize_bytes: &[u8], serialize_unit_struct: &'static str);

    fn serialize_str(self, name: &str) -> Result<(), Misfit> {
        self.0.clear();
        self.0.push_str(name);
        Ok(())
    }

    fn serialize_char(self, name: char) -> Result<(), Misfit> {
        self.serialize_str(name.encode_utf8(&mut [0; 4]))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Misfit> {
        self.serialize_str(variant)
    }

    fn serialize_none(self) -> Result<(), Misfit> {
        no()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Misfit> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Misfit> {
        no()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Misfit> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Misfit> {
        no()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Never, Misfit> {
        no()
    }

    fn serialize_tuple(self, _: usize) -> Result<Never, Misfit> {
        no()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Never, Misfit> {
        no()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, Misfit> {
        no()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Never, Misfit> {
        no()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Never, Misfit> {
        no()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, Misfit> {
        no()
    }
}
