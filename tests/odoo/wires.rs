//! The same results and the same errors on every protocol, against the stand-in.

use batchcall::odoo::{Args, Context, Domain, Find, Many2one, Protocol, Row, Session, field};
use batchcall::sandbox::Sandbox;
use batchcall::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{builder, protocols};

/// Runs on every protocol, and demands that all say the same.
fn on_every_wire<T: PartialEq + std::fmt::Debug>(run: impl Fn(&mut Session, &Sandbox) -> T) -> T {
    let mut first: Option<T> = None;
    for (version, protocol) in protocols() {
        let sandbox = Sandbox::odoo(version).start().unwrap();
        let client = builder(&sandbox, protocol).build().unwrap();
        let mut session = client.session().unwrap();
        let said = run(&mut session, &sandbox);
        match &first {
            None => first = Some(said),
            Some(first) => assert_eq!(said, *first, "{version} {protocol:?}"),
        }
    }
    first.unwrap()
}

/// Runs on every protocol.
fn each_wire(run: impl Fn(&mut Session) -> Result<()>) {
    on_every_wire(|session, _| run(session).unwrap());
}

/// What matters of an error.
fn gist(error: &Error) -> (ErrorKind, bool, Vec<String>) {
    let fields = error.field_errors().iter().map(|field| field.path.clone()).collect();
    (error.kind(), error.is_in_doubt(), fields)
}

#[test]
fn records_are_created_read_searched_written_and_deleted() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Partner {
        id: i64,
        name: String,
        email: Option<String>,
        parent_id: Option<Many2one>,
        active: bool,
    }
    each_wire(|session| {
        let acme = session.create("res.partner", json!({"name": "ACME", "is_company": true}))?;
        let people = [
            json!({"name": "Jo", "email": "jo@example.com", "parent_id": acme}),
            json!({"name": "Al", "parent_id": acme}),
        ];
        let ids = session.create_many("res.partner", people)?;
        assert_eq!(ids, [acme + 1, acme + 2]);

        let ours = field("parent_id").eq(acme);
        assert_eq!(session.search_count("res.partner", &ours)?, 2);
        assert_eq!(session.search("res.partner", &ours, Find::new().order("name"))?, [ids[1], ids[0]]);
        let find = Find::fields(["name", "email", "parent_id", "active"]).order("id desc").limit(1);
        let found: Vec<Partner> = session.search_read_as("res.partner", &ours, find)?;
        assert_eq!((found[0].id, found[0].name.as_str(), &found[0].email), (ids[1], "Al", &None));
        assert_eq!(found[0].parent_id, Some(Many2one { id: acme, name: "ACME".into() }));

        session.write("res.partner", ids.clone(), json!({"city": "Ghent"}))?;
        let rows = session.read("res.partner", [ids[1], ids[0], 99_999], ["city"])?;
        let cities: Vec<_> = rows.iter().map(|row| (row.id(), row.get_str("city"))).collect();
        assert_eq!(
            cities,
            [(ids[1], Some("Ghent")), (ids[0], Some("Ghent"))],
            "in order, without the one gone"
        );

        session.write("res.partner", [ids[0]], json!({"active": false}))?;
        assert_eq!(session.search_count("res.partner", &ours)?, 1);
        session.unlink("res.partner", ids.clone())?;
        assert_eq!(session.search_count("res.partner", &ours)?, 0);
        Ok(())
    });
}

#[test]
fn refusals_are_the_same() {
    let gists = on_every_wire(|session, sandbox| {
        let many = vec![json!({"name": "A"}), json!({}), json!({"name": "C"})];
        let mut gists = vec![gist(&session.create_many("res.partner", many).unwrap_err())];
        assert_eq!(sandbox.history().effects().count(), 0, "all or nothing");
        let mut say = |result: Result<()>| gists.push(gist(&result.unwrap_err()));
        say(session.create("res.partner", json!({"name": "x", "bogus": 1})).map(drop));
        say(session.write("res.partner", [1], json!({"zzz": 1})));
        say(session.write("res.partner", [1, 99_999], json!({"name": "x"})));
        say(session.unlink("res.partner", [99_999]));
        say(session.search("no.model", Domain::all(), Find::new()).map(drop));
        say(session.call("res.partner", "nomethod", Args::ids([1])).map(drop));
        say(session.call("res.partner", "_write", Args::ids([1])).map(drop));
        say(session.search("res.partner", field("nof").eq(1), Find::new()).map(drop));
        say(session.read("res.partner", [1], ["nofield"]).map(drop));
        gists
    });
    let kinds: Vec<ErrorKind> = gists.iter().map(|gist| gist.0).collect();
    use ErrorKind::{Forbidden, NotFound, Rejected};
    assert_eq!(
        kinds,
        [Rejected, Rejected, Rejected, NotFound, NotFound, NotFound, NotFound, Forbidden, Rejected, Rejected]
    );
    assert_eq!(gists[1].2, ["bogus"]);
}

#[test]
fn a_user_who_may_only_read_is_forbidden_to_write() {
    for (version, protocol) in protocols() {
        let sandbox = Sandbox::odoo(version).start().unwrap();
        let client = match protocol {
            Protocol::Json2 => builder(&sandbox, protocol).api_key(sandbox.api_key("demo").unwrap()),
            _ => builder(&sandbox, protocol).login("demo", "demo"),
        };
        let mut session = client.build().unwrap().session().unwrap();
        let error = session.create("res.partner", json!({"name": "x"})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{version} {protocol:?}: {error}");
        assert_eq!(error.remote_name(), Some("odoo.exceptions.AccessError"));
    }
}

#[test]
fn fields_names_and_rows_are_the_same() {
    each_wire(|session| {
        let fields = session.fields_get("res.partner")?;
        assert_eq!(
            (fields["name"].kind.as_str(), fields["parent_id"].relation.as_deref()),
            ("char", Some("res.partner"))
        );
        let (id, name) = session.name_create("res.partner", "NC")?;
        assert_eq!(name, "NC");
        assert_eq!(session.read("res.partner", [id], ["name"])?[0].get_str("name"), Some("NC"));

        let rows = [["t.a", "A", "base.be"], ["t.b", "B", ""]];
        let loaded = session.load("res.partner", ["id", "name", "country_id/id"], rows)?;
        let ids = loaded.ids().unwrap().to_vec();
        let again = session.load("res.partner", ["id", "name", "country_id/id"], rows)?;
        assert_eq!(again.ids(), Some(&ids[..]), "loaded twice is loaded once");
        let bad = session.load("res.partner", ["id", "name"], [["t.c", "C"], ["t.d", ""], ["t.e", ""]])?;
        assert_eq!(bad.ids(), None);
        assert_eq!(bad.errors().map(|error| error.rows).collect::<Vec<_>>(), [Some((1, 1)), Some((2, 2))]);
        Ok(())
    });
}

#[test]
fn the_context_arrives() {
    on_every_wire(|session, _| {
        let id = session.create("res.partner", json!({"name": "x", "active": false})).unwrap();
        let all = Context::new().active_test(false);
        let hidden = session.search_count("res.partner", Domain::ids([id])).unwrap();
        let shown = session
            .with_context(&all, |session| session.search_count("res.partner", Domain::ids([id])))
            .unwrap();
        assert_eq!((hidden, shown), (0, 1));
        let bad = Context::new().lang("xx_YY");
        let error = session.with_context(bad, |session| session.search_count("res.partner", Domain::all()));
        gist(&error.unwrap_err())
    });
}

#[test]
fn pages_neither_skip_nor_repeat() {
    each_wire(|session| {
        let records = (0..57).map(|i| json!({"name": format!("P{i}"), "ref": "paged"}));
        let ids = session.create_many("res.partner", records)?;
        let ours = || field("ref").eq("paged");
        for size in [1, 10, 19, 57, 100] {
            let rows: Result<Vec<Row>> =
                session.pages("res.partner", ours(), ["name"]).page_size(size).collect();
            assert_eq!(rows?.iter().map(Row::id).collect::<Vec<_>>(), ids, "{size}");
        }
        let newest = Find::fields(["name"]).order("id desc").limit(25);
        let rows: Result<Vec<Row>> = session.pages("res.partner", ours(), &newest).page_size(10).collect();
        let expected: Vec<i64> = ids.iter().rev().take(25).copied().collect();
        assert_eq!(rows?.iter().map(Row::id).collect::<Vec<_>>(), expected);
        assert!(session.pages("res.partner", ours(), ["name"]).page_size(0).next().unwrap().is_err());
        Ok(())
    });
}

#[test]
fn different_values_go_in_few_requests() {
    for (version, protocol) in protocols() {
        let sandbox = Sandbox::odoo(version).start().unwrap();
        let client = builder(&sandbox, protocol).build().unwrap();
        let mut session = client.session().unwrap();
        let ids =
            session.create_many("res.partner", (0..20).map(|i| json!({"name": format!("P{i}")}))).unwrap();
        let writes = |n: i64| {
            ids.iter().map(move |id| {
                (*id, json!({"city": format!("C{}", *id % n), "parent_id": 1, "active": true}))
            })
        };
        let written = session.write_each("res.partner", writes(20)).unwrap();
        assert!(written.iter().all(Result::is_ok), "{written:?}");
        let rows = session.read("res.partner", ids.iter().copied(), ["city", "parent_id"]).unwrap();
        for row in rows {
            assert_eq!(row.get_str("city"), Some(format!("C{}", row.id() % 20).as_str()));
            assert_eq!(row.get_i64("parent_id"), Some(1));
        }
        let before = sandbox.history().data_requests();
        session.write_each("res.partner", writes(20)).unwrap();
        assert_eq!(sandbox.history().data_requests() - before, 1, "{version} {protocol:?}");
        session.write_each("res.partner", writes(1)).unwrap();
        assert_eq!(sandbox.history().data_requests() - before, 2, "the same values are one write");
    }
}

#[test]
fn what_a_method_returns_is_given_as_it_is() {
    on_every_wire(|session, _| {
        let args = Args::new().arg("name", "Belg").named("limit", 3).read_only();
        session.call("res.country", "name_search", args).unwrap()
    });
    let sandbox = Sandbox::odoo(19).start().unwrap();
    let mut session = builder(&sandbox, Protocol::Json2).build().unwrap().session().unwrap();
    let context: Value = session.call("res.users", "context_get", Args::new().read_only()).unwrap();
    assert!(context.get("uid").is_some());
}
