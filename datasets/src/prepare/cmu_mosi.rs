//! CMU-MOSI, CMU-MOSEI and data like them: features of words, voice and face over time, with a sentiment from -3 to 3.

use super::disk::found;
use super::error::{Error, Result};
use super::output::Output;
use super::{Reader, Request, arrays};

pub(super) const READER: Reader = Reader {
    name: "cmu-mosi",
    about: "features of words, voice and face over time, negative or positive (CMU-MOSI, CMU-MOSEI and the like)",
    licence: "for research; see the CMU Multimodal SDK",
    how: "The feature files are pickles (mosi_data.pkl, unaligned_50.pkl and the like, of github.com/pliang279/MultiBench or github.com/thuiar/MMSA), which \
          hold code and are never opened here. Write their arrays with NumPy: for part, x in pickle.load(open('mosi_data.pkl', 'rb')).items(): for \
          name in ['text', 'audio', 'vision', 'labels']: np.save(f'{part}_{name}.npy', np.nan_to_num(np.float32(x[name]), neginf=0)). Where the labels are \
          called regression_labels, take those. The folder then holds train_text.npy and so on, for train, valid and test",
    prepare,
};

const SENSORS: [&str; 3] = ["text", "audio", "vision"];

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let mut rows = Vec::new();
    let mut forms: [Option<Vec<usize>>; 3] = [None, None, None];
    for (part, name) in [("train", "train"), ("validation", "valid"), ("test", "test")] {
        let path = found(request.root.join(format!("{name}_labels.npy")), "the sentiments", READER.how)?;
        let sentiments = arrays::numbers(&path)?;
        if let Some(wrong) = sentiments.iter().find(|x| !(-3.0..=3.0).contains(*x)) {
            return Err(Error::content(path, format!("sentiments lie between -3 and 3, found {wrong}")));
        }
        let mut files = Vec::new();
        for (sensor, form) in SENSORS.iter().zip(&mut forms) {
            let path = found(request.root.join(format!("{name}_{sensor}.npy")), "the features", READER.how)?;
            let shape = arrays::shape(&path)?;
            let (samples, rest) = shape.split_first().map_or((0, vec![]), |(samples, rest)| (*samples, rest.to_vec()));
            if samples != sentiments.len() || !(1..=2).contains(&rest.len()) {
                let problem = format!("has the shape {shape:?}; [{}, steps, features] or [{0}, features] is expected", sentiments.len());
                return Err(Error::content(path, problem));
            }
            match form {
                Some(form) if *form != rest => {
                    return Err(Error::content(path, format!("a sample has the shape {rest:?} here, and {form:?} in the training part")));
                }
                _ => *form = Some(rest),
            }
            files.push(output.place(&path)?);
        }
        for (i, sentiment) in sentiments.iter().enumerate() {
            // Neither negative nor positive: left out where those are the classes.
            let sign = ["negative", "", "positive"][(sentiment.total_cmp(&0.0) as i8 + 1) as usize];
            let sign = if *sentiment == 0.0 { "" } else { sign };
            let seven = (sentiment.round() as i8).to_string();
            let mut row = vec![format!("{name}-{i}")];
            files.iter().for_each(|file| row.extend([file.clone(), i.to_string(), "1".into()]));
            row.extend([sign.into(), seven, part.into()]);
            rows.push(row);
        }
    }
    let mut sensors = String::new();
    for (sensor, form) in SENSORS.iter().zip(forms) {
        let form = form.unwrap_or_default();
        let shape = match form[..] {
            [steps, features] => format!("shape = [{features}, {steps}]\nchannels_last = true"),
            _ => format!("shape = {form:?}"),
        };
        sensors += &format!("\n[[modality]]\nname = \"{sensor}\"\nkind = \"array\"\n{shape}\n");
    }
    output.card("cmu-mosi.toml", &[include_str!("cards/cmu-mosi.part"), &sensors].concat())?;
    output.card("cmu-mosi-7.toml", &[include_str!("cards/cmu-mosi-7.part"), &sensors].concat())?;
    let columns = SENSORS.iter().flat_map(|sensor| ["", ".start", ".length"].map(|suffix| format!("{sensor}{suffix}")));
    let header: Vec<String> = ["id".into()].into_iter().chain(columns).chain(["label", "seven", "part"].map(String::from)).collect();
    output.table("samples.csv", &header.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
}
