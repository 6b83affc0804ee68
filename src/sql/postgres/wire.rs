//! How a value of a type stands on the wire: what the encoder writes and the decoder reads.

use postgres::types::{Kind, Type};

use crate::sql::catalog::ColumnType;

/// The binary form of a type. Domains are their base type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wire {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    /// Text of any kind, the labels of enums included.
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Uuid,
    Json,
    Jsonb,
    /// With the form of its elements and the number of their type.
    Array(Box<Wire>, u32),
    /// The result of a function that has none.
    Void,
    /// Sent and read as text.
    Other,
}

impl Wire {
    pub(super) fn of(ty: &Type) -> Self {
        match *ty {
            Type::BOOL => Self::Bool,
            Type::INT2 => Self::Int2,
            Type::INT4 => Self::Int4,
            Type::INT8 => Self::Int8,
            Type::OID => Self::Oid,
            Type::FLOAT4 => Self::Float4,
            Type::FLOAT8 => Self::Float8,
            Type::NUMERIC => Self::Numeric,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => Self::Text,
            Type::BYTEA => Self::Bytes,
            Type::DATE => Self::Date,
            Type::TIME => Self::Time,
            Type::TIMESTAMP => Self::Timestamp,
            Type::TIMESTAMPTZ => Self::TimestampTz,
            Type::UUID => Self::Uuid,
            Type::JSON => Self::Json,
            Type::JSONB => Self::Jsonb,
            Type::VOID => Self::Void,
            // Its functions that send and receive are those of text.
            _ if ty.name() == "citext" => Self::Text,
            _ => match ty.kind() {
                Kind::Enum(_) => Self::Text,
                Kind::Domain(base) => Self::of(base),
                // `int2vector` and `oidvector` count from 0.
                Kind::Array(element) if !matches!(*ty, Type::INT2_VECTOR | Type::OID_VECTOR) => {
                    match Self::of(element) {
                        Self::Other | Self::Void => Self::Other,
                        inner => Self::Array(Box::new(inner), element.oid()),
                    }
                }
                _ => Self::Other,
            },
        }
    }

    /// The type in words, for messages.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Bool => "a truth value",
            Self::Int2 => "a smallint",
            Self::Int4 => "an integer",
            Self::Int8 => "a bigint",
            Self::Oid => "an oid",
            Self::Float4 => "a real",
            Self::Float8 => "a double precision number",
            Self::Numeric => "a decimal number",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Date => "a date",
            Self::Time => "a time",
            Self::Timestamp => "a timestamp without time zone",
            Self::TimestampTz => "a timestamp with time zone",
            Self::Uuid => "a UUID",
            Self::Json | Self::Jsonb => "JSON",
            Self::Array(..) => "an array",
            Self::Void => "nothing",
            Self::Other => "a value of this type",
        }
    }
}

/// The column type of a wire type.
pub(super) fn column_type(ty: &Type) -> ColumnType {
    if let Kind::Domain(base) = ty.kind() {
        return column_type(base);
    }
    if let Kind::Enum(_) = ty.kind() {
        return ColumnType::Enum;
    }
    if let Kind::Array(element) = ty.kind()
        && Wire::of(ty) != Wire::Other
    {
        return ColumnType::Array(Box::new(column_type(element)));
    }
    match Wire::of(ty) {
        Wire::Bool => ColumnType::Bool,
        Wire::Int2 => ColumnType::Int2,
        Wire::Int4 => ColumnType::Int4,
        Wire::Int8 | Wire::Oid => ColumnType::Int8,
        Wire::Float4 => ColumnType::Float4,
        Wire::Float8 => ColumnType::Float8,
        Wire::Numeric => ColumnType::Numeric,
        Wire::Text => ColumnType::Text,
        Wire::Bytes => ColumnType::Bytes,
        Wire::Date => ColumnType::Date,
        Wire::Time => ColumnType::Time,
        Wire::Timestamp => ColumnType::Timestamp,
        Wire::TimestampTz => ColumnType::TimestampTz,
        Wire::Uuid => ColumnType::Uuid,
        Wire::Json => ColumnType::Json,
        Wire::Jsonb => ColumnType::Jsonb,
        Wire::Array(..) | Wire::Void | Wire::Other => ColumnType::Other,
    }
}
