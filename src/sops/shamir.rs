//! Shamir's secret sharing over GF(2^8), with shares in the format of HashiCorp's Vault: the values, then the x
//! coordinate.

use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::secret::Secret;

/// Splits a secret into shares, of which `threshold` restore it; `None` unless 2 ≤ threshold ≤ count ≤ 255.
pub fn split(secret: &[u8], count: usize, threshold: usize, rng: &mut impl CryptoRng) -> Option<Vec<Secret<Vec<u8>>>> {
    let fits = threshold >= 2 && threshold <= count && count <= 255 && !secret.is_empty();
    fits.then_some(())?;
    let mut shares = vec![Vec::with_capacity(secret.len() + 1); count];
    let mut coefficients = vec![0; threshold];
    for byte in secret {
        rng.fill_bytes(&mut coefficients);
        coefficients[0] = *byte;
        for (share, x) in shares.iter_mut().zip(1..=u8::MAX) {
            share.push(coefficients.iter().rev().fold(0, |y, coefficient| multiply(y, x) ^ coefficient));
        }
    }
    coefficients.zeroize();
    for (share, x) in shares.iter_mut().zip(1..=u8::MAX) {
        share.push(x);
    }
    Some(shares.into_iter().map(Secret::new).collect())
}

/// Combines shares to their secret; `None` if they do not belong together.
pub fn combine(shares: &[Secret<Vec<u8>>]) -> Option<Secret<Vec<u8>>> {
    let length = shares.first()?.expose().len();
    let mut places: Vec<u8> = Vec::new();
    for share in shares {
        let place = *share.expose().last()?;
        let fits = share.expose().len() == length && length >= 2 && place != 0 && !places.contains(&place);
        fits.then(|| places.push(place))?;
    }
    (shares.len() >= 2).then_some(())?;
    // Lagrange's interpolation at 0.
    let weight = |i: usize| {
        let others = (0..places.len()).filter(|j| *j != i);
        others.fold(1, |weight, j| multiply(weight, multiply(places[j], inverse(places[i] ^ places[j]))))
    };
    let weights: Vec<u8> = (0..places.len()).map(weight).collect();
    let byte = |at: usize| {
        let terms = shares.iter().zip(&weights).map(|(share, weight)| multiply(share.expose()[at], *weight));
        terms.fold(0, |sum, term| sum ^ term)
    };
    Some(Secret::new((0..length - 1).map(byte).collect()))
}

/// Multiplies in Rijndael's field, in constant time.
fn multiply(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0u8, |product, bit| {
        let reduce = (product >> 7).wrapping_neg() & 0x1b;
        let add = (b >> bit & 1).wrapping_neg() & a;
        (product << 1) ^ reduce ^ add
    })
}

/// Returns the 254th power, which is the inverse of everything except 0.
fn inverse(a: u8) -> u8 {
    (0..253).fold(a, |power, _| multiply(power, a))
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    use super::*;

    #[test]
    fn enough_shares_give_the_secret_back() {
        let secret: Vec<u8> = (0..32).collect();
        let shares = split(&secret, 5, 3, &mut UnwrapErr(SysRng)).expect("shares");
        for chosen in [[0, 1, 2], [4, 2, 0], [1, 3, 4]] {
            let some: Vec<_> = chosen.iter().map(|at| shares[*at].clone()).collect();
            assert_eq!(combine(&some).expect("a secret").expose(), &secret);
        }
        assert_ne!(combine(&shares[..2]).expect("something").expose(), &secret);
        assert_eq!(combine(&shares).expect("a secret").expose(), &secret);
    }

    #[test]
    fn invalid_shares_are_refused() {
        let rng = &mut UnwrapErr(SysRng);
        assert!(
            split(b"x", 2, 3, rng).is_none() && split(b"x", 3, 1, rng).is_none() && split(b"", 2, 2, rng).is_none()
        );
        let shares = split(b"x", 2, 2, rng).expect("shares");
        assert!(combine(&shares[..1]).is_none());
        assert!(combine(&[shares[0].clone(), shares[0].clone()]).is_none());
        assert_eq!(multiply(0x53, 0xca), 1);
        assert_eq!(inverse(0x53), 0xca);
    }
}
