//! Pieces of HTML. Everything that comes from a bundle goes through [`escape`].

use super::words::Words;
use vereda_scoring::bundle::Text;

/// Text as HTML, in content and in attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A text in both languages, of which the page shows one.
pub fn text(text: &Text) -> String {
    pair("span", &text.es, &text.en)
}

/// Words of the page in both languages.
pub fn words((es, en): Words) -> String {
    pair("span", es, en)
}

/// Words in both languages, inside an SVG text.
pub fn drawn((es, en): Words) -> String {
    pair("tspan", es, en)
}

fn pair(element: &str, es: &str, en: &str) -> String {
    if es == en {
        return escape(es);
    }
    let (es, en) = (escape(es), escape(en));
    format!("<{element} lang=\"es\">{es}</{element}><{element} lang=\"en\">{en}</{element}>")
}

/// A share as a percentage, with a decimal where it matters.
pub fn percent(share: f64) -> String {
    let value = 100.0 * share;
    if value.fract().abs() < 1e-9 || value >= 99.95 {
        format!("{value:.0} %")
    } else {
        format!("{value:.1} %")
    }
}

/// A number in few digits, thousands set apart.
pub fn number(x: f64) -> String {
    let rounded = if x.abs() >= 100.0 { x.round() } else { (x * 100.0).round() / 100.0 };
    let text = format!("{}", rounded.abs());
    let (whole, rest) =
        text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut out = if rounded < 0.0 { "−".to_owned() } else { String::new() };
    let digits = whole.len();
    for (index, digit) in whole.chars().enumerate() {
        // A thin space that does not break, as the SI has it.
        if index > 0 && (digits - index) % 3 == 0 && digits > 4 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}

/// A signed number with two decimals.
pub fn signed(x: f64) -> String {
    let text = format!("{:.2}", x.abs());
    let sign = if text == "0.00" {
        ""
    } else if x < 0.0 {
        "−"
    } else {
        "+"
    };
    format!("{sign}{text}")
}

/// A number with one decimal.
pub fn decimal(x: f64) -> String {
    format!("{x:.1}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(escape("<a b='\"&>"), "&lt;a b=&#39;&quot;&amp;&gt;");
    }

    #[test]
    fn numbers_are_short() {
        for (x, text) in
            [(0.0, "0"), (1234.0, "1234"), (12345.6, "12\u{202f}346"), (-0.456, "−0.46"), (99.5, "99.5")]
        {
            assert_eq!(number(x), text);
        }
        assert_eq!(
            (signed(-0.001), signed(0.5), signed(-0.5)),
            ("0.00".into(), "+0.50".into(), "−0.50".into())
        );
        assert_eq!(
            (percent(0.03), percent(0.1234), percent(1.0)),
            ("3 %".into(), "12.3 %".into(), "100 %".into())
        );
    }
}
