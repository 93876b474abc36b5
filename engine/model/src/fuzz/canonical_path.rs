//! A path has one canonical form, and it means what was asked for.

/// Feeds bytes as a path.
pub fn canonical_path(data: &[u8]) {
    let Ok(path) = std::str::from_utf8(data) else { return };
    let Ok(once) = crate::canonical_path(path) else { return };
    assert!(once.starts_with('/'), "{path:?} became {once:?}");
    assert!(!once.contains("//"), "{path:?} became {once:?}");
    // some servers cut off what follows a `;`
    let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    assert!(!once.split('/').any(dots), "{path:?} became {once:?}");
    assert!(once.bytes().all(may_stand), "{path:?} became {once:?}");
    assert!(once.len() <= path.len().max(1), "{path:?} grew to {once:?}");
    for encoding in once.split('%').skip(1) {
        let (digits, _) = encoding.split_at_checked(2).expect("two digits follow a percent sign");
        let byte = u8::from_str_radix(digits, 16).expect("they are hexadecimal");
        assert!(digits.bytes().all(|b| !b.is_ascii_lowercase()), "{once:?} has an encoding in small letters");
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!(!plain && !b"/\\\0".contains(&byte), "{once:?} encodes {byte:#04x}");
    }
    assert_eq!(crate::canonical_path(&once).as_deref(), Ok(&*once), "canonical once more");
    assert_eq!(resolved(&decoded(path)), decoded(&once), "{path:?} and {once:?} lead to different places");
}

/// Bytes that a canonical path may hold.
fn may_stand(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/%-._~!$&'()*+,;=:@|[]^".contains(&byte)
}

/// Every encoding decoded: no slash can come of it, as an encoded one is refused.
fn decoded(path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |b: u8| (b as char).to_digit(16).expect("a broken encoding is refused");
                bytes.push((digit(*high) * 16 + digit(*low)) as u8);
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

/// Dot segments and empty ones taken out, as a reader would who walks from folder to folder.
fn resolved(path: &[u8]) -> Vec<u8> {
    let mut folders: Vec<&[u8]> = Vec::new();
    let mut ends_in_folder = true;
    for segment in path.split(|b| *b == b'/') {
        ends_in_folder = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => drop(folders.pop().expect("a path above the root is refused")),
            name => folders.push(name),
        }
    }
    let mut path = Vec::new();
    for folder in folders {
        path.push(b'/');
        path.extend_from_slice(folder);
    }
    if ends_in_folder {
        path.push(b'/');
    }
    path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn holds_for_anything_like_a_path(path in "/([a-c.;]|%2[eEfF0]|%[4-6][0-9a-f]|%C3|//|/\\.|/\\.\\./|[|^;~]){0,24}") {
            super::canonical_path(path.as_bytes());
        }

        #[test]
        fn holds_for_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            super::canonical_path(&bytes);
        }
    }
}
