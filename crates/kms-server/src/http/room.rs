//! Room for large bodies: memory that all connections share.
//!
//! A body that turns out to be large waits until there is room for it, for as long as a body may
//! take at all; one that is small never asks. Knows nothing of what is in a body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::limits::TRUSTED_BODY_BYTES;

/// The room there is.
#[derive(Debug)]
pub(crate) struct Bodies {
    room: Arc<Semaphore>,
    kibibytes: u32,
}

impl Bodies {
    /// Room for so many bytes. A body that is longer than all of it takes all of it.
    pub(crate) fn new(bytes: usize) -> Self {
        let kibibytes = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
        let places = usize::try_from(kibibytes).unwrap_or(Semaphore::MAX_PERMITS);
        Self { room: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))), kibibytes }
    }

    /// `body`, which takes room as soon as it is large. The room is left in `place`, to be given
    /// back when the request is answered.
    pub(super) fn admit<'a, B: Body>(
        &'a self,
        body: B,
        limit: usize,
        place: &'a mut Option<OwnedSemaphorePermit>,
    ) -> Admitted<'a, B> {
        Admitted { bodies: self, body, limit, came: 0, held: None, waiting: None, place }
    }
}

type Waiting = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// A body that asks for room.
pub(super) struct Admitted<'a, B> {
    bodies: &'a Bodies,
    body: B,
    /// The most that it may be.
    limit: usize,
    /// How much has come.
    came: usize,
    /// What came last, until there is room.
    held: Option<Bytes>,
    waiting: Option<Waiting>,
    place: &'a mut Option<OwnedSemaphorePermit>,
}

impl<B: Body<Data = Bytes>> Admitted<'_, B> {
    /// Room for all of the body: as much as it says that it has, or as it may have.
    fn ask(&self, first: usize) -> Waiting {
        let exact = self.body.size_hint().exact().and_then(|rest| usize::try_from(rest).ok());
        let expected = exact.map_or(self.limit, |rest| rest.saturating_add(first));
        let wanted = u32::try_from(expected.div_ceil(1024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.bodies.room);
        Box::pin(room.acquire_many_owned(wanted.min(self.bodies.kibibytes)))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Admitted<'_, B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if this.held.is_none() {
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
            this.came = this.came.saturating_add(data.len());
            if this.came <= TRUSTED_BODY_BYTES || this.place.is_some() || this.came > this.limit {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            this.waiting = Some(this.ask(this.came));
            this.held = Some(data);
        }
        if let Some(waiting) = &mut this.waiting {
            // It is never closed.
            *this.place = ready!(waiting.as_mut().poll(cx)).ok();
            this.waiting = None;
        }
        Poll::Ready(this.held.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Nobody asks while a piece is held.
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use http_body_util::BodyExt;
    use tokio::time::timeout;

    use super::*;

    /// A body of so many KiB, in pieces of 1 KiB.
    struct Sized {
        left: u64,
        announced: bool,
    }

    impl Body for Sized {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
            self.left = left;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 1024])))))
        }

        fn size_hint(&self) -> SizeHint {
            if self.announced {
                SizeHint::with_exact(self.left * 1024)
            } else {
                SizeHint::default()
            }
        }
    }

    async fn read(
        bodies: &Bodies,
        (kibibytes, announced): (u64, bool),
        limit: usize,
    ) -> (usize, Option<OwnedSemaphorePermit>) {
        let mut place = None;
        let body = bodies.admit(Sized { left: kibibytes, announced }, limit, &mut place);
        let length = body.collect().await.unwrap().to_bytes().len();
        (length, place)
    }

    #[tokio::test]
    async fn large_bodies_wait_for_room_and_small_ones_do_not() {
        const SOON: Duration = Duration::from_millis(50);
        let bodies = Bodies::new(160 << 10);
        for announced in [true, false] {
            let limit = 100 << 10;
            let first = read(&bodies, (100, announced), limit).await;
            assert_eq!(bodies.room.available_permits(), 60);
            let second = read(&bodies, (100, announced), limit);
            let mut second = std::pin::pin!(second);
            assert!(timeout(SOON, &mut second).await.is_err(), "there is no room");
            let small = timeout(SOON, read(&bodies, (64, announced), limit)).await.unwrap();
            assert!(small.0 == 65_536 && small.1.is_none());
            drop(first);
            assert_eq!(second.await.0, 102_400);
            assert_eq!(bodies.room.available_permits(), 160);
        }
        // One for which there is never room enough takes all of it.
        let whole = read(&bodies, (200, true), 1 << 20).await;
        assert_eq!((whole.0, bodies.room.available_permits()), (204_800, 0));
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_no_room() {
        let bodies = Bodies::new(100 << 10);
        let first = read(&bodies, (100, true), 1 << 20).await;
        let second = read(&bodies, (100, true), 1 << 20);
        assert!(timeout(Duration::from_millis(50), second).await.is_err());
        drop(first);
        assert_eq!(bodies.room.available_permits(), 100);
    }
}
