//! The built policy.
//!
//! The head that the caller gets is put right when the filter is made, the last thing before it goes out: what other policies
//! read of the body is the body as it came.

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Coding;
use super::accept::choose;
use super::encode::Encoder;
use super::types::Types;
use crate::{Answer, Blame, BodyFilter, Policy, Reply, RequestContext, RequestHead, ResponseHead};

/// So much is compressed at a time; then the worker's other requests have their turn.
pub(super) const PIECE_BYTES_MAX: usize = 16 << 10;

static CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
static CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

pub(super) struct Compressor {
    pub(super) codings: Box<[Coding]>,
    pub(super) smallest: u64,
    pub(super) types: Types,
    pub(super) gzip_level: u32,
    pub(super) br_quality: u32,
    pub(super) zstd_level: u32,
}

/// What the caller of a request gets, where it can.
struct Chosen(Option<Coding>);

impl Policy for Compressor {
    fn on_request<'a>(&'a self, head: &'a mut RequestHead, cx: &'a mut RequestContext) -> Answer<'a> {
        let accepted = head.headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        cx.notes.put(Chosen(choose(accepted, &self.codings)));
        Answer::CONTINUE
    }

    fn on_response<'a>(&'a self, head: &'a mut ResponseHead, _: &'a mut RequestContext) -> Answer<'a> {
        // said whether this one is compressed or not: the next may be. An answer without content says what the one with it would
        if head.status == StatusCode::NOT_MODIFIED || self.is_fit(head) {
            vary(&mut head.headers);
        }
        Answer::CONTINUE
    }

    fn encoder(&self, head: &mut ResponseHead, cx: &RequestContext) -> Option<Box<dyn BodyFilter>> {
        let coding = cx.notes.read::<Chosen>()?.0.filter(|_| self.is_fit(head))?;
        let level = match coding {
            Coding::Gzip => self.gzip_level,
            Coding::Br => self.br_quality,
            Coding::Zstd => self.zstd_level,
        };
        let encoder = Encoder::new(coding, level).ok()?;
        let headers = &mut head.headers;
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        for name in [&CONTENT_LENGTH, &ACCEPT_RANGES, &CONTENT_DIGEST, &CONTENT_MD5] {
            headers.remove(name);
        }
        weaken(headers);
        Some(Box::new(Encoding(Some(encoder))))
    }
}

impl Compressor {
    /// Whether an answer is one that is compressed for who takes it.
    fn is_fit(&self, head: &ResponseHead) -> bool {
        let headers = &head.headers;
        let small = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let is_whole = !matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
        );
        is_whole
            && !head.status.is_informational()
            && !headers.contains_key(CONTENT_RANGE)
            && !headers.contains_key(CONTENT_ENCODING)
            && small.is_none_or(|length| length >= self.smallest)
            && headers.get(CONTENT_TYPE).is_some_and(|content_type| self.types.have(content_type.as_bytes()))
            && !is_to_stay(headers)
    }
}

/// Whether it says `no-transform` (RFC 9111 §5.2.2.6).
fn is_to_stay(headers: &HeaderMap) -> bool {
    let said = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case("no-transform"))
}

fn vary(headers: &mut HeaderMap) {
    let said = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
    let known = said
        .flat_map(|value| value.split(','))
        .any(|name| name.trim() == "*" || name.trim().eq_ignore_ascii_case("accept-encoding"));
    if !known {
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// What is compressed is not byte for byte what a strong tag names (RFC 9110 §8.8.3.3).
fn weaken(headers: &mut HeaderMap) {
    if let Some(tag) = headers.get_mut(ETAG)
        && !tag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        *tag = weak;
    }
}

struct Encoding(Option<Encoder>);

impl BodyFilter for Encoding {
    fn on_data(&mut self, data: &mut Bytes) -> Result<(), Box<Reply>> {
        if let Some(encoder) = &mut self.0
            && !data.is_empty()
        {
            *data = encoder.piece(data).map_err(|_| failed())?;
        }
        Ok(())
    }

    fn on_end(&mut self) -> Result<Bytes, Box<Reply>> {
        self.0.take().map_or(Ok(Bytes::new()), |encoder| encoder.finish().map_err(|_| failed()))
    }

    fn piece_bytes_max(&self) -> usize {
        PIECE_BYTES_MAX
    }
}

fn failed() -> Box<Reply> {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Box::new(Reply::new(status, "compression_failed", "the answer could not be compressed", Blame::Gateway))
}
