//! Label maps with the mistakes that people make.

use super::made::*;
use image::{GrayAlphaImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use mm_core::data::FileCard;
use mm_core::data::check::{Level, files, guess};
use std::path::Path;

const CARD: &str =
    "name = 'rooms'\nmanifest = 't.csv'\n[pixels]\nclasses = ['wall', 'floor', 'table', 'lamp']\nvalues = [1, 2, 3, 4]\nvoid = [0]\n
    [[modality]]\nname = 'rgb'\nkind = 'image'\nchannels = 'rgb'\nsize = [12, 16]\n";

/// A map of 16 x 12 pixels: `number` in the upper half, 2 in the lower one, the first row void.
fn map(root: &Path, name: &str, number: u8, [height, width]: [u32; 2]) {
    let numbers = GrayImage::from_fn(width, height, |_, y| Luma([if y == 0 { 0 } else { if y < height / 2 { number } else { 2 } }]));
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    numbers.save(path).unwrap();
}

/// Twelve images and their label maps, `labels/0.png` and so on.
fn rooms(root: &Path) {
    let mut table = String::from("id,rgb,label,part\n");
    for i in 0..12u64 {
        picture(root, &format!("rgb/{i}.png"), i, [12, 16]);
        map(root, &format!("labels/{i}.png"), [1, 3][i as usize % 2], [12, 16]);
        table += &format!("s{i},rgb/{i}.png,labels/{i}.png,{}\n", ["train", "train", "val", "test"][i as usize / 3]);
    }
    write(root, "t.csv", table);
}

#[test]
fn pixels_are_counted_by_class_and_part() {
    let folder = tempfile::tempdir().unwrap();
    rooms(folder.path());
    let check = check_card(folder.path(), CARD);
    silent(&check, Level::Error);
    tells(&check, Level::Warning, &["label maps: classes of the card that no pixel has: lamp"]);
    assert_eq!(check.count(Level::Warning), 1, "{}", said(&check));
    let pixels = check.pixels.as_ref().unwrap();
    assert_eq!((pixels.maps, pixels.sizes.values.clone()), (12, vec![("12 high x 16 wide".to_string(), 12)]));
    // Of 12 rows of 16 pixels one is void, five are the upper half's class, six are floor.
    let expected =
        [("wall", 1, [240, 160, 80], 6), ("floor", 2, [576, 288, 288], 12), ("table", 3, [240, 80, 160], 6), ("lamp", 4, [0; 3], 0)];
    for (class, (name, number, counts, maps)) in pixels.classes.iter().zip(expected) {
        assert_eq!((class.name.as_str(), class.number, class.pixels.as_slice(), class.maps), (name, number, &counts[..], maps));
    }
    assert_eq!((pixels.void.clone(), pixels.labelled()), (vec![96, 48, 48], vec![1056, 528, 528]));
    // A few samples with pictures of their maps, in colours of the classes.
    assert!((4..=12).contains(&check.examples.len()));
    let shown = check.examples[0].map.as_ref().unwrap();
    let picture = image::load_from_memory(shown.picture.as_ref().unwrap()).unwrap().to_rgb8();
    assert_eq!((picture.dimensions(), shown.form.as_str()), ((16, 12), "12 high x 16 wide"));
    assert_eq!((picture.get_pixel(0, 0).0, picture.get_pixel(0, 11).0), ([0; 3], pixels.classes[1].colour));
}

#[test]
fn a_class_of_the_training_that_another_part_lacks_is_told() {
    let folder = tempfile::tempdir().unwrap();
    rooms(folder.path());
    (9..12).for_each(|i| map(folder.path(), &format!("labels/{i}.png"), 1, [12, 16]));
    let check = check_card(folder.path(), CARD);
    tells(&check, Level::Remark, &["classes in train and not in test: table"]);
    assert!(!said(&check).contains("not in validation"), "{}", said(&check));
}

#[test]
fn all_that_is_wrong_with_label_maps_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    rooms(root);
    RgbImage::new(16, 12).save(root.join("labels/1.png")).unwrap();
    write(root, "labels/2.png", b"not a map");
    map(root, "labels/3.png", 9, [12, 16]);
    map(root, "labels/4.png", 9, [12, 16]);
    map(root, "labels/5.png", 200, [12, 16]);
    map(root, "labels/6.png", 1, [24, 32]);
    map(root, "labels/7.png", 3, [16, 12]);
    GrayImage::new(16, 12).save(root.join("labels/8.png")).unwrap();
    std::fs::remove_file(root.join("labels/10.png")).unwrap();
    map(root, "labels/9.png", 4, [12, 16]);
    let check = check_card(root, CARD);
    tells(
        &check,
        Level::Error,
        &["label maps: 2 label maps cannot be read", "t.csv:3:3: ", "labels/1.png", "colours", "t.csv:4:3: ", "labels/2.png"],
    );
    tells(
        &check,
        Level::Error,
        &["9 is the number of no class and not void: 160 pixels in 2 label maps", "labels/3.png: 80 pixels from (1, 0) on", "labels/4.png"],
    );
    tells(&check, Level::Error, &["200 is the number of no class", "labels/5.png"]);
    tells(&check, Level::Error, &["t.csv:12:3", "labels/10.png", "missing_label"]);
    tells(&check, Level::Remark, &["1 of 9 label maps are of another size", "labels/6.png: 24 high x 32 wide, and rgb 12 high x 16 wide"]);
    tells(
        &check,
        Level::Warning,
        &["1 of 9 label maps have another ratio of sides", "labels/7.png: 16 high x 12 wide, and rgb 12 high x 16 wide"],
    );
    tells(&check, Level::Warning, &["1 of 9 label maps have no pixel of a class", "labels/8.png"]);
    tells(&check, Level::Warning, &["classes in test and not in train: table, lamp"]);
    assert!(!check.is_usable());
    // In words and as a page.
    let names: Vec<usize> = check.pixels.iter().map(|pixels| pixels.unreadable.len()).collect();
    assert_eq!(names, [2]);
    // Files of which no number is known.
    let other = check_card(root, &CARD.replace("values = [1, 2, 3, 4]", "values = [51, 52, 53, 54]"));
    tells(&other, Level::Error, &["no pixel is of a class"]);
    let one = check_card(
        root,
        &CARD.replace("'floor', 'table', 'lamp']\nvalues = [1, 2, 3, 4]\nvoid = [0]", "]\nvalues = [2]\nvoid = [0, 1, 3, 4]"),
    );
    tells(&one, Level::Error, &["all labelled pixels are of the class `wall`"]);
}

#[test]
fn a_size_that_stretches_the_files_is_told() {
    let folder = tempfile::tempdir().unwrap();
    rooms(folder.path());
    let with = |size: &str| check_card(folder.path(), &CARD.replace("size = [12, 16]", &format!("size = {size}")));
    tells(
        &with("[32, 24]"),
        Level::Warning,
        &["label maps 12 high x 16 wide (12), rgb 12 high x 16 wide (12)", "[height, width]", "exchanged: write size = [24, 32]"],
    );
    tells(&with("[16, 16]"), Level::Warning, &["size = [16, 16] has another ratio of sides", "write a size, [height, width]"]);
    for near in ["[12, 16]", "[100, 130]", "[5, 7]"] {
        assert!(!said(&with(near)).contains("ratio of sides"), "{near}");
    }
    // Images of another ratio than the label maps are told once.
    (0..7).for_each(|i| picture(folder.path(), &format!("rgb/{i}.png"), i, [16, 12]));
    let check = with("[12, 16]");
    tells(&check, Level::Warning, &["7 of 12 label maps have another ratio of sides than every image"]);
    assert!(!said(&check).contains("than most files"), "{}", said(&check));
}

#[test]
fn names_of_classes_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    rooms(folder.path());
    tells(&check_card(folder.path(), &CARD.replace("lamp", "Wall")), Level::Warning, &["classes of the card that look alike: wall, Wall"]);
    let card = FileCard::from_str(&CARD.replace("lamp", ""), folder.path().join("card.toml")).unwrap();
    let problem = files(&card, &|_, _| ()).unwrap_err().to_string();
    assert!(problem.contains("pixels.classes") && problem.contains("class 4 of 4 is empty"), "{problem}");
}

#[test]
fn a_column_of_label_maps_is_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    rooms(root);
    (0..12).for_each(|i| deep_picture(root, &format!("depth/{i}.png"), i, 24));
    let row = |i: usize| format!("{i},rgb/{i}.png,depth/{i}.png,{},labels/{i}.png,a room with number {i}\n", ["bright", "dark"][i % 2]);
    write(root, "t.csv", format!("id,rgb,depth,light,segmentation mask,caption\n{}", (0..12).map(row).collect::<String>()));
    let guessed = guess(&root.join("t.csv"), root).unwrap();
    for line in [
        "label = \"segmentation mask\"  # label maps",
        "classes = [\"class_0\", \"class_1\", \"class_2\", \"class_3\"]",
        "size = [12, 16]",
        "kind = \"depth\"",
    ] {
        assert!(guessed.card.contains(line), "`{line}` is not in\n{}", guessed.card);
    }
    assert!(guessed.card.matches("size =").count() == 1 && !guessed.card.contains("fit ="), "{}", guessed.card);
    assert!(guessed.remarks.iter().any(|remark| remark.contains("caption are left out: what predicts pixels")), "{:?}", guessed.remarks);
    let check = check_card(root, &guessed.card);
    silent(&check, Level::Error);
    assert_eq!(check.pixels.unwrap().classes.iter().map(|class| class.maps).collect::<Vec<_>>(), [12, 6, 12, 6]);
    // Masks of 0 and 255 are two classes, and 255 beside others is void.
    let masks = |numbers: [u8; 3]| {
        (0..12).for_each(|i| {
            GrayImage::from_fn(16, 12, |x, _| Luma([numbers[x as usize % 3]])).save(root.join(format!("labels/{i}.png"))).unwrap()
        });
        guess(&root.join("t.csv"), root).unwrap().card
    };
    let card = masks([0, 255, 0]);
    assert!(card.contains("values = [0, 255]\nvoid = []"), "{card}");
    let card = masks([1, 255, 5]);
    assert!(card.contains("values = [1, 5]\nvoid = [255]"), "{card}");
    // Whatever it is called, where nothing else is the label.
    let text = std::fs::read_to_string(root.join("t.csv")).unwrap();
    write(
        root,
        "t.csv",
        text.replace("light", "split").replace("bright", "north").replace("dark", "south").replace("segmentation mask", "flood"),
    );
    assert!(guess(&root.join("t.csv"), root).unwrap().card.contains("label = \"flood\"  # label maps"));
    // The number of a slice is no class.
    let slices = text.replace("light", "z_mm_index").replace("bright", "3").replace("dark", "5").replace("segmentation mask", "lesion");
    write(root, "t.csv", slices);
    assert!(guess(&root.join("t.csv"), root).unwrap().card.contains("label = \"lesion\"  # label maps"));
    // A column of classes is not overruled.
    let text = text.replace("light", "class");
    write(root, "t.csv", text);
    assert!(guess(&root.join("t.csv"), root).unwrap().card.contains("label = \"class\""));
}

#[test]
fn a_folder_of_label_maps_is_guessed_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for i in 0..12u64 {
        let part = ["train", "val", "test"][i as usize % 3];
        picture(root, &format!("rooms/rgb/{part}/{i}.jpg"), i, [24, 32]);
        map(root, &format!("rooms/masks/{part}/{i}.png"), [1, 3][i as usize / 3 % 2], [24, 32]);
        if i > 3 {
            deep_picture(root, &format!("rooms/depth/{part}/{i}.png"), i, 16);
        }
    }
    let (check, card) = check_guess(&root.join("rooms"), root);
    assert!(card.contains("folders = \"rooms\"\nlabel = \"masks\"") && card.contains("size = [24, 32]"), "{card}");
    silent(&check, Level::Error);
    assert_eq!((check.samples.clone(), check.parts.join(" ")), (vec![4, 4, 4], "train validation test".into()));
    assert_eq!(
        check.combinations.iter().map(|c| (c.name.as_str(), c.samples.iter().sum())).collect::<Vec<(&str, usize)>>(),
        [("depth+rgb", 8), ("rgb", 4)]
    );
    assert_eq!(check.pixels.unwrap().maps, 12);
    std::fs::remove_file(root.join("rooms/masks/train/0.png")).unwrap();
    std::fs::rename(root.join("rooms/masks/test/2.png"), root.join("rooms/masks/test/22.png")).unwrap();
    write(root, "rooms/masks/val/1.jpg", b"x");
    let check = check_card(root, &card);
    for file in ["masks/train/0.png", "masks/test/2.png"] {
        assert!(said(&check).lines().any(|line| line.starts_with("Error") && line.contains(file)), "{}", said(&check));
    }
    tells(&check, Level::Error, &["masks/val/1.jpg", "take it out"]);
    tells(&check, Level::Remark, &["label maps belong to no reading", "masks/test/22.png"]);
    std::fs::remove_file(root.join("rooms/masks/val/1.jpg")).unwrap();
    let check = check_card(root, &card.replace("label = ", "missing_label = \"drop\"\nlabel = "));
    silent(&check, Level::Error);
    assert_eq!(check.samples, [3, 4, 3]);
}

/// Images beside the label maps that are made of their numbers, `name/0.png` and so on, with a table that lists them.
fn beside(root: &Path, name: &str, colour: impl Fn(u8) -> u8) {
    rooms(root);
    let row = |i: usize| {
        let map = image::open(root.join(format!("labels/{i}.png"))).unwrap().to_luma8();
        let path = root.join(format!("{name}/{i}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_fn(map.width(), map.height(), |x, y| Rgb([colour(map.get_pixel(x, y)[0]), 7, 9])).save(path).unwrap();
        format!("s{i},rgb/{i}.png,labels/{i}.png,{name}/{i}.png,{}\n", ["train", "train", "val", "test"][i / 3])
    };
    write(root, "t.csv", format!("id,rgb,label,{name},part\n{}", (0..12).map(row).collect::<String>()));
}

#[test]
fn label_maps_in_other_colours_are_no_sensor() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let of = |name: &str| format!("{CARD}[[modality]]\nname = '{name}'\nkind = 'image'\nchannels = 'rgb'\nsize = [12, 16]\n");
    beside(root, "painted", |number| 40 * number);
    let guessed = guess(&root.join("t.csv"), root).unwrap();
    assert!(guessed.card.contains("name = \"rgb\"") && !guessed.card.contains("painted"), "{}", guessed.card);
    assert!(guessed.remarks.iter().any(|remark| remark.contains("column `painted` is left out: the class")), "{:?}", guessed.remarks);
    // A card that was written by hand keeps it.
    let check = check_card(root, &of("painted"));
    tells(&check, Level::Warning, &["painted: the colour of a pixel tells exactly", "wall, floor, table", "label in other words"]);
    assert!(!said(&check).contains("rgb: the colour"), "{}", said(&check));
    // One class of several may be known before.
    beside(root, "floors", |number| u8::from(number == 2));
    let (check, card) = check_guess(&root.join("t.csv"), root);
    assert!(card.contains("name = \"floors\""), "{card}");
    tells(&check, Level::Warning, &["floors: the colour of a pixel tells exactly whether it is of a class: class_2 |"]);
    // A copy of another size, and levels of heat that no other class has: a reading of its own.
    let again = |make: &dyn Fn(&RgbImage) -> RgbImage| {
        beside(root, "seen", |number| 40 * number);
        for i in 0..12 {
            let path = root.join(format!("seen/{i}.png"));
            make(&image::open(&path).unwrap().to_rgb8()).save(path).unwrap();
        }
        check_guess(&root.join("t.csv"), root)
    };
    let (_, card) = again(&|copy| RgbImage::from_fn(2 * copy.width(), 2 * copy.height(), |x, y| *copy.get_pixel(x / 2, y / 2)));
    assert!(!card.contains("name = \"seen\""), "{card}");
    let (check, card) =
        again(&|map| RgbImage::from_fn(16, 12, |x, y| Rgb([if map.get_pixel(x, y)[0] == 80 { 20 } else { 130 } + (x + 3 * y) as u8; 3])));
    assert!(card.contains("name = \"seen\"") && !said(&check).contains("the colour of a pixel"), "{card}{}", said(&check));
    // Colours that say nothing, under a name that says much.
    beside(root, "instances", |_| 1);
    let (check, _) = check_guess(&root.join("t.csv"), root);
    tells(&check, Level::Remark, &["instances: is called as label maps are"]);
    for i in 0..12 {
        std::fs::create_dir_all(root.join("all/rgb")).unwrap();
        std::fs::copy(root.join(format!("rgb/{i}.png")), root.join(format!("all/rgb/{i}.png"))).unwrap();
        map(root, &format!("all/masks/{i}.png"), [1, 3][i % 2], [12, 16]);
        map(root, &format!("all/again/{i}.png"), [1, 3][i % 2], [12, 16]);
    }
    let guessed = guess(&root.join("all"), root).unwrap();
    assert!(guessed.card.contains("name = \"rgb\"") && !guessed.card.contains("again"), "{}", guessed.card);
    assert!(guessed.remarks.iter().any(|remark| remark.contains("the folder `again` is left out")), "{:?}", guessed.remarks);
}

/// A folder may be called like maps and be a class.
#[test]
fn grey_photographs_of_masks_are_no_label_maps() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (class, at) in [("mask", 0), ("no_mask", 100)] {
        std::fs::create_dir_all(root.join("faces").join(class)).unwrap();
        for i in 0..12 {
            let face = GrayImage::from_fn(16, 12, |x, y| Luma([(at + i + 8 * x + y % 8) as u8]));
            face.save(root.join(format!("faces/{class}/{i}.png"))).unwrap();
        }
    }
    let guessed = guess(&root.join("faces"), root).unwrap();
    assert!(!guessed.card.contains("[pixels]"), "{}", guessed.card);
}

#[test]
fn why_files_are_no_label_maps_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    rooms(root);
    let listed = |ending: &str, header: &str, weather: bool| {
        let row = |i: usize| {
            let part = ["train", "train", "val", "test"][i / 3];
            let weather = if weather { [",wet", ",dry"][i % 2] } else { "" };
            format!("s{i},rgb/{i}.png,labels/{i}.{ending},{part}{weather}\n")
        };
        write(root, "t.csv", format!("{header}\n{}", (0..12).map(row).collect::<String>()));
        guess(&root.join("t.csv"), root)
    };
    let refused = |ending: &str, words: &[&str]| {
        for name in ["mask", "label"] {
            let error = listed(ending, &format!("id,rgb,{name},part"), false).unwrap_err().to_string();
            let all = words.iter().chain(&["is not taken for label maps"]).all(|word| error.contains(word));
            assert!(all && !error.contains("call it"), "{words:?}: {error}");
        }
    };
    let each = |ending: &str, make: &dyn Fn(u32, &Path)| (0..12).for_each(|i| make(i, &root.join(format!("labels/{i}.{ending}"))));
    each("jpg", &|i, path| painted(u64::from(i), [12, 16]).save(path).unwrap());
    refused("jpg", &["labels/0.jpg is no PNG file but a JPEG image", "from the original"]);
    each("tif", &|_, path| std::fs::write(path, b"II*\0 a scan").unwrap());
    refused("tif", &["a TIFF image", "save it as PNG"]);
    each("png", &|_, path| GrayAlphaImage::new(16, 12).save(path).unwrap());
    refused("png", &["without the alpha channel"]);
    let many = |i| ImageBuffer::<Luma<u16>, Vec<u16>>::from_fn(16, 12, |x, y| Luma([(i * 20 + x + y) as u16]));
    each("png", &|i, path| many(i).save(path).unwrap());
    refused("png", &["247 different numbers, and more than 200", "docs/src/kinds/pixels.md"]);
    each("png", &|_, path| GrayImage::new(16, 12).save(path).unwrap());
    refused("png", &["all pixels of its files are 0"]);
    each("png", &|i, path| painted(u64::from(i), [12, 16]).save(path).unwrap());
    refused("png", &["labels/0.png is a PNG file of colours", "number of its class", "docs/src/kinds/pixels.md"]);
    // With another label they are a sensor, and the check says so.
    let guessed = listed("png", "id,rgb,mask,part,weather", true).unwrap();
    assert!(guessed.card.contains("label = \"weather\""), "{}", guessed.card);
    assert!(guessed.remarks.iter().any(|remark| remark.contains("`mask` is not taken") && remark.contains("of colours")));
    tells(&check_card(root, &guessed.card), Level::Remark, &["mask: is called as label maps are", "[pixels]"]);
}

#[test]
fn label_maps_that_are_called_otherwise_than_images_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for i in 0..12 {
        picture(root, &format!("rooms/images/scene_{i}.jpg"), i, [12, 16]);
        map(root, &format!("rooms/masks/scene_{i}_mask.png"), [1, 3][i as usize % 2], [12, 16]);
    }
    let error = guess(&root.join("rooms"), root).unwrap_err().to_string();
    for words in ["`masks` holds label maps", "images/scene_0.jpg must be", "masks/scene_0.png, and", "masks/scene_0_mask.png"] {
        assert!(error.contains(words), "{words}: {error}");
    }
    let at = |name: String| root.join("rooms/masks").join(name);
    (0..12).for_each(|i| std::fs::rename(at(format!("scene_{i}_mask.png")), at(format!("scene_{i}.png"))).unwrap());
    assert!(guess(&root.join("rooms"), root).unwrap().card.contains("label = \"masks\""));
    // Of colours: why not is said.
    (0..12).for_each(|i| picture(root, &format!("rooms/masks/scene_{i}.png"), i, [12, 16]));
    let remarks = guess(&root.join("rooms"), root).unwrap().remarks.join("\n");
    assert!(remarks.contains("the folder `masks` is not taken for label maps") && remarks.contains("of colours"), "{remarks}");
}

#[test]
fn what_a_card_of_label_maps_lacks_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    rooms(root);
    let card = FileCard::from_str(&CARD.replace("size = [12, 16]\n", ""), root.join("card.toml")).unwrap();
    let error = files(&card, &|_, _| ()).unwrap_err().to_string();
    assert!(error.contains("modality.rgb") && error.contains("write size = [height, width] in [pixels]"), "{error}");
    let (before, after) = (CARD.find("[pixels]").unwrap(), CARD.find("[[modality]]").unwrap());
    let check = check_card(root, &format!("{}{}", &CARD[..before], &CARD[after..]));
    tells(&check, Level::Error, &["t.csv:1:3", "names image files, such as `labels/0.png`", "[pixels] with `classes` and `size`"]);
    assert!(check.count(Level::Error) == 1 && !said(&check).contains(" labels: "), "{}", said(&check));
}

/// A map of 16 x 12 pixels with a palette: 0 above, `number` below.
fn with_palette(root: &Path, name: &str, number: u8, palette: &[u8]) {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 16, 12);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette.to_vec());
    let numbers: Vec<u8> = (0..192).map(|at| if at < 96 { 0 } else { number }).collect();
    encoder.write_header().unwrap().write_image_data(&numbers).unwrap();
    write(root, name, bytes);
}

/// Programs that keep only the colours of a picture number them anew in each file.
#[test]
fn a_number_of_several_colours_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    rooms(root);
    let card = CARD.replace("values = [1, 2, 3, 4]\nvoid = [0]", "");
    let palettes = |other: [u8; 9]| {
        (0..12).for_each(|i| {
            let palette = if i % 3 == 0 { other } else { [0, 0, 0, 255, 0, 0, 0, 0, 255] };
            with_palette(root, &format!("labels/{i}.png"), 1 + (i % 2) as u8, &palette);
        });
        check_card(root, &card)
    };
    tells(
        &palettes([0, 0, 0, 0, 0, 255, 255, 0, 0]),
        Level::Warning,
        &["label maps: palettes give numbers another colour in other files", "1 is #0000ff in ", "#ff0000 in ", "labels/"],
    );
    let said = said(&palettes([0, 0, 0, 255, 0, 0, 0, 0, 255]));
    assert!(!said.contains("palettes"), "{said}");
}

/// A mask of 0 and 255 beside masks of 0 and 1: its object would be void.
#[test]
fn masks_of_two_forms_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    rooms(root);
    for i in 0..12 {
        let one = if i % 4 == 0 { 255 } else { 1 };
        GrayImage::from_fn(16, 12, |_, y| Luma([if y < 6 { 0 } else { one }])).save(root.join(format!("labels/{i}.png"))).unwrap();
    }
    let (check, _) = check_guess(&root.join("t.csv"), root);
    tells(&check, Level::Warning, &["3 of 12 label maps hold nothing but 0 and 255, and 255 is void", "labels/4.png"]);
    // Alone they are two classes.
    for i in 0..12 {
        GrayImage::from_fn(16, 12, |_, y| Luma([if y < 6 { 0 } else { 255 }])).save(root.join(format!("labels/{i}.png"))).unwrap();
    }
    let said = said(&check_guess(&root.join("t.csv"), root).0);
    assert!(!said.contains("hold nothing but"), "{said}");
}
