//! Data set cards: one TOML file says what a data set is, where it comes from and how it is read.

use super::join::{Join, Joined, Joining, join};
use super::labels::{Labels, Unusable};
use super::read_as::{Keys, ReadAs};
use super::reader::{Table, read_table};
use super::table_text::Writing;
use super::text::parse_error;
use super::toml_text::refuse_plan;
use super::view::{LabelSpec, NonFinite, Partial, ViewSpec};
use super::{Column, DataError, Split, SplitSpec, TaskKind, parse_toml};
use crate::error::{Error, Result};
use crate::modality::Modalities;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// What a data set is and how it is read.
///
/// ```
/// use mm_core::data::{DatasetCard, Source};
/// let card = DatasetCard::from_str(
///     r#"
///     name = "weather"
///     label = "rain"
///     [[view]]
///     modality = "thermometer"
///     file = "thermometer.csv"
///     [[view]]
///     modality = "barometer"
///     file = "barometer.csv"
///     "#,
///     "weather.toml",
/// )?;
/// // From memory here; `card.load_files()` reads them from the card's folder.
/// let loaded = card.load(|file| match file {
///     "thermometer.csv" => Ok(b"celsius,rain\n21.5,no\n9.0,yes\n".as_slice().into()),
///     _ => Ok(b"hPa\n1021\n\"\"\n".as_slice().into()),
/// })?;
/// assert_eq!(loaded.data.len(), 2);
/// assert_eq!(loaded.report[1].absent, 1);
/// # Ok::<(), mm_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DatasetCard {
    /// Short name.
    pub name: String,
    /// What the samples are.
    #[serde(default)]
    pub description: String,
    /// Licence of the data.
    #[serde(default)]
    pub licence: String,
    /// Who is to be named.
    #[serde(default)]
    pub attribution: String,
    /// Where the data comes from.
    #[serde(default)]
    pub source: String,
    /// How the files' rows belong together.
    #[serde(default)]
    pub join: Join,
    /// With `join = "id"`: a file may lack ids; the modality is absent there.
    #[serde(default)]
    pub allow_unmatched: bool,
    /// What to do with `nan` and `inf`.
    #[serde(default)]
    pub non_finite: NonFinite,
    /// What to do with lines in which only some cells of a modality are empty.
    #[serde(default)]
    pub partial: Partial,
    /// What to do with samples that have no reading of any modality.
    #[serde(default)]
    pub no_reading: Unusable,
    /// Between fields, in all files: `,`, `;`, a tab or `|` are recognised by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Between the digits of a number: `.` or `,`; `.` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<char>,
    /// First character of lines that are no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// Cells that stand for no reading, label or target, besides empty ones: `["NA", "-999"]`. Those of a view are of its readings alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Columns that are no features, in every file that has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<Column>,
    /// The label column, in every file that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Column>,
    /// A file with the labels, where they are in none of the views' files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelSpec>,
    /// What is to be predicted.
    #[serde(default, skip_serializing_if = "TaskKind::is_classes")]
    pub task: TaskKind,
    /// With the task `labels` or `numbers` their columns, each in any of the files; a single one may be the `label`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// The measure that selects models and heads the report, such as `auroc`; otherwise the first of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// A column with the weight of each sample in the loss, in every file that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Column>,
    /// The classes in the order of their numbers; by default those that are found, sorted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// What to do with samples whose label is empty, `NaN`, `?` or the like.
    #[serde(default)]
    pub missing_label: Unusable,
    /// The id column, in every file that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Column>,
    /// The group column, in every file that has it: samples of a group stay in one part of the split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Column>,
    /// The column that says train, validation or test, in every file that has it; instead of `split`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Column>,
    /// How samples are divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitSpec>,
    /// The modalities, in order.
    #[serde(rename = "view")]
    pub views: Vec<ViewSpec>,
    /// Where the card was read.
    #[serde(skip)]
    path: PathBuf,
    /// Columns to ignore may be in none of the files.
    #[serde(skip)]
    is_of_new_data: bool,
}

/// A data set as its card reads it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadedData {
    /// The samples, with ids, groups and the read report.
    pub joined: Joined,
    split: SplitSpec,
}

impl std::ops::Deref for LoadedData {
    type Target = Joined;
    fn deref(&self) -> &Joined {
        &self.joined
    }
}

impl LoadedData {
    /// How the card wants the samples split.
    pub fn split_spec(&self) -> SplitSpec {
        self.split
    }

    /// The split that the card asks for: the fixed one, by groups, or by classes.
    pub fn split(&self, seed: u64) -> Result<Split> {
        self.split.draw(&self.data, seed)
    }
}

impl DatasetCard {
    /// Reads a card file.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_str(&super::text::read_text(path)?, path)
    }

    /// Reads a card; `path` is where it is said to be, for messages and for the folder of its files.
    pub fn from_str(text: &str, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        refuse_plan(path, text)?;
        let mut card: Self = parse_toml(path, text)?;
        card.path = path.into();
        card.check()?;
        Ok(card)
    }

    /// For data that a trained model is asked about: columns to ignore need not be there.
    pub fn of_new_data(self) -> Self {
        Self { is_of_new_data: true, ..self }
    }

    fn check(&self) -> Result<()> {
        let at = |field: &str| format!("{field} in {}", self.path.display());
        Modalities::new(self.views.iter().map(|v| &v.modality)).map_err(|e| Error::config(at("view"), e.to_string()))?;
        if let Some(view) = self.views.iter().find(|v| v.shape.is_some_and(|shape| shape.contains(&0))) {
            let problem = format!("the shape of `{}` has a 0; it is [channels, height, width]", view.modality);
            return Err(Error::config(at("view.shape"), problem));
        }
        for view in &self.views {
            for (column, categories) in &view.categories {
                let distinct: HashSet<&String> = categories.iter().collect();
                if categories.is_empty() || distinct.len() < categories.len() || categories.iter().any(|text| text.trim().is_empty()) {
                    let problem = format!("those of `{column}` are to be one text or more, none of them twice or empty");
                    return Err(Error::config(at("view.categories"), problem));
                }
            }
        }
        if self.split.is_some() && self.has_column(&self.part, |v| &v.part) {
            return Err(Error::config(at("split"), "the split is fixed by the column `part`; keep one of the two"));
        }
        if let Some(Err(problem)) = self.split.map(|split| split.validate()) {
            return Err(Error::config(at("split"), problem));
        }
        let of_labels = self.labels.as_ref().and_then(|labels| labels.column.as_ref());
        let label = self.label.as_ref().or(of_labels).or(self.views.iter().find_map(|view| view.label.as_ref()));
        let label = label.map(|column| column.name().map_or_else(|| column.position().unwrap_or_default().to_string(), String::from));
        check_targets(self.task, &self.targets, label.as_deref(), self.classes.as_deref())
            .map_err(|(field, problem)| Error::config(at(field), problem))?;
        if self.task.has_columns() && self.target_columns().is_empty() {
            let problem = "lists the columns that are to be predicted by name, such as targets = [\"age\"]";
            return Err(Error::config(at("targets"), problem));
        }
        match &self.labels {
            Some(labels) if labels.file.is_empty() => {
                return Err(Error::config(at("labels.file"), "names no file; write labels = { file = \"labels.csv\", column = \"kind\" }"));
            }
            Some(labels) if labels.column.is_none() && self.label.is_none() && self.targets.is_empty() => {
                return Err(Error::config(at("labels.column"), "which column of the file is the label? Write column = \"kind\""));
            }
            None if !self.has_column(&self.label, |v| &v.label) && self.targets.is_empty() => {
                let problem = "no label column is named; write label = \"column\", or label = -1 for the last, or labels = { file = ..., column = ... }";
                return Err(Error::config(at("label"), problem));
            }
            _ => {}
        }
        if let Some(classes) = &self.classes
            && let Some(twice) = classes.iter().enumerate().find(|(i, class)| classes[..*i].contains(class))
        {
            return Err(Error::config(at("classes"), format!("`{}` is listed twice", twice.1)));
        }
        self.check_writing(&at)?;
        if self.join == Join::Id && !self.has_column(&self.id, |v| &v.id) {
            return Err(Error::config(at("id"), "join = \"id\" needs an id column; write id = \"column\""));
        }
        if self.task == TaskKind::FaceAntiSpoofing && self.classes.is_none() {
            let problem = "says which class is the attack: list it first, such as classes = [\"attack\", \"live\"]";
            return Err(Error::config(at("classes"), problem));
        }
        if self.allow_unmatched && self.join != Join::Id {
            return Err(Error::config(at("allow_unmatched"), "only has a meaning with join = \"id\""));
        }
        Ok(())
    }

    /// Whether the characters of the files' form are possible.
    fn check_writing(&self, at: &dyn Fn(&str) -> String) -> Result<()> {
        let of_labels = self.labels.iter().flat_map(|l| [("labels.delimiter", l.delimiter), ("labels.comment", l.comment)]);
        let of_views = self.views.iter().flat_map(|v| [("delimiter", v.delimiter), ("comment", v.comment), ("decimal", v.decimal)]);
        let own = [("delimiter", self.delimiter), ("comment", self.comment), ("decimal", self.decimal)];
        for (field, character) in own.into_iter().chain(of_views).chain(of_labels) {
            let problem = match character {
                Some(c) if field == "decimal" && !".,".contains(c) => "must be \".\" or \",\"",
                Some(c) if !c.is_ascii() || c.is_ascii_alphanumeric() || "\"\n\r".contains(c) => {
                    "must be one sign such as \";\", no letter, digit or quote"
                }
                _ => continue,
            };
            return Err(Error::config(at(field), problem));
        }
        let writings = self.views.iter().map(|v| self.writing(v)).chain(self.labels.iter().map(|l| self.writing_of_labels(l)));
        for writing in writings {
            if writing.delimiter.is_some() && writing.delimiter == writing.comment {
                return Err(Error::config(at("comment"), "is the delimiter too"));
            }
        }
        Ok(())
    }

    fn writing<'a>(&'a self, view: &'a ViewSpec) -> Writing<'a> {
        Writing {
            delimiter: view.delimiter.or(self.delimiter),
            comment: view.comment.or(self.comment),
            missing: view.missing.as_ref().unwrap_or(&self.missing),
            decimal_comma: view.decimal.or(self.decimal) == Some(','),
        }
    }

    fn writing_of_labels(&self, labels: &LabelSpec) -> Writing<'_> {
        let (delimiter, comment) = (labels.delimiter.or(self.delimiter), labels.comment.or(self.comment));
        Writing { delimiter, comment, decimal_comma: self.decimal == Some(','), ..Writing::default() }
    }

    /// The files that the card names, each once.
    pub fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = Vec::new();
        for file in self.views.iter().map(|v| &v.file).chain(self.labels.iter().map(|l| &l.file)) {
            if !files.contains(&file.as_str()) {
                files.push(file);
            }
        }
        files
    }

    fn has_column<'a>(&'a self, own: &Option<Column>, of_view: impl Fn(&'a ViewSpec) -> &'a Option<Column>) -> bool {
        own.is_some() || self.views.iter().any(|v| of_view(v).is_some())
    }

    /// Folder that the files are in.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Reads the data from the card's folder.
    pub fn load_files(&self) -> Result<LoadedData> {
        self.load(|file| self.read_file(file))
    }

    /// What is wrong with the lines of its files: the first mistake of each line, of a thousand lines at most; nothing where all can be read.
    /// [`DatasetCard::load_files`] stops at the first.
    pub fn mistakes(&self) -> Vec<Error> {
        let mut mistakes = Vec::new();
        let loaded = self.load_noting(|file| self.read_file(file), Some(&mut mistakes));
        // Two sensors of one file share what is wrong with its labels.
        let mut told = HashSet::new();
        mistakes.retain(|mistake| told.insert(mistake.to_string()));
        match loaded {
            // Not about a line.
            Err(error) if mistakes.is_empty() => vec![error],
            _ => mistakes,
        }
    }

    fn read_file(&self, file: &str) -> Result<Cow<'static, [u8]>> {
        let path = self.folder().join(file);
        std::fs::read(&path).map(Cow::Owned).map_err(Error::io(path))
    }

    /// Reads the data; `read` gives the bytes of each file named in the card, from wherever they are. Each file is read once.
    pub fn load<'a>(&self, read: impl Fn(&str) -> Result<Cow<'a, [u8]>>) -> Result<LoadedData> {
        self.load_noting(read, None)
    }

    /// The same, which notes the mistakes of all files before it refuses the first.
    fn load_noting<'a>(&self, read: impl Fn(&str) -> Result<Cow<'a, [u8]>>, mut mistakes: Option<&mut Vec<Error>>) -> Result<LoadedData> {
        let mut contents = BTreeMap::new();
        for file in self.files() {
            contents.insert(file, read(file)?);
        }
        let targets = self.target_columns();
        // A single number or label is named as the label.
        let label = self.label.as_ref().filter(|_| targets.is_empty());
        let defaults = [label, self.id.as_ref(), self.group.as_ref(), self.part.as_ref(), self.weight.as_ref()];
        let decimal_comma = self.decimal == Some(',');
        let labels = Labels {
            classes: self.classes.as_deref(),
            missing: self.missing_label,
            task: self.task,
            decimal_comma: Some(decimal_comma),
            none: &self.missing,
        };
        let mut read_one = |file: &str, sha256: &Option<String>, reading: ReadAs| -> Result<Table> {
            let path = self.folder().join(file);
            let bytes = contents.get(file).map_or(&[] as &[u8], |bytes| bytes);
            check_hash(&path, bytes, sha256.as_deref())?;
            read_table(&reading, &path, bytes, mistakes.as_deref_mut())
        };
        let reading = ReadAs {
            modality: None,
            columns: None,
            ignore: &self.ignore,
            taken: &[],
            view_ignore: &[],
            categories: &BTreeMap::new(),
            shape: None,
            own: [None; 5],
            targets: &targets,
            defaults,
            writing: Writing::default(),
            header: false,
            non_finite: self.non_finite,
            partial: self.partial,
            labels,
        };
        let mut tables = Vec::with_capacity(self.views.len() + 1);
        for (at, view) in self.views.iter().enumerate() {
            let others = self.views.iter().enumerate().filter(|(other, of)| *other != at && of.file == view.file);
            let taken: Vec<&Column> = others.flat_map(|(_, of)| of.columns.iter().flatten()).collect();
            let reading = ReadAs {
                modality: Some(&view.modality),
                columns: view.columns.as_deref(),
                taken: &taken,
                view_ignore: &view.ignore,
                categories: &view.categories,
                shape: view.shape,
                own: [view.label.as_ref().filter(|_| targets.is_empty()), view.id.as_ref(), view.group.as_ref(), view.part.as_ref(), None],
                // With a file of labels, a label by position is meant for that.
                defaults: if self.labels.is_some() { without_position(defaults) } else { defaults },
                writing: self.writing(view),
                header: view.header,
                partial: view.partial.unwrap_or(self.partial),
                ..reading
            };
            tables.push(read_one(&view.file, &view.sha256, reading));
        }
        if let Some(spec) = &self.labels {
            let label = spec.column.as_ref().or(self.label.as_ref()).filter(|_| targets.is_empty());
            let own = [label, spec.id.as_ref(), None, None, None];
            let reading = ReadAs { columns: Some(&[]), own, writing: self.writing_of_labels(spec), ..reading };
            tables.push(read_one(&spec.file, &spec.sha256, reading));
        }
        let tables = tables.into_iter().collect::<Result<Vec<Table>>>()?;
        self.check_keys(&tables, defaults)?;
        let joining = Joining {
            how: self.join,
            targets: &targets,
            score: self.score.as_deref(),
            allow_unmatched: self.allow_unmatched,
            labels,
            no_reading: self.no_reading,
            label_position: self.label.as_ref().and_then(Column::position),
        };
        Ok(LoadedData { joined: join(tables, &joining)?, split: self.split.unwrap_or_default() })
    }

    /// The columns of labels or numbers that are to be predicted; none where a class is.
    fn target_columns(&self) -> Vec<String> {
        let of_labels = self.labels.as_ref().and_then(|labels| labels.column.as_ref());
        let single = || self.label.iter().chain(of_labels).chain(self.views.iter().filter_map(|v| v.label.as_ref()));
        match self.task.has_columns() && self.targets.is_empty() {
            true => single().find_map(Column::name).map(String::from).into_iter().collect(),
            false => self.targets.clone(),
        }
    }

    /// Whether the columns that any file may have are in one of them (those to ignore, too), and no label is a feature of another file.
    fn check_keys(&self, tables: &[Table], defaults: Keys<&Column>) -> Result<()> {
        let keys = defaults.into_iter().enumerate().filter(|(key, _)| tables.iter().all(|t| t.keys[*key].is_none()));
        let ignored = self.ignore.iter().filter(|column| !self.is_of_new_data && tables.iter().all(|t| !column.is_in(&t.header.names)));
        if let Some(column) = keys.filter_map(|(_, column)| column).chain(ignored).next() {
            let problem = tables.iter().find_map(|t| column.find(&t.header.names).err()).unwrap_or_default();
            let (path, line) = (&tables[0].path, tables[0].header.line);
            return Err(parse_error(path, line, 1, format!("{problem} (in none of the files)")));
        }
        let own = self.views.iter().map(|v| &v.label).chain(self.labels.iter().map(|l| &l.column));
        for name in own.filter_map(|column| column.as_ref().and_then(Column::name)) {
            if let Some(table) = tables.iter().find(|t| t.features.iter().any(|f| f == name)) {
                let problem = format!(
                    "column `{name}` is the label in another file; name it as `label` of this view too, list the `columns`, or write ignore = [{name:?}]"
                );
                return Err(parse_error(&table.path, table.header.line, 1, problem));
            }
        }
        Ok(())
    }
}

/// Refuses columns that do not fit what is to be predicted: the field, and what is wrong.
pub(super) fn check_targets(
    task: TaskKind,
    targets: &[String],
    label: Option<&str>,
    classes: Option<&[String]>,
) -> std::result::Result<(), (&'static str, String)> {
    if !task.has_columns() && !targets.is_empty() {
        let problem = "are columns of labels or numbers: write task = \"labels\" or task = \"numbers\" too";
        return Err(("targets", problem.into()));
    }
    if let Some(label) = label.filter(|label| !targets.is_empty() && !targets.iter().any(|target| target == label)) {
        let problem = format!("`{label}` is not predicted, as `targets` say what is: take one of the two out, or list it in `targets`");
        return Err(("label", problem));
    }
    if task.has_columns() && classes.is_some() {
        return Err((
            "classes",
            "are what one class a sample is chosen from; labels and numbers are named by their columns in `targets`".into(),
        ));
    }
    match targets.iter().enumerate().find(|(i, target)| targets[..*i].contains(target)) {
        Some((_, twice)) => Err(("targets", format!("`{twice}` is listed twice"))),
        None => Ok(()),
    }
}

fn without_position(mut defaults: Keys<&Column>) -> Keys<&Column> {
    defaults[super::read_as::LABEL] = defaults[super::read_as::LABEL].filter(|column| column.name().is_some());
    defaults
}

fn check_hash(path: &Path, bytes: &[u8], expected: Option<&str>) -> Result<()> {
    let Some(expected) = expected else { return Ok(()) };
    let found = hexadecimal(&Sha256::digest(bytes));
    match expected.eq_ignore_ascii_case(&found) {
        true => Ok(()),
        false => Err(DataError::Hash { path: path.into(), found, expected: expected.into() }.into()),
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
