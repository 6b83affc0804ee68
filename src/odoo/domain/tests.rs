use proptest::prelude::*;

use super::*;

/// What a record is, for the purpose of these tests: which conditions hold.
fn holds(condition: &Value, truths: u8) -> bool {
    match condition[0].as_str() {
        Some(name) => name.bytes().next().is_some_and(|first| truths >> (first % 8) & 1 == 1),
        None => condition[0] == condition[2],
    }
}

/// Evaluates the prefix notation as Odoo does, with a stack from the right.
fn evaluate(terms: &Value, truths: u8) -> bool {
    let mut stack: Vec<bool> = Vec::new();
    for term in terms.as_array().unwrap().iter().rev() {
        let result = match term.as_str() {
            Some("!") => !stack.pop().unwrap(),
            Some("&") => stack.pop().unwrap() & stack.pop().unwrap(),
            Some("|") => stack.pop().unwrap() | stack.pop().unwrap(),
            _ => holds(term, truths),
        };
        stack.push(result);
    }
    stack.into_iter().all(|term| term)
}

/// A domain, and what it says for each of the records.
#[derive(Debug, Clone)]
enum Said {
    Leaf(String, Value),
    All,
    Nothing,
    And(Box<Said>, Box<Said>),
    Or(Box<Said>, Box<Said>),
    Not(Box<Said>),
}

impl Said {
    fn build(&self) -> Domain {
        match self {
            Self::Leaf(name, value) => field(name.as_str()).eq(value.clone()),
            Self::All => Domain::all(),
            Self::Nothing => Domain::none(),
            Self::And(left, right) => left.build() & right.build(),
            Self::Or(left, right) => left.build() | right.build(),
            Self::Not(said) => !said.build(),
        }
    }

    fn means(&self, truths: u8) -> bool {
        match self {
            Self::Leaf(name, _) => name.bytes().next().is_some_and(|first| truths >> (first % 8) & 1 == 1),
            Self::All => true,
            Self::Nothing => false,
            Self::And(left, right) => left.means(truths) && right.means(truths),
            Self::Or(left, right) => left.means(truths) || right.means(truths),
            Self::Not(said) => !said.means(truths),
        }
    }
}

fn said() -> impl Strategy<Value = Said> {
    // Text that would change a domain which is pasted together: operators, quotes, brackets, controls.
    let hostile = prop_oneof![
        Just("&".to_owned()),
        Just("|".to_owned()),
        Just("!".to_owned()),
        Just("'\"]),(\"".to_owned()),
        Just("\u{0}\n\u{202e}".to_owned()),
        ".*",
    ];
    let leaf = prop_oneof![
        8 => (hostile.clone(), hostile.prop_map(Value::from)).prop_map(|(name, value)| Said::Leaf(name, value)),
        1 => Just(Said::All),
        1 => Just(Said::Nothing),
    ];
    leaf.prop_recursive(5, 40, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Said::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Said::Or(Box::new(a), Box::new(b))),
            inner.prop_map(|a| Said::Not(Box::new(a))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_sent_means_what_was_said(said in said(), truths: u8) {
        let sent = said.build().to_value();
        prop_assert_eq!(evaluate(&sent, truths), said.means(truths), "{}", sent);
    }

    #[test]
    fn what_is_sent_is_read_again(said in said()) {
        let sent = said.build().to_value();
        // Over the wire and back.
        let wire: Value = serde_json::from_str(&sent.to_string()).unwrap();
        prop_assert_eq!(Domain::parse(&wire).unwrap().to_value(), sent);
    }
}

#[test]
fn every_operator_is_written_as_odoo_writes_it() {
    let f = || field("f");
    for (domain, operator) in [
        (f().eq(1), "="),
        (f().ne(1), "!="),
        (f().gt(1), ">"),
        (f().ge(1), ">="),
        (f().lt(1), "<"),
        (f().le(1), "<="),
        (f().eq_if_set(1), "=?"),
        (f().like(1), "like"),
        (f().not_like(1), "not like"),
        (f().ilike(1), "ilike"),
        (f().not_ilike(1), "not ilike"),
        (f().matches(1), "=like"),
        (f().matches_any_case(1), "=ilike"),
        (f().child_of(1), "child_of"),
        (f().parent_of(1), "parent_of"),
    ] {
        assert_eq!(domain.to_value(), json!([["f", operator, 1]]));
    }
    assert_eq!(f().is_in([1, 2]).to_value(), json!([["f", "in", [1, 2]]]));
    assert_eq!(f().not_in(["a"]).to_value(), json!([["f", "not in", ["a"]]]));
    assert_eq!(f().any(field("g").is_set()).to_value(), json!([["f", "any", [["g", "!=", false]]]]));
    assert_eq!(f().not_any(Domain::all()).to_value(), json!([["f", "not any", []]]));
    assert_eq!(f().is_empty().to_value(), json!([["f", "=", false]]));
    assert_eq!(f().is("=", Value::Null).to_value(), json!([["f", "=", null]]));
}

#[test]
fn everything_and_nothing_are_sent_as_odoo_understands_them() {
    assert_eq!(Domain::all().to_value(), json!([]));
    assert_eq!(Domain::none().to_value(), json!([[0, "=", 1]]));
    assert_eq!(Domain::every([]), Domain::all());
    assert_eq!(Domain::any_of([]), Domain::none());
    assert_eq!(!Domain::all(), Domain::none());
    let a = || field("a").eq(1);
    assert_eq!(Domain::all() & a(), a());
    assert_eq!(Domain::none() | a(), a());
    assert_eq!(!!a(), a());
}

#[test]
fn terms_without_an_operator_must_all_hold() {
    let read = Domain::parse(&json!([["a", "=", 1], "|", ["b", "=", 2], ["c", "=", 3]])).unwrap();
    assert_eq!(read, field("a").eq(1) & (field("b").eq(2) | field("c").eq(3)));
}

#[test]
fn what_is_no_domain_is_refused_and_named() {
    for (value, word) in [
        (json!("x"), "no list"),
        (json!(["&", ["a", "=", 1]]), "too few"),
        (json!(["!"]), "too few"),
        (json!(["name", "=", "x"]), "unknown operator"),
        (json!([["name", "="]]), "no condition"),
        (json!([["name", 1, 2]]), "no condition"),
        (json!([7]), "no condition"),
    ] {
        let error = Domain::parse(&value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(word), "{value}: {error}");
    }
}

#[test]
fn a_domain_that_is_nested_without_end_is_refused() {
    let mut terms: Vec<Value> = Vec::new();
    for _ in 0..100_000 {
        terms.extend(["&".into(), json!(["a", "=", 1]), "|".into(), json!(["b", "=", 2])]);
    }
    terms.push(json!(["c", "=", 3]));
    assert!(Domain::parse(&Value::Array(terms)).unwrap_err().message().contains("deep"));
}
