//! Reading an answer's body: bounded, and whole or not at all.

use std::io::{self, Read};

use ureq::http::HeaderMap;
use ureq::{Body, Error};

use super::phase::Phase;

/// Why a body was not read to its end.
pub(super) struct Cut {
    /// `None`: it is too long.
    pub(super) error: Option<Error>,
    /// What was read before.
    pub(super) so_far: Vec<u8>,
}

/// Reads a body of at most `most` bytes, counted after decompression.
pub(super) fn read(mut body: Body, headers: &HeaderMap, most: usize, phase: &Phase) -> Result<Vec<u8>, Cut> {
    let announced = body.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    // What a server announces is not yet a reason to allocate it.
    let mut so_far = Vec::with_capacity(announced.min(most).min(1 << 20));
    // The client's own limit counts compressed bytes; one byte more tells too long from just fitting.
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = body.as_reader().take(limit).read_to_end(&mut so_far);
    if let Err(e) = read {
        return Err(Cut { error: Some(Error::from(e)), so_far });
    }
    if so_far.len() > most {
        so_far.truncate(most);
        return Err(Cut { error: None, so_far });
    }
    // Without a length, the end of the connection is the end of the body: it must have been a good end.
    let by_length =
        announced > 0 || headers.contains_key("content-length") || headers.contains_key("transfer-encoding");
    if !by_length && (phase.trace().broken || phase.is_interrupted()) {
        let error = Error::Io(io::ErrorKind::UnexpectedEof.into());
        return Err(Cut { error: Some(error), so_far });
    }
    Ok(so_far)
}
