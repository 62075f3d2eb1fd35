//! The language of the user's texts. The rules are English ones, and the user is told where they do not apply.

use whatlang::Lang;

/// Number of texts that are looked at, and of characters of each.
const SAMPLE: (usize, usize) = (200, 300);
/// Fewest letters that say something.
const FEWEST: usize = 60;

/// The language of texts, if it is surely not English.
fn other<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Lang> {
    let mut sample = String::new();
    for text in texts.into_iter().take(SAMPLE.0) {
        sample.extend(text.chars().take(SAMPLE.1).chain([' ']));
    }
    if sample.chars().filter(|c| c.is_alphabetic()).count() < FEWEST {
        return None;
    }
    whatlang::detect(&sample).filter(|found| found.is_reliable() && found.lang() != Lang::Eng).map(|found| found.lang())
}

/// What the user is told if the texts of `what` are of another language than English.
pub fn remark<'a>(what: &str, texts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let language = other(texts)?.eng_name();
    Some(format!(
        "{what}: the texts look like {language}. The rules on sentence ends, numbers, names, modality, quotes and \
         statements are English ones and say little about them. The teacher, the entailment critic (--critic) and the \
         encoder must be models of that language; those of the presets are English."
    ))
}

/// Tells the user so.
pub fn tell<'a>(what: &str, texts: impl IntoIterator<Item = &'a str>) {
    if let Some(remark) = remark(what, texts) {
        note!("{remark}");
    }
}

/// What the user is told if ROUGE has no words for most of the references, whose scores are then 0, as in its own
/// reference implementation.
pub fn rouge_remark<'a>(what: &str, references: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let (mut all, mut without) = (0_usize, 0_usize);
    for text in references {
        all += 1;
        without += usize::from(!text.bytes().any(|byte| byte.is_ascii_alphanumeric()));
    }
    (2 * without > all).then(|| {
        format!(
            "{what}: ROUGE reads words of the letters a to z and of digits only, and {without} of {all} references have \
             none: their scores are 0. chrF reads any script."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_is_no_other_language() {
        let english =
            ["The company said it will pay a dividend of 12 cents a share.", "Who wrote the letter, and why?"];
        assert_eq!(other(english), None);
        assert_eq!(other(["Ja."]), None, "too short to tell");
        let german =
            ["Die Firma zahlt eine Dividende von zwölf Cent je Aktie.", "Wer schrieb den Brief, und warum nur?"];
        assert_eq!(other(german), Some(Lang::Deu));
        let chinese = ["公司表示将于三月份支付每股十二美分的股息。"; 5];
        assert_eq!(other(chinese), Some(Lang::Cmn));
        assert!(rouge_remark("x", chinese).is_some_and(|told| told.contains("5 of 5")));
        assert_eq!(rouge_remark("x", english), None);
    }
}
