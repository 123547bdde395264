//! A data set as a check goes through it: samples as they are listed, and a way to look at each reading.

use super::label_map::MapLook;
use super::look::Look;
use super::predicted::{self, Targets};
use crate::data::file_card::Lists;
use crate::data::kinds::{Kind, Origin};
use crate::data::listing::{Listed, Listing, Problem};
use crate::data::manifest::Table;
use crate::data::names::some;
use crate::data::{FileCard, LabelMaps, LoadedData, OnCorrupt, Part, Source, Split, SplitSpec};
use crate::error::{Error, Result};
use std::collections::{BTreeSet, HashMap};

/// A data set, listed.
pub(super) struct Subject<'a> {
    pub name: String,
    /// The card.
    pub place: String,
    pub sensors: Vec<SensorOf>,
    pub samples: Vec<Listed>,
    pub rows: usize,
    pub problems: Vec<Problem>,
    pub remarks: Vec<String>,
    /// Why no split can be drawn.
    pub no_split: Option<Error>,
    /// Readings that cannot be read count as absent, by the card.
    pub lenient: bool,
    /// Whether readings are files.
    pub of_files: bool,
    /// Labels or numbers, by row, where they are to be predicted.
    pub targets: Option<Targets>,
    /// How label maps are read, where each pixel has a class.
    pub maps: Option<LabelMaps>,
    /// Their column of the table, from 1.
    map_column: Option<usize>,
    /// The table, where one lists the samples.
    table: Option<String>,
    look: LookAt<'a>,
}

/// Looks at a reading of a row, by sensor; `None` where there is none.
type LookAt<'a> = Box<dyn Fn(&Listed, usize, usize, bool) -> Option<Result<Look>> + Sync + 'a>;

/// A sensor of a data set.
pub(super) struct SensorOf {
    pub name: String,
    pub kind: String,
    pub shape: Vec<usize>,
    /// How long a model gets its readings, as the card says, in the unit of their lengths.
    pub length: Option<f64>,
    /// Column of the table, from 1.
    pub column: Option<usize>,
    /// Names of its numbers, where they are known.
    pub variables: Vec<String>,
}

impl SensorOf {
    /// The name of a number, or its place where it has none.
    pub fn variable(&self, v: usize) -> String {
        self.variables.get(v).cloned().unwrap_or_else(|| format!("number {}", v + 1))
    }
}

impl<'a> Subject<'a> {
    /// Of files.
    pub fn of_files(card: &FileCard) -> Result<Self> {
        let kinds = card.kinds()?;
        let mut sensors: Vec<SensorOf> = card.modalities.iter().zip(&kinds).map(|(m, kind)| sensor(&m.name, &**kind)).collect();
        let names: Vec<String> = card.modalities.iter().map(|modality| modality.name.clone()).collect();
        let maps = card.pixels.clone().map(|maps| maps.fitted(&names, &kinds)).transpose()?;
        let (mut table_path, mut map_column) = (None, None);
        let mut listing = match card.lists(None)? {
            Lists::Folders(folders) => folders.list(),
            Lists::Manifest(manifest) => {
                let path = card.listed_in();
                table_path = Some(path.display().to_string());
                match Table::read(&path) {
                    Err(error) => Listing { problems: vec![Problem::new(error)], ..Listing::default() },
                    Ok(table) => {
                        map_column = table.column(card.label.as_deref().unwrap_or("label")).map(|at| at + 1);
                        for (sensor, modality) in sensors.iter_mut().zip(&card.modalities) {
                            let column = modality.column.as_ref().unwrap_or(&modality.name);
                            sensor.column = table.column(column).map(|at| at + 1);
                            sensor.variables =
                                table.columns.iter().filter(|name| name.starts_with(&format!("{column}."))).cloned().collect();
                        }
                        manifest.list(&table, false)
                    }
                }
            }
        };
        let (mut no_split, mut targets) = (None, None);
        let lenient = card.on_corrupt == OnCorrupt::Absent;
        if listing.problems.iter().all(|problem| lenient && problem.of.is_some()) {
            let opened = card.listed(None);
            // Row by row those that are listed, before any are left out.
            targets = opened.as_ref().ok().filter(|_| listing.problems.is_empty()).and_then(|source| predicted::targets(source));
            let used = opened.and_then(|source| source.with_known_absences(&card.listed_in()));
            let spec = card.split.unwrap_or_default();
            let told =
                |split: Split, source: &dyn Source| spec.remark(&split, source).into_iter().chain(split.remarks_on_score(source)).collect();
            match used.and_then(|source| Ok::<Vec<String>, Error>(told(spec.draw(&source, 0)?, &source))) {
                Ok(remarks) => listing.remarks.extend(remarks),
                Err(error) => no_split = Some(error),
            }
        }
        let look: LookAt = Box::new(move |sample, _, sensor, picture| {
            let origin = sample.origins.get(sensor)?.as_ref()?;
            Some(kinds[sensor].look(origin, picture).map_err(|error| origin.blame(error)))
        });
        let Listing { samples, problems, remarks, rows } = listing;
        Ok(Self {
            name: card.name.clone(),
            place: card.listed_in().display().to_string(),
            sensors,
            samples,
            rows,
            problems,
            remarks,
            no_split,
            targets,
            lenient,
            of_files: true,
            maps,
            map_column,
            table: table_path,
            look,
        })
    }

    /// Of tables, which are in memory.
    pub fn of_tables(name: &str, place: &str, loaded: &'a LoadedData) -> Self {
        let data = &loaded.data;
        let names = data.schema().target.class_names();
        let listed = |row: usize| {
            let meta = data.meta(row);
            Listed {
                id: meta.id.map_or_else(|| format!("row {}", row + 1), String::from),
                line: None,
                label: meta.class.and_then(|class| names.get(class as usize)).cloned(),
                values: Vec::new(),
                map: None,
                weight: meta.weight,
                part: meta.part,
                group: meta.group.map(String::from),
                origins: Vec::new(),
            }
        };
        let kind = |shape: &[usize]| if shape.len() == 1 { "vector" } else { "image" };
        let sensor = |((name, input), report): ((&String, &crate::data::InputSpec), &crate::data::ViewReport)| SensorOf {
            name: name.clone(),
            kind: kind(&input.shape).into(),
            shape: input.shape.clone(),
            length: None,
            column: None,
            variables: report.features.clone(),
        };
        let schema = data.schema();
        let spec: SplitSpec = loaded.split_spec();
        let (told, no_split) = match spec.draw(data, 0) {
            Ok(split) => (spec.remark(&split, data).into_iter().chain(split.remarks_on_score(data)).collect(), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Self {
            name: name.into(),
            place: place.into(),
            sensors: schema.modalities.names().iter().zip(&schema.inputs).zip(&loaded.report).map(sensor).collect(),
            samples: (0..data.len()).map(listed).collect(),
            rows: data.len(),
            problems: Vec::new(),
            remarks: loaded.remarks.iter().cloned().chain(told).collect(),
            no_split,
            targets: predicted::targets(data),
            lenient: false,
            of_files: false,
            maps: None,
            map_column: None,
            table: None,
            look: Box::new(move |_, row, sensor, _| match data.read(row) {
                Ok(sample) => {
                    let of = if data.indicators(sensor) > 0 { Look::of_gapped } else { Look::of_array };
                    sample.readings.get(sensor)?.as_ref().map(|array| Ok(of(array)))
                }
                Err(error) => Some(Err(error)),
            }),
        }
    }

    /// Of which nothing can be read.
    pub fn unreadable(name: &str, place: &str, mistakes: Vec<Error>) -> Self {
        let problem = |error| match error {
            Error::Parse { .. } => error,
            error => Error::config("data", error.to_string()),
        };
        Self {
            name: name.into(),
            place: place.into(),
            sensors: Vec::new(),
            samples: Vec::new(),
            rows: 0,
            problems: mistakes.into_iter().map(|error| Problem::new(problem(error))).collect(),
            remarks: Vec::new(),
            no_split: None,
            targets: None,
            lenient: false,
            of_files: false,
            maps: None,
            map_column: None,
            table: None,
            look: Box::new(|_, _, _, _| None),
        }
    }

    /// Looks at a reading; `None` where the sample has none of the sensor.
    pub fn look(&self, row: usize, sensor: usize, picture: bool) -> Option<Result<Look>> {
        (self.look)(&self.samples[row], row, sensor, picture)
    }

    /// Looks at a label map; `None` where the sample has none.
    pub fn look_at_map(&self, row: usize, picture: bool) -> Option<Result<MapLook>> {
        Some(MapLook::of(self.maps.as_ref()?, self.samples[row].map.as_ref()?, picture))
    }

    /// Whether a table lists the samples, and no folders.
    pub fn has_table(&self) -> bool {
        self.table.is_some() || !self.of_files
    }

    /// Where a reading is listed: row and column of the table; empty where none lists it.
    pub fn listed_at(&self, row: usize, sensor: usize) -> String {
        self.at(row, self.sensors[sensor].column)
    }

    /// The same of a label map.
    pub fn map_listed_at(&self, row: usize) -> String {
        self.at(row, self.map_column)
    }

    fn at(&self, row: usize, column: Option<usize>) -> String {
        let column = column.map(|column| format!(":{column}")).unwrap_or_default();
        match (&self.table, self.samples[row].line) {
            (Some(table), Some(line)) => format!("{table}:{line}{column}"),
            _ => String::new(),
        }
    }

    /// A reading in words: its file, or the sample.
    pub fn reading(&self, row: usize, sensor: usize) -> String {
        match self.samples[row].origins.get(sensor) {
            Some(Some(origin @ Origin::File { .. })) => origin.to_string(),
            _ => self.samples[row].id.clone(),
        }
    }

    /// The parts that samples name, in order; `all` where none does.
    pub fn parts(&self) -> Vec<String> {
        let parts: BTreeSet<Option<Part>> = self.samples.iter().map(|sample| sample.part).collect();
        if !self.has_parts() {
            return vec!["all".into()];
        }
        // `None` is first of all in order, and last in a table.
        let named = parts.iter().flatten().map(Part::to_string);
        named.chain(parts.contains(&None).then(|| "no part".to_string())).collect()
    }

    /// Whether the data say of any sample in which part it is.
    pub fn has_parts(&self) -> bool {
        self.samples.iter().any(|sample| sample.part.is_some())
    }

    /// Position of a sample's part.
    pub fn part_of(&self, row: usize, parts: &[String]) -> usize {
        let name = self.samples[row].part.map(|part| part.to_string());
        name.and_then(|name| parts.iter().position(|part| *part == name)).unwrap_or(parts.len() - 1)
    }

    /// The classes, by number where all are integers, else by name.
    pub fn classes(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.samples.iter().filter_map(|sample| sample.label.as_ref()).collect();
        let mut names: Vec<String> = names.into_iter().cloned().collect();
        if names.iter().all(|name| name.parse::<i64>().is_ok()) {
            names.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
        }
        names
    }

    /// How many groups there are, where samples have groups.
    pub fn groups(&self) -> Option<usize> {
        let groups: BTreeSet<&String> = self.samples.iter().filter_map(|sample| sample.group.as_ref()).collect();
        Some(groups.len()).filter(|count| *count > 0)
    }

    /// Groups that lie in several parts: each with the parts.
    pub fn groups_in_several_parts(&self) -> Vec<String> {
        let mut parts: HashMap<&str, BTreeSet<Part>> = HashMap::new();
        for sample in &self.samples {
            if let (Some(group), Some(part)) = (&sample.group, sample.part) {
                parts.entry(group).or_default().insert(part);
            }
        }
        let named = |parts: &BTreeSet<Part>| some(&parts.iter().map(Part::to_string).collect::<Vec<_>>(), 3);
        let mut found: Vec<String> = parts.iter().filter(|(_, p)| p.len() > 1).map(|(g, p)| format!("{g} ({})", named(p))).collect();
        found.sort();
        found
    }
}

fn sensor(name: &str, kind: &dyn Kind) -> SensorOf {
    let settings = kind.settings();
    // Settings are called as the units are.
    let length = ["seconds", "steps"].iter().find_map(|unit| settings.get(unit)?.as_f64());
    SensorOf { name: name.into(), kind: kind.name().into(), shape: kind.input().shape, length, column: None, variables: Vec::new() }
}
