//! Bodies: reading one within its bounds, and the forms in which an answer goes out.
//!
//! Knows no route and no KMIP.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body as AxumBody;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::limits::TRUSTED_BODY_BYTES;
use crate::wire::Answer;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Payload {
    /// In one piece.
    Whole(Option<Bytes>),
    /// As it comes.
    Stream(AxumBody),
}

impl Payload {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
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
            Self::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Whole(None) => SizeHint::with_exact(0),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

/// An answer as a response.
pub(super) fn answer<B>(answer: Answer, body: impl FnOnce(Bytes) -> B) -> Response<B> {
    let mut response = Response::new(body(answer.body));
    *response.status_mut() = answer.status;
    let kind = HeaderValue::from_static(answer.content_type);
    response.headers_mut().insert(CONTENT_TYPE, kind);
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
pub(super) async fn collect<B>(mut body: B, limit: usize) -> Result<Bytes, Problem>
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
        return Ok(first);
    }
    let mut whole = Vec::with_capacity(announced.min(TRUSTED_BODY_BYTES).max(first.len()));
    whole.extend_from_slice(&first);
    drop(first);
    loop {
        let piece = next(&mut body).await?;
        if piece.is_empty() {
            break;
        }
        if whole.len() + piece.len() > limit {
            return Err(Problem::TooLarge);
        }
        // Enough has come to believe the rest of what was announced, step by step.
        if whole.capacity() - whole.len() < piece.len() {
            let wanted = (whole.len() * 4).min(announced).saturating_sub(whole.len());
            whole.reserve(wanted.max(piece.len()));
        }
        whole.extend_from_slice(&piece);
    }
    if whole.len() < announced {
        return Err(Problem::CutOff);
    }
    Ok(whole.into())
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
}
