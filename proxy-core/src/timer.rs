//! A deadline that moves often and is reached rarely.
//!
//! Moving it later costs nothing: the clock behind it is wound again only when it rings too early.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    clock: Option<Pin<Box<Sleep>>>,
    until: Option<Instant>,
    /// Who is woken by the clock already.
    waker: Option<Waker>,
}

impl Timer {
    /// Sets the deadline; `None` is never.
    pub(crate) fn set(&mut self, until: Option<Instant>) {
        self.until = until;
        if let (Some(clock), Some(until)) = (&mut self.clock, until)
            && until < clock.deadline()
        {
            clock.as_mut().reset(until);
            self.waker = None;
        }
    }

    /// Is ready once the deadline is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else { return Poll::Pending };
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep_until(until)));
        loop {
            let watched = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
            if watched && !clock.is_elapsed() {
                return Poll::Pending;
            }
            self.waker = Some(cx.waker().clone());
            ready!(clock.as_mut().poll(cx));
            if clock.deadline() >= until {
                return Poll::Ready(());
            }
            clock.as_mut().reset(until);
            self.waker = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_deadline_that_was_set_counts() {
        let (start, mut timer) = (Instant::now(), Timer::default());
        for (seconds, after) in [(10, 10), (3, 13), (20, 33)] {
            timer.set(Some(Instant::now() + Duration::from_secs(100)));
            let mut early = true;
            std::future::poll_fn(|cx| {
                if std::mem::take(&mut early) {
                    assert!(timer.poll(cx).is_pending());
                    timer.set(Some(Instant::now() + Duration::from_secs(seconds)));
                }
                timer.poll(cx)
            })
            .await;
            assert_eq!(start.elapsed().as_secs(), after);
        }
    }
}
