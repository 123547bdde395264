//! What `GET /model` tells: all that a client needs to ask the model.

use crate::Settings;
use crate::decode::wanted;
use crate::worker::most_together;
use mm_core::Pipeline;
use mm_core::data::image::Format;
use mm_core::data::kinds::{Kind, Written};
use mm_core::data::{Target, class_colour};
use serde_json::{Value, json};

/// The sensors, what is predicted, and the bounds of a request.
pub(crate) fn describe(model: &Pipeline, settings: &Settings) -> Value {
    let schema = model.schema();
    let sensors = schema.modalities.names().iter().zip(&schema.inputs).enumerate().map(|(position, (name, input))| {
        let kind = model.kind(position);
        let columns = &model.config().columns;
        // Those that say what was measured stand behind the others, and follow from them.
        let names = columns.variables.get(name).map(|names| &names[..names.len() - columns.measured(name).len()]);
        json!({
            "name": name,
            "kind": kind.map(Kind::name),
            "input": input.kind,
            "shape": input.shape,
            "columns": names,
            "send": send(kind),
            "endings": kind.map_or(Vec::new(), endings),
            "takes": wanted(input, kind),
            "read": model.model().reads().contains(position),
        })
    });
    let mut described = json!({
        "method": model.config().family,
        "library": model.config().library,
        "sensors": sensors.collect::<Vec<_>>(),
        "trust": model.model().knows_trust(),
        "limits": {
            "body_bytes": settings.max_body,
            "decoded_bytes": settings.max_decoded,
            "timeout_seconds": settings.timeout.as_secs(),
            "queue": settings.queue,
            "batch": most_together(model, settings),
        },
    });
    let (predicts, names) = match &schema.target {
        Target::Pixels(_) => ("pixels", "classes"),
        Target::Labels(_) => ("labels", "labels"),
        Target::Numbers(_) => ("numbers", "numbers"),
        _ => ("class", "classes"),
    };
    described["predicts"] = predicts.into();
    described[names] = if schema.target.is_dense() { json!(schema.target.class_names()) } else { json!(schema.target.output_names()) };
    if schema.target.is_dense() {
        let colour = |[r, g, b]: [u8; 3]| format!("#{r:02x}{g:02x}{b:02x}");
        described["colours"] = (0..schema.target.class_names().len()).map(|class| colour(class_colour(class))).collect::<Vec<_>>().into();
    }
    described
}

/// How a reading is sent best.
fn send(kind: Option<&dyn Kind>) -> &'static str {
    match kind {
        Some(kind) if kind.written() == Written::Text => "text",
        Some(kind) if kind.written() == Written::Folder => "files",
        Some(kind) if kind.takes_numbers().is_none() => "file",
        _ => "numbers",
    }
}

/// The endings of its files, or of the frames of a video.
fn endings(kind: &dyn Kind) -> Vec<&'static str> {
    match kind.written() {
        Written::Folder => Format::ENDINGS.to_vec(),
        _ => kind.extensions().to_vec(),
    }
}
