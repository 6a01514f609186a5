//! Who is connected: how many, from where, and whether anything still comes of it.
//!
//! Called by: `appliance::tls`, for every connection. Talks to: nothing.
//! Invariants: a connection is counted from its acceptance to its end, whatever ends it; one too
//! many is closed before a byte of it is read, so that nobody can use up the files and the memory
//! that those who are signed in need; one that takes nothing that is sent to it, or on which nothing
//! happens for long, is ended, so that nobody keeps open what a tenant's keys lie behind.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Most connections, where the process may open that many files.
const MOST: usize = 4096;
/// Those from one address: whoever sits there leaves room for others. A proxy on this machine
/// speaks for many, so its address is not counted by itself.
const SHARE_OF_ONE: usize = 8;

/// How long a peer may leave untaken what is sent to it.
const STALLED: Duration = Duration::from_secs(60);
/// How long nothing at all may happen. An event stream says something every few seconds.
const SILENT: Duration = Duration::from_secs(3600);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often it is said that connections are refused.
const SAY: Duration = Duration::from_secs(60);

/// Everybody who is connected.
#[derive(Clone)]
pub(super) struct Crowd {
    counts: Arc<Mutex<Counts>>,
    most: usize,
    most_from_one: usize,
}

#[derive(Default)]
struct Counts {
    by_address: HashMap<IpAddr, usize>,
    pulses: HashMap<u64, Arc<Pulse>>,
    next: u64,
    refused: u64,
    said: Option<Instant>,
}

impl Crowd {
    /// Nobody yet. `files` is how many files the process may open: half of them are for others.
    pub(super) fn new(files: Option<u64>) -> Self {
        let files = files.and_then(|files| usize::try_from(files / 2).ok()).unwrap_or(MOST);
        let most = files.clamp(SHARE_OF_ONE, MOST);
        Self { counts: Arc::default(), most, most_from_one: most / SHARE_OF_ONE }
    }

    /// Counts a connection in.
    ///
    /// # Errors
    /// `ConnectionRefused` where there are too many; the connection is closed with it.
    pub(super) fn seat(&self, stream: TcpStream) -> io::Result<Seated> {
        let address = stream.peer_addr()?.ip().to_canonical();
        let seat = self.take(address).ok_or_else(|| {
            io::Error::new(io::ErrorKind::ConnectionRefused, "too many connections are open")
        })?;
        Ok(Seated { stream, seat })
    }

    fn take(&self, address: IpAddr) -> Option<Seat> {
        let mut counts = self.counts();
        let from_here = counts.by_address.get(&address).copied().unwrap_or_default();
        let crowded = from_here >= self.most_from_one && !address.is_loopback();
        if counts.pulses.len() >= self.most || crowded {
            counts.refuse();
            return None;
        }
        counts.by_address.insert(address, from_here + 1);
        let (id, pulse) = (counts.next, Arc::new(Pulse::new()));
        counts.next += 1;
        counts.pulses.insert(id, pulse.clone());
        Some(Seat { crowd: self.clone(), address, id, pulse })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends connections on which nothing happens, from now on.
    pub(super) fn watch(&self) -> Watch {
        let crowd = self.clone();
        Watch(tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                crowd.end_those_that_rest(STALLED, SILENT);
            }
        }))
    }

    fn end_those_that_rest(&self, stalled: Duration, silent: Duration) {
        let pulses: Vec<Arc<Pulse>> = self.counts().pulses.values().cloned().collect();
        for pulse in pulses {
            if pulse.rests_for() > if pulse.waits_to_write() { stalled } else { silent } {
                pulse.end();
            }
        }
    }
}

impl Counts {
    /// Counts a refusal, and says so now and then: whoever is to find out why nobody gets in must
    /// find it in the log, and a flood must not fill it.
    fn refuse(&mut self) {
        self.refused += 1;
        if self.said.is_none_or(|said| said.elapsed() > SAY) {
            tracing::warn!(
                open = self.pulses.len(),
                refused = self.refused,
                "connections are refused: too many are open"
            );
            self.said = Some(Instant::now());
            self.refused = 0;
        }
    }
}

/// Ends with the server.
pub(super) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// When something last happened on a connection.
struct Pulse {
    began: Instant,
    /// Milliseconds after `began`.
    last: AtomicU64,
    /// True while the peer does not take what is to be sent.
    waits_to_write: AtomicBool,
    ended: AtomicBool,
    waker: AtomicWaker,
}

impl Pulse {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            last: AtomicU64::new(0),
            waits_to_write: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    fn beat(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    fn rests_for(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(last)
    }

    fn waits_to_write(&self) -> bool {
        self.waits_to_write.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Passes on what a poll came to, unless it waits and the connection was ended meanwhile.
    fn polled<T>(&self, cx: &Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.beat();
            // It is alive after all.
            self.ended.store(false, Ordering::Release);
            return polled;
        }
        // Before the look, so that an end that comes in between wakes.
        self.waker.register(cx.waker());
        if self.ended.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    fn written(
        &self,
        cx: &Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.waits_to_write.store(written.is_pending(), Ordering::Relaxed);
        self.polled(cx, written)
    }
}

/// A place among those who are connected.
struct Seat {
    crowd: Crowd,
    address: IpAddr,
    id: u64,
    pulse: Arc<Pulse>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        counts.pulses.remove(&self.id);
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
    seat: Seat,
}

impl Seated {
    /// The connection, to look at what came without taking it.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsyncRead for Seated {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, seat } = self.get_mut();
        let read = Pin::new(stream).poll_read(cx, into);
        seat.pulse.polled(cx, read)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, seat } = self.get_mut();
        let written = Pin::new(stream).poll_write(cx, bytes);
        seat.pulse.written(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, seat } = self.get_mut();
        let written = Pin::new(stream).poll_write_vectored(cx, slices);
        seat.pulse.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn small() -> Crowd {
        Crowd { most: 5, most_from_one: 2, ..Crowd::new(None) }
    }

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    /// Both ends of a connection, ours counted.
    async fn connected(crowd: &Crowd) -> (Seated, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (peer, ours) = tokio::join!(TcpStream::connect(address), listener.accept());
        (crowd.seat(ours.unwrap().0).unwrap(), peer.unwrap())
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
        assert!(crowd.counts().pulses.is_empty());
    }

    #[test]
    fn all_together_are_bounded_also_through_a_proxy_on_this_machine() {
        let crowd = small();
        let proxied: Vec<Option<Seat>> =
            (0..6).map(|_| crowd.take(Ipv4Addr::LOCALHOST.into())).collect();
        assert_eq!(proxied.iter().flatten().count(), 5);
        assert!(crowd.take(address(1)).is_none());
    }

    #[test]
    fn half_of_the_files_are_left_for_everything_else() {
        assert_eq!(Crowd::new(Some(1024)).most, 512);
        assert_eq!(Crowd::new(Some(1 << 20)).most, MOST);
        assert_eq!(Crowd::new(None).most, MOST);
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_let_go() {
        let crowd = small();
        let (mut ours, peer) = connected(&crowd).await;
        let sending = tokio::spawn(async move { ours.write_all(&vec![7; 64 << 20]).await });
        while !crowd.counts().pulses.values().any(|pulse| pulse.waits_to_write()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        crowd.end_those_that_rest(SILENT, SILENT);
        assert!(!sending.is_finished(), "it has not rested for that long");
        tokio::time::sleep(Duration::from_millis(20)).await;
        crowd.end_those_that_rest(Duration::from_millis(10), SILENT);
        let ended = sending.await.unwrap().unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        assert!(crowd.counts().pulses.is_empty());
        drop(peer);
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_happens_ends_and_a_busy_one_does_not() {
        let crowd = small();
        let (mut ours, mut peer) = connected(&crowd).await;
        let reading = tokio::spawn(async move {
            let mut byte = [0];
            ours.read_exact(&mut byte).await.unwrap();
            ours.read_exact(&mut byte).await
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        peer.write_all(b"x").await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        crowd.end_those_that_rest(Duration::ZERO, Duration::from_secs(5));
        assert!(!reading.is_finished());
        tokio::time::sleep(Duration::from_millis(30)).await;
        crowd.end_those_that_rest(Duration::ZERO, Duration::from_millis(20));
        assert_eq!(reading.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
