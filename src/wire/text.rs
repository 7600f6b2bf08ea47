//! JSON text as Python's `json.dumps` writes it.

/// Appends a JSON string: ASCII only, other characters escaped in lower-case hexadecimal, beyond
/// the basic plane as surrogate pairs.
pub fn write_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    for (at, c) in text.char_indices() {
        if matches!(c, ' '..='~') && c != '"' && c != '\\' {
            continue;
        }
        out.extend_from_slice(&bytes[plain_from..at]);
        plain_from = at + c.len_utf8();
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\x08' => out.extend_from_slice(b"\\b"),
            '\x0c' => out.extend_from_slice(b"\\f"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write_escape(out, *unit);
                }
            }
        }
    }
    out.extend_from_slice(&bytes[plain_from..]);
    out.push(b'"');
}

/// Bytes that [`write_json_string`] appends.
#[must_use]
pub fn json_string_len(text: &str) -> usize {
    let bytes = text.chars().map(|c| match c {
        '"' | '\\' | '\x08' | '\x0c' | '\n' | '\r' | '\t' => 2,
        ' '..='~' => 1,
        c => 6 * c.len_utf16(),
    });
    2 + bytes.sum::<usize>()
}

fn write_escape(out: &mut Vec<u8>, unit: u16) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(HEX[usize::from(unit >> shift & 0xf)]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_length_is_known_beforehand(text: String) {
            let mut out = Vec::new();
            write_json_string(&mut out, &text);
            prop_assert_eq!(json_string_len(&text), out.len());
        }
    }

    #[test]
    fn strings_are_escaped_as_json_dumps_does() {
        let mut out = Vec::new();
        write_json_string(&mut out, "a\"\\/\u{7f}\n\u{1}é東😀");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"a\\\"\\\\/\\u007f\\n\\u0001\\u00e9\\u6771\\ud83d\\ude00\""
        );
    }
}
