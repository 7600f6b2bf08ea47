//! Parts of the documentation that are made from the code.

use std::env;
use std::fs;

/// Asserts that a page holds `table` between the marks `<!-- begin NAME -->` and
/// `<!-- end NAME -->`. Where `FLOWGATE_WRITE_DOCS` is set, it is written there instead.
pub(crate) fn assert_holds(page: &str, name: &str, table: &str) {
    let path = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let from = text.find(&begin).expect("the page has the mark") + begin.len();
    let to = text.find(&end).expect("the page has the mark");
    if env::var_os("FLOWGATE_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{}{table}{}", &text[..from], &text[to..])).unwrap();
        return;
    }
    assert_eq!(
        &text[from..to],
        table,
        "docs/{page}, table of {name}, is not what the code says: FLOWGATE_WRITE_DOCS=1 writes it"
    );
}
