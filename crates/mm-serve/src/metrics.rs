//! What `/metrics` tells, for Prometheus.

use mm_core::pipeline::Answer;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    path: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sensor {
    sensor: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ignored {
    sensor: String,
    reason: &'static str,
}

/// Counters and histograms of a running server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Histogram,
    batch: Histogram,
    model_seconds: Histogram,
    queue: Gauge,
    bodies: Gauge,
    pub connections: Gauge,
    used: Family<Sensor, Counter>,
    ignored: Family<Ignored, Counter>,
}

impl Metrics {
    pub fn new() -> Self {
        // From half a millisecond to 16 seconds, and from 1 to 4,096.
        let seconds = || Histogram::new(exponential_buckets(0.0005, 2.0, 16));
        let mut metrics = Self {
            registry: Registry::with_prefix("mm"),
            requests: Family::default(),
            seconds: seconds(),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 13)),
            model_seconds: seconds(),
            queue: Gauge::default(),
            bodies: Gauge::default(),
            connections: Gauge::default(),
            used: Family::default(),
            ignored: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Requests by path and status", metrics.requests.clone());
        registry.register("predict_seconds", "From the head of a request for a prediction to its answer", metrics.seconds.clone());
        registry.register("batch_size", "Requests that were computed together", metrics.batch.clone());
        registry.register("model_seconds", "What the model took for a batch", metrics.model_seconds.clone());
        registry.register("queue", "Requests that are decoded, wait or are computed", metrics.queue.clone());
        registry.register("body_bytes", "Bytes of the bodies that are held", metrics.bodies.clone());
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register("sensors_used", "Answers that used a sensor", metrics.used.clone());
        registry.register("sensors_ignored", "Answers that ignored a sensor, by reason", metrics.ignored.clone());
        metrics
    }

    /// A request was answered, with whatever status.
    pub fn answered(&self, path: &'static str, status: u16) {
        self.requests.get_or_create(&Request { path, status }).inc();
    }

    /// A request for a prediction took so long.
    pub fn took(&self, time: Duration) {
        self.seconds.observe(time.as_secs_f64());
    }

    /// A batch was computed.
    pub fn computed(&self, requests: usize, time: Duration) {
        self.batch.observe(requests as f64);
        self.model_seconds.observe(time.as_secs_f64());
    }

    /// A prediction was made.
    pub fn predicted(&self, answer: &Answer) {
        for sensor in &answer.used {
            self.used.get_or_create(&Sensor { sensor: sensor.clone() }).inc();
        }
        for ignored in &answer.ignored {
            let labels = Ignored { sensor: ignored.modality.clone(), reason: ignored.reason.word() };
            self.ignored.get_or_create(&labels).inc();
        }
    }

    /// In the text format of OpenMetrics.
    pub fn text(&self, queue: usize, body_bytes: usize) -> String {
        self.queue.set(queue as i64);
        self.bodies.set(body_bytes as i64);
        let mut text = String::new();
        // Writing to a string does not fail.
        _ = encode(&mut text, &self.registry);
        text
    }
}
