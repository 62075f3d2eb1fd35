//! One form for the characters of names that are written in several ways.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::decompose_canonical;

/// `text` with Latin letters without their accents ("Renée", composed or not, -> "Renee"), one apostrophe inside words,
/// one hyphen, and no invisible characters. Other scripts are composed and otherwise kept.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut folded = String::with_capacity(text.len());
    let mut rest = text.nfc().peekable();
    while let Some(c) = rest.next() {
        let after_letter = folded.ends_with(char::is_alphanumeric);
        let inside = after_letter && rest.peek().is_some_and(|c| c.is_alphabetic());
        match c {
            '\u{300}'..='\u{36f}' if folded.ends_with(|c: char| c.is_ascii_alphabetic()) => {}
            '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => {}
            '\u{2018}' | '\u{2019}' | '\u{2bb}' | '\u{2bc}' | '\u{b4}' | '\u{2032}' | '\u{ff07}' if inside => {
                folded.push('\'');
            }
            '\u{2010}' | '\u{2011}' => folded.push('-'),
            _ => match spelled(c) {
                Some(letters) => folded.push_str(letters),
                None => folded.push(base(c)),
            },
        }
    }
    folded
}

/// The letter under the accents of a Latin letter; any other character itself.
fn base(c: char) -> char {
    let mut first = None;
    decompose_canonical(c, |part| {
        first.get_or_insert(part);
    });
    first.filter(char::is_ascii_alphabetic).unwrap_or(c)
}

/// How a Latin letter that has no accent to lose is written in English.
fn spelled(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'ẞ' => "SS",
        'æ' | 'ǽ' => "ae",
        'Æ' | 'Ǽ' => "Ae",
        'œ' => "oe",
        'Œ' => "Oe",
        'ø' | 'ǿ' => "o",
        'Ø' | 'Ǿ' => "O",
        'ł' => "l",
        'Ł' => "L",
        'đ' | 'ð' => "d",
        'Đ' | 'Ð' => "D",
        'þ' => "th",
        'Þ' => "Th",
        'ħ' => "h",
        'Ħ' => "H",
        'ŧ' => "t",
        'Ŧ' => "T",
        'ı' => "i",
        'ə' => "e",
        'Ə' => "E",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn forms_of_a_name_become_one() {
        for (text, expected) in [
            ("Renée Björk", "Renee Bjork"),
            ("Rene\u{301}e Bjo\u{308}rk", "Renee Bjork"),
            ("São Paulo, Łódź, Ærø, Straße", "Sao Paulo, Lodz, Aero, Strasse"),
            ("Nguyễn Văn Thiệu", "Nguyen Van Thieu"),
            ("O\u{2019}Gara O\u{2bc}Gara O\u{2018}Gara", "O'Gara O'Gara O'Gara"),
            ("the boys\u{2019} \u{2018}no\u{2019}", "the boys\u{2019} \u{2018}no\u{2019}"),
            ("Jean\u{2010}Luc Jean\u{2011}Luc so\u{ad}lo", "Jean-Luc Jean-Luc solo"),
            ("Андрей, 中文, हिन्दी", "Андрей, 中文, हिन्दी"),
            ("Андреи\u{306}", "Андрей"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(fold(text), expected);
        }
    }
}
