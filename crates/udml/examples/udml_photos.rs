//! Folders of pictures in, a saved model out, asked with one sensor alive: it says how far it trusts each.
//!
//! `cargo run --release -p udml --example udml_photos`

use mm_core::data::{Folders, SplitSpec, kinds::Image};
use mm_core::pipeline::Readings;
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Pipeline, Result};
use udml::UdmlConfig;

fn main() -> Result<()> {
    // A folder made up for this example: photos/<sensor>/<class>/<number>.png, some of them missing. In your program: yours.
    let folder = tempfile::tempdir().map_err(mm_core::Error::io("the temporary folder"))?;
    let photos = folder.path().join("photos");
    mm_testing::photos(&photos, 240);

    let data =
        Folders::new(&photos).modality("rgb", Image::rgb(16)).modality("depth", Image::gray(16)).modality("ir", Image::gray(16)).open()?;
    let split = SplitSpec::default().draw(&data, 0)?;
    let trainer = Trainer::new(TrainConfig { epochs: 15, ..TrainConfig::default() }).checkpoints(folder.path().join("runs"));
    let mut model = trainer.fit(UdmlConfig::default(), &data, &split)?;
    println!("{}", model.evaluate(&data, &split.test)?); // every combination
    model.save_pretrained(folder.path().join("my-model"))?;

    // Elsewhere: the folder is all that is needed.
    let model = Pipeline::from_pretrained_as::<UdmlConfig>(folder.path().join("my-model"))?;
    let answer = model.predict(&Readings::new().file("rgb", photos.join("rgb/disc/0000.jpg")).absent("depth"))?;
    println!("{} from {:?}", answer.class, answer.used);
    answer.ignored.iter().for_each(|ignored| println!("{} was ignored: {}", ignored.modality, ignored.reason));
    for trust in answer.trust.iter().flatten() {
        println!("{}: noise level {:.1}, weight {:.2}", trust.modality, trust.level, trust.weight);
    }
    Ok(())
}
