//! `/`: one page for people, which asks `/history` and `/sessions` again and again.

use std::hash::{BuildHasher, Hasher, RandomState};

use super::answer::Answer;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Returns the page. It loads nothing but its own style and script: they carry a number that nobody can guess.
pub(super) fn answer() -> Answer {
    let nonce = nonce();
    let page = PAGE.replace("{style}", STYLE).replace("{script}", SCRIPT).replace("{nonce}", &nonce);
    Answer::ok("text/html; charset=utf-8", page).policy(format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ))
}

/// Returns 128 random bits. The keys of std's hash maps are random, and their hash function hides them.
fn nonce() -> String {
    let half = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", half(), half())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_its_policy_names_its_own_number() {
        let texts = [answer(), answer()].map(|answer| String::from_utf8(answer.encode(true)).expect("text"));
        let nonces = texts.each_ref().map(|text| {
            let nonce = text.split("script-src 'nonce-").nth(1).and_then(|rest| rest.get(..32)).expect("a policy");
            assert_eq!(text.matches(nonce).count(), 4, "{text}");
            assert!(!["{style}", "{script}", "{nonce}"].iter().any(|place| text.contains(place)));
            // Neither of them survives the policy.
            assert!(!text.contains(" style=\"") && !text.contains(" onclick"));
            nonce
        });
        assert_ne!(nonces[0], nonces[1]);
    }
}
