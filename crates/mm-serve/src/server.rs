//! A listening server: connections within bounds, and a graceful end.

use crate::app::{App, router};
use crate::metrics::Metrics;
use crate::worker::{Busy, start};
use crate::{ServeError, Settings, body};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use mm_core::Pipeline;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

/// How long the head of a request may take, the wait for it on an open connection included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of the head of a request.
const LARGEST_HEAD: usize = 32 << 10;
/// Headers of a request.
const MOST_HEADERS: usize = 100;
/// What is left to do when the last request is answered or given up.
const LAST: Duration = Duration::from_secs(1);

/// A model that listens. Connections wait until [`Server::run`] answers them.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    model: Pipeline,
    settings: Settings,
}

impl Server {
    /// Listens on the address of the settings.
    pub fn bind(model: Pipeline, settings: Settings) -> Result<Self, ServeError> {
        settings.check()?;
        let listen = |source| ServeError::Listen { address: settings.address, source };
        let listener = TcpListener::bind(settings.address).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        Ok(Self { listener, address, model: model.with_files_of_vectors(), settings })
    }

    /// Where it listens, with the port that it was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `end` is ready, such as [`end_signal`]; then accepts nothing more, finishes what has begun, and returns.
    pub fn run(self, end: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { listener, address, model, settings } = self;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.threads)
            .max_blocking_threads(settings.threads)
            .thread_name("http")
            .enable_all()
            .build()
            .map_err(ServeError::Threads)?;
        let (model, metrics, busy) = (Arc::new(model), Arc::new(Metrics::new()), Busy::default());
        let (jobs, worker) = start(model.clone(), &settings, metrics.clone(), busy.clone())?;
        let (queue, bodies) = (Arc::new(Semaphore::new(settings.queue)), body::budget(&settings));
        let app = Arc::new(App { model, metrics, jobs, busy, queue, bodies, settings });
        let served = runtime.block_on(accept(listener, app, end));
        // What still runs is of requests that took too long; its senders go with it, and with them the worker's work.
        runtime.shutdown_timeout(LAST);
        served.map_err(|source| ServeError::Listen { address, source })?;
        // A worker that computes forever is left behind.
        if worker.is_finished() {
            drop(worker.join())
        }
        Ok(())
    }
}

async fn accept(listener: TcpListener, app: Arc<App>, end: impl Future<Output = ()>) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(app.settings.connections));
    let (ending, timeout) = (GracefulShutdown::new(), app.settings.timeout);
    let routes = router(app.clone());
    let mut end = pin!(end);
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            // First: what listens for the end does so before anybody is answered.
            biased;
            () = &mut end => break,
            next = next => next,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // No files left, say: what is open goes on.
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let connection = ending.watch(connection(stream, routes.clone(), timeout));
        let metrics = app.metrics.clone();
        metrics.connections.inc();
        tokio::spawn(async move {
            // Whatever a client does wrong on its connection concerns nobody else.
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
            metrics.connections.dec();
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(timeout + LAST, ending.shutdown()).await.is_err() {
        tracing::warn!("some requests were not finished within {} seconds", timeout.as_secs());
    }
    Ok(())
}

type Io = TokioIo<std::pin::Pin<Box<TimeoutStream<TcpStream>>>>;

fn connection(stream: TcpStream, routes: Router, timeout: Duration) -> http1::Connection<Io, TowerToHyperService<Router>> {
    // Without it a small answer may wait for the client's word that it got the one before.
    _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    // A client that does not read its answer.
    stream.set_write_timeout(Some(timeout));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT.min(timeout))
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(routes))
}

/// Ready when the process is asked to end: Ctrl-C, or SIGTERM on Unix.
pub async fn end_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    _ = interrupt.await;
}
