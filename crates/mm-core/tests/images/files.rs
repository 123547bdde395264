//! Formats and forms of files.

use super::made::{bmp, close, deflated, jpeg, oriented_png, png, png_of, png16, tiff, tiff_of_bands, values, webp};
use image::ExtendedColorType::{L8, L16, La8, Rgb8, Rgb16, Rgba8};
use mm_core::Error;
use mm_core::data::image::{ImageError, LARGEST_BYTES, LARGEST_PIXELS, decode};
use mm_core::data::kinds::{Alpha, AppearanceConfig, Fit, Image, ImageChannels, Kind, Normalize, SavedKind, Standardization};
use mm_core::data::{FileCard, unpacking_at_most};
use std::path::Path;
use tiff::encoder::colortype::{CMYK8, Gray8, Gray16, Gray32, Gray32Float, GrayI16, RGB8, RGB16, RGB32Float, RGBA8};
use tiff::tags::ExtraSamples::{self, AssociatedAlpha, UnassociatedAlpha, Unspecified};

const RGB: [u8; 12] = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255];

/// Red, green; blue, white, as planes.
const PLANES: [f32; 12] = [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0];

#[test]
fn colours_of_every_format_are_the_same() {
    let wide: Vec<u16> = RGB.iter().map(|&x| u16::from(x) * 257).collect();
    let real: Vec<f32> = RGB.iter().map(|&x| f32::from(x) / 255.0).collect();
    let opaque: Vec<u8> = RGB.chunks(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255]).collect();
    let inks: Vec<u8> = RGB.chunks(3).flat_map(|rgb| [255 - rgb[0], 255 - rgb[1], 255 - rgb[2], 0]).collect();
    for bytes in [
        png(&RGB, 2, 2, Rgb8),
        png16(&wide, 2, 2, Rgb16),
        png(&opaque, 2, 2, Rgba8),
        tiff::<RGB8>(&RGB, 2, 2, 1),
        tiff::<RGB16>(&wide, 2, 2, 1),
        tiff::<RGB32Float>(&real, 2, 2, 1),
        tiff::<RGBA8>(&opaque, 2, 2, 1),
        tiff::<CMYK8>(&inks, 2, 2, 1),
        webp(&RGB, 2, 2, Rgb8, None),
        webp(&opaque, 2, 2, Rgba8, None),
        bmp(&RGB, 2, 2, Rgb8),
        bmp(&opaque, 2, 2, Rgba8),
    ] {
        close(&values(&Image::rgb(2), &bytes), &PLANES, 0.0);
        // 0.299, 0.587, 0.114.
        close(&values(&Image::gray(2), &bytes), &[0.299, 0.587, 0.114, 1.0], 0.002);
    }
}

#[test]
fn grey_of_every_format_is_the_same_and_fills_three_channels() {
    let wide: Vec<u16> = [0u16, 51, 204, 255].map(|x| x * 257).to_vec();
    for bytes in [
        png(&[0, 51, 204, 255], 2, 2, L8),
        png16(&wide, 2, 2, L16),
        png(&[0, 255, 51, 255, 204, 255, 255, 255], 2, 2, La8),
        tiff::<Gray8>(&[0, 51, 204, 255], 2, 2, 1),
        webp(&[0, 51, 204, 255], 2, 2, L8, None),
        bmp(&[0, 51, 204, 255], 2, 2, L8),
        tiff::<Gray16>(&wide, 2, 2, 1),
        tiff::<Gray32Float>(&[0.0, 0.2, 0.8, 1.0], 2, 2, 1),
    ] {
        close(&values(&Image::gray(2), &bytes), &[0.0, 0.2, 0.8, 1.0], 1e-7);
        close(&values(&Image::rgb(2), &bytes), &[0.0, 0.2, 0.8, 1.0].repeat(3), 1e-7);
    }
    // A negative number is no light.
    close(&values(&Image::gray(2), &tiff::<GrayI16>(&[-5, 0, 32_767, 100], 2, 2, 1)), &[0.0, 0.0, 0.49999, 0.00153], 1e-5);
    // What lies between white and black in 16 bits is kept.
    let fine = values(&Image::gray(1), &png16(&[257 * 100 + 3], 1, 1, L16));
    assert_eq!(fine, [25_703.0 / 65_535.0]);
}

/// The eight orientations of EXIF, against their definition: where the first row and the first column of the file are seen.
#[test]
fn files_are_turned_as_they_say() {
    // 3 wide, 2 high.
    let seen: [(u8, [usize; 2], [u8; 6]); 8] = [
        (1, [2, 3], [1, 2, 3, 4, 5, 6]),
        (2, [2, 3], [3, 2, 1, 6, 5, 4]),
        (3, [2, 3], [6, 5, 4, 3, 2, 1]),
        (4, [2, 3], [4, 5, 6, 1, 2, 3]),
        (5, [3, 2], [1, 4, 2, 5, 3, 6]),
        (6, [3, 2], [4, 1, 5, 2, 6, 3]),
        (7, [3, 2], [6, 3, 5, 2, 4, 1]),
        (8, [3, 2], [3, 6, 2, 5, 1, 4]),
    ];
    for (orientation, [height, width], expected) in seen {
        let expected = expected.map(|x| f32::from(x) * 40.0 / 255.0);
        let file = [1u8, 2, 3, 4, 5, 6].map(|x| x * 40);
        let kind = Image::gray(1).sized(height, width);
        close(&values(&kind, &oriented_png(&file, 3, 2, L8, Some(orientation))), &expected, 0.0);
        close(&values(&kind, &tiff::<Gray8>(&file, 3, 2, orientation.into())), &expected, 0.0);
        close(&values(&kind, &webp(&file, 3, 2, L8, Some(orientation))), &expected, 0.0);
        close(&values(&kind, &jpeg(&file, 3, 2, L8, Some(orientation))), &expected, 0.02);
        let wide: Vec<u8> = file.iter().flat_map(|&x| [x; 3]).collect();
        close(&values(&kind, &oriented_png(&wide, 3, 2, Rgb8, Some(orientation))), &expected, 0.0);
    }
    // One that does not exist, and data that are none, turn nothing.
    close(&values(&Image::gray(2), &oriented_png(&[0, 51, 204, 255], 2, 2, L8, Some(9))), &[0.0, 0.2, 0.8, 1.0], 0.0);
}

#[test]
fn transparency_lies_on_the_page_that_is_asked_for() {
    // Red, and half of a mid grey.
    let pixels = [255, 0, 0, 0, 100, 100, 100, 128];
    for bytes in [png(&pixels, 2, 1, Rgba8), tiff::<RGBA8>(&pixels, 2, 1, 1)] {
        let on = |alpha| values(&Image::rgb(1).sized(1, 2).alpha(alpha), &bytes).map_levels();
        assert_eq!(on(Alpha::Drop), [255.0, 100.0, 0.0, 100.0, 0.0, 100.0]);
        // 100 * 128/255 + 255 * 127/255 = 177.2.
        assert_eq!(on(Alpha::White), [255.0, 177.0, 255.0, 177.0, 255.0, 177.0]);
        assert_eq!(on(Alpha::Black), [0.0, 50.0, 0.0, 50.0, 0.0, 50.0]);
        let grey = values(&Image::gray(1).sized(1, 2).alpha(Alpha::White), &bytes).map_levels();
        assert_eq!(grey, [255.0, 177.0]);
    }
    let grey = png(&[100, 128], 1, 1, La8);
    assert_eq!(values(&Image::gray(1).alpha(Alpha::Black), &grey).map_levels(), [50.0]);
}

/// Near infrared beside red, green and blue is no transparency.
#[test]
fn bands_that_are_no_transparency_are_refused_and_not_lost() {
    let pixels = [255, 0, 0, 9, 100, 100, 100, 90];
    for alpha in [AssociatedAlpha, UnassociatedAlpha] {
        let bytes = tiff_of_bands::<RGB8>(&pixels, 2, 1, &[alpha]);
        assert_eq!(values(&Image::rgb(1).sized(1, 2), &bytes).map_levels(), [255.0, 100.0, 0.0, 100.0, 0.0, 100.0]);
        let bytes = tiff_of_bands::<Gray8>(&pixels[..4], 2, 1, &[alpha]);
        assert_eq!(values(&Image::gray(1).sized(1, 2), &bytes).map_levels(), [255.0, 0.0]);
    }
    let refused = |bytes: &[u8], bands: usize| {
        let problem = problem(bytes);
        assert_eq!(problem, ImageError::Bands { bands });
        assert!(problem.to_string().contains(".npy"), "{problem}");
    };
    let of = |extra: &[ExtraSamples]| tiff_of_bands::<RGB8>(&pixels[..3 + extra.len()], 1, 1, extra);
    refused(&of(&[Unspecified]), 4);
    refused(&of(&[UnassociatedAlpha, Unspecified]), 5);
    refused(&tiff_of_bands::<Gray8>(&pixels[..2], 1, 1, &[Unspecified]), 2);
}

trait Levels {
    fn map_levels(self) -> Vec<f32>;
}

impl Levels for Vec<f32> {
    fn map_levels(self) -> Vec<f32> {
        self.into_iter().map(|x| (x * 255.0).round()).collect()
    }
}

/// `Image.new('CMYK', (16, 16), (0, 200, 100, 30)).save('cmyk.jpg', quality=95, subsampling=0)`; Pillow's `convert('RGB')` of it is
/// (225, 49, 137).
#[test]
fn cmyk_jpeg_becomes_rgb() {
    let planes = values(&Image::rgb(16), include_bytes!("cmyk.jpg")).map_levels();
    for (plane, expected) in planes.chunks(256).zip([225.0, 49.0, 137.0]) {
        assert!(plane.iter().all(|x| (x - expected).abs() <= 1.0), "{plane:?}");
    }
}

/// Four colours of a palette, one of them transparent, two bits a pixel.
#[test]
fn palettes_are_resolved() {
    // 4 wide, 1 high, 2 bits, palette; a row is its filter (none) and its bits.
    let bytes = png_of(&[
        (b"IHDR", &[0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 0, 0, 0]),
        (b"PLTE", &[255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30]),
        (b"tRNS", &[255, 255, 255, 0]),
        (b"IDAT", &deflated(&[0, 0b00_01_10_11])),
        (b"IEND", &[]),
    ]);
    let kind = Image::rgb(1).sized(1, 4);
    assert_eq!(values(&kind, &bytes).map_levels(), [255.0, 0.0, 0.0, 10.0, 0.0, 255.0, 0.0, 20.0, 0.0, 0.0, 255.0, 30.0]);
    let white = values(&kind.alpha(Alpha::White), &bytes).map_levels();
    assert_eq!([white[3], white[7], white[11]], [255.0; 3]);
}

#[test]
fn a_jpeg_is_what_it_was_made_of() {
    let pixels: Vec<u8> = (0..64 * 48).flat_map(|i| [(i % 64 * 4) as u8, (i / 64 * 5) as u8, 90]).collect();
    let planes = values(&Image::rgb(1).sized(48, 64), &jpeg(&pixels, 64, 48, Rgb8, None));
    let expected: Vec<f32> = (0..3).flat_map(|c| pixels.iter().skip(c).step_by(3)).map(|&x| f32::from(x) / 255.0).collect();
    close(&planes, &expected, 0.03);
}

fn problem(bytes: &[u8]) -> ImageError {
    let error = Image::rgb(8).decode(bytes, Path::new("photos/a.png")).unwrap_err();
    assert!(error.to_string().starts_with("photos/a.png: "), "{error}");
    let Error::Image { problem, .. } = error else { panic!("{error:?}") };
    problem
}

#[test]
fn what_cannot_be_read_says_why() {
    assert!(matches!(problem(b"\x89PNG\r\n\x1a\n"), ImageError::Damaged { .. }));
    assert!(matches!(problem(&tiff::<Gray32>(&[1, 2], 2, 1, 1)), ImageError::Unsupported { .. }));
    assert!(matches!(problem(&jpeg(&[7; 64], 8, 8, L8, None)[..100]), ImageError::Damaged { .. }));
}

#[test]
fn files_are_told_by_their_beginnings() {
    let cases: [(&[u8], Option<&str>); 8] = [
        (b"", Some("empty (0 bytes)")),
        (b"GIF89a", Some("a GIF image")),
        (b"RIFF\0\0\0\0AVI LIST", Some("an AVI film")),
        ("Grüße".as_bytes(), Some("a text")),
        (&"Grüße".as_bytes()[..3], Some("a text")),
        (b"\x00\x00\x00\x18ftypheic", Some("a HEIC image")),
        (&[0; 9], Some("nothing but zeros at its beginning: perhaps a download that was cut off")),
        (b"\x01\x02\xfe", None),
    ];
    for (bytes, what) in cases {
        assert_eq!(problem(bytes), ImageError::Format { found: what }, "{bytes:?}");
    }
}

/// Headers of 60,000 x 60,000 pixels: nothing is decoded.
#[test]
fn enormous_claims_are_refused() {
    let header =
        png_of(&[(b"IHDR", &[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 16, 2, 0, 0, 0]), (b"IDAT", &deflated(&[0; 1000])), (b"IEND", &[])]);
    let mut jpeg = jpeg(&[7; 64], 8, 8, L8, None);
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    let mut tiff = tiff::<Gray8>(&[7; 64], 8, 8, 1);
    // Width, height, rows of a strip.
    [256, 257, 278].into_iter().for_each(|tag| set_number(&mut tiff, tag, 60_000));
    for bytes in [header, jpeg, tiff] {
        let problem = problem(&bytes);
        let ImageError::TooLarge { width: 60_000, height: 60_000, .. } = problem else { panic!("{problem:?}") };
        let said = problem.to_string();
        assert!(said.contains("60000 x 60000") && said.contains(&format!("{} million", LARGEST_PIXELS / 1_000_000)), "{said}");
    }
}

/// Eight by eight pixels of three bytes. A program that reads files of strangers lowers the bound of its own work only.
#[test]
fn the_lower_bound_on_memory_holds_and_only_for_the_work() {
    let refused = |bytes: &[u8]| match decode(bytes) {
        Ok(_) => None,
        Err(ImageError::TooLarge { most_bytes, .. }) => Some(most_bytes),
        Err(other) => panic!("{other:?}"),
    };
    let pixels = [7; 192];
    for bytes in [png(&pixels, 8, 8, Rgb8), jpeg(&pixels, 8, 8, Rgb8, None), tiff::<RGB8>(&pixels, 8, 8, 1)] {
        assert_eq!(refused(&bytes), None);
        assert_eq!(unpacking_at_most(191, || refused(&bytes)), Some(191));
    }
    let fits = tiff::<RGB8>(&pixels, 8, 8, 1);
    assert!(std::panic::catch_unwind(|| unpacking_at_most(191, || panic!("on purpose"))).is_err());
    assert_eq!(refused(&fits), None);
    assert_eq!(unpacking_at_most(192, || refused(&fits)), None);
    // A bound above the reader's own raises nothing.
    let mut claims = fits;
    [256, 257, 278].into_iter().for_each(|tag| set_number(&mut claims, tag, 60_000));
    assert_eq!(unpacking_at_most(u64::MAX, || refused(&claims)), Some(LARGEST_BYTES));
}

/// Changes the number of a tag; entries of the directory are tag, type, count and value.
fn set_number(tiff: &mut [u8], tag: u16, number: u32) {
    let directory = u32::from_le_bytes(tiff[4..8].try_into().unwrap()) as usize;
    let entry = tiff[directory + 2..].chunks_exact_mut(12).find(|entry| entry[..2] == tag.to_le_bytes()).unwrap();
    // As one of 32 bits, whatever it was.
    entry[2..4].copy_from_slice(&4u16.to_le_bytes());
    entry[8..12].copy_from_slice(&number.to_le_bytes());
}

/// The card that the documentation shows is one.
#[test]
fn the_card_of_the_documentation_is_taken() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/kinds/image.md")).unwrap();
    let card = page.split("```").find_map(|block| block.strip_prefix("text\n")).unwrap();
    let card = FileCard::from_str(card, Path::new("rooms.toml")).unwrap();
    let shapes = card.modalities.iter().map(|modality| {
        let settings = serde_json::to_value(&modality.settings).unwrap();
        SavedKind { kind: modality.kind.clone(), settings }.open().unwrap().unwrap().input().shape
    });
    assert_eq!(shapes.collect::<Vec<_>>(), [[3, 112, 112], [2, 112, 112]]);
}

#[test]
fn settings_are_saved_and_checked() {
    let appearance = AppearanceConfig { brightness: 0.2, erase: 0.5, ..AppearanceConfig::default() };
    let kind = Image::rgb(32).fit(Fit::Pad).padding(0.5).alpha(Alpha::White).normalize(Normalize::Imagenet).appearance(appearance);
    let saved = SavedKind::of(&kind);
    let opened = saved.open().unwrap().unwrap();
    assert_eq!(SavedKind::of(&*opened), saved);
    assert!(opened.augments() && !Image::rgb(32).augments());
    assert!(matches!(opened.standardization(), Standardization::Given { mean, .. } if mean == [0.485, 0.456, 0.406]));
    // As models were saved before there were more settings.
    let before = serde_json::json!({ "channels": "gray", "size": [2, 2] });
    assert_eq!(serde_json::from_value::<Image>(before).unwrap(), Image::gray(2));
    assert_eq!(serde_json::to_value(ImageChannels::Rgb).unwrap(), "rgb");
    let bytes = png(&[0, 51, 204, 255], 2, 2, L8);
    let refused = |kind: Image, field: &str| {
        let error = kind.decode(&bytes, Path::new("a.png")).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
        // From a card or a saved model, before any file is read. (JSON has no NaN.)
        let error = SavedKind::of(&kind).open().err().unwrap().to_string();
        assert!(error.contains(field) || error.contains("null"), "{error}");
    };
    refused(Image::rgb(0), "image.size");
    refused(Image::rgb(100_000), "image.size");
    refused(Image::gray(8).normalize(Normalize::Imagenet), "image.normalize");
    refused(Image::gray(8).normalize(Normalize::Given { mean: vec![0.5], std: vec![0.0] }), "image.normalize");
    refused(Image::gray(8).padding(f32::NAN), "image.padding");
    refused(Image::gray(8).appearance(AppearanceConfig { contrast: 2.0, ..AppearanceConfig::default() }), "appearance.contrast");
}
