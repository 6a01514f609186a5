//! How many connections are open at a time, all together and from one address.
//!
//! Called by: `appliance::tls`, for every connection. Talks to: nothing.
//! Invariants: a connection is counted from its acceptance to its end, whatever ends it; one too
//! many is closed before a byte of it is read, so that nobody can use up the files and the memory
//! that those who are signed in need.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Connections open at a time.
const MOST: usize = 4096;
/// Those from one address: whoever sits there leaves room for others. A proxy on this machine
/// speaks for many, so its address is not counted by itself.
const MOST_FROM_ONE: usize = 512;

/// Everybody who is connected.
#[derive(Clone)]
pub(super) struct Crowd {
    counts: Arc<Mutex<Counts>>,
    most: usize,
    most_from_one: usize,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { counts: Arc::default(), most: MOST, most_from_one: MOST_FROM_ONE }
    }
}

impl Crowd {
    /// Counts a connection in.
    ///
    /// # Errors
    /// `ConnectionRefused` where there are too many; the connection is closed with it.
    pub(super) fn seat(&self, stream: TcpStream) -> io::Result<Seated> {
        let address = stream.peer_addr()?.ip().to_canonical();
        let seat = self.take(address).ok_or_else(|| {
            io::Error::new(io::ErrorKind::ConnectionRefused, "too many connections are open")
        })?;
        Ok(Seated { stream, _seat: seat })
    }

    fn take(&self, address: IpAddr) -> Option<Seat> {
        let mut counts = self.counts();
        let from_here = counts.by_address.get(&address).copied().unwrap_or_default();
        let crowded = from_here >= self.most_from_one && !address.is_loopback();
        if counts.all >= self.most || crowded {
            return None;
        }
        counts.all += 1;
        counts.by_address.insert(address, from_here + 1);
        Some(Seat { crowd: self.clone(), address })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who are connected.
struct Seat {
    crowd: Crowd,
    address: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        counts.all -= 1;
        if let Some(from_here) = counts.by_address.get_mut(&self.address) {
            *from_here -= 1;
            if *from_here == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

/// A connection that is counted.
pub(super) struct Seated {
    stream: TcpStream,
    _seat: Seat,
}

impl Seated {
    /// The connection, to look at what came without taking it.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsyncRead for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn small() -> Crowd {
        Crowd { most: 5, most_from_one: 2, ..Crowd::default() }
    }

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[test]
    fn one_address_leaves_room_for_others_and_gets_back_what_it_gives_up() {
        let crowd = small();
        let first = crowd.take(address(1));
        let second = crowd.take(address(1));
        assert!(first.is_some() && second.is_some() && crowd.take(address(1)).is_none());
        assert!(crowd.take(address(2)).is_some(), "there is room for somebody else");
        drop(first);
        assert!(crowd.take(address(1)).is_some());
        drop(second);
        assert!(crowd.counts().by_address.is_empty(), "nobody who left is remembered");
        assert_eq!(crowd.counts().all, 0);
    }

    #[test]
    fn all_together_are_bounded_also_through_a_proxy_on_this_machine() {
        let crowd = small();
        let proxied: Vec<Option<Seat>> =
            (0..6).map(|_| crowd.take(Ipv4Addr::LOCALHOST.into())).collect();
        assert_eq!(proxied.iter().flatten().count(), 5);
        assert!(crowd.take(address(1)).is_none());
    }
}
