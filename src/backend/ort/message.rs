//! ONNX Runtime's error texts, made readable.
//!
//! They carry prefixes, paths of the machine that built the library, and C++ signatures. What is
//! left after [`clean`] is the sentence at their end; [`load_error`] sorts it.

use std::path::Path;

use crate::backend::LoadError;

pub(super) const RUNTIME: &str = "ONNX Runtime";

/// For outputs of a kind that no answer can carry.
pub(super) const ADVICE_OUTPUTS: &str =
    "only tensors and ZipMap's sequence of maps from class to number can be returned";

const ADVICE_OPERATOR: &str =
    "export the model with standard ONNX operators, or use an ONNX Runtime that has this one";
const ADVICE_NEWER: &str = "use a newer ONNX Runtime, or export the model for an older opset";

/// The error for a damaged or unreadable model.
pub(super) fn invalid(path: &Path, reason: &str) -> LoadError {
    LoadError::Invalid(format!("{} cannot be loaded: {reason}", path.display()))
}

/// Sorts the text of a failed load.
pub(super) fn load_error(path: &Path, text: &str) -> LoadError {
    let text = clean(text);
    if let Some(operator) = operator(&text) {
        let what = format!("it has no operator {operator}");
        let advice = ADVICE_OPERATOR.to_owned();
        return LoadError::Unsupported { runtime: RUNTIME, what, advice };
    }
    if text.contains("is under development") || text.contains("Unsupported model IR version") {
        let advice = ADVICE_NEWER.to_owned();
        return LoadError::Unsupported { runtime: RUNTIME, what: text, advice };
    }
    if text.contains("Protobuf parsing failed") || text.contains("No graph was found") {
        return invalid(path, "it is not an ONNX file, or it is damaged or cut short");
    }
    if text.contains("xternal data") || text.contains("xternal initializer") {
        let reason = format!("its external data is missing, damaged or misplaced: {text}");
        return invalid(path, &reason);
    }
    invalid(path, &text)
}

/// The operator that the text says is unknown, in backticks with its opset where that is told.
fn operator(text: &str) -> Option<String> {
    if let Some((_, rest)) = text.split_once("No Op registered for ") {
        let (name, opset) = rest.split_once(" with domain_version of ")?;
        let opset = opset.split_whitespace().next().unwrap_or_default();
        return Some(format!("`{name}` in opset {opset}"));
    }
    if let Some((before, _)) = text.split_once(" is not a registered function/op") {
        return Some(format!("`{}`", unversioned(before.split_whitespace().last()?)));
    }
    let (_, rest) = text.split_once("Could not find an implementation for ")?;
    let name = unversioned(rest.split_whitespace().next()?);
    Some(format!("`{name}` for these types of inputs"))
}

/// `my.ops:Foo(-1)` without its version in parentheses.
fn unversioned(operator: &str) -> &str {
    operator.split_once('(').map_or(operator, |(name, _)| name)
}

/// The text without prefixes, source locations and line breaks.
pub(super) fn clean(text: &str) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some(at) = text.find("[ONNXRuntimeError] : ") {
        // `[ONNXRuntimeError] : 1 : FAIL : `
        let end = text[at..].match_indices(" : ").nth(2).map_or(text.len(), |(i, _)| at + i + 3);
        text.replace_range(at..end, "");
    }
    while let Some((start, end)) = source_location(&text) {
        text.replace_range(start..end, "");
    }
    let mut text = text.as_str();
    if text.starts_with("Load model from ")
        && let Some((_, rest)) = text.split_once(" failed:")
    {
        text = rest;
    }
    for prefix in ["Exception during initialization: ", "Fatal error: ", "Exception caught: "] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    text.trim().trim_end_matches('.').to_owned()
}

/// Where a source location stands: `/path/file.cc:123 type name(arguments) ` or, in newer
/// releases, `file.cc:123 Function `. Line numbers are what tells it from a file of the user's.
fn source_location(text: &str) -> Option<(usize, usize)> {
    let (at, extension) = [".cc:", ".h:", ".cpp:"]
        .into_iter()
        .filter_map(|extension| text.find(extension).map(|at| (at, extension)))
        .min()?;
    let after = at + extension.len();
    let digits = text[after..].bytes().take_while(u8::is_ascii_digit).count();
    let start = text[..at].rfind([' ', ':']).map_or(0, |space| space + 1);
    let end = after + digits;
    let rest = text[end..].trim_start();
    let end = text.len() - rest.len();
    Some((start, end + signature(rest)))
}

/// Length of the C++ signature, or the lone function name, that the text starts with.
fn signature(text: &str) -> usize {
    let word = text.find(' ').map_or(text.len(), |space| space + 1);
    let Some(open) = text.find('(') else { return lone_name(text, word) };
    let head = &text[..open];
    let type_like = |c: char| c.is_alphanumeric() || " _:<>*&,~".contains(c);
    if head.ends_with(' ') || !head.contains("::") || !head.chars().all(type_like) {
        return lone_name(text, word);
    }
    let mut depth = 0_usize;
    for (i, c) in text.char_indices().skip_while(|(i, _)| *i < open) {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            let rest = &text[i + 1..];
            let rest = rest.strip_prefix(" const").unwrap_or(rest);
            let rest = rest
                .strip_prefix(" [with ")
                .and_then(|types| types.split_once(']'))
                .map_or(rest, |(_, rest)| rest);
            return text.len() - rest.trim_start().len();
        }
    }
    text.len()
}

/// A function's name in camel case, such as `ValidateExternalDataPathFromDir`, is not prose.
fn lone_name(text: &str, word: usize) -> usize {
    let name = text[..word].trim_end();
    let capitals = name.bytes().filter(u8::is_ascii_uppercase).count();
    let camel = capitals > 1 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if camel && name.bytes().any(|b| b.is_ascii_lowercase()) { word } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> String {
        load_error(Path::new("m.onnx"), text).to_string()
    }

    #[test]
    fn an_unknown_operator_is_named() {
        assert_eq!(
            loaded(
                "Load model from /tmp/noop.onnx failed:This is an invalid model. In Node, (\"\", \
                 Foo, \"\", -1) : (\"x\": tensor(float),) -> (\"y\": tensor(float),) , Error No \
                 Op registered for Foo with domain_version of 17"
            ),
            format!(
                "ONNX Runtime cannot run this model: it has no operator `Foo` in opset 17; \
                 {ADVICE_OPERATOR}"
            )
        );
        assert!(
            loaded(
                "Load model from /tmp/x.onnx failed:Fatal error: my.ops:Foo(-1) is not a \
                 registered function/op"
            )
            .contains("no operator `my.ops:Foo`;")
        );
        assert!(
            loaded("Could not find an implementation for Acos(7) node with name ''")
                .contains("no operator `Acos` for these types")
        );
    }

    #[test]
    fn source_locations_and_signatures_go() {
        assert_eq!(
            clean(
                "Load model from /tmp/newir.onnx failed:/onnxruntime_src/onnxruntime/core/graph/\
                 model.cc:256 onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::\
                 PathString&, const onnxruntime::ModelOptions&) Unsupported model IR version: 99, \
                 max supported IR version: 13\n"
            ),
            "Unsupported model IR version: 99, max supported IR version: 13"
        );
        assert_eq!(
            clean(
                "Exception during initialization: /onnxruntime_src/onnxruntime/core/optimizer/\
                 initializer.cc:51 onnxruntime::Initializer::Initializer(const onnx::TensorProto&, \
                 const std::filesystem::__cxx11::path&) [ONNXRuntimeError] : 1 : FAIL : \
                 tensorprotoutils.cc:1876 GetExtDataFromTensorProto External initializer: b2 \
                 offset: 5376 size to read: 16 given file_length: 3 are out of bounds or can not \
                 be read in full.\n"
            ),
            "External initializer: b2 offset: 5376 size to read: 16 given file_length: 3 are out \
             of bounds or can not be read in full"
        );
        assert_eq!(
            clean(
                "/onnxruntime_src/a.h:46 void onnxruntime::v::f(const std::unordered_map<std::\
                 __cxx11::basic_string<char>, int>&, bool) const [with T = float] Opset 99 is bad"
            ),
            "Opset 99 is bad"
        );
    }

    #[test]
    fn plain_texts_stay() {
        let text = "Non-zero status code returned while running Gather node. Name:'' Status \
                    Message: indices element out of data bounds, idx=7";
        assert_eq!(clean(text), text);
        assert_eq!(clean(""), "");
        assert_eq!(clean("Größe .cc: ohne Zahl"), "Größe ohne Zahl");
    }
}
