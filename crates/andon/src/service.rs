//! A node on an address: the listener, the async runtime and the end.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use andon_runtime::Node;
use andon_server::{Door, Exposure, Serving, guard, serve_as};
use anyhow::{Context, anyhow};
use tokio::sync::oneshot;

/// Binds an address; loopback alone unless somebody said otherwise.
pub(crate) fn bind(address: SocketAddr, exposure: Exposure) -> anyhow::Result<TcpListener> {
    guard(address, exposure)?;
    let listener = TcpListener::bind(address).with_context(|| {
        format!("cannot listen on {address}: choose another address with `--listen`")
    })?;
    listener
        .set_nonblocking(true)
        .context("cannot set up the listener")?;
    Ok(listener)
}

/// Serves `node` until `shutdown` is done.
pub(crate) fn run(
    serving: Serving,
    listener: TcpListener,
    node: Arc<Node>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        serve_as(serving, listener, node, shutdown).await?;
        Ok(())
    })
}

/// Serves `node` on a free port of loopback while `work` runs, which gets its URL.
pub(crate) fn during<T>(
    node: Node,
    work: impl FnOnce(&str) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = bind(free_port, Exposure::Loopback)?;
    let url = format!("http://{}", listener.local_addr()?);
    let (end, asked) = oneshot::channel::<()>();
    // Its own program is who calls, for as long as that takes.
    let open = Serving {
        door: Door::Open,
        ..Serving::default()
    };
    let serving = thread::spawn(move || {
        run(open, listener, Arc::new(node), async {
            // The work is done, or has ended with an error.
            asked.await.ok();
        })
    });
    let outcome = work(&url);
    // A service that has ended by itself says why below.
    end.send(()).ok();
    serving
        .join()
        .map_err(|_| anyhow!("the service ended in a panic"))??;
    outcome
}

/// Done when the process is asked to end: by Ctrl-C, or by a service manager.
pub(crate) async fn asked_to_end() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            },
            Err(_) => {
                // Without the signal the process ends at once, which loses nothing
                // that was acknowledged.
                interrupted.await.ok();
            }
        }
    }
    #[cfg(not(unix))]
    interrupted.await.ok();
}
