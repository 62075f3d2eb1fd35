//! Numbers of any length, exact.

/// A decimal number or a fraction, with what distinguishes it from a plain number.
#[derive(Clone)]
pub(super) struct Value {
    /// The digits, of which the last `scale` are after the point; empty if `mark` is all there is, as in "10:30".
    digits: String,
    scale: usize,
    /// The denominator of a fraction without a terminating decimal; otherwise 1.
    over: u64,
    pub(super) minus: bool,
    /// A suffix: "rd", "s", "am".
    pub(super) mark: String,
}

impl Value {
    /// Reads digits with at most one point.
    pub(super) fn parse(text: &str) -> Self {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = whole.chars().chain(part.chars()).filter(char::is_ascii_digit).collect();
        Self { digits, scale: part.len(), over: 1, minus: false, mark: String::new() }
    }

    pub(super) fn whole(value: u128) -> Self {
        Self::parse(&value.to_string())
    }

    /// What is compared as text.
    pub(super) fn word(mark: &str) -> Self {
        Self { digits: String::new(), scale: 0, over: 1, minus: false, mark: mark.to_owned() }
    }

    /// `n / d`, or zero if `d` is.
    pub(super) fn fraction(n: u128, d: u64) -> Self {
        let common = gcd(n, u128::from(d)).max(1);
        let (n, d) = (n / common, d / u64::try_from(common).unwrap_or(1));
        // Hundredths of thousandths are the finest that are written as decimals.
        if d == 0 || !100_000_u64.is_multiple_of(d) || n > u128::MAX / 100_000 {
            return Self { over: d.max(1), ..Self::whole(n) };
        }
        let digits = format!("{:06}", n * u128::from(100_000 / d));
        Self { scale: 5, ..Self::parse(&digits) }
    }

    pub(super) fn marked(mut self, mark: &str) -> Self {
        mark.clone_into(&mut self.mark);
        self
    }

    /// A whole number of this text, if it is one and small enough.
    pub(super) fn integer(&self) -> Option<u128> {
        let whole = self.over == 1 && self.mark.is_empty() && !self.digits.is_empty();
        let fits = self.scale == 0 && self.digits.len() <= 30;
        if whole && fits { self.digits.parse().ok() } else { None }
    }

    pub(super) fn is_integer(&self) -> bool {
        self.scale == 0 && self.over == 1 && self.mark.is_empty() && !self.digits.is_empty()
    }

    /// Times ten to the `power`.
    pub(super) fn shift(&mut self, power: usize) {
        if self.over > 1
            && let Ok(n) = self.digits.parse::<u128>()
            && let Some(n) =
                u32::try_from(power).ok().and_then(|p| 10_u128.checked_pow(p)).and_then(|p| n.checked_mul(p))
        {
            let minus = self.minus;
            *self = Self { minus, ..Self::fraction(n, self.over) };
            return;
        }
        self.digits.extend(std::iter::repeat_n('0', power.saturating_sub(self.scale)));
        self.scale = self.scale.saturating_sub(power);
    }

    /// Twelve times the value; unchanged if it is too long.
    pub(super) fn dozen(&mut self) {
        if self.digits.len() <= 30
            && let Ok(n) = self.digits.parse::<u128>()
        {
            let (scale, minus) = (self.scale, self.minus);
            *self = Self::fraction(n * 12, self.over);
            self.scale += scale;
            self.minus = minus;
        }
    }

    /// Adds `n / d` of ten to the `power`; unchanged if this is no whole number or too long.
    pub(super) fn add_part(&mut self, n: u64, d: u64, power: usize) {
        let unit = u32::try_from(power).ok().and_then(|power| 10_u128.checked_pow(power));
        let sum = || {
            let part = unit?.checked_mul(u128::from(n))?;
            self.integer()?.checked_mul(u128::from(d))?.checked_add(part)
        };
        if let Some(sum) = sum() {
            *self = Self { minus: self.minus, ..Self::fraction(sum, d) };
        }
    }

    /// The value as it is compared.
    pub(super) fn text(&self) -> String {
        if self.digits.is_empty() {
            return self.mark.clone();
        }
        let (whole, part) = self.digits.split_at(self.digits.len().saturating_sub(self.scale));
        let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
        let sign = if self.minus && !(whole.is_empty() && part.is_empty()) { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if part.is_empty() { "" } else { "." };
        let over = if self.over > 1 { format!("/{}", self.over) } else { String::new() };
        format!("{sign}{whole}{point}{part}{over}{}", self.mark)
    }

    /// The value as a floating-point number; infinite if it is not a plain one.
    pub(super) fn approx(&self) -> f64 {
        self.text().parse().unwrap_or(f64::INFINITY)
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}
