//! Decimal numbers: text and whole numbers to PostgreSQL's groups of four digits, and back.

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;
/// The most digits after the point that the wire form has room for.
const MOST_SCALE: usize = 0x3FFF;

fn special(out: &mut Vec<u8>, sign: u16) {
    out.extend_from_slice(&[0, 0, 0, 0]);
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
}

/// Writes a whole number.
pub(super) fn write_int(out: &mut Vec<u8>, mut rest: u64, negative: bool) {
    let mut groups = [0_u16; 5];
    let mut count = 0_usize;
    while rest > 0 {
        groups[count] = u16::try_from(rest % 10_000).unwrap_or_default();
        rest /= 10_000;
        count += 1;
    }
    let most = &groups[..count];
    let zeros = most.iter().take_while(|group| **group == 0).count();
    let weight = i16::try_from(count).unwrap_or_default() - 1;
    head(out, count - zeros, weight.max(0), negative && count > 0, 0);
    for group in most[zeros..].iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

fn head(out: &mut Vec<u8>, groups: usize, weight: i16, negative: bool, scale: usize) {
    out.extend_from_slice(&u16::try_from(groups).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&(if negative { NEGATIVE } else { POSITIVE }).to_be_bytes());
    out.extend_from_slice(&u16::try_from(scale).unwrap_or_default().to_be_bytes());
}

/// Writes decimal text, or says that it is none.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) -> Option<()> {
    let (negative, body) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if body.eq_ignore_ascii_case(b"nan") {
        special(out, NAN);
        return Some(());
    }
    if body.eq_ignore_ascii_case(b"infinity") || body.eq_ignore_ascii_case(b"inf") {
        special(out, if negative { MINUS_INFINITY } else { INFINITY });
        return Some(());
    }
    let whole = digits(body);
    let (whole, rest) = body.split_at(whole);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => rest.split_at(digits(rest)),
        rest => (&[][..], rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    match rest {
        [] => write_parts(out, negative, whole, fraction),
        [b'e' | b'E', exponent @ ..] => {
            let exponent: i32 = std::str::from_utf8(exponent).ok()?.parse().ok()?;
            if exponent.unsigned_abs() > 100_000 {
                return None;
            }
            let shift = usize::try_from(exponent.unsigned_abs()).ok()?;
            let mut all = [whole, fraction].concat();
            let point = if exponent >= 0 {
                all.resize(all.len().max(whole.len() + shift), b'0');
                whole.len() + shift
            } else {
                let missing = shift.saturating_sub(whole.len());
                all.splice(0..0, std::iter::repeat_n(b'0', missing));
                (whole.len() + missing) - shift
            };
            let (whole, fraction) = all.split_at(point);
            write_parts(out, negative, whole, fraction)
        }
        _ => None,
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn write_parts(out: &mut Vec<u8>, negative: bool, whole: &[u8], fraction: &[u8]) -> Option<()> {
    let zeros = whole.iter().take_while(|byte| **byte == b'0').count();
    let whole = &whole[zeros..];
    if fraction.len() > MOST_SCALE || whole.len() > 131_072 {
        return None;
    }
    let start = out.len();
    head(out, 0, 0, false, fraction.len());
    let groups = out.len();
    let mut weight = i16::try_from(whole.len().div_ceil(4)).ok()? - 1;
    let mut push = |out: &mut Vec<u8>, group: &[u8]| {
        let mut value = 0_u16;
        for place in 0..4 {
            value = value * 10 + group.get(place).map_or(0, |digit| u16::from(digit - b'0'));
        }
        // Groups that are zero before the first that is not are left out; each lowers the weight.
        if value == 0 && out.len() == groups {
            weight -= 1;
        } else {
            out.extend_from_slice(&value.to_be_bytes());
        }
    };
    let (first, others) = whole.split_at(whole.len() % 4);
    if !first.is_empty() {
        let mut padded = [b'0'; 4];
        padded[4 - first.len()..].copy_from_slice(first);
        push(out, &padded);
    }
    for group in others.chunks(4).chain(fraction.chunks(4)) {
        push(out, group);
    }
    while out.len() > groups && out[out.len() - 2..] == [0, 0] {
        out.truncate(out.len() - 2);
    }
    let count = (out.len() - groups) / 2;
    if count == 0 {
        weight = 0;
    }
    let sign = if negative && count > 0 { NEGATIVE } else { POSITIVE };
    out[start..start + 2].copy_from_slice(&u16::try_from(count).ok()?.to_be_bytes());
    out[start + 2..start + 4].copy_from_slice(&weight.to_be_bytes());
    out[start + 4..start + 6].copy_from_slice(&sign.to_be_bytes());
    Some(())
}

/// The decimal text of the wire form.
pub(super) fn text(raw: &[u8]) -> Option<String> {
    let short = |place: usize| Some(u16::from_be_bytes(raw.get(place..place + 2)?.try_into().ok()?));
    let count = usize::from(short(0)?);
    let weight = i64::from(short(2)?.cast_signed());
    let sign = short(4)?;
    let scale = usize::from(short(6)?);
    match sign {
        NAN => return Some("NaN".to_owned()),
        INFINITY => return Some("Infinity".to_owned()),
        MINUS_INFINITY => return Some("-Infinity".to_owned()),
        _ => {}
    }
    let group = |place: i64| -> Option<u16> {
        match usize::try_from(place) {
            Ok(place) if place < count => short(8 + place * 2),
            _ => Some(0),
        }
    };
    let mut out = String::with_capacity(scale + count * 4 + 4);
    if sign == NEGATIVE {
        out.push('-');
    }
    let start = out.len();
    for place in 0..=weight {
        let value = group(place)?;
        if out.len() == start {
            if value > 0 {
                out.push_str(&value.to_string());
            }
        } else {
            out.push_str(&format!("{value:04}"));
        }
    }
    if out.len() == start {
        out.push('0');
    }
    if scale > 0 {
        out.push('.');
        let point = out.len();
        let mut place = weight + 1;
        while out.len() - point < scale {
            // With a negative weight the groups between the point and the first one are zeros.
            let value = if place < 0 { 0 } else { group(place)? };
            out.push_str(&format!("{value:04}"));
            place += 1;
        }
        out.truncate(point + scale);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives() {
        let long = format!("{}.{}", "1234567890".repeat(50), "0123456789".repeat(50));
        for sample in [
            "0",
            "1",
            "-1",
            "9999",
            "10000",
            "10001",
            "100000000",
            "0.1",
            "0.0001",
            "0.00001",
            "-0.00000000012",
            "123456.789000",
            "1.50",
            "0.00",
            "99999999999999999999.99",
            "12345678.00000001",
            &long,
            "NaN",
            "Infinity",
            "-Infinity",
        ] {
            let mut out = Vec::new();
            write_text(&mut out, sample).unwrap();
            assert_eq!(text(&out).as_deref(), Some(sample));
        }
        for (sample, expected) in [
            ("1e3", "1000"),
            ("1.5E-3", "0.0015"),
            ("+007", "7"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0", "0"),
            ("12.345e1", "123.45"),
            ("12e-1", "1.2"),
            ("0e5", "0"),
            ("1.25e1", "12.5"),
        ] {
            let mut out = Vec::new();
            write_text(&mut out, sample).unwrap();
            assert_eq!(text(&out).as_deref(), Some(expected), "{sample}");
        }
        for bad in ["", ".", "-", "1,5", "1.2.3", "1e", "0x1", " 1", "1e999999"] {
            assert_eq!(write_text(&mut Vec::new(), bad), None, "{bad}");
        }
    }

    #[test]
    fn whole_numbers_are_as_their_text() {
        for value in [0, 1, 9_999, 10_000, 10_001, 120_000_000, u64::MAX, 10_000_000_000_000_000_000] {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            write_int(&mut a, value, true);
            write_text(&mut b, &format!("-{value}")).unwrap();
            assert_eq!(a, b, "{value}");
        }
    }
}
