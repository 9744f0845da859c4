//! Changes that are made together: one transaction of the writer, which makes no other meanwhile.
//!
//! It must not know what a commit changes; see [`super::apply`].

use tokio::sync::{mpsc, oneshot};

use super::write::stopped;
use crate::Error;
use crate::backend::{self, Answer};
use crate::commit::Commit;

/// What the writer is told.
pub(super) enum Step {
    Put(Box<Commit>, oneshot::Sender<Result<(), Error>>),
    Finish(oneshot::Sender<Result<(), Error>>),
}

/// The transaction as the caller sees it. Where it is dropped, the writer takes it back.
pub(super) struct Import {
    steps: mpsc::Sender<Step>,
}

impl Import {
    /// The two ends of one.
    pub(super) fn new() -> (Self, mpsc::Receiver<Step>) {
        // The caller waits for each step.
        let (steps, taken) = mpsc::channel(1);
        (Self { steps }, taken)
    }

    async fn step(
        &self,
        step: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Step,
    ) -> Result<(), Error> {
        let (answer, outcome) = oneshot::channel();
        self.steps.send(step(answer)).await.map_err(|_closed| stopped())?;
        outcome.await.unwrap_or_else(|_closed| Err(stopped()))
    }
}

impl backend::Import for Import {
    fn put(&mut self, commit: Commit) -> Answer<'_, ()> {
        Box::pin(self.step(|answer| Step::Put(Box::new(commit), answer)))
    }

    fn finish<'a>(self: Box<Self>) -> Answer<'a, ()>
    where
        Self: 'a,
    {
        Box::pin(async move { self.step(Step::Finish).await })
    }
}
