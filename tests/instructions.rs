//! The comparison of `make bench-instructions`, which itself needs valgrind.

#[path = "../benches/instructions/comparison.rs"]
mod comparison;

use comparison::Counts;

fn cases(small: u64, large: u64) -> Vec<(String, u64)> {
    vec![("small".to_owned(), small), ("large".to_owned(), large)]
}

fn recorded() -> Counts {
    Counts { toolchain: "rustc 1".to_owned(), cases: cases(1000, 50_000) }
}

/// Returns the last word of each row, and whether the counts are the same.
fn compare(now: &[(String, u64)]) -> (Vec<String>, bool) {
    let (table, is_same) = recorded().compare(now);
    let rows = table.lines().skip(1).take(now.len());
    (rows.filter_map(|row| row.split(' ').next_back().map(str::to_owned)).collect(), is_same)
}

#[test]
fn two_percent_more_or_less_are_the_same() {
    assert_eq!(compare(&cases(1000, 50_000)), (vec!["+0.00".to_owned(), "+0.00".to_owned()], true));
    assert_eq!(compare(&cases(1020, 49_000)), (vec!["+2.00".to_owned(), "-2.00".to_owned()], true));
}

#[test]
fn more_is_slower_and_less_is_to_be_recorded() {
    assert_eq!(compare(&cases(1021, 50_000)), (vec!["SLOWER".to_owned(), "+0.00".to_owned()], false));
    assert_eq!(compare(&cases(1000, 48_999)), (vec!["+0.00".to_owned(), "FASTER".to_owned()], false));
}

#[test]
fn a_new_case_is_to_be_recorded() {
    assert_eq!(compare(&[("new".to_owned(), 7)]), (vec!["RECORDED".to_owned()], false));
}

#[test]
fn counts_of_another_toolchain_are_not_compared() {
    assert_eq!(recorded().incomparable("rustc 1"), None);
    let line = "nothing is compared: recorded with rustc 1, and this is rustc 2";
    assert_eq!(recorded().incomparable("rustc 2").as_deref(), Some(line));
}

#[test]
fn what_is_recorded_can_be_read() {
    let read = Counts::parse(&recorded().to_json()).expect("it is readable");
    assert_eq!((read.toolchain, read.cases), (recorded().toolchain, recorded().cases));
    assert!(Counts::parse("{}").is_none());
}
