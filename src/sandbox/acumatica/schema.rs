//! What the endpoint offers: entities, their keys, fields, details and actions.

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A string that must be one of these.
    Choice(&'static [&'static str]),
    Decimal,
    Int,
    Bool,
    Date,
}

impl Kind {
    /// The wrapper's name in `swagger.json`.
    pub(super) fn wrapper(self) -> &'static str {
        match self {
            Self::Text | Self::Choice(_) => "StringValue",
            Self::Decimal => "DecimalValue",
            Self::Int => "IntValue",
            Self::Bool => "BooleanValue",
            Self::Date => "DateTimeValue",
        }
    }

    /// The name in the metadata of generic inquiries.
    pub(super) fn edm(self) -> &'static str {
        match self {
            Self::Text | Self::Choice(_) => "Edm.String",
            Self::Decimal => "Edm.Decimal",
            Self::Int => "Edm.Int32",
            Self::Bool => "Edm.Boolean",
            Self::Date => "Edm.DateTimeOffset",
        }
    }
}

/// What a field asks of its value, besides its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// It must not be empty.
    Required,
    /// It holds at most this many characters.
    MaxLength(usize),
    /// It is a number from the first to the second.
    Between(f64, f64),
    /// It is the key of a record of this entity.
    KeyOf(&'static str),
    /// It is the name of a time zone.
    TimeZone,
    /// The server sets it; what is sent is ignored without a word.
    ReadOnly,
}

/// A field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) rules: &'static [Rule],
    /// The value of a new record.
    pub(super) default: Option<&'static str>,
}

impl Field {
    pub(super) fn is_read_only(&self) -> bool {
        self.rules.contains(&Rule::ReadOnly)
    }
}

const fn field(name: &'static str, kind: Kind, rules: &'static [Rule]) -> Field {
    Field { name, kind, rules, default: None }
}

const fn preset(name: &'static str, kind: Kind, rules: &'static [Rule], default: &'static str) -> Field {
    Field { name, kind, rules, default: Some(default) }
}

/// The fields of a record or of a part of one.
#[derive(Debug)]
pub(super) struct Shape {
    /// The name of the model in `swagger.json`.
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
    /// Parts of which there is one.
    pub(super) linked: &'static [(&'static str, &'static Shape)],
    /// Parts of which there are many.
    pub(super) details: &'static [(&'static str, &'static Shape)],
    /// Custom fields: view, field, type.
    pub(super) custom: &'static [(&'static str, &'static str, &'static str)],
}

impl Shape {
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(super) fn link(&self, name: &str) -> Option<(&'static str, &'static Shape)> {
        self.linked.iter().find(|(n, _)| *n == name).copied()
    }

    pub(super) fn detail(&self, name: &str) -> Option<(&'static str, &'static Shape)> {
        self.details.iter().find(|(n, _)| *n == name).copied()
    }
}

/// An action of an entity.
#[derive(Debug)]
pub(super) struct ActionShape {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [&'static str],
    /// Whether it runs on after the answer: 202 instead of 204.
    pub(super) is_long: bool,
    /// Whether it fails on a document without lines, after its 202.
    pub(super) needs_details: bool,
    /// The statuses in which its button is enabled.
    pub(super) from: &'static [&'static str],
    /// The status that it leads to.
    pub(super) to: &'static str,
}

/// A top-level entity.
#[derive(Debug)]
pub(super) struct EntityShape {
    pub(super) shape: &'static Shape,
    /// The screen that it stands for.
    pub(super) screen: &'static str,
    pub(super) title: &'static str,
    pub(super) keys: &'static [&'static str],
    /// The key that the server numbers by itself where it is not given.
    pub(super) auto_number: Option<&'static str>,
    pub(super) actions: &'static [ActionShape],
}

impl EntityShape {
    pub(super) fn name(&self) -> &'static str {
        self.shape.name
    }
}

use Kind::{Bool, Choice, Date, Decimal, Int, Text};
use Rule::{Between, KeyOf, MaxLength, ReadOnly, Required, TimeZone};

static ADDRESS: Shape = Shape {
    name: "Address",
    fields: &[
        field("AddressLine1", Text, &[MaxLength(50)]),
        field("AddressLine2", Text, &[MaxLength(50)]),
        field("City", Text, &[MaxLength(50)]),
        preset("Country", Text, &[MaxLength(2)], "US"),
        field("PostalCode", Text, &[MaxLength(20)]),
        field("State", Text, &[MaxLength(50)]),
    ],
    linked: &[],
    details: &[],
    custom: &[],
};

static CONTACT: Shape = Shape {
    name: "Contact",
    fields: &[
        field("Attention", Text, &[MaxLength(255)]),
        field("DisplayName", Text, &[MaxLength(255)]),
        field("Email", Text, &[MaxLength(255)]),
        field("Phone1", Text, &[MaxLength(50)]),
    ],
    linked: &[("Address", &ADDRESS)],
    details: &[],
    custom: &[],
};

static CUSTOMER_CONTACT: Shape = Shape {
    name: "CustomerContact",
    fields: &[
        field("ContactID", Int, &[]),
        field("DisplayName", Text, &[Required, MaxLength(255)]),
        field("Email", Text, &[MaxLength(255)]),
        preset("IsPrimary", Bool, &[], "false"),
    ],
    linked: &[],
    details: &[],
    custom: &[],
};

static CUSTOMER: Shape = Shape {
    name: "Customer",
    fields: &[
        field("CustomerID", Text, &[Required, MaxLength(30)]),
        field("CustomerName", Text, &[Required, MaxLength(255)]),
        preset("CustomerClass", Text, &[MaxLength(10)], "DEFAULT"),
        preset(
            "Status",
            Choice(&["Active", "On Hold", "Credit Hold", "Inactive", "One-Time"]),
            &[],
            "Active",
        ),
        preset("CurrencyID", Text, &[MaxLength(5)], "USD"),
        preset("CreditLimit", Decimal, &[Between(0.0, 1e9)], "0"),
        preset("Terms", Text, &[MaxLength(10)], "30D"),
        field("Email", Text, &[MaxLength(255)]),
        field("AccountRef", Text, &[MaxLength(50)]),
        field("CreatedDateTime", Date, &[ReadOnly]),
        field("LastModifiedDateTime", Date, &[ReadOnly]),
    ],
    linked: &[("MainContact", &CONTACT), ("BillingContact", &CONTACT)],
    details: &[("Contacts", &CUSTOMER_CONTACT)],
    custom: &[
        ("CurrentCustomer", "UsrSegment", "CustomStringField"),
        ("CurrentCustomer", "UsrScore", "CustomIntField"),
    ],
};

static SALES_ORDER_DETAIL: Shape = Shape {
    name: "SalesOrderDetail",
    fields: &[
        field("InventoryID", Text, &[Required, KeyOf("StockItem")]),
        preset("OrderQty", Decimal, &[Between(0.0, 1e9)], "0"),
        preset("UnitPrice", Decimal, &[Between(0.0, 1e9)], "0"),
        field("ExtendedPrice", Decimal, &[ReadOnly]),
        field("WarehouseID", Text, &[KeyOf("Warehouse")]),
        field("LineDescription", Text, &[MaxLength(256)]),
        field("LineNbr", Int, &[ReadOnly]),
        preset("UOM", Text, &[MaxLength(6)], "EACH"),
        preset("Project", Text, &[MaxLength(30)], "X"),
    ],
    linked: &[],
    details: &[],
    custom: &[],
};

static SALES_ORDER: Shape = Shape {
    name: "SalesOrder",
    fields: &[
        preset("OrderType", Choice(&["SO", "IN", "QT", "RM", "CM"]), &[Required], "SO"),
        field("OrderNbr", Text, &[MaxLength(15)]),
        field("CustomerID", Text, &[Required, KeyOf("Customer")]),
        field("CustomerOrder", Text, &[MaxLength(40)]),
        field("ExternalRef", Text, &[MaxLength(40)]),
        preset("Status", Text, &[ReadOnly], "On Hold"),
        preset("Hold", Bool, &[], "true"),
        field("Date", Date, &[]),
        field("Description", Text, &[MaxLength(255)]),
        field("OrderTotal", Decimal, &[ReadOnly]),
        field("OrderedQty", Decimal, &[ReadOnly]),
        preset("CurrencyID", Text, &[MaxLength(5)], "USD"),
        field("CreatedDate", Date, &[ReadOnly]),
        field("LastModified", Date, &[ReadOnly]),
    ],
    linked: &[("ShipToAddress", &ADDRESS)],
    details: &[("Details", &SALES_ORDER_DETAIL)],
    custom: &[("Document", "UsrExternalRef", "CustomStringField")],
};

static WAREHOUSE_DETAIL: Shape = Shape {
    name: "StockItemWarehouseDetail",
    fields: &[
        field("WarehouseID", Text, &[Required, KeyOf("Warehouse")]),
        preset("QtyOnHand", Decimal, &[], "0"),
        preset("IsDefault", Bool, &[], "false"),
    ],
    linked: &[],
    details: &[],
    custom: &[],
};

static STOCK_ITEM: Shape = Shape {
    name: "StockItem",
    fields: &[
        field("InventoryID", Text, &[Required, MaxLength(30)]),
        field("Description", Text, &[MaxLength(256)]),
        preset(
            "ItemStatus",
            Choice(&["Active", "No Sales", "No Purchases", "No Request", "Inactive", "Marked for Deletion"]),
            &[],
            "Active",
        ),
        preset("ItemClass", Text, &[MaxLength(30)], "STOCKITEM"),
        preset("DefaultPrice", Decimal, &[Between(0.0, 1e9)], "0"),
        preset("BaseUOM", Text, &[MaxLength(6)], "EACH"),
        preset("IsAKit", Bool, &[], "false"),
        field("LastModified", Date, &[ReadOnly]),
    ],
    linked: &[],
    details: &[("WarehouseDetails", &WAREHOUSE_DETAIL)],
    custom: &[("ItemSettings", "UsrShelf", "CustomStringField")],
};

static WAREHOUSE_LOCATION: Shape = Shape {
    name: "WarehouseLocation",
    fields: &[
        field("LocationID", Text, &[Required, MaxLength(10)]),
        field("Description", Text, &[MaxLength(60)]),
        preset("Active", Bool, &[], "true"),
    ],
    linked: &[],
    details: &[],
    custom: &[],
};

static WAREHOUSE: Shape = Shape {
    name: "Warehouse",
    fields: &[
        field("WarehouseID", Text, &[Required, MaxLength(30)]),
        field("Description", Text, &[Required, MaxLength(60)]),
        preset("Active", Bool, &[], "true"),
        field("Latitude", Decimal, &[Between(-90.0, 90.0)]),
        field("Longitude", Decimal, &[Between(-180.0, 180.0)]),
        // In feet: this company stores nothing below the sea or above 7,500.
        field("Altitude", Decimal, &[Between(0.0, 7500.0)]),
        field("UtcOffset", Decimal, &[Between(-12.0, 14.0)]),
        field("DST", Text, &[MaxLength(1)]),
        field("TimeZone", Text, &[Required, TimeZone]),
        field("LastModifiedDateTime", Date, &[ReadOnly]),
    ],
    linked: &[],
    details: &[("Locations", &WAREHOUSE_LOCATION)],
    custom: &[("site", "UsrRegion", "CustomStringField")],
};

/// All top-level entities.
pub(super) static ENTITIES: [EntityShape; 4] = [
    EntityShape {
        shape: &CUSTOMER,
        screen: "AR303000",
        title: "Customers",
        keys: &["CustomerID"],
        auto_number: None,
        actions: &[ActionShape {
            name: "PutOnHold",
            parameters: &["Reason"],
            is_long: false,
            needs_details: false,
            from: &["Active"],
            to: "On Hold",
        }],
    },
    EntityShape {
        shape: &SALES_ORDER,
        screen: "SO301000",
        title: "Sales Orders",
        keys: &["OrderType", "OrderNbr"],
        auto_number: Some("OrderNbr"),
        actions: &[
            ActionShape {
                name: "ReleaseFromHold",
                parameters: &[],
                is_long: false,
                needs_details: false,
                from: &["On Hold"],
                to: "Open",
            },
            ActionShape {
                name: "CreateShipment",
                parameters: &["ShipmentDate", "WarehouseID"],
                is_long: true,
                needs_details: true,
                from: &["Open"],
                to: "Shipping",
            },
            ActionShape {
                name: "CancelOrder",
                parameters: &[],
                is_long: false,
                needs_details: false,
                from: &["On Hold", "Open"],
                to: "Canceled",
            },
        ],
    },
    EntityShape {
        shape: &STOCK_ITEM,
        screen: "IN202500",
        title: "Stock Items",
        keys: &["InventoryID"],
        auto_number: None,
        actions: &[],
    },
    EntityShape {
        shape: &WAREHOUSE,
        screen: "IN204000",
        title: "Warehouses",
        keys: &["WarehouseID"],
        auto_number: None,
        actions: &[],
    },
];

/// The entity of this name, in whatever case: paths are case-insensitive (recorded traffic 2023).
pub(super) fn entity(name: &str) -> Option<&'static EntityShape> {
    ENTITIES.iter().find(|entity| entity.name().eq_ignore_ascii_case(name))
}

/// A generic inquiry: a flat view of one entity.
#[derive(Debug)]
pub(super) struct Inquiry {
    /// The name over OData.
    pub(super) name: &'static str,
    /// The name of the entity on the endpoint, and of its rows.
    pub(super) endpoint: Option<(&'static str, &'static str, &'static str)>,
    pub(super) of: &'static str,
    pub(super) fields: &'static [&'static str],
    /// Whether "Expose via OData" is ticked.
    pub(super) exposed: bool,
}

/// All generic inquiries.
pub(super) static INQUIRIES: [Inquiry; 4] = [
    Inquiry {
        name: "Stock Items",
        endpoint: Some(("StockItemsInquiry", "Results", "Stock Items (GI000101)")),
        of: "StockItem",
        fields: &["InventoryID", "Description", "ItemStatus", "DefaultPrice"],
        exposed: true,
    },
    Inquiry {
        name: "Customer-List",
        endpoint: None,
        of: "Customer",
        fields: &["CustomerID", "CustomerName", "Status", "CreditLimit"],
        exposed: true,
    },
    Inquiry {
        name: "Warehouses",
        endpoint: None,
        of: "Warehouse",
        fields: &["WarehouseID", "Description", "Active", "Altitude", "TimeZone"],
        exposed: true,
    },
    Inquiry { name: "Payroll", endpoint: None, of: "Customer", fields: &["CustomerID"], exposed: false },
];
