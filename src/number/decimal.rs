//! Decimal digits into doubles: what reading JSON spends most of its time on.
//!
//! Digits are read eight at a time. A double comes from one exact operation where it can, else from
//! one multiplication by a 128-bit power of five, after Eisel and Lemire ("Number parsing at a
//! gigabyte per second", Software: Practice and Experience, 2021), for the exponents that numbers
//! of full precision have. All others are left to the standard library.

/// Powers of ten that a double holds exactly. The tables are statics: a constant is copied to the
/// stack to be indexed.
static EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// The same as integers, below 10^8.
static POWERS: [u64; 8] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000];
/// The largest negative exponent whose power of five fits 64 bits.
const INVERSE_MAX: usize = 27;
/// For each power of five up to that one, its reciprocal as 128 bits with the highest one set,
/// rounded up.
static INVERSES: [u128; INVERSE_MAX + 1] = inverses();

/// Digits of up to so many bits are divided as doubles. Three more would fit, but then about half
/// of the numbers of full precision would go either way, which no processor foresees.
const SHORT_BITS: u32 = 50;

/// Bits of a double's fraction.
const FRACTION_BITS: u32 = 52;
/// The bias of a double's exponent.
const BIAS: i32 = 1023;

const fn inverses() -> [u128; INVERSE_MAX + 1] {
    let mut inverses = [0; INVERSE_MAX + 1];
    let mut power: u128 = 1;
    let mut i = 0;
    while i <= INVERSE_MAX {
        // 2^(bits + 127) / power + 1, by long division, where 2^bits is the next power of two.
        let bits = power.next_power_of_two().trailing_zeros();
        let mut quotient = (1 << 127) / power;
        let mut rest = (1 << 127) % power;
        let mut bit = 0;
        while bit < bits {
            rest *= 2;
            quotient = quotient * 2 + (rest >= power) as u128;
            rest %= power;
            bit += 1;
        }
        inverses[i] = quotient + (rest > 0) as u128;
        power *= 5;
        i += 1;
    }
    inverses
}

/// Takes the digits that `text` begins with and appends them to `value`, which wraps beyond 19
/// digits. Returns it with the rest of the text.
#[inline]
pub fn take_digits(mut value: u64, mut text: &[u8]) -> (u64, &[u8]) {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const HIGHEST: u64 = 0x8080_8080_8080_8080;
    while let Some((chunk, rest)) = text.split_first_chunk::<8>() {
        // The first digit is in the lowest byte. A byte that is no digit sets its highest bit (the
        // carry may set later ones as well).
        let digits = u64::from_le_bytes(*chunk) ^ ZEROS;
        let others = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & HIGHEST;
        if others != 0 {
            // The last ones, and all of most numbers. How many is hard to foresee, so it decides
            // no branch: zeros in front of them make eight.
            let count = others.trailing_zeros() as usize / 8;
            let last = eight_digits(digits.unbounded_shl(64 - 8 * count as u32));
            return (value.wrapping_mul(POWERS[count]).wrapping_add(last), &text[count..]);
        }
        value = value.wrapping_mul(100_000_000).wrapping_add(eight_digits(digits));
        text = rest;
    }
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        text = rest;
    }
    (value, text)
}

/// Eight digits, the first in the lowest byte: pairs, then fours, then all.
#[inline]
const fn eight_digits(digits: u64) -> u64 {
    const BYTES: u64 = 0x0000_00ff_0000_00ff;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let high = (pairs & BYTES).wrapping_mul(0x000f_4240_0000_0064);
    let low = (pairs >> 16 & BYTES).wrapping_mul(0x0000_2710_0000_0001);
    high.wrapping_add(low) >> 32
}

/// `digits * 10^exponent`, correctly rounded; `None` where that takes more than this module knows.
#[inline]
pub fn to_f64(digits: u64, exponent: i32) -> Option<f64> {
    let power = exponent.unsigned_abs() as usize;
    if digits >> SHORT_BITS == 0 && power < EXACT_POWERS.len() {
        // Both are exact doubles, so one operation rounds correctly.
        let digits = digits as f64;
        let power = EXACT_POWERS[power];
        return Some(if exponent < 0 { digits / power } else { digits * power });
    }
    if exponent >= 0 || power > INVERSE_MAX || digits == 0 {
        return None;
    }
    Some(divided(digits, power))
}

/// `digits / 10^power` for digits other than zero and a power of 1 to [`INVERSE_MAX`].
fn divided(digits: u64, power: usize) -> f64 {
    /// Bits of a product that a double leaves out: the guard bit and the highest, which may be 0.
    const GUARD: u32 = 3;
    let inverse = INVERSES[power];
    let leading = digits.leading_zeros();
    let digits = digits << leading;
    let product = u128::from(digits) * (inverse >> 64);
    let (mut high, mut low) = ((product >> 64) as u64, product as u64);
    // The inverse's lower half matters only where all bits that are cut off are ones.
    let cut = u64::MAX >> (FRACTION_BITS + GUARD);
    if high & cut == cut {
        let (sum, carry) = low.overflowing_add(
            ((u128::from(digits) * (inverse & u128::from(u64::MAX))) >> 64) as u64,
        );
        low = sum;
        high += u64::from(carry);
    }
    let highest = (high >> 63) as u32;
    let shift = highest + 64 - FRACTION_BITS - GUARD;
    let mut fraction = high >> shift;
    // Halfway between two doubles, exactly: only quotients by small powers can be.
    if low <= 1 && power <= 4 && fraction & 3 == 1 && fraction << shift == high {
        fraction &= !1;
    }
    fraction = (fraction + (fraction & 1)) >> 1;
    let power = power as i32;
    // 5^-power is at least 2^-(bits of 5^power); together with 2^-power that is the exponent.
    let mut exponent = ((-power * 217_706) >> 16) + 63 + highest as i32 - leading as i32 + BIAS;
    if fraction >> (FRACTION_BITS + 1) != 0 {
        fraction = 1 << FRACTION_BITS;
        exponent += 1;
    }
    let fraction = fraction & ((1 << FRACTION_BITS) - 1);
    f64::from_bits((exponent as u64) << FRACTION_BITS | fraction)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn std(digits: u64, exponent: i32) -> f64 {
        format!("{digits}e{exponent}").parse().unwrap()
    }

    #[test]
    fn powers_have_their_known_reciprocals() {
        // 2^130 / 5 and 2^132 / 25, rounded up.
        assert_eq!(INVERSES[1], 0xcccc_cccc_cccc_cccc_cccc_cccc_cccc_cccd);
        assert_eq!(INVERSES[2], 0xa3d7_0a3d_70a3_d70a_3d70_a3d7_0a3d_70a4);
    }

    #[test]
    fn digits_end_where_they_end() {
        for text in ["", "x", "1", "12,", "1234567", "12345678", "123456789.5", "1234567:"] {
            let count = text.bytes().take_while(u8::is_ascii_digit).count();
            for padding in ["", "]}        ", "99"] {
                let padded = format!("{text}x{padding}");
                let (value, rest) = take_digits(0, padded.as_bytes());
                assert_eq!(value, text[..count].parse().unwrap_or(0), "{padded}");
                assert_eq!(rest.len(), padded.len() - count, "{padded}");
            }
        }
    }

    #[test]
    fn halfway_cases_round_to_even() {
        for digits in [(1_u64 << 53) + 1, (1 << 53) + 3, (1 << 54) + 2, (1 << 54) + 6] {
            for power in 1..=4 {
                let Some(scaled) = digits.checked_mul(10_u64.pow(power)) else { continue };
                for near in [scaled - 1, scaled, scaled + 1] {
                    let exponent = -(power as i32);
                    let got = to_f64(near, exponent).map(f64::to_bits);
                    assert_eq!(got, Some(std(near, exponent).to_bits()), "{near}e{exponent}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50_000))]

        #[test]
        fn doubles_are_the_standard_librarys(digits: u64, bits in 0..64_u32, exponent in -40..40) {
            let digits = digits >> bits;
            if let Some(got) = to_f64(digits, exponent) {
                prop_assert_eq!(got.to_bits(), std(digits, exponent).to_bits());
            } else {
                prop_assert!(!(-27..0).contains(&exponent) || digits == 0);
            }
        }

        #[test]
        fn near_the_middle_of_two_doubles_too(bits: u64, power in 1..19_u32, off in -2..=2_i64) {
            // The digits of a point halfway between two doubles, as far as 64 bits hold them.
            let low = f64::from_bits(0x3ff0_0000_0000_0000 | bits >> 12);
            let high = f64::from_bits(low.to_bits() + 1);
            let scale = 10_u64.pow(power) as f64;
            let middle = low * scale / 2.0 + high * scale / 2.0;
            let digits = (middle as u64).saturating_add_signed(off);
            let exponent = -(power as i32);
            let got = to_f64(digits, exponent).unwrap();
            prop_assert_eq!(got.to_bits(), std(digits, exponent).to_bits());
        }

        #[test]
        fn bytes_are_digits_or_not(bytes: [u8; 12], from in 0..12_usize) {
            let mut bytes = bytes;
            bytes[..from].iter_mut().for_each(|byte| *byte = b'0' + *byte % 10);
            let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (value, rest) = take_digits(0, &bytes);
            prop_assert_eq!(rest.len(), bytes.len() - count);
            let want = bytes[..count].iter().fold(0, |v, byte| v * 10 + u64::from(byte - b'0'));
            prop_assert_eq!(value, want);
        }
    }
}
