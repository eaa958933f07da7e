//! Decimals are exact, written in one way, and never were a float.
#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;

use proptest::prelude::*;
use tidings_trading::decimal::{Dec, NotDecimal, Rounding};

fn dec(text: &str) -> Dec {
    text.parse().unwrap()
}

/// A product as it is computed on paper, in digits of 32 bits, the highest first.
fn on_paper(left: u128, right: u128) -> [u32; 8] {
    let digit = |number: u128, at: usize| u128::from((number >> (32 * at)) as u32);
    let (mut digits, mut carry) = ([0; 8], 0_u128);
    for at in 0..8 {
        let pairs = (0..=at).filter(|low| *low < 4 && at - low < 4);
        let sum: u128 = carry + pairs.map(|low| digit(left, low) * digit(right, at - low)).sum::<u128>();
        (digits[7 - at], carry) = (sum as u32, sum >> 32);
    }
    digits
}

/// A number of any size, up to so many bits.
fn of_bits(most: u32) -> impl Strategy<Value = u128> {
    (1..=most, any::<u128>()).prop_map(|(bits, number)| number >> (u128::BITS - bits))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Also of numbers whose product does not fit in 128 bits.
    #[test]
    fn a_share_of_what_is_large_is_rounded_once(
        number in of_bits(126),
        (part, whole) in (of_bits(126), of_bits(126)).prop_map(|(one, other)| (one.min(other), one.max(other).max(1))),
    ) {
        let dec = |number: u128| Dec::units(number.cast_signed());
        let size = |share: Dec| share.as_units().unsigned_abs();
        let share = |rounding| size(dec(number).share(dec(part), dec(whole), rounding));
        let (down, near, up) = (share(Rounding::Down), share(Rounding::Nearest), share(Rounding::Up));
        let exact = on_paper(number, part);
        prop_assert!(on_paper(down, whole) <= exact && exact < on_paper(down + 1, whole));
        prop_assert_eq!(up, down + u128::from(on_paper(down, whole) < exact));
        // Between both is the half: twice as much is compared with both together.
        let goes_up = match on_paper(2 * number, part).cmp(&on_paper(2 * down + 1, whole)) {
            Ordering::Less => false,
            Ordering::Equal => down % 2 == 1,
            Ordering::Greater => true,
        };
        prop_assert_eq!(near, down + u128::from(goes_up));
        // Below nothing the same is the other way round.
        for (number, part, whole) in [(-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, -1)].map(|signs: (i128, i128, i128)| {
            let signed = |number: u128, sign: i128| Dec::units(number.cast_signed() * sign);
            (signed(number, signs.0), signed(part, signs.1), signed(whole, signs.2))
        }) {
            let share = |rounding| number.share(part, whole, rounding).as_units();
            prop_assert_eq!(share(Rounding::Down), -up.cast_signed());
            prop_assert_eq!(share(Rounding::Up), -down.cast_signed());
            prop_assert_eq!(share(Rounding::Nearest), -near.cast_signed());
        }
    }
}

proptest! {
    #[test]
    fn a_decimal_is_read_as_it_is_written(units in -10_i128.pow(20)..10_i128.pow(20)) {
        let number = Dec::units(units);
        prop_assert_eq!(number.to_string().parse::<Dec>().unwrap(), number);
        let json = serde_json::to_string(&number).unwrap();
        prop_assert_eq!(&json, &format!("\"{number}\""));
        prop_assert_eq!(serde_json::from_str::<Dec>(&json).unwrap(), number);
    }

    #[test]
    fn the_digits_of_a_decimal_are_those_it_is_written_with(units in any::<i64>(), zeros in 0..9_u32) {
        let number = Dec::units(i128::from(units) * 10_i128.pow(zeros) % 10_i128.pow(20));
        let written = number.to_string();
        let behind = written.split_once('.').map_or(0, |(_, digits)| digits.len() as u32);
        prop_assert_eq!(number.digits(), behind);
    }

    #[test]
    fn a_share_is_rounded_once_and_never_by_a_whole_step(
        (number, part) in (-10_i128.pow(19)..10_i128.pow(19), 0..10_i128.pow(17)),
        whole in 1..10_i128.pow(17),
    ) {
        let (exact, by) = (number * part, whole);
        let share = |rounding| Dec::units(number).share(Dec::units(part), Dec::units(whole), rounding).as_units();
        let (down, near, up) = (share(Rounding::Down), share(Rounding::Nearest), share(Rounding::Up));
        prop_assert!(down * by <= exact && exact < (down + 1) * by);
        prop_assert!((up - 1) * by < exact && exact <= up * by);
        let (below, above) = (exact - down * by, (down + 1) * by - exact);
        let expected = if below < above || below == above && down % 2 == 0 { down } else { down + 1 };
        prop_assert_eq!(near, expected);
    }

    #[test]
    fn a_product_is_exact_or_is_none(left in any::<i64>(), right in any::<i32>()) {
        let exact = i128::from(left) * i128::from(right);
        let product = Dec::units(left.into()).exactly(Dec::units(right.into()));
        let expected = (exact % 100_000_000 == 0).then(|| Dec::units(exact / 100_000_000));
        prop_assert_eq!(product, expected);
    }

    #[test]
    fn whole_steps_are_found(units in -1_000_000_i128..1_000_000, step in 1..5_000_i128) {
        let (number, step) = (Dec::units(units), Dec::units(step));
        let floor = number.floor_to(step);
        prop_assert!(floor.is_multiple_of(step) && floor <= number && number - floor < step);
        prop_assert_eq!(number.is_multiple_of(step), floor == number);
    }
}

#[test]
fn a_decimal_is_written_in_one_way() {
    for (text, written) in
        [("1.50", "1.5"), ("0.00000001", "0.00000001"), ("-0", "0"), ("12", "12"), ("-3.10", "-3.1")]
    {
        assert_eq!(dec(text).to_string(), written);
    }
}

#[test]
fn what_is_no_decimal_is_refused_by_its_fault() {
    for text in [
        "", "-", ".", "1.", ".5", "+1", "1e3", "0x1", " 1", "1 ", "1,5", "007", "--1", "NaN", "١", "1.-5",
        "1.2.3",
    ] {
        assert_eq!(text.parse::<Dec>(), Err(NotDecimal::Form), "{text}");
    }
    assert_eq!("0.123456789".parse::<Dec>(), Err(NotDecimal::TooFine));
    assert_eq!("12345678901234".parse::<Dec>(), Err(NotDecimal::TooLarge));
}

#[test]
fn a_number_of_json_is_refused_since_it_may_have_been_a_float() {
    for json in ["1", "1.5", "null", "true", "[\"1\"]"] {
        assert!(serde_json::from_str::<Dec>(json).is_err(), "{json}");
    }
    let error = serde_json::from_str::<Dec>("1.5").unwrap_err().to_string();
    assert!(error.contains("a decimal as a string"), "{error}");
}

#[test]
fn what_is_too_large_for_a_decimal_is_as_large_as_one_can_be() {
    let (most, tiny) = (Dec::units(i128::MAX), Dec::units(1));
    for rounding in [Rounding::Down, Rounding::Nearest, Rounding::Up] {
        assert_eq!(most.share(most, tiny, rounding), most);
        assert_eq!(most.share(most, -tiny, rounding), Dec::units(i128::MIN));
        assert_eq!(most.share(most, most, rounding), most);
        assert_eq!(most.share(most, Dec::ZERO, rounding), Dec::ZERO);
    }
}

#[test]
fn nothing_is_shared_by_nothing() {
    assert_eq!(dec("5").share(dec("1"), Dec::ZERO, Rounding::Up), Dec::ZERO);
    assert_eq!(Dec::average(7, 0, Rounding::Nearest), Dec::ZERO);
    assert!(!dec("5").is_multiple_of(Dec::ZERO));
}

#[test]
fn a_sum_beyond_every_bound_stays_at_the_end() {
    let most = Dec::units(i128::MAX);
    assert_eq!(most + Dec::ONE, most);
    assert_eq!([most, most].into_iter().sum::<Dec>(), most);
}
