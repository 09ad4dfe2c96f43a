//! Pictures as they are kept: photographs made small, signatures drawn.
//!
//! A photograph is decoded and written anew, so that nothing of the file it came from is left but what
//! is seen: no place or owner of the camera, no thumbnail, nothing that a reader might trip over.

use crate::error::{DeviceError, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use sha2::{Digest, Sha256};
use std::io::Cursor;
use tiny_skia::{Color, FillRule, LineCap, LineJoin, Paint, PathBuilder, Pixmap, Stroke, Transform};
use vereda_domain::attachment::{Attachment, FileInfo, MAX_FILE_BYTES, MediaType, Position};
use vereda_domain::event::Hash;
use vereda_domain::gateway::{MAX_PICTURE_BYTES, NewAttachment, PAD_HEIGHT};

/// What a photograph should not exceed: half a minute on a network of 100 kbit/s.
const BYTES: usize = 400 * 1024;
const _: () = assert!(BYTES as u64 <= MAX_FILE_BYTES);
/// The longer side, in pixels, and the JPEG quality: tried in turn until it fits. With the first few the
/// small print of an identity document can be read.
const SIZES: [(u32, u8); 5] = [(1600, 82), (1600, 65), (1600, 50), (1200, 50), (800, 50)];
/// While a picture is decoded; a photograph of 50 megapixels takes 150 MB.
const MEMORY: u64 = 256 * 1024 * 1024;

/// The signature's picture, in pixels.
const PAD_WIDTH: u32 = 800;
/// The pen, in pixels of that.
const PEN: f32 = 5.0;
/// The most points of a signature.
const MAX_POINTS: usize = 20_000;

/// What a screen attaches, as it is kept: with its bytes, if it is a file.
///
/// # Errors
/// See [`photograph`] and [`signature`]; [`DeviceError::BadRequest`] for what no receiver tells.
pub(crate) fn read(what: NewAttachment) -> Result<(Attachment, Option<Vec<u8>>)> {
    let file = |picture: Picture, kind: fn(FileInfo) -> Attachment| (kind(picture.info), Some(picture.bytes));
    let decoded = |data: String| {
        BASE64.decode(data).map_err(|_| DeviceError::BadPicture("it did not arrive whole".into()))
    };
    Ok(match what {
        NewAttachment::Document { data } => file(photograph(&decoded(data)?)?, Attachment::Document),
        NewAttachment::Business { data } => file(photograph(&decoded(data)?)?, Attachment::Business),
        NewAttachment::Signature { strokes } => file(signature(&strokes)?, Attachment::Signature),
        NewAttachment::Position { latitude, longitude, accuracy_m } => {
            let place = Position::of_degrees(latitude, longitude, accuracy_m)
                .ok_or(DeviceError::BadRequest("this is no place on Earth"))?;
            (Attachment::Position(place), None)
        }
    })
}

/// A file as it is kept.
pub(crate) struct Picture {
    pub info: FileInfo,
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Picture {
    fn new(bytes: Vec<u8>, media: MediaType, (width, height): (u32, u32)) -> Picture {
        let sha256 = Hash(Sha256::digest(&bytes).into());
        Picture { info: FileInfo { sha256, bytes: bytes.len() as u64, media, width, height }, bytes }
    }
}

/// Makes a photograph small.
///
/// # Errors
/// [`DeviceError::BadPicture`] for what is no JPEG, PNG or WebP, is damaged or is too large.
pub(crate) fn photograph(file: &[u8]) -> Result<Picture> {
    if file.len() > MAX_PICTURE_BYTES {
        return Err(DeviceError::BadPicture("the file is too large".into()));
    }
    let bad = |error: image::ImageError| DeviceError::BadPicture(error.to_string());
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(bad)?;
    let orientation = decoder.orientation().map_err(bad)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(bad)?;
    image.apply_orientation(orientation);
    let mut image = DynamicImage::from(image.into_rgb8());
    for (longest, quality) in SIZES {
        if image.width().max(image.height()) > longest {
            image = image.resize(longest, longest, FilterType::Triangle);
        }
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(&image).map_err(bad)?;
        if bytes.len() <= BYTES {
            return Ok(Picture::new(bytes, MediaType::Jpeg, (image.width(), image.height())));
        }
    }
    Err(DeviceError::BadPicture("it cannot be made small enough".into()))
}

/// Draws a signature: black on white.
///
/// # Errors
/// [`DeviceError::EmptyDrawing`] when nothing was drawn; [`DeviceError::BadRequest`] for what no pad sends.
pub(crate) fn signature(strokes: &[Vec<(f32, f32)>]) -> Result<Picture> {
    let points = || strokes.iter().flatten();
    if points().count() == 0 {
        return Err(DeviceError::EmptyDrawing);
    }
    let on_pad = |(x, y): &(f32, f32)| (0.0..=1.0).contains(x) && (0.0..=PAD_HEIGHT).contains(y);
    if points().count() > MAX_POINTS || !points().all(on_pad) {
        return Err(DeviceError::BadRequest("the drawing has too many points, or some beside the pad"));
    }
    let failed = |what: &str| DeviceError::Internal(format!("a signature cannot be drawn: {what}"));
    let width = PAD_WIDTH as f32;
    let height = (width * PAD_HEIGHT).round() as u32;
    let mut pad = Pixmap::new(PAD_WIDTH, height).ok_or_else(|| failed("no room"))?;
    pad.fill(Color::WHITE);
    let mut ink = Paint::default();
    ink.set_color(Color::BLACK);
    let pen =
        Stroke { width: PEN, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
    for stroke in strokes {
        let Some(((x, y), rest)) = stroke.split_first() else { continue };
        let mut path = PathBuilder::new();
        path.move_to(x * width, y * width);
        rest.iter().for_each(|(x, y)| path.line_to(x * width, y * width));
        // What goes nowhere is a dot, which no pen draws.
        let path = path.finish().filter(|_| rest.iter().any(|point| point != &(*x, *y)));
        match path {
            Some(path) => pad.stroke_path(&path, &ink, &pen, Transform::identity(), None),
            None => {
                let dot = PathBuilder::from_circle(x * width, y * width, PEN / 2.0)
                    .ok_or_else(|| failed("a dot"))?;
                pad.fill_path(&dot, &ink, FillRule::Winding, Transform::identity(), None);
            }
        }
    }
    let bytes = pad.encode_png().map_err(|error| failed(&error.to_string()))?;
    Ok(Picture::new(bytes, MediaType::Png, (PAD_WIDTH, height)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Rgb, RgbImage};

    /// A page with lines as fine as print, and noise, which is what makes photographs large.
    fn page(width: u32, height: u32) -> RgbImage {
        let mut state = 7u32;
        RgbImage::from_fn(width, height, |x, y| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let ink = if (x / 60 + y / 90) % 2 == 0 { 40 } else { 215 };
            Rgb([ink, ink, (ink as u32 + (state >> 30)) as u8])
        })
    }

    fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn photographs_are_made_small_and_keep_their_shape() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let file = encoded(&page(3000, 2000), format);
            let picture = photograph(&file).unwrap();
            assert_eq!((picture.info.width, picture.info.height), (1600, 1067), "{format:?}");
            assert!(picture.bytes.len() <= BYTES, "{format:?}: {}", picture.bytes.len());
            assert_eq!(picture.info.sha256, Hash::of(&picture.bytes));
            let again = image::load_from_memory(&picture.bytes).unwrap();
            assert_eq!((again.width(), again.height()), (1600, 1067));
        }
        // What is small stays as it is.
        let small = photograph(&encoded(&page(300, 200), ImageFormat::Png)).unwrap();
        assert_eq!((small.info.width, small.info.height), (300, 200));
    }

    #[test]
    fn a_photograph_stands_upright_and_says_nothing_of_the_camera() {
        // EXIF as a phone held upright writes it: orientation 6, and a maker's name.
        let jpeg = encoded(&page(400, 200), ImageFormat::Jpeg);
        let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x02".to_vec();
        exif.extend(b"\x01\x0f\0\x02\0\0\0\x07\0\0\0\x26");
        exif.extend(b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0");
        exif.extend(b"\0\0\0\0SECRET\0");
        let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        let file = [&jpeg[..2], b"\xff\xe1", &length, &exif, &jpeg[2..]].concat();
        assert!(file.windows(6).any(|w| w == b"SECRET"));
        let picture = photograph(&file).unwrap();
        assert_eq!((picture.info.width, picture.info.height), (200, 400));
        assert!(!picture.bytes.windows(6).any(|w| w == b"SECRET" || w == b"Exif\0\0"));
    }

    #[test]
    fn what_is_no_picture_is_refused_and_takes_no_memory() {
        // A PNG that claims 60,000 x 60,000 pixels in a few bytes.
        let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bomb.extend(60_000u32.to_be_bytes());
        bomb.extend(60_000u32.to_be_bytes());
        bomb.extend(b"\x08\x02\0\0\0");
        for file in [&b""[..], b"%PDF-1.7", b"<svg/>", &b"\xff\xd8\xff\xe0\0\x10JFIF"[..], &bomb] {
            let refused = photograph(file);
            assert!(matches!(refused, Err(DeviceError::BadPicture(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_signature_is_drawn_where_the_finger_was() {
        let picture = signature(&[vec![(0.1, 0.2), (0.9, 0.2)], vec![(0.5, 0.1)]]).unwrap();
        assert_eq!((picture.info.width, picture.info.height), (800, 320));
        let drawn = image::load_from_memory(&picture.bytes).unwrap().into_luma8();
        let ink = |x, y| drawn.get_pixel(x, y).0[0] < 50;
        assert!(ink(80, 160) && ink(400, 160) && ink(719, 160), "the line");
        assert!(ink(400, 80) && !ink(400, 120) && !ink(20, 20), "the dot, and nothing else");
    }

    #[test]
    fn what_is_no_drawing_is_refused() {
        assert!(matches!(signature(&[]), Err(DeviceError::EmptyDrawing)));
        assert!(matches!(signature(&[vec![]]), Err(DeviceError::EmptyDrawing)));
        for (x, y) in [(f32::NAN, 0.1), (1.1, 0.1), (0.1, 0.5), (-0.1, 0.1)] {
            assert!(matches!(signature(&[vec![(x, y)]]), Err(DeviceError::BadRequest(_))));
        }
        assert!(matches!(signature(&[vec![(0.1, 0.1); MAX_POINTS + 1]]), Err(DeviceError::BadRequest(_))));
    }
}
