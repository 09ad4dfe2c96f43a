//! What is kept of a client besides words: pictures, a signature, where they live.
//!
//! The event that attaches a picture names it by the SHA-256 of its bytes and so vouches for them. The
//! bytes themselves travel apart, after that event, in pieces: they are a hundred times larger.

use crate::event::Hash;
use serde::{Deserialize, Serialize};

/// The largest file, in bytes. A device makes its pictures far smaller: see `vereda_device`'s `picture`.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The most bytes that one piece of a file has: what is on its way when a slow network (50 kbit/s)
/// breaks down is ten seconds of it.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// The most attachments that one client has.
pub const MAX_ATTACHMENTS: usize = 50;

/// One attachment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Attachment {
    /// A photograph of the identity document.
    Document(FileInfo),
    /// A photograph of the business.
    Business(FileInfo),
    /// A signature, drawn with a finger.
    Signature(FileInfo),
    /// Where the client was met.
    Position(Position),
}

/// A file, named by what is in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileInfo {
    /// Of all its bytes.
    pub sha256: Hash,
    /// How many those are.
    pub bytes: u64,
    /// What they are.
    pub media: MediaType,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum MediaType {
    /// A photograph.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// A drawing.
    #[serde(rename = "image/png")]
    Png,
}

impl MediaType {
    /// Its name in `Content-Type`.
    pub fn as_str(self) -> &'static str {
        match self {
            MediaType::Jpeg => "image/jpeg",
            MediaType::Png => "image/png",
        }
    }
}

/// A fix of the satellite receiver, WGS 84.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Position {
    /// North of the equator, in units of 1e-7 degrees (about 1 cm).
    pub latitude_e7: i32,
    /// East of Greenwich, in units of 1e-7 degrees.
    pub longitude_e7: i32,
    /// The radius in which the true place lies with 68 % confidence, in metres, rounded up.
    pub accuracy_m: u32,
}

impl Position {
    /// From degrees and metres, as receivers tell them; `None` for what is no place on Earth.
    pub fn of_degrees(latitude: f64, longitude: f64, accuracy_m: f64) -> Option<Position> {
        let fits = (-90.0..=90.0).contains(&latitude)
            && (-180.0..=180.0).contains(&longitude)
            && (0.0..=f64::from(u32::MAX)).contains(&accuracy_m);
        // In range, so that no cast is cut off.
        fits.then(|| Position {
            latitude_e7: (latitude * 1e7).round() as i32,
            longitude_e7: (longitude * 1e7).round() as i32,
            accuracy_m: accuracy_m.ceil() as u32,
        })
    }

    /// In degrees north.
    pub fn latitude(&self) -> f64 {
        f64::from(self.latitude_e7) / 1e7
    }

    /// In degrees east.
    pub fn longitude(&self) -> f64 {
        f64::from(self.longitude_e7) / 1e7
    }
}

impl Attachment {
    /// The file it names, if it is one.
    pub fn file(&self) -> Option<&FileInfo> {
        match self {
            Attachment::Document(file) | Attachment::Business(file) | Attachment::Signature(file) => {
                Some(file)
            }
            Attachment::Position(_) => None,
        }
    }

    /// Its kind, as in JSON and in the catalogues.
    pub fn kind(&self) -> &'static str {
        match self {
            Attachment::Document(_) => "document",
            Attachment::Business(_) => "business",
            Attachment::Signature(_) => "signature",
            Attachment::Position(_) => "position",
        }
    }

    /// Whether it can be one.
    ///
    /// # Errors
    /// Names what cannot be.
    pub fn check(&self) -> Result<(), &'static str> {
        match self {
            Attachment::Position(place) => {
                if place.latitude_e7.unsigned_abs() > 900_000_000 {
                    return Err("latitude_e7 is beyond a pole");
                }
                if place.longitude_e7.unsigned_abs() > 1_800_000_000 {
                    return Err("longitude_e7 is beyond 180 degrees");
                }
                Ok(())
            }
            Attachment::Document(file) | Attachment::Business(file) | Attachment::Signature(file) => {
                if file.bytes == 0 || file.bytes > MAX_FILE_BYTES {
                    return Err("bytes is zero or too large");
                }
                if file.width == 0 || file.height == 0 {
                    return Err("width or height is zero");
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_to_the_centimetre_and_only_on_earth() {
        let place = Position::of_degrees(4.609_710_3, -74.081_754_1, 7.2).unwrap();
        assert_eq!(place, Position { latitude_e7: 46_097_103, longitude_e7: -740_817_541, accuracy_m: 8 });
        assert_eq!((place.latitude(), place.longitude()), (4.609_710_3, -74.081_754_1));
        for (latitude, longitude, accuracy) in [
            (90.1, 0.0, 1.0),
            (0.0, -180.1, 1.0),
            (0.0, 0.0, -1.0),
            (f64::NAN, 0.0, 1.0),
            (0.0, 0.0, f64::INFINITY),
        ] {
            assert_eq!(Position::of_degrees(latitude, longitude, accuracy), None);
        }
        for place in [Position::of_degrees(-90.0, 180.0, 0.0), Position::of_degrees(90.0, -180.0, 5e4)] {
            assert_eq!(Attachment::Position(place.unwrap()).check(), Ok(()));
        }
    }

    #[test]
    fn an_attachment_reads_as_it_was_written() {
        let file =
            FileInfo { sha256: Hash::of(b"bytes"), bytes: 5, media: MediaType::Jpeg, width: 3, height: 4 };
        for attachment in [
            Attachment::Document(file.clone()),
            Attachment::Position(Position { latitude_e7: -1, longitude_e7: 2, accuracy_m: 3 }),
        ] {
            let text = serde_json::to_string(&attachment).unwrap();
            assert!(text.contains(&format!(r#""kind":"{}""#, attachment.kind())), "{text}");
            assert_eq!(serde_json::from_str::<Attachment>(&text).unwrap(), attachment);
        }
        assert!(Attachment::Business(FileInfo { bytes: MAX_FILE_BYTES + 1, ..file }).check().is_err());
    }
}
