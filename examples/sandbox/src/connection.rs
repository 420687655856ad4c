//! One connection, with the power to fail: it can cut a reply, reset, dribble, or go stale.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

/// What shall happen to the reply that is about to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// Close after this many bytes of the reply.
    pub cut_after: Option<usize>,
    /// Close with a reset (RST) instead of an orderly end (FIN).
    pub reset: bool,
    /// One byte at a time, with this pause before each.
    pub pause: Option<Duration>,
    /// Close once the reply is out, though nothing announced it.
    pub stale: bool,
}

/// The end of a connection that the request's handler holds.
#[derive(Clone, Default)]
pub struct Control(Arc<Mutex<Plan>>);

impl Control {
    pub fn set(&self, plan: Plan) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    fn get(&self) -> Plan {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection runs over: plain TCP, or TLS on it.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

pub struct Connection<S> {
    stream: S,
    control: Control,
    /// Bytes of the planned reply written so far.
    written: usize,
    pause: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl<S: Stream> Connection<S> {
    pub fn new(stream: S, control: Control) -> Self {
        Self {
            stream,
            control,
            written: 0,
            pause: None,
            ended: false,
        }
    }

    fn end(&mut self, plan: Plan) -> io::Error {
        if plan.reset {
            // With no time to linger, the close that follows sends RST.
            let _ = self.stream.tcp().set_zero_linger();
        }
        self.ended = true;
        io::ErrorKind::BrokenPipe.into()
    }
}

impl<S: Stream> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: Stream> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let plan = self.control.get();
        let mut bytes = bytes;
        if let Some(cut_after) = plan.cut_after {
            let left = cut_after.saturating_sub(self.written);
            if left == 0 {
                return match Pin::new(&mut self.stream).poll_flush(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(_) => Poll::Ready(Err(self.end(plan))),
                };
            }
            bytes = &bytes[..bytes.len().min(left)];
        }
        if let Some(length) = plan.pause {
            let pause = self
                .pause
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(length)));
            if pause.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
            bytes = &bytes[..bytes.len().min(1)];
        }
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &result {
            self.written += count;
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        if matches!(result, Poll::Ready(Ok(()))) && self.written > 0 {
            self.written = 0;
            let plan = self.control.get();
            if plan.stale {
                // The next read finds the end, as if the client had gone.
                self.ended = true;
                context.waker().wake_by_ref();
            }
            self.control.set(Plan::default());
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
