//! What a model and a field are; the models themselves are in [`models`](super::models).

use serde_json::{Map, Value, json};

use super::models::MODELS;

/// The place of a model among all.
pub(super) type ModelId = usize;

/// A model.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) name: &'static str,
    /// What the user calls it.
    pub(super) title: &'static str,
    pub(super) fields: &'static [Field],
    pub(super) order: &'static str,
    /// The field that a record is named by.
    pub(super) names: &'static str,
}

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) readonly: bool,
    /// Where its value is.
    pub(super) place: Place,
    pub(super) default: Preset,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Integer,
    Float,
    Boolean,
    Char,
    Text,
    Html,
    Date,
    Datetime,
    Selection(&'static [(&'static str, &'static str)]),
    Many2one(ModelId, OnDelete),
    Many2many(ModelId),
    /// The model, and its field that points back.
    One2many(ModelId, &'static str),
}

/// What becomes of a record when the one that it points to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDelete {
    SetNull,
    Cascade,
    Restrict,
}

/// Where the value of a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the row.
    Stored,
    Id,
    DisplayName,
    CreateDate,
    CreateUid,
    WriteDate,
    WriteUid,
    /// In the partner of a user.
    OfPartner,
}

/// The value of a field that was not given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Preset {
    None,
    True,
    Text(&'static str),
    Integer(i64),
    Float(f64),
}

impl Field {
    pub(super) const fn new(name: &'static str, label: &'static str, kind: Kind) -> Self {
        Self {
            name,
            label,
            kind,
            required: false,
            readonly: false,
            place: Place::Stored,
            default: Preset::None,
        }
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    pub(super) const fn preset(mut self, preset: Preset) -> Self {
        self.default = preset;
        self
    }

    const fn magic(name: &'static str, label: &'static str, kind: Kind, place: Place) -> Self {
        let mut field = Self::new(name, label, kind).at(place);
        field.readonly = true;
        field
    }

    /// The type, as `fields_get` names it.
    pub(super) fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Integer => "integer",
            Kind::Float => "float",
            Kind::Boolean => "boolean",
            Kind::Char => "char",
            Kind::Text => "text",
            Kind::Html => "html",
            Kind::Date => "date",
            Kind::Datetime => "datetime",
            Kind::Selection(_) => "selection",
            Kind::Many2one(..) => "many2one",
            Kind::Many2many(_) => "many2many",
            Kind::One2many(..) => "one2many",
        }
    }

    /// The model that a relational field leads to.
    pub(super) fn relation(&self) -> Option<ModelId> {
        match self.kind {
            Kind::Many2one(model, _) | Kind::Many2many(model) | Kind::One2many(model, _) => Some(model),
            _ => None,
        }
    }

    /// What `fields_get` says of it.
    pub(super) fn describe(&self) -> Value {
        let computed = matches!(self.place, Place::DisplayName | Place::OfPartner);
        let stored = !computed && !matches!(self.kind, Kind::One2many(..));
        let mut about = json!({
            "name": self.name, "type": self.type_name(), "string": self.label, "required": self.required,
            "readonly": self.readonly, "store": stored, "searchable": true, "sortable": stored,
            "groupable": stored, "change_default": false, "company_dependent": false,
            "depends": [], "manual": false,
        });
        if let Some(model) = self.relation() {
            about["relation"] = MODELS[model].name.into();
            about["context"] = json!({});
            about["domain"] = json!([]);
        }
        match self.kind {
            Kind::One2many(_, inverse) => about["relation_field"] = inverse.into(),
            Kind::Selection(choices) => about["selection"] = json!(choices),
            Kind::Char => {
                about["trim"] = true.into();
                about["translate"] = false.into();
            }
            _ => {}
        }
        about
    }
}

const USERS: Kind = Kind::Many2one(super::models::USERS, OnDelete::SetNull);

/// The fields that each model has.
pub(super) static MAGIC: [Field; 6] = [
    Field::magic("id", "ID", Kind::Integer, Place::Id),
    Field::magic("display_name", "Display Name", Kind::Char, Place::DisplayName),
    Field::magic("create_date", "Created on", Kind::Datetime, Place::CreateDate),
    Field::magic("create_uid", "Created by", USERS, Place::CreateUid),
    Field::magic("write_date", "Last Updated on", Kind::Datetime, Place::WriteDate),
    Field::magic("write_uid", "Last Updated by", USERS, Place::WriteUid),
];

/// A field as the row knows it: stored ones by their number.
pub(super) type Column = (u8, &'static Field);

impl Model {
    /// The field of this name; the number is of use where it is stored.
    pub(super) fn field(&self, name: &str) -> Option<Column> {
        match self.fields.iter().position(|field| field.name == name) {
            Some(at) => Some((u8::try_from(at).expect("a model has few fields"), &self.fields[at])),
            None => MAGIC.iter().find(|field| field.name == name).map(|field| (u8::MAX, field)),
        }
    }

    /// The number of a field that is known to be there.
    pub(super) fn number(&self, name: &str) -> u8 {
        self.field(name).expect("a field of the schema").0
    }

    /// All fields, those that each model has included.
    pub(super) fn columns(&self) -> impl Iterator<Item = Column> {
        let own = self.fields.iter().enumerate();
        own.map(|(at, field)| (u8::try_from(at).expect("a model has few fields"), field))
            .chain(MAGIC.iter().map(|field| (u8::MAX, field)))
    }

    pub(super) fn has_active(&self) -> bool {
        self.fields.iter().any(|field| field.name == "active")
    }

    pub(super) fn fields_get(&self, only: &[String], attributes: &[String]) -> Value {
        let mut all = Map::new();
        for (_, field) in self.columns() {
            if !only.is_empty() && !only.iter().any(|name| name == field.name) {
                continue;
            }
            let mut about = field.describe();
            if !attributes.is_empty()
                && let Some(about) = about.as_object_mut()
            {
                about.retain(|name, _| attributes.contains(name));
            }
            all.insert(field.name.to_owned(), about);
        }
        Value::Object(all)
    }
}

/// The model of this name.
pub(super) fn model(name: &str) -> Option<ModelId> {
    MODELS.iter().position(|model| model.name == name)
}
