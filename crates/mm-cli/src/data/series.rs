//! `mm data series`: series of a table with a row a step.

use anyhow::{Result, bail};
use mm_core::data::{Fill, LongSensor, LongTable};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `data series`.
#[derive(clap::Args)]
pub struct SeriesArguments {
    /// The table (CSV, JSON lines, Parquet), a row a step.
    table: PathBuf,
    /// Column, or columns with commas between, that say which series a row is of.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    id: Vec<String>,
    /// Column of the time: numbers, dates, or hours and minutes; without it rows stay as they are ordered.
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// Column of the label; where it changes within an id, each stretch of one label is a series.
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Column whose samples stay in one part, such as the person.
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,
    /// A sensor and its columns, `acc=acc_x,acc_y,acc_z`; may be given several times. Otherwise names and empty cells tell.
    #[arg(long = "sensor", value_name = "NAME=COLUMNS")]
    sensors: Vec<String>,
    /// Length of a step in the unit of the time (of dates: seconds); a channel has the mean of its values in it. Otherwise a row is a step.
    #[arg(long, value_name = "LENGTH")]
    every: Option<f64>,
    /// What becomes of empty cells: an error, the last value, or a line between the values around.
    #[arg(long, value_enum)]
    fill: Option<FillBy>,
    /// Add a channel for each that is 1 where it was measured, 0 where it was filled.
    #[arg(long)]
    measured: bool,
    /// A cell that stands for no value, such as -999; may be given several times.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    missing: Vec<String>,
    /// Columns to leave out, with commas between.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Have the card cut windows of so many steps.
    #[arg(long, value_name = "STEPS")]
    window: Option<usize>,
    /// Steps from one window to the next.
    #[arg(long, value_name = "STEPS", requires = "window")]
    stride: Option<usize>,
    /// Do as with an earlier table, whose folder has this `series.toml`: for new data to predict from. Other arguments go before it.
    #[arg(long = "as", value_name = "FILE")]
    like: Option<PathBuf>,
    /// The new folder.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum FillBy {
    None,
    Last,
    Linear,
}

impl From<FillBy> for Fill {
    fn from(by: FillBy) -> Self {
        match by {
            FillBy::None => Self::None,
            FillBy::Last => Self::Last,
            FillBy::Linear => Self::Linear,
        }
    }
}

/// Writes the series and says what they are.
pub fn run(arguments: &SeriesArguments) -> Result<ExitCode> {
    let made = settings(arguments)?.write(&arguments.table, &arguments.out)?;
    let out = arguments.out.display();
    let [shortest, longest] = made.steps;
    println!("{out}: {} series of {shortest} to {longest} steps, from {} rows", made.series, made.rows);
    for (sensor, absent) in &made.sensors {
        let absent = if *absent > 0 { format!("; absent in {absent} series") } else { String::new() };
        println!("  {}: {}{absent}", sensor.name, sensor.columns.join(", "));
    }
    made.remarks.iter().for_each(|remark| println!("remark   {remark}"));
    match made.card {
        true => println!("next: mm data check {out}/card.toml"),
        false => println!("next: mm predict --model MODEL --manifest {out}/samples.csv --out answers.csv"),
    }
    Ok(ExitCode::SUCCESS)
}

/// What the arguments say, over what a file says.
fn settings(arguments: &SeriesArguments) -> Result<LongTable> {
    let mut settings = match &arguments.like {
        Some(file) => LongTable::from_file(file)?,
        None => LongTable::default(),
    };
    let SeriesArguments { id, time, label, group, every, missing, ignore, window, stride, .. } = arguments;
    let lists = [(id, &mut settings.id), (missing, &mut settings.missing), (ignore, &mut settings.ignore)];
    lists.into_iter().filter(|(given, _)| !given.is_empty()).for_each(|(given, of)| *of = given.clone());
    for (given, of) in [(time, &mut settings.time), (group, &mut settings.group)] {
        *of = given.clone().or(of.take());
    }
    if label.is_some() {
        (settings.label, settings.label_optional) = (label.clone(), false);
    }
    settings.every = every.or(settings.every);
    settings.fill = arguments.fill.map_or(settings.fill, Fill::from);
    settings.measured |= arguments.measured;
    (settings.window, settings.stride) = (window.or(settings.window), stride.or(settings.stride));
    let mut sensors = Vec::new();
    for sensor in &arguments.sensors {
        let Some((name, columns)) = sensor.split_once('=') else { bail!("`--sensor {sensor}` is no `name=column,column`") };
        sensors.push(LongSensor { name: name.trim().into(), columns: columns.split(',').map(|column| column.trim().into()).collect() });
    }
    if !sensors.is_empty() {
        settings.sensors = sensors;
    }
    Ok(settings)
}
