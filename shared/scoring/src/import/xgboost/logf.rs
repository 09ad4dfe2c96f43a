//! The natural logarithm as XGBoost's own platform computes it.
//!
//! XGBoost turns `base_score` into a margin with the C library's `logf`. The logarithm rounded
//! correctly differs from glibc's for one f32 in five thousand, by one unit, and so would every
//! margin of such a model. This is the algorithm of glibc 2.27 and later (from Arm's optimized
//! routines, MIT): equal to it for all 2,139,095,039 positive f32, with and without fused
//! multiply-add.

/// 1/c and ln c for c near the middle of sixteen intervals.
const TABLE: [(f64, f64); 16] = [
    (1.398907162146528, -0.33569133332882284),
    (1.3403141896637998, -0.2929040563774074),
    (1.286432210124115, -0.2518726580937369),
    (1.2367150214269895, -0.21245868807117255),
    (1.1906977166711752, -0.17453945183745634),
    (1.1479821020556429, -0.1380057072319758),
    (1.1082251448272158, -0.10275976698545139),
    (1.0711297413057381, -0.06871392447020525),
    (1.036437278977283, -0.0357891387398228),
    (1.0, 0.0),
    (0.9492859795739057, 0.05204517742929496),
    (0.8951049428609004, 0.11081431298787942),
    (0.8476821620351103, 0.1652495223695143),
    (0.8050314851692001, 0.21687389031699977),
    (0.7664671008843108, 0.2659635028121397),
    (0.731428603316328, 0.3127556664073557),
];
/// Coefficients of ln(1 + r) - r, highest power first.
const POLYNOMIAL: [f64; 3] = [-0.25089342214237154, 0.333456765744066, -0.4999997485802103];

/// ln x in f32 for a positive, finite x; the C library's answer for others is not needed here, so
/// it is NaN.
pub(super) fn logf(x: f32) -> f32 {
    if !(x > 0.0 && x.is_finite()) {
        return f32::NAN;
    }
    if x == 1.0 {
        return 0.0;
    }
    let mut bits = x.to_bits();
    if x < f32::MIN_POSITIVE {
        bits = (x * 8_388_608.0).to_bits().wrapping_sub(23 << 23);
    }
    // x = 2^k z, with z in an interval around 1 that the table divides.
    let offset = bits.wrapping_sub(0x3f33_0000);
    let k = offset as i32 >> 23;
    let z = f64::from(f32::from_bits(bits.wrapping_sub(offset & 0xff80_0000)));
    let [a, b, c] = POLYNOMIAL;
    let Some(&(inverse, log)) = TABLE.get((offset >> 19) as usize % TABLE.len()) else { return f32::NAN };
    let r = z * inverse - 1.0;
    let whole = log + f64::from(k) * std::f64::consts::LN_2;
    let square = r * r;
    ((a * square + (b * r + c)) * square + (whole + r)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits that glibc 2.36 gave; the first three are not the correctly rounded logarithms.
    #[test]
    fn equals_glibc() {
        for (x, expected) in [
            (0x3f004e10, 0xbf30d627),
            (0x3f005bac, 0xbf30bb01),
            (0x3f008460, 0xbf3069e0),
            (0x00000001, 0xc2ce8ed0),
            (0x00400000, 0xc2b00f34),
            (0x00800000, 0xc2aeac50),
            (0x3dcccccd, 0xc0135d8e),
            (0x3f7fffff, 0xb3800000),
            (0x3f800001, 0x33ffffff),
            (0x40000000, 0x3f317218),
            (0x4059f2e6, 0x3f9cd929),
            (0x7f7fffff, 0x42b17218),
        ] {
            assert_eq!(logf(f32::from_bits(x)).to_bits(), expected, "{x:08x}");
        }
        assert_eq!(logf(1.0), 0.0);
        assert!(logf(0.0).is_nan() && logf(-1.0).is_nan() && logf(f32::INFINITY).is_nan());
    }
}
