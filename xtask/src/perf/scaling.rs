//! How a training step of image networks grows with batch, image size, number of sensors and threads.

use super::image_work::{Measured, Work};
use super::images::ours;
use super::{Context, Row};
use anyhow::Result;

/// One row a point, ours alone.
pub fn rows(context: &Context) -> Result<Vec<Row>> {
    let step = |method: &str, batch, size, sensors| Work::TrainStep { method: method.into(), batch, size, sensors, encode_dropped: true };
    let mut groups: Vec<Vec<(String, Work, usize)>> = Vec::new();
    let threads = context.threads;
    groups.push([4, 8, 16, 32].map(|batch| (format!("MMANet step, batch {batch}"), step("mmanet", batch, 112, 3), threads)).into());
    groups.push([56, 112, 168].map(|size| (format!("MMANet step, images {size}x{size}"), step("mmanet", 16, size, 3), threads)).into());
    groups.push(
        [1, 2, 4, 8]
            .map(|sensors| (format!("modality dropout step, {sensors} cameras"), step("dropout", 16, 112, sensors), threads))
            .into(),
    );
    groups.push([1, 2].map(|threads| (format!("MMANet step, {threads} threads"), step("mmanet", 16, 112, 3), threads)).into());
    let mut rows = Vec::new();
    for (what, work, threads) in groups.into_iter().flatten() {
        let measured = (0..context.repeats).map(|_| ours(&work, threads, context.device)).collect::<Result<Vec<Measured>>>()?;
        rows.push(Row::of_medians(what, "ms", &(measured, Vec::new()), |t| 1e3 * t.seconds));
    }
    Ok(rows)
}
