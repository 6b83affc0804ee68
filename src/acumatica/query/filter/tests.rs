use proptest::prelude::*;

use super::super::{CustomKind, Date, Field, Operand, custom_field, field};
use super::*;

const ALL: [Dialect; 3] = [Dialect::Contract4, Dialect::Contract5, Dialect::OData4];

fn contract4(filter: &Filter) -> String {
    filter.render(Dialect::Contract4).unwrap()
}

#[test]
fn joins_flatten_and_keep_their_meaning() {
    let (a, b, c) = (field("A").eq(1), field("B").ne(2), field("C").ge(3));
    let all = a.clone() & b.clone() & c.clone();
    assert_eq!(contract4(&all), "A eq 1 and B ne 2 and C ge 3");
    let mixed = a.clone() | (b.clone() & c.clone());
    assert_eq!(contract4(&mixed), "A eq 1 or (B ne 2 and C ge 3)");
    assert_eq!(contract4(&!(a.clone() | b)), "not (A eq 1 or B ne 2)");
    assert_eq!(!!a.clone(), a);
    let list = field("D").in_list([1, 2]) & c;
    assert_eq!(contract4(&list), "(D eq 1 or D eq 2) and C ge 3");
    assert_eq!(list.render(Dialect::Contract5).unwrap(), "D in (1,2) and C ge 3");
    assert_eq!(contract4(&(a & field("D").in_list([1]))), "A eq 1 and D eq 1");
}

#[test]
fn contract_4_refuses_what_it_does_not_document_and_names_it() {
    let refused: [(Filter, &str); 6] = [
        (field("A").length().gt(3), "length"),
        (field("A").tolower().eq("x"), "tolower"),
        (field("A").year().eq(2024), "year"),
        (field("A").trim().contains("x"), "trim"),
        ((field("A") + 1).gt(2), "add"),
        (!(field("A").eq(1) & field("B").concat("x").eq("y")), "concat"),
    ];
    for (filter, name) in refused {
        let error = filter.render(Dialect::Contract4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains(name) && error.message().contains("contract version 4"), "{error}");
        assert!(filter.render(Dialect::Contract5).is_ok() && filter.render(Dialect::OData4).is_ok());
    }
}

#[test]
fn computed_operands_render() {
    let filter = ((field("A") - field("B")) * 2).gt(field("C").round() % 7);
    assert_eq!(filter.render(Dialect::OData4).unwrap(), "((A sub B) mul 2) gt (round(C) mod 7)");
    let filter = field("Name").substring(2).indexof("x").eq(field("Other").length());
    assert_eq!(filter.render(Dialect::Contract5).unwrap(), "indexof(substring(Name,2),'x') eq length(Other)");
    assert_eq!(contract4(&field("A").is_null()), "A eq null");
    assert_eq!(contract4(&field("A").is_not_null()), "A ne null");
}

#[test]
fn inquiries_have_no_custom_fields() {
    let filter = custom_field(CustomKind::Decimal, "Document", "UsrRate").gt(1);
    assert!(filter.render(Dialect::OData4).unwrap_err().message().contains("custom fields"));
    let hostile = custom_field(CustomKind::String, "Document", "x') eq 1 or ('").eq(1);
    assert!(hostile.render(Dialect::Contract4).is_err());
    let quote = custom_field(CustomKind::String, "Document", "AttributeO'H").eq(1);
    assert_eq!(contract4(&quote), "cf.String(f='Document.AttributeO''H') eq 1");
}

#[test]
fn errors_say_where() {
    let error = field("Price").gt(f64::NAN).render(Dialect::Contract4).unwrap_err();
    assert!(error.message().contains("Price gt"), "{error}");
    let none: [&str; 0] = [];
    let error = field("Status").in_list(none).render(Dialect::Contract4).unwrap_err();
    assert!(error.message().contains("Status"), "{error}");
    assert!(Filter::raw(" ").render(Dialect::OData4).is_err());
}

#[test]
fn a_name_cannot_carry_a_condition() {
    for name in ["", "A eq 1 or B", "A'", "A/", "/A", "A..B", "1A", "A,B", "A(B)", "A\u{0}", "$filter"] {
        for dialect in ALL {
            let error = field(name).eq(1).render(dialect).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
        }
    }
    assert_eq!(contract4(&field("Größe.Wert_2").eq(1)), "Größe/Wert_2 eq 1");
}

/// What a server's reader makes of a filter, as far as these tests need it.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Text(String),
    Word(String),
    Mark(char),
}

fn lex(filter: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = filter.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' => {
                let mut text = String::new();
                loop {
                    match rest.next() {
                        Some('\'') if rest.peek() == Some(&'\'') => {
                            rest.next();
                            text.push('\'');
                        }
                        Some('\'') => break,
                        Some(other) => text.push(other),
                        None => panic!("the text never ends: {filter}"),
                    }
                }
                tokens.push(Token::Text(text));
            }
            ' ' => {}
            '(' | ')' | ',' | '=' => tokens.push(Token::Mark(c)),
            _ => {
                let mut word = c.to_string();
                while let Some(&next) = rest.peek() {
                    if " (),='".contains(next) {
                        break;
                    }
                    word.push(next);
                    rest.next();
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    tokens
}

fn word(text: &str) -> Token {
    Token::Word(text.to_owned())
}

/// Texts that try to get out: many quotes, and what ends or begins things elsewhere.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "['\"%&#+ /\\\\,()=a]{0,12}",
        Just("' or 1 eq 1 or '".to_owned()),
        Just("%27".to_owned()),
    ]
}

proptest! {
    #[test]
    fn a_text_stays_one_text_whatever_is_in_it(text in hostile()) {
        for dialect in ALL {
            let equal = field("Name").eq(text.as_str()).render(dialect).unwrap();
            prop_assert_eq!(lex(&equal), vec![word("Name"), word("eq"), Token::Text(text.clone())]);

            let starts = field("Name").starts_with(text.clone()).render(dialect).unwrap();
            prop_assert_eq!(lex(&starts), vec![
                word("startswith"), Token::Mark('('), word("Name"), Token::Mark(','),
                Token::Text(text.clone()), Token::Mark(')'),
            ]);
        }
    }

    #[test]
    fn contains_takes_its_arguments_in_the_order_of_the_dialect(text in hostile()) {
        let filter = field("Name").contains(text.clone());
        let old = lex(&filter.render(Dialect::Contract4).unwrap());
        prop_assert_eq!((&old[0], &old[2], &old[4]), (&word("substringof"), &Token::Text(text.clone()), &word("Name")));
        let new = lex(&filter.render(Dialect::Contract5).unwrap());
        prop_assert_eq!((&new[0], &new[2], &new[4]), (&word("contains"), &word("Name"), &Token::Text(text)));
    }

    #[test]
    fn lists_keep_every_value(values in prop::collection::vec(hostile(), 1..5)) {
        for dialect in ALL {
            let tokens = lex(&field("Name").in_list(&values).render(dialect).unwrap());
            let texts: Vec<_> = tokens
                .into_iter()
                .filter_map(|token| if let Token::Text(text) = token { Some(text) } else { None })
                .collect();
            prop_assert_eq!(&texts, &values);
        }
    }

    #[test]
    fn a_name_is_taken_whole_or_refused(name in hostile()) {
        for dialect in ALL {
            if let Ok(text) = field(name.as_str()).eq(1).render(dialect) {
                prop_assert_eq!(lex(&text), vec![word(&name.replace('.', "/")), word("eq"), word("1")]);
            }
            if let Ok(text) = custom_field(CustomKind::Int, name.as_str(), "F").eq(1).render(dialect) {
                prop_assert!(lex(&text).contains(&Token::Text(format!("{name}.F"))), "{}", text);
            }
        }
    }

    #[test]
    fn parentheses_always_balance(filter in filters()) {
        for dialect in ALL {
            if let Ok(text) = filter.render(dialect) {
                let mut depth = 0_i32;
                for token in lex(&text) {
                    match token {
                        Token::Mark('(') => depth += 1,
                        Token::Mark(')') => depth -= 1,
                        _ => {}
                    }
                    prop_assert!(depth >= 0);
                }
                prop_assert_eq!(depth, 0);
            }
        }
    }
}

fn filters() -> impl Strategy<Value = Filter> {
    let names = || prop_oneof![Just("A"), Just("B.C"), Just("D/E")].prop_map(field);
    let leaf = prop_oneof![
        (names(), hostile()).prop_map(|(name, text)| name.contains(text)),
        (names(), any::<i64>()).prop_map(|(name, number)| (name + 1).gt(number)),
        (names(), prop::collection::vec(hostile(), 0..3)).prop_map(|(name, texts)| name.in_list(&texts)),
        names().prop_map(|name: Field| name.date().eq(Date::new(2024, 1, 31).unwrap())),
        names().prop_map(|name: Field| name.lt(Operand::decimal("1.50").unwrap())),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a & b),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a | b),
            inner.prop_map(|a| !a),
        ]
    })
}
