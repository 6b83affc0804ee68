//! Whether the server took what it was sent. It answers 200 to fields it ignores: ones that are
//! misspelt, not settable, or not allowed for the user (Integration Development Guide, 2026 R1).

use serde_json::{Map, Value};
use uuid::Uuid;

use super::envelope::{self, PLAIN};
use super::path::join;
use crate::acumatica::DateTime;
use crate::acumatica::query::{Date, lenient};

type Record = Map<String, Value>;

/// The paths of fields that were sent and are missing or different in the answer.
pub(super) fn missing(sent: &Record, received: &Record, path: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (name, node) in sent.iter().filter(|(name, _)| !PLAIN.contains(&name.as_str())) {
        let path = join(path, name);
        let answer = received.get(name);
        if node.as_object().is_some_and(envelope::is_field) {
            if !same(envelope::open(node), answer.map_or(&Value::Null, envelope::open)) {
                paths.push(path);
            }
            continue;
        }
        // Linked records and lines come back only where the request expands them.
        match (node, answer) {
            (Value::Object(record), Some(Value::Object(answer))) if !answer.is_empty() => {
                paths.extend(missing(record, answer, &path));
            }
            (Value::Array(lines), Some(Value::Array(answers))) => {
                paths.extend(lines_missing(lines, answers, &path));
            }
            _ => {}
        }
    }
    paths
}

/// Lines pair up by id. New lines come last in the answer, after those that were there before; where
/// that does not fit, a line pairs with the answer that differs least.
fn lines_missing(sent: &[Value], received: &[Value], path: &str) -> Vec<String> {
    let id = |line: &Record| line.get("id").and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok());
    let answers: Vec<_> = received.iter().filter_map(Value::as_object).collect();
    let mut free = vec![true; answers.len()];
    let mut paths = Vec::new();
    let mut unpaired = Vec::new();
    for (index, line) in sent.iter().enumerate().filter_map(|(index, line)| Some((index, line.as_object()?)))
    {
        let path = join(path, &format!("[{index}]"));
        let deleted = line.get("delete") == Some(&Value::Bool(true));
        let by_id = id(line).map(|wanted| answers.iter().position(|answer| id(answer) == Some(wanted)));
        match by_id {
            Some(Some(place)) => {
                free[place] = false;
                if deleted {
                    paths.push(path);
                } else {
                    paths.extend(missing(line, answers[place], &path));
                }
            }
            Some(None) if !deleted => paths.push(path),
            None if !deleted => unpaired.push((path, line)),
            _ => {}
        }
    }

    let places: Vec<_> = (0..answers.len()).filter(|place| free[*place]).collect();
    let before = places.len().saturating_sub(unpaired.len());
    let mut differing = Vec::new();
    for (position, (path, line)) in unpaired.into_iter().enumerate() {
        match places.get(before + position) {
            Some(&place) if missing(line, answers[place], &path).is_empty() => free[place] = false,
            expected => differing.push((path, line, expected.copied())),
        }
    }
    // Beyond this a large document would cost seconds; there only the expected place is looked at.
    let exhaustive = differing.len().saturating_mul(places.len()) <= 100_000;
    for (path, line, expected) in differing {
        let others = if exhaustive { places.as_slice() } else { &[] };
        let candidates = expected.into_iter().chain(others.iter().copied()).filter(|place| free[*place]);
        let differences = candidates.map(|place| (missing(line, answers[place], &path), place));
        match differences.min_by_key(|(different, _)| different.len()) {
            Some((different, place)) => {
                free[place] = false;
                paths.extend(different);
            }
            None => paths.push(path),
        }
    }
    paths
}

/// Whether the server means the same: `2` is `2.0`, instants are equal at any offset, blanks at the end do
/// not count.
fn same(sent: &Value, received: &Value) -> bool {
    match (sent, received) {
        (Value::Null, Value::String(text)) => text.trim_end().is_empty(),
        // The server has no empty texts: it gives them back as no value.
        (Value::String(text), Value::Null) => text.trim_end().is_empty(),
        (Value::Number(_), Value::Number(_) | Value::String(_)) | (Value::String(_), Value::Number(_)) => {
            same_number(sent, received)
        }
        (Value::String(sent), Value::String(received)) => {
            sent.trim_end() == received.trim_end() || same_time(sent, received) || same_id(sent, received)
        }
        (Value::Array(sent), Value::Array(received)) => {
            sent.len() == received.len()
                && sent.iter().zip(received).all(|(sent, received)| same(sent, received))
        }
        (Value::Object(sent), Value::Object(received)) => {
            sent.iter().all(|(name, value)| received.get(name).is_some_and(|answer| same(value, answer)))
        }
        // A drop-down value, sent by its id or its description.
        (Value::String(_), Value::Object(choice)) if envelope::is_choice(received) => {
            choice.values().any(|value| same(sent, value))
        }
        _ => sent == received,
    }
}

/// Whole numbers exactly, others as far as a float keeps them.
fn same_number(sent: &Value, received: &Value) -> bool {
    if let (Some(sent), Some(received)) = (sent.as_i64(), received.as_i64()) {
        return sent == received;
    }
    let number = |value: &Value| match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    let close = |(a, b): (f64, f64)| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    number(sent).zip(number(received)).is_some_and(close)
}

fn same_time(sent: &str, received: &str) -> bool {
    let same_day = |day: Date, time: DateTime| time.is_midnight() && time.date() == day;
    match (Date::parse(sent), Date::parse(received)) {
        (Ok(sent), Ok(received)) => sent == received,
        (Ok(day), Err(_)) => lenient(received).is_some_and(|time| same_day(day, time)),
        (Err(_), Ok(day)) => lenient(sent).is_some_and(|time| same_day(day, time)),
        (Err(_), Err(_)) => {
            lenient(sent).zip(lenient(received)).is_some_and(|(sent, received)| sent == received)
        }
    }
}

fn same_id(sent: &str, received: &str) -> bool {
    Uuid::parse_str(sent)
        .ok()
        .zip(Uuid::parse_str(received).ok())
        .is_some_and(|(sent, received)| sent == received)
}
