//! A folder of files as a user has them: photographs, sounds, notes and numbers of machines that run or are broken.

use image::GrayImage;
use std::fmt::Write;
use std::path::Path;

/// A card for a photograph, a sound, a note and two numbers.
pub const CARD: &str = "name = \"machines\"\nmanifest = \"samples.csv\"\n
[split]\ntrain = 0.6\nvalidation = 0.2\ntest = 0.2\n
[[modality]]\nname = \"photo\"\nkind = \"image\"\nchannels = \"gray\"\nsize = [8, 8]\n
[[modality]]\nname = \"sound\"\nkind = \"audio\"\nrate = 8000\nseconds = 0.25\nmels = 20\n
[[modality]]\nname = \"note\"\nkind = \"text\"\ndimension = 64\n
[[modality]]\nname = \"gauge\"\nkind = \"vector\"\nfeatures = 2\n";

/// Writes `samples` machines: `photos/`, one long recording with all sounds, and `samples.csv`. Every fifth has no photograph, every seventh no
/// sound.
pub fn write(folder: &Path, samples: usize) {
    std::fs::create_dir_all(folder.join("photos")).unwrap();
    std::fs::write(folder.join("machines.toml"), CARD).unwrap();
    let plan = "name = \"machines\"\nseeds = [0]\ntrain = { batch_size = 8 }\ndata = [{ name = \"machines\", card = \"machines.toml\" }]\n\
                runs = [{ method = \"udml\" }, { method = \"mmanet\", options = { begin_epoch = 3 } }]\n";
    std::fs::write(folder.join("plan.toml"), plan).unwrap();
    let mut table = String::from("id,photo,sound,sound.start,sound.length,note,gauge.oil,gauge.heat,label\n");
    let mut recording = Vec::new();
    for i in 0..samples {
        let broken = i % 2 == 1;
        let noise = |k: usize| ((i * 7919 + k * 104_729) % 1009) as f32 / 1009.0 - 0.5;
        let photo = GrayImage::from_fn(12, 12, |x, y| {
            let bright = if broken { x < 6 } else { y < 6 };
            image::Luma([(90.0 + 80.0 * f32::from(u8::from(bright)) + 60.0 * noise((x * 12 + y) as usize)) as u8])
        });
        photo.save(folder.join(format!("photos/{i:03}.png"))).unwrap();
        let pitch = if broken { 1400.0 } else { 300.0 };
        let start = recording.len();
        recording.extend((0..1800 + i % 400).map(|t| {
            let wave = (std::f32::consts::TAU * pitch * t as f32 / 8000.0).sin() + 0.4 * noise(t);
            (12_000.0 * wave / 1.4) as i16
        }));
        let photo = if i % 5 == 4 { String::new() } else { format!("photos/{i:03}.png") };
        let length = recording.len() - start;
        let sound = if i % 7 == 6 { ",,".into() } else { format!("takes.wav,{start},{length}") };
        let note = if broken { "it squeals and shakes" } else { "calm and steady hum" };
        let (oil, heat) = if broken { (1.0 + noise(1), 90.0 + 5.0 * noise(2)) } else { (2.0 + noise(1), 60.0 + 5.0 * noise(2)) };
        let label = if broken { "broken" } else { "running" };
        writeln!(table, "m{i:03},{photo},{sound},{note} {},{oil},{heat},{label}", i % 3).unwrap();
    }
    std::fs::write(folder.join("samples.csv"), table).unwrap();
    std::fs::write(folder.join("takes.wav"), wav(&recording)).unwrap();
}

/// A WAV file of 16 bits, one channel, 8 kHz.
fn wav(samples: &[i16]) -> Vec<u8> {
    let bytes = 2 * samples.len() as u32;
    let mut file = Vec::new();
    let words = |file: &mut Vec<u8>, words: &[u32]| file.extend(words.iter().flat_map(|x| x.to_le_bytes()));
    file.extend(b"RIFF");
    words(&mut file, &[36 + bytes]);
    file.extend(b"WAVEfmt ");
    // One channel of PCM, two bytes a sample.
    words(&mut file, &[16, 1 << 16 | 1, 8000, 16_000, 16 << 16 | 2]);
    file.extend(b"data");
    words(&mut file, &[bytes]);
    file.extend(samples.iter().flat_map(|x| x.to_le_bytes()));
    file
}
