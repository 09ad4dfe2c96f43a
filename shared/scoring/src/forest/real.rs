//! The two precisions in which ensembles are evaluated.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul};

/// f32 or f64.
pub(crate) trait Real:
    Copy + Debug + PartialOrd + Add<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Default
{
    const NAN: Self;
    /// The nearest number of this precision.
    fn of(x: f64) -> Self;
    /// As an f64, exactly.
    fn wide(self) -> f64;
    fn is_missing(self) -> bool;
}

impl Real for f32 {
    const NAN: Self = f32::NAN;
    fn of(x: f64) -> Self {
        x as f32
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
    fn is_missing(self) -> bool {
        self.is_nan()
    }
}

impl Real for f64 {
    const NAN: Self = f64::NAN;
    fn of(x: f64) -> Self {
        x
    }
    fn wide(self) -> f64 {
        self
    }
    fn is_missing(self) -> bool {
        self.is_nan()
    }
}
