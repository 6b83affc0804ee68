//! What a fresh database holds.

use serde_json::{Value, json};

use super::account::Account;
use super::create::create;
use super::environment::Environment;
use super::load::name_record;
use super::models::{CATEGORY, COMPANY, COUNTRY, LANG, MODEL, PARTNER, PRODUCT_CATEGORY, STATE, USERS};
use super::schema::ModelId;
use super::session::random;
use super::site::model_names;
use super::store::Store;
use super::transaction::Transaction;

const COUNTRIES: &[(&str, &str, i64)] = &[
    ("AR", "Argentina", 54),
    ("AT", "Austria", 43),
    ("AU", "Australia", 61),
    ("BE", "Belgium", 32),
    ("BR", "Brazil", 55),
    ("CA", "Canada", 1),
    ("CH", "Switzerland", 41),
    ("CN", "China", 86),
    ("DE", "Germany", 49),
    ("DK", "Denmark", 45),
    ("ES", "Spain", 34),
    ("FI", "Finland", 358),
    ("FR", "France", 33),
    ("GB", "United Kingdom", 44),
    ("IE", "Ireland", 353),
    ("IN", "India", 91),
    ("IT", "Italy", 39),
    ("JP", "Japan", 81),
    ("LU", "Luxembourg", 352),
    ("MX", "Mexico", 52),
    ("NL", "Netherlands", 31),
    ("NO", "Norway", 47),
    ("NZ", "New Zealand", 64),
    ("PL", "Poland", 48),
    ("PT", "Portugal", 351),
    ("SE", "Sweden", 46),
    ("SG", "Singapore", 65),
    ("US", "United States", 1),
];

/// A user to be made: login, password, whether they may only read.
pub(super) type User = (String, String, bool);

/// A fresh database, and those who may sign in. Partners 1 to 6 and users 1 to 5 are there, as in a real one
/// with a demo user, and `users` follow.
pub(super) fn database(users: &[User], partners: usize) -> (Store, Vec<Account>) {
    let mut store = Store::default();
    let env = Environment { user: 1, version: 19, ..Environment::default() };
    let mut accounts = Vec::new();
    let mut tx = Transaction::new(&mut store, &env, 0);
    let mut add = |model: ModelId, name: &str, values: Value| -> i64 {
        let values = values.as_object().expect("an object");
        let id = create(&mut tx, model, values).expect("what is seeded is right");
        let (module, name) = name.split_once('.').unwrap_or(("base", name));
        if !name.is_empty() {
            name_record(&mut tx, model, id, (module, name), true);
        }
        id
    };

    add(PARTNER, "main_partner", json!({"name": "My Company", "is_company": true}));
    add(COMPANY, "main_company", json!({"name": "My Company", "partner_id": 1}));
    for (code, name) in [("en_US", "English (US)"), ("fr_FR", "French / Français")] {
        add(LANG, &format!("lang_{}", &code[..2]), json!({"code": code, "name": name}));
    }
    for (code, name, phone) in COUNTRIES {
        add(COUNTRY, &code.to_lowercase(), json!({"code": code, "name": name, "phone_code": phone}));
    }
    let states = [("NY", "New York", "US"), ("CA", "California", "US"), ("ON", "Ontario", "CA")];
    for (code, name, country) in states {
        let at = COUNTRIES.iter().position(|(known, ..)| *known == country).expect("a country of the list");
        let values = json!({"code": code, "name": name, "country_id": at + 1});
        add(STATE, &format!("state_{}_{}", country.to_lowercase(), code.to_lowercase()), values);
    }
    add(PRODUCT_CATEGORY, "product.product_category_all", json!({"name": "All"}));
    for (name, color) in [("Vendor", 2), ("Prospect", 3), ("Services", 4)] {
        let id = format!("res_partner_category_{}", name.to_lowercase());
        add(CATEGORY, &id, json!({"name": name, "color": color}));
    }
    for (name, title) in model_names() {
        add(MODEL, &format!("model_{}", name.replace('.', "_")), json!({"model": name, "name": title}));
    }

    let people = [
        ("user_root", "OdooBot", "__system__", false),
        ("user_admin", "Mitchell Admin", "admin", true),
        ("public_user", "Public user", "public", false),
        ("template_portal_user_id", "Portal User Template", "portaltemplate", false),
        ("user_demo", "Marc Demo", "demo", true),
    ];
    for (id, name, login, active) in people {
        let partner = json!({"name": name, "active": active, "email": format!("{login}@example.com")});
        let partner = add(PARTNER, &id.replace("user", "partner"), partner);
        add(USERS, id, json!({"login": login, "partner_id": partner, "active": active}));
    }
    for (login, password, is_limited) in users {
        let id = match people.iter().position(|(_, _, known, _)| known == login) {
            Some(at) => i64::try_from(at + 1).expect("there are five"),
            None => add(USERS, "", json!({"login": login, "name": login})),
        };
        accounts.push(Account {
            id,
            login: login.clone(),
            password: password.clone(),
            // A real key is 160 bits in hex.
            key: random(40),
            is_limited: *is_limited,
        });
    }
    for i in 1..=partners {
        let values = json!({
            "name": format!("Partner {i}"), "email": format!("partner{i}@example.com"), "city": "Brussels",
            "ref": format!("P{i:06}"),
        });
        add(PARTNER, "", values);
    }
    drop(tx.commit(0, 0));
    (store, accounts)
}
