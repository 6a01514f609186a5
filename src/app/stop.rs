//! Being asked to stop.
//!
//! Called by: `worker`, `sources`. Talks to: nothing.
//! Invariants: nobody left to ask is a stop as well.

use tokio::sync::watch;

/// Resolves once somebody asks to stop, or nobody is left who could.
pub async fn stop_asked(stopped: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone.
    let _ = stopped.wait_for(|stop| *stop).await;
}
