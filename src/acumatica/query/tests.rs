use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::*;

fn pair(query: &Query, dialect: Dialect, name: &str) -> Option<String> {
    query.to_pairs(dialect).unwrap().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

#[test]
fn an_empty_query_is_an_empty_string() {
    assert_eq!(Query::new().to_query_string(Dialect::Contract4).unwrap(), "");
    assert_eq!(Query::default(), Query::new());
}

#[test]
fn everything_at_once_comes_in_a_fixed_order() {
    let query = Query::new()
        .top(0)
        .skip(10)
        .order_by("CustomerID")
        .order_by_desc("MainContact.Email")
        .custom(["Document.UsrA"])
        .expand(["Details"])
        .select(["OrderNbr"])
        .filter(field("A").eq(1))
        .param("$skiptoken", "a&b");
    assert_eq!(
        query.to_query_string(Dialect::Contract4).unwrap(),
        "$filter=A%20eq%201&$select=OrderNbr&$expand=Details&$custom=Document.UsrA\
         &$orderby=CustomerID,MainContact/Email%20desc&$skip=10&$top=0&$skiptoken=a%26b"
    );
}

#[test]
fn what_ends_or_changes_a_value_is_encoded() {
    let time = DateTime::parse("2016-07-15T10:31:28.402+03:00").unwrap();
    let query = Query::new().filter(field("LastModified").gt(time));
    assert_eq!(
        query.to_query_string(Dialect::Contract4).unwrap(),
        "$filter=LastModified%20gt%20datetimeoffset'2016-07-15T10:31:28.402%2B03:00'"
    );
    let query = Query::new().filter(field("Name").eq("a+b&c#d%e f;g=h?ü"));
    assert_eq!(
        query.to_query_string(Dialect::OData4).unwrap(),
        "$filter=Name%20eq%20'a%2Bb%26c%23d%25e%20f%3Bg%3Dh%3F%C3%BC'"
    );
}

#[test]
fn entities_are_expanded_once_with_their_parents() {
    let query = Query::new()
        .expand(["MainContact/Address", "Details", "MainContact", "Details"])
        .select(["CustomerID", "MainContact.Email", "CustomerID"])
        .custom(["Details/Transactions.UsrX", "Document.AttributeCOLOR"]);
    assert_eq!(
        pair(&query, Dialect::Contract4, "$expand").unwrap(),
        "MainContact,MainContact/Address,Details"
    );
    assert_eq!(pair(&query, Dialect::Contract4, "$select").unwrap(), "CustomerID,MainContact/Email");
    assert_eq!(
        pair(&query, Dialect::Contract4, "$custom").unwrap(),
        "Details/Transactions.UsrX,Document.AttributeCOLOR"
    );
    assert_eq!(
        pair(&query, Dialect::Contract5, "$expand").unwrap(),
        "MainContact($select=Email;$expand=Address),Details($select=*,Transactions.UsrX)"
    );
    assert_eq!(pair(&query, Dialect::Contract5, "$select").unwrap(), "CustomerID,Document.AttributeCOLOR");
    assert_eq!(pair(&query, Dialect::Contract5, "$custom"), None);
}

#[test]
fn a_custom_field_expands_its_entity() {
    let query = Query::new().custom(["Details/Transactions.UsrX"]);
    assert_eq!(pair(&query, Dialect::Contract4, "$expand").unwrap(), "Details");
}

#[test]
fn contract_based_endpoints_lack_count_search_and_apply() {
    let queries = [
        (Query::new().count(true), "$count"),
        (Query::new().search("x"), "$search"),
        (Query::new().apply("groupby((A))"), "$apply"),
    ];
    for (query, name) in queries {
        for dialect in [Dialect::Contract4, Dialect::Contract5] {
            let error = query.to_pairs(dialect).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.message().contains(name), "{error}");
        }
        assert!(pair(&query, Dialect::OData4, name).is_some());
    }
    assert!(Query::new().count(false).to_pairs(Dialect::Contract4).unwrap().is_empty());
    assert!(Query::new().custom(["A.B"]).to_pairs(Dialect::OData4).is_err());
}

#[test]
fn a_parameter_given_twice_is_refused() {
    let twice = [
        Query::new().top(1).param("$top", "2"),
        Query::new().top(1).param("$TOP", "2"),
        Query::new().param("x", "1").param("x", "2"),
        Query::new().param("", "1"),
    ];
    for query in twice {
        assert_eq!(query.to_pairs(Dialect::Contract4).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn names_that_are_none_are_refused_everywhere() {
    let queries = [
        Query::new().select(["A,B"]),
        Query::new().expand(["A($select=B)"]),
        Query::new().order_by("A desc"),
        Query::new().custom(["UsrField"]),
        Query::new().custom(["Entity/"]),
        Query::new().custom(["View.Field,Other.Field"]),
        Query::new().custom(["View.Field.Deep"]),
    ];
    for query in queries {
        for dialect in [Dialect::Contract4, Dialect::Contract5] {
            assert!(query.to_pairs(dialect).is_err(), "{query:?}");
        }
    }
}

proptest! {
    #[test]
    fn a_query_string_reads_back_as_its_pairs(
        text in any::<String>(), search in "\\PC{1,20}", name in "[a-z$&=+%# ]{1,8}", value in any::<String>(),
    ) {
        let query = Query::new()
            .filter(field("Name").eq(text.as_str()) | field("Other").contains(text))
            .search(search)
            .param(name, value);
        let Ok(pairs) = query.to_pairs(Dialect::OData4) else { return Ok(()) };
        let encoded = query.to_query_string(Dialect::OData4).unwrap();
        prop_assert!(encoded.is_ascii() && !encoded.contains([' ', '+', '#', '"', '<', '>']));
        let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let back: Vec<_> = encoded
            .split('&')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (decode(name), decode(value)))
            .collect();
        prop_assert_eq!(back, pairs);
    }
}
