//! Folders of pictures in, a saved model out that reads the camera alone: depth and ir helped to train it.
//!
//! `cargo run --release -p mod-distill --example mod_distill_photos`

use mm_baselines::FusionConfig;
use mm_core::data::{Folders, SplitSpec, kinds::Image};
use mm_core::pipeline::Readings;
use mm_core::train::{TrainConfig, Trainer};
use mm_core::{Pipeline, Result};
use mod_distill::ModDistillConfig;

fn main() -> Result<()> {
    // A folder made up for this example: photos/<sensor>/<class>/<number>.png, some of them missing. In your program: yours.
    let folder = tempfile::tempdir().map_err(mm_core::Error::io("the temporary folder"))?;
    let photos = folder.path().join("photos");
    mm_testing::photos(&photos, 240);

    let data =
        Folders::new(&photos).modality("rgb", Image::rgb(16)).modality("depth", Image::gray(16)).modality("ir", Image::gray(16)).open()?;
    let split = SplitSpec::default().draw(&data, 0)?;
    let trainer = Trainer::new(TrainConfig { epochs: 15, ..TrainConfig::default() }).checkpoints(folder.path().join("runs"));
    let teacher = trainer.fit(FusionConfig::full_only(), &data, &split)?;
    let mut model = trainer.fit_taught(ModDistillConfig::available(["rgb"]), teacher, &data, &split)?;
    println!("{}", model.evaluate(&data, &split.test)?); // every combination
    model.save_pretrained(folder.path().join("my-model"))?;

    // Elsewhere: the folder is all that is needed.
    let model = Pipeline::from_pretrained_as::<ModDistillConfig>(folder.path().join("my-model"))?;
    let answer = model.predict(&Readings::new().file("rgb", photos.join("rgb/disc/0000.jpg")).absent("depth"))?;
    println!("{} from {:?}", answer.class, answer.used);
    answer.ignored.iter().for_each(|ignored| println!("{} was ignored: {}", ignored.modality, ignored.reason));
    Ok(())
}
