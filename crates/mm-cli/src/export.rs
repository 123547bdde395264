//! `mm export`: a trained model as an ONNX file.

use anyhow::{Context, Result, bail};
use mm_bench::{Registry, child};
use mm_onnx::proto::{DataType, Size, ValueInfo};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `export`.
#[derive(clap::Args)]
pub struct ExportArguments {
    /// Folder of the model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The file to be written, which ends in .onnx.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file, if there is one.
    #[arg(long)]
    overwrite: bool,
}

/// Writes the file, and says what goes in and what comes out.
pub fn run(arguments: &ExportArguments) -> Result<ExitCode> {
    child::computing(|| export(arguments))
}

fn export(ExportArguments { model: folder, out, overwrite }: &ExportArguments) -> Result<()> {
    if out.extension().is_none_or(|ending| ending != "onnx") {
        bail!("`--out {}`: a file that ends in .onnx is written", out.display());
    }
    // A link that leads nowhere is something, too.
    if out.symlink_metadata().is_ok() && !overwrite {
        bail!("{} exists: `--overwrite` replaces it", out.display());
    }
    let pipeline = Registry::default().from_pretrained(folder)?;
    let model = mm_onnx::export(&pipeline).with_context(|| format!("{}", folder.display()))?;
    mm_onnx::write(&model, out)?;
    let graph = model.graph.as_ref().context("the model has no graph")?;
    let bytes: usize = graph.initializer.iter().map(|tensor| tensor.raw_data.len()).sum();
    println!(
        "{}: ONNX, opset {}, {} nodes, {:.1} MB of weights",
        out.display(),
        mm_onnx::proto::OPSET,
        graph.node.len(),
        bytes as f64 / 1e6
    );
    let config = &pipeline.config().training.config;
    for (is_on, what) in [(config.test_flips, "mirrored images (`test_flips`)"), (config.test_turns, "turned images (`test_turns`)")] {
        if is_on {
            println!("the model also asks for {what}, the file does not: its scores are those of the images as they are");
        }
    }
    let schema = pipeline.schema();
    if let (Some(threshold), Some(class)) = (schema.threshold(), schema.target.output_names().get(1)) {
        println!(
            "the model says `{class}` from a probability of {threshold} on (`threshold_by`), the file gives probabilities alone: the number is its \
             metadata entry `threshold`"
        );
    }
    for (what, values) in [("input", &graph.input), ("output", &graph.output)] {
        values.iter().for_each(|value| println!("{what:6}  {}", described(value)));
    }
    Ok(())
}

/// Name, type, shape and meaning of an input or output.
fn described(value: &ValueInfo) -> String {
    let tensor = value.r#type.as_ref().and_then(|value| value.tensor_type.as_ref());
    let data_type = match tensor.map(|tensor| tensor.elem_type) {
        Some(t) if t == DataType::Float as i32 => "float32",
        Some(t) if t == DataType::Double as i32 => "float64",
        Some(t) if t == DataType::Int64 as i32 => "int64",
        _ => "bool",
    };
    let sizes = tensor.and_then(|tensor| tensor.shape.as_ref()).map(|shape| shape.dim.as_slice()).unwrap_or_default();
    let sizes = sizes.iter().map(|dimension| match &dimension.value {
        Some(Size::Value(size)) => size.to_string(),
        Some(Size::Param(name)) => name.clone(),
        None => "?".into(),
    });
    format!("{} {data_type} [{}]: {}", value.name, sizes.collect::<Vec<_>>().join(", "), value.doc_string)
}
