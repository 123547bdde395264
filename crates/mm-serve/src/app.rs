//! The routes: what is asked for, and what is answered.

use crate::describe::describe;
use crate::error::{Refusal, json};
use crate::given::{Asked, of_form, of_json};
use crate::metrics::Metrics;
use crate::worker::{Busy, Job};
use crate::{Settings, body, decode};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mm_core::Pipeline;
use mm_core::pipeline::{Answer, Prepared};
use serde_json::json;
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

/// A JSON body of so many bytes is read at once: handing it to another thread would take longer.
const SMALL: usize = 1 << 16;

/// The page that asks the model.
const PAGE: &str = include_str!("page.html");
/// It loads nothing from elsewhere. `data:` is what a link may hold, `blob:` a file that was dropped.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self' data:; \
                           img-src data: blob:; media-src data: blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const ROUTES: [&str; 5] = ["/", "/predict", "/model", "/health", "/metrics"];

/// What all requests share.
pub(crate) struct App {
    pub model: Arc<Pipeline>,
    pub settings: Settings,
    pub metrics: Arc<Metrics>,
    pub jobs: Sender<Job>,
    pub busy: Busy,
    pub queue: Arc<Semaphore>,
    pub bodies: Arc<Semaphore>,
}

pub(crate) fn router(app: Arc<App>) -> Router {
    let not_allowed = || async { Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "`/predict` takes POST, all else takes GET") };
    let unknown = || async { Refusal::new(StatusCode::NOT_FOUND, format!("there are {}", ROUTES.join(", "))) };
    Router::new()
        .route("/", get(page))
        .route("/predict", post(predict))
        .route("/model", get(model))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(not_allowed)
        .fallback(unknown)
        .layer(from_fn_with_state(app.clone(), counted))
        .with_state(app)
}

/// Counts a request by path and status; unknown paths are one.
async fn counted(State(app): State<Arc<App>>, request: Request, next: Next) -> Response<Body> {
    let path = ROUTES.into_iter().find(|route| *route == request.uri().path()).unwrap_or("other");
    let mut response = next.run(request).await;
    app.metrics.answered(path, response.status().as_u16());
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

async fn page() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, PAGE_POLICY)], PAGE)
}

async fn model(State(app): State<Arc<App>>) -> Response<Body> {
    json(StatusCode::OK, &describe(&app.model, &app.settings))
}

/// Well, unless the model computes for longer than a request may take.
async fn health(State(app): State<Arc<App>>) -> Response<Body> {
    match app.busy.for_how_long() {
        Some(time) if time > app.settings.timeout => {
            let problem = format!("the model has been computing one batch for {} seconds", time.as_secs());
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, problem).into_response()
        }
        _ => json(StatusCode::OK, &json!({ "status": "ok" })),
    }
}

async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let queue = app.settings.queue - app.queue.available_permits();
    (
        [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
        app.metrics.text(queue, body::held(&app.settings, &app.bodies)),
    )
}

async fn predict(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    let began = Instant::now();
    let as_png = accepts_png(request.headers());
    let response = match answer(&app, request, began).await {
        Ok(answer) => {
            app.metrics.predicted(&answer);
            // Packing a map takes as long as decoding an image.
            let answered = app.clone();
            match answer.pixels.is_some() {
                true => spawn_blocking(move || response(&answered.model, &answer, as_png)).await.unwrap_or_else(|_| Err(panicked())),
                false => response(&app.model, &answer, as_png),
            }
        }
        Err(refusal) => Err(refusal),
    };
    app.metrics.took(began.elapsed());
    response.unwrap_or_else(IntoResponse::into_response)
}

fn panicked() -> Refusal {
    Refusal::failed("reading the request failed: this is a mistake of the server")
}

/// Whether the client wants a picture rather than JSON.
fn accepts_png(headers: &HeaderMap) -> bool {
    let first = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()?.split([',', ';']).next());
    first.is_some_and(|first| first.trim().eq_ignore_ascii_case("image/png"))
}

/// What the body of a request is.
enum Form {
    Json,
    Multipart { boundary: String },
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let unsupported = |found: &str| {
            let problem =
                format!("the body is {found}: send application/json (numbers, texts) or multipart/form-data (files, a part a sensor)");
            Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem)
        };
        let Some(content_type) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
            return Err(unsupported("of no stated type"));
        };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Ok(Self::Json),
            "multipart/form-data" => match multer::parse_boundary(content_type) {
                Ok(boundary) => Ok(Self::Multipart { boundary }),
                Err(error) => Err(Refusal::new(StatusCode::BAD_REQUEST, format!("the form cannot be read: {error}"))),
            },
            _ => Err(unsupported(&format!("`{essence}`"))),
        }
    }
}

async fn answer(app: &Arc<App>, request: Request, began: Instant) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    let form = match Form::of(&head.headers) {
        Ok(form) => form,
        Err(refusal) => {
            body::discard(body).await;
            return Err(refusal);
        }
    };
    let (bytes, held) = in_time(app, began, StatusCode::REQUEST_TIMEOUT, "the body did not come", async {
        body::read(&head.headers, body, &app.settings, &app.bodies).await
    })
    .await?;
    // Only now: whoever writes slowly takes no place from others.
    let place = app.queue.clone().try_acquire_owned().map_err(|_| {
        let problem = format!("{} requests wait already: try again", app.settings.queue);
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, problem)
    })?;
    in_time(app, began, StatusCode::SERVICE_UNAVAILABLE, "the model was busy", async {
        let (prepared, place) = prepared(app, form, bytes, held, place).await?;
        let (reply, answer) = oneshot::channel();
        let ending = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is ending");
        app.jobs.send(Job { prepared, reply, place }).map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?
    })
    .await
}

/// Some part of answering, until the request has taken too long.
async fn in_time<T>(
    app: &App,
    began: Instant,
    status: StatusCode,
    what: &str,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let late = |_| Refusal::new(status, format!("{what} within {} seconds", app.settings.timeout.as_secs()));
    timeout_at((began + app.settings.timeout).into(), work).await.map_err(late)?
}

/// Reads and decodes a body. The place in the queue and the share of the memory stay with the thread that does it, whether or not somebody
/// still waits for it.
async fn prepared(
    app: &Arc<App>,
    form: Form,
    bytes: Bytes,
    held: Option<OwnedSemaphorePermit>,
    place: OwnedSemaphorePermit,
) -> Result<(Prepared, OwnedSemaphorePermit), Refusal> {
    let small = bytes.len() <= SMALL && matches!(form, Form::Json);
    let shared = app.clone();
    let work = move || {
        let app = shared;
        let _held = held;
        let asked = Asked { model: &app.model, most_numbers: app.settings.max_decoded / 16 };
        let all = match form {
            Form::Json => of_json(&bytes, &asked)?,
            // All bytes are there: this waits for nothing.
            Form::Multipart { boundary } => tokio::runtime::Handle::current().block_on(of_form(bytes, &boundary, &asked))?,
        };
        decode::prepare(&app.model, all, &app.settings).map(|prepared| (prepared, place))
    };
    match small {
        true => work(),
        false => spawn_blocking(work).await.unwrap_or_else(|_| Err(panicked())),
    }
}

fn response(model: &Pipeline, answer: &Answer, as_png: bool) -> Result<Response<Body>, Refusal> {
    let mut object = answer.to_json(&model.schema().target);
    if let Some(pixels) = &answer.pixels {
        let png = pixels.to_png().map_err(|error| Refusal::failed(error.to_string()))?;
        if as_png {
            return Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response());
        }
        object.insert("map".into(), STANDARD.encode(png).into());
    }
    Ok(json(StatusCode::OK, &object.into()))
}
