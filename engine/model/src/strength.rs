//! How hard a key or password that somebody chose is to guess: an estimate that errs on the low side.
//!
//! It is length times the size of the alphabet that the text seems to be of, where runs (`abcdef`, `7777`), repetitions and words
//! that everybody tries count for next to nothing.

/// The longest key that an operator may bring.
pub const KEY_LENGTH_MAX: usize = 256;
const KEY_LENGTH_MIN: usize = 16;
/// From so many characters that count on, a key is long enough whatever they are.
const KEY_LENGTH_LONG: usize = 32;
const KEY_BITS_MIN: f64 = 128.0;
const DISTINCT_MIN: usize = 8;

/// The shortest and the longest password, in bytes.
pub const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 12..=256;
const PASSWORD_BITS_MIN: f64 = 50.0;

/// Words that count as one character each. In lower case; what is compared is too.
const WEAK: [&str; 24] = [
    "password",
    "passwort",
    "passw0rd",
    "p@ssw0rd",
    "secret",
    "changeme",
    "changeit",
    "letmein",
    "welcome",
    "example",
    "default",
    "qwertyuiop",
    "qwerty",
    "asdfgh",
    "zxcvbn",
    "1q2w3e",
    "iloveyou",
    "admin",
    "monkey",
    "dragon",
    "apikey",
    "api-key",
    "tidegate",
    "deadbeef",
];

/// Why a key that an operator brings is refused; nothing if it is good.
pub fn why_weak_key(key: &str) -> Option<String> {
    if !key.bytes().all(|b| b.is_ascii_graphic() && !b"\",;\\".contains(&b)) {
        return Some("must be of visible ASCII characters other than `\"`, `,`, `;` and `\\`".into());
    }
    if !(KEY_LENGTH_MIN..=KEY_LENGTH_MAX).contains(&key.len()) {
        return Some(format!("must have from {KEY_LENGTH_MIN} to {KEY_LENGTH_MAX} characters"));
    }
    let found = Estimate::of(key);
    if found.repeats {
        return Some("repeats itself; bring a random key of at least 32 characters".into());
    }
    if found.distinct < DISTINCT_MIN || (found.length < KEY_LENGTH_LONG && found.bits < KEY_BITS_MIN) {
        return Some("is too easy to guess; bring a random key of at least 32 characters, or of 128 bits".into());
    }
    None
}

/// Why a password is refused; nothing if it is good. It must not hold what it goes with, such as the user's name.
pub fn why_weak_password(password: &str, beside: &str) -> Option<String> {
    if password.chars().any(char::is_control) {
        return Some("must not hold control characters".into());
    }
    if !PASSWORD_BYTES.contains(&password.len()) {
        return Some(format!("must have from {} to {} bytes", PASSWORD_BYTES.start(), PASSWORD_BYTES.end()));
    }
    let mut rest = password.to_lowercase();
    if !beside.is_empty() {
        rest = rest.replace(&beside.to_lowercase(), "\u{1}");
    }
    // words were counted in lower case; the alphabet is of what was written
    let found = Estimate { alphabet: alphabet(password), ..Estimate::of(&rest) };
    let bits = found.length as f64 * found.alphabet.log2();
    let weak = found.repeats || bits < PASSWORD_BITS_MIN;
    weak.then(|| "is too easy to guess; take a longer one, of several words or of random characters".into())
}

struct Estimate {
    /// How many characters count.
    length: usize,
    distinct: usize,
    alphabet: f64,
    bits: f64,
    /// The whole is a shorter text again and again.
    repeats: bool,
}

impl Estimate {
    fn of(text: &str) -> Estimate {
        let mut short = text.to_lowercase();
        for word in WEAK {
            short = short.replace(word, "\u{1}");
        }
        let chars: Vec<char> = short.chars().collect();
        let length = counting(&chars);
        let mut distinct = chars.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let alphabet = alphabet(text);
        let whole: Vec<char> = text.chars().collect();
        Estimate {
            length,
            distinct: distinct.len(),
            alphabet,
            bits: length as f64 * alphabet.log2(),
            repeats: repeats(&whole),
        }
    }
}

/// How many characters count: from the fourth on, those that go on in the same step do not.
fn counting(chars: &[char]) -> usize {
    let step = |at: usize| i64::from(chars[at] as u32) - i64::from(chars[at - 1] as u32);
    let goes_on = |at: usize| at >= 3 && step(at).abs() <= 1 && step(at) == step(at - 1) && step(at) == step(at - 2);
    (0..chars.len()).filter(|at| !goes_on(*at)).count()
}

/// Whether a text is made of a shorter one, at least twice, the last time perhaps in part.
fn repeats(chars: &[char]) -> bool {
    (1..=chars.len() / 2).any(|period| chars[period..].iter().zip(chars).all(|(a, b)| a == b))
}

fn alphabet(text: &str) -> f64 {
    let has = |is: fn(&char) -> bool| text.chars().any(|c| is(&c));
    let mut size = 0;
    for (is, of) in [
        (char::is_ascii_digit as fn(&char) -> bool, 10),
        (char::is_ascii_lowercase, 26),
        (char::is_ascii_uppercase, 26),
        (|c| c.is_ascii() && !c.is_ascii_alphanumeric(), 33),
        (|c| !c.is_ascii(), 100),
    ] {
        size += if has(is) { of } else { 0 };
    }
    // hexadecimal digits are no more than that
    if text.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        f64::from(size.min(16))
    } else {
        f64::from(size.max(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_were_drawn_are_taken_and_chosen_ones_are_not() {
        for good in [
            "0197c1f2-5e2a-7bbb-8ccc-93ab07d5e1f2",
            "9f86d081884c7d659a2feaa0c55ad015",
            "kJ8#mQ2!xR7$vN4@pL9w",
            "sk_live_51Hx8mZq2KvTr7NbYcWdEfGaL",
            "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZg==",
            "purple-otter-lamp-seventeen-cactus-rain",
        ] {
            assert_eq!(why_weak_key(good), None, "{good}");
        }
        for bad in [
            "",
            "short",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abcabcabcabcabcabcabcabcabcabcabcabcabc",
            "0123456789abcdef0123456789abcdef",
            "abcdefghijklmnopqrstuvwxyz0123456789",
            "passwordpasswordpasswordpassword!",
            "my-secret-password-changeme-admin",
            "121212121212121212121212121212121212",
            "9f86d081884c7d65",
            "a key with spaces in it, long enough",
            "key;key;0197c1f2-5e2a-7bbb-8ccc-93ab07d5e1f2",
            "schl\u{fc}ssel-0197c1f2-5e2a-7bbb-8ccc-93ab07d5e1f2",
            &"0197c1f2x5e2aq7bbb".repeat(20),
        ] {
            assert!(why_weak_key(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn passwords_are_long_and_not_the_ones_that_everybody_tries() {
        for good in ["correct horse battery staple", "x7Kq-pW2m-Rz9t", "Gr\u{fc}ne Wiese am Bach", "a:b:c:d-7Kq2mRz"] {
            assert_eq!(why_weak_password(good, "acme"), None, "{good}");
        }
        for bad in [
            "",
            "hunter2",
            "password1234",
            "Passw0rd!Passw0rd!",
            "aaaaaaaaaaaaaaaa",
            "acme-acme-acme1",
            "line\nbreak-7Kq2m",
            "111111111111",
            "abcdefghijklmnop",
            &"x7Kq-pW2m".repeat(40),
        ] {
            assert!(why_weak_password(bad, "acme").is_some(), "{bad}");
        }
    }
}
