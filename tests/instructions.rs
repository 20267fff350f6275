//! The comparison of `make bench-instructions`, which itself needs valgrind.

#[path = "../benches/instructions/comparison.rs"]
mod comparison;

use comparison::Counts;

fn counts(toolchain: &str, cases: &[(&str, u64)]) -> Counts {
    let cases = cases.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    Counts { toolchain: toolchain.to_owned(), cases }
}

#[test]
fn more_than_two_percent_more_or_less_is_named_and_fails() {
    let recorded = counts("rustc", &[("small", 1000), ("large", 50_000)]);
    for (small, large, verdicts, passes) in [
        (1000, 50_000, "+0.00 +0.00", true),
        (1020, 49_000, "+2.00 -2.00", true),
        (1021, 50_000, "SLOWER +0.00", false),
        (1000, 48_999, "+0.00 FASTER", false),
    ] {
        let (table, is_same) = recorded.compare(&counts("rustc", &[("small", small), ("large", large)]).cases);
        let last_words = table.lines().skip(1).take(2).filter_map(|row| row.split(' ').next_back());
        assert_eq!((last_words.collect::<Vec<_>>().join(" "), is_same), (verdicts.to_owned(), passes));
    }
}

#[test]
fn a_new_case_fails_until_it_is_recorded() {
    let (table, is_same) = counts("rustc", &[("old", 1000)]).compare(&counts("rustc", &[("new", 7)]).cases);
    assert!(table.contains("NOT RECORDED") && !is_same, "{table}");
}

#[test]
fn counts_of_another_toolchain_are_not_compared() {
    let reason = counts("rustc 1", &[]).incomparable("rustc 2").expect("it is another one");
    assert_eq!(reason, "nothing is compared: recorded with rustc 1, and this is rustc 2");
    assert_eq!(counts("rustc 1", &[]).incomparable("rustc 1"), None);
}

#[test]
fn what_is_recorded_can_be_read() {
    let recorded = counts("rustc 1, here", &[("small", 1000), ("large", 50_000)]);
    let read = Counts::parse(&recorded.to_json()).expect("it is readable");
    assert_eq!((read.toolchain, read.cases), (recorded.toolchain, recorded.cases));
    assert!(Counts::parse("{}").is_none());
}
