//! Records: transactions, constraints, domains, access rights.

use batchcall::sandbox::{Action, Sandbox};
use serde_json::{Value, json};

use crate::odoo_client::Odoo;

fn start() -> (Sandbox, Odoo) {
    let sandbox = Sandbox::odoo(19).start().unwrap();
    let odoo = Odoo::new(&sandbox);
    (sandbox, odoo)
}

#[test]
fn one_bad_row_rolls_the_call_back_and_uses_up_the_ids() {
    let (sandbox, odoo) = start();
    let before = sandbox.records("res.partner").len();
    let rows = json!([[{"name": "A"}, {"email": "nameless"}, {"name": "C"}]]);
    assert_eq!(odoo.trouble("res.partner", "create", &rows).0, "odoo.exceptions.ValidationError");
    assert_eq!((sandbox.records("res.partner").len(), sandbox.history().effects().count()), (before, 0));
    let id = odoo.call("res.partner", "create", &json!([{"name": "A"}]));
    assert!(id.as_i64().unwrap() > 7, "{id}");
}

#[test]
fn unlink_of_a_missing_record_deletes_none() {
    let (sandbox, odoo) = start();
    odoo.call("res.partner", "create", &json!([[{"name": "A"}, {"name": "B"}]]));
    assert_eq!(odoo.trouble("res.partner", "unlink", &json!([[7, 99, 8]])).0, "odoo.exceptions.MissingError");
    assert!(sandbox.record("res.partner", "7").is_some());
    assert_eq!(odoo.call("res.partner", "unlink", &json!([[7, 8]])), true);
    assert!(sandbox.record("res.partner", "7").is_none());
}

#[test]
fn what_others_need_cannot_be_deleted() {
    let (sandbox, odoo) = start();
    let (name, message) = odoo.trouble("res.partner", "unlink", &json!([[3]]));
    assert_eq!(name, "odoo.exceptions.ValidationError");
    assert!(
        message.starts_with(
            "The operation cannot be completed: another model requires the record being deleted."
        )
    );
    assert!(sandbox.record("res.partner", "3").is_some());
    // A parent lets its children go, a tag takes those below it along.
    odoo.call("res.partner", "create", &json!([{"name": "P", "child_ids": [[0, 0, {"name": "C"}]]}]));
    odoo.call("res.partner", "unlink", &json!([[7]]));
    assert_eq!(sandbox.record("res.partner", "8").unwrap()["parent_id"], false);
    let tag = odoo.call("res.partner.category", "create", &json!([{"name": "T"}]));
    let below = odoo.call("res.partner.category", "create", &json!([{"name": "U", "parent_id": tag}]));
    odoo.call("res.partner.category", "unlink", &json!([[tag]]));
    assert!(sandbox.record("res.partner.category", &below.to_string()).is_none());
}

#[test]
fn a_name_is_needed_of_contacts_alone() {
    let (_sandbox, odoo) = start();
    let id = odoo.call("res.partner", "create", &json!([{"type": "invoice", "parent_id": 1}]));
    assert!(id.is_i64());
    assert_eq!(
        odoo.trouble("res.partner", "write", &json!([[1], {"name": false}])).0,
        "odoo.exceptions.ValidationError"
    );
    assert_eq!(
        odoo.trouble("res.partner", "write", &json!([[1], {"parent_id": id}])).0,
        "odoo.exceptions.ValidationError"
    );
}

#[test]
fn commands_change_relations() {
    let (_sandbox, odoo) = start();
    let tags = |value: Value| {
        odoo.call("res.partner", "write", &json!([[1], {"category_id": value}]));
        odoo.call("res.partner", "read", &json!([[1], ["category_id"]]))[0]["category_id"].clone()
    };
    assert_eq!(tags(json!([[6, 0, [1, 2]]])), json!([1, 2]));
    assert_eq!(tags(json!([[4, 3, 0], [3, 1, 0]])), json!([2, 3]));
    assert_eq!(tags(json!([[0, 0, {"name": "New"}]])), json!([2, 3, 4]));
    assert_eq!(tags(json!([[5, 0, 0]])), json!([]));
    assert_eq!(tags(json!([1])), json!([1]));
}

#[test]
fn dates_and_choices_are_checked() {
    let (_sandbox, odoo) = start();
    let write = |values: Value| odoo.trouble("res.partner", "write", &json!([[1], values]));
    assert_eq!(
        write(json!({"type": "wrong"})),
        ("builtins.ValueError".into(), "Wrong value for res.partner.type: 'wrong'".into())
    );
    assert_eq!(write(json!({"date": "soon"})).0, "builtins.ValueError");
    assert_eq!(write(json!({"color": "red"})).1, "invalid literal for int() with base 10: 'red'");
}

#[test]
fn domains_select() {
    let (_sandbox, odoo) = start();
    let rows = json!([[
        {"name": "Alpha", "color": 1, "city": "Namur"}, {"name": "beta", "color": 2, "parent_id": 7},
        {"name": "Gamma 100%", "color": 3, "active": false}, {"name": "delta", "parent_id": 8, "category_id": [1]},
    ]]);
    assert_eq!(odoo.call("res.partner", "create", &rows), json!([7, 8, 9, 10]));
    let found = |domain: Value| {
        let mut all = json!([["id", ">", 6]]);
        all.as_array_mut().unwrap().extend(domain.as_array().unwrap().clone());
        let kwargs = json!({"order": "id"});
        let answer = odoo.execute("res.partner", "search", &json!([all]), &kwargs);
        serde_json::from_value::<Vec<i64>>(answer["result"].clone()).unwrap_or_else(|_| panic!("{answer}"))
    };
    assert_eq!(found(json!([])), [7, 8, 10], "archived ones are left out");
    assert_eq!(found(json!([["active", "in", [true, false]]])), [7, 8, 9, 10]);
    assert_eq!(found(json!([["name", "=", "Alpha"]])), [7]);
    assert_eq!(found(json!([["name", "!=", "Alpha"]])), [8, 10]);
    assert_eq!(found(json!([["name", "ilike", "ALPH"]])), [7]);
    assert_eq!(found(json!([["name", "like", "ALPH"]])), [0_i64; 0]);
    assert_eq!(found(json!([["name", "not ilike", "a"]])), [0_i64; 0]);
    assert_eq!(found(json!([["name", "=like", "%ta"]])), [8, 10]);
    assert_eq!(found(json!([["name", "=ilike", "ALPH_"]])), [7]);
    assert_eq!(found(json!(["|", ["name", "=", "Alpha"], ["name", "=", "delta"]])), [7, 10]);
    assert_eq!(found(json!(["!", ["name", "=", "Alpha"]])), [8, 10]);
    assert_eq!(found(json!(["&", ["color", ">", 0], ["color", "<=", 1]])), [7]);
    assert_eq!(found(json!([["city", "=", false]])), [8, 10]);
    assert_eq!(found(json!([["city", "in", ["Namur", false]]])), [7, 8, 10]);
    assert_eq!(found(json!([["color", "not in", [1, 2]]])), [10]);
    assert_eq!(found(json!([["parent_id", "=", 7]])), [8]);
    assert_eq!(found(json!([["parent_id.name", "=", "Alpha"]])), [8]);
    assert_eq!(found(json!([["parent_id", "ilike", "alpha"]])), [8, 10]);
    assert_eq!(found(json!([["parent_id", "any", [["color", "=", 1]]]])), [8]);
    assert_eq!(found(json!([["id", "child_of", 7]])), [7, 8, 10]);
    assert_eq!(found(json!([["id", "parent_of", [8]]])), [7, 8]);
    assert_eq!(found(json!([["category_id", "in", [1]]])), [10]);
    assert_eq!(found(json!([["category_id", "=", false]])), [7, 8]);
    assert_eq!(found(json!([["city", "=?", false]])), [7, 8, 10]);
    assert_eq!(found(json!([[1, "=", 1]])), [7, 8, 10]);
    assert_eq!(found(json!([[0, "=", 1]])), [0_i64; 0]);
}

#[test]
fn searches_are_ordered_and_paged() {
    let (_sandbox, odoo) = start();
    odoo.call(
        "res.partner.category",
        "create",
        &json!([[{"name": "b"}, {"name": "a", "color": 9}, {"name": "c"}]]),
    );
    let search = |kwargs: Value| {
        let answer = odoo.execute("res.partner.category", "search", &json!([[["id", ">", 3]]]), &kwargs);
        answer["result"].clone()
    };
    assert_eq!(search(json!({})), json!([5, 4, 6]), "by the model's own order");
    assert_eq!(search(json!({"order": "name desc"})), json!([6, 4, 5]));
    assert_eq!(search(json!({"order": "id", "offset": 1, "limit": 1})), json!([5]));
    // As in SQL, what is unset is last, and first where the order is turned round.
    assert_eq!(search(json!({"order": "color, id", "limit": false})), json!([5, 4, 6]));
    assert_eq!(search(json!({"order": "color desc, id desc"})), json!([6, 4, 5]));
    assert_eq!(
        odoo.trouble("res.partner", "search", &json!([[], 0, 1, "name sideways"])).0,
        "odoo.exceptions.UserError"
    );
    let rows = odoo.execute(
        "res.partner.category",
        "search_read",
        &json!([]),
        &json!({"domain": [["color", "=", 9]], "fields": ["name"]}),
    );
    assert_eq!(rows["result"], json!([{"id": 5, "name": "a"}]));
    assert_eq!(odoo.call("res.partner.category", "name_create", &json!(["NC"])), json!([7, "NC"]));
    assert_eq!(odoo.call("res.partner.category", "name_search", &json!(["nc"])), json!([[7, "NC"]]));
}

#[test]
fn fields_are_described() {
    let (_sandbox, odoo) = start();
    let about = odoo.execute(
        "res.partner",
        "fields_get",
        &json!([["parent_id", "type"]]),
        &json!({"attributes": ["type", "relation"]}),
    );
    assert_eq!(
        about["result"],
        json!({"parent_id": {"type": "many2one", "relation": "res.partner"}, "type": {"type": "selection"}})
    );
    let all = odoo.call("product.template", "fields_get", &json!([]));
    assert_eq!((all["name"]["required"].clone(), all["id"]["readonly"].clone()), (true.into(), true.into()));
}

#[test]
fn a_limited_user_reads_and_does_nothing_else() {
    let (sandbox, _) = start();
    let demo = Odoo::demo(&sandbox);
    assert_eq!(
        demo.call("res.partner", "read", &json!([[1], ["name"]])),
        json!([{"id": 1, "name": "My Company"}])
    );
    let denied = "odoo.exceptions.AccessError";
    let (name, message) = demo.trouble("res.users", "write", &json!([[5], {"lang": "fr_FR"}]));
    assert_eq!(name, denied);
    assert!(message.starts_with("You are not allowed to modify 'User' (res.users) records."), "{message}");
    assert_eq!(demo.trouble("res.partner", "create", &json!([{"name": "A"}])).0, denied);
    assert_eq!(demo.trouble("res.partner", "unlink", &json!([[1]])).0, denied);
    assert_eq!(demo.call("res.partner", "check_access_rights", &json!(["write", false])), false);
    let loaded = demo.call("res.partner", "load", &json!([["name"], [["A"]]]));
    assert_eq!(
        (loaded["ids"].clone(), loaded["messages"][0]["type"].clone()),
        (false.into(), "error".into())
    );
    assert_eq!(demo.json2("res.partner", "write", &json!({"ids": [1], "vals": {}})).status, 403);
    assert_eq!(sandbox.history().effects().count(), 0);
}

#[test]
fn a_user_is_a_partner_too() {
    let (sandbox, odoo) = start();
    let id = odoo.call(
        "res.users",
        "create",
        &json!([{"name": "New User", "login": "new", "email": "n@example.com"}]),
    );
    let user = sandbox.record("res.users", &id.to_string()).unwrap();
    assert_eq!((user["name"].clone(), user["partner_id"][1].clone()), ("New User".into(), "New User".into()));
    odoo.call("res.users", "write", &json!([[id], {"name": "Renamed"}]));
    assert_eq!(sandbox.record("res.partner", "7").unwrap()["name"], "Renamed");
}

#[test]
fn the_history_tells_what_was_done_to_which_record() {
    let (sandbox, odoo) = start();
    odoo.call("res.partner", "load", &json!([["id", "name"], [["c1", "Customer 1"]]]));
    odoo.call("res.partner", "write", &json!([[7], {"name": "Renamed"}]));
    odoo.call("res.partner", "unlink", &json!([[7]]));
    let history = sandbox.history();
    let seen: Vec<_> = history
        .effects_of("res.partner", "7")
        .map(|e| (e.action.clone(), e.external_id.as_deref(), e.name.as_deref(), e.session, e.request))
        .collect();
    let id = Some("__import__.c1");
    assert_eq!(
        seen,
        [
            (Action::Insert, id, Some("Customer 1"), 0, 1),
            (Action::Update, id, Some("Renamed"), 0, 2),
            (Action::Delete, id, Some("Renamed"), 0, 3),
        ]
    );
    assert_eq!(
        odoo.call("ir.model.data", "search_count", &json!([[["name", "=", "c1"]]])),
        0,
        "gone with its record"
    );
}
