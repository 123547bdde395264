//! Why a server does not start, and why a request is refused.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use mm_core::pipeline::ignored_json;
use mm_core::{Error, ModalityError, NonFiniteError};
use serde_json::{Map, Value};
use std::net::SocketAddr;

/// Why a server does not start or ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A setting that cannot work.
    #[error("{setting}: must be {least} to {most}, found {found}")]
    Setting {
        /// Its name, as an option of `mm serve`.
        setting: &'static str,
        /// What was found.
        found: usize,
        /// The least that works.
        least: usize,
        /// The most that works.
        most: usize,
    },
    /// The address cannot be listened on.
    #[error("listening on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A thread, or the runtime, does not start.
    #[error("starting the threads of the server: {0}")]
    Threads(std::io::Error),
}

/// An answer that is none: a status, and a JSON object whose `error` says what is wrong and what would be right.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: String,
    more: Map<String, Value>,
}

impl Refusal {
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), more: Map::new() }
    }

    /// A body that says what a model cannot be asked.
    pub fn unusable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error)
    }

    /// What cannot be used is of this sensor.
    pub fn of_sensor(sensor: &str, error: impl std::fmt::Display) -> Self {
        Self::unusable(format!("sensor `{sensor}`: {error}")).with("sensor", sensor.into())
    }

    /// Something of the server's own failed.
    pub fn failed(error: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    }

    /// Says more about it, in a field of its own.
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.more.insert(field.into(), value);
        self
    }
}

/// What a prediction can fail of, all of which is the request's doing but for what the model computes.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let refusal = match &error {
            Error::Tensor(_) | Error::Kernel(_) => Self::failed(error.to_string()),
            // The numbers were finite, but too large for the model.
            _ => Self::unusable(error.to_string()),
        };
        match error {
            Error::Modality(ModalityError::NoSensor { ignored } | ModalityError::TooFewSensors { ignored, .. }) => {
                refusal.with("ignored", ignored_json(&ignored))
            }
            Error::NonFinite(NonFiniteError::Given { modality }) => refusal.with("sensor", modality.into()),
            _ => refusal,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(mut self) -> Response<Body> {
        self.more.insert("error".into(), self.error.into());
        let mut response = json(self.status, &self.more.into());
        if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&self.status) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A response of JSON.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response<Body> {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
