//! Bodies: reading one within its bounds, and the forms in which an answer goes out.
//!
//! Knows no route and no KMIP.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body as AxumBody;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use kms_auth::Kind;
use ttlv::around::{self, Long};

use crate::limits::{GROWTH, LONG_BYTES, TRUSTED_BODY_BYTES};
use crate::wire::{Answer, Content, Question};

/// After how many seconds a request is worth sending again that met a passing failure.
const AGAIN_S: u32 = 1;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Payload {
    /// In one piece.
    Whole(Option<Bytes>),
    /// In pieces, the next one last.
    Pieces(Vec<Bytes>),
    /// As it comes.
    Stream(AxumBody),
}

impl From<Content> for Payload {
    fn from(content: Content) -> Self {
        match content {
            Content::Whole(bytes) => Self::Whole(Some(bytes)),
            Content::Pieces(mut pieces) => {
                pieces.reverse();
                Self::Pieces(pieces)
            }
        }
    }
}

impl From<Content> for AxumBody {
    fn from(content: Content) -> Self {
        match content {
            Content::Whole(bytes) => Self::from(bytes),
            pieces @ Content::Pieces(_) => Self::new(Payload::from(pieces)),
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(pieces) => Poll::Ready(pieces.pop().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Pieces(pieces) => pieces.is_empty(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Whole(None) => SizeHint::with_exact(0),
            Self::Pieces(pieces) => {
                SizeHint::with_exact(pieces.iter().map(|bytes| bytes.len() as u64).sum())
            }
            Self::Stream(body) => body.size_hint(),
        }
    }
}

/// An answer as a response.
pub(super) fn answer<B>(answer: Answer, body: impl FnOnce(Content) -> B) -> Response<B> {
    let mut response = Response::new(body(answer.body));
    *response.status_mut() = answer.status;
    let kind = HeaderValue::from_static(answer.content_type);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    if answer.again {
        headers.insert(RETRY_AFTER, HeaderValue::from(AGAIN_S));
    }
    match answer.denial {
        None => {}
        Some(Kind::Missing) => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Some(Kind::Invalid) => {
            let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        Some(Kind::Unavailable { retry_s }) => {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_s));
        }
    }
    response
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It is, or says that it will be, longer than the limit.
    TooLarge,
    /// The connection ended, or what came is no body.
    CutOff,
}

impl Problem {
    /// The answer where the body is no KMIP.
    pub(super) fn small_answer(self, limit: usize) -> Answer {
        match self {
            Self::TooLarge => Answer::line(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Invalid_Message",
                &format!("the request is longer than the {limit} bytes that are accepted here"),
            ),
            Self::CutOff => Answer::line(
                StatusCode::BAD_REQUEST,
                "Invalid_Message",
                "the request's body was cut off",
            ),
        }
    }
}

/// Reads a body of at most `limit` bytes. One that came in a single piece is not copied.
pub(super) async fn collect<B>(body: B, limit: usize) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    match gather(body, limit, |_, _| None).await? {
        Question::Whole(bytes) => Ok(bytes),
        // Never: nothing was to be kept apart.
        Question::Around { frame, .. } => Ok(frame.into()),
    }
}

/// The same for a message in binary; what is long in it is kept apart, and copied once only.
pub(super) async fn collect_binary<B>(body: B, limit: usize) -> Result<Question, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    gather(body, limit, |start, total| around::find(start, total, LONG_BYTES)).await
}

async fn gather<B>(
    mut body: B,
    limit: usize,
    find: impl FnOnce(&[u8], usize) -> Option<Long>,
) -> Result<Question, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let hint = body.size_hint();
    let announced = usize::try_from(hint.lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Problem::TooLarge);
    }
    let first = next(&mut body).await?;
    if first.len() > limit {
        return Err(Problem::TooLarge);
    }
    // Either the announced length is there, or the body says that this was all.
    if body.is_end_stream() || (hint.exact().is_some() && first.len() >= announced) {
        return Ok(Question::Whole(first));
    }
    let long = find(&first, announced);
    let mut parts = match &long {
        Some(long) => Parts::apart(long.at, long.length),
        None => Parts::apart(0, announced),
    };
    let mut received = first.len();
    parts.add(&first);
    drop(first);
    loop {
        let piece = next(&mut body).await?;
        if piece.is_empty() {
            break;
        }
        received += piece.len();
        if received > limit {
            return Err(Problem::TooLarge);
        }
        parts.add(&piece);
    }
    if received < announced {
        return Err(Problem::CutOff);
    }
    let Parts { mut frame, long: mut contents, .. } = parts;
    if let Some(long) = long {
        return Ok(Question::Around { long, frame, contents });
    }
    // Of a body without a length, all of it came after nothing.
    if contents.is_empty() {
        return Ok(Question::Whole(frame.into()));
    }
    contents.append(&mut frame);
    Ok(Question::Whole(contents.into()))
}

/// What has come of a body: one stretch of it, and what is around that.
struct Parts {
    /// How much comes before the stretch, and how much of the stretch has not come.
    before: usize,
    missing: usize,
    long: Vec<u8>,
    frame: Vec<u8>,
}

/// Room after a long byte string, for an encryption to add padding and a tag, and for the end of
/// the answer.
const SPARE_BYTES: usize = 256;

impl Parts {
    fn apart(before: usize, length: usize) -> Self {
        let long = Vec::with_capacity(length.min(TRUSTED_BODY_BYTES) + SPARE_BYTES);
        Self { before, missing: length, long, frame: Vec::with_capacity(before) }
    }

    fn add(&mut self, piece: &[u8]) {
        let (before, piece) = piece.split_at(self.before.min(piece.len()));
        let (long, after) = piece.split_at(self.missing.min(piece.len()));
        self.frame.extend_from_slice(before);
        self.before -= before.len();
        // Enough has come to believe the rest of what was announced, step by step.
        if self.long.capacity() - self.long.len() < long.len() {
            let wanted = self.missing.saturating_add(SPARE_BYTES);
            let believed = self.long.len().saturating_mul(GROWTH);
            self.long.reserve_exact(wanted.min(believed).max(long.len()));
        }
        self.long.extend_from_slice(long);
        self.missing -= long.len();
        self.frame.extend_from_slice(after);
    }
}

/// The next piece that is not empty; an empty one at the end.
async fn next<B>(body: &mut B) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        match body.frame().await {
            None => return Ok(Bytes::new()),
            Some(Err(_)) => return Err(Problem::CutOff),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Ok(data),
                // Trailers mean nothing here.
                Ok(_) | Err(_) => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    struct Pieces {
        announced: Option<u64>,
        pieces: VecDeque<Result<Bytes, ()>>,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = ();

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
            Poll::Ready(self.pieces.pop_front().map(|piece| piece.map(Frame::data)))
        }

        fn size_hint(&self) -> SizeHint {
            self.announced.map_or_else(SizeHint::default, SizeHint::with_exact)
        }
    }

    async fn read(
        announced: Option<u64>,
        pieces: &[&[u8]],
        limit: usize,
    ) -> Result<Bytes, Problem> {
        let pieces = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        collect(Pieces { announced, pieces }, limit).await
    }

    #[tokio::test]
    async fn a_body_is_whole_or_refused() {
        assert_eq!(read(Some(3), &[b"abc"], 3).await.unwrap(), "abc");
        assert_eq!(read(None, &[b"ab", b"", b"c"], 3).await.unwrap(), "abc");
        assert_eq!(read(Some(5), &[b"ab", b"cde"], 5).await.unwrap(), "abcde");
        assert_eq!(read(Some(0), &[], 5).await.unwrap(), "");
        assert_eq!(read(Some(6), &[b"abcdef"], 5).await, Err(Problem::TooLarge));
        assert_eq!(read(None, &[b"abc", b"def"], 5).await, Err(Problem::TooLarge));
        assert_eq!(read(None, &[b"abcdef"], 5).await, Err(Problem::TooLarge));
        assert_eq!(read(Some(5), &[b"ab"], 5).await, Err(Problem::CutOff));
        let pieces = [Ok(Bytes::from_static(b"ab")), Err(())].into();
        let cut = collect(Pieces { announced: Some(5), pieces }, 9).await;
        assert_eq!(cut, Err(Problem::CutOff));
    }

    #[tokio::test]
    async fn long_data_is_kept_apart_however_it_comes() {
        let value = ttlv::Value::ByteString(vec![7; LONG_BYTES].into());
        let data = ttlv::Item::new(ttlv::Tag(0x42_00C2), value);
        let item = ttlv::Item::structure(ttlv::Tag(0x42_0078), vec![data.clone(), data]);
        let mut message = Vec::new();
        ttlv::binary::encode(&item, &mut message).unwrap();
        for size in [16, 17, 5000, LONG_BYTES + 20, message.len() - 1] {
            let pieces = message.chunks(size).map(|it| Ok(Bytes::copy_from_slice(it))).collect();
            let body = Pieces { announced: Some(message.len() as u64), pieces };
            let question = collect_binary(body, message.len()).await.unwrap();
            let Question::Around { long, mut frame, contents } = question else { panic!("{size}") };
            assert_eq!((contents.len(), frame.len()), (LONG_BYTES, LONG_BYTES + 24));
            assert!(contents.capacity() >= LONG_BYTES + SPARE_BYTES, "{size}");
            let limits = ttlv::Limits::DEFAULT;
            assert_eq!(long.decode(&mut frame, contents, &limits).unwrap(), item);
        }
        let body = Pieces { announced: None, pieces: [Ok(message.clone().into())].into() };
        let question = collect_binary(body, message.len()).await.unwrap();
        assert!(matches!(question, Question::Whole(bytes) if bytes == message));
    }
}
