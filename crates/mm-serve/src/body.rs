//! Reads the body of a request, within the bounds of one and of all.

use crate::Settings;
use crate::error::Refusal;
use crate::settings::MIB;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What a body is counted in, where all together are bounded.
const BLOCK: usize = 1024;
/// How long the rest of a body that is refused is read and dropped: a client that still sends would not see the answer.
const LINGER: Duration = Duration::from_secs(2);

/// The memory that all bodies share.
pub(crate) fn budget(settings: &Settings) -> Arc<Semaphore> {
    Arc::new(Semaphore::new((settings.max_bodies / BLOCK).min(Semaphore::MAX_PERMITS)))
}

/// Bytes of it that are taken, in whole blocks.
pub(crate) fn held(settings: &Settings, budget: &Semaphore) -> usize {
    BLOCK * (settings.max_bodies / BLOCK).saturating_sub(budget.available_permits())
}

/// The whole body, and its share of the budget.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    settings: &Settings,
    budget: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    let claimed = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if claimed.is_some_and(|claimed| claimed > settings.max_body as u64) {
        discard(body).await;
        return Err(too_large(settings));
    }
    let (mut bytes, mut held, mut blocks) = (BytesMut::new(), None::<OwnedSemaphorePermit>, 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > settings.max_body {
            drop((bytes, held));
            discard(body).await;
            return Err(too_large(settings));
        }
        let needed = (bytes.len() + data.len()).div_ceil(BLOCK);
        let Ok(more) = budget.clone().try_acquire_many_owned((needed - blocks) as u32) else {
            drop((bytes, held));
            discard(body).await;
            let problem = format!("the bodies of all requests hold {} MiB already: try again", settings.max_bodies / MIB);
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, problem));
        };
        blocks = needed;
        match &mut held {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes.freeze(), held))
}

/// Reads the rest of a body and drops it, for a while.
pub(crate) async fn discard(mut body: Body) {
    _ = timeout(LINGER, async { while let Some(Ok(_)) = body.frame().await {} }).await;
}

fn too_large(settings: &Settings) -> Refusal {
    let problem = format!("the body has more than {} MiB (`--max-body-mib`)", settings.max_body / MIB);
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem)
}
