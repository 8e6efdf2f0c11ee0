//! A connection's stream that is patient for a while: it ends the connection when its [`Pace`] says that it is time.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::admission::Gate;
use crate::pace::{May, Pace, Patience};

/// A stream with limits of time and size.
pub struct Patient<T> {
    io: T,
    pace: Rc<Pace>,
    /// Wakes the connection's task when something may be due; made when it is first needed.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Patient<T> {
    /// Watches a fresh connection.
    #[must_use]
    pub fn new(io: T, gate: Arc<Gate>, patience: Patience) -> Self {
        Self { io, pace: Pace::new(gate, patience), timer: None }
    }

    /// The stream below.
    #[must_use]
    pub fn stream(&self) -> &T {
        &self.io
    }

    /// What its requests say when they begin and end.
    #[must_use]
    pub fn pace(&self) -> Rc<Pace> {
        Rc::clone(&self.pace)
    }

    /// What to answer when nothing moves.
    fn nothing_moves<R>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<R>> {
        let Some((due, why)) = self.pace.due() else { return Poll::Pending };
        loop {
            if Instant::now() >= due {
                self.pace.cut(why);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            // One that wakes too early is set anew then, which is cheaper than setting it with every request.
            if timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            timer.as_mut().reset(due);
        }
    }

    fn taken<R>(&mut self, moved: Poll<io::Result<R>>, cx: &mut Context<'_>) -> Poll<io::Result<R>> {
        if moved.is_pending() {
            self.pace.is_blocked();
            return self.nothing_moves(cx);
        }
        moved
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.pace.may_read(cx) {
            May::Read => {}
            // An answer that nobody takes is due all the same.
            May::Wait => return self.nothing_moves(cx),
            May::End => return Poll::Ready(Err(io::Error::other("the head is too large"))),
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if read.is_pending() {
            return self.nothing_moves(cx);
        }
        self.pace.read(buf.filled().len() - before);
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.io).poll_write(cx, bytes);
        if moved.is_ready() {
            self.pace.wrote();
        }
        self.taken(moved, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.io).poll_flush(cx);
        if moved.is_ready() {
            self.pace.flushed();
        }
        self.taken(moved, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.io).poll_shutdown(cx);
        self.taken(moved, cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Milliseconds stand for seconds.
    const PATIENCE: Patience = Patience {
        handshake: Duration::from_millis(10),
        head: Duration::from_millis(100),
        answer: Duration::from_millis(300),
        head_bytes_max: 1024,
    };
    const DROP: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn a_head_that_drips_is_cut_in_its_time() {
        let gate = Gate::new(1);
        let (mut client, server) = duplex(1024);
        let mut server = Patient::new(server, Arc::clone(&gate), PATIENCE);
        let began = Instant::now();
        let dripping = tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(DROP).await;
            }
        });
        let mut byte = [0];
        let error = loop {
            match server.read(&mut byte).await {
                Ok(read) => assert_eq!(read, 1),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= PATIENCE.head);
        assert_eq!((gate.counts().slow_heads, gate.counts().open), (1, 1));
        drop(server);
        assert_eq!(gate.counts().open, 0);
        dripping.await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_that_is_taken_byte_by_byte_is_cut_in_its_time() {
        let gate = Gate::new(1);
        let (mut client, server) = duplex(64);
        let mut server = Patient::new(server, Arc::clone(&gate), PATIENCE);
        let working = server.pace().begin(Some(0));
        let began = Instant::now();
        let sipping = tokio::spawn(async move {
            let mut byte = [0];
            while client.read(&mut byte).await.is_ok_and(|read| read > 0) {
                tokio::time::sleep(DROP).await;
            }
        });
        let error = server.write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= PATIENCE.answer);
        assert_eq!(gate.counts().slow_answers, 1);
        drop((working, server));
        sipping.await.unwrap();
    }

    #[tokio::test]
    async fn a_request_that_works_for_long_is_not_cut() {
        let gate = Gate::new(1);
        let (client, server) = duplex(64);
        let mut server = Patient::new(server, Arc::clone(&gate), PATIENCE);
        let working = server.pace().begin(Some(0));
        let mut byte = [0];
        let reading = tokio::time::timeout(PATIENCE.head * 3, server.read(&mut byte)).await;
        assert!(reading.is_err(), "it was cut while at work");
        drop(working);
        assert_eq!(server.read(&mut byte).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
