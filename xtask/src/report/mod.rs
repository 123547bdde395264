//! stub until the report lands
use crate::result::CellResult;
pub struct ReportPaths { pub html: std::path::PathBuf }
pub fn write(out: &std::path::Path, _n: &str, _d: &str, results: &[CellResult], _f: &[String]) -> anyhow::Result<ReportPaths> {
    let mut by: std::collections::BTreeMap<(String,String), Vec<&CellResult>> = Default::default();
    for r in results { by.entry((r.data.clone(), r.run.clone())).or_default().push(r); }
    for ((d, n), rs) in by { let k = rs.len() as f64; let m = |f: &dyn Fn(&CellResult)->f64| rs.iter().map(|r| f(r)).sum::<f64>()/k;
      println!("{d:16} {n:20} mean {:.4} worst {:.4} full {:.4} train {:.2}s eval {:.3}s mem {:.0}MB total {:.2}", m(&|r| r.summary.mean), m(&|r| r.summary.worst), m(&|r| r.summary.full.unwrap_or(f64::NAN)), m(&|r| r.cost.train_seconds), m(&|r| r.cost.evaluation_seconds), m(&|r| r.cost.peak_memory_bytes.unwrap_or(0) as f64/1e6), m(&|r| r.cost.total_seconds)); }
    Ok(ReportPaths { html: out.join("report.html") })
}
