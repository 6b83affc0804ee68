//! The models of the stand-in: a small part of what a real server has, with its names, labels and rules.

use super::schema::Kind::{
    Boolean, Char, Date, Float, Html, Integer, Many2many, Many2one, One2many, Selection, Text,
};
use super::schema::OnDelete::{Cascade, Restrict, SetNull};
use super::schema::{Field, Model, ModelId, Place, Preset};

pub(super) const PARTNER: ModelId = 0;
pub(super) const CATEGORY: ModelId = 1;
pub(super) const PRODUCT_CATEGORY: ModelId = 3;
pub(super) const DATA: ModelId = 4;
pub(super) const USERS: ModelId = 5;
pub(super) const COUNTRY: ModelId = 6;
pub(super) const STATE: ModelId = 7;
pub(super) const COMPANY: ModelId = 8;
pub(super) const LANG: ModelId = 9;
pub(super) const MODEL: ModelId = 10;

/// All models; each stands at the place that its constant names, `product.template` at 2.
pub(super) static MODELS: [Model; 11] = [
    Model {
        name: "res.partner",
        title: "Contact",
        fields: PARTNER_FIELDS,
        order: "display_name, id desc",
        names: "name",
    },
    Model {
        name: "res.partner.category",
        title: "Contact Tags",
        fields: CATEGORY_FIELDS,
        order: "name, id",
        names: "name",
    },
    Model {
        name: "product.template",
        title: "Product",
        fields: PRODUCT_FIELDS,
        order: "name, id",
        names: "name",
    },
    Model {
        name: "product.category",
        title: "Product Category",
        fields: PRODUCT_CATEGORY_FIELDS,
        order: "display_name, id",
        names: "name",
    },
    Model {
        name: "ir.model.data",
        title: "Model Data",
        fields: DATA_FIELDS,
        order: "module, model, name",
        names: "name",
    },
    Model { name: "res.users", title: "User", fields: USERS_FIELDS, order: "name, login", names: "name" },
    Model { name: "res.country", title: "Country", fields: COUNTRY_FIELDS, order: "name, id", names: "name" },
    Model {
        name: "res.country.state",
        title: "Country state",
        fields: STATE_FIELDS,
        order: "code, id",
        names: "name",
    },
    Model {
        name: "res.company",
        title: "Companies",
        fields: COMPANY_FIELDS,
        order: "name, id",
        names: "name",
    },
    Model { name: "res.lang", title: "Languages", fields: LANG_FIELDS, order: "name, id", names: "name" },
    Model { name: "ir.model", title: "Models", fields: MODEL_FIELDS, order: "model, id", names: "name" },
];

const ACTIVE: Field = Field::new("active", "Active", Boolean).preset(Preset::True);

static PARTNER_FIELDS: &[Field] = &[
    Field::new("name", "Name", Char),
    Field::new("email", "Email", Char),
    Field::new("phone", "Phone", Char),
    Field::new("street", "Street", Char),
    Field::new("city", "City", Char),
    Field::new("zip", "Zip", Char),
    Field::new("ref", "Reference", Char),
    Field::new("is_company", "Is a Company", Boolean),
    Field::new("parent_id", "Related Company", Many2one(PARTNER, SetNull)),
    Field::new("country_id", "Country", Many2one(COUNTRY, Restrict)),
    Field::new("category_id", "Tags", Many2many(CATEGORY)),
    Field::new("comment", "Notes", Html),
    Field::new("active", "Active", Boolean).preset(Preset::True),
    Field::new(
        "type",
        "Address Type",
        Selection(&[
            ("contact", "Contact"),
            ("invoice", "Invoice"),
            ("delivery", "Delivery"),
            ("other", "Other"),
        ]),
    )
    .preset(Preset::Text("contact")),
    Field::new("child_ids", "Contact", One2many(PARTNER, "parent_id")),
    Field::new("street2", "Street2", Char),
    Field::new("state_id", "State", Many2one(STATE, Restrict)),
    Field::new("website", "Website", Char),
    Field::new("vat", "Tax ID", Char),
    Field::new("function", "Job Position", Char),
    Field::new("lang", "Language", Selection(&[("en_US", "English (US)"), ("fr_FR", "French / Français")])),
    Field::new("tz", "Timezone", Char),
    Field::new("color", "Color Index", Integer),
    Field::new("user_id", "Salesperson", Many2one(USERS, SetNull)),
    Field::new("company_id", "Company", Many2one(COMPANY, SetNull)),
    Field::new("barcode", "Barcode", Char),
    Field::new("credit_limit", "Credit Limit", Float),
    Field::new("partner_latitude", "Geo Latitude", Float),
    Field::new("partner_longitude", "Geo Longitude", Float),
    Field::new("date", "Date", Date),
    Field::new("customer_rank", "Customer Rank", Integer),
    Field::new("supplier_rank", "Vendor Rank", Integer),
];

static CATEGORY_FIELDS: &[Field] = &[
    Field::new("name", "Name", Char).required(),
    Field::new("color", "Color", Integer),
    Field::new("parent_id", "Category", Many2one(CATEGORY, Cascade)),
    Field::new("child_ids", "Child Tags", One2many(CATEGORY, "parent_id")),
    ACTIVE,
];

static PRODUCT_FIELDS: &[Field] = &[
    Field::new("name", "Name", Char).required(),
    Field::new("default_code", "Internal Reference", Char),
    Field::new("list_price", "Sales Price", Float).preset(Preset::Float(1.0)),
    Field::new("standard_price", "Cost", Float),
    Field::new(
        "type",
        "Product Type",
        Selection(&[("consu", "Goods"), ("service", "Service"), ("combo", "Combo")]),
    )
    .required()
    .preset(Preset::Text("consu")),
    Field::new("categ_id", "Product Category", Many2one(PRODUCT_CATEGORY, Restrict))
        .preset(Preset::Integer(1)),
    Field::new("barcode", "Barcode", Char),
    Field::new("description", "Description", Html),
    Field::new("description_sale", "Sales Description", Text),
    Field::new("sale_ok", "Sales", Boolean).preset(Preset::True),
    Field::new("purchase_ok", "Purchase", Boolean).preset(Preset::True),
    Field::new("weight", "Weight", Float),
    Field::new("volume", "Volume", Float),
    Field::new("sequence", "Sequence", Integer).preset(Preset::Integer(1)),
    Field::new("company_id", "Company", Many2one(COMPANY, SetNull)),
    ACTIVE,
];

static PRODUCT_CATEGORY_FIELDS: &[Field] = &[
    Field::new("name", "Name", Char).required(),
    Field::new("parent_id", "Parent Category", Many2one(PRODUCT_CATEGORY, Cascade)),
    Field::new("child_id", "Child Categories", One2many(PRODUCT_CATEGORY, "parent_id")),
];

static DATA_FIELDS: &[Field] = &[
    Field::new("module", "Module", Char).required().preset(Preset::Text("")),
    Field::new("name", "External Identifier", Char).required(),
    Field::new("model", "Model Name", Char).required(),
    Field::new("res_id", "Record ID", Integer),
    Field::new("noupdate", "Non Updatable", Boolean),
];

static USERS_FIELDS: &[Field] = &[
    Field::new("login", "Login", Char).required(),
    Field::new("password", "Password", Char),
    Field::new("partner_id", "Related Partner", Many2one(PARTNER, Restrict)).required(),
    Field::new("name", "Name", Char).at(Place::OfPartner),
    Field::new("email", "Email", Char).at(Place::OfPartner),
    Field::new("phone", "Phone", Char).at(Place::OfPartner),
    Field::new("lang", "Language", Char).at(Place::OfPartner),
    Field::new("tz", "Timezone", Char).at(Place::OfPartner),
    Field::new("company_id", "Company", Many2one(COMPANY, Restrict)).preset(Preset::Integer(1)),
    Field::new("signature", "Email Signature", Html),
    Field::new("share", "Share User", Boolean),
    ACTIVE,
];

static COUNTRY_FIELDS: &[Field] = &[
    Field::new("name", "Country Name", Char).required(),
    Field::new("code", "Country Code", Char).required(),
    Field::new("phone_code", "Country Calling Code", Integer),
    Field::new("state_ids", "States", One2many(STATE, "country_id")),
];

static STATE_FIELDS: &[Field] = &[
    Field::new("name", "State Name", Char).required(),
    Field::new("code", "State Code", Char).required(),
    Field::new("country_id", "Country", Many2one(COUNTRY, Restrict)).required(),
];

static COMPANY_FIELDS: &[Field] = &[
    Field::new("name", "Company Name", Char).required(),
    Field::new("partner_id", "Partner", Many2one(PARTNER, Restrict)),
    Field::new("email", "Email", Char),
];

static LANG_FIELDS: &[Field] = &[
    Field::new("name", "Name", Char).required(),
    Field::new("code", "Locale Code", Char).required(),
    ACTIVE,
];

static MODEL_FIELDS: &[Field] = &[
    Field::new("name", "Model Description", Char).required(),
    Field::new("model", "Model", Char).required(),
    Field::new("transient", "Transient Model", Boolean),
];

#[cfg(test)]
mod tests {
    use super::super::schema::Kind;
    use super::*;

    #[test]
    fn each_constant_leads_to_its_model_and_each_inverse_points_back() {
        let named = [
            (PARTNER, "res.partner"),
            (CATEGORY, "res.partner.category"),
            (PRODUCT_CATEGORY, "product.category"),
            (DATA, "ir.model.data"),
            (USERS, "res.users"),
            (COUNTRY, "res.country"),
            (STATE, "res.country.state"),
            (COMPANY, "res.company"),
            (LANG, "res.lang"),
            (MODEL, "ir.model"),
        ];
        for (model, name) in named {
            assert_eq!(MODELS[model].name, name);
        }
        for (at, model) in MODELS.iter().enumerate() {
            for (_, field) in model.columns() {
                if let Kind::One2many(to, inverse) = field.kind {
                    assert_eq!(MODELS[to].field(inverse).unwrap().1.relation(), Some(at), "{}", field.name);
                }
            }
        }
    }
}
