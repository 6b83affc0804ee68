//! Cuts CSV in rows and cells, strictly, and goes on after what is broken.
//!
//! A reader of its own, because a library's tells neither of a quote that is never closed nor of the text as
//! it stood, and both are needed: the first would swallow the rest of the input, the second is what a reject
//! file holds.

use super::cells::{Batch, Cell, CellForm, offset};

/// The longest row.
pub(super) const LONGEST: usize = 16 << 20;

/// What stands at the beginning of some text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// Too little to tell.
    More,
    Row {
        /// Without the line end, and with it.
        end: usize,
        next: usize,
        lines: u64,
    },
    /// A row that cannot be read. Only its first line is given up; up to `doubt` nothing is sure.
    Bad { end: usize, next: usize, doubt: usize, why: &'static str },
}

/// How text is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) delimiter: u8,
    /// No more text will come.
    pub(super) last: bool,
    /// A quote in the midst of a cell is an error, because these lines may be the inside of a quoted cell.
    pub(super) strict: bool,
}

/// Cuts the row at the beginning of a text, and adds its cells to a chunk whose text it is about to join.
pub(super) fn scan(text: &[u8], how: Cut, batch: &mut Batch) -> Scan {
    let first = (batch.cells.len(), batch.unquoted.len());
    let scanned = row(text, how, batch.text.len(), &mut batch.cells, &mut batch.unquoted);
    if !matches!(scanned, Scan::Row { .. }) {
        batch.cells.truncate(first.0);
        batch.unquoted.truncate(first.1);
    }
    scanned
}

fn row(text: &[u8], how: Cut, base: usize, cells: &mut Vec<Cell>, unquoted: &mut Vec<u8>) -> Scan {
    let Cut { delimiter, last, strict } = how;
    let (mut at, mut lines) = (0, 1);
    loop {
        if text.get(at) == Some(&b'"') {
            let Some((end, doubled)) = closing(text, at + 1, last) else {
                if last || text.len() > LONGEST {
                    return bad(text, text.len(), "a quote is opened and not closed");
                }
                return Scan::More;
            };
            let inside = &text[at + 1..end];
            lines += inside.iter().filter(|byte| **byte == b'\n').count() as u64;
            cells.push(if doubled {
                let start = unquoted.len();
                let mut quote_before = false;
                // Of two quotes the second is left out.
                unquoted.extend(inside.iter().copied().filter(|byte| {
                    quote_before = *byte == b'"' && !quote_before;
                    quote_before || *byte != b'"'
                }));
                Cell { start: offset(start), end: offset(unquoted.len()), form: CellForm::Unquoted }
            } else {
                Cell { start: offset(base + at + 1), end: offset(base + end), form: CellForm::Quoted }
            });
            at = end + 1;
            match &text[at..] {
                [byte, ..] if *byte == delimiter => at += 1,
                [] => return Scan::Row { end: at, next: at, lines },
                [b'\n', ..] => return Scan::Row { end: at, next: at + 1, lines },
                [b'\r', b'\n', ..] => return Scan::Row { end: at, next: at + 2, lines },
                [b'\r'] if !last => return Scan::More,
                _ if inside.contains(&b'\n') => {
                    return bad(text, at, "a quote is opened and not closed before the next one");
                }
                _ => return bad(text, at, "text follows the quote that closes a cell"),
            }
            continue;
        }
        let start = at;
        let ends = text[at..].iter().position(|byte| *byte == delimiter || *byte == b'\n');
        let end = match ends {
            Some(length) => start + length,
            None if last => text.len(),
            None if text.len() > LONGEST => return bad(text, text.len(), "the row is longer than 16 MiB"),
            None => return Scan::More,
        };
        let ends_row = text.get(end) != Some(&delimiter);
        let cut = if ends_row && end > start && text[end - 1] == b'\r' { end - 1 } else { end };
        if strict && text[start..cut].contains(&b'"') {
            return bad(text, cut, "a quote stands in a cell that is not quoted");
        }
        cells.push(Cell { start: offset(base + start), end: offset(base + cut), form: CellForm::Plain });
        if ends_row {
            return Scan::Row { end: cut, next: (end + 1).min(text.len()), lines };
        }
        at = end + 1;
    }
}

/// The quote that ends a cell, and whether doubled ones are inside. `None`: there is none, or none yet.
fn closing(text: &[u8], from: usize, last: bool) -> Option<(usize, bool)> {
    let (mut at, mut doubled) = (from, false);
    loop {
        let end = at + text[at..].iter().position(|byte| *byte == b'"')?;
        match text.get(end + 1) {
            Some(b'"') => {
                doubled = true;
                at = end + 2;
            }
            None if !last => return None,
            _ => return Some((end, doubled)),
        }
    }
}

fn bad(text: &[u8], doubt: usize, why: &'static str) -> Scan {
    let line = text.iter().position(|byte| *byte == b'\n');
    let (end, next) = line.map_or((text.len(), text.len()), |end| (end, end + 1));
    let end = if end > 0 && text[end - 1] == b'\r' { end - 1 } else { end };
    Scan::Bad { end, next, doubt, why }
}

/// Where the row begins after this many cells; the whole of it if it has fewer.
pub(super) fn after(raw: &[u8], delimiter: u8, cells: usize) -> usize {
    let mut at = 0;
    for _ in 0..cells {
        let end = if raw.get(at) == Some(&b'"') {
            closing(raw, at + 1, true).map(|(end, _)| end)
        } else {
            Some(at)
        };
        let found =
            end.and_then(|end| raw[end..].iter().position(|byte| *byte == delimiter).map(|by| end + by));
        match found {
            Some(end) => at = end + 1,
            None => return 0,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str, last: bool, strict: bool) -> (Scan, Vec<String>) {
        let mut batch = Batch::new(0);
        let scan = scan(text.as_bytes(), Cut { delimiter: b',', last, strict }, &mut batch);
        batch.text = text.into();
        let cells = batch.cells.iter().map(|cell| String::from_utf8(batch.bytes(*cell).to_vec()).unwrap());
        (scan, cells.collect())
    }

    #[test]
    fn cells_are_cut_at_delimiters_outside_of_quotes() {
        for (text, expected) in [
            ("a,b,c\n", vec!["a", "b", "c"]),
            ("a,,\r\nx", vec!["a", "", ""]),
            ("\"a,b\",\"say \"\"hi\"\"\"\n", vec!["a,b", "say \"hi\""]),
            ("\"a\nb\",c\n", vec!["a\nb", "c"]),
            ("\"\"\"\",\"\"\n", vec!["\"", ""]),
            ("5\" pipe,x\n", vec!["5\" pipe", "x"]),
            ("a,b", vec!["a", "b"]),
            ("a,\"b\"", vec!["a", "b"]),
            ("a,", vec!["a", ""]),
        ] {
            let (scan, found) = cells(text, true, false);
            assert!(matches!(scan, Scan::Row { .. }), "{text:?}: {scan:?}");
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_whole_yet_is_waited_for_at_every_byte() {
        let text = "\"a\"\"b\nc\",d\r\n";
        for end in 1..text.len() {
            assert_eq!(cells(&text[..end], false, false).0, Scan::More, "{:?}", &text[..end]);
        }
        assert_eq!(cells(text, false, false).0, Scan::Row { end: 10, next: 12, lines: 2 });
    }

    #[test]
    fn of_a_broken_row_only_the_first_line_is_given_up() {
        let open = cells("1,\"abc\n2,d\n", true, false).0;
        assert!(matches!(open, Scan::Bad { end: 6, next: 7, doubt: 11, .. }), "{open:?}");
        let after = cells("1,\"abc\n2,\"d\"\n", true, false).0;
        assert!(matches!(after, Scan::Bad { end: 6, next: 7, doubt: 10, .. }), "{after:?}");
    }

    #[test]
    fn a_quote_in_a_plain_cell_is_refused_only_where_lines_are_in_doubt() {
        assert!(matches!(cells("b\"x,2\n", true, true).0, Scan::Bad { .. }));
        assert!(matches!(cells("b\"x,2\n", true, false).0, Scan::Row { .. }));
    }

    #[test]
    fn the_columns_of_a_reject_file_are_skipped() {
        assert_eq!(after(b"7,\"no, \"\"never\"\"\",a,b", b',', 2), 18);
        assert_eq!(after(b"a,b", b',', 2), 0);
        assert_eq!(after(b"7,\"x\",1,\"open", b',', 2), 6);
    }
}
