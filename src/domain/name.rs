//! The two names a domain goes by: the one the user chose and its UUID.

use std::fmt;
use std::str::FromStr;

/// A domain's name: letters, digits, `.`, `_`, `-`, 1 to 128 bytes, not starting with `.` or `-`.
///
/// It doubles as the name of the domain's folder, so nothing that a path could misread is let in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// The longest name in bytes; a folder's name may have 255, and the rest is room for suffixes.
const NAME_BYTES_MAX: usize = 128;

/// The text is no domain name.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidName(String);

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.escape_debug().take(160).collect();
        write!(
            f,
            "invalid domain name '{shown}': use letters, digits, '.', '_' and '-', not starting with '.' or '-', \
             at most {NAME_BYTES_MAX} bytes"
        )
    }
}

impl std::error::Error for InvalidName {}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let valid = !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && !text.starts_with(['.', '-'])
            && text.chars().all(allowed);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName(text.to_owned()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A domain's UUID, 16 bytes, printed in lower case with hyphens as virsh does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// A random UUID (version 4, RFC 9562) of 16 random bytes.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        if let Some(version) = bytes.get_mut(6) {
            *version = (*version & 0x0f) | 0x40;
        }
        if let Some(variant) = bytes.get_mut(8) {
            *variant = (*variant & 0x3f) | 0x80;
        }
        Self(bytes)
    }
}

impl FromStr for Uuid {
    type Err = ();

    /// Reads the form of 36 characters, hyphens where they belong, digits in either case.
    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != 36 {
            return Err(());
        }
        let mut bytes = [0_u8; 16];
        let mut digits = 0_usize;
        for (at, c) in text.chars().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if c != '-' {
                    return Err(());
                }
                continue;
            }
            let digit = u8::try_from(c.to_digit(16).ok_or(())?).map_err(|_| ())?;
            let byte = bytes.get_mut(digits / 2).ok_or(())?;
            *byte = (*byte << 4) | digit;
            digits += 1;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_refused_when_a_path_or_a_flag_could_misread_it() {
        for good in ["v", "list", "12345678", "a.b_c-d", &"n".repeat(128)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".v",
            "-v",
            "a/b",
            "a\nb",
            "a b",
            "é",
            "..",
            &"n".repeat(129),
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refused_name_is_shown_without_its_control_characters() {
        let error = "a\u{1b}[2J".parse::<Name>().unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error}");
    }

    #[test]
    fn a_uuid_prints_as_it_was_read_in_lower_case() {
        let text = "c7a5fdbd-cdaf-9455-926a-d65c16db1809";
        assert_eq!(
            text.to_uppercase().parse::<Uuid>().unwrap().to_string(),
            text
        );
        assert!(
            "c7a5fdbdcdaf-9455-926a-d65c16db18091"
                .parse::<Uuid>()
                .is_err()
        );
        assert_eq!(
            Uuid::from_random([0xff; 16]).to_string(),
            "ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
    }
}
