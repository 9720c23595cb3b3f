//! Numbers at the ends of their types, and what rounding must not lose.

use super::*;

#[test]
fn numbers_that_overflow_show_only_in_the_reply() {
    let mut sum = Sum::<u64>::of(u64::MAX);
    sum.combine(Sum::of(1u64));
    assert_eq!(sum.reply(&Question::default()).unwrap_err().kind(), ErrorKind::Overflow);
    let mut sum = Sum::<i64>::of(i64::MAX);
    sum.combine(Sum::of(1i64));
    assert_eq!(sum.reply(&Question::default()).unwrap_err().kind(), ErrorKind::Overflow);
    // And is taken back, as nothing was lost.
    sum.combine(Sum::of(-2i64));
    assert_eq!(sum.reply(&Question::default()).unwrap(), i64::MAX - 1);

    let mut sum = Sum::<f64>::of(f64::MAX);
    sum.combine(Sum::of(f64::MAX));
    sum.combine(Sum::of(-f64::MAX));
    assert_eq!(sum.reply(&Question::default()).unwrap_err().kind(), ErrorKind::Overflow);
    let mut average = Average::of(f64::MAX);
    average.combine(Average::of(f64::MAX));
    assert_eq!(average.reply(&Question::default()).unwrap_err().kind(), ErrorKind::Overflow);
}

/// Whether `later` is refused after `held`, and that its reply is an error just then.
fn refuses<M: Monoid>(held: M, later: M) -> Option<String> {
    let whole = fold([held.clone(), later.clone()]);
    let why = held.refuses(&later);
    assert_eq!(why.is_some(), whole.reply(&Question::default()).is_err(), "{held:?} and {later:?}");
    why
}

#[test]
fn sums_refuse_what_would_take_them_out_of_their_type() {
    assert_eq!(refuses(Sum::<u64>::of(u64::MAX - 1), Sum::of(1u64)), None);
    let why = refuses(Sum::<u64>::of(u64::MAX), Sum::of(1u64)).unwrap();
    assert_eq!(why, "the sum would leave the range of `uint64`");
    assert!(refuses(Sum::<i64>::of(i64::MIN), Sum::of(-1i64)).unwrap().contains("`int64`"));
    assert_eq!(refuses(Sum::<i64>::of(i64::MIN), Sum::of(i64::MAX)), None);
    assert!(refuses(Sum::<f64>::of(f64::MAX), Sum::of(f64::MAX)).unwrap().contains("`double`"));
    assert_eq!(refuses(Sum::<f64>::of(f64::MAX), Sum::of(-f64::MAX)), None);
    assert!(refuses(Average::of(f64::MIN), Average::of(f64::MIN)).unwrap().contains("average"));
    assert_eq!(refuses(Count::of(u64::MAX - 2), Count::one()), None);
    assert!(refuses(Count::of(u64::MAX - 2), Count::of(2)).unwrap().contains("2^64 - 1"));
    assert!(Count::of(u64::MAX).refusal().is_some());
    let square_root = f64::MAX.sqrt();
    assert_eq!(refuses(Moments::of(square_root / 2.0), Moments::of(-square_root / 2.0)), None);
    assert!(refuses(Moments::of(square_root), Moments::of(square_root)).unwrap().contains("the moments would leave"));
    let of = |key: &str, amount| Map::<String, Sum<u64>, 3>::of(key, Sum::of(amount));
    assert_eq!(refuses(of("a", u64::MAX), of("b", u64::MAX)), None);
    let why = refuses(of("a", u64::MAX), of("a", 1)).unwrap();
    assert_eq!(why, "of the key \"a\", the sum would leave the range of `uint64`");
    let [a, b] = [f64::MAX, f64::MAX].map(|x| Traffic { mean: Average::of(x), ..traffic()[0].clone() });
    assert!(refuses(a, b).unwrap().starts_with("in `mean`, the sum"));
}

#[test]
fn float_sums_lose_nothing_that_matters() {
    // Added one after the other, plain floats give 0.9999999999999999 and 0.
    assert_eq!(fold((0..10).map(|_| Sum::<f64>::of(0.1))).reply(&Question::default()).unwrap(), 1.0);
    assert_eq!(fold([1e100, 1.0, -1e100].map(Sum::<f64>::of)).reply(&Question::default()).unwrap(), 1.0);
    assert_eq!(
        fold([u64::MAX, 1].map(Average::of)).reply(&Question::default()).unwrap().mean,
        Some(9_223_372_036_854_775_808.0)
    );
}

#[test]
fn a_float_sum_of_any_bytes_is_settled_by_one_addition() {
    let tiny = f64::from_bits(3);
    for (sum, rest) in [(8.483094085598545e-308, tiny), (1.0, 1e300), (tiny, -1.0), (1e300, 1e300), (-0.0, 0.5)] {
        let stored = [f64::to_le_bytes(sum), f64::to_le_bytes(rest)].concat();
        let mut settled = Sum::<f64>::decode(&stored).unwrap();
        settled.combine(Sum::identity());
        let mut again = settled;
        again.combine(Sum::identity());
        assert_eq!(bytes(&again), bytes(&settled), "{sum:e} and {rest:e}");
    }
}
