//! Where a field is: `CustomerID`, `MainContact.Email`, `Details[0].InventoryID`.

use serde_json::{Map, Value};

use super::envelope;
use crate::{Error, ErrorKind, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

/// The steps of a path; the first is always a name.
pub(super) fn parse(path: &str) -> Result<Vec<Step<'_>>> {
    let malformed = || {
        invalid(
            path,
            "is not the path of a field, write one like MainContact.Email or Details[0].InventoryID",
        )
    };
    let mut steps = Vec::new();
    for part in path.split(['.', '/']) {
        let (name, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.trim().is_empty() || name.contains(|c: char| c == ']' || c.is_control()) {
            return Err(malformed());
        }
        steps.push(Step::Name(name));
        while let Some(bracket) = rest.strip_prefix('[') {
            let (index, after) = bracket.split_once(']').ok_or_else(malformed)?;
            if !index.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(malformed());
            }
            steps.push(Step::Index(index.parse().map_err(|_| malformed())?));
            rest = after;
        }
        if !rest.is_empty() {
            return Err(malformed());
        }
    }
    Ok(steps)
}

pub(super) fn invalid(path: &str, problem: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{path:?} {problem}"))
}

/// `Details`, `[0]`, `InventoryID` put together.
pub(super) fn join(front: &str, name: &str) -> String {
    if front.is_empty() || name.starts_with('[') || name.is_empty() {
        format!("{front}{name}")
    } else {
        format!("{front}.{name}")
    }
}

/// What is there, still in its envelope.
pub(super) fn find<'a>(map: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let steps = parse(path).ok()?;
    let (Step::Name(first), rest) = steps.split_first()? else { return None };
    rest.iter().try_fold(map.get(*first)?, |node, step| match (step, envelope::open(node)) {
        (Step::Name(name), Value::Object(map)) => map.get(*name),
        (Step::Index(index), Value::Array(list)) => list.get(*index),
        _ => None,
    })
}

/// Puts something, already in its envelope, where the path says; what is missing on the way is made.
/// When it fails, nothing has changed.
pub(super) fn put(map: &mut Map<String, Value>, path: &str, steps: &[Step<'_>], value: Value) -> Result<()> {
    check(Some(map), path, steps, &value)?;
    place(map, steps, value);
    Ok(())
}

fn check(map: Option<&Map<String, Value>>, path: &str, steps: &[Step<'_>], value: &Value) -> Result<()> {
    let [Step::Name(name), rest @ ..] = steps else {
        return Err(invalid(path, "has an index where a name must be"));
    };
    let node = map.and_then(|map| map.get(*name));
    match rest {
        [] => Ok(()),
        [Step::Index(index), rest @ ..] => {
            let list = match node {
                None => &[][..],
                Some(Value::Array(list)) => list,
                Some(_) => return Err(invalid(path, &format!("cannot be set: {name} is no list"))),
            };
            if *index > list.len() {
                return Err(invalid(path, &format!("cannot be set: {name} has {} entries", list.len())));
            }
            match (rest, value) {
                ([], Value::Object(_)) => Ok(()),
                ([], _) => Err(invalid(path, "cannot be set to a plain value: a line is a record")),
                (rest, _) => check(list.get(*index).and_then(Value::as_object), path, rest, value),
            }
        }
        rest => match node {
            None => check(None, path, rest, value),
            Some(Value::Object(map)) if !envelope::is_field(map) => check(Some(map), path, rest, value),
            Some(_) => Err(invalid(path, &format!("cannot be set: {name} is a field without parts"))),
        },
    }
}

/// Every mismatch was refused by `check`, so here it can only be left alone.
fn place(map: &mut Map<String, Value>, steps: &[Step<'_>], value: Value) {
    let [Step::Name(name), rest @ ..] = steps else { return };
    match rest {
        [] => {
            map.insert((*name).to_owned(), value);
        }
        [Step::Index(index), rest @ ..] => {
            let list = map.entry(*name).or_insert_with(|| Value::Array(Vec::new()));
            let Value::Array(list) = list else { return };
            if *index == list.len() {
                list.push(Value::Object(Map::new()));
            }
            match (list.get_mut(*index), rest) {
                (Some(line), []) => *line = value,
                (Some(Value::Object(line)), rest) => place(line, rest, value),
                _ => {}
            }
        }
        rest => {
            let node = map.entry(*name).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(map) = node {
                place(map, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_names_and_indexes() {
        use Step::{Index, Name};
        assert_eq!(parse("A").unwrap(), [Name("A")]);
        assert_eq!(parse("A.B/C").unwrap(), [Name("A"), Name("B"), Name("C")]);
        assert_eq!(parse("A[10].B").unwrap(), [Name("A"), Index(10), Name("B")]);
        let bad =
            ["", ".", "A.", "[0]", "A[x]", "A[0", "A]", "A[0]B", "A[-1]", "A[]", "A[99999999999999999999]"];
        for path in bad {
            assert_eq!(parse(path).unwrap_err().kind(), ErrorKind::Invalid, "{path}");
        }
    }
}
